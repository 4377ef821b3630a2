"""An API that is imported from what was exported of another is the same API, in each form that a document can have."""

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from unit.services.apigateway.fake_lambda import URI, ApiHouse

NAMES = st.sampled_from(["a", "b", "Note", "x1"])
HEADERS = st.sampled_from(["X-A", "X-B", "Accept-Language"])
PATHS = ["/", "/a", "/a/{id}", "/a/{id}/b", "/c.d", "/p/{proxy+}"]
EXTENSIONS = "apigateway,documentation"


def maps(keys: st.SearchStrategy[str], values: st.SearchStrategy[Any], most: int = 2) -> st.SearchStrategy[Any]:
    return st.dictionaries(keys, values, max_size=most)


SCHEMAS = st.one_of(
    st.just({"type": "string", "description": "d"}),
    st.just({"type": "array", "items": {"$ref": "#/components/schemas/Note"}}),
    st.just(
        {"type": "object", "properties": {"by": {"$ref": "#/components/schemas/Person"}, "at": {"type": "number"}}}
    ),
)
RESPONSES = st.fixed_dictionaries(
    {"description": st.just("x")},
    optional={
        "headers": maps(HEADERS, st.just({"schema": {"type": "string"}})),
        "content": maps(
            st.just("application/json"),
            st.sampled_from(["Note", "Person"]).map(lambda name: {"schema": {"$ref": f"#/components/schemas/{name}"}}),
        ),
    },
)
PARAMETERS = st.lists(
    st.fixed_dictionaries({"name": HEADERS, "in": st.sampled_from(["header", "query"]), "required": st.booleans()}),
    max_size=2,
    unique_by=lambda parameter: (parameter["name"], parameter["in"]),
)
REPLIES = maps(
    st.sampled_from(["default", "4\\d{2}", ".*late.*"]),
    st.fixed_dictionaries(
        {"statusCode": st.sampled_from(["200", "201", "404", "500"])},
        optional={
            "responseTemplates": maps(st.sampled_from(["application/json", "text/plain"]), st.just("$input.body")),
            "contentHandling": st.sampled_from(["CONVERT_TO_TEXT", "CONVERT_TO_BINARY"]),
        },
    ),
    most=3,
).filter(lambda replies: len({reply["statusCode"] for reply in replies.values()}) == len(replies))
INTEGRATIONS = st.one_of(
    st.just({"type": "aws_proxy", "httpMethod": "POST", "uri": URI, "passthroughBehavior": "when_no_match"}),
    st.fixed_dictionaries(
        {"type": st.just("mock"), "requestTemplates": maps(st.just("application/json"), st.just('{"statusCode":200}'))},
        optional={"responses": REPLIES, "passthroughBehavior": st.sampled_from(["never", "when_no_templates"])},
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["http", "http_proxy"]), "httpMethod": st.just("ANY"), "uri": st.just("http://b/c")},
        optional={
            "requestParameters": maps(st.just("integration.request.header.Z"), st.just("stageVariables.z")),
            "timeoutInMillis": st.integers(50, 29000),
            "credentials": st.just("arn:aws:iam::000000000000:role/r"),
            "cacheNamespace": NAMES,
            "cacheKeyParameters": st.lists(st.just("integration.request.header.Z"), max_size=1),
            "contentHandling": st.sampled_from(["CONVERT_TO_TEXT", "CONVERT_TO_BINARY"]),
            "responses": REPLIES,
        },
    ),
)
OPERATIONS = st.fixed_dictionaries(
    {"x-amazon-apigateway-integration": INTEGRATIONS},
    optional={
        "operationId": NAMES,
        "parameters": PARAMETERS,
        "requestBody": st.just({"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Note"}}}}),
        "responses": maps(st.sampled_from(["200", "404"]), RESPONSES),
        "security": st.sampled_from(
            [
                *([], [{"tokens": []}], [{"keys": []}], [{"tokens": []}, {"keys": []}], [{"v4": []}]),
                *([{"pools": ["a/b"]}], [{"pools": []}], [{"issuers": ["c"]}]),
            ]
        ),
        "x-amazon-apigateway-request-validator": st.sampled_from(["all", "body"]),
    },
)
VERBS = st.sampled_from(["get", "put", "post", "options", "x-amazon-apigateway-any-method"])
AUTHORIZER = {"type": "token", "authorizerUri": URI, "authorizerResultTtlInSeconds": 7}
DOCUMENTS = st.fixed_dictionaries(
    {
        "openapi": st.just("3.0.1"),
        "info": st.fixed_dictionaries({"title": NAMES, "version": NAMES}, optional={"description": NAMES}),
        "paths": maps(st.sampled_from(PATHS), maps(VERBS, OPERATIONS), 3).filter(lambda paths: any(paths.values())),
        "components": st.fixed_dictionaries(
            {
                "schemas": st.fixed_dictionaries({"Note": SCHEMAS, "Person": st.just({"type": "object"})}),
                "securitySchemes": st.just(
                    {
                        "tokens": {
                            "type": "apiKey",
                            "name": "X-Token",
                            "in": "header",
                            "x-amazon-apigateway-authorizer": AUTHORIZER,
                        },
                        "pools": {
                            "type": "apiKey",
                            "name": "Authorization",
                            "in": "header",
                            "x-amazon-apigateway-authtype": "cognito_user_pools",
                            "x-amazon-apigateway-authorizer": {
                                "type": "cognito_user_pools",
                                "providerARNs": [
                                    "arn:aws:cognito-idp:us-east-1:000000000000:userpool/us-east-1_AbCdEf123"
                                ],
                            },
                        },
                        "issuers": {
                            "type": "apiKey",
                            "name": "Authorization",
                            "in": "header",
                            "x-amazon-apigateway-authorizer": {
                                "type": "jwt",
                                "jwtConfiguration": {
                                    "issuers": [{"issuer": "https://i.example", "audiences": ["a"]}],
                                    "defaultAlgorithms": ["RS256"],
                                },
                            },
                        },
                        "keys": {"type": "apiKey", "name": "x-api-key", "in": "header"},
                        "v4": {
                            "type": "apiKey",
                            "name": "Authorization",
                            "in": "header",
                            "x-amazon-apigateway-authtype": "awsSigv4",
                        },
                    }
                ),
            }
        ),
        "x-amazon-apigateway-request-validators": st.just({"all": {"validateRequestParameters": True}, "body": {}}),
    },
    optional={
        "tags": st.just([{"name": "t", "x-amazon-apigateway-tag-value": "v"}]),
        "x-amazon-apigateway-binary-media-types": st.just(["image/png", "*/*"]),
        "x-amazon-apigateway-minimum-compression-size": st.integers(0, 10),
        "x-amazon-apigateway-api-key-source": st.just("AUTHORIZER"),
        "x-amazon-apigateway-gateway-responses": maps(
            st.sampled_from(["DEFAULT_4XX", "THROTTLED"]),
            st.just({"statusCode": "418", "responseTemplates": {"application/json": "{}"}}),
        ),
        "x-amazon-apigateway-documentation": st.just(
            {
                "version": "v",
                "documentationParts": [
                    {"location": {"type": "METHOD", "path": "/a"}, "properties": {"description": "d", "x-y": [1]}},
                    {"location": {"type": "RESPONSE", "statusCode": "404"}, "properties": {"description": "gone"}},
                ],
            }
        ),
    },
)


async def imported(house: ApiHouse, body: bytes) -> str:
    """Return the id of an API made of a document, deployed to `dev` and described by its documentation."""
    api = await house.v1("ImportRestApi", body=body)
    assert "warnings" not in api
    await house.v1("CreateDeployment", restApiId=api["id"], stageName="dev")
    for version in (await house.v1("GetDocumentationVersions", restApiId=api["id"]))["items"]:
        patch = [{"op": "replace", "path": "/documentationVersion", "value": version["version"]}]
        await house.v1("UpdateStage", restApiId=api["id"], stageName="dev", patchOperations=patch)
    return str(api["id"])


async def whole(house: ApiHouse, api_id: str) -> Any:
    """Return all that makes up an API, with names in place of ids."""
    resources = (await house.v1("GetResources", restApiId=api_id, embed=["methods"], limit=500))["items"]
    validators = (await house.v1("GetRequestValidators", restApiId=api_id))["items"]
    authorizers = (await house.v1("GetAuthorizers", restApiId=api_id))["items"]
    models = (await house.v1("GetModels", restApiId=api_id))["items"]
    names = {item["id"]: item["name"] for item in [*validators, *authorizers]}
    names |= {item["id"]: item["path"] for item in resources} | {api_id: "api"}
    text = json.dumps(
        {
            "paths": sorted(resources, key=lambda item: item["path"]),
            # An import writes a model's text anew: without $schema, and without blanks.
            "models": {model["name"]: {**json.loads(model["schema"]), "$schema": None} for model in models},
            "validators": sorted(validators, key=lambda item: item["name"]),
            "authorizers": sorted(authorizers, key=lambda item: item["name"]),
            "documentation": sorted(
                [
                    (json.dumps(part["location"]), json.loads(part["properties"]))
                    for part in (await house.v1("GetDocumentationParts", restApiId=api_id))["items"]
                ]
            ),
            "said": [
                found
                for found in (await house.v1("GetGatewayResponses", restApiId=api_id, limit=100))["items"]
                if not found["defaultResponse"]
            ],
        },
        sort_keys=True,
    )
    for one, name in names.items():
        text = text.replace(f'"{one}"', f'"{name}"').replace(f"/{one}/", f"/{name}/")
    return json.loads(text)


async def export_of(house: ApiHouse, api_id: str, kind: str, accepts: str) -> bytes:
    output = await house.v1(
        "GetExport",
        restApiId=api_id,
        stageName="dev",
        exportType=kind,
        parameters={"extensions": EXTENSIONS},
        accepts=accepts,
    )
    return bytes(output["body"])


async def cloned(document: Any) -> None:
    house = ApiHouse()
    source = await imported(house, json.dumps(document).encode())
    copy = await house.v1("CreateRestApi", name="copy", cloneFrom=source)
    original = await house.v1("GetRestApi", restApiId=source)
    for member in ("binaryMediaTypes", "minimumCompressionSize", "apiKeySource"):
        assert copy.get(member) == original.get(member)
    assert await whole(house, copy["id"]) == await whole(house, source)


@settings(deadline=None, max_examples=15)
@given(DOCUMENTS)
def test_a_clone_is_the_same_api(document: Any) -> None:
    asyncio.run(cloned(document))


async def round_trip(document: Any, kind: str, accepts: str) -> None:
    house = ApiHouse()
    # What the first import makes of a document may be more than the document says; from there on nothing changes.
    first = await imported(house, json.dumps(document).encode())
    told = await export_of(house, first, kind, accepts)
    second = await imported(house, told)
    again = await export_of(house, second, kind, accepts)
    assert again.replace(second.encode(), b"api") == told.replace(first.encode(), b"api")
    assert await whole(house, second) == await whole(house, first)


@settings(deadline=None, max_examples=40)
@given(DOCUMENTS, st.sampled_from(["oas30", "swagger"]), st.sampled_from(["application/json", "application/yaml"]))
def test_a_rest_api_comes_back(document: Any, kind: str, accepts: str) -> None:
    asyncio.run(round_trip(document, kind, accepts))


HTTP_OPERATIONS = st.fixed_dictionaries(
    {
        "x-amazon-apigateway-integration": st.one_of(
            st.fixed_dictionaries(
                {
                    "type": st.just("aws_proxy"),
                    "httpMethod": st.just("POST"),
                    "uri": st.just(URI),
                    "payloadFormatVersion": st.sampled_from(["1.0", "2.0"]),
                },
                optional={"timeoutInMillis": st.integers(50, 30000)},
            ),
            st.fixed_dictionaries(
                {
                    "type": st.just("http_proxy"),
                    "httpMethod": st.sampled_from(["GET", "ANY"]),
                    "uri": st.just("http://b.example/c"),
                },
                optional={
                    "payloadFormatVersion": st.just("1.0"),
                    "requestParameters": st.just({"append:header.a": "$context.requestId"}),
                    "responseParameters": st.just({"200": {"overwrite:header.b": "c"}}),
                },
            ),
        )
    },
    optional={
        "operationId": NAMES,
        "security": st.sampled_from([[], [{"jwt": ["a", "b"]}], [{"function": []}]]),
    },
)
HTTP_DOCUMENTS = st.fixed_dictionaries(
    {
        "openapi": st.just("3.0.1"),
        "info": st.fixed_dictionaries({"title": NAMES, "version": NAMES}, optional={"description": NAMES}),
        "paths": maps(st.sampled_from([*PATHS, "/$default"]), maps(VERBS, HTTP_OPERATIONS), 3).map(
            lambda paths: {
                path: operations
                if path != "/$default"
                else {"x-amazon-apigateway-any-method": next(iter(operations.values()))}
                for path, operations in paths.items()
                if operations
            }
        ),
        "components": st.just(
            {
                "securitySchemes": {
                    "jwt": {
                        "type": "oauth2",
                        "x-amazon-apigateway-authorizer": {
                            "type": "jwt",
                            "identitySource": "$request.header.Authorization",
                            "jwtConfiguration": {"issuer": "https://i.example", "audience": ["a"]},
                        },
                    },
                    "function": {
                        "type": "apiKey",
                        "name": "X-T",
                        "in": "header",
                        "x-amazon-apigateway-authorizer": {
                            "type": "request",
                            "identitySource": "$request.header.X-T",
                            "authorizerUri": URI,
                            "authorizerPayloadFormatVersion": "2.0",
                            "authorizerResultTtlInSeconds": 5,
                            "enableSimpleResponses": True,
                        },
                    },
                }
            }
        ),
    },
    optional={
        "tags": st.just([{"name": "t", "x-amazon-apigateway-tag-value": "v"}]),
        "x-amazon-apigateway-cors": st.just({"allowOrigins": ["*"], "maxAge": 5}),
        "servers": st.just(
            [{"url": "/", "x-amazon-apigateway-endpoint-configuration": {"disableExecuteApiEndpoint": True}}]
        ),
    },
)


async def http_round_trip(document: Any, staged: bool, output_type: str) -> None:
    house = ApiHouse()

    async def import_and_export(body: str) -> str:
        api_id = (await house.v2("ImportApi", Body=body))["ApiId"]
        await house.v2("CreateStage", ApiId=api_id, StageName="v1", AutoDeploy=True)
        stage = {"StageName": "v1"} if staged else {}
        output = await house.v2("ExportApi", ApiId=api_id, Specification="OAS30", OutputType=output_type, **stage)
        return str(output["body"].decode()).replace(api_id, "api")

    told = await import_and_export(json.dumps(document))
    assert await import_and_export(told) == told


@settings(deadline=None, max_examples=40)
@given(HTTP_DOCUMENTS.filter(lambda document: document["paths"]), st.booleans(), st.sampled_from(["JSON", "YAML"]))
def test_an_http_api_comes_back(document: Any, staged: bool, output_type: str) -> None:
    asyncio.run(http_round_trip(document, staged, output_type))
