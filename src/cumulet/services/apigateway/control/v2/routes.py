"""The routes of an HTTP API."""

import re
from collections.abc import Iterable

from msgspec import UNSET

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, POST, at
from cumulet.services.apigateway.control.v2 import websocket_only
from cumulet.services.apigateway.control.v2.deploying import auto_deploy
from cumulet.services.apigateway.control.v2.paging import page_of_api
from cumulet.services.apigateway.control.v2.records import (
    AUTHORIZERS,
    INTEGRATION_TARGET,
    INTEGRATIONS,
    ROUTES,
    HttpRoute,
    get_api,
    get_route,
    render,
)
from cumulet.services.apigateway.model import DEFAULT_ROUTE, METHODS
from cumulet.services.apigateway.pipeline.routes import is_greedy, is_variable, split_path
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

ROUTE = at("/apis/{ApiId}/routes/{RouteId}")

_WEBSOCKET_ONLY = (
    "ApiKeyRequired ModelSelectionExpression RequestModels RequestParameters RouteResponseSelectionExpression"
)
_SETTINGS = f"RouteKey Target OperationName AuthorizationType AuthorizerId AuthorizationScopes {_WEBSOCKET_ONLY}"
_CUSTOM_TOLD = "CUSTOM or COGNITO_USER_POOLS requires a valid"
_PART = r"^(\{[\w.:-]+\+?\}|[a-zA-Z0-9.:_-]+)$"
_is_part = re.compile(_PART.replace("$", r"\Z"), re.ASCII).match


@operation("CreateRoute", action=POST, resource=at("/apis/{ApiId}/routes"), params=f"ApiId {_SETTINGS}")
def create_route(call: Call, tx: WriteTx, params: Params) -> Output:
    """The API has one more route; stages with AutoDeploy follow."""
    api = get_api(tx, call, params)
    others = list(ROUTES.scan(tx, call.scope, api.api_id))
    if len(others) >= limits.ROUTES_PER_API_MAX:
        raise ServiceError("TooManyRequestsException", "Maximum number of routes for this API has been reached.")
    route = HttpRoute(route_id=call.ids.token(7), route_key=params["RouteKey"])
    _set(tx, call, api.api_id, route, params, others)
    auto_deploy(tx, call, api)
    return render(route)


def _set(tx: WriteTx, call: Call, api_id: str, route: HttpRoute, params: Params, others: list[HttpRoute]) -> None:
    """Give a route the values that are in `params`, and save it."""
    websocket_only.refuse(params, _WEBSOCKET_ONLY)
    set_authorization(tx, call, api_id, route, params)
    if (key := params.get("RouteKey")) is not None:
        if route.api_gateway_managed is True and key != route.route_key:
            raise ServiceError("BadRequestException", "The key of a route that quick create made cannot be modified")
        route.route_key = checked_route_key(key)
        require_free_key(route, others)
    if params.get("OperationName") is not None:
        route.operation_name = params["OperationName"] or UNSET
    if params.get("Target") is not None:
        route.target = _checked_target(tx, call, api_id, params["Target"])
    ROUTES.save(tx, call.scope, api_id, route.route_id, record=route)


def require_free_key(route: HttpRoute, others: Iterable[HttpRoute]) -> None:
    """Raise ConflictException if another route has the route's key."""
    if any(other.route_key == route.route_key and other.route_id != route.route_id for other in others):
        raise ServiceError("ConflictException", f"Route with key {route.route_key} already exists for this API")


def set_authorization(tx: ReadTx, call: Call, api_id: str, route: HttpRoute, params: Params) -> None:
    """Give a route its authorization. The words: hashicorp/terraform-provider-aws#17497, aws/aws-cdk#27576."""
    kind = params.get("AuthorizationType") or route.authorization_type
    authorizer_id = params.get("AuthorizerId") or (route.authorizer_id or None)
    scopes = params.get("AuthorizationScopes")
    if scopes is None:
        scopes = route.authorization_scopes or None
    if kind in ("NONE", "AWS_IAM"):
        if params.get("AuthorizerId"):
            # Who names one means the route to be guarded by it. The words are ours.
            raise ServiceError("BadRequestException", f"AuthorizerId is not supported for authorization type {kind}")
        authorizer_id, scopes = None, params.get("AuthorizationScopes")
    else:
        found = AUTHORIZERS.find(tx, call.scope, api_id, authorizer_id) if authorizer_id else None
        wanted, told = ("JWT", "JWT requires a valid JWT") if kind == "JWT" else ("REQUEST", _CUSTOM_TOLD)
        if found is None or found.authorizer_type != wanted:
            raise ServiceError(
                "BadRequestException",
                f"Invalid authorizer ID specified. Setting the authorization type to {told} authorizer.",
            )
    if scopes and kind != "JWT":
        raise ServiceError(
            "BadRequestException",
            "Invalid Route authorization type specified. Authorization Scopes are only valid for COGNITO_USER_POOLS "
            "and JWT authorization types",
        )
    if scopes and len(scopes) > limits.SCOPES_PER_ROUTE_MAX:
        raise ServiceError(
            "BadRequestException", f"A route can have at most {limits.SCOPES_PER_ROUTE_MAX} authorization scopes"
        )
    route.authorization_type = kind
    route.authorizer_id = authorizer_id or UNSET
    route.authorization_scopes = list(scopes) if scopes else UNSET


def _checked_target(tx: ReadTx, call: Call, api_id: str, target: str) -> str:
    integration_id = target.removeprefix(INTEGRATION_TARGET)
    if integration_id == target:
        raise ServiceError("BadRequestException", "Target should be in the format integrations/<integration-id>")
    if INTEGRATIONS.find(tx, call.scope, api_id, integration_id) is None:
        raise ServiceError("NotFoundException", f"Invalid Integration identifier specified {integration_id}")
    return target


def checked_route_key(key: str) -> str:
    """Return a route key if it is one: $default, or METHOD /path."""
    if key == DEFAULT_ROUTE:
        return key
    method, blank, path = key.partition(" ")
    if method not in METHODS or not blank or not path.startswith("/"):
        raise ServiceError(
            "BadRequestException",
            "The provided route key is not formatted properly for HTTP protocol. Format should be "
            '"<HTTP METHOD> /<RESOURCE PATH>" or "$default"',
        )
    segments = split_path(path)
    if not all(map(_is_part, segments)):
        # anomalyco/sst#207, and for the colons aws/aws-lambda-dotnet#1911; no part, not even the last, may be empty:
        # aws/serverless-application-model#1949.
        raise ServiceError(
            "BadRequestException",
            "One or more path parts appear to be invalid. Parts are validated against this regular expression: "
            f"{_PART}",
        )
    names = [segment.strip("{}").removesuffix("+") for segment in segments if is_variable(segment)]
    if any(is_greedy(segment) for segment in segments[:-1]):
        raise ServiceError("BadRequestException", "A greedy path variable must be at the end of the resource path")
    if len(set(names)) < len(names):
        raise ServiceError("BadRequestException", f"Invalid path variables in route key {key}")
    return key


@operation("GetRoute", action=GET, resource=ROUTE, params="ApiId RouteId")
def get_one_route(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one route."""
    return render(get_route(tx, call, params))


@operation("GetRoutes", action=GET, resource=at("/apis/{ApiId}/routes"), params="ApiId MaxResults NextToken")
def get_routes(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return an API's routes."""
    api = get_api(tx, call, params)
    return page_of_api(tx, call, params, api.api_id, ROUTES, lambda route: route.route_id, render)


@operation("UpdateRoute", action=PATCH, resource=ROUTE, params=f"ApiId RouteId {_SETTINGS}")
def update_route(call: Call, tx: WriteTx, params: Params) -> Output:
    """The route has the given values; stages with AutoDeploy follow."""
    api = get_api(tx, call, params)
    route = get_route(tx, call, params)
    _set(tx, call, api.api_id, route, params, list(ROUTES.scan(tx, call.scope, api.api_id)))
    auto_deploy(tx, call, api)
    return render(route)


@operation("DeleteRoute", action=DELETE, resource=ROUTE, params="ApiId RouteId")
def delete_route(call: Call, tx: WriteTx, params: Params) -> Output:
    """The route is gone; stages with AutoDeploy follow."""
    api = get_api(tx, call, params)
    route = get_route(tx, call, params)
    ROUTES.delete(tx, call.scope, api.api_id, route.route_id)
    auto_deploy(tx, call, api)
    return {}
