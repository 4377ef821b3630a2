"""The documentation of a REST API: parts about its entities, and versions that are snapshots of them."""

from typing import Any

import msgspec
from msgspec import UNSET

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, POST, PUT, at
from cumulet.services.apigateway.control.openapi.plan import plan_documentation
from cumulet.services.apigateway.control.openapi.reading import parse_document
from cumulet.services.apigateway.control.v1 import locations, patching
from cumulet.services.apigateway.control.v1.paging import page
from cumulet.services.apigateway.control.v1.records import (
    AUTHORIZERS,
    DOCUMENTATION_PARTS,
    DOCUMENTATION_VERSIONS,
    MODELS,
    PART,
    RESOURCES,
    VERSION,
    DocumentationPart,
    DocumentationVersion,
    Location,
    RestApi,
    get_api,
    get_stage,
    render,
)
from cumulet.services.apigateway.model import STAGES
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

PARTS = at("/restapis/{restApiId}/documentation/parts")
ONE_PART = at("/restapis/{restApiId}/documentation/parts/{documentationPartId}")
VERSIONS = at("/restapis/{restApiId}/documentation/versions")
ONE_VERSION = at("/restapis/{restApiId}/documentation/versions/{documentationVersion}")

PART_PATCHES = patching.table("/properties text replace")
VERSION_PATCHES = patching.table("/description text replace")


@operation("CreateDocumentationPart", action=POST, resource=PARTS, params="restApiId location properties")
def create_documentation_part(call: Call, tx: WriteTx, params: Params) -> Output:
    """Something is written about an entity that nothing was written about; the entity need not exist."""
    api = get_api(tx, call, params)
    location = locations.checked(params["location"])
    others = list(DOCUMENTATION_PARTS.scan(tx, call.scope, api.id, PART))
    if any(other.location == location for other in others):
        raise ServiceError(
            "ConflictException",
            f"Documentation part already exists for the specified location: {locations.words_of(location)}.",
        )
    _check_count(len(others) + 1)
    part = DocumentationPart(call.ids.token(6), location, checked_properties(params["properties"]))
    DOCUMENTATION_PARTS.save(tx, call.scope, api.id, PART, part.id, record=part)
    return show(part)


def _check_count(parts: int) -> None:
    if parts > limits.DOCUMENTATION_PARTS_MAX:
        raise ServiceError(
            "LimitExceededException", "Maximum number of documentation parts for this API has been reached."
        )


def checked_properties(text: str | None) -> str:
    """Return what is written, if it is a JSON object."""
    if not text:
        raise ServiceError("BadRequestException", "Documentation part properties must be non-empty")
    if len(text) > limits.DOCUMENTATION_PART_CHARS_MAX:
        raise ServiceError("BadRequestException", "Documentation part properties exceed the limit of 400 KB")
    try:
        content: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ServiceError("BadRequestException", "Documentation part properties must be a valid JSON object")
    return text


def show(part: DocumentationPart) -> dict[str, Any]:
    """Return a part as AWS shows it."""
    return {"id": part.id, "location": msgspec.to_builtins(part.location), "properties": part.properties}


def get_part(tx: ReadTx, call: Call, params: Params) -> DocumentationPart:
    """Return the part that `documentationPartId` names."""
    api = get_api(tx, call, params)
    if (part := DOCUMENTATION_PARTS.find(tx, call.scope, api.id, PART, params["documentationPartId"])) is None:
        raise ServiceError("NotFoundException", "Invalid Documentation part identifier specified")
    return part


@operation("GetDocumentationPart", action=GET, resource=ONE_PART, params="restApiId documentationPartId")
def get_documentation_part(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one part."""
    return show(get_part(tx, call, params))


@operation(
    "GetDocumentationParts",
    action=GET,
    resource=PARTS,
    params="restApiId type nameQuery path position limit locationStatus",
)
def get_documentation_parts(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the parts about the entities asked for; or, UNDOCUMENTED, the entities that no part is about."""
    api = get_api(tx, call, params)
    parts = list(DOCUMENTATION_PARTS.scan(tx, call.scope, api.id, PART))
    if params.get("locationStatus") == "UNDOCUMENTED":
        documented = locations.index_of([(part.location, part) for part in parts])
        every = locations.entities(
            RESOURCES.scan(tx, call.scope, api.id),
            MODELS.scan(tx, call.scope, api.id),
            AUTHORIZERS.scan(tx, call.scope, api.id),
        )
        bare = [location for location in every if locations.best_for(location, documented) is None]
        found = [("|".join(msgspec.structs.astuple(location)), {"location": location}) for location in bare]
    else:
        found = [(part.id, {**show(part), "location": part.location}) for part in parts]
    asked = [item for item in found if _is_asked(item[1]["location"], params)]
    asked.sort(key=lambda item: item[0])
    return page(
        params,
        lambda behind, limit: iter([item for item in asked if behind is None or item[0] > behind][:limit]),
        lambda item: item[0],
        lambda item: {**item[1], "location": msgspec.to_builtins(item[1]["location"])},
    )


def _is_asked(location: Location, params: Params) -> bool:
    return (
        params.get("type") in (None, location.type)
        and params.get("nameQuery") in (None, location.name)
        and params.get("path") in (None, location.path)
    )


@operation(
    "UpdateDocumentationPart",
    action=PATCH,
    resource=ONE_PART,
    params="restApiId documentationPartId patchOperations",
)
def update_documentation_part(call: Call, tx: WriteTx, params: Params) -> Output:
    """Something else is written about the entity."""
    part = get_part(tx, call, params)
    given = patching.patched(show(part), params.get("patchOperations"), PART_PATCHES)
    part.properties = checked_properties(given["properties"])
    DOCUMENTATION_PARTS.save(tx, call.scope, params["restApiId"], PART, part.id, record=part)
    return show(part)


@operation("DeleteDocumentationPart", action=DELETE, resource=ONE_PART, params="restApiId documentationPartId")
def delete_documentation_part(call: Call, tx: WriteTx, params: Params) -> Output:
    """Nothing is written about the entity; the versions keep what was."""
    part = get_part(tx, call, params)
    DOCUMENTATION_PARTS.delete(tx, call.scope, params["restApiId"], PART, part.id)
    return {}


@operation("ImportDocumentationParts", action=PUT, resource=PARTS, params="restApiId mode failOnWarnings body")
def import_documentation_parts(call: Call, tx: WriteTx, params: Params) -> Output:
    """The API's documentation is the document's (overwrite), or has it beside what it had (merge, the default)."""
    api = get_api(tx, call, params)
    planned = list(plan_documentation(parse_document(params["body"])))
    return {"ids": import_parts(call, tx, api, planned, overwrite=params.get("mode") == "overwrite"), "warnings": []}


def import_parts(
    call: Call, tx: WriteTx, api: RestApi, planned: list[tuple[dict[str, str], str]], *, overwrite: bool
) -> list[str]:
    """Save the parts of a document, and return their ids. What was written about an entity is replaced by name."""
    known = {part.location: part for part in DOCUMENTATION_PARTS.scan(tx, call.scope, api.id, PART)}
    if overwrite:
        DOCUMENTATION_PARTS.delete_all(tx, call.scope, api.id, PART)
        known = {}
    ids = []
    for given, properties in planned:
        location = locations.checked(given)
        part = known.get(location)
        if part is None:
            part = DocumentationPart(call.ids.token(6), location, checked_properties(properties))
        else:
            before, after = msgspec.json.decode(part.properties), msgspec.json.decode(checked_properties(properties))
            part.properties = msgspec.json.encode({**before, **after}).decode()
        known[location] = part
        DOCUMENTATION_PARTS.save(tx, call.scope, api.id, PART, part.id, record=part)
        ids.append(part.id)
    _check_count(len(known))
    return ids


@operation(
    "CreateDocumentationVersion",
    action=POST,
    resource=VERSIONS,
    params="restApiId documentationVersion stageName description",
)
def create_documentation_version(call: Call, tx: WriteTx, params: Params) -> Output:
    """What is written about the API is kept as it is now; the stage that `stageName` names is described by it."""
    api = get_api(tx, call, params)
    version = save_version(call, tx, api, params["documentationVersion"], params.get("description"))
    if params.get("stageName"):
        stage = get_stage(tx, call, api.id, params["stageName"])
        stage.documentation_version = version.version
        STAGES.save(tx, call.scope, api.id, stage.name, record=stage)
    return show_version(version)


def save_version(call: Call, tx: WriteTx, api: RestApi, name: str, description: str | None) -> DocumentationVersion:
    """Keep what is written about an API as a version that did not exist."""
    if not name:
        raise ServiceError("BadRequestException", "Documentation version must be non-empty")
    if DOCUMENTATION_VERSIONS.find(tx, call.scope, api.id, VERSION, name) is not None:
        raise ServiceError("ConflictException", f"Documentation version already exists: {name}")
    version = DocumentationVersion(
        version=name,
        created_date=call.now_ms // 1000,
        description=description or UNSET,
        parts=list(DOCUMENTATION_PARTS.scan(tx, call.scope, api.id, PART)),
    )
    DOCUMENTATION_VERSIONS.save(tx, call.scope, api.id, VERSION, name, record=version)
    return version


def show_version(version: DocumentationVersion) -> dict[str, Any]:
    """Return a version as AWS shows it: without what it holds."""
    shown = render(version)
    del shown["parts"]
    return shown


def get_version(tx: ReadTx, call: Call, params: Params) -> DocumentationVersion:
    """Return the version that `documentationVersion` names."""
    api = get_api(tx, call, params)
    version = DOCUMENTATION_VERSIONS.find(tx, call.scope, api.id, VERSION, params["documentationVersion"])
    if version is None:
        raise ServiceError("NotFoundException", "Invalid Documentation version specified")
    return version


@operation("GetDocumentationVersion", action=GET, resource=ONE_VERSION, params="restApiId documentationVersion")
def get_documentation_version(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one version."""
    return show_version(get_version(tx, call, params))


@operation("GetDocumentationVersions", action=GET, resource=VERSIONS, params="restApiId position limit")
def get_documentation_versions(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return an API's documentation versions, a page at a time."""
    api = get_api(tx, call, params)
    return page(
        params,
        lambda behind, limit: DOCUMENTATION_VERSIONS.scan(
            tx, call.scope, api.id, VERSION, behind=(api.id, VERSION, behind) if behind else None, limit=limit
        ),
        lambda version: version.version,
        show_version,
    )


@operation(
    "UpdateDocumentationVersion",
    action=PATCH,
    resource=ONE_VERSION,
    params="restApiId documentationVersion patchOperations",
)
def update_documentation_version(call: Call, tx: WriteTx, params: Params) -> Output:
    """The version has another description."""
    version = get_version(tx, call, params)
    given = patching.patched(show_version(version), params.get("patchOperations"), VERSION_PATCHES)
    version.description = given.get("description") or UNSET
    DOCUMENTATION_VERSIONS.save(tx, call.scope, params["restApiId"], VERSION, version.version, record=version)
    return show_version(version)


@operation("DeleteDocumentationVersion", action=DELETE, resource=ONE_VERSION, params="restApiId documentationVersion")
def delete_documentation_version(call: Call, tx: WriteTx, params: Params) -> Output:
    """The version is gone. Refused while a stage is described by it."""
    version = get_version(tx, call, params)
    for stage in STAGES.scan(tx, call.scope, params["restApiId"]):
        if stage.documentation_version == version.version:
            raise ServiceError(
                "ConflictException",
                f"Cannot delete documentation version '{version.version}', is referenced by stage '{stage.name}'",
            )
    DOCUMENTATION_VERSIONS.delete(tx, call.scope, params["restApiId"], VERSION, version.version)
    return {}


def check_version(tx: ReadTx, call: Call, api_id: str, version: str | None) -> str | None:
    """Return the version that a stage is to be described by, if the API has it; nothing is None."""
    if version and DOCUMENTATION_VERSIONS.find(tx, call.scope, api_id, VERSION, version) is None:
        raise ServiceError("BadRequestException", "Invalid Documentation version specified")
    return version or None
