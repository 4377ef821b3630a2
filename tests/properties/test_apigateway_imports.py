"""A document with any part replaced by anything is imported, or refused with an error of AWS's: never a crash."""

import asyncio
import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.errors import ServiceError
from unit.services.apigateway.fake_lambda import URI, ApiHouse

INTEGRATION = {
    "type": "aws_proxy",
    "httpMethod": "POST",
    "uri": URI,
    "payloadFormatVersion": "2.0",
    "timeoutInMillis": 1000,
    "credentials": "arn:aws:iam::000000000000:role/r",
    "passthroughBehavior": "when_no_match",
    "cacheKeyParameters": ["integration.request.path.a"],
    "responses": {"default": {"statusCode": "200", "responseParameters": {"method.response.header.A": "'b'"}}},
}
DOCUMENT: dict[str, Any] = {
    "openapi": "3.0.1",
    "info": {"title": "notes", "version": "1", "description": "d"},
    "tags": [{"name": "a", "x-amazon-apigateway-tag-value": "b"}],
    "paths": {
        "/notes/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True}],
            "get": {
                "operationId": "x",
                "responses": {"200": {"headers": {"A": {}}, "content": {}}},
                "requestBody": {"content": {"a/b": {"schema": {"$ref": "#/components/schemas/Note"}}}},
                "security": [{"t": []}],
                "x-amazon-apigateway-integration": INTEGRATION,
            },
        },
        "/other": {"x-amazon-apigateway-any-method": {"x-amazon-apigateway-integration": INTEGRATION}},
    },
}
REST = {
    **DOCUMENT,
    "servers": [{"url": "/v1", "variables": {"basePath": {"default": "v1"}}}],
    "components": {
        "schemas": {"Note": {"properties": {"of": {"$ref": "#/components/schemas/Note"}}, "type": "object"}},
        "securitySchemes": {
            "t": {
                "type": "apiKey",
                "name": "X-T",
                "in": "header",
                "x-amazon-apigateway-authorizer": {"type": "token", "authorizerUri": URI},
            }
        },
    },
    "x-amazon-apigateway-binary-media-types": ["a/b"],
    "x-amazon-apigateway-minimum-compression-size": 5,
    "x-amazon-apigateway-request-validators": {"all": {"validateRequestBody": True}},
    "x-amazon-apigateway-request-validator": "all",
    "x-amazon-apigateway-gateway-responses": {"THROTTLED": {"statusCode": 503}},
    "x-amazon-apigateway-documentation": {
        "version": "1",
        "documentationParts": [{"location": {"type": "API"}, "properties": {"description": "d"}}],
    },
}
JWT = {
    "type": "jwt",
    "identitySource": "$request.header.A",
    "jwtConfiguration": {"issuer": "https://i", "audience": ["a"]},
}
HTTP = {
    **DOCUMENT,
    "components": {"securitySchemes": {"t": {"type": "oauth2", "x-amazon-apigateway-authorizer": JWT}}},
    "x-amazon-apigateway-cors": {"allowOrigins": ["*"], "maxAge": 5},
}

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    members = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, member in members:
        yield (*path, name)
        yield from places(member, (*path, name))


def replaced(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(document)
    node = changed
    for name in place[:-1]:
        node = node[name]
    node[place[-1]] = value
    return changed


async def import_both(rest: Any, http: Any) -> None:
    house = ApiHouse()
    try:
        api = await house.v1("ImportRestApi", body=json.dumps(rest).encode())
        await house.v1("GetResources", restApiId=api["id"], embed=["methods"])
        await house.v1("CreateDeployment", restApiId=api["id"], stageName="dev")
        await house.request(api["id"], "GET", "/dev/notes/1")
    except ServiceError:
        pass
    try:
        api = await house.v2("ImportApi", Body=json.dumps(http))
        await house.v2("CreateStage", ApiId=api["ApiId"], StageName="$default", AutoDeploy=True)
        await house.v2("GetRoutes", ApiId=api["ApiId"])
        await house.request(api["ApiId"], "GET", "/notes/1", headers={"origin": "x"})
    except ServiceError:
        pass


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(places(REST))), st.sampled_from(list(places(HTTP))), ANYTHING)
def test_no_document_crashes_an_import(rest_place: Any, http_place: Any, value: Any) -> None:
    asyncio.run(import_both(replaced(REST, rest_place, value), replaced(HTTP, http_place, value)))


async def test_the_document_itself_is_imported() -> None:
    house = ApiHouse()
    api = await house.v1("ImportRestApi", body=json.dumps(REST).encode())
    assert len((await house.v1("GetResources", restApiId=api["id"]))["items"]) == 4
    api = await house.v2("ImportApi", Body=json.dumps(HTTP))
    assert len((await house.v2("GetRoutes", ApiId=api["ApiId"]))["Items"]) == 2
