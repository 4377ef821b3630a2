"""JSON Patch in the REST control plane: what each path does, and what is refused in which words."""

from typing import Any

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway.control.v1 import patching
from unit.services.apigateway.fake_lambda import URI, ApiHouse

TABLE = patching.table(
    """
    /name            text    replace
    /on              flag    replace
    /size            number  replace
    /tags/{key}      texts   add replace remove
    /xParameters/{p} flags   add replace remove
    /scopes          members add remove
    /types/{type}    listed  add replace remove
    /tls/strict      flag    replace
    /elsewhere       refused replace
    """
)


def patch(op: str, path: str, value: str | None = None) -> dict[str, Any]:
    return {"op": op, "path": path} | ({} if value is None else {"value": value})


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([patch("replace", "/name", "n")], {"name": "n"}),
        ([patch("replace", "/name")], {"name": None}),
        ([patch("replace", "/on", "TRUE")], {"on": True}),
        ([patch("replace", "/size", "12")], {"size": 12}),
        ([patch("add", "/tags/a~1b~0", "1"), patch("replace", "/tags/a~1b~0", "2")], {"tags": {"a/b~": "2"}}),
        ([patch("add", "/tags/a", "1"), patch("remove", "/tags/a")], {"tags": {}}),
        ([patch("add", "/xParameters/a.b", "true"), patch("add", "/xParameters/c")], "flags"),
        ([patch("add", "/scopes", "a"), patch("add", "/scopes", "b"), patch("remove", "/scopes", "a")], "scopes"),
        ([patch("add", "/types/a~1b"), patch("add", "/types/c"), patch("replace", "/types/a~1b", "d")], "types"),
        ([patch("add", "/types/a"), patch("replace", "/types/0", "b")], {"types": ["b"]}),
        ([patch("replace", "/tls/strict", "true")], {"tls": {"strict": True}}),
    ],
)
def test_what_a_patch_does(operations: list[dict[str, Any]], expected: Any) -> None:
    named = {
        "flags": {"xParameters": {"a.b": True, "c": False}},
        "scopes": {"scopes": ["b"]},
        "types": {"types": ["d", "c"]},
    }
    assert patching.patched({}, operations, TABLE) == (named[expected] if isinstance(expected, str) else expected)


LISTED = "[/name, /on, /size, /tags/{key}, /xParameters/{p}, /types/{type}, /tls/strict, /elsewhere]"


@pytest.mark.parametrize(
    ("operation", "code", "words"),
    [
        (
            patch("replace", "/x", "1"),
            "BadRequestException",
            f"Invalid patch path  '/x' specified for op 'replace'. Must be one of: {LISTED}",
        ),
        (
            patch("remove", "/name"),
            "BadRequestException",
            "Invalid patch path  '/name' specified for op 'remove'. Must be one of: [/tags/{key}, /xParameters/{p}, "
            "/scopes, /types/{type}]",
        ),
        (
            patch("copy", "/name"),
            "BadRequestException",
            "Invalid patch path  '/name' specified for op 'copy'. Please choose supported operations",
        ),
        (
            patch("replace", "name", "1"),
            "BadRequestException",
            f"Invalid patch path  'name' specified for op 'replace'. Must be one of: {LISTED}",
        ),
        (patch("delete", "/name"), "BadRequestException", "Invalid patch operation specified: delete"),
        (
            patch("replace", "/size", "1e3"),
            "BadRequestException",
            "Invalid patch value 1e3 specified for path /size",
        ),
        (patch("remove", "/xParameters/a"), "NotFoundException", "Invalid parameter name specified"),
        (patch("replace", "/tags/a", "1"), "NotFoundException", "Invalid content type specified"),
    ],
)
def test_what_a_patch_is_refused_for(operation: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(ServiceError) as refused:
        patching.patched({}, [operation], TABLE)
    assert (refused.value.code, refused.value.message) == (code, words)


def test_a_path_that_is_elsewhere_is_refused_by_name() -> None:
    with pytest.raises(NotImplementedHere, match="The patch path /elsewhere"):
        patching.patched({}, [patch("replace", "/elsewhere", "1")], TABLE)


async def tree(house: ApiHouse, api_id: str) -> dict[str, str]:
    """Return the ids of an API's resources by path."""
    return {item["path"]: item["id"] for item in (await house.v1("GetResources", restApiId=api_id))["items"]}


async def test_a_resource_moves_with_what_is_below_it() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /a/b/c", "GET /d", deploy=False)
    ids = await tree(house, api_id)
    operations = [patch("replace", "/parentId", ids["/d"]), patch("replace", "/pathPart", "x")]

    moved = await house.v1("UpdateResource", restApiId=api_id, resourceId=ids["/a/b"], patchOperations=operations)

    assert moved == {"id": ids["/a/b"], "path": "/d/x", "pathPart": "x", "parentId": ids["/d"]}
    assert set(await tree(house, api_id)) == {"/", "/a", "/d", "/d/x", "/d/x/c"}


@pytest.mark.parametrize(
    ("path", "operation", "code", "words"),
    [
        ("/", patch("replace", "/pathPart", "x"), "BadRequestException", "Root resource cannot update its pathPart."),
        ("/", patch("replace", "/parentId", "x"), "BadRequestException", "Root resource cannot update its parentId."),
        ("/a", patch("replace", "/parentId", "{/a/b}"), "BadRequestException", "Resources cannot be cyclical."),
        ("/a", patch("replace", "/parentId", "zz"), "NotFoundException", "Invalid Resource identifier specified"),
        (
            "/a",
            patch("replace", "/pathPart", "d"),
            "ConflictException",
            "Another resource with the same parent already has this name: d",
        ),
        (
            "/a",
            patch("replace", "/pathPart", "{p+}"),
            "BadRequestException",
            "Cannot create a child of a resource with a greedy path variable: {p+}",
        ),
        (
            "/a",
            patch("add", "/pathPart", "d"),
            "BadRequestException",
            "Invalid patch path  '/pathPart' specified for op 'add'. Please choose supported operations",
        ),
    ],
)
async def test_where_a_resource_cannot_go(path: str, operation: dict[str, Any], code: str, words: str) -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /a/b", "GET /d", deploy=False)
    ids = await tree(house, api_id)
    value = operation.get("value", "")
    operation = {**operation, "value": ids.get(value.strip("{}"), value)}
    with pytest.raises(ServiceError) as refused:
        await house.v1("UpdateResource", restApiId=api_id, resourceId=ids[path], patchOperations=[operation])
    assert (refused.value.code, refused.value.message) == (code, words)
    assert set(await tree(house, api_id)) == {"/", "/a", "/a/b", "/d"}


async def a_method(house: ApiHouse) -> dict[str, str]:
    """Return what names a method with an integration, both with a response for 200."""
    api = await house.v1("CreateRestApi", name="n")
    at = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "GET"}
    await house.v1("PutMethod", **at, authorizationType="NONE", requestParameters={"method.request.header.A": False})
    await house.v1("PutIntegration", **at, type="AWS", integrationHttpMethod="POST", uri=URI)
    await house.v1("PutMethodResponse", **at, statusCode="200", responseParameters={"method.response.header.A": False})
    await house.v1("PutIntegrationResponse", **at, statusCode="200")
    return at


async def test_a_method_is_patched_and_keeps_its_integration() -> None:
    house = ApiHouse()
    at = await a_method(house)
    validator = await house.v1("CreateRequestValidator", restApiId=at["restApiId"], validateRequestBody=True)
    before = await house.v1("GetMethod", **at)

    changed = await house.v1(
        "UpdateMethod",
        **at,
        patchOperations=[
            patch("add", "/requestParameters/method.request.querystring.q", "true"),
            patch("replace", "/requestParameters/method.request.header.A", "true"),
            patch("add", "/requestModels/application~1json", "Empty"),
            patch("replace", "/operationName", "list"),
            patch("replace", "/requestValidatorId", validator["id"]),
        ],
    )

    assert changed == {
        **before,
        "operationName": "list",
        "requestValidatorId": validator["id"],
        "requestModels": {"application/json": "Empty"},
        "requestParameters": {"method.request.header.A": True, "method.request.querystring.q": True},
    }
    assert await house.v1("GetMethod", **at) == changed


async def test_an_integration_and_the_responses_are_patched() -> None:
    house = ApiHouse()
    at = await a_method(house)
    integration = await house.v1(
        "UpdateIntegration",
        **at,
        patchOperations=[
            patch("replace", "/timeoutInMillis", "1000"),
            patch("replace", "/contentHandling", "CONVERT_TO_TEXT"),
            patch("add", "/requestTemplates/application~1json", "{}"),
            patch("add", "/requestParameters/integration.request.header.B", "method.request.header.A"),
            patch("add", "/cacheKeyParameters/method.request.header.A"),
        ],
    )
    assert (integration["timeoutInMillis"], integration["contentHandling"]) == (1000, "CONVERT_TO_TEXT")
    assert integration["requestTemplates"] == {"application/json": "{}"}
    assert integration["requestParameters"] == {"integration.request.header.B": "method.request.header.A"}
    assert (integration["cacheKeyParameters"], set(integration["integrationResponses"])) == (
        ["method.request.header.A"],
        {"200"},
    )

    operations = [patch("add", "/responseParameters/method.response.header.B", "true")]
    declared = await house.v1("UpdateMethodResponse", **at, statusCode="200", patchOperations=operations)
    assert declared["responseParameters"] == {"method.response.header.A": False, "method.response.header.B": True}
    operations = [
        patch("replace", "/selectionPattern", "2.."),
        patch("replace", "/contentHandling", "CONVERT_TO_BINARY"),
        patch("add", "/responseParameters/method.response.header.B", "'b'"),
    ]
    answered = await house.v1("UpdateIntegrationResponse", **at, statusCode="200", patchOperations=operations)
    assert answered == {
        "statusCode": "200",
        "selectionPattern": "2..",
        "contentHandling": "CONVERT_TO_BINARY",
        "responseParameters": {"method.response.header.B": "'b'"},
    }
    shown = await house.v1("GetMethod", **at)
    assert shown["methodResponses"]["200"] == declared
    assert shown["methodIntegration"]["integrationResponses"]["200"] == answered


MAPPING = "Invalid mapping expression specified: Validation Result: warnings : [], errors : "


@pytest.mark.parametrize(
    ("operation_name", "operation", "code", "words"),
    [
        (
            "UpdateMethod",
            patch("replace", "/authorizationType", "MAGIC"),
            "BadRequestException",
            "Invalid authorization type: MAGIC. Must be one of [CUSTOM, AWS_IAM, NONE, COGNITO_USER_POOLS].",
        ),
        (
            "UpdateMethod",
            patch("add", "/authorizationScopes", "a/b"),
            "BadRequestException",
            "Invalid Method authorization type specified. Authorization Scopes are only valid for COGNITO_USER_POOLS "
            "authorization type",
        ),
        (
            "UpdateMethod",
            patch("remove", "/requestParameters/method.request.header.Z"),
            "NotFoundException",
            "Invalid parameter name specified",
        ),
        (
            "UpdateIntegration",
            patch("add", "/requestParameters/integration.request.header.B", "method.request.header.Z"),
            "BadRequestException",
            f"{MAPPING}[Invalid mapping expression parameter specified: method.request.header.Z]",
        ),
        (
            "UpdateIntegration",
            patch("replace", "/timeoutInMillis", "10"),
            "BadRequestException",
            "Timeout should be between 50 ms and 29000 ms",
        ),
        (
            "UpdateIntegration",
            patch("replace", "/contentHandling", "MAGIC"),
            "BadRequestException",
            "Invalid content handling strategy specified: MAGIC",
        ),
        (
            "UpdateIntegrationResponse",
            patch("add", "/responseParameters/method.response.header.Z", "'1'"),
            "BadRequestException",
            f"{MAPPING}[Invalid mapping expression parameter specified: method.response.header.Z]",
        ),
        (
            "UpdateMethodResponse",
            patch("add", "/responseModels/application~1json", "Missing"),
            "BadRequestException",
            "Invalid model identifier specified: Missing",
        ),
        (
            "UpdateMethodResponse",
            patch("replace", "/statusCode", "201"),
            "BadRequestException",
            "Invalid patch path  '/statusCode' specified for op 'replace'. Must be one of: "
            "[/responseModels/{contentType}, /responseParameters/{parameter}]",
        ),
    ],
)
async def test_what_is_refused_and_changes_nothing(
    operation_name: str, operation: dict[str, Any], code: str, words: str
) -> None:
    house = ApiHouse()
    at = await a_method(house)
    before = await house.v1("GetMethod", **at)
    status = {"statusCode": "200"} if operation_name.endswith("Response") else {}
    with pytest.raises(ServiceError) as refused:
        await house.v1(operation_name, **at, **status, patchOperations=[operation])
    assert (refused.value.code, refused.value.message) == (code, words)
    assert await house.v1("GetMethod", **at) == before


async def test_the_settings_of_an_api() -> None:
    house = ApiHouse()
    api = await house.v1("CreateRestApi", name="n", minimumCompressionSize=0, binaryMediaTypes=["image/png"])
    assert api["minimumCompressionSize"] == 0
    operations = [
        patch("replace", "/apiKeySource", "AUTHORIZER"),
        patch("replace", "/minimumCompressionSize", "1024"),
        patch("replace", "/binaryMediaTypes/image~1png", "image/jpeg"),
        patch("replace", "/disableExecuteApiEndpoint", "true"),
        patch("replace", "/endpointConfiguration/types/EDGE", "REGIONAL"),
        patch("replace", "/endpointConfiguration/ipAddressType", "dualstack"),
    ]
    changed = await house.v1("UpdateRestApi", restApiId=api["id"], patchOperations=operations)
    assert changed == {
        **api,
        "apiKeySource": "AUTHORIZER",
        "minimumCompressionSize": 1024,
        "binaryMediaTypes": ["image/jpeg"],
        "disableExecuteApiEndpoint": True,
        "endpointConfiguration": {"types": ["REGIONAL"], "ipAddressType": "dualstack"},
    }
    off = [patch("replace", "/minimumCompressionSize", ""), patch("remove", "/binaryMediaTypes/image~1jpeg")]
    without = await house.v1("UpdateRestApi", restApiId=api["id"], patchOperations=off)
    assert not {"minimumCompressionSize", "binaryMediaTypes"} & without.keys()


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (patch("replace", "/name", " "), "API name cannot be blank"),
        (patch("replace", "/apiKeySource", "X"), "Invalid API key source: X. Must be one of [AUTHORIZER, HEADER]"),
        (
            patch("replace", "/minimumCompressionSize", "10485761"),
            "Invalid minimum compression size, must be between 0 and 10485760",
        ),
        (patch("replace", "/endpointConfiguration/types/0", "X"), "Invalid endpoint type: X"),
    ],
)
async def test_what_an_api_cannot_be(operation: dict[str, Any], words: str) -> None:
    house = ApiHouse()
    api = await house.v1("CreateRestApi", name="n")
    with pytest.raises(ServiceError) as refused:
        await house.v1("UpdateRestApi", restApiId=api["id"], patchOperations=[operation])
    assert (refused.value.code, refused.value.message) == ("BadRequestException", words)


async def test_a_place_that_no_list_has_is_nobodys() -> None:
    house = ApiHouse()
    api = await house.v1("CreateRestApi", name="n")
    places = [patch("replace", f"/endpointConfiguration/types/{place}", "REGIONAL") for place in ("1", "9" * 5000)]
    changed = await house.v1("UpdateRestApi", restApiId=api["id"], patchOperations=places)
    assert changed["endpointConfiguration"]["types"] == ["EDGE"]


async def test_a_deployments_description() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /a")
    deployment = (await house.v1("GetDeployments", restApiId=api_id))["items"][0]
    at = {"restApiId": api_id, "deploymentId": deployment["id"]}
    changed = await house.v1("UpdateDeployment", **at, patchOperations=[patch("replace", "/description", "d")])
    assert changed == {**deployment, "description": "d"}
    assert (await house.request(api_id, "GET", "/dev/a")).status == 200


async def test_a_validators_name_cannot_be_taken() -> None:
    house = ApiHouse()
    api = await house.v1("CreateRestApi", name="n")
    made = await house.v1("CreateRequestValidator", restApiId=api["id"], name="v")
    at = {"restApiId": api["id"], "requestValidatorId": made["id"]}
    with pytest.raises(ServiceError, match="Request Validator name cannot be blank"):
        await house.v1("UpdateRequestValidator", **at, patchOperations=[patch("replace", "/name", "")])
    operations = [patch("replace", "/name", "w"), patch("replace", "/validateRequestBody", "true")]
    changed = await house.v1("UpdateRequestValidator", **at, patchOperations=operations)
    assert changed == {**made, "name": "w", "validateRequestBody": True}
