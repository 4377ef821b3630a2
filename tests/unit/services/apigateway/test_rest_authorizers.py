"""Lambda authorizers of REST APIs."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits
from unit.services.apigateway.fake_lambda import FUNCTION, OK, URI, ApiHouse, header

UNAUTHORIZED = (401, b'{"message":"Unauthorized"}')
DENIED = (
    403,
    b'{"Message":"User is not authorized to access this resource because no identity-based policy allows the '
    b'execute-api:Invoke action"}',
)
DENIED_EXPLICITLY = (
    403,
    b'{"Message":"User is not authorized to access this resource with an explicit deny in an identity-based policy"}',
)
MISCONFIGURED = (500, b'{"message":null}')


def policy(effect: str = "Allow", resource: str = "*", **more: Any) -> dict[str, Any]:
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}
    return {"principalId": "me", "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}, **more}


class Guarded(ApiHouse):
    """An API with GET and POST of /things/{id} behind an authorizer, whose answer is `verdict`."""

    verdict: Any = None
    asked: list[dict[str, Any]]
    api_id: str
    authorizer_id: str

    async def invoke_any(self, event: dict[str, Any]) -> Any:
        if "methodArn" not in event:
            return OK
        self.asked.append(event)
        return self.verdict(event) if callable(self.verdict) else self.verdict


async def guarded(verdict: Any = None, house: Guarded | None = None, **authorizer: Any) -> Guarded:
    house = house or Guarded()
    house.asked, house.verdict = [], policy() if verdict is None else verdict
    house.function.answer = house.invoke_any
    house.api_id = api_id = (await house.v1("CreateRestApi", name="guarded"))["id"]
    root = (await house.v1("GetRestApi", restApiId=api_id))["rootResourceId"]
    things = await house.v1("CreateResource", restApiId=api_id, parentId=root, pathPart="things")
    thing = await house.v1("CreateResource", restApiId=api_id, parentId=things["id"], pathPart="{id}")
    source = "method.request.header.Authorization"
    given = {"type": "TOKEN", "identitySource": source, "authorizerUri": URI, **authorizer}
    made = await house.v1("CreateAuthorizer", restApiId=api_id, name="a", **given)
    house.authorizer_id = made["id"]
    for method in ("GET", "POST"):
        at = {"restApiId": api_id, "resourceId": thing["id"], "httpMethod": method}
        await house.v1("PutMethod", **at, authorizationType="CUSTOM", authorizerId=made["id"])
        await house.v1("PutIntegration", **at, type="AWS_PROXY", integrationHttpMethod="POST", uri=URI)
    await house.v1("CreateDeployment", restApiId=api_id, stageName="dev")
    return house


async def get(house: Guarded, token: str | None = "t", path: str = "/dev/things/7", **more: Any) -> tuple[int, Any]:
    headers = {} if token is None else {"authorization": token}
    response = await house.request(house.api_id, "GET", path, headers=headers, **more)
    return response.status, response.body


async def test_what_a_function_said_is_not_what_another_says() -> None:
    """A stage's variable, or its canary's, leads to another function: that one is asked."""
    house = await guarded(authorizerUri=URI.replace(":notes/", ":${stageVariables.guard}/"))
    at = {"restApiId": house.api_id, "stageName": "dev"}

    async def asked_with(guard: str) -> list[str]:
        patch = [{"op": "replace", "path": "/variables/guard", "value": guard}]
        await house.v1("UpdateStage", **at, patchOperations=patch)
        before = len(house.function.calls)
        assert await get(house) == (200, b"fine")
        return [params["FunctionName"].rpartition(":")[2] for _, params in house.function.calls[before:]]

    assert await asked_with("one") == ["one", "notes"]
    assert await asked_with("one") == ["notes"]
    assert await asked_with("two") == ["two", "notes"]
    assert await asked_with("one") == ["notes"]


async def test_long_answers_are_not_kept_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "AUTHORIZER_ANSWERS_BYTES_MAX", 3_000)
    house = await guarded(policy(context={"long": "a" * 1_000}))
    for token in ("a", "b", "a", "b", "c", "a"):
        assert (await get(house, token))[0] == 200
    assert [event["authorizationToken"] for event in house.asked] == ["a", "b", "c", "a"]
    house.verdict = policy(context={"long": "a" * 5_000})
    for _ in range(2):
        assert (await get(house, "d"))[0] == 200
    assert len(house.asked) == 6


async def test_a_token_and_what_the_integration_learns() -> None:
    house = await guarded(policy(context={"n": 1, "yes": True, "s": "x"}))

    assert await get(house) == (200, b"fine")

    arn = f"arn:aws:execute-api:us-east-1:000000000000:{house.api_id}/dev/GET/things/7"
    assert house.asked == [{"type": "TOKEN", "methodArn": arn, "authorizationToken": "t"}]
    said = house.function.event["requestContext"]["authorizer"]
    assert said == {"principalId": "me", "n": "1", "yes": "true", "s": "x", "integrationLatency": 0}
    call, params = house.function.calls[0]
    assert params["FunctionName"] == FUNCTION
    assert call.principal.source_arn.endswith(f":{house.api_id}/authorizers/{house.authorizer_id}")


async def test_an_answer_that_names_just_the_request_however_its_path_is_written() -> None:
    house = await guarded(lambda event: policy(resource=event["methodArn"]), authorizerResultTtlInSeconds=0)
    for path in ("/dev/things/7", "/dev/things/7/", "/dev/%74hings/7", "/dev/things/a%2Fb"):
        assert await get(house, path=path) == (200, b"fine")


async def test_a_request_authorizer_gets_the_request() -> None:
    house = await guarded(
        type="REQUEST", identitySource="method.request.header.Authorization, method.request.querystring.q"
    )

    assert await get(house, query="q=1") == (200, b"fine")
    assert await get(house, query="x=1") == UNAUTHORIZED

    [event] = house.asked
    assert (event["type"], event["resource"], event["path"]) == ("REQUEST", "/things/{id}", "/things/7")
    assert (event["pathParameters"], event["stageVariables"]) == ({"id": "7"}, {})
    assert event["headers"]["Authorization"] == "t"
    assert "body" not in event


async def test_a_header_that_stands_there_twice_speaks_for_no_other_request() -> None:
    house = await guarded(
        lambda event: policy("Allow" if event["headers"].get("x-tenant") == "mine" else "Deny"),
        type="REQUEST",
        identitySource="method.request.header.x-tenant",
        authorizerResultTtlInSeconds=300,
    )

    async def status(*tenants: str) -> int:
        headers = [("x-tenant", tenant) for tenant in tenants]
        return (await house.request(house.api_id, "GET", "/dev/things/7", headers=headers)).status

    assert [await status("theirs", "mine"), await status("theirs")] == [200, 403]
    assert [await status("mine"), await status("mine", "theirs")] == [200, 403]


async def test_the_token_that_is_checked_is_the_one_that_functions_see() -> None:
    house = await guarded()
    headers = [("Authorization", "first"), ("Authorization", "last")]
    await house.request(house.api_id, "GET", "/dev/things/7", headers=headers)
    assert house.asked[0]["authorizationToken"] == house.function.event["headers"]["Authorization"] == "last"


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (policy("Deny"), DENIED_EXPLICITLY),
        (policy(resource="arn:aws:execute-api:*:*:*/dev/POST/*"), DENIED),
        (policy(resource="arn:aws:execute-api:us-east-1:000000000000:*/dev/GET/things/*"), (200, b"fine")),
        ({"principalId": "me"}, MISCONFIGURED),
        ({**policy(), "principalId": None}, MISCONFIGURED),
        (policy(context={"deep": {"a": 1}}), MISCONFIGURED),
        ({"principalId": "me", "policyDocument": {"Statement": "x"}}, MISCONFIGURED),
        ([], MISCONFIGURED),
        (ServiceError("ResourceNotFoundException", "gone"), MISCONFIGURED),
    ],
)
async def test_verdicts(verdict: Any, expected: tuple[int, bytes]) -> None:
    def answer(event: dict[str, Any]) -> Any:
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    assert await get(await guarded(answer)) == expected


@pytest.mark.parametrize(("message", "expected"), [("Unauthorized", UNAUTHORIZED), ("Something else", MISCONFIGURED)])
async def test_a_function_that_fails(message: str, expected: tuple[int, bytes]) -> None:
    house = await guarded({"errorMessage": message})
    house.function.function_error = "Unhandled"
    assert await get(house) == expected


async def test_a_missing_or_malformed_token_asks_nobody() -> None:
    house = await guarded(identityValidationExpression="Bearer [a-z]+")

    assert await get(house, None) == UNAUTHORIZED
    assert await get(house, "Bearer 1") == UNAUTHORIZED
    assert await get(house, "Bearer x") == (200, b"fine")

    assert len(house.asked) == 1
    response = await house.request(house.api_id, "GET", "/dev/things/7")
    assert header(response, "x-amzn-errortype") == "UnauthorizedException"


async def test_answers_are_remembered_by_token_and_stage() -> None:
    # The policy of an answer that is remembered is asked about each method anew.
    house = await guarded(policy(resource="arn:aws:execute-api:*:*:*/GET/*"))

    await get(house)
    await get(house, path="/dev/things/8")
    assert len(house.asked) == 1
    assert (await house.request(house.api_id, "POST", "/dev/things/7", headers={"authorization": "t"})).status == 403
    assert len(house.asked) == 1
    await get(house, "other")
    assert len(house.asked) == 2
    house.clock.advance(301)
    await get(house)
    assert len(house.asked) == 3
    await house.v1("FlushStageAuthorizersCache", restApiId=house.api_id, stageName="dev")
    await get(house)
    assert len(house.asked) == 4


async def test_without_a_ttl_nothing_is_remembered() -> None:
    house = await guarded(type="REQUEST", identitySource="", authorizerResultTtlInSeconds=0)
    await get(house, None)
    await get(house, None)
    assert len(house.asked) == 2


async def test_an_authorizer_from_create_to_delete() -> None:
    house = await guarded()
    at = {"restApiId": house.api_id, "authorizerId": house.authorizer_id}
    shown = await house.v1("GetAuthorizer", **at)
    assert shown == {
        "id": house.authorizer_id,
        "name": "a",
        "type": "TOKEN",
        "authType": "custom",
        "authorizerUri": URI,
        "authorizerResultTtlInSeconds": 300,
        "identitySource": "method.request.header.Authorization",
    }
    assert (await house.v1("GetAuthorizers", restApiId=house.api_id))["items"] == [shown]
    patched = await house.v1(
        "UpdateAuthorizer",
        **at,
        patchOperations=[{"op": "replace", "path": "/authorizerResultTtlInSeconds", "value": "0"}],
    )
    assert patched["authorizerResultTtlInSeconds"] == 0
    with pytest.raises(ServiceError) as used:
        await house.v1("DeleteAuthorizer", **at)
    assert used.value.code == "ConflictException"


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"name": "a"}, "BadRequestException", "Authorizer name must be unique"),
        ({"authorizerUri": None}, "BadRequestException", "Authorizer URI cannot be empty"),
        ({"authorizerUri": "x"}, "BadRequestException", "Invalid Authorizer URI: x"),
        ({"identitySource": None}, "BadRequestException", "Identity source cannot be empty"),
        ({"identitySource": "header.x"}, "BadRequestException", "Invalid identity source specified"),
        ({"authorizerResultTtlInSeconds": 3601}, "BadRequestException", "Authorizer result TTL must be between"),
        ({"identityValidationExpression": "("}, "BadRequestException", "Invalid identity validation expression"),
        ({"identityValidationExpression": "(?=a)b"}, "NotImplementedException", "A regular expression"),
        ({"type": "REQUEST", "identitySource": None}, "BadRequestException", "Identity source must be set"),
    ],
)
async def test_authorizers_are_checked(change: dict[str, Any], code: str, words: str) -> None:
    house = await guarded()
    given = {"name": "b", "type": "TOKEN", "authorizerUri": URI, "identitySource": "method.request.header.A", **change}
    with pytest.raises(ServiceError) as refused:
        await house.v1("CreateAuthorizer", restApiId=house.api_id, **given)
    assert refused.value.code == code
    assert refused.value.message.startswith(words)


async def test_a_method_needs_an_authorizer_that_exists() -> None:
    house = await guarded()
    root = (await house.v1("GetRestApi", restApiId=house.api_id))["rootResourceId"]
    at = {"restApiId": house.api_id, "resourceId": root, "httpMethod": "GET", "authorizationType": "CUSTOM"}
    calls: list[Callable[[], Any]] = [
        lambda: house.v1("PutMethod", **at),
        lambda: house.v1("PutMethod", **at, authorizerId="nosuch"),
    ]
    for call in calls:
        with pytest.raises(ServiceError, match="Invalid authorizer ID specified"):
            await call()


async def test_an_authorizer_is_tried() -> None:
    house = await guarded(policy(), identityValidationExpression="t+")
    tried = {"restApiId": house.api_id, "authorizerId": house.authorizer_id}
    await get(house)

    heard = await house.v1("TestInvokeAuthorizer", **tried, headers={"Authorization": "t"}, stageVariables={"a": "b"})

    assert (heard["clientStatus"], heard["principalId"], json.loads(heard["policy"])) == (
        0,
        "me",
        policy()["policyDocument"],
    )
    arn = f"arn:aws:execute-api:us-east-1:000000000000:{house.api_id}/ESTestInvoke-stage/GET/"
    assert house.asked[-1] == {"type": "TOKEN", "methodArn": arn, "authorizationToken": "t"}
    assert len(house.asked) == 2  # what was remembered is not asked about
    assert heard["log"].startswith("Execution log for request ")
    lines = [line.partition(" : ")[2] for line in heard["log"].splitlines()[1:]]
    assert lines[0].startswith(f"Starting authorizer: {house.authorizer_id} for request: ")
    uri = f"https://lambda.us-east-1.amazonaws.com/2015-03-31/functions/{FUNCTION}/invocations"
    assert [line for line in lines[1:] if not line.startswith("Endpoint request headers: ")] == [
        "Incoming identity: t",
        f"Endpoint request URI: {uri}",
        f'Endpoint request body after transformations: {{"type":"TOKEN","methodArn":"{arn}","authorizationToken":"t"}}',
        f"Sending request to {uri}",
        f"Authorizer result body before parsing: {json.dumps(policy())}",
        "Using valid authorizer policy for principal: me",
        "Successfully completed authorizer execution",
    ]
    heard = await house.v1("TestInvokeAuthorizer", **tried, multiValueHeaders={"Authorization": ["x"]})
    assert (heard["clientStatus"], "policy" in heard, len(house.asked)) == (401, False, 2)
    house.verdict = {"principalId": "me"}
    heard = await house.v1("TestInvokeAuthorizer", **tried, headers={"Authorization": "t"})
    assert heard["clientStatus"] == 500
    assert [line.partition(" : ")[2] for line in heard["log"].splitlines()[-2:]] == [
        "Execution failed due to configuration error: Authorizer error",
        "AuthorizerConfigurationException",
    ]
    with pytest.raises(ServiceError, match="Invalid Authorizer identifier specified"):
        await house.v1("TestInvokeAuthorizer", **{**tried, "authorizerId": "nope"})


async def test_an_authorizer_is_tried_in_another_context() -> None:
    sources = "method.request.header.Authorization, context.identity.sourceIp, context.isNew"
    house = await guarded(policy(), type="REQUEST", identitySource=sources)
    tried = {"restApiId": house.api_id, "authorizerId": house.authorizer_id, "headers": {"Authorization": "t"}}
    told = {"identity.sourceIp": "192.0.2.7", "context.isNew": "yes", "identity.clientCert.validity.notBefore.z": "1"}

    heard = await house.v1("TestInvokeAuthorizer", **tried, additionalContext=told)

    assert heard["clientStatus"] == 0
    context = house.asked[-1]["requestContext"]
    assert (context["isNew"], context["stage"]) == ("yes", "ESTestInvoke-stage")
    assert (context["identity"]["sourceIp"], context["identity"]["clientCert"]) == (
        "192.0.2.7",
        {"validity": {"notBefore.z": "1"}},
    )
    assert (await house.v1("TestInvokeAuthorizer", **tried))["clientStatus"] == 401
