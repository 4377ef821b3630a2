"""What else an HTTP API can be told: its settings, what quick create made, and what only WebSocket APIs have."""

from typing import Any

import pytest

from cumulet.errors import ServiceError
from unit.services.apigateway.backends import backend
from unit.services.apigateway.fake_lambda import FUNCTION, ApiHouse


async def refused(house: ApiHouse, operation: str, /, **params: Any) -> tuple[str, str]:
    with pytest.raises(ServiceError) as error:
        await house.v2(operation, **params)
    return error.value.code, error.value.message


async def test_settings_are_kept_and_shown() -> None:
    house = ApiHouse()
    settings = {
        "ApiKeySelectionExpression": "$context.authorizer.usageIdentifierKey",
        "RouteSelectionExpression": "${request.method} ${request.path}",
        "IpAddressType": "dualstack",
    }
    api = await house.v2("CreateApi", Name="n", ProtocolType="HTTP", **settings, DisableSchemaValidation=False)
    assert {name: api[name] for name in settings} == settings
    changed = await house.v2("UpdateApi", ApiId=api["ApiId"], IpAddressType="ipv4")
    assert changed == {**api, "IpAddressType": "ipv4"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"RouteSelectionExpression": "$request.body.action"},
            "Invalid RouteSelectionExpression specified: for HTTP APIs it must be ${request.method} ${request.path}",
        ),
        ({"ApiKeySelectionExpression": "x"}, "Invalid ApiKeySelectionExpression specified: x"),
        ({"IpAddressType": "ipv6"}, "Invalid ipAddressType. Must be one of [ipv4, dualstack]"),
        ({"DisableSchemaValidation": True}, "DisableSchemaValidation is not supported on protocolType HTTP"),
    ],
)
async def test_settings_are_checked(settings: dict[str, Any], words: str) -> None:
    found = await refused(ApiHouse(), "CreateApi", Name="n", ProtocolType="HTTP", **settings)
    assert found == ("BadRequestException", words)


async def test_a_disabled_endpoint_answers_nobody_until_it_is_enabled() -> None:
    house = ApiHouse()
    api_id = await house.http_api("$default", DisableExecuteApiEndpoint=True)
    assert (await house.request(api_id, "GET", "/x")).status == 404
    assert (await house.request(api_id, "GET", "/x", via="host")).status == 404
    await house.v2("UpdateApi", ApiId=api_id, DisableExecuteApiEndpoint=False)
    assert (await house.request(api_id, "GET", "/x")).status == 200

    rest_id = await house.rest_api("GET /x", disableExecuteApiEndpoint=True)
    response = await house.request(rest_id, "GET", "/dev/x")
    assert (response.status, response.body) == (403, b'{"message":"Forbidden"}')


async def test_what_quick_create_made_is_changed_through_the_api() -> None:
    house = ApiHouse()
    async with backend() as site:
        api = await house.v2("CreateApi", Name="n", ProtocolType="HTTP", Target=f"{site.url}/base", RouteKey="GET /a")
        api_id = api["ApiId"]
        assert (await house.request(api_id, "GET", "/a")).body == b"hello"
        assert site.requests[-1][0] == "GET /base HTTP/1.1"
        assert (await house.request(api_id, "GET", "/b")).status == 404

        await house.v2("UpdateApi", ApiId=api_id, Target=FUNCTION, RouteKey="GET /b")
        assert (await house.request(api_id, "GET", "/b")).status == 200
        assert house.function.event["routeKey"] == "GET /b"
        [integration] = (await house.v2("GetIntegrations", ApiId=api_id))["Items"]
        assert (integration["IntegrationType"], integration["ApiGatewayManaged"]) == ("AWS_PROXY", True)

    other = (await house.v2("CreateApi", Name="n", ProtocolType="HTTP"))["ApiId"]
    assert (await refused(house, "UpdateApi", ApiId=other, Target=FUNCTION))[0] == "BadRequestException"


async def test_what_quick_create_made_keeps_its_key_and_its_integration() -> None:
    house = ApiHouse()
    role = "arn:aws:iam::000000000000:role/r"
    made = await house.v2("CreateApi", Name="n", ProtocolType="HTTP", Target="https://a.example", CredentialsArn=role)
    at = {"ApiId": made["ApiId"]}
    [route] = (await house.v2("GetRoutes", **at))["Items"]
    [integration] = (await house.v2("GetIntegrations", **at))["Items"]
    assert "CredentialsArn" not in integration
    moved = await refused(house, "UpdateRoute", **at, RouteId=route["RouteId"], RouteKey="GET /a")
    assert moved == ("BadRequestException", "The key of a route that quick create made cannot be modified")
    same = await house.v2("UpdateRoute", **at, RouteId=route["RouteId"], RouteKey="$default", OperationName="all")
    assert same["OperationName"] == "all"
    gone = await refused(house, "DeleteIntegration", **at, IntegrationId=integration["IntegrationId"])
    assert gone == ("BadRequestException", "An integration that quick create made cannot be deleted")


async def test_cors_is_kept_as_aws_keeps_it() -> None:
    house = ApiHouse()
    cors = {"AllowHeaders": ["X-A"], "ExposeHeaders": ["Date"], "AllowMethods": ["GET"], "AllowOrigins": ["*"]}
    api = await house.v2("CreateApi", Name="n", ProtocolType="HTTP", CorsConfiguration=cors)
    assert api["CorsConfiguration"] == {**cors, "AllowHeaders": ["x-a"], "ExposeHeaders": ["date"]}
    both = {"AllowOrigins": ["https://a.example", "*"], "AllowCredentials": True}
    found = await refused(house, "UpdateApi", ApiId=api["ApiId"], CorsConfiguration=both)
    assert found == ("BadRequestException", "allow-credentials is not supported if 'allow-origin' is *")


async def test_a_deployments_description_can_be_changed() -> None:
    house = ApiHouse()
    api_id = await house.http_api("$default")
    made = await house.v2("CreateDeployment", ApiId=api_id, Description="one")
    at = {"ApiId": api_id, "DeploymentId": made["DeploymentId"]}
    assert (await house.v2("UpdateDeployment", **at, Description="two")) == {**made, "Description": "two"}
    assert (await house.v2("GetDeployment", **at))["Description"] == "two"


@pytest.mark.parametrize(
    ("operation", "params", "words"),
    [
        ("CreateModel", {"Name": "m", "Schema": "{}"}, "Models are not supported on protocolType HTTP"),
        (
            "CreateRouteResponse",
            {"RouteId": "?", "RouteResponseKey": "$default"},
            "Route responses are not supported on protocolType HTTP",
        ),
        (
            "CreateIntegrationResponse",
            {"IntegrationId": "?", "IntegrationResponseKey": "$default"},
            "Integration responses are not supported on protocolType HTTP",
        ),
        (
            "UpdateRoute",
            {"RouteId": "?", "RequestModels": {"$default": "m"}},
            "RequestModels is not supported on protocolType HTTP",
        ),
        (
            "UpdateRoute",
            {"RouteId": "?", "ApiKeyRequired": True},
            "ApiKeyRequired is not supported on protocolType HTTP",
        ),
        (
            "UpdateIntegration",
            {"IntegrationId": "?", "RequestTemplates": {"application/json": "x"}},
            "RequestTemplates is not supported on protocolType HTTP",
        ),
        (
            "UpdateIntegration",
            {"IntegrationId": "?", "TlsConfig": {"ServerNameToVerify": "a"}},
            "TlsConfig is only supported for the connection type VPC_LINK",
        ),
        (
            "UpdateStage",
            {"StageName": "$default", "ClientCertificateId": "c"},
            "ClientCertificateId is not supported on protocolType HTTP",
        ),
    ],
)
async def test_what_only_websocket_apis_have_is_refused(operation: str, params: dict[str, Any], words: str) -> None:
    house = ApiHouse()
    api_id = await house.http_api("$default")
    [route] = (await house.v2("GetRoutes", ApiId=api_id))["Items"]
    ids = {"RouteId": route["RouteId"], "IntegrationId": route["Target"].partition("/")[2]}
    given = {name: ids[name] if value == "?" else value for name, value in params.items()}
    assert await refused(house, operation, ApiId=api_id, **given) == ("BadRequestException", words)


async def test_what_only_websocket_apis_have_is_not_found() -> None:
    house = ApiHouse()
    api_id = await house.http_api("$default")
    [route] = (await house.v2("GetRoutes", ApiId=api_id))["Items"]
    at_route = {"ApiId": api_id, "RouteId": route["RouteId"]}
    at_integration = {"ApiId": api_id, "IntegrationId": route["Target"].partition("/")[2]}
    for listing, where in (
        ("GetModels", {"ApiId": api_id}),
        ("GetRouteResponses", at_route),
        ("GetIntegrationResponses", at_integration),
    ):
        assert await house.v2(listing, **where) == {"Items": []}
    for operation, where, words in (
        ("GetModel", {"ApiId": api_id, "ModelId": "m"}, "Invalid Model identifier specified m"),
        ("GetModelTemplate", {"ApiId": api_id, "ModelId": "m"}, "Invalid Model identifier specified m"),
        ("UpdateModel", {"ApiId": api_id, "ModelId": "m"}, "Invalid Model identifier specified m"),
        ("DeleteModel", {"ApiId": api_id, "ModelId": "m"}, "Invalid Model identifier specified m"),
        ("GetRouteResponse", {**at_route, "RouteResponseId": "r"}, "Invalid RouteResponse identifier specified r"),
        ("UpdateRouteResponse", {**at_route, "RouteResponseId": "r"}, "Invalid RouteResponse identifier specified r"),
        ("DeleteRouteResponse", {**at_route, "RouteResponseId": "r"}, "Invalid RouteResponse identifier specified r"),
        (
            "DeleteRouteRequestParameter",
            {**at_route, "RequestParameterKey": "p"},
            "Invalid RequestParameter identifier specified p",
        ),
        *(
            (
                f"{verb}IntegrationResponse",
                {**at_integration, "IntegrationResponseId": "i"},
                "Invalid IntegrationResponse identifier specified i",
            )
            for verb in ("Get", "Update", "Delete")
        ),
    ):
        assert await refused(house, operation, **where) == ("NotFoundException", words)
    assert (await refused(house, "GetRouteResponses", ApiId=api_id, RouteId="nope"))[0] == "NotFoundException"
