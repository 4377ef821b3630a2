"""REST APIs from OpenAPI documents with everything that these can say, and documents from APIs."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from cumulet.errors import ServiceError
from unit.services.apigateway.fake_lambda import URI, ApiHouse

PROXY = {"type": "aws_proxy", "httpMethod": "POST", "uri": URI}
TOKEN = {
    "type": "apiKey",
    "name": "X-Token",
    "in": "header",
    "x-amazon-apigateway-authtype": "custom",
    "x-amazon-apigateway-authorizer": {"type": "token", "authorizerUri": URI, "authorizerResultTtlInSeconds": "60"},
}


def swagger(paths: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"swagger": "2.0", "info": {"title": "notes", "version": "1"}, "paths": paths, **more}).encode()


def oas30(paths: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"openapi": "3.0.1", "info": {"title": "notes", "version": "1"}, "paths": paths, **more}).encode()


async def method_of(house: ApiHouse, api_id: str, path: str = "/a", method: str = "POST") -> Any:
    resources = (await house.v1("GetResources", restApiId=api_id, limit=100))["items"]
    [resource] = [resource for resource in resources if resource["path"] == path]
    return await house.v1("GetMethod", restApiId=api_id, resourceId=resource["id"], httpMethod=method)


async def paths_of(house: ApiHouse, api_id: str) -> set[str]:
    return {item["path"] for item in (await house.v1("GetResources", restApiId=api_id, limit=100))["items"]}


@pytest.mark.parametrize("version", ["2", "3"])
async def test_models_bodies_and_validators(version: str) -> None:
    house = ApiHouse()
    place = "#/definitions/" if version == "2" else "#/components/schemas/"
    schemas = {
        "Note": {"type": "object", "required": ["by"], "properties": {"by": {"$ref": f"{place}Person"}}},
        "Person": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    }
    validators = {
        "x-amazon-apigateway-request-validators": {"all": {"validateRequestBody": True}, "none": {}},
        "x-amazon-apigateway-request-validator": "all",
    }
    operation: dict[str, Any] = {"responses": {"200": {}}, "x-amazon-apigateway-integration": PROXY}
    if version == "2":
        operation["parameters"] = [{"in": "body", "name": "n", "schema": {"$ref": f"{place}Note"}}]
        operation["responses"]["200"]["schema"] = {"type": "array", "items": {"$ref": f"{place}Note"}}
        body = swagger({"/a": {"post": operation}}, definitions=schemas, **validators)
    else:
        operation["requestBody"] = {"content": {"application/json": {"schema": {"$ref": f"{place}Note"}}}}
        told = {"type": "array", "items": {"$ref": f"{place}Note"}}
        operation["responses"]["200"]["content"] = {"application/json": {"schema": told}}
        body = oas30({"/a": {"post": operation}}, components={"schemas": schemas}, **validators)

    api = await house.v1("ImportRestApi", body=body)

    assert "warnings" not in api
    method = await method_of(house, api["id"])
    assert method["requestModels"] == {"application/json": "Note"}
    validator = await house.v1(
        "GetRequestValidator", restApiId=api["id"], requestValidatorId=method["requestValidatorId"]
    )
    assert (validator["name"], validator["validateRequestBody"]) == ("all", True)
    [made] = method["methodResponses"]["200"]["responseModels"].values()
    inline = await house.v1("GetModel", restApiId=api["id"], modelName=made)
    url = f"https://apigateway.amazonaws.com/restapis/{api['id']}/models/"
    assert json.loads(inline["schema"]) == {"type": "array", "items": {"$ref": f"{url}Note"}}
    note = await house.v1("GetModel", restApiId=api["id"], modelName="Note", flatten=True)
    assert json.loads(note["schema"]) == {
        "type": "object",
        "required": ["by"],
        "properties": {"by": {"$ref": "#/definitions/Person"}},
        "definitions": {"Person": schemas["Person"]},
    }
    await house.v1("CreateDeployment", restApiId=api["id"], stageName="dev")
    good = await house.request(api["id"], "POST", "/dev/a", body=b'{"by": {"name": "n"}}')
    bad = await house.request(api["id"], "POST", "/dev/a", body=b'{"by": {}}')
    assert (good.status, bad.status, bad.body) == (200, 400, b'{"message": "Invalid request body"}')


async def test_who_may_call() -> None:
    house = ApiHouse()
    schemes = {
        "tokens": TOKEN,
        "keys": {"type": "apiKey", "name": "X-API-Key", "in": "header"},
        "scopes": {"type": "oauth2", "flows": {}},
    }
    operation = {"security": [{"tokens": []}], "x-amazon-apigateway-integration": PROXY}
    other = {"security": [{"scopes": ["a"]}], "x-amazon-apigateway-integration": PROXY}
    opened_by_sam = {"security": [{"NONE": []}], "x-amazon-apigateway-integration": PROXY}
    body = oas30(
        {"/a": {"post": operation, "get": other, "put": opened_by_sam}},
        components={"securitySchemes": schemes},
        security=[{"tokens": []}],
    )

    api = await house.v1("ImportRestApi", body=body)

    [authorizer] = (await house.v1("GetAuthorizers", restApiId=api["id"]))["items"]
    assert authorizer == {
        "id": authorizer["id"],
        "name": "tokens",
        "type": "TOKEN",
        "authType": "custom",
        "authorizerUri": URI,
        "identitySource": "method.request.header.X-Token",
        "authorizerResultTtlInSeconds": 60,
    }
    asked = await method_of(house, api["id"])
    assert (asked["authorizationType"], asked["authorizerId"]) == ("CUSTOM", authorizer["id"])
    assert api["warnings"] == [
        "The security scheme 'scopes' on 'GET' for resource at path '/a' is no authorizer, it is ignored"
    ]
    for method in ("GET", "PUT"):
        assert (await method_of(house, api["id"], method=method))["authorizationType"] == "NONE"


@pytest.mark.parametrize(
    ("base_path", "expected"),
    [
        ("ignore", {"/", "/e", "/f"}),
        ("prepend", {"/", "/a", "/a/b", "/a/b/c", "/a/b/c/e", "/a/b/c/f"}),
        ("split", {"/", "/b", "/b/c", "/b/c/e", "/b/c/f"}),
    ],
)
@pytest.mark.parametrize(
    "document",
    [
        swagger({"/e": {}, "/f": {}}, basePath="/a/b/c"),
        oas30({"/e": {}, "/f": {}}, servers=[{"url": "https://x.example/a/b/c"}]),
        oas30(
            {"/e": {}, "/f": {}},
            servers=[{"url": "https://x.example/{basePath}", "variables": {"basePath": {"default": "a/b/c"}}}],
        ),
    ],
)
async def test_base_paths(document: bytes, base_path: str, expected: set[str]) -> None:
    house = ApiHouse()
    api = await house.v1("ImportRestApi", body=document, parameters={"basepath": base_path})
    assert await paths_of(house, api["id"]) == expected


async def test_settings_variables_and_documentation() -> None:
    house = ApiHouse()
    uri = URI.replace("us-east-1", "${AWS::Region}").replace("000000000000", "${AWS::AccountId}")
    more = {
        "x-amazon-apigateway-api-key-source": "AUTHORIZER",
        "x-amazon-apigateway-binary-media-types": ["image/png"],
        "x-amazon-apigateway-minimum-compression-size": 0,
        "x-amazon-apigateway-endpoint-configuration": {
            "disableExecuteApiEndpoint": True,
            "ipAddressType": "dualstack",
        },
        "x-amazon-apigateway-documentation": {
            "version": "v1",
            "documentationParts": [{"location": {"type": "API"}, "properties": {"info": {"description": "d"}}}],
        },
    }
    document = swagger({"/a": {"post": {"x-amazon-apigateway-integration": {**PROXY, "uri": uri}}}}, **more)

    api = await house.v1("ImportRestApi", body=document)

    assert api["warnings"] == ["ipAddressType is only supported for HTTP APIs, it is ignored"]
    assert (api["apiKeySource"], api["minimumCompressionSize"]) == ("AUTHORIZER", 0)
    assert (api["binaryMediaTypes"], api["disableExecuteApiEndpoint"]) == (["image/png"], True)
    assert (await method_of(house, api["id"]))["methodIntegration"]["uri"] == URI
    assert (await house.v1("GetDocumentationVersions", restApiId=api["id"]))["items"][0]["version"] == "v1"
    without = await house.v1("ImportRestApi", body=document, parameters={"ignore": "documentation"})
    assert (await house.v1("GetDocumentationParts", restApiId=without["id"]))["items"] == []
    at = {"restApiId": api["id"], "body": swagger({}), "mode": "overwrite"}
    await house.v1("PutRestApi", **at, parameters={"ignore": "documentation"})
    assert len((await house.v1("GetDocumentationParts", restApiId=api["id"]))["items"]) == 1
    await house.v1("PutRestApi", **at)
    assert (await house.v1("GetDocumentationParts", restApiId=api["id"]))["items"] == []


async def test_shared_integrations_are_for_http_apis() -> None:
    reference = {"$ref": "#/components/x-amazon-apigateway-integrations/a"}
    document = oas30(
        {"/a": {"get": {"x-amazon-apigateway-integration": reference}}},
        components={"x-amazon-apigateway-integrations": {"a": PROXY}},
    )
    with pytest.raises(ServiceError, match="x-amazon-apigateway-integrations are for HTTP APIs only of GET /a"):
        await ApiHouse().v1("ImportRestApi", body=document)


async def test_gateway_responses_and_policies() -> None:
    house = ApiHouse()
    allowed = {"Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"}
    document = swagger(
        {},
        **{
            "x-amazon-apigateway-gateway-responses": {
                "THROTTLED": {"statusCode": 503, "responseTemplates": {"a/b": "x"}}
            },
            "x-amazon-apigateway-policy": {"Version": "2012-10-17", "Statement": [allowed]},
        },
    )
    api = await house.v1("ImportRestApi", body=document)
    assert "execute-api:Invoke" in api["policy"]
    said = await house.v1("GetGatewayResponse", restApiId=api["id"], responseType="THROTTLED")
    assert (said["statusCode"], said["responseTemplates"], said["defaultResponse"]) == ("503", {"a/b": "x"}, False)
    wrong = swagger({}, **{"x-amazon-apigateway-gateway-responses": {"NEW": {}}})
    with pytest.raises(ServiceError, match="Unable to put gateway response 'NEW': Invalid response type: NEW"):
        await house.v1("ImportRestApi", body=wrong)


async def test_references_to_shared_parts() -> None:
    house = ApiHouse()
    operation = {
        "parameters": [{"$ref": "#/components/parameters/q"}],
        "requestBody": {"$ref": "#/components/requestBodies/b"},
        "responses": {"200": {"$ref": "#/components/responses/r"}},
        "x-amazon-apigateway-integration": PROXY,
    }
    components = {
        "parameters": {"q": {"name": "q", "in": "query", "required": True}},
        "requestBodies": {"b": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/M"}}}}},
        "responses": {"r": {"headers": {"X-A": {}}}},
        "schemas": {"M": {"type": "object"}},
    }
    api = await house.v1("ImportRestApi", body=oas30({"/a": {"post": operation}}, components=components))
    method = await method_of(house, api["id"])
    assert method["requestParameters"] == {"method.request.querystring.q": True}
    assert method["requestModels"] == {"application/json": "M"}
    assert method["methodResponses"]["200"]["responseParameters"] == {"method.response.header.X-A": False}


WARNED = "Unable to find model 'Missing' on 'POST' for resource at path '/a', it is ignored"


async def test_warnings_can_fail_an_import() -> None:
    house = ApiHouse()
    operation = {
        "parameters": [{"in": "body", "schema": {"$ref": "#/definitions/Missing"}}, {"in": "formData", "name": "f"}],
        "x-amazon-apigateway-integration": PROXY,
    }
    document = swagger({"/a": {"post": operation}})
    warnings = ["Parameters in formData are not supported of POST /a, parameter 'f' is ignored", WARNED]
    assert (await house.v1("ImportRestApi", body=document))["warnings"] == warnings
    with pytest.raises(ServiceError) as refused:
        await house.v1("ImportRestApi", body=document, failOnWarnings=True)
    told = "\n\t".join(warnings)
    assert (refused.value.code, refused.value.message) == (
        "BadRequestException",
        f"Warnings found during import:\n\t{told}",
    )
    assert len((await house.v1("GetRestApis"))["items"]) == 1


BAD_MAPPING = "Invalid mapping expression specified: Validation Result: warnings : [], errors : "


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (
            oas30({}, components={"schemas": {"a_b": {"type": "object"}}}),
            "Unable to create model 'a_b': Model name must be alphanumeric: a_b",
        ),
        (
            swagger({}, definitions={"a-b": {"type": "object"}}),
            "Unable to create model 'a-b': Model name must be alphanumeric: a-b",
        ),
        (
            swagger({}, securityDefinitions={"t": {**TOKEN, "x-amazon-apigateway-authorizer": {"type": "token"}}}),
            "Unable to create authorizer 't': Authorizer URI cannot be empty",
        ),
        (
            swagger(
                {},
                securityDefinitions={
                    "t": {
                        **TOKEN,
                        "x-amazon-apigateway-authorizer": {"type": "jwt", "jwtConfiguration": {"issuers": [1]}},
                    }
                },
            ),
            "Unable to create authorizer 't': Invalid JWT configuration specified: Expected `object`, got `int` - at "
            "`$.issuers[0]`",
        ),
        (
            swagger(
                {
                    "/a": {
                        "get": {
                            "x-amazon-apigateway-integration": {
                                **PROXY,
                                "type": "aws",
                                "requestParameters": {"integration.request.header.A": "method.request.path.id"},
                            }
                        }
                    }
                }
            ),
            f"Unable to put integration on 'GET' for resource at path '/a': {BAD_MAPPING}"
            "[Invalid mapping expression parameter specified: method.request.path.id]",
        ),
        (
            swagger(
                {
                    "/a": {
                        "get": {
                            "responses": {"200": {}},
                            "x-amazon-apigateway-integration": {
                                **PROXY,
                                "responses": {
                                    "default": {
                                        "statusCode": "200",
                                        "responseParameters": {"method.response.header.A": "'1'"},
                                    }
                                },
                            },
                        }
                    }
                }
            ),
            f"Unable to put integration on 'GET' for resource at path '/a': {BAD_MAPPING}"
            "[Invalid mapping expression parameter specified: method.response.header.A]",
        ),
    ],
)
async def test_what_cannot_be_imported(document: bytes, words: str) -> None:
    house = ApiHouse()
    with pytest.raises(ServiceError) as refused:
        await house.v1("ImportRestApi", body=document)
    assert (refused.value.code, refused.value.message) == (
        "BadRequestException",
        f"Errors found during import:\n\t{words}",
    )
    assert (await house.v1("GetRestApis"))["items"] == []


async def test_overwriting_and_merging_settings() -> None:
    house = ApiHouse()
    first = swagger({"/a": {"post": {}}}, definitions={"A": {"type": "object"}}, securityDefinitions={"t": TOKEN})
    api = await house.v1("ImportRestApi", body=first)
    second = swagger({"/b": {"post": {}}}, **{"x-amazon-apigateway-binary-media-types": ["a/b"]})

    merged = await house.v1("PutRestApi", restApiId=api["id"], body=second)
    names = {model["name"] for model in (await house.v1("GetModels", restApiId=api["id"]))["items"]}
    assert (merged["binaryMediaTypes"], await paths_of(house, api["id"])) == (["a/b"], {"/", "/a", "/b"})
    assert names == {"Empty", "Error", "A"}

    await house.v1("PutRestApi", restApiId=api["id"], body=swagger({"/b": {"post": {}}}), mode="overwrite")
    replaced = await house.v1("GetRestApi", restApiId=api["id"])
    assert "binaryMediaTypes" not in replaced
    assert (await house.v1("GetModels", restApiId=api["id"]))["items"] == []
    assert (await house.v1("GetAuthorizers", restApiId=api["id"]))["items"] == []
    assert await paths_of(house, api["id"]) == {"/", "/b"}


async def exported(house: ApiHouse, api_id: str, kind: str, extensions: str = "", accepts: str = "") -> Any:
    given = {"parameters": {"extensions": extensions}} if extensions else {}
    given |= {"accepts": accepts} if accepts else {}
    return await house.v1("GetExport", restApiId=api_id, stageName="dev", exportType=kind, **given)


async def test_an_export_tells_what_was_deployed() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /a/{id}")
    await house.v1(
        "UpdateRestApi", restApiId=api_id, patchOperations=[{"op": "replace", "path": "/name", "value": "x"}]
    )

    output = await exported(house, api_id, "oas30", "integrations")

    assert output["contentType"] == "application/json"
    assert output["contentDisposition"] == 'attachment; filename="oas30_2025-10-09_08-53Z.json"'
    assert json.loads(output["body"]) == {
        "openapi": "3.0.1",
        "info": {"title": "notes", "version": "2025-10-09T08:53:20Z"},
        "servers": [
            {
                "url": f"http://{api_id}.execute-api.localhost:4566/{{basePath}}",
                "variables": {"basePath": {"default": "dev"}},
            }
        ],
        "paths": {
            "/a": {},
            "/a/{id}": {
                "get": {
                    "responses": {},
                    "x-amazon-apigateway-integration": {
                        "type": "aws_proxy",
                        "httpMethod": "POST",
                        "uri": URI,
                        "passthroughBehavior": "when_no_match",
                    },
                }
            },
        },
        "components": {
            "schemas": {
                "Empty": {"title": "Empty Schema", "type": "object"},
                "Error": {
                    "title": "Error Schema",
                    "type": "object",
                    "properties": {"message": {"type": "string"}},
                },
            }
        },
    }
    plain = json.loads((await exported(house, api_id, "swagger"))["body"])
    assert (plain["swagger"], plain["basePath"], plain["paths"]["/a/{id}"]) == (
        "2.0",
        "/dev",
        {"get": {"responses": {}}},
    )
    as_yaml = await exported(house, api_id, "oas30", accepts="application/yaml")
    assert as_yaml["contentType"] == "application/yaml"
    assert as_yaml["body"].startswith(b"openapi: 3.0.1\n")


@pytest.mark.parametrize("kind", ["oas30", "swagger"])
async def test_postman_is_told_which_requests_it_signs(kind: str) -> None:
    house = ApiHouse()
    operation = {"x-amazon-apigateway-integration": PROXY, "x-amazon-apigateway-auth": {"type": "AWS_IAM"}}
    paths = {"/signed": {"post": operation}, "/open": {"post": {"x-amazon-apigateway-integration": PROXY}}}
    api_id = (await house.v1("ImportRestApi", body=swagger(paths)))["id"]
    await house.v1("CreateDeployment", restApiId=api_id, stageName="dev")

    plain = json.loads((await exported(house, api_id, kind, "integrations"))["body"])
    document = json.loads((await exported(house, api_id, kind, "integrations,postman"))["body"])

    signed = document["paths"]["/signed"]["post"].pop("x-postman-meta")
    assert document == plain
    assert signed == {
        "currentHelper": "awsSigV4",
        "helperAttributes": {
            "accessKey": "{{aws_access_key_id}}",
            "secretKey": "{{aws_secret_access_key}}",
            "region": "us-east-1",
            "service": "execute-api",
        },
    }


async def test_what_cannot_be_exported() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /a")
    for kind, extensions, words in (
        ("oas31", "", "Invalid export type: oas31. Must be one of [oas20, oas30, swagger]"),
        ("oas30", "x", "Invalid export parameter: extensions=x"),
    ):
        with pytest.raises(ServiceError) as refused:
            await exported(house, api_id, kind, extensions)
        assert (refused.value.code, refused.value.message) == ("BadRequestException", words)
    text = {"parameters": [{"in": "body", "schema": {"$ref": "#/definitions/A"}}], "consumes": ["text/plain"]}
    body = swagger({"/a": {"post": {**text, "x-amazon-apigateway-integration": PROXY}}}, definitions={"A": {}})
    api = await house.v1("ImportRestApi", body=body)
    await house.v1("CreateDeployment", restApiId=api["id"], stageName="dev")
    with pytest.raises(ServiceError) as refused:
        await exported(house, api["id"], "swagger")
    assert refused.value.message == "Only found non-JSON body models for POST /a"


async def test_documentation_in_an_export() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /a", deploy=False)
    for location, properties in (
        ({"type": "API"}, {"info": {"description": "d"}, "other": 1}),
        ({"type": "METHOD"}, {"summary": "s", "x-mine": 1, "mine": 2}),
        ({"type": "MODEL", "name": "Empty"}, {"description": "nothing"}),
    ):
        given = {"location": location, "properties": json.dumps(properties)}
        await house.v1("CreateDocumentationPart", restApiId=api_id, **given)
    await house.v1("CreateDeployment", restApiId=api_id, stageName="dev")
    await house.v1("CreateDocumentationVersion", restApiId=api_id, documentationVersion="1", stageName="dev")

    document = json.loads((await exported(house, api_id, "oas30", "documentation"))["body"])

    assert document["info"]["description"] == "d"
    assert document["paths"]["/a"]["get"] == {"summary": "s", "x-mine": 1, "responses": {}}
    assert document["components"]["schemas"]["Empty"]["description"] == "nothing"
    said = document["x-amazon-apigateway-documentation"]
    assert (said["version"], len(said["documentationParts"])) == ("1", 3)


async def test_a_sample_template() -> None:
    house = ApiHouse()
    api = await house.v1("CreateRestApi", name="n")
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "tags": {"type": "array", "items": {}}},
    }
    await house.v1(
        "CreateModel", restApiId=api["id"], name="M", contentType="application/json", schema=json.dumps(schema)
    )
    template = await house.v1("GetModelTemplate", restApiId=api["id"], modelName="M")
    assert template["value"] == (
        "#set($inputRoot = $input.path('$'))\n{\n"
        '  "name" : "foo",\n  "age" : 42,\n  "tags" : [\n'
        "##TODO: Update this foreach loop to reference array from input json\n"
        "#foreach($elem in $inputRoot)\n    {}#if($foreach.hasNext),#end\n\n#end\n  ]\n}"
    )


@pytest.mark.parametrize(
    ("operation_name", "params", "code", "words"),
    [
        (
            "CreateModel",
            {
                "name": "B",
                "contentType": "application/json",
                "schema": '{"$ref": "https://apigateway.amazonaws.com/restapis/x/models/Missing"}',
            },
            "BadRequestException",
            "Invalid model specified: Validation Result: warnings : [], errors : [Invalid model reference specified: "
            "https://apigateway.amazonaws.com/restapis/{id}/models/Missing]",
        ),
        (
            "DeleteModel",
            {"modelName": "Empty"},
            "ConflictException",
            "Cannot delete model 'Empty', is referenced in model 'A'",
        ),
        ("GetModelTemplate", {"modelName": "X"}, "NotFoundException", "Invalid model name specified: X"),
        (
            "UpdateModel",
            {"modelName": "A", "patchOperations": [{"op": "replace", "path": "/schema", "value": ""}]},
            "BadRequestException",
            "Model schema must have at least 1 property or array items defined",
        ),
        (
            "UpdateModel",
            {"modelName": "A", "patchOperations": [{"op": "add", "path": "/schema", "value": "{}"}]},
            "BadRequestException",
            "Invalid patch path  '/schema' specified for op 'add'. Please choose supported operations",
        ),
    ],
)
async def test_models_refer_to_models(operation_name: str, params: dict[str, Any], code: str, words: str) -> None:
    house = ApiHouse()
    api = await house.v1("CreateRestApi", name="n")
    url = f"https://apigateway.amazonaws.com/restapis/{api['id']}/models/Empty"
    await house.v1(
        "CreateModel",
        restApiId=api["id"],
        name="A",
        contentType="application/json",
        schema=json.dumps({"items": {"$ref": url}}),
    )
    with pytest.raises(ServiceError) as refused:
        await house.v1(operation_name, restApiId=api["id"], **params)
    assert (refused.value.code, refused.value.message) == (code, words.replace("{id}", api["id"]))


async def test_an_api_that_is_not_there_cannot_be_cloned() -> None:
    with pytest.raises(ServiceError) as refused:
        await ApiHouse().v1("CreateRestApi", name="n", cloneFrom="gone")
    assert (refused.value.code, refused.value.message) == (
        "BadRequestException",
        "Invalid API identifier specified 000000000000:gone",
    )


async def test_a_clone_changes_without_its_original() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /a/b")
    copy = await house.v1("CreateRestApi", name="copy", cloneFrom=api_id, description="d")
    assert (copy["name"], copy["description"], await paths_of(house, copy["id"])) == ("copy", "d", {"/", "/a", "/a/b"})
    await house.v1("CreateDeployment", restApiId=copy["id"], stageName="dev")
    await house.v1("DeleteRestApi", restApiId=api_id)
    assert (await house.request(copy["id"], "GET", "/dev/a/b")).status == 200


async def test_a_document_without_a_title() -> None:
    """What is imported is called after its day; what is merged keeps its name."""
    house = ApiHouse()
    body = json.dumps({"swagger": "2.0", "paths": {"/a": {}}}).encode()
    api = await house.v1("ImportRestApi", body=body)
    made = datetime.fromtimestamp(api["createdDate"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert api["name"] == f"Imported on {made}"
    named = await house.v1("CreateRestApi", name="mine")
    assert (await house.v1("PutRestApi", restApiId=named["id"], body=body))["name"] == "mine"
    told = json.dumps({"swagger": "2.0", "info": {"title": "t", "version": "7", "description": "d"}, "paths": {}})
    for document in (told, body):
        merged = await house.v1("PutRestApi", restApiId=named["id"], body=document)
        assert (merged["name"], merged["version"], merged["description"]) == ("mine", "7", "d")
    assert (await house.v1("PutRestApi", restApiId=named["id"], body=body, mode="overwrite"))["name"] == api["name"]
    assert await paths_of(house, named["id"]) == {"/", "/a"}


async def test_servers_that_are_no_list_say_nothing() -> None:
    house = ApiHouse()
    body = oas30({"/a": {}}, servers={"variables": {"basePath": {"default": "/v1"}}})
    api = await house.v1("ImportRestApi", body=body, parameters={"basepath": "prepend"})
    assert await paths_of(house, api["id"]) == {"/", "/a"}
    assert api["warnings"] == ["servers is not of type array, it is ignored"]
    with pytest.raises(ServiceError):
        await house.v1("ImportRestApi", body=body, failOnWarnings=True)


async def test_members_that_no_integration_has_are_warned_of() -> None:
    """As samples have them that run on AWS: a template a level too high, responses by another name."""
    house = ApiHouse()
    mock = {
        "type": "mock",
        "integrationResponses": {"default": {"statusCode": "200"}},
        "responses": {"default": {"statusCode": "200", "application/json": "{}"}},
    }
    operation = {"responses": {"200": {}}, "x-amazon-apigateway-integration": mock}
    api = await house.v1("ImportRestApi", body=swagger({"/a": {"post": operation}}))
    assert api["warnings"] == [
        "integrationResponses is no member of the integration of POST /a, it is ignored",
        "application/json is no member of a response of the integration of POST /a, it is ignored",
    ]
    assert (await method_of(house, api["id"]))["methodIntegration"]["integrationResponses"] == {
        "200": {"statusCode": "200"}
    }


async def test_what_only_yaml_can_say() -> None:
    house = ApiHouse()
    body = b"""
openapi: 3.0.1
info: {title: 2026, version: 2026-11-22}
paths: {/a: {post: {responses: {200: {description: ok}}}}}
components:
  schemas: {M: {type: object, properties: {on: {type: string}, ~: {type: string}, 2: {enum: [2020-01-01]}}}}
"""
    api = await house.v1("ImportRestApi", body=body)
    assert (api["name"], api["version"]) == ("2026", "2026-11-22")
    model = await house.v1("GetModel", restApiId=api["id"], modelName="M")
    assert json.loads(model["schema"])["properties"] == {
        "true": {"type": "string"},
        "null": {"type": "string"},
        "2": {"enum": ["2020-01-01"]},
    }
    assert set((await method_of(house, api["id"]))["methodResponses"]) == {"200"}


@pytest.mark.slow
async def test_a_document_that_grows_is_refused() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    body = "\n".join(["openapi: 3.0.1", "info: {title: t}", "paths: {}", *lines]).encode()
    for bomb in (body, b"openapi: 3.0.1\nx: &x [*x]\n"):
        with pytest.raises(ServiceError) as refused:
            await ApiHouse().v1("ImportRestApi", body=bomb)
        assert (refused.value.code, refused.value.message) == ("BadRequestException", "Invalid OpenAPI input.")


async def test_what_a_proxy_maps() -> None:
    house = ApiHouse()
    operation = {
        "parameters": [{"name": "q", "in": "query"}],
        "x-amazon-apigateway-integration": {
            **PROXY,
            "requestParameters": {"integration.request.querystring.q": "method.request.querystring.q"},
        },
    }
    api = await house.v1("ImportRestApi", body=swagger({"/a": {"post": operation}}))
    assert "requestParameters" in (await method_of(house, api["id"]))["methodIntegration"]
