"""HTTP APIs: create (quick create too), show, change, delete."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway.control import tagging
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, POST, at
from cumulet.services.apigateway.control.domains import require_unmapped
from cumulet.services.apigateway.control.security_policies import checked_ip_address_type
from cumulet.services.apigateway.control.v1 import passed_roles
from cumulet.services.apigateway.control.v2 import websocket_only
from cumulet.services.apigateway.control.v2.deploying import auto_deploy, auto_deploy_stage
from cumulet.services.apigateway.control.v2.integrations import make_integration
from cumulet.services.apigateway.control.v2.paging import page
from cumulet.services.apigateway.control.v2.records import (
    APIS,
    AUTHORIZERS,
    INTEGRATION_TARGET,
    INTEGRATIONS,
    ROUTES,
    HttpApi,
    HttpRoute,
    get_api,
    render,
)
from cumulet.services.apigateway.control.v2.routes import checked_route_key, require_free_key
from cumulet.services.apigateway.model import (
    DEFAULT_ROUTE,
    DEFAULT_STAGE,
    Cors,
    Stage,
    claim_api_id,
    delete_shared,
)
from cumulet.services.kit import Call, Operation, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

Show = Callable[[HttpApi], dict[str, Any]]

EVERY_API, API = at("/apis"), at("/apis/{ApiId}")


_SETTINGS = (
    "Name Description Version CorsConfiguration ApiKeySelectionExpression RouteSelectionExpression IpAddressType "
    "DisableExecuteApiEndpoint DisableSchemaValidation"
)
_ROUTE_SELECTION = ("$request.method $request.path", "${request.method} ${request.path}")
_KEY_SELECTION = ("$request.header.x-api-key", "$context.authorizer.usageIdentifierKey")


def create(call: Call, tx: WriteTx, settings: Params) -> HttpApi:
    """Create an API; `settings` has the members of CreateApi."""
    api = HttpApi(
        api_id=claim_api_id(tx, call.ids, call.scope, "HTTP"),
        name=settings["Name"],
        created_date=call.now_ms // 1000,
        tags=tagging.checked(settings.get("Tags") or {}),
    )
    _settle(api, settings)
    APIS.save(tx, call.scope, api.api_id, record=api)
    return api


def _settle(api: HttpApi, settings: Params) -> None:
    """Give an API the settings that are there."""
    websocket_only.refuse(settings, "DisableSchemaValidation")
    if (name := settings.get("Name")) is not None:
        api.name = name
    if (description := settings.get("Description")) is not None:
        api.description = description or UNSET
    if (version := settings.get("Version")) is not None:
        api.version = version or UNSET
    if (cors := settings.get("CorsConfiguration")) is not None:
        api.cors_configuration = make_cors(cors) if cors else UNSET
    if (key := settings.get("ApiKeySelectionExpression")) is not None:
        if key not in _KEY_SELECTION:
            raise ServiceError("BadRequestException", f"Invalid ApiKeySelectionExpression specified: {key}")
        api.api_key_selection_expression = key
    if (route := settings.get("RouteSelectionExpression")) is not None:
        if route not in _ROUTE_SELECTION:
            raise ServiceError(
                "BadRequestException",
                "Invalid RouteSelectionExpression specified: for HTTP APIs it must be ${request.method} "
                "${request.path}",
            )
        api.route_selection_expression = route
    if (kind := settings.get("IpAddressType")) is not None:
        api.ip_address_type = checked_ip_address_type(kind)
    if (disabled := settings.get("DisableExecuteApiEndpoint")) is not None:
        api.disable_execute_api_endpoint = disabled


def make_cors(given: Any) -> Cors:
    """Return a CORS configuration. Raises BadRequestException for what browsers would refuse."""
    try:
        cors = msgspec.convert(given, Cors)
    except msgspec.ValidationError as error:
        raise ServiceError("BadRequestException", f"Invalid CORS configuration: {error}") from None
    if cors.allow_credentials is True and cors.allow_origins is not UNSET and "*" in cors.allow_origins:
        # https://github.com/aws/aws-cdk/issues/9076
        raise ServiceError("BadRequestException", "allow-credentials is not supported if 'allow-origin' is *")
    # AWS keeps and shows names of headers in lower case, as go-to-k/cdk-real-drift#874 saw there.
    return msgspec.structs.replace(
        cors, allow_headers=_lower(cors.allow_headers), expose_headers=_lower(cors.expose_headers)
    )


def _lower(names: list[str] | UnsetType) -> list[str] | UnsetType:
    return names if names is UNSET else [name.lower() for name in names]


def _quick_integration(target: str, credentials_arn: str | None) -> dict[str, Any]:
    """Return the members of CreateIntegration for a target: a URL, or a function's ARN."""
    if target.startswith(("http://", "https://")):
        # The model says that the credentials are not used for HTTP integrations.
        members = {"IntegrationType": "HTTP_PROXY", "IntegrationMethod": "ANY", "PayloadFormatVersion": "1.0"}
        return {**members, "IntegrationUri": target}
    members = {"IntegrationType": "AWS_PROXY", "IntegrationMethod": "POST", "PayloadFormatVersion": "2.0"}
    return {**members, "IntegrationUri": target, "CredentialsArn": credentials_arn}


def _quick_update(call: Call, tx: WriteTx, api: HttpApi, params: Params) -> None:
    """Change what quick create made: its route's key, its integration's target and credentials."""
    route = next((one for one in ROUTES.scan(tx, call.scope, api.api_id) if one.api_gateway_managed is True), None)
    made = next((one for one in INTEGRATIONS.scan(tx, call.scope, api.api_id) if one.api_gateway_managed is True), None)
    if route is None or made is None:
        raise ServiceError("BadRequestException", "Only APIs that quick create made have a Target and a RouteKey")
    if (key := params.get("RouteKey")) is not None:
        route.route_key = checked_route_key(key)
        require_free_key(route, ROUTES.scan(tx, call.scope, api.api_id))
        ROUTES.save(tx, call.scope, api.api_id, route.route_id, record=route)
    credentials = params.get("CredentialsArn")
    if credentials is None:
        credentials = made.credentials_arn or None
    changed = make_integration(call, _quick_integration(params.get("Target") or made.integration_uri, credentials))
    changed.integration_id, changed.api_gateway_managed = made.integration_id, True
    INTEGRATIONS.save(tx, call.scope, api.api_id, changed.integration_id, record=changed)


def _quick_create(call: Call, tx: WriteTx, api: HttpApi, params: Params) -> None:
    """Give the API a route (or $default) to a function, and an auto-deployed $default stage, all managed by AWS."""
    integration = make_integration(call, _quick_integration(params["Target"], params.get("CredentialsArn")))
    integration.api_gateway_managed = True
    INTEGRATIONS.save(tx, call.scope, api.api_id, integration.integration_id, record=integration)
    route = HttpRoute(
        route_id=call.ids.token(7),
        route_key=checked_route_key(params.get("RouteKey") or DEFAULT_ROUTE),
        target=f"{INTEGRATION_TARGET}{integration.integration_id}",
        api_gateway_managed=True,
    )
    ROUTES.save(tx, call.scope, api.api_id, route.route_id, record=route)
    now_s = call.now_ms // 1000
    stage = Stage(name=DEFAULT_STAGE, created_s=now_s, updated_s=now_s, auto_deploy=True, managed=True)
    auto_deploy_stage(tx, call, api, stage)


@operation("DeleteApi", action=DELETE, resource=API, params="ApiId")
def delete_api(call: Call, tx: WriteTx, params: Params) -> Output:
    """The API and everything in it are gone."""
    api = get_api(tx, call, params)
    require_unmapped(tx, call, api.api_id)
    APIS.delete(tx, call.scope, api.api_id)
    ROUTES.delete_all(tx, call.scope, api.api_id)
    AUTHORIZERS.delete_all(tx, call.scope, api.api_id)
    INTEGRATIONS.delete_all(tx, call.scope, api.api_id)
    delete_shared(tx, call.scope, api.api_id)
    return {}


@operation("DeleteCorsConfiguration", action=DELETE, resource=at("/apis/{ApiId}/cors"), params="ApiId")
def delete_cors_configuration(call: Call, tx: WriteTx, params: Params) -> Output:
    """The API has no CORS configuration."""
    api = get_api(tx, call, params)
    api.cors_configuration = UNSET
    APIS.save(tx, call.scope, api.api_id, record=api)
    auto_deploy(tx, call, api)
    return {}


def make_show(port: int) -> Callable[[HttpApi], dict[str, Any]]:
    """Return the function that renders an API with where it answers, which only the server's port says."""

    def show(api: HttpApi) -> dict[str, Any]:
        shown = render(api)
        shown["ApiEndpoint"] = f"http://{api.api_id}.execute-api.localhost:{port}"
        return shown

    return show


def operations(show: Callable[[HttpApi], dict[str, Any]]) -> list[Operation]:
    """Return the operations whose output tells where the API answers."""

    @operation(
        "CreateApi",
        action=POST,
        resource=EVERY_API,
        params=f"{_SETTINGS} ProtocolType Tags Target RouteKey CredentialsArn",
        demands=passed_roles.demanding(POST, EVERY_API, passed_roles.named_by("CredentialsArn")),
        missing="WebSocket APIs",
    )
    def create_api(call: Call, tx: WriteTx, params: Params) -> Output:
        """An HTTP API exists; with `Target`, it has a route, an integration and a stage at once."""
        if params["ProtocolType"] != "HTTP":
            raise NotImplementedHere(f"The protocol type {params['ProtocolType']} of API Gateway")
        if params.get("RouteKey") and not params.get("Target"):
            raise ServiceError("BadRequestException", "Target is required when RouteKey is specified")
        api = create(call, tx, params)
        if params.get("Target"):
            _quick_create(call, tx, api, params)
        return show(api)

    @operation("GetApi", action=GET, resource=API, params="ApiId")
    def get_one_api(call: Call, tx: ReadTx, params: Params) -> Output:
        """Return one API."""
        return show(get_api(tx, call, params))

    @operation("GetApis", action=GET, resource=EVERY_API, params="MaxResults NextToken")
    def get_apis(call: Call, tx: ReadTx, params: Params) -> Output:
        """Return the caller's HTTP APIs."""
        return page(
            params,
            lambda behind, limit: APIS.scan(tx, call.scope, behind=(behind,) if behind else None, limit=limit),
            lambda api: api.api_id,
            show,
        )

    @operation(
        "UpdateApi",
        action=PATCH,
        resource=API,
        params=f"ApiId {_SETTINGS} Target RouteKey CredentialsArn",
        demands=passed_roles.demanding(PATCH, API, passed_roles.named_by("CredentialsArn")),
    )
    def update_api(call: Call, tx: WriteTx, params: Params) -> Output:
        """The API has the given values; stages with AutoDeploy follow."""
        api = get_api(tx, call, params)
        _settle(api, params)
        if any(params.get(name) is not None for name in ("Target", "RouteKey", "CredentialsArn")):
            _quick_update(call, tx, api, params)
        APIS.save(tx, call.scope, api.api_id, record=api)
        auto_deploy(tx, call, api)
        return show(api)

    # Imported here, since an import is a way to create an API and shows it the same way.
    return [create_api, get_one_api, get_apis, update_api]
