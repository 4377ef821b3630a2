"""What the HTTP control plane keeps: APIs, routes and integrations, with AWS's names for their fields."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from cumulet.errors import ServiceError
from cumulet.services.apigateway.model import STAGES, Cors, Stage
from cumulet.services.kit import Call, Params
from cumulet.store.api import ReadTx
from cumulet.store.keyspace import HTTP_API, HTTP_AUTHORIZER, HTTP_INTEGRATION, HTTP_ROUTE
from cumulet.store.records import Records

INTEGRATION_TARGET = "integrations/"


class HttpApi(msgspec.Struct, rename="pascal"):
    """An HTTP API; routes and integrations are records of their own."""

    api_id: str
    name: str
    created_date: int
    protocol_type: str = "HTTP"
    api_key_selection_expression: str = "$request.header.x-api-key"
    route_selection_expression: str = "$request.method $request.path"
    disable_execute_api_endpoint: bool = False
    ip_address_type: str = "ipv4"
    description: str | UnsetType = UNSET
    version: str | UnsetType = UNSET
    cors_configuration: Cors | UnsetType = UNSET
    tags: dict[str, str] = {}


class JwtConfiguration(msgspec.Struct, rename="pascal"):
    """Whose tokens are accepted, and for whom they must have been issued."""

    issuer: str
    audience: list[str] = []


class Integration(msgspec.Struct, rename="pascal"):
    """A backend that routes point to: a Lambda function or a URL."""

    integration_id: str
    integration_uri: str
    payload_format_version: str
    timeout_in_millis: int
    integration_type: str = "AWS_PROXY"
    integration_method: str = "POST"
    connection_type: str = "INTERNET"
    description: str | UnsetType = UNSET
    credentials_arn: str | UnsetType = UNSET
    request_parameters: dict[str, str] | UnsetType = UNSET
    response_parameters: dict[str, dict[str, str]] | UnsetType = UNSET
    api_gateway_managed: bool | UnsetType = UNSET


class Authorizer(msgspec.Struct, rename="pascal"):
    """An authorizer; a route points to it by its id."""

    authorizer_id: str
    authorizer_type: str
    name: str
    identity_source: list[str] = []
    authorizer_uri: str | UnsetType = UNSET
    authorizer_credentials_arn: str | UnsetType = UNSET
    authorizer_payload_format_version: str | UnsetType = UNSET
    authorizer_result_ttl_in_seconds: int | UnsetType = UNSET
    enable_simple_responses: bool | UnsetType = UNSET
    jwt_configuration: JwtConfiguration | UnsetType = UNSET


class HttpRoute(msgspec.Struct, rename="pascal"):
    """A route key and the integration it points to (Target: integrations/{id})."""

    route_id: str
    route_key: str
    api_key_required: bool = False
    authorization_type: str = "NONE"
    authorizer_id: str | UnsetType = UNSET
    authorization_scopes: list[str] | UnsetType = UNSET
    operation_name: str | UnsetType = UNSET
    target: str | UnsetType = UNSET
    api_gateway_managed: bool | UnsetType = UNSET


APIS = Records(HTTP_API, HttpApi)
ROUTES = Records(HTTP_ROUTE, HttpRoute)
AUTHORIZERS = Records(HTTP_AUTHORIZER, Authorizer)
INTEGRATIONS = Records(HTTP_INTEGRATION, Integration)


def get_api(tx: ReadTx, call: Call, params: Params) -> HttpApi:
    """Return the API that `ApiId` names."""
    return get_api_by_id(tx, call, params["ApiId"])


def get_api_by_id(tx: ReadTx, call: Call, api_id: str) -> HttpApi:
    """Return the API of that id in the caller's scope."""
    if (api := APIS.find(tx, call.scope, api_id)) is None:
        raise ServiceError("NotFoundException", f"Invalid API identifier specified {call.scope.account}:{api_id}")
    return api


def get_route(tx: ReadTx, call: Call, params: Params) -> HttpRoute:
    """Return the route that `RouteId` names."""
    api = get_api(tx, call, params)
    if (route := ROUTES.find(tx, call.scope, api.api_id, params["RouteId"])) is None:
        raise ServiceError("NotFoundException", f"Invalid Route identifier specified {params['RouteId']}")
    return route


def get_integration(tx: ReadTx, call: Call, params: Params) -> Integration:
    """Return the integration that `IntegrationId` names."""
    api = get_api(tx, call, params)
    if (integration := INTEGRATIONS.find(tx, call.scope, api.api_id, params["IntegrationId"])) is None:
        raise ServiceError("NotFoundException", f"Invalid Integration identifier specified {params['IntegrationId']}")
    return integration


def get_authorizer(tx: ReadTx, call: Call, params: Params) -> Authorizer:
    """Return the authorizer that `AuthorizerId` names."""
    api = get_api(tx, call, params)
    if (authorizer := AUTHORIZERS.find(tx, call.scope, api.api_id, params["AuthorizerId"])) is None:
        raise ServiceError("NotFoundException", f"Invalid Authorizer identifier specified {params['AuthorizerId']}")
    return authorizer


def get_stage(tx: ReadTx, call: Call, api_id: str, stage_name: str) -> Stage:
    """Return one stage of an API."""
    if (stage := STAGES.find(tx, call.scope, api_id, stage_name)) is None:
        raise ServiceError("NotFoundException", "Invalid stage identifier specified")
    return stage


def render(record: msgspec.Struct) -> dict[str, Any]:
    """Return a record as AWS shows it: what is unset is absent."""
    rendered: dict[str, Any] = msgspec.to_builtins(record)
    return rendered
