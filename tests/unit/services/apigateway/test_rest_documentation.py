"""The documentation of a REST API: where parts belong, what inherits from what, and versions."""

import json
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.apigateway.control.v1 import locations
from cumulet.services.apigateway.control.v1.records import Location
from unit.services.apigateway.fake_lambda import ApiHouse

GET_PETS = {"path": "/pets", "method": "GET"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "API"}, Location("API")),
        ({"type": "RESOURCE"}, Location("RESOURCE", path="/")),
        ({"type": "METHOD", "method": "GET"}, Location("METHOD", path="/", method="GET")),
        ({"type": "RESPONSE"}, Location("RESPONSE", path="/", method="*", status_code="*")),
        ({"type": "MODEL", "name": "Pet"}, Location("MODEL", name="Pet")),
        (
            {"type": "PATH_PARAMETER", "path": "/{id}", "name": "id"},
            Location("PATH_PARAMETER", path="/{id}", method="*", name="id"),
        ),
    ],
)
def test_what_a_location_leaves_out_has_a_default(given: dict[str, str], expected: Location) -> None:
    assert locations.checked(given) == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"type": "X"}, "Invalid documentation part location type specified: X"),
        ({"type": "API", "path": "/"}, "Invalid documentation part location: a location of type API has no path"),
        (
            {"type": "RESOURCE", "method": "GET"},
            "Invalid documentation part location: a location of type RESOURCE has no method",
        ),
        ({"type": "MODEL"}, "Invalid documentation part location: a location of type MODEL needs a name"),
        ({"type": "RESOURCE", "path": "a"}, "Invalid documentation part location: a path begins with /"),
    ],
)
def test_what_a_location_cannot_be(given: dict[str, str], words: str) -> None:
    with pytest.raises(ServiceError) as refused:
        locations.checked(given)
    assert (refused.value.code, refused.value.message) == ("BadRequestException", words)


# The cases of the developer guide, and their order of precedence: path, then status code.
PARTS = [
    (Location("RESPONSE", path="/", method="*", status_code="400"), "any 400"),
    (Location("RESPONSE", path="/pets", method="*", status_code="*"), "pets"),
    (Location("RESPONSE", path="/pets", method="*", status_code="200"), "pets 200"),
    (Location("RESPONSE", path="/pets/{id}", method="*", status_code="*"), "one pet"),
    (Location("METHOD", path="/pets", method="*"), "methods of pets"),
    (Location("METHOD", path="/pets", method="GET"), "getting pets"),
    (Location("RESOURCE", path="/"), "the root"),
    (Location("QUERY_PARAMETER", path="/", method="*", name="q"), "q anywhere"),
]


@pytest.mark.parametrize(
    ("entity", "expected"),
    [
        (Location("RESPONSE", path="/x", method="GET", status_code="400"), "any 400"),
        (Location("RESPONSE", path="/x", method="GET", status_code="200"), None),
        (Location("RESPONSE", **GET_PETS, status_code="400"), "pets"),
        (Location("RESPONSE", **GET_PETS, status_code="200"), "pets 200"),
        (Location("RESPONSE", path="/pets/{id}", method="GET", status_code="200"), "one pet"),
        (Location("RESPONSE", path="/petshop", method="GET", status_code="200"), None),
        (Location("METHOD", **GET_PETS), "getting pets"),
        (Location("METHOD", path="/pets/{id}", method="PUT"), "methods of pets"),
        (Location("RESOURCE", path="/pets"), None),
        (Location("QUERY_PARAMETER", **GET_PETS, name="q"), "q anywhere"),
        (Location("QUERY_PARAMETER", **GET_PETS, name="r"), None),
    ],
)
def test_what_documents_an_entity(entity: Location, expected: str | None) -> None:
    assert locations.best_for(entity, locations.index_of(PARTS)) == expected


async def documented() -> tuple[ApiHouse, dict[str, str]]:
    house = ApiHouse()
    return house, {"restApiId": await house.rest_api("GET /pets", "GET /pets/{id}")}


async def test_parts_are_created_found_changed_and_deleted() -> None:
    house, api = await documented()
    written = json.dumps({"description": "all pets"})
    part = await house.v1("CreateDocumentationPart", **api, location={"type": "METHOD", **GET_PETS}, properties=written)
    assert part == {"id": part["id"], "location": {"type": "METHOD", **GET_PETS}, "properties": written}
    by_id = {**api, "documentationPartId": part["id"]}
    assert await house.v1("GetDocumentationPart", **by_id) == part
    other = await house.v1("CreateDocumentationPart", **api, location={"type": "API"}, properties=written)

    async def found(**asked: Any) -> list[str]:
        return [item["id"] for item in (await house.v1("GetDocumentationParts", **api, **asked))["items"]]

    assert set(await found()) == {part["id"], other["id"]}
    assert await found(type="API") == [other["id"]]
    assert await found(path="/pets") == [part["id"]]
    assert await found(nameQuery="x") == []
    first = await house.v1("GetDocumentationParts", **api, limit=1)
    second = await house.v1("GetDocumentationParts", **api, limit=1, position=first["position"])
    assert {first["items"][0]["id"], second["items"][0]["id"]} == {part["id"], other["id"]}
    assert "position" not in second

    patch = [{"op": "replace", "path": "/properties", "value": '{"a": 1}'}]
    assert (await house.v1("UpdateDocumentationPart", **by_id, patchOperations=patch))["properties"] == '{"a": 1}'
    await house.v1("DeleteDocumentationPart", **by_id)
    assert await found() == [other["id"]]


async def test_what_is_undocumented() -> None:
    house, api = await documented()
    location = {"type": "METHOD", "path": "/pets"}
    await house.v1("CreateDocumentationPart", **api, location=location, properties="{}")

    bare = (await house.v1("GetDocumentationParts", **api, locationStatus="UNDOCUMENTED", limit=100))["items"]

    assert {"location": {"type": "RESOURCE", "path": "/pets/{id}"}} in bare
    assert {"location": {"type": "MODEL", "name": "Empty"}} in bare
    assert not [item for item in bare if item["location"]["type"] == "METHOD"]


@pytest.mark.parametrize(
    ("operation_name", "params", "code", "words"),
    [
        (
            "CreateDocumentationPart",
            {"location": {"type": "API"}, "properties": "{}"},
            "ConflictException",
            "Documentation part already exists for the specified location: type 'API'.",
        ),
        (
            "CreateDocumentationPart",
            {"location": {"type": "RESOURCE"}, "properties": ""},
            "BadRequestException",
            "Documentation part properties must be non-empty",
        ),
        (
            "CreateDocumentationPart",
            {"location": {"type": "RESOURCE"}, "properties": "[]"},
            "BadRequestException",
            "Documentation part properties must be a valid JSON object",
        ),
        (
            "GetDocumentationPart",
            {"documentationPartId": "x"},
            "NotFoundException",
            "Invalid Documentation part identifier specified",
        ),
        (
            "GetDocumentationVersion",
            {"documentationVersion": "x"},
            "NotFoundException",
            "Invalid Documentation version specified",
        ),
        (
            "CreateDocumentationVersion",
            {"documentationVersion": "1"},
            "ConflictException",
            "Documentation version already exists: 1",
        ),
        (
            "DeleteDocumentationVersion",
            {"documentationVersion": "1"},
            "ConflictException",
            "Cannot delete documentation version '1', is referenced by stage 'dev'",
        ),
        (
            "UpdateStage",
            {
                "stageName": "dev",
                "patchOperations": [{"op": "replace", "path": "/documentationVersion", "value": "x"}],
            },
            "BadRequestException",
            "Invalid Documentation version specified",
        ),
    ],
)
async def test_what_is_refused(operation_name: str, params: dict[str, Any], code: str, words: str) -> None:
    house, api = await documented()
    await house.v1("CreateDocumentationPart", **api, location={"type": "API"}, properties="{}")
    await house.v1("CreateDocumentationVersion", **api, documentationVersion="1", stageName="dev")
    with pytest.raises(ServiceError) as refused:
        await house.v1(operation_name, **api, **params)
    assert (refused.value.code, refused.value.message) == (code, words)


async def test_versions_are_snapshots_that_stages_point_to() -> None:
    house, api = await documented()
    part = await house.v1("CreateDocumentationPart", **api, location={"type": "API"}, properties='{"description": "a"}')
    version = await house.v1(
        "CreateDocumentationVersion", **api, documentationVersion="1", description="d", stageName="dev"
    )
    assert version == {"version": "1", "createdDate": 1_760_000_000, "description": "d"}
    assert (await house.v1("GetStage", **api, stageName="dev"))["documentationVersion"] == "1"
    by_name = {**api, "documentationVersion": "1"}
    assert await house.v1("GetDocumentationVersion", **by_name) == version
    await house.v1("CreateDocumentationVersion", **api, documentationVersion="2")
    listed = await house.v1("GetDocumentationVersions", **api, limit=1)
    assert listed["items"] == [version]
    rest = await house.v1("GetDocumentationVersions", **api, position=listed["position"])
    assert [item["version"] for item in rest["items"]] == ["2"]
    patch = [{"op": "replace", "path": "/description", "value": "e"}]
    assert (await house.v1("UpdateDocumentationVersion", **by_name, patchOperations=patch))["description"] == "e"

    patch = [{"op": "replace", "path": "/properties", "value": '{"description": "b"}'}]
    await house.v1("UpdateDocumentationPart", **api, documentationPartId=part["id"], patchOperations=patch)
    exported = await house.v1("GetExport", **api, stageName="dev", exportType="swagger")
    assert json.loads(exported["body"])["info"]["description"] == "a"

    patch = [{"op": "replace", "path": "/documentationVersion", "value": ""}]
    assert "documentationVersion" not in await house.v1("UpdateStage", **api, stageName="dev", patchOperations=patch)
    await house.v1("DeleteDocumentationVersion", **by_name)
    assert [item["version"] for item in (await house.v1("GetDocumentationVersions", **api))["items"]] == ["2"]


async def test_parts_are_imported() -> None:
    house, api = await documented()
    await house.v1("CreateDocumentationPart", **api, location={"type": "API"}, properties='{"a": 1, "b": 1}')
    document = {
        "swagger": "2.0",
        "x-amazon-apigateway-documentation": {
            "documentationParts": [
                {"location": {"type": "API"}, "properties": {"b": 2}},
                {"location": {"type": "METHOD", "method": "GET"}, "properties": {"description": "d"}},
            ]
        },
    }
    body = json.dumps(document).encode()

    async def parts() -> list[tuple[str, Any]]:
        items = (await house.v1("GetDocumentationParts", **api))["items"]
        return sorted((item["location"]["type"], json.loads(item["properties"])) for item in items)

    merged = await house.v1("ImportDocumentationParts", **api, body=body)
    assert (len(merged["ids"]), merged["warnings"]) == (2, [])
    assert await parts() == [("API", {"a": 1, "b": 2}), ("METHOD", {"description": "d"})]
    await house.v1("ImportDocumentationParts", **api, body=body, mode="overwrite")
    assert await parts() == [("API", {"b": 2}), ("METHOD", {"description": "d"})]
