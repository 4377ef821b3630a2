"""A REST API's resource policy: alone, and together with what else asks who calls."""

import json
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.iam import build
from cumulet.services.kit import Principal
from harness import SCOPE
from unit.services.apigateway.fake_lambda import OK, URI, ApiHouse, CallsAreGuarded, header

SHORT = "execute-api:/dev/GET/*"
ELSEWHERE = {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8"]}}


def statement(effect: str = "Allow", principal: Any = "*", resource: Any = SHORT, **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Principal": principal, "Action": "execute-api:Invoke", "Resource": resource, **more}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


class Guarded(ApiHouse):
    """An API with GET / behind an authorizer whose function answers `verdict`, or behind signatures, or open."""

    verdict: Any = None
    asked = 0

    async def answer(self, event: dict[str, Any]) -> Any:
        if "authorizationToken" not in event:
            return OK
        self.asked += 1
        return {"principalId": "me", "policyDocument": json.loads(document(self.verdict))}


async def guarded(kind: str, *statements: dict[str, Any], verdict: dict[str, Any] | None = None) -> tuple[Guarded, str]:
    house = Guarded(CallsAreGuarded(), {"iam": build})
    house.verdict, house.function.answer = verdict, house.answer
    policy = document(*statements) if statements else None
    api = await house.v1("CreateRestApi", name="n", policy=policy)
    at = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "GET"}
    more = {}
    if kind == "CUSTOM":
        source = "method.request.header.Authorization"
        made = await house.v1(
            "CreateAuthorizer", restApiId=api["id"], name="a", type="TOKEN", authorizerUri=URI, identitySource=source
        )
        more = {"authorizerId": made["id"]}
    await house.v1("PutMethod", **at, authorizationType=kind, **more)
    await house.v1("PutIntegration", **at, type="AWS_PROXY", integrationHttpMethod="POST", uri=URI)
    await house.v1("CreateDeployment", restApiId=api["id"], stageName="dev")
    return house, api["id"]


async def words(house: Guarded, api_id: str) -> str | None:
    """Return None for an answer of the function, else why there is none."""
    response = await house.request(api_id, "GET", "/dev/", headers={"authorization": "t", "user-agent": "me/1"})
    if response.status == 200:
        return None
    assert (response.status, header(response, "x-amzn-errortype")) == (403, "AccessDeniedException")
    return str(json.loads(response.body)["Message"]).replace(api_id, "API")  # type: ignore[arg-type]


REQUEST = (
    "is not authorized to perform: execute-api:Invoke on resource: "
    "arn:aws:execute-api:us-east-1:********0000:API/dev/GET/"
)
STRANGER = f"User: anonymous {REQUEST} because no resource-based policy allows the execute-api:Invoke action"
STRANGER_EXPLICITLY = f"User: anonymous {REQUEST} with an explicit deny in a resource-based policy"
RESOURCE = "User is not authorized to access this resource"
DENIED = f"{RESOURCE} because no identity-based policy allows the execute-api:Invoke action"
DENIED_EXPLICITLY = f"{RESOURCE} with an explicit deny in an identity-based policy"
SAID_YES, SAID_NO = (
    {"Effect": "Allow", "Action": "*", "Resource": "*"},
    {"Effect": "Deny", "Action": "*", "Resource": "*"},
)
SAID_NOTHING = {**SAID_YES, "Resource": "arn:aws:execute-api:*:*:*/dev/POST/*"}


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ((), None),
        ((statement(),), None),
        ((statement(resource="execute-api:/*"),), None),
        ((statement(resource="execute-api:/dev/POST/*"),), STRANGER),
        ((statement(Condition=ELSEWHERE),), STRANGER),
        ((statement(Condition={"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}),), None),
        ((statement(Condition={"Bool": {"aws:SecureTransport": "true"}}),), None),
        ((statement(Condition={"StringLike": {"aws:UserAgent": "me/*"}}),), None),
        ((statement(Condition={"StringEquals": {"aws:SourceVpce": "vpce-1"}}),), STRANGER),
        (
            (statement(), statement("Deny", Condition={"StringNotEquals": {"aws:SourceVpce": "vpce-1"}})),
            STRANGER_EXPLICITLY,
        ),
        ((statement(principal={"AWS": f"arn:aws:iam::{SCOPE.account}:root"}),), STRANGER),
        ((statement(principal={"AWS": "*"}),), None),
    ],
)
async def test_a_policy_alone_must_allow(statements: tuple[dict[str, Any], ...], expected: str | None) -> None:
    assert await words(*await guarded("NONE", *statements)) == expected


@pytest.mark.parametrize(
    ("verdict", "statements", "expected"),
    [
        # Table A of the developer guide's "API Gateway authorization flow", row by row.
        (SAID_YES, (statement(),), None),
        (SAID_YES, (statement(Condition=ELSEWHERE),), None),
        (SAID_YES, (statement("Deny"),), STRANGER_EXPLICITLY),
        (SAID_NOTHING, (statement(),), None),
        (SAID_NOTHING, (statement(Condition=ELSEWHERE),), DENIED),
        (SAID_NOTHING, (statement("Deny"),), STRANGER_EXPLICITLY),
        (SAID_NO, (statement(),), DENIED_EXPLICITLY),
        (SAID_NO, (statement(Condition=ELSEWHERE),), DENIED_EXPLICITLY),
        (SAID_NO, (statement("Deny"),), STRANGER_EXPLICITLY),
    ],
)
async def test_a_policy_and_a_function(
    verdict: dict[str, Any], statements: tuple[dict[str, Any], ...], expected: str | None
) -> None:
    house, api_id = await guarded("CUSTOM", *statements, verdict=verdict)
    assert await words(house, api_id) == expected
    # Whom the policy denies, the function is not asked about.
    assert house.asked == (0 if expected == STRANGER_EXPLICITLY else 1)


ADA = f"arn:aws:iam::{SCOPE.account}:user/ada"


NO_IDENTITY = "because no identity-based policy allows the execute-api:Invoke action"
NO_RESOURCE = "because no resource-based policy allows the execute-api:Invoke action"


@pytest.mark.parametrize(
    ("held", "statements", "account", "expected"),
    [
        (None, (), "000000000000", NO_IDENTITY),
        (None, (statement(principal={"AWS": ADA}),), "000000000000", None),
        (None, (statement(principal="*"),), "000000000000", None),
        ("Allow", (statement(Condition=ELSEWHERE),), "000000000000", None),
        ("Allow", (statement("Deny"),), "000000000000", "with an explicit deny in a resource-based policy"),
        (
            "Deny",
            (statement(principal={"AWS": ADA}),),
            "000000000000",
            "with an explicit deny in an identity-based policy",
        ),
        # Table B: both must allow who comes from another account.
        (None, (), "111111111111", NO_RESOURCE),
        (None, (statement(principal={"AWS": "111111111111"}),), "111111111111", None),
        (None, (statement(principal={"AWS": "222222222222"}),), "111111111111", NO_RESOURCE),
    ],
)
async def test_a_policy_and_a_signature(
    held: str | None, statements: tuple[dict[str, Any], ...], account: str, expected: str | None
) -> None:
    house, api_id = await guarded("AWS_IAM", *statements)
    await house.call("iam", "CreateUser", {"UserName": "ada"})
    if held:
        policy = document({"Effect": held, "Action": "execute-api:*", "Resource": "*"})
        await house.call("iam", "PutUserPolicy", {"UserName": "ada", "PolicyName": "p", "PolicyDocument": policy})
    user = (await house.call("iam", "GetUser", {"UserName": "ada"}))["User"]
    own = Principal("user", account, user["Arn"], unique_id=user["UserId"], name="ada")
    house.signer = own if account == SCOPE.account else Principal.root(account)
    found = await words(house, api_id)
    if expected is None:
        assert found is None
    else:
        assert found == f"User: {house.signer.arn} {REQUEST} {expected}"


async def test_a_policy_is_completed_shown_escaped_replaced_and_removed() -> None:
    house = ApiHouse()
    api = await house.v1("CreateRestApi", name="n", policy=document(statement(resource=[SHORT, "*"])))
    arn = f"arn:aws:execute-api:us-east-1:{SCOPE.account}:{api['id']}/dev/GET/*"
    shown = json.loads('"' + api["policy"] + '"')
    assert '\\"' in api["policy"]
    assert "\\/" in api["policy"]
    assert json.loads(shown)["Statement"][0]["Resource"] == [arn, "*"]

    async def patch(value: str) -> Any:
        operations = [{"op": "replace", "path": "/policy", "value": value}]
        return await house.v1("UpdateRestApi", restApiId=api["id"], patchOperations=operations)

    changed = await patch(document(statement("Deny", resource=arn)))
    assert json.loads(json.loads('"' + changed["policy"] + '"'))["Statement"][0]["Resource"] == arn
    kept = await house.v1("UpdateRestApi", restApiId=api["id"], patchOperations=[])
    assert kept["policy"] == changed["policy"]
    assert "policy" not in await patch("")


@pytest.mark.parametrize(
    "policy",
    [
        "no json",
        "[]",
        "{}",
        '"x"',
        document({"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}),
        document(statement(Condition={"Whatever": {"a": "b"}})),
        document(statement("Perhaps")),
    ],
)
async def test_policies_are_checked(policy: str) -> None:
    house = ApiHouse()
    with pytest.raises(ServiceError) as error:
        await house.v1("CreateRestApi", name="n", policy=policy)
    assert (error.value.code, error.value.message) == (
        "BadRequestException",
        "Invalid policy document. Please check the policy syntax and ensure that Principals are valid.",
    )


async def test_a_new_policy_counts_from_the_next_deployment_on() -> None:
    house, api_id = await guarded("NONE")
    denied = [{"op": "replace", "path": "/policy", "value": document(statement("Deny"))}]
    await house.v1("UpdateRestApi", restApiId=api_id, patchOperations=denied)
    assert await words(house, api_id) is None
    await house.v1("CreateDeployment", restApiId=api_id, stageName="dev")
    assert await words(house, api_id) == STRANGER_EXPLICITLY


async def test_a_function_cannot_make_a_caller_one_of_iams_users() -> None:
    own = f"arn:aws:iam::{SCOPE.account}:user/me"
    house, api_id = await guarded("CUSTOM", statement(principal={"AWS": own}), verdict=SAID_NOTHING)
    assert await words(house, api_id) == DENIED


@pytest.mark.parametrize("path", ["/dev/admin", "/dev/admin/", "/dev/%61dmin", "/dev/%61dmin/"])
async def test_no_way_to_write_a_path_gets_past_a_policy(path: str) -> None:
    house = ApiHouse()
    policy = document(statement(resource="execute-api:/*"), statement("Deny", resource="execute-api:/dev/GET/admin"))
    api_id = await house.rest_api("GET /admin", "GET /{other}", policy=policy)
    assert (await house.request(api_id, "GET", path)).status == 403
    # What a segment holds is no part of the path.
    assert (await house.request(api_id, "GET", "/dev/x%2Fadmin")).status == 200
