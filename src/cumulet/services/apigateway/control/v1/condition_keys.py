"""What IAM policies may ask of a request to the REST control plane, and of what it is about (apigateway:Request/...,
apigateway:Resource/...).

A request that leaves a member out asks for the member's default. What a document asks for is many values, one of each
method and authorizer.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonapigatewaymanagement.html
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cumulet.services.apigateway.control.openapi.plan import ApiPlan, PlannedMethod
from cumulet.services.apigateway.control.v1.records import APIS, AUTHORIZERS, RESOURCES, RestApi, render
from cumulet.services.apigateway.control.v1.security_schemes import authorizer_params
from cumulet.services.apigateway.model import STAGES
from cumulet.services.kit import Call, ConditionValues, Params
from cumulet.store.api import ReadTx

Paths = Mapping[str, str]
"""By key: where in a request, or in what is shown, the value stands."""
Find = Callable[[ReadTx, Call, Params], Mapping[str, Any]]
"""Returns what exists as AWS shows it, empty if it does not."""

API = {
    "ApiName": "name",
    "DisableExecuteApiEndpoint": "disableExecuteApiEndpoint",
    "EndpointType": "endpointConfiguration/types",
}
AUTHORIZER = {"AuthorizerType": "type", "AuthorizerUri": "authorizerUri"}
DEPLOYMENT = {"StageName": "stageName"}
DOMAIN = {
    "EndpointType": "endpointConfiguration/types",
    "RoutingMode": "routingMode",
    "SecurityPolicy": "securityPolicy",
}
METHOD = {"ApiKeyRequired": "apiKeyRequired", "RouteAuthorizationType": "authorizationType"}
STAGE = {
    "AccessLoggingDestination": "accessLogSettings/destinationArn",
    "AccessLoggingFormat": "accessLogSettings/format",
}

_OF_TOKENS = ("COGNITO_USER_POOLS", "JWT")
"""Authorizers whose type is that of the methods which they protect; that of the others is CUSTOM."""

DEFAULTS: Mapping[str, Any] = {
    "endpointConfiguration": {"types": ["EDGE"]},
    "disableExecuteApiEndpoint": False,
    "apiKeyRequired": False,
}


def asked(paths: Paths) -> Callable[[ReadTx, Call, Params], ConditionValues]:
    """Return what tells the keys of a request that makes something."""

    def conditions(tx: ReadTx, call: Call, params: Params) -> ConditionValues:
        return told("Request", {key: _member(params, path) or _member(DEFAULTS, path) for key, path in paths.items()})

    return conditions


def kept(paths: Paths, find: Find) -> Callable[[ReadTx, Call, Params], ConditionValues]:
    """Return what tells the keys of what exists."""

    def conditions(tx: ReadTx, call: Call, params: Params) -> ConditionValues:
        shown = find(tx, call, params)
        return told("Resource", {key: _member(shown, path) for key, path in paths.items()})

    return conditions


def patched(paths: Paths, find: Find) -> Callable[[ReadTx, Call, Params], ConditionValues]:
    """Return what tells the keys of patches, and of what they change."""
    before = kept(paths, find)

    def conditions(tx: ReadTx, call: Call, params: Params) -> ConditionValues:
        return {
            **before(tx, call, params),
            **told("Request", {key: _patch_values(params, f"/{path}") for key, path in paths.items()}),
        }

    return conditions


def told(side: str, values: Mapping[str, Any]) -> ConditionValues:
    """Return the keys that have values, as texts."""
    return {
        f"apigateway:{side}/{key}": [_text(one) for one in value] if isinstance(value, list) else _text(value)
        for key, value in values.items()
        if value not in (None, "", [])
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _member(holder: Any, path: str) -> Any:
    for name in path.split("/"):
        holder = holder.get(name) if isinstance(holder, Mapping) else None
    return holder


def _patch_values(params: Params, path: str) -> Any:
    """Return what patches put in a place: all that was in it for a moment if it is a list, else the last."""
    values = [
        patch.get("value")
        for patch in params.get("patchOperations") or ()
        if patch.get("op") in ("add", "replace") and f"{patch.get('path')}/".startswith(f"{path}/")
    ]
    return values if path.endswith("/types") else next(reversed(values), None)


def find_api(tx: ReadTx, call: Call, params: Params) -> Mapping[str, Any]:
    """Return the API that a request names."""
    api = APIS.find(tx, call.scope, params["restApiId"])
    return {} if api is None else render(api)


def find_authorizer(tx: ReadTx, call: Call, params: Params) -> Mapping[str, Any]:
    """Return the authorizer that a request names."""
    authorizer = AUTHORIZERS.find(tx, call.scope, params["restApiId"], params["authorizerId"])
    return {} if authorizer is None else render(authorizer)


def find_method(tx: ReadTx, call: Call, params: Params) -> Mapping[str, Any]:
    """Return the method that a request names."""
    resource = RESOURCES.find(tx, call.scope, params["restApiId"], params["resourceId"])
    method = None if resource is None else resource.resource_methods.get(params["httpMethod"])
    return {} if method is None else render(method)


def find_stage(tx: ReadTx, call: Call, params: Params) -> Mapping[str, Any]:
    """Return the stage that a request names, as far as policies ask for it."""
    stage = STAGES.find(tx, call.scope, params["restApiId"], params["stageName"])
    log = None if stage is None else stage.access_log
    return {} if log is None else {"accessLogSettings": {"destinationArn": log.destination_arn, "format": log.format}}


def of_document(plan: ApiPlan, settings: Mapping[str, Any]) -> ConditionValues:
    """Return the keys of an import: of the API, and of each of its methods and authorizers."""
    given = {**DEFAULTS, **plan.settings, **settings, "name": plan.title}
    schemes = [(name, scheme) for name, scheme in plan.schemes.items() if scheme.kind == "authorizer"]
    authorizers = [authorizer_params(name, scheme) for name, scheme in schemes]
    kinds = {authorizer["name"]: authorizer["type"] for authorizer in authorizers}
    return told(
        "Request",
        {
            **{key: _member(given, path) for key, path in API.items()},
            **_of_members(AUTHORIZER, authorizers),
            **_of_members(METHOD, [_shown(plan, kinds, method) for method in plan.methods]),
        },
    )


def of_existing(tx: ReadTx, call: Call, api: RestApi) -> ConditionValues:
    """Return the keys of an API, with each of its methods and authorizers, that a document is put over."""
    shown = render(api)
    authorizers = map(render, AUTHORIZERS.scan(tx, call.scope, api.id))
    methods = (
        render(method)
        for resource in RESOURCES.scan(tx, call.scope, api.id)
        for method in resource.resource_methods.values()
    )
    return told(
        "Resource",
        {
            **{key: _member(shown, path) for key, path in API.items()},
            **_of_members(AUTHORIZER, authorizers),
            **_of_members(METHOD, methods),
        },
    )


def _of_members(paths: Paths, members: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    every = list(members)
    return {key: [value for one in every if (value := _member(one, path)) is not None] for key, path in paths.items()}


def _shown(plan: ApiPlan, kinds: Mapping[str, str], method: PlannedMethod) -> dict[str, Any]:
    """Return who may call a planned method, as a method shows it."""
    shown: dict[str, Any] = {"authorizationType": method.auth or "NONE", "apiKeyRequired": False}
    for name, _ in method.security:
        scheme = plan.schemes.get(name)
        kind = None if scheme is None else scheme.kind
        if kind == "api_key":
            shown["apiKeyRequired"] = True
        elif kind == "iam":
            shown["authorizationType"] = "AWS_IAM"
        elif kind == "authorizer":
            shown["authorizationType"] = kinds[name] if kinds[name] in _OF_TOKENS else "CUSTOM"
    return shown
