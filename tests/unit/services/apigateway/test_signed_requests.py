"""AWS_IAM: who signed, what IAM says of them, what the function learns, and the words of a refusal."""

import json
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.iam import build
from cumulet.services.kit import Principal
from harness import SCOPE
from unit.services.apigateway.fake_lambda import FUNCTION, URI, ApiHouse, CallsAreGuarded, header

INVOKE = "execute-api:Invoke"


async def house_with(
    *statements: dict[str, Any], kind: str = "REST", credentials: str | None = None
) -> tuple[ApiHouse, str]:
    """Return a house whose user ada has these statements, and an API with GET /notes/{id} for those who sign."""
    house = ApiHouse(CallsAreGuarded(), {"iam": build})
    await house.call("iam", "CreateUser", {"UserName": "ada"})
    if statements:
        policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        named = {"UserName": "ada", "PolicyName": "p", "PolicyDocument": policy}
        await house.call("iam", "PutUserPolicy", named)
    house.signer = await principal_of(house)
    if kind == "HTTP":
        api_id = await house.http_api("GET /notes/{id}")
        [route] = (await house.v2("GetRoutes", ApiId=api_id))["Items"]
        await house.v2("UpdateRoute", ApiId=api_id, RouteId=route["RouteId"], AuthorizationType="AWS_IAM")
        return house, api_id
    api_id = await house.rest_api(deploy=False)
    root = (await house.v1("GetRestApi", restApiId=api_id))["rootResourceId"]
    notes = await house.v1("CreateResource", restApiId=api_id, parentId=root, pathPart="notes")
    note = await house.v1("CreateResource", restApiId=api_id, parentId=notes["id"], pathPart="{id}")
    at = {"restApiId": api_id, "resourceId": note["id"], "httpMethod": "GET"}
    method = await house.v1("PutMethod", **at, authorizationType="AWS_IAM")
    assert method["authorizationType"] == "AWS_IAM"
    target = {"type": "AWS_PROXY", "integrationHttpMethod": "POST", "uri": URI, "credentials": credentials}
    await house.v1("PutIntegration", **at, **target)
    await house.v1("CreateDeployment", restApiId=api_id, stageName="dev")
    return house, api_id


async def principal_of(house: ApiHouse, name: str = "ada") -> Principal:
    user = (await house.call("iam", "GetUser", {"UserName": name}))["User"]
    return Principal(
        "user", SCOPE.account, user["Arn"], unique_id=user["UserId"], name=name, access_key_id="AKIAEXAMPLE"
    )


def statement(effect: str = "Allow", resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": INVOKE, "Resource": resource, **more}


async def test_a_rest_api_and_what_its_function_learns() -> None:
    house, api_id = await house_with(statement(resource="arn:aws:execute-api:us-east-1:*:*/dev/GET/notes/7"))

    signed = {"user-agent": "me/1", "authorization": "AWS4-HMAC-SHA256 Credential=...", "x-amz-date": "now"}
    response = await house.request(api_id, "GET", "/dev/notes/7", headers=signed)

    assert (response.status, response.body) == (200, b"fine")
    assert isinstance(house.signer, Principal)
    assert "x-amz-date" in house.function.event["headers"]
    assert "Authorization" not in house.function.event["headers"]
    context = house.function.event["requestContext"]
    assert "authorizer" not in context
    assert context["identity"] == {
        "accessKey": "AKIAEXAMPLE",
        "accountId": SCOPE.account,
        "caller": house.signer.unique_id,
        "cognitoAuthenticationProvider": None,
        "cognitoAuthenticationType": None,
        "cognitoIdentityId": None,
        "cognitoIdentityPoolId": None,
        "principalOrgId": None,
        "sourceIp": "127.0.0.1",
        "user": house.signer.unique_id,
        "userAgent": "me/1",
        "userArn": f"arn:aws:iam::{SCOPE.account}:user/ada",
    }
    assert house.function.calls[0][1]["FunctionName"] == FUNCTION


async def test_an_http_api_and_what_its_function_learns() -> None:
    house, api_id = await house_with(statement(resource="arn:aws:execute-api:*:*:*/$default/GET/notes/7"), kind="HTTP")

    assert (await house.request(api_id, "GET", "/notes/7")).status == 200

    assert isinstance(house.signer, Principal)
    assert house.function.event["requestContext"]["authorizer"] == {
        "iam": {
            "accessKey": "AKIAEXAMPLE",
            "accountId": SCOPE.account,
            "callerId": house.signer.unique_id,
            "cognitoIdentity": None,
            "principalOrgId": None,
            "userArn": f"arn:aws:iam::{SCOPE.account}:user/ada",
            "userId": house.signer.unique_id,
        }
    }
    assert (await house.request(api_id, "GET", "/notes/8")).body == b'{"message":"Forbidden"}'


DENIED = (
    "User: arn:aws:iam::000000000000:user/ada is not authorized to perform: execute-api:Invoke on resource: "
    "arn:aws:execute-api:us-east-1:********0000:{api}/dev/GET/notes/7"
)


UNTOLD = f"{DENIED} because no identity-based policy allows the execute-api:Invoke action"


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        ((), UNTOLD),
        ((statement(resource="arn:aws:execute-api:*:*:*/dev/POST/*"),), UNTOLD),
        ((statement(), statement("Deny")), f"{DENIED} with an explicit deny in an identity-based policy"),
        ((statement(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),), UNTOLD),
    ],
)
async def test_who_may_not_is_told_so_without_the_account(statements: tuple[dict[str, Any], ...], words: str) -> None:
    house, api_id = await house_with(*statements)

    response = await house.request(api_id, "GET", "/dev/notes/7")

    assert response.status == 403
    assert json.loads(response.body if isinstance(response.body, bytes) else b"") == {
        "Message": words.format(api=api_id)
    }
    assert header(response, "x-amzn-errortype") == "AccessDeniedException"
    assert house.function.calls == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("MissingAuthenticationTokenException", "Missing Authentication Token"),
        ("InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than ..."),
        ("IncompleteSignatureException", "Authorization header requires 'Credential' parameter."),
        ("UnrecognizedClientException", "The security token included in the request is invalid."),
        ("ExpiredTokenException", "The security token included in the request is expired"),
    ],
)
async def test_signatures_that_prove_nobody(code: str, words: str) -> None:
    for kind, path, body in (
        ("REST", "/dev/notes/7", json.dumps({"message": words}, separators=(",", ":")).encode()),
        ("HTTP", "/notes/7", b'{"message":"Forbidden"}'),
    ):
        house, api_id = await house_with(statement(), kind=kind)
        house.signer = ServiceError(code, words)

        response = await house.request(api_id, "GET", path)

        assert (response.status, response.body) == (403, body)
        assert header(response, "x-amzn-errortype") == (code if kind == "REST" else None)


async def test_another_accounts_root_needs_the_apis_leave() -> None:
    house, api_id = await house_with()
    house.signer = Principal.root(SCOPE.account, "test")
    assert (await house.request(api_id, "GET", "/dev/notes/7")).status == 200

    house.signer = Principal.root(Scope("111111111111", "us-east-1").account, "test")
    assert (await house.request(api_id, "GET", "/dev/notes/7")).status == 403


async def test_a_function_called_with_the_signers_own_permissions() -> None:
    house, api_id = await house_with(statement(), credentials="arn:aws:iam::*:user/*")

    assert (await house.request(api_id, "GET", "/dev/notes/7")).status == 200

    assert house.function.calls[0][0].principal == house.signer
    root = (await house.v1("GetRestApi", restApiId=api_id))["rootResourceId"]
    at = {"restApiId": api_id, "resourceId": root, "httpMethod": "GET"}
    await house.v1("PutMethod", **at, authorizationType="NONE")
    target = {"type": "AWS_PROXY", "integrationHttpMethod": "POST", "uri": URI}
    await house.v1("PutIntegration", **at, **target, credentials="arn:aws:iam::*:user/*")
    await house.v1("CreateDeployment", restApiId=api_id, stageName="dev")
    assert (await house.request(api_id, "GET", "/dev/")).status == 500
