"""HTTP APIs from OpenAPI 3 documents: a new one, or an existing one made anew."""

from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway.control import openapi, tagging
from cumulet.services.apigateway.control.arns import PUT, at
from cumulet.services.apigateway.control.v2 import apis
from cumulet.services.apigateway.control.v2.deploying import auto_deploy
from cumulet.services.apigateway.control.v2.integrations import make_integration
from cumulet.services.apigateway.control.v2.records import (
    APIS,
    INTEGRATION_TARGET,
    INTEGRATIONS,
    ROUTES,
    HttpApi,
    HttpRoute,
    get_api,
)
from cumulet.services.apigateway.control.v2.routes import checked_route_key
from cumulet.services.apigateway.model import DEFAULT_ROUTE
from cumulet.services.kit import Call, Operation, Output, Params, operation
from cumulet.store.api import WriteTx

_CORS_MEMBERS = {
    "allowCredentials": "AllowCredentials",
    "allowHeaders": "AllowHeaders",
    "allowMethods": "AllowMethods",
    "allowOrigins": "AllowOrigins",
    "exposeHeaders": "ExposeHeaders",
    "maxAge": "MaxAge",
}
_MISSING = "authorizers, integrations other than Lambda proxies, base paths other than ignore"


def operations(show: Callable[[HttpApi], dict[str, Any]]) -> list[Operation]:
    """Return the operations, whose output is that of GetApi."""

    @operation("ImportApi", action=PUT, resource=at("/apis"), params="Body Basepath FailOnWarnings", missing=_MISSING)
    def import_api(call: Call, tx: WriteTx, params: Params) -> Output:
        """An API as the document describes it exists. No warnings are made that FailOnWarnings could act on."""
        plan = _plan(params)
        api = apis.create(
            call,
            tx,
            {
                "Name": plan.title,
                "Description": plan.description,
                "Version": plan.version,
                "CorsConfiguration": _cors(plan),
                "Tags": plan.tags,
            },
        )
        _apply(call, tx, api, plan)
        return show(api)

    @operation(
        "ReimportApi",
        action=PUT,
        resource=at("/apis/{ApiId}"),
        params="ApiId Body Basepath FailOnWarnings",
        missing=_MISSING,
    )
    def reimport_api(call: Call, tx: WriteTx, params: Params) -> Output:
        """The API is what the document describes; stages with AutoDeploy follow."""
        api = get_api(tx, call, params)
        plan = _plan(params)
        cors = _cors(plan)
        api.name, api.version = plan.title, plan.version or UNSET
        api.description = plan.description or UNSET
        api.cors_configuration = apis.make_cors(cors) if cors else UNSET
        api.tags = tagging.checked({**api.tags, **plan.tags})
        APIS.save(tx, call.scope, api.api_id, record=api)
        ROUTES.delete_all(tx, call.scope, api.api_id)
        INTEGRATIONS.delete_all(tx, call.scope, api.api_id)
        _apply(call, tx, api, plan)
        auto_deploy(tx, call, api)
        return show(api)

    return [import_api, reimport_api]


def _plan(params: Params) -> openapi.ApiPlan:
    if (base_path := params.get("Basepath")) not in (None, "ignore"):
        raise NotImplementedHere(f"The import parameter basepath={base_path} of API Gateway")
    plan = openapi.plan_api(params["Body"])
    if plan.binary_media_types:
        raise NotImplementedHere(f"The extension {openapi.BINARY_MEDIA_TYPES} of an HTTP API")
    return plan


def _cors(plan: openapi.ApiPlan) -> dict[str, Any] | None:
    if not plan.cors:
        return None
    for name in plan.cors:
        if name not in _CORS_MEMBERS:
            raise ServiceError("BadRequestException", f"Invalid member {name} of {openapi.CORS}")
    return {_CORS_MEMBERS[name]: value for name, value in plan.cors.items()}


def _apply(call: Call, tx: WriteTx, api: HttpApi, plan: openapi.ApiPlan) -> None:
    """Save the plan's routes, each with an integration of its own, as AWS imports them."""
    for planned in plan.methods:
        default = planned.path.strip("/") == DEFAULT_ROUTE
        key = DEFAULT_ROUTE if default else f"{planned.method} {planned.path}"
        route = HttpRoute(
            route_id=call.ids.token(7),
            route_key=checked_route_key(key),
            operation_name=planned.operation_name or UNSET,
        )
        if planned.integration is not None:
            integration = make_integration(
                call,
                {
                    "IntegrationType": (planned.integration.get("type") or "").upper(),
                    "IntegrationUri": planned.integration.get("uri"),
                    "IntegrationMethod": planned.integration.get("httpMethod"),
                    "PayloadFormatVersion": planned.integration.get("payloadFormatVersion"),
                    "TimeoutInMillis": planned.integration.get("timeoutInMillis"),
                    "CredentialsArn": planned.integration.get("credentials"),
                    "ConnectionType": planned.integration.get("connectionType"),
                },
            )
            INTEGRATIONS.save(tx, call.scope, api.api_id, integration.integration_id, record=integration)
            route.target = f"{INTEGRATION_TARGET}{integration.integration_id}"
        ROUTES.save(tx, call.scope, api.api_id, route.route_id, record=route)
