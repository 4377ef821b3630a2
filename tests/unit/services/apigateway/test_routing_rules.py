"""Routing rules of custom domain names: what they may be, and which API answers a request."""

import json
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.apigateway import ApiDoors
from cumulet.services.iam import build as build_iam
from cumulet.services.iam import build_sts
from cumulet.services.iam.authorizer import IamAuthorizer
from cumulet.services.kit import Principal
from cumulet.services.logs import build as build_logs
from cumulet.wire.message import Headers, Request, Response
from harness import SCOPE
from unit.services.apigateway.fake_lambda import ApiHouse
from unit.services.apigateway.test_rest_logs import written
from unit.services.apigateway.test_stage_settings import GROUP, replace, with_role

CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/12345678-1234-1234-1234-123456789012"
REGIONAL = {"EndpointType": "REGIONAL", "CertificateArn": CERTIFICATE}
DOMAIN = "petstore.example.com"
AT = {"DomainName": DOMAIN}
Sent = list[tuple[str, str]]


def header(name: str, glob: str) -> dict[str, Any]:
    return {"MatchHeaders": {"AnyOf": [{"Header": name, "ValueGlob": glob}]}}


def base(path: str) -> dict[str, Any]:
    return {"MatchBasePaths": {"AnyOf": [path]}}


def invoke(api_id: str, **more: Any) -> list[dict[str, Any]]:
    return [{"InvokeApi": {"ApiId": api_id, "Stage": "dev", **more}}]


async def domain(house: ApiHouse, mode: str = "ROUTING_RULE_ONLY", name: str = DOMAIN) -> None:
    await house.v2("CreateDomainName", DomainName=name, DomainNameConfigurations=[REGIONAL], RoutingMode=mode)


async def rule(house: ApiHouse, priority: int, api_id: str, *conditions: Any, name: str = DOMAIN, **more: Any) -> str:
    made = await house.v2(
        "CreateRoutingRule",
        DomainName=name,
        Priority=priority,
        Conditions=list(conditions),
        Actions=invoke(api_id, **more),
    )
    return str(made["RoutingRuleId"])


async def everything(house: ApiHouse) -> str:
    """Return the id of a REST API that answers whatever it is asked."""
    return await house.rest_api("GET /", "GET /{proxy+}")


async def ask(house: ApiHouse, path: str, sent: Sent | None = None, host: str = DOMAIN) -> Response:
    doors = ApiDoors(house.ground, house.find_signer)
    request = Request("GET", path, "", Headers([("Host", f"{host}:4566"), *(sent or [])]))
    answered = await doors.serve_domain(host, request)
    assert answered is not None
    return answered


async def asked(house: ApiHouse, path: str, sent: Sent | None = None, host: str = DOMAIN) -> str:
    """Return which API answers, or the body of the refusal."""
    answered = await ask(house, path, sent, host)
    if answered.status != 200:
        assert answered.status == 403
        assert isinstance(answered.body, bytes)
        return answered.body.decode()
    return str(house.function.event["requestContext"]["apiId"])


async def test_a_rule_is_made_shown_replaced_and_deleted() -> None:
    house = ApiHouse()
    api_id = await everything(house)
    await domain(house, "ROUTING_RULE_THEN_API_MAPPING")
    conditions = [header("Hello", "World"), base("PetStoreShopper"), header("x-version", "beta")]
    made = await house.v2(
        "CreateRoutingRule", **AT, Priority=50, Conditions=conditions, Actions=invoke(api_id, StripBasePath=True)
    )
    rule_id = made["RoutingRuleId"]
    assert made == {
        "Actions": [{"InvokeApi": {"ApiId": api_id, "Stage": "dev", "StripBasePath": True}}],
        "Conditions": conditions,
        "Priority": 50,
        "RoutingRuleArn": f"arn:aws:apigateway:us-east-1:000000000000:/domainnames/{DOMAIN}/routingrules/{rule_id}",
        "RoutingRuleId": rule_id,
    }
    assert made == await house.v2("GetRoutingRule", **AT, RoutingRuleId=rule_id)
    other = await rule(house, 7, api_id)

    put = await house.v2(
        "PutRoutingRule", **AT, RoutingRuleId=rule_id, Priority=30, Conditions=[], Actions=invoke(api_id)
    )
    assert (put["RoutingRuleId"], put["Priority"], put["Conditions"]) == (rule_id, 30, [])
    assert put["Actions"] == [{"InvokeApi": {"ApiId": api_id, "Stage": "dev", "StripBasePath": False}}]
    first = await house.v2("ListRoutingRules", **AT, MaxResults=1)
    assert [one["RoutingRuleId"] for one in first["RoutingRules"]] == [other]
    second = await house.v2("ListRoutingRules", **AT, MaxResults=1, NextToken=first["NextToken"])
    assert second == {"RoutingRules": [put]}

    await house.v2("DeleteRoutingRule", **AT, RoutingRuleId=rule_id)
    for operation, params in (
        ("GetRoutingRule", {}),
        ("DeleteRoutingRule", {}),
        ("PutRoutingRule", {"Priority": 1, "Conditions": [], "Actions": invoke(api_id)}),
    ):
        with pytest.raises(ServiceError) as error:
            await house.v2(operation, **AT, RoutingRuleId=rule_id, **params)
        assert (error.value.code, error.value.message) == (
            "NotFoundException",
            "Invalid routing rule identifier specified",
        )
    made_elsewhere = {"Priority": 1, "Conditions": [], "Actions": invoke(api_id)}
    for operation, params in (("CreateRoutingRule", made_elsewhere), ("ListRoutingRules", {})):
        with pytest.raises(ServiceError, match="Invalid domain name identifier specified"):
            await house.v2(operation, DomainName="other.example.com", **params)


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        (
            {"Priority": 5},
            "ConflictException",
            "A routing rule with priority 5 already exists for this domain name",
        ),
        ({"Actions": []}, "BadRequestException", "A routing rule must have exactly one action"),
        ({"Actions": invoke("nope")}, "BadRequestException", "Invalid API identifier specified"),
        ({"Stage": "nope"}, "BadRequestException", "Invalid stage identifier specified"),
        ({"Http": True}, "BadRequestException", "Only REST APIs are supported as targets of routing rules"),
        (
            {"Conditions": [header("a", "b")] * 3},
            "BadRequestException",
            "A routing rule can have at most 2 matchHeaders conditions",
        ),
        (
            {"Conditions": [base("a")] * 2},
            "BadRequestException",
            "A routing rule can have at most one matchBasePaths condition",
        ),
        (
            {"Conditions": [{}]},
            "BadRequestException",
            "A condition must have exactly one of matchBasePaths and matchHeaders",
        ),
        (
            {"Conditions": [header("a", "b") | base("c")]},
            "BadRequestException",
            "A condition must have exactly one of matchBasePaths and matchHeaders",
        ),
        (
            {"Conditions": [{"MatchBasePaths": {"AnyOf": ["a", "b"]}}]},
            "BadRequestException",
            "The anyOf of a condition must have exactly one value",
        ),
        (
            {"Conditions": [{"MatchHeaders": {"AnyOf": []}}]},
            "BadRequestException",
            "The anyOf of a condition must have exactly one value",
        ),
        (
            {"Conditions": [base("a" * 128)]},
            "BadRequestException",
            "The base path of a condition must have at least 1 and less than 128 characters",
        ),
        (
            {"Conditions": [base("")]},
            "BadRequestException",
            "The base path of a condition must have at least 1 and less than 128 characters",
        ),
        (
            {"Conditions": [base("a b")]},
            "BadRequestException",
            "A base path may contain only letters, numbers and one of $-_.+!*'()/",
        ),
        (
            {"Conditions": [base("/a")]},
            "BadRequestException",
            "A base path should not start with a '/' or have consecutive '/'s.",
        ),
        (
            {"Conditions": [header("a" * 40, "b")]},
            "BadRequestException",
            "The header name of a condition must have at least 1 and less than 40 characters",
        ),
        (
            {"Conditions": [header("x-*", "b")]},
            "BadRequestException",
            "Invalid header name specified: x-*. Wildcards are for header values only",
        ),
        (
            {"Conditions": [header("Authorization", "b")]},
            "BadRequestException",
            "The header Authorization is not supported in a condition",
        ),
        (
            {"Conditions": [header("X-Amzn-Trace-Id", "b")]},
            "BadRequestException",
            "The header X-Amzn-Trace-Id is not supported in a condition",
        ),
        (
            {"Conditions": [header("a", "b" * 128)]},
            "BadRequestException",
            "The header value of a condition must have at least 1 and less than 128 characters",
        ),
        (
            {"Conditions": [header("a", f"*{'b' * 38}*")]},
            "BadRequestException",
            "The header value of an infix match must have less than 40 characters",
        ),
        *[
            (
                {"Conditions": [header("a", glob)]},
                "BadRequestException",
                f"Invalid header value specified: {glob}. A wildcard can only stand at its beginning and at its end",
            )
            for glob in ("a*b", "**", "***", "*a*b*", "a b", "\u00e9")
        ],
    ],
)
async def test_what_is_no_rule_is_refused(changes: dict[str, Any], code: str, words: str) -> None:
    house = ApiHouse()
    api_id = await everything(house)
    await domain(house)
    await rule(house, 5, api_id)
    if changes.pop("Http", False):
        http_id = await house.http_api("$default")
        changes["Actions"] = [{"InvokeApi": {"ApiId": http_id, "Stage": "$default"}}]
    if stage := changes.pop("Stage", None):
        changes["Actions"] = invoke(api_id, Stage=stage)
    with pytest.raises(ServiceError) as error:
        await house.v2(
            "CreateRoutingRule", **{**AT, "Priority": 1, "Conditions": [], "Actions": invoke(api_id), **changes}
        )
    assert (error.value.code, error.value.message) == (code, words)
    assert len((await house.v2("ListRoutingRules", **AT))["RoutingRules"]) == 1


async def test_a_domain_has_at_most_fifty_rules_and_one_of_each_priority() -> None:
    house = ApiHouse()
    api_id = await everything(house)
    await domain(house)
    ids = [await rule(house, priority, api_id) for priority in range(1, 51)]
    with pytest.raises(ServiceError) as error:
        await rule(house, 1_000_000, api_id)
    assert (error.value.code, error.value.message) == (
        "TooManyRequestsException",
        "Maximum number of routing rules has been reached.",
    )
    put = {**AT, "RoutingRuleId": ids[0], "Conditions": [], "Actions": invoke(api_id)}
    with pytest.raises(ServiceError, match="A routing rule with priority 2 already exists for this domain name"):
        await house.v2("PutRoutingRule", **put, Priority=2)
    assert (await house.v2("PutRoutingRule", **put, Priority=1))["Priority"] == 1


async def test_modes_go_by_other_names_in_the_rest_dialect_and_forbid_what_they_do_not_use() -> None:
    house = ApiHouse()
    api_id = await everything(house)
    made = await house.v1(
        "CreateDomainName",
        domainName=DOMAIN,
        certificateArn=CERTIFICATE,
        routingMode="ROUTING_RULE_THEN_BASE_PATH_MAPPING",
    )
    assert made["routingMode"] == "ROUTING_RULE_THEN_BASE_PATH_MAPPING"
    assert (await house.v2("GetDomainName", **AT))["RoutingMode"] == "ROUTING_RULE_THEN_API_MAPPING"
    await rule(house, 1, api_id)
    await house.v1("CreateBasePathMapping", domainName=DOMAIN, basePath="a", restApiId=api_id, stage="dev")

    patched = await house.v1(
        "UpdateDomainName", domainName=DOMAIN, patchOperations=[replace("/routingMode", "ROUTING_RULE_ONLY")]
    )
    assert patched["routingMode"] == "ROUTING_RULE_ONLY"
    with pytest.raises(ServiceError) as error:
        await house.v1("CreateBasePathMapping", domainName=DOMAIN, basePath="b", restApiId=api_id, stage="dev")
    assert (error.value.code, error.value.message) == (
        "BadRequestException",
        "API mappings cannot be created for a domain name with the routing mode ROUTING_RULE_ONLY",
    )
    assert len((await house.v2("GetApiMappings", **AT))["Items"]) == 1

    patched = await house.v1(
        "UpdateDomainName", domainName=DOMAIN, patchOperations=[replace("/routingMode", "BASE_PATH_MAPPING_ONLY")]
    )
    assert patched["routingMode"] == "BASE_PATH_MAPPING_ONLY"
    with pytest.raises(ServiceError) as error:
        await rule(house, 2, api_id)
    assert (error.value.code, error.value.message) == (
        "BadRequestException",
        "Routing rules cannot be created for a domain name with the routing mode API_MAPPING_ONLY",
    )
    assert len((await house.v2("ListRoutingRules", **AT))["RoutingRules"]) == 1

    with pytest.raises(ServiceError) as error:
        await house.v1("UpdateDomainName", domainName=DOMAIN, patchOperations=[replace("/routingMode", "BOTH")])
    assert error.value.message == (
        "Invalid routing mode specified: BOTH. Must be one of [BASE_PATH_MAPPING_ONLY, ROUTING_RULE_ONLY, "
        "ROUTING_RULE_THEN_BASE_PATH_MAPPING]"
    )
    with pytest.raises(ServiceError, match="Deleting stage dev failed"):
        await house.v1("DeleteStage", restApiId=api_id, stageName="dev")


async def test_rules_go_with_mappings_to_apis_of_one_kind() -> None:
    house = ApiHouse()
    rest, http = await everything(house), await house.http_api("$default")
    words = "Routing rules are not supported for domain names with API mappings to both REST and HTTP APIs"
    await domain(house, "API_MAPPING_ONLY")
    await house.v2("CreateApiMapping", **AT, ApiId=rest, Stage="dev", ApiMappingKey="rest")
    made = await house.v2("CreateApiMapping", **AT, ApiId=http, Stage="$default", ApiMappingKey="http")
    with pytest.raises(ServiceError) as error:
        await house.v2("UpdateDomainName", **AT, RoutingMode="ROUTING_RULE_THEN_API_MAPPING")
    assert (error.value.code, error.value.message) == ("BadRequestException", words)
    await house.v2("DeleteApiMapping", **AT, ApiMappingId=made["ApiMappingId"])
    await house.v2("UpdateDomainName", **AT, RoutingMode="ROUTING_RULE_THEN_API_MAPPING")
    with pytest.raises(ServiceError, match=words):
        await house.v2("CreateApiMapping", **AT, ApiId=http, Stage="$default", ApiMappingKey="http")


async def test_the_guides_first_example() -> None:
    house = ApiHouse()
    one, two, three = [await everything(house) for _ in range(3)]
    await domain(house)
    shopper = [header("Accept", "image/webp"), header("Pet", "Dog-*"), base("PetStoreShopper")]
    await rule(house, 100, three)
    await rule(house, 50, two, *shopper)
    await rule(house, 10, one, header("Hello", "World"))
    dog, webp = ("Pet", "Dog-Bella"), ("Accept", "image/webp")

    assert await asked(house, "/", [("Hello", "World")]) == one
    assert await asked(house, "/PetStoreShopper", [("Hello", "World"), dog, webp]) == one
    assert await asked(house, "/PetStoreShopper", [dog, webp]) == two
    assert await asked(house, "/PetStoreShopper", [dog]) == three
    assert await asked(house, "/", [("hello", "World")]) == one
    assert await asked(house, "/", [("Hello", "world")]) == three
    assert await asked(house, "/petstoreshopper", [dog, webp]) == three
    assert await asked(house, "/PetStoreShoppers", [dog, webp]) == three


async def test_the_guides_third_example() -> None:
    house = ApiHouse()
    one, two, three, four = [await everything(house) for _ in range(4)]
    await domain(house, "ROUTING_RULE_THEN_API_MAPPING")
    await rule(house, 10, one, header("Hello", "World"))
    await rule(house, 50, two, header("Accept", "image/webp"), header("Pet", "Dog-*"), base("PetStoreShopper"))
    for key, api_id in (("PetStoreShopper", three), ("PetStoreShopper/cats", four)):
        await house.v2("CreateApiMapping", **AT, ApiId=api_id, Stage="dev", ApiMappingKey=key)

    assert await asked(house, "/PetStoreShopper", [("Accept", "image/webp"), ("Pet", "Cats")]) == three
    assert await asked(house, "/PetStoreShopper/cats", [("Hello", "World")]) == one
    assert await asked(house, "/PetStoreShopper/cats") == four
    assert await asked(house, "/Admin", [("Pet", "Dog-Bella")]) == '{"message":"Forbidden"}'
    await house.v2("UpdateDomainName", **AT, RoutingMode="ROUTING_RULE_ONLY")
    assert await asked(house, "/PetStoreShopper/cats") == '{"message":"Forbidden"}'
    await house.v2("UpdateDomainName", **AT, RoutingMode="API_MAPPING_ONLY")
    assert await asked(house, "/PetStoreShopper/cats", [("Hello", "World")]) == four


async def test_the_guides_fourth_example_and_several_lines_of_a_header() -> None:
    house = ApiHouse()
    one, two, three, four = [await everything(house) for _ in range(4)]
    await domain(house, name="*.example.com")
    await rule(house, 5, four, header("Accept", "*json"), name="*.example.com")
    await rule(house, 10, one, header("Host", "a.example.com"), name="*.example.com")
    await rule(house, 50, two, header("Host", "b.example.com"), name="*.example.com")
    await rule(house, 500, three, name="*.example.com")

    for host, api_id in (("a.example.com", one), ("b.example.com", two), ("testing.example.com", three)):
        assert await asked(house, "/", host=host) == api_id
    lines = [("Accept", "text/xml"), ("Accept", "application/json")]
    assert await asked(house, "/", lines, "a.example.com") == four
    assert await asked(house, "/", [("Accept", "application/json,text/xml")], "a.example.com") == one


@pytest.mark.parametrize(
    ("path", "condition", "strip", "seen", "encoded"),
    [
        ("/PetStoreShopper/dogs", "PetStoreShopper/dogs", True, "/", None),
        ("/PetStoreShopper/dogs", "PetStoreShopper/dogs", False, "/{proxy+}", "PetStoreShopper/dogs"),
        ("/PetStoreShopper/dogs", "PetStoreShopper", True, "/{proxy+}", "dogs"),
        ("/PetStoreShopper", "PetStoreShopper", True, "/", None),
        ("/PetStoreShopper", "PetStoreShopper", False, "/{proxy+}", "PetStoreShopper"),
        ("/%50etStoreShopper/a%2Fb", "PetStoreShopper", True, "/{proxy+}", "a%2Fb"),
    ],
)
async def test_a_base_path_is_stripped_if_the_rule_says_so(
    path: str, condition: str, strip: bool, seen: str, encoded: str | None
) -> None:
    house = ApiHouse()
    await domain(house)
    await rule(house, 1, await everything(house), base(condition), StripBasePath=strip)
    assert (await ask(house, path)).status == 200
    event = house.function.event
    assert (event["resource"], event["path"], event["requestContext"]["stage"]) == (seen, path, "dev")
    assert (event["pathParameters"] or {}).get("proxy") == encoded


async def test_a_log_tells_which_rule_or_mapping_was_taken() -> None:
    house = ApiHouse(more={"logs": build_logs, "iam": build_iam, "sts": build_sts})
    role = await with_role(house)
    await house.v1("UpdateAccount", patchOperations=[replace("/cloudwatchRoleArn", role)])
    api_id = await everything(house)
    line = "$context.customDomain.routingRuleIdMatched $context.customDomain.basePathMatched $context.requestId"
    patches = [replace("/accessLogSettings/destinationArn", GROUP), replace("/accessLogSettings/format", line)]
    await house.v1("UpdateStage", restApiId=api_id, stageName="dev", patchOperations=patches)
    await house.call("logs", "CreateLogGroup", {"logGroupName": "access"})
    await domain(house, "ROUTING_RULE_THEN_API_MAPPING")
    rule_id = await rule(house, 1, api_id, header("a", "b"))
    await house.v2("CreateApiMapping", **AT, ApiId=api_id, Stage="dev", ApiMappingKey="v1/orders")
    await house.v2("CreateApiMapping", **AT, ApiId=api_id, Stage="dev")

    doors = ApiDoors(house.ground, house.find_signer)
    for path, sent in (("/x", [("a", "b")]), ("/v1/orders/1", []), ("/y", [])):
        request = Request("GET", path, "", Headers([("host", DOMAIN), *sent]))
        answered = await doors.serve_domain(DOMAIN, request)
        assert answered is not None
        assert answered.status == 200
    await house.request(api_id, "GET", "/dev/z")
    await doors.stop()

    told = [line.rpartition(" ")[0] for line in await written(house, "access")]
    assert sorted(told) == ["- (none)", "- -", "- v1/orders", f"{rule_id} -"]


async def user_with(house: ApiHouse, *statements: dict[str, Any]) -> Principal:
    """Return a user with a policy of these statements."""
    made = (await house.call("iam", "CreateUser", {"UserName": "u"}))["User"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    await house.call("iam", "PutUserPolicy", {"UserName": "u", "PolicyName": "p", "PolicyDocument": policy})
    return Principal("user", SCOPE.account, made["Arn"], unique_id=made["UserId"], name="u")


async def test_policies_name_rules_and_what_they_ask() -> None:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-permissions.html has such policies.
    house = ApiHouse(authorizer=IamAuthorizer(), more={"iam": build_iam, "sts": build_sts})
    api_id = await everything(house)
    await domain(house)
    production = await rule(house, 1_000, api_id, base("orders"))
    free = await rule(house, 1_500, api_id, base("orders"))
    between = {"apigateway:Resource/Priority": 1001, "apigateway:Request/Priority": 1001}
    statements: list[dict[str, Any]] = [
        {
            "Effect": "Allow",
            "Action": "apigateway:UpdateRoutingRule",
            "Resource": f"arn:aws:apigateway:us-east-1:000000000000:/domainnames/{DOMAIN}/routingrules/*",
            "Condition": {
                "NumericGreaterThanEquals": between,
                "ForAllValues:StringLike": {"apigateway:Request/ConditionBasePaths": ["orders*"]},
            },
        }
    ]
    user = await user_with(house, *statements)

    async def put(rule_id: str, priority: int, path: str) -> Any:
        params = {**AT, "RoutingRuleId": rule_id, "Priority": priority, "Conditions": [base(path)]}
        call = {**params, "Actions": invoke(api_id)}
        return await house.call("apigatewayv2", "PutRoutingRule", call, principal=user)

    assert (await put(free, 1_600, "orders/1"))["Priority"] == 1_600
    for rule_id, priority, path in ((production, 1_600, "orders"), (free, 900, "orders"), (free, 1_700, "payments")):
        with pytest.raises(
            ServiceError, match="is not authorized to perform: apigateway:UpdateRoutingRule on resource"
        ):
            await put(rule_id, priority, path)


@pytest.mark.parametrize("name", [DOMAIN, "PetStore.Example.COM"])
async def test_a_policy_knows_a_domain_in_whatever_case_it_is_named(name: str) -> None:
    house = ApiHouse(authorizer=IamAuthorizer(), more={"iam": build_iam, "sts": build_sts})
    await domain(house)
    rule_id = await rule(house, 1, await everything(house))
    of_domain = f"arn:aws:apigateway:us-east-1:*:/domainnames/{DOMAIN}"
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": "apigateway:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "apigateway:*", "Resource": [of_domain, f"{of_domain}/*"]},
    ]
    user = await user_with(house, *statements)
    with pytest.raises(ServiceError, match="Invalid resource ARN specified in the request"):
        await house.v2(
            "TagResource", ResourceArn=f"arn:aws:apigateway:us-east-1::/domainnames/{DOMAIN.upper()}", Tags={}
        )
    for service, operation, params in (
        ("apigatewayv2", "DeleteRoutingRule", {"DomainName": name, "RoutingRuleId": rule_id}),
        ("apigatewayv2", "DeleteDomainName", {"DomainName": name}),
        ("apigateway", "DeleteDomainName", {"domainName": name}),
        ("apigateway", "CreateBasePathMapping", {"domainName": name, "restApiId": "x"}),
    ):
        with pytest.raises(ServiceError, match="with an explicit deny in an identity-based policy"):
            await house.call(service, operation, params, principal=user)


async def test_a_rule_has_its_domains_tags() -> None:
    house = ApiHouse(authorizer=IamAuthorizer(), more={"iam": build_iam, "sts": build_sts})
    await domain(house)
    rule_id = await rule(house, 1, await everything(house))
    statements: list[dict[str, Any]] = [
        {
            "Effect": "Allow",
            "Action": "apigateway:GetRoutingRule",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:ResourceTag/team": "a"}},
        }
    ]
    user = await user_with(house, *statements)
    ask_for = {**AT, "RoutingRuleId": rule_id}
    with pytest.raises(ServiceError, match="because no identity-based policy allows"):
        await house.call("apigatewayv2", "GetRoutingRule", ask_for, principal=user)
    arn = f"arn:aws:apigateway:us-east-1::/domainnames/{DOMAIN}"
    await house.v2("TagResource", ResourceArn=arn, Tags={"team": "a"})
    assert (await house.call("apigatewayv2", "GetRoutingRule", ask_for, principal=user))["Priority"] == 1


async def test_a_policy_allows_some_routing_modes() -> None:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-permissions.html has this one, too.
    house = ApiHouse(authorizer=IamAuthorizer(), more={"iam": build_iam, "sts": build_sts})
    await domain(house)
    statement = {
        "Effect": "Allow",
        "Action": ["apigateway:PATCH"],
        "Resource": f"arn:aws:apigateway:us-east-1::/domainnames/{DOMAIN}",
        "Condition": {"StringLike": {"apigateway:Request/RoutingMode": ["*API_MAPPING*", "*PATH_MAPPING*"]}},
    }
    user = await user_with(house, statement)

    async def change(service: str, **params: Any) -> Any:
        return await house.call(service, "UpdateDomainName", params, principal=user)

    changed = await change("apigatewayv2", **AT, RoutingMode="ROUTING_RULE_THEN_API_MAPPING")
    assert changed["RoutingMode"] == "ROUTING_RULE_THEN_API_MAPPING"
    patches = [replace("/routingMode", mode) for mode in ("ROUTING_RULE_THEN_BASE_PATH_MAPPING", "ROUTING_RULE_ONLY")]
    for service, params in (
        ("apigatewayv2", {**AT, "RoutingMode": "ROUTING_RULE_ONLY"}),
        ("apigatewayv2", AT),
        ("apigateway", {"domainName": DOMAIN, "patchOperations": patches}),
    ):
        with pytest.raises(ServiceError, match="is not authorized to perform: apigateway:PATCH on resource"):
            await change(service, **params)
