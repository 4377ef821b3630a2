"""HTTP APIs from OpenAPI documents with authorizers and mappings, as SAM writes them."""

import json
from typing import Any

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from unit.services.apigateway.fake_lambda import FUNCTION, URI, ApiHouse

JWT = {
    "type": "jwt",
    "identitySource": "$request.header.Authorization",
    "jwtConfiguration": {"issuer": "https://issuer.example", "audience": ["app"]},
}
ASKED = {
    "type": "request",
    "identitySource": "$request.header.A, $request.querystring.b",
    "authorizerUri": URI,
    "authorizerPayloadFormatVersion": "2.0",
    "authorizerResultTtlInSeconds": 60,
    "enableSimpleResponses": True,
}
INTEGRATION = {
    "type": "aws_proxy",
    "uri": FUNCTION,
    "httpMethod": "POST",
    "payloadFormatVersion": "2.0",
    "requestParameters": {"append:header.a": "1"},
    "responseParameters": {"200": {"append:header.b": "2"}},
}


def document(authorizer: Any = JWT, security: Any = None, **more: Any) -> bytes:
    """Return a document with one scheme, `tokens`, and one route, which asks for it."""
    operation = {"x-amazon-apigateway-integration": INTEGRATION, "security": security or [{"tokens": ["read"]}]}
    schemes = {"tokens": {"type": "oauth2", "x-amazon-apigateway-authorizer": authorizer}}
    return json.dumps(
        {
            "openapi": "3.0.1",
            "info": {"title": "notes"},
            "paths": {"/notes": {"get": operation}},
            "components": {"securitySchemes": schemes},
            **more,
        }
    ).encode()


async def test_a_token_guards_an_imported_route() -> None:
    house = ApiHouse()
    api_id = (await house.v2("ImportApi", Body=document()))["ApiId"]
    await house.v2("CreateStage", ApiId=api_id, StageName="$default", AutoDeploy=True)
    [authorizer] = (await house.v2("GetAuthorizers", ApiId=api_id))["Items"]
    [route] = (await house.v2("GetRoutes", ApiId=api_id))["Items"]
    [integration] = (await house.v2("GetIntegrations", ApiId=api_id))["Items"]
    assert (authorizer["Name"], authorizer["AuthorizerType"]) == ("tokens", "JWT")
    assert authorizer["JwtConfiguration"] == {"Issuer": "https://issuer.example", "Audience": ["app"]}
    assert (route["AuthorizationType"], route["AuthorizerId"]) == ("JWT", authorizer["AuthorizerId"])
    assert route["AuthorizationScopes"] == ["read"]
    assert integration["RequestParameters"] == {"append:header.a": "1"}
    assert (await house.request(api_id, "GET", "/notes")).status == 401

    again = document(ASKED, [{"tokens": []}])
    await house.v2("ReimportApi", ApiId=api_id, Body=again)
    [authorizer] = (await house.v2("GetAuthorizers", ApiId=api_id))["Items"]
    assert authorizer["IdentitySource"] == ["$request.header.A", "$request.querystring.b"]
    assert (authorizer["EnableSimpleResponses"], authorizer["AuthorizerResultTtlInSeconds"]) == (True, 60)
    house.function.answer = {"isAuthorized": False}
    denied = await house.request(api_id, "GET", "/notes", query="b=1", headers=[("a", "1")])
    assert denied.status == 403


async def test_sam_takes_a_default_authorizer_away_by_a_name_of_its_own() -> None:
    house = ApiHouse()
    api_id = (await house.v2("ImportApi", Body=document(JWT, [{"NONE": []}])))["ApiId"]
    [route] = (await house.v2("GetRoutes", ApiId=api_id))["Items"]
    assert route["AuthorizationType"] == "NONE"
    with pytest.raises(ServiceError, match="The security scheme None is not defined"):
        await house.v2("ImportApi", Body=document(JWT, [{"None": []}]))


@pytest.mark.parametrize(("version", "seen"), [(1.0, "1.0"), (2.0, "2.0"), ("1.0", "1.0")])
async def test_sam_writes_an_authorizers_version_as_a_number(version: Any, seen: str) -> None:
    house = ApiHouse()
    asked = {**ASKED, "authorizerPayloadFormatVersion": version, "enableSimpleResponses": False}
    api_id = (await house.v2("ImportApi", Body=document(asked, [{"tokens": []}])))["ApiId"]
    [authorizer] = (await house.v2("GetAuthorizers", ApiId=api_id))["Items"]
    assert authorizer["AuthorizerPayloadFormatVersion"] == seen


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"security": [{"other": []}]}, "The security scheme other is not defined"),
        ({"authorizer": {**JWT, "type": "token"}}, "Invalid authorizer type specified: token"),
        ({"authorizer": {**ASKED, "enableSimpleResponses": "yes"}, "security": [{"tokens": []}]}, "Unable to parse"),
        ({"authorizer": {**JWT, "jwtConfiguration": {"issuer": 1, "audience": ["a"]}}}, "Unable to parse"),
        ({"authorizer": ASKED}, "Invalid Route authorization type specified."),
        ({"security": [{"tokens": []}, {"other": []}]}, "Only one authorizer is supported of GET /notes"),
    ],
)
async def test_documents_that_make_no_sense_are_refused(given: dict[str, Any], words: str) -> None:
    house = ApiHouse()
    with pytest.raises(ServiceError) as refused:
        await house.v2("ImportApi", Body=document(**given))
    assert refused.value.code == "BadRequestException"
    assert refused.value.message.startswith(words)


async def test_what_is_not_built_is_refused_by_name() -> None:
    house = ApiHouse()
    with pytest.raises(NotImplementedHere, match="identityValidationExpression"):
        await house.v2("ImportApi", Body=document({**JWT, "identityValidationExpression": "x"}))


async def test_what_is_doubtful_is_a_warning_and_what_http_apis_lack_is_ignored() -> None:
    house = ApiHouse()
    body = json.dumps(
        {
            "openapi": "3.0.1",
            "info": {"title": "n", "version": "1"},
            "servers": [
                {
                    "url": "/v1",
                    "x-amazon-apigateway-endpoint-configuration": {
                        "disableExecuteApiEndpoint": True,
                        "ipAddressType": "dualstack",
                    },
                }
            ],
            "paths": {
                "/a": {"get": {"requestBody": {"content": {"a/b": {"schema": {"$ref": "#/components/schemas/Note"}}}}}}
            },
            "components": {"schemas": {"Note": {"type": "object"}}},
            "x-amazon-apigateway-binary-media-types": ["a/b"],
        }
    )
    warnings = ["binaryMediaTypes is not supported for HTTP APIs, it is ignored"]
    with pytest.raises(ServiceError, match="Warnings found during import:\n\tbinaryMediaTypes is not supported"):
        await house.v2("ImportApi", Body=body, FailOnWarnings=True)
    api = await house.v2("ImportApi", Body=body, Basepath="prepend")
    assert (api["Warnings"], api["DisableExecuteApiEndpoint"], api["IpAddressType"]) == (warnings, True, "dualstack")
    assert (await house.v2("GetRoutes", ApiId=api["ApiId"]))["Items"][0]["RouteKey"] == "GET /v1/a"
    again = await house.v2("ReimportApi", ApiId=api["ApiId"], Body=body, Basepath="split")
    assert (again["Warnings"], again["DisableExecuteApiEndpoint"], again["IpAddressType"]) == (
        warnings,
        True,
        "dualstack",
    )
    told = await house.v2("ExportApi", ApiId=api["ApiId"], Specification="OAS30", OutputType="JSON")
    [server] = json.loads(told["body"])["servers"]
    assert server["x-amazon-apigateway-endpoint-configuration"] == {
        "disableExecuteApiEndpoint": True,
        "ipAddressType": "dualstack",
    }
    assert (await house.v2("GetRoutes", ApiId=api["ApiId"]))["Items"][0]["RouteKey"] == "GET /a"
    with pytest.raises(ServiceError, match=r"Invalid ipAddressType\. Must be one of \[ipv4, dualstack\]"):
        await house.v2("ReimportApi", ApiId=api["ApiId"], Body=body.replace("dualstack", "ipv6"))
    with pytest.raises(ServiceError, match=r"HTTP APIs support OpenAPI 3\.0 only"):
        await house.v2("ImportApi", Body=body.replace("openapi", "swagger"))


def with_integration(**more: Any) -> dict[str, Any]:
    return {"x-amazon-apigateway-integration": {**INTEGRATION, **more}}


PROXIES_ONLY = (
    "Currently, an API with a protocol type of HTTP may only be associated with proxy integrations (AWS_PROXY, "
    "HTTP_PROXY)"
)
PARTS = "One or more path parts appear to be invalid. Parts are validated against this regular expression: "


@pytest.mark.parametrize(
    ("paths", "warning", "routes", "integrations"),
    [
        (
            {"/a": {"get": with_integration(type="aws", requestTemplates={"a/b": "x"}, responseParameters=None)}},
            f"Unable to create Integration of Route 'GET /a': {PROXIES_ONLY}",
            ["GET /a"],
            0,
        ),
        ({"/a/": {"get": with_integration()}}, f"Unable to create Route 'GET /a/': {PARTS}", [], 1),
        (
            {"$default": {"x-amazon-apigateway-any-method": with_integration()}},
            "Parse issue: attribute paths. Resource $default should start with /",
            ["$default"],
            1,
        ),
        (
            {
                "/a": {
                    "get": {"responses": {"200": {"content": {"a/b": {"schema": {"$ref": "#/components/schemas/X"}}}}}}
                }
            },
            "Parse issue: attribute paths.'/a'(get) refers to #/components/schemas/X, which is missing",
            ["GET /a"],
            0,
        ),
    ],
)
async def test_what_a_route_cannot_be_is_a_warning(
    paths: dict[str, Any], warning: str, routes: list[str], integrations: int
) -> None:
    house = ApiHouse()
    body = json.dumps({"openapi": "3.0.1", "info": {"title": "n"}, "paths": paths})
    with pytest.raises(ServiceError) as refused:
        await house.v2("ImportApi", Body=body, FailOnWarnings=True)
    assert refused.value.message.startswith(f"Warnings found during import:\n\t{warning}")
    assert (await house.v2("GetApis"))["Items"] == []
    api = await house.v2("ImportApi", Body=body)
    [told] = api["Warnings"]
    assert told.startswith(warning)
    assert [one["RouteKey"] for one in (await house.v2("GetRoutes", ApiId=api["ApiId"]))["Items"]] == routes
    assert len((await house.v2("GetIntegrations", ApiId=api["ApiId"]))["Items"]) == integrations


async def test_an_export_says_which_route_is_the_default_as_sam_does() -> None:
    house = ApiHouse()
    api_id = await house.http_api("$default", "ANY /a")
    found = {}
    for extended in (True, False):
        asked = {"Specification": "OAS30", "OutputType": "JSON", "IncludeExtensions": extended}
        body = (await house.v2("ExportApi", ApiId=api_id, **asked))["body"]
        paths = json.loads(body)["paths"]
        found[extended] = {
            path: item["x-amazon-apigateway-any-method"].get("isDefaultRoute") for path, item in paths.items()
        }
    assert found == {True: {"/$default": True, "/a": None}, False: {"/$default": None, "/a": None}}
