"""What policies may ask of requests to the REST control plane: statements decide by what is asked for, and by what is.

Such policies: https://docs.aws.amazon.com/apigateway/latest/developerguide/security_iam_id-based-policy-examples.html
"""

import json
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.apigateway.control.v1 import condition_keys
from cumulet.services.iam import build as build_iam
from cumulet.services.iam import build_sts
from cumulet.services.iam.authorizer import IamAuthorizer
from cumulet.services.kit import Principal
from unit.services.apigateway.fake_lambda import FUNCTION, URI, ApiHouse
from unit.services.apigateway.test_routing_rules import user_with
from unit.services.apigateway.test_stage_settings import GROUP, with_role

POOL = "arn:aws:cognito-idp:us-east-1:000000000000:userpool/us-east-1_x"
CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/a"


async def house_denying(condition: dict[str, Any], action: str = "apigateway:*") -> tuple[ApiHouse, Principal]:
    """Return a house with a user who may do everything but what meets a condition."""
    house = ApiHouse(authorizer=IamAuthorizer(), more={"iam": build_iam, "sts": build_sts})
    every = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    return house, await user_with(
        house, every, {"Effect": "Deny", "Action": action, "Resource": "*", "Condition": condition}
    )


async def is_allowed(
    house: ApiHouse, user: Principal, operation: str, /, service: str = "apigateway", **params: Any
) -> bool:
    """Tell whether IAM lets a user do something; all else that is wrong with it fails the test."""
    try:
        await house.call(service, operation, params, principal=user)
    except ServiceError as error:
        assert "with an explicit deny" in error.message, error
        return False
    return True


def patch(path: str, value: str, op: str = "replace") -> list[dict[str, str]]:
    return [{"op": op, "path": path, "value": value}]


def document(security: list[Any], **parameters: str) -> dict[str, Any]:
    """Return the params of an import of one method."""
    schemes = {
        "iam": {"type": "apiKey", "in": "header", "name": "Authorization", "x-amazon-apigateway-authtype": "awsSigv4"},
        "keys": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        "function": {
            "type": "apiKey",
            "in": "header",
            "name": "A",
            "x-amazon-apigateway-authorizer": {"type": "token", "authorizerUri": URI},
        },
    }
    named = {name for one in security for name in one}
    operation = {"security": security, "x-amazon-apigateway-integration": {"type": "mock"}}
    body = {
        "openapi": "3.0.1",
        "info": {"title": "told"},
        "paths": {"/a": {"get": operation}},
        "components": {"securitySchemes": {name: schemes[name] for name in named}},
    }
    return {"body": json.dumps(body), **({"parameters": parameters} if parameters else {})}


async def test_methods_that_ask_nobody_who_they_are() -> None:
    unasked = {"ForAnyValue:StringEqualsIgnoreCase": {"apigateway:Request/RouteAuthorizationType": "none"}}
    house, user = await house_denying(unasked)
    api_id = await house.rest_api("GET /a", deploy=False)
    [at] = [item for item in (await house.v1("GetResources", restApiId=api_id))["items"] if item["path"] == "/a"]
    method = {"restApiId": api_id, "resourceId": at["id"]}
    assert not await is_allowed(house, user, "PutMethod", **method, httpMethod="PUT", authorizationType="NONE")
    assert await is_allowed(house, user, "PutMethod", **method, httpMethod="PUT", authorizationType="AWS_IAM")
    change = {**method, "httpMethod": "PUT"}
    none = patch("/authorizationType", "NONE")
    assert not await is_allowed(house, user, "UpdateMethod", **change, patchOperations=none)
    assert await is_allowed(house, user, "UpdateMethod", **change, patchOperations=patch("/operationName", "n"))
    for security, allowed in (([], False), ([{"keys": []}], False), ([{"iam": []}], True), ([{"function": []}], True)):
        assert await is_allowed(house, user, "ImportRestApi", **document(security)) == allowed
        assert await is_allowed(house, user, "PutRestApi", restApiId=api_id, **document(security)) == allowed


async def test_apis_at_the_edge() -> None:
    house, user = await house_denying({"ForAnyValue:StringEquals": {"apigateway:Request/EndpointType": "EDGE"}})
    regional = {"endpointConfiguration": {"types": ["REGIONAL"]}}
    assert not await is_allowed(house, user, "CreateRestApi", name="a")
    assert await is_allowed(house, user, "CreateRestApi", name="a", **regional)
    api_id = (await house.v1("CreateRestApi", name="b", **regional))["id"]
    edge = patch("/endpointConfiguration/types/REGIONAL", "EDGE")
    assert not await is_allowed(house, user, "UpdateRestApi", restApiId=api_id, patchOperations=edge)
    assert not await is_allowed(house, user, "ImportRestApi", **document([]))
    assert await is_allowed(house, user, "ImportRestApi", **document([], endpointConfigurationTypes="REGIONAL"))
    domain = {"domainName": "a.example.com"}
    assert not await is_allowed(house, user, "CreateDomainName", **domain, certificateArn=CERTIFICATE)
    assert await is_allowed(house, user, "CreateDomainName", **domain, regionalCertificateArn=CERTIFICATE, **regional)
    more = [*patch("/endpointConfiguration/types", "EDGE", "add"), *patch("/certificateArn", CERTIFICATE)]
    assert not await is_allowed(house, user, "UpdateDomainName", **domain, patchOperations=more)


async def test_what_others_have_named() -> None:
    house, user = await house_denying({"StringNotLike": {"apigateway:Resource/ApiName": "mine-*"}}, "apigateway:DELETE")
    for name, allowed in (("mine-1", True), ("theirs", False)):
        api_id = (await house.v1("CreateRestApi", name=name))["id"]
        assert await is_allowed(house, user, "DeleteRestApi", restApiId=api_id) == allowed


async def test_authorizers_by_type() -> None:
    house, user = await house_denying({"ForAnyValue:StringEquals": {"apigateway:Request/AuthorizerType": "TOKEN"}})
    api = {"restApiId": await house.rest_api(deploy=False), "identitySource": "method.request.header.A"}
    function = {"name": "f", "type": "TOKEN", "authorizerUri": URI}
    assert not await is_allowed(house, user, "CreateAuthorizer", **api, **function)
    pools = {"name": "p", "type": "COGNITO_USER_POOLS", "providerARNs": [POOL]}
    assert await is_allowed(house, user, "CreateAuthorizer", **api, **pools)
    assert not await is_allowed(house, user, "ImportRestApi", **document([{"function": []}]))


async def test_roles_that_a_user_may_not_pass() -> None:
    role = "arn:aws:iam::000000000000:role/r"
    elsewhere = {"StringNotEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    house, user = await house_denying(elsewhere, "iam:PassRole")
    api = {"restApiId": await house.rest_api("GET /a", deploy=False)}
    [at] = [item for item in (await house.v1("GetResources", **api))["items"] if item["path"] == "/a"]
    method = {**api, "resourceId": at["id"], "httpMethod": "GET"}
    function = {"type": "AWS_PROXY", "uri": URI, "integrationHttpMethod": "POST"}
    for credentials, allowed in ((None, True), ("arn:aws:iam::*:user/*", True), (role, False)):
        given = {} if credentials is None else {"credentials": credentials}
        assert await is_allowed(house, user, "PutIntegration", **method, **function, **given) == allowed
    assert not await is_allowed(house, user, "UpdateIntegration", **method, patchOperations=patch("/credentials", role))
    await house.v1("PutIntegration", **method, **function, credentials=role)
    assert await is_allowed(house, user, "UpdateIntegration", **method, patchOperations=patch("/timeoutInMillis", "50"))
    given = {**api, "name": "f", "type": "TOKEN", "authorizerUri": URI, "identitySource": "method.request.header.A"}
    assert not await is_allowed(house, user, "CreateAuthorizer", **given, authorizerCredentials=role)
    one = {**api, "authorizerId": (await house.v1("CreateAuthorizer", **given))["id"]}
    credentials = patch("/authorizerCredentials", role)
    assert not await is_allowed(house, user, "UpdateAuthorizer", **one, patchOperations=credentials)
    body = document([])["body"]
    for operation, place in (("ImportRestApi", {}), ("PutRestApi", api)):
        assert await is_allowed(house, user, operation, **place, body=body)
        named = body.replace('{"type": "mock"}', json.dumps({"type": "mock", "credentials": role}))
        assert not await is_allowed(house, user, operation, **place, body=named)


async def test_the_stage_that_is_deployed_to() -> None:
    house, user = await house_denying({"StringEquals": {"apigateway:Request/StageName": "production"}})
    api_id = await house.rest_api("GET /a")
    for stage, allowed in (("production", False), ("dev", True)):
        assert await is_allowed(house, user, "CreateDeployment", restApiId=api_id, stageName=stage) == allowed


@pytest.mark.parametrize(
    ("patches", "expected"),
    [
        ([], {}),
        (patch("/accessLogSettings/format", "f"), {"apigateway:Request/AccessLoggingFormat": "f"}),
        (
            [*patch("/accessLogSettings/format", "f"), *patch("/accessLogSettings/format", "g", "add")],
            {"apigateway:Request/AccessLoggingFormat": "g"},
        ),
        (patch("/accessLogSettings/format", "f", "remove"), {}),
        (patch("/accessLogSettings", "f"), {}),
    ],
)
def test_what_patches_ask_for(patches: list[dict[str, str]], expected: dict[str, str]) -> None:
    conditions = condition_keys.patched(condition_keys.STAGE, lambda tx, call, params: {})
    made: Any = None
    assert conditions(made, made, {"patchOperations": patches}) == expected


async def test_stages_whose_log_goes_elsewhere() -> None:
    house, user = await house_denying({"StringEquals": {"apigateway:Resource/AccessLoggingDestination": GROUP}})
    await house.v1("UpdateAccount", patchOperations=patch("/cloudwatchRoleArn", await with_role(house)))
    stage = {"restApiId": await house.rest_api("GET /a"), "stageName": "dev"}
    log = [
        *patch("/accessLogSettings/destinationArn", GROUP),
        *patch("/accessLogSettings/format", "$context.requestId"),
    ]
    assert await is_allowed(house, user, "UpdateStage", **stage, patchOperations=log)
    assert not await is_allowed(house, user, "DeleteStage", **stage)
    assert not await is_allowed(house, user, "UpdateStage", **stage, patchOperations=log)


async def test_roles_that_a_user_may_not_pass_to_http_apis() -> None:
    role = "arn:aws:iam::000000000000:role/r"
    elsewhere = {"StringNotEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    house, user = await house_denying(elsewhere, "iam:PassRole")
    api_id = await house.http_api("GET /a")

    async def may(operation: str, **params: Any) -> bool:
        return await is_allowed(house, user, operation, "apigatewayv2", **params)

    quick = {"Name": "quick", "ProtocolType": "HTTP", "Target": FUNCTION}
    made = (await house.v2("CreateApi", **quick))["ApiId"]
    function = {"ApiId": api_id, "IntegrationType": "AWS_PROXY", "IntegrationUri": FUNCTION}
    integration = {**function, "PayloadFormatVersion": "2.0"}
    one = {"ApiId": api_id, "IntegrationId": (await house.v2("CreateIntegration", **integration))["IntegrationId"]}
    asking = {
        "ApiId": api_id,
        "AuthorizerType": "REQUEST",
        "AuthorizerUri": URI,
        "IdentitySource": ["$request.header.a"],
        "AuthorizerPayloadFormatVersion": "2.0",
    }
    guard = {"ApiId": api_id, "AuthorizerId": (await house.v2("CreateAuthorizer", **asking, Name="g"))["AuthorizerId"]}
    for given, allowed in ((role, False), (None, True)):
        credentials = {} if given is None else {"CredentialsArn": given}
        assert await may("CreateApi", **quick, **credentials) == allowed
        assert await may("UpdateApi", ApiId=made, Target=FUNCTION, **credentials) == allowed
        assert await may("CreateIntegration", **integration, **credentials) == allowed
        assert await may("UpdateIntegration", **one, TimeoutInMillis=50, **credentials) == allowed
        credentials = {} if given is None else {"AuthorizerCredentialsArn": given}
        assert await may("CreateAuthorizer", **asking, Name=f"g{allowed}", **credentials) == allowed
        assert await may("UpdateAuthorizer", **guard, Name=f"h{allowed}", **credentials) == allowed
        proxy = {"type": "aws_proxy", "uri": URI, "httpMethod": "POST", "payloadFormatVersion": "2.0"}
        operation = {"x-amazon-apigateway-integration": {**proxy, **({} if given is None else {"credentials": given})}}
        body = json.dumps({"openapi": "3.0.1", "info": {"title": "t"}, "paths": {"/a": {"get": operation}}})
        assert await may("ImportApi", Body=body) == allowed
        assert await may("ReimportApi", ApiId=made, Body=body) == allowed


async def test_tags_of_an_http_api_that_names_a_role() -> None:
    house, user = await house_denying({"StringEquals": {"aws:RequestTag/team": "theirs"}})
    api = {"Name": "n", "ProtocolType": "HTTP"}
    assert await is_allowed(house, user, "CreateApi", "apigatewayv2", **api, Tags={"team": "ours"})
    assert not await is_allowed(house, user, "CreateApi", "apigatewayv2", **api, Tags={"team": "theirs"})
