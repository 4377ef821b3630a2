"""HTTP APIs from OpenAPI 3 documents: a new one, or an existing one made anew."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway.control import openapi, tagging
from cumulet.services.apigateway.control.arns import PUT, at
from cumulet.services.apigateway.control.v2 import apis
from cumulet.services.apigateway.control.v2.authorizers import make_authorizer
from cumulet.services.apigateway.control.v2.deploying import auto_deploy
from cumulet.services.apigateway.control.v2.integrations import make_integration
from cumulet.services.apigateway.control.v2.records import (
    APIS,
    AUTHORIZERS,
    INTEGRATION_TARGET,
    INTEGRATIONS,
    ROUTES,
    Authorizer,
    HttpApi,
    HttpRoute,
    get_api,
)
from cumulet.services.apigateway.control.v2.routes import checked_route_key, set_authorization
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
_AUTHORIZER_MEMBERS = {
    "type": "AuthorizerType",
    "identitySource": "IdentitySource",
    "jwtConfiguration": "JwtConfiguration",
    "authorizerUri": "AuthorizerUri",
    "authorizerCredentials": "AuthorizerCredentialsArn",
    "authorizerPayloadFormatVersion": "AuthorizerPayloadFormatVersion",
    "authorizerResultTtlInSeconds": "AuthorizerResultTtlInSeconds",
    "enableSimpleResponses": "EnableSimpleResponses",
}
_MISSING = "IAM authorization, models, base paths other than ignore"


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
        AUTHORIZERS.delete_all(tx, call.scope, api.api_id)
        INTEGRATIONS.delete_all(tx, call.scope, api.api_id)
        _apply(call, tx, api, plan)
        auto_deploy(tx, call, api)
        return show(api)

    return [import_api, reimport_api]


def _plan(params: Params) -> openapi.ApiPlan:
    if (base_path := params.get("Basepath")) not in (None, "ignore"):
        raise NotImplementedHere(f"The import parameter basepath={base_path} of API Gateway")
    plan = openapi.plan_api(params["Body"], is_http=True)
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


def _save_authorizer(call: Call, tx: WriteTx, api: HttpApi, name: str, given: Mapping[str, Any]) -> Authorizer:
    """Save the authorizer that a security scheme describes.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-open-api.html
    """
    for member, value in given.items():
        if member not in _AUTHORIZER_MEMBERS and value:
            raise NotImplementedHere(f"The member {member} of {openapi.AUTHORIZER} in an OpenAPI document")
    settings = {_AUTHORIZER_MEMBERS[member]: value for member, value in given.items() if member in _AUTHORIZER_MEMBERS}
    kind, sources = str(given.get("type") or "").upper(), given.get("identitySource")
    if kind not in ("JWT", "REQUEST"):
        raise ServiceError("BadRequestException", f"Invalid authorizer type specified: {given.get('type')}")
    jwt = given.get("jwtConfiguration")
    checked = {
        **settings,
        "AuthorizerType": kind,
        "Name": name,
        "IdentitySource": [part.strip() for part in sources.split(",")] if isinstance(sources, str) else sources,
        "JwtConfiguration": {str(key).capitalize(): value for key, value in jwt.items()}
        if isinstance(jwt, dict)
        else jwt,
    }
    try:
        authorizer = msgspec.convert(msgspec.to_builtins(make_authorizer(checked, call.ids.token(6))), Authorizer)
    except (msgspec.ValidationError, TypeError, AttributeError):
        raise ServiceError("BadRequestException", f"Unable to parse the authorizer {name}") from None
    AUTHORIZERS.save(tx, call.scope, api.api_id, authorizer.authorizer_id, record=authorizer)
    return authorizer


def _apply(call: Call, tx: WriteTx, api: HttpApi, plan: openapi.ApiPlan) -> None:
    """Save the plan's routes, each with an integration of its own, as AWS imports them; and its authorizers."""
    by_scheme = {name: _save_authorizer(call, tx, api, name, given) for name, given in plan.authorizers.items()}
    for planned in plan.methods:
        default = planned.path.strip("/") == DEFAULT_ROUTE
        key = DEFAULT_ROUTE if default else f"{planned.method} {planned.path}"
        route = HttpRoute(
            route_id=call.ids.token(7),
            route_key=checked_route_key(key),
            operation_name=planned.operation_name or UNSET,
        )
        if planned.security is not None:
            name, scopes = planned.security
            if name not in by_scheme:
                raise ServiceError("BadRequestException", f"The security scheme {name} is not defined")
            set_authorization(
                tx,
                call,
                api.api_id,
                route,
                {
                    "AuthorizationType": "JWT" if by_scheme[name].authorizer_type == "JWT" else "CUSTOM",
                    "AuthorizerId": by_scheme[name].authorizer_id,
                    "AuthorizationScopes": list(scopes),
                },
            )
        if planned.integration is not None:
            if planned.integration.get("requestTemplates"):
                raise NotImplementedHere(f"The mapping templates of {key} in an HTTP API's OpenAPI document")
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
                    "RequestParameters": planned.integration.get("requestParameters"),
                    "ResponseParameters": planned.integration.get("responseParameters"),
                },
            )
            INTEGRATIONS.save(tx, call.scope, api.api_id, integration.integration_id, record=integration)
            route.target = f"{INTEGRATION_TARGET}{integration.integration_id}"
        ROUTES.save(tx, call.scope, api.api_id, route.route_id, record=route)
