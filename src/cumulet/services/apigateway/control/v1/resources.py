"""The tree of resources of a REST API."""

import re
from typing import Any

from msgspec import UNSET

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, POST, at
from cumulet.services.apigateway.control.v1 import patching
from cumulet.services.apigateway.control.v1.paging import page_of_api
from cumulet.services.apigateway.control.v1.records import RESOURCES, Resource, get_api, get_resource, render
from cumulet.services.apigateway.pipeline.routes import is_greedy, is_variable
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

PATCHES = patching.table(
    """
    /parentId text replace
    /pathPart text replace
    """
)

_PATH_PART = re.compile(r"^(?:[a-zA-Z0-9._:,-]+|\{[a-zA-Z0-9._:-]+\+?\})\Z")


@operation(
    "CreateResource",
    action=POST,
    resource=at("/restapis/{restApiId}/resources/{parentId}"),
    params="restApiId parentId pathPart",
)
def create_resource(call: Call, tx: WriteTx, params: Params) -> Output:
    """A resource exists under its parent."""
    parent = get_resource(tx, call, params, "parentId")
    others = list(RESOURCES.scan(tx, call.scope, params["restApiId"]))
    siblings = [other for other in others if other.parent_id == parent.id]
    made = add_resource(call, tx, params["restApiId"], parent, params["pathPart"], siblings, len(others))
    return show(made, with_methods=False)


def add_resource(
    call: Call, tx: WriteTx, api_id: str, parent: Resource, path_part: str, siblings: list[Resource], count: int
) -> Resource:
    """Save a new resource under its parent, in an API that has `count` resources so far."""
    check_place(parent, path_part, siblings)
    if count >= limits.RESOURCES_PER_API_MAX:
        raise ServiceError(
            "LimitExceededException",
            "Maximum number of resources for this API has been reached. Please contact AWS if you need additional "
            "resources.",
        )
    path = _path_under(parent, path_part)
    resource = Resource(id=call.ids.token(6), parent_id=parent.id, path_part=path_part, path=path)
    RESOURCES.save(tx, call.scope, api_id, resource.id, record=resource)
    return resource


def _path_under(parent: Resource, path_part: str) -> str:
    path = f"{parent.path.rstrip('/')}/{path_part}"
    if len(path) > limits.RESOURCE_PATH_CHARS_MAX:
        raise ServiceError("BadRequestException", "The ARNs of the resource's methods would be longer than 1600 bytes")
    return path


def check_place(parent: Resource, path_part: str, siblings: list[Resource]) -> None:
    """Raise unless a resource can have this path part under this parent, beside the others there."""
    if not _PATH_PART.match(path_part):
        raise ServiceError(
            "BadRequestException",
            "Resource's path part only allow a-zA-Z0-9._-:, or a valid greedy path variable and curly braces at the "
            "beginning and the end.",
        )
    if parent.path_part is not UNSET and is_greedy(parent.path_part):
        raise ServiceError(
            "BadRequestException",
            f"Cannot create a child of a resource with a greedy path variable: {parent.path_part}",
        )
    for sibling in siblings:
        if sibling.path_part is UNSET:
            continue
        if sibling.path_part == path_part:
            raise ServiceError(
                "ConflictException", f"Another resource with the same parent already has this name: {path_part}"
            )
        # {name} and {name+} count alike: https://github.com/serverless-nextjs/serverless-next.js/issues/206
        if is_variable(path_part) and is_variable(sibling.path_part):
            raise ServiceError(
                "BadRequestException",
                f"A sibling ({sibling.path_part}) of this resource already has a variable path part -- only one is "
                "allowed",
            )


@operation(
    "UpdateResource",
    action=PATCH,
    resource=at("/restapis/{restApiId}/resources/{resourceId}"),
    params="restApiId resourceId patchOperations",
)
def update_resource(call: Call, tx: WriteTx, params: Params) -> Output:
    """The resource has another path part or another parent, and with it everything below it another path."""
    resource, api_id = get_resource(tx, call, params), params["restApiId"]
    shown = {"pathPart": resource.path_part or None, "parentId": resource.parent_id or None}
    given = patching.patched(dict(shown), params.get("patchOperations"), PATCHES)
    if given != shown:
        if resource.parent_id is UNSET:
            name = next(name for name in given if given[name] != shown[name])
            raise ServiceError("BadRequestException", f"Root resource cannot update its {name}.")
        _move(call, tx, api_id, resource, given["parentId"] or "", given["pathPart"] or "")
    return show(resource, with_methods=False)


def _move(call: Call, tx: WriteTx, api_id: str, resource: Resource, parent_id: str, path_part: str) -> None:
    resources = list(RESOURCES.scan(tx, call.scope, api_id))
    parent = next((other for other in resources if other.id == parent_id), None)
    if parent is None:
        raise ServiceError("NotFoundException", "Invalid Resource identifier specified")
    below = f"{resource.path}/"
    if parent.id == resource.id or parent.path.startswith(below):
        raise ServiceError("BadRequestException", "Resources cannot be cyclical.")
    children = [other for other in resources if other.path.startswith(below)]
    if children and is_greedy(path_part):
        raise ServiceError(
            "BadRequestException",
            f"Cannot create a child of a resource with a greedy path variable: {path_part}",
        )
    siblings = [other for other in resources if other.parent_id == parent.id and other.id != resource.id]
    check_place(parent, path_part, siblings)
    resource.parent_id, resource.path_part = parent.id, path_part
    resource.path = _path_under(parent, path_part)
    RESOURCES.save(tx, call.scope, api_id, resource.id, record=resource)
    for child in children:
        child.path = _path_under(resource, child.path.removeprefix(below))
        RESOURCES.save(tx, call.scope, api_id, child.id, record=child)


@operation(
    "GetResource",
    action=GET,
    resource=at("/restapis/{restApiId}/resources/{resourceId}"),
    params="restApiId resourceId embed",
)
def get_one_resource(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one resource; its methods are only named unless `embed` asks for them."""
    return show(get_resource(tx, call, params), with_methods=wants_methods(params))


@operation(
    "GetResources",
    action=GET,
    resource=at("/restapis/{restApiId}/resources"),
    params="restApiId position limit embed",
)
def get_resources(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return an API's resources, a page at a time."""
    api = get_api(tx, call, params)
    with_methods = wants_methods(params)
    return page_of_api(
        tx,
        call,
        params,
        api.id,
        RESOURCES,
        lambda resource: resource.id,
        lambda resource: show(resource, with_methods=with_methods),
    )


@operation(
    "DeleteResource",
    action=DELETE,
    resource=at("/restapis/{restApiId}/resources/{resourceId}"),
    params="restApiId resourceId",
)
def delete_resource(call: Call, tx: WriteTx, params: Params) -> Output:
    """The resource and everything below it are gone."""
    resource = get_resource(tx, call, params)
    if resource.parent_id is UNSET:
        raise ServiceError("BadRequestException", "Root resource cannot be deleted")
    api_id = params["restApiId"]
    below = f"{resource.path}/"
    for other in list(RESOURCES.scan(tx, call.scope, api_id)):
        if other.id == resource.id or other.path.startswith(below):
            RESOURCES.delete(tx, call.scope, api_id, other.id)
    return {}


def wants_methods(params: Params) -> bool:
    """Tell whether `embed` asks for the methods in full."""
    for name in params.get("embed") or ():
        if name != "methods":
            raise ServiceError("BadRequestException", f"Invalid embed specified: {name}. Must be one of [methods]")
    return bool(params.get("embed"))


def show(resource: Resource, *, with_methods: bool) -> dict[str, Any]:
    """Return a resource as AWS shows it."""
    shown = render(resource)
    if not resource.resource_methods:
        del shown["resourceMethods"]
    elif not with_methods:
        shown["resourceMethods"] = {name: {} for name in resource.resource_methods}
    return shown
