"""What REST APIs refuse rather than take and leave: settings for nothing, names twice, more than AWS has room for."""

import json
from typing import Any

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from unit.services.apigateway.fake_lambda import ApiHouse
from unit.services.apigateway.test_rest_control import refused

BAD = "BadRequestException"
LIMIT = "LimitExceededException"
POOL = "arn:aws:cognito-idp:us-east-1:000000000000:userpool/us-east-1_x"
MAPPING = (
    "Invalid mapping expression specified: Validation Result: warnings : [], errors : "
    "[Invalid mapping expression parameter specified: "
)
MOCK = {"x-amazon-apigateway-integration": {"type": "mock", "responses": {"default": {"statusCode": "200"}}}}


@pytest.mark.parametrize(
    "member",
    [
        {"stageDescription": "d"},
        {"variables": {"a": "b"}},
        {"cacheClusterEnabled": False},
        {"cacheClusterSize": "0.5"},
        {"canarySettings": {"percentTraffic": 1.0}},
        {"tracingEnabled": True},
    ],
)
async def test_settings_of_no_stage(member: dict[str, Any]) -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /a", deploy=False)
    told = await refused(house, "CreateDeployment", restApiId=api_id, **member)
    assert told == (BAD, f"{next(iter(member))} cannot be specified without stageName")
    assert (await house.v1("GetDeployments", restApiId=api_id))["items"] == []


@pytest.mark.parametrize(
    ("variables", "error"),
    [
        ({f"v{number}": "x" for number in range(101)}, (LIMIT, "Maximum number of stage variables for this stage")),
        ({"a" * 65: "x"}, (BAD, f"Stage variable too long: {'a' * 65}.")),
        ({"a": "x" * 513}, (BAD, "Stage variable too long: a.")),
    ],
)
async def test_more_variables_than_a_stage_has_room_for(variables: dict[str, str], error: tuple[str, str]) -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /a")
    told = await refused(house, "CreateDeployment", restApiId=api_id, stageName="dev", variables=variables)
    assert (told[0], told[1][: len(error[1])]) == error


async def test_deployments_make_no_more_stages_than_an_api_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cumulet.services.apigateway.limits.STAGES_PER_API_MAX", 1)
    house = ApiHouse()
    api_id = await house.rest_api("GET /a")
    told = await refused(house, "CreateDeployment", restApiId=api_id, stageName="more")
    assert told == (LIMIT, "Maximum number of stages for this API has been reached.")
    await house.v1("CreateDeployment", restApiId=api_id, stageName="dev")


async def test_what_is_too_much_for_a_stage_or_a_path() -> None:
    house = ApiHouse()
    stage = {"restApiId": await house.rest_api("GET /a/b/c"), "stageName": "dev"}
    many = json.dumps({f"a{number}/GET": {"metricsEnabled": True} for number in range(3_001)})
    patches = [{"op": "replace", "path": "/methodSettings", "value": many}]
    assert (await refused(house, "UpdateStage", **stage, patchOperations=patches))[0] == LIMIT
    patches[0]["value"] = "[" * 100_000
    told = await refused(house, "UpdateStage", **stage, patchOperations=patches)
    assert told == (BAD, f"Invalid patch value {'[' * 200}... specified for path /methodSettings")
    items = (await house.v1("GetResources", restApiId=stage["restApiId"]))["items"]
    ids = {item["path"]: item["id"] for item in items}
    long = (BAD, "The ARNs of the resource's methods would be longer than 1600 bytes")
    above = {"restApiId": stage["restApiId"], "parentId": ids["/a"]}
    assert await refused(house, "CreateResource", **above, pathPart="p" * 1_398) == long
    made = await house.v1("CreateResource", **above, pathPart="p" * 1_397)
    moved = [{"op": "replace", "path": "/parentId", "value": made["id"]}]
    under = {"restApiId": stage["restApiId"], "resourceId": ids["/a/b"]}
    assert await refused(house, "UpdateResource", **under, patchOperations=moved) == long


@pytest.mark.parametrize("tags", [{"": "v"}, {"k" * 129: "v"}, {"k": "v" * 257}])
async def test_tags_that_are_too_long(tags: dict[str, str]) -> None:
    told = await refused(ApiHouse(), "CreateRestApi", name="n", tags=tags)
    words = "A key has 1 to 128 characters, and a value at most 256"
    assert told == (BAD, f"Invalid tag: {next(iter(tags))}. {words}")


async def test_an_authorizer_is_not_renamed_to_another_s_name() -> None:
    house = ApiHouse()
    api = {"restApiId": await house.rest_api(deploy=False)}
    given = {"type": "COGNITO_USER_POOLS", "providerARNs": [POOL], "identitySource": "method.request.header.A"}
    await house.v1("CreateAuthorizer", **api, name="one", **given)
    other = {**api, "authorizerId": (await house.v1("CreateAuthorizer", **api, name="two", **given))["id"]}
    rename = {"op": "replace", "path": "/name", "value": "one"}
    told = await refused(house, "UpdateAuthorizer", **other, patchOperations=[rename])
    assert told == (BAD, "Authorizer name must be unique. Authorizer one already exists in this RestApi.")
    same = [{**rename, "value": "two"}, {"op": "remove", "path": "/identitySource"}]
    assert (await refused(house, "UpdateAuthorizer", **other, patchOperations=same))[
        1
    ] == "Identity source cannot be empty"
    same[1] = {"op": "add", "path": "/identitySource", "value": "method.request.header.B"}
    changed = await house.v1("UpdateAuthorizer", **other, patchOperations=same)
    assert changed["identitySource"] == "method.request.header.B"
    nowhere = await refused(house, "GetAuthorizer", restApiId="none", authorizerId=other["authorizerId"])
    assert nowhere == ("NotFoundException", "Invalid API identifier specified 000000000000:none")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"timeoutInMillis": 0}, "Timeout should be between 50 ms and 29000 ms"),
        ({"cacheKeyParameters": ["id"]}, f"{MAPPING}id]"),
        ({"cacheKeyParameters": ["method.request.path.id"]}, f"{MAPPING}method.request.path.id]"),
    ],
)
async def test_integrations_that_ask_for_what_is_not_there(given: dict[str, Any], words: str) -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /a", deploy=False)
    [at] = [item for item in (await house.v1("GetResources", restApiId=api_id))["items"] if item["path"] == "/a"]
    method = {"restApiId": api_id, "resourceId": at["id"], "httpMethod": "GET"}
    assert await refused(house, "PutIntegration", **method, type="MOCK", **given) == (BAD, words)


@pytest.mark.parametrize(
    ("path", "known"),
    [("/type", True), ("/uri", True), ("/httpMethod", True), ("/passthroughBehavior", False)],
)
async def test_what_an_integration_of_type_mock_cannot_change(path: str, known: bool) -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /a", deploy=False)
    [at] = [item for item in (await house.v1("GetResources", restApiId=api_id))["items"] if item["path"] == "/a"]
    method = {"restApiId": api_id, "resourceId": at["id"], "httpMethod": "GET"}
    await house.v1("PutIntegration", **method, type="MOCK")
    patches = [{"op": "replace", "path": path, "value": "NEVER"}]
    if not known:
        assert (await house.v1("UpdateIntegration", **method, patchOperations=patches))[
            "passthroughBehavior"
        ] == "NEVER"
        return
    told = await refused(house, "UpdateIntegration", **method, patchOperations=patches)
    assert told[1].startswith(f"Invalid patch path  '{path}' specified for op 'replace'. Must be one of: [/cacheKey")


async def test_models_have_the_keywords_of_draft_4_only() -> None:
    house = ApiHouse()
    api = {"restApiId": await house.rest_api(deploy=False)}
    schema = json.dumps({"type": "object", "properties": {"a": {"nullable": True, "$id": "x"}}})
    words = (
        "Invalid model specified: Validation Result: warnings : [], errors : [Invalid model schema specified. "
        'Unsupported keyword(s): ["$id", "nullable"]]'
    )
    given = {**api, "name": "M", "contentType": "application/json"}
    assert await refused(house, "CreateModel", **given, schema=schema) == (BAD, words)
    await house.v1("CreateModel", **given, schema="{}")
    patches = [{"op": "replace", "path": "/schema", "value": schema}]
    assert await refused(house, "UpdateModel", **api, modelName="M", patchOperations=patches) == (BAD, words)


async def test_documentation_of_what_is_no_method() -> None:
    house = ApiHouse()
    part = {"restApiId": await house.rest_api(deploy=False), "properties": '{"a": 1}'}
    told = await refused(house, "CreateDocumentationPart", **part, location={"type": "METHOD", "method": "get"})
    assert told == (BAD, "Invalid documentation part location: get is no HTTP method")
    for method in ("GET", "*"):
        await house.v1("CreateDocumentationPart", **part, location={"type": "METHOD", "method": method})


async def test_a_file_of_keys_says_true_or_false() -> None:
    house = ApiHouse()
    lines = ["name,key,enabled", f"a,{'a' * 30},TRUE", f"b,{'b' * 30},maybe", f"c,{'c' * 30},False"]
    made = await house.v1("ImportApiKeys", format="csv", body="\n".join(lines).encode())
    assert made["warnings"] == ["Line 3: Enabled must be true or false"]
    keys = (await house.v1("GetApiKeys"))["items"]
    assert sorted((key["name"], key["enabled"]) for key in keys) == [("a", True), ("c", False)]


def document(**members: Any) -> str:
    """Return a document of OpenAPI 3 with one method."""
    paths = {"/a": {"get": MOCK}}
    return json.dumps({"openapi": "3.0.1", "info": {"title": "t"}, "paths": paths, **members})


@pytest.mark.parametrize(
    ("body", "warning"),
    [
        (
            document(**{"x-amazon-apigateway-cors": {"allowOrigins": ["*"]}}),
            "x-amazon-apigateway-cors is only supported for HTTP APIs, it is ignored",
        ),
        (
            document(components={"x-amazon-apigateway-integrations": {"a": {}}}),
            "x-amazon-apigateway-integrations is only supported for HTTP APIs, it is ignored",
        ),
        (
            document(
                paths={
                    "/a": {
                        "get": {
                            "x-amazon-apigateway-integration": {
                                "type": "mock",
                                "responses": {"default": {"statusCode": "200"}, "2..": {"statusCode": 200}, "404": {}},
                            }
                        }
                    }
                }
            ),
            "The response default of the integration of GET /a gives way to another of its status",
        ),
        (document(paths={"/a": {"trace": MOCK}}), "TRACE is not supported for path '/a', it is ignored"),
        (
            document(paths={"/a": {"get": {**MOCK, "responses": {"4XX": {}, "default": {}, "200": {}}}}}),
            "The response 4XX of GET /a is not supported, it is ignored",
        ),
        (
            document(**{"x-amazon-apigateway-gateway-responses": {"THROTTLED": {"status": 1}}}),
            "status is no member of the gateway response THROTTLED, it is ignored",
        ),
    ],
)
async def test_what_a_document_says_in_vain_is_a_warning(body: str, warning: str) -> None:
    house = ApiHouse()
    assert (await house.v1("ImportRestApi", body=body))["warnings"] == [warning]
    told = await refused(house, "ImportRestApi", body=body, failOnWarnings=True)
    assert told == (BAD, f"Warnings found during import:\n\t{warning}")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (document(openapi="2.0"), "Invalid OpenAPI input."),
        (json.dumps({"swagger": "1.2", "paths": {}}), "Invalid OpenAPI input."),
        (
            document(paths={"/a": {"get": {**MOCK, "parameters": [{"in": "query"}]}}}),
            "Unable to parse API definition because of a malformed parameters of GET /a",
        ),
        (document(paths={"/a": {"$ref": "#/paths/~1b"}}), "The reference #/paths/~1b/a leads nowhere"),
    ],
)
async def test_documents_that_are_none(body: str, words: str) -> None:
    assert await refused(ApiHouse(), "ImportRestApi", body=body) == (BAD, words)


@pytest.mark.parametrize("place", ["components", "info"])
async def test_extensions_that_aws_does_not_have_are_refused_wherever_they_stand(place: str) -> None:
    body = document(**{place: {"x-amazon-apigateway-magic": 1}})
    with pytest.raises(NotImplementedHere, match=f"The extension x-amazon-apigateway-magic of {place}"):
        await ApiHouse().v1("ImportRestApi", body=body)


async def test_a_path_may_refer_to_another() -> None:
    house = ApiHouse()
    paths = {"/a": {"$ref": "#/paths/~1b"}, "/b": {"get": MOCK}}
    api = await house.v1("ImportRestApi", body=document(paths=paths))
    items = (await house.v1("GetResources", restApiId=api["id"]))["items"]
    assert {item["path"]: list(item.get("resourceMethods", ())) for item in items} == {
        "/": [],
        "/a": ["GET"],
        "/b": ["GET"],
    }


async def test_an_index_that_no_list_has_leads_nowhere() -> None:
    models = {"A": {"allOf": [{}]}, "B": {"$ref": f"#/components/schemas/A/allOf/{'9' * 5000}"}}
    assert (await schemas_of(ApiHouse(), models))["B"] == {}


async def schemas_of(house: ApiHouse, models: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas of the models that a document makes."""
    api = await house.v1("ImportRestApi", body=document(components={"schemas": models}))
    items = (await house.v1("GetModels", restApiId=api["id"]))["items"]
    shown = {item["name"]: json.loads(item["schema"].replace(api["id"], "ID")) for item in items}
    return {name: shown[name] for name in models}


async def test_a_model_has_a_copy_of_the_part_of_another_that_it_refers_to() -> None:
    place = "#/components/schemas"
    models = {
        "A": {"properties": {"c": {"$ref": f"{place}/B/properties/x"}, "own": {"$ref": f"{place}/A/properties/c"}}},
        "B": {
            "properties": {
                "x": {"type": "array", "items": {"$ref": f"{place}/B/properties/y"}},
                "y": {"allOf": [{"$ref": f"{place}/C"}]},
                "z": {"$ref": f"{place}/B/properties/x"},
            }
        },
        "C": {"type": "object"},
        "D": {"$ref": f"{place}/B/properties/y/allOf/0"},
    }
    shown = await schemas_of(ApiHouse(), models)
    c = {"allOf": [{"$ref": "https://apigateway.amazonaws.com/restapis/ID/models/C"}]}
    assert shown["A"] == {
        "properties": {"c": {"type": "array", "items": c}, "own": {"$ref": "#/properties/c"}},
    }
    assert shown["B"]["properties"]["z"] == {"$ref": "#/properties/x"}
    assert shown["D"] == c["allOf"][0]


@pytest.mark.parametrize(
    "models",
    [
        {
            "A": {"$ref": "#/components/schemas/B/properties/x"},
            "B": {"properties": {"x": {"items": {"$ref": "#/components/schemas/B/properties/x"}}}},
        },
        {
            "A": {"$ref": "#/components/schemas/B/p19"},
            "B": {
                f"p{number}": {"allOf": [{"$ref": f"#/components/schemas/B/p{max(number - 1, 0)}"}] * 2}
                for number in range(20)
            },
        },
        {
            "A": {"allOf": [{"$ref": "#/components/schemas/B/enum"}] * 900},
            "B": {"enum": list(range(1000))},
        },
    ],
)
async def test_copies_end(models: dict[str, Any]) -> None:
    with pytest.raises(ServiceError, match=r"Unable to create model 'A': The reference .* leads to too many others"):
        await schemas_of(ApiHouse(), models)
