"""What a REST API is described with: AWS::ApiGateway::Model, RequestValidator, DocumentationPart and -Version."""

import json
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from cumulet.services.cloudformation.resources.apigateway import lower, lowered, text_of
from cumulet.services.cloudformation.resources.kit import Desk, Made, Properties, resource_type

_GONE = "NotFoundException"


def _as_text(value: Any) -> str | None:
    """Return a schema, which a template may write as an object or as text."""
    return json.dumps(value) if isinstance(value, Mapping) else value


def _patches(names: str, old: Properties, new: Properties) -> list[dict[str, str]]:
    return [
        {"op": "replace", "path": f"/{lower(name)}", "value": text_of(_as_text(new.get(name)))}
        for name in names.split()
        if new.get(name) != old.get(name)
    ]


async def _patch(desk: Desk, operation: str, place: Mapping[str, Any], patches: list[dict[str, str]]) -> None:
    if patches:
        await desk.call("apigateway", operation, {**place, "patchOperations": patches})


# Model


async def _create_model(desk: Desk, properties: Properties) -> Made:
    # API Gateway has no dashes in the names of models, which the stack's names have.
    name = properties.get("Name") or "".join([char for char in desk.name if char.isalnum()])
    params = {
        "restApiId": properties["RestApiId"],
        "name": name,
        "contentType": properties.get("ContentType", "application/json"),
        "description": properties.get("Description"),
        "schema": _as_text(properties.get("Schema", {})),
    }
    await desk.make("apigateway", "CreateModel", params, itemgetter("name"))
    return Made(name)


async def _update_model(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    place = {"restApiId": new["RestApiId"], "modelName": made.physical_id}
    await _patch(desk, "UpdateModel", place, _patches("Description Schema", old, new))
    return made


async def _delete_model(desk: Desk, name: str, properties: Properties) -> None:
    await desk.drop("apigateway", "DeleteModel", {"restApiId": properties["RestApiId"], "modelName": name}, _GONE)


MODEL = resource_type(
    "AWS::ApiGateway::Model",
    create=_create_model,
    update=_update_model,
    delete=_delete_model,
    properties="ContentType Description Name RestApiId Schema",
    required="RestApiId",
    immutable="ContentType Name RestApiId",
    name_property="Name",
    name_max=64,
)


# RequestValidator

_VALIDATES = "ValidateRequestBody ValidateRequestParameters"


async def _create_validator(desk: Desk, properties: Properties) -> Made:
    params = {lower(name): properties.get(name) for name in f"Name RestApiId {_VALIDATES}".split()}
    validator_id = (await desk.make("apigateway", "CreateRequestValidator", params, itemgetter("id")))["id"]
    return Made(validator_id, {"RequestValidatorId": validator_id})


async def _update_validator(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    place = {"restApiId": new["RestApiId"], "requestValidatorId": made.physical_id}
    await _patch(desk, "UpdateRequestValidator", place, _patches(_VALIDATES, old, new))
    return made


async def _delete_validator(desk: Desk, validator_id: str, properties: Properties) -> None:
    params = {"restApiId": properties["RestApiId"], "requestValidatorId": validator_id}
    await desk.drop("apigateway", "DeleteRequestValidator", params, _GONE)


REQUEST_VALIDATOR = resource_type(
    "AWS::ApiGateway::RequestValidator",
    create=_create_validator,
    update=_update_validator,
    delete=_delete_validator,
    properties=f"Name RestApiId {_VALIDATES}",
    required="RestApiId",
    immutable="Name RestApiId",
    attributes="RequestValidatorId",
)


# DocumentationPart


async def _create_part(desk: Desk, properties: Properties) -> Made:
    params = {
        "restApiId": properties["RestApiId"],
        "location": lowered(properties["Location"]),
        "properties": properties["Properties"],
    }
    part_id = (await desk.make("apigateway", "CreateDocumentationPart", params, itemgetter("id")))["id"]
    return Made(part_id, {"DocumentationPartId": part_id})


async def _update_part(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    place = {"restApiId": new["RestApiId"], "documentationPartId": made.physical_id}
    await _patch(desk, "UpdateDocumentationPart", place, _patches("Properties", old, new))
    return made


async def _delete_part(desk: Desk, part_id: str, properties: Properties) -> None:
    params = {"restApiId": properties["RestApiId"], "documentationPartId": part_id}
    await desk.drop("apigateway", "DeleteDocumentationPart", params, _GONE)


DOCUMENTATION_PART = resource_type(
    "AWS::ApiGateway::DocumentationPart",
    objects="Location",
    create=_create_part,
    update=_update_part,
    delete=_delete_part,
    properties="Location Properties RestApiId",
    required="Location Properties RestApiId",
    immutable="Location RestApiId",
    attributes="DocumentationPartId",
)


# DocumentationVersion


async def _create_version(desk: Desk, properties: Properties) -> Made:
    version = properties["DocumentationVersion"]
    await desk.make("apigateway", "CreateDocumentationVersion", lowered(properties), lambda _: version)
    return Made(version)


async def _update_version(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    place = {"restApiId": new["RestApiId"], "documentationVersion": made.physical_id}
    await _patch(desk, "UpdateDocumentationVersion", place, _patches("Description", old, new))
    return made


async def _delete_version(desk: Desk, version: str, properties: Properties) -> None:
    params = {"restApiId": properties["RestApiId"], "documentationVersion": version}
    await desk.drop("apigateway", "DeleteDocumentationVersion", params, _GONE)


DOCUMENTATION_VERSION = resource_type(
    "AWS::ApiGateway::DocumentationVersion",
    create=_create_version,
    update=_update_version,
    delete=_delete_version,
    properties="Description DocumentationVersion RestApiId",
    required="DocumentationVersion RestApiId",
    immutable="DocumentationVersion RestApiId",
)
