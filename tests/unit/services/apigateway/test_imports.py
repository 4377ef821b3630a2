"""APIs from OpenAPI documents, in the form in which SAM's translator writes them."""

import json
from typing import Any

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from unit.services.apigateway.fake_lambda import URI, ApiHouse

PROXY = {"httpMethod": "POST", "type": "aws_proxy", "uri": URI}


def rest_document(paths: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"swagger": "2.0", "info": {"version": "1.0", "title": "notes"}, "paths": paths, **more}).encode()


def http_document(paths: dict[str, Any], **more: Any) -> str:
    document = {"openapi": "3.0.1", "info": {"version": "1.0", "title": "notes"}, "paths": paths, **more}
    return json.dumps(document)


def operation(**more: Any) -> dict[str, Any]:
    return {"x-amazon-apigateway-integration": {**PROXY, **more}, "responses": {}}


async def test_a_sam_rest_api() -> None:
    house = ApiHouse()
    paths = {
        "/notes": {"get": operation(), "post": operation(timeoutInMillis=1000)},
        "/notes/{id}": {"x-amazon-apigateway-any-method": operation()},
    }
    api = await house.v1(
        "ImportRestApi", body=rest_document(paths), parameters={"endpointConfigurationTypes": "REGIONAL"}
    )
    assert (api["name"], api["version"], api["endpointConfiguration"]["types"]) == ("notes", "1.0", ["REGIONAL"])
    await house.v1("CreateDeployment", restApiId=api["id"], stageName="Prod")

    for method, path in (("GET", "/notes"), ("POST", "/notes"), ("PUT", "/notes/1"), ("DELETE", "/notes/1")):
        assert (await house.request(api["id"], method, f"/Prod{path}")).status == 200
    assert (await house.request(api["id"], "PUT", "/Prod/notes")).status == 403


async def test_overwriting_and_merging_an_api() -> None:
    house = ApiHouse()
    first = {"/notes": {"get": operation()}, "/old/x": {"get": operation()}}
    api = await house.v1("ImportRestApi", body=rest_document(first))
    before = await paths_of(house, api["id"])

    merged = rest_document({"/notes": {"post": operation()}, "/more": {"get": operation()}})
    await house.v1("PutRestApi", restApiId=api["id"], body=merged, mode="merge")
    after = await paths_of(house, api["id"])
    assert {path: methods for path, (_, methods) in after.items()} == {
        "/": set(),
        "/notes": {"GET", "POST"},
        "/old": set(),
        "/old/x": {"GET"},
        "/more": {"GET"},
    }

    second = rest_document({"/notes": {"put": operation()}})
    await house.v1("PutRestApi", restApiId=api["id"], body=second, mode="overwrite")
    last = await paths_of(house, api["id"])
    assert {path: methods for path, (_, methods) in last.items()} == {"/": set(), "/notes": {"PUT"}}
    assert last["/notes"][0] == before["/notes"][0]


async def paths_of(house: ApiHouse, api_id: str) -> dict[str, tuple[str, set[str]]]:
    items = (await house.v1("GetResources", restApiId=api_id))["items"]
    return {item["path"]: (item["id"], set(item.get("resourceMethods", {}))) for item in items}


async def test_parameters_and_responses_are_kept() -> None:
    house = ApiHouse()
    get = {
        **operation(responses={"default": {"statusCode": "200"}}),
        "operationId": "getNote",
        "parameters": [{"name": "id", "in": "path", "required": True, "type": "string"}],
        "responses": {"200": {"description": "ok", "headers": {"X-A": {"type": "string"}}}},
    }
    document = rest_document({"/notes/{id}": {"get": get}})
    api = await house.v1("ImportRestApi", body=document)
    resource_id, _ = (await paths_of(house, api["id"]))["/notes/{id}"]

    method = await house.v1("GetMethod", restApiId=api["id"], resourceId=resource_id, httpMethod="GET")

    assert method["operationName"] == "getNote"
    assert method["requestParameters"] == {"method.request.path.id": True}
    assert method["methodResponses"] == {
        "200": {"statusCode": "200", "responseParameters": {"method.response.header.X-A": False}}
    }
    assert method["methodIntegration"]["integrationResponses"] == {"200": {"statusCode": "200"}}


async def test_yaml_is_a_document_too() -> None:
    body = b"openapi: 3.0.1\ninfo: {title: notes, version: 1}\npaths: {}\n"
    assert (await ApiHouse().v1("ImportRestApi", body=body))["version"] == "1"


@pytest.mark.parametrize(
    ("paths", "more", "what"),
    [
        ({"/a": {"get": operation(requestTemplates={"a/b": "#parse('x')"})}}, {}, "#parse"),
        ({"/a": {"get": operation(integrationTarget="x")}}, {}, "integrationTarget"),
        ({"/a": {"get": {**operation(), "x-amazon-apigateway-new": {"type": "NONE"}}}}, {}, "x-amazon-apigateway-new"),
    ],
)
async def test_what_is_not_built_is_refused_by_name(paths: dict[str, Any], more: dict[str, Any], what: str) -> None:
    house = ApiHouse()
    with pytest.raises(NotImplementedHere, match=what):
        await house.v1("ImportRestApi", body=rest_document(paths, **more))
    assert await house.v1("GetRestApis") == {"items": []}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "Invalid OpenAPI input."),
        (b"[]", "Invalid OpenAPI input."),
        (b"\xff\xfe\x00", "Invalid OpenAPI input."),
        (rest_document({"/a": {"get": []}}), "Unable to parse API definition because of a malformed GET /a"),  # type: ignore[dict-item]
        (
            rest_document({"/{a}/x": {}, "/{b}/y": {}}),
            "Errors found during import:\n\tUnable to create resource at path '/{b}/y': A sibling ({a}) of this "
            "resource already has a variable path part -- only one is allowed",
        ),
        (
            rest_document({"/a": {"get": operation(uri="x")}}),
            "Errors found during import:\n\tUnable to put integration on 'GET' for resource at path '/a': Invalid ARN "
            "specified in the request",
        ),
    ],
)
async def test_bad_documents(body: bytes, words: str) -> None:
    with pytest.raises(ServiceError) as error:
        await ApiHouse().v1("ImportRestApi", body=body)
    assert (error.value.code, error.value.message) == ("BadRequestException", words)


async def test_a_sam_http_api() -> None:
    house = ApiHouse()
    paths = {
        "$default": {
            "x-amazon-apigateway-any-method": {**operation(payloadFormatVersion="2.0"), "isDefaultRoute": True}
        },
        "/notes/{id}": {
            "get": {
                **operation(payloadFormatVersion="1.0"),
                "parameters": [{"required": True, "name": "id", "in": "path"}],
            }
        },
    }
    tags = [{"name": "httpapi:createdBy", "x-amazon-apigateway-tag-value": "SAM"}]
    cors = {"allowOrigins": ["*"]}
    document = http_document(paths, tags=tags, **{"x-amazon-apigateway-cors": cors})

    api = await house.v2("ImportApi", Body=document)

    assert (api["Name"], api["Version"], api["Tags"]) == ("notes", "1.0", {"httpapi:createdBy": "SAM"})
    assert api["CorsConfiguration"] == {"AllowOrigins": ["*"]}
    await house.v2("CreateStage", ApiId=api["ApiId"], StageName="$default", AutoDeploy=True)
    await house.request(api["ApiId"], "GET", "/notes/1")
    assert (house.function.event["version"], house.function.event["pathParameters"]) == ("1.0", {"id": "1"})
    await house.request(api["ApiId"], "POST", "/anything")
    assert (house.function.event["version"], house.function.event["routeKey"]) == ("2.0", "$default")

    again = http_document({"/other": {"get": operation(payloadFormatVersion="2.0")}})
    await house.v2("ReimportApi", ApiId=api["ApiId"], Body=again)
    assert [route["RouteKey"] for route in (await house.v2("GetRoutes", ApiId=api["ApiId"]))["Items"]] == ["GET /other"]
    assert (await house.request(api["ApiId"], "GET", "/notes/1")).status == 404
    assert (await house.request(api["ApiId"], "GET", "/other")).status == 200
