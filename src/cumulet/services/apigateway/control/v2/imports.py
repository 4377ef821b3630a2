"""HTTP APIs from OpenAPI 3 documents: a new one, or an existing one made anew."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway.control import tagging
from cumulet.services.apigateway.control.arns import PUT
from cumulet.services.apigateway.control.openapi import extensions
from cumulet.services.apigateway.control.openapi.plan import ApiPlan, PlannedMethod, Scheme, plan_api
from cumulet.services.apigateway.control.openapi.reading import Object, mapping, number, parse_document, text
from cumulet.services.apigateway.control.security_policies import checked_ip_address_type
from cumulet.services.apigateway.control.v1 import passed_roles
from cumulet.services.apigateway.control.v1.imports import fill_variables
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
    Integration,
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
_MISSING = "VPC links, service integrations"
_REST_KINDS = ("AWS", "HTTP", "MOCK")
"""The types of integrations that HTTP APIs do not have."""


def operations(show: Callable[[HttpApi], dict[str, Any]]) -> list[Operation]:
    """Return the operations, whose output is that of GetApi."""

    @operation(
        "ImportApi",
        action=PUT,
        resource=apis.EVERY_API,
        params="Body Basepath FailOnWarnings",
        demands=passed_roles.demanding(PUT, apis.EVERY_API, _roles),
        missing=_MISSING,
    )
    def import_api(call: Call, tx: WriteTx, params: Params) -> Output:
        """An API as the document describes it exists."""
        plan = _plan(call, params)
        api = apis.create(
            call,
            tx,
            {
                "Name": plan.title,
                "Description": plan.description,
                "Version": plan.version,
                "CorsConfiguration": _cors(plan),
                "DisableExecuteApiEndpoint": plan.settings.get("disableExecuteApiEndpoint"),
                "IpAddressType": plan.settings.get("ipAddressType"),
                "Tags": plan.tags,
            },
        )
        _apply(call, tx, api, plan)
        return _with_warnings(show(api), plan, params)

    @operation(
        "ReimportApi",
        action=PUT,
        resource=apis.API,
        params="ApiId Body Basepath FailOnWarnings",
        demands=passed_roles.demanding(PUT, apis.API, _roles),
        missing=_MISSING,
    )
    def reimport_api(call: Call, tx: WriteTx, params: Params) -> Output:
        """The API is what the document describes; stages with AutoDeploy follow."""
        api = get_api(tx, call, params)
        plan = _plan(call, params)
        cors = _cors(plan)
        api.name, api.version = plan.title, plan.version or UNSET
        api.description = plan.description or UNSET
        api.disable_execute_api_endpoint = bool(plan.settings.get("disableExecuteApiEndpoint"))
        api.ip_address_type = checked_ip_address_type(plan.settings.get("ipAddressType"))
        api.cors_configuration = apis.make_cors(cors) if cors else UNSET
        api.tags = tagging.checked({**api.tags, **plan.tags})
        APIS.save(tx, call.scope, api.api_id, record=api)
        ROUTES.delete_all(tx, call.scope, api.api_id)
        AUTHORIZERS.delete_all(tx, call.scope, api.api_id)
        INTEGRATIONS.delete_all(tx, call.scope, api.api_id)
        _apply(call, tx, api, plan)
        auto_deploy(tx, call, api)
        return _with_warnings(show(api), plan, params)

    return [import_api, reimport_api]


def _roles(call: Call, params: Params) -> Iterator[Any]:
    try:
        return passed_roles.of_document(_plan(call, params))
    except ServiceError:
        return iter(())  # of a document that will be refused


def _plan(call: Call, params: Params) -> ApiPlan:
    document = parse_document(params["Body"], lambda text: fill_variables(call, text))
    if "openapi" not in document:
        raise ServiceError("BadRequestException", "Invalid OpenAPI input: HTTP APIs support OpenAPI 3.0 only")
    plan = plan_api(document, is_http=True, base_path=params.get("Basepath") or "ignore")
    for name in plan.settings:
        if name not in ("disableExecuteApiEndpoint", "ipAddressType"):
            plan.warnings.append(f"{name} is not supported for HTTP APIs, it is ignored")
    plan.warnings.extend(_doubts(document))
    return plan


def _doubts(document: Object) -> Iterator[str]:
    """Yield what AWS warns of in the paths of a document that has been read.

    The words of the first are in SAM's translator (aws/serverless-application-model#2297); of the second only that it
    is a warning: hashicorp/terraform-provider-aws#18399.
    """
    for path, item in mapping(document.get("paths"), "paths").items():
        if not path.startswith("/"):
            yield f"Parse issue: attribute paths. Resource {path} should start with /"
        for name, method in mapping(item, path).items():
            if not isinstance(method, dict):
                continue
            for reference in _references([method.get("requestBody"), method.get("responses")]):
                if _is_missing(document, reference):
                    yield f"Parse issue: attribute paths.'{path}'({name}) refers to {reference}, which is missing"


def _references(nodes: list[Any]) -> Iterator[str]:
    """Yield the references to other parts of the document that stand anywhere below some nodes."""
    while nodes:
        node = nodes.pop()
        if isinstance(node, list):
            nodes += node
        elif isinstance(node, dict):
            if isinstance(reference := node.get("$ref"), str) and reference.startswith("#/"):
                yield reference
            nodes += node.values()


def _is_missing(document: Object, reference: str) -> bool:
    node: Any = document
    for name in reference.removeprefix("#/").split("/"):
        node = node.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
    return node is None


def _with_warnings(shown: dict[str, Any], plan: ApiPlan, params: Params) -> dict[str, Any]:
    """Return an API with the warnings of its import. Raises BadRequestException if they are to fail it."""
    if plan.warnings:
        if params.get("FailOnWarnings"):
            told = "\n\t".join(plan.warnings)
            raise ServiceError("BadRequestException", f"Warnings found during import:\n\t{told}")
        shown["Warnings"] = plan.warnings
    return shown


def _cors(plan: ApiPlan) -> dict[str, Any] | None:
    if not plan.cors:
        return None
    for name in plan.cors:
        if name not in _CORS_MEMBERS:
            raise ServiceError("BadRequestException", f"Invalid member {name} of {extensions.CORS}")
    return {_CORS_MEMBERS[name]: value for name, value in plan.cors.items()}


def _save_authorizer(call: Call, tx: WriteTx, api: HttpApi, name: str, scheme: Scheme) -> Authorizer:
    """Save the authorizer that a security scheme describes.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-open-api.html
    """
    given = scheme.authorizer
    for member, value in given.items():
        if member not in _AUTHORIZER_MEMBERS and value:
            raise NotImplementedHere(f"The member {member} of {extensions.AUTHORIZER} in an OpenAPI document")
    settings = {_AUTHORIZER_MEMBERS[member]: value for member, value in given.items() if member in _AUTHORIZER_MEMBERS}
    # SAM's templates have the version as a number.
    version = text(given.get("authorizerPayloadFormatVersion"), name)
    time_to_live = number(given.get("authorizerResultTtlInSeconds"), name)
    settings |= {"AuthorizerPayloadFormatVersion": version, "AuthorizerResultTtlInSeconds": time_to_live}
    kind, sources = str(given.get("type") or "").upper(), given.get("identitySource")
    if kind not in ("JWT", "REQUEST"):
        raise ServiceError("BadRequestException", f"Invalid authorizer type specified: {given.get('type')}")
    jwt = given.get("jwtConfiguration")
    if isinstance(jwt, dict) and scheme.issuer:
        jwt = {"issuer": scheme.issuer, **jwt}
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


def _apply(call: Call, tx: WriteTx, api: HttpApi, plan: ApiPlan) -> None:
    """Save the plan's routes, each with an integration of its own, as AWS imports them; and its authorizers."""
    schemes = plan.schemes.items()
    authorizers = {
        name: _save_authorizer(call, tx, api, name, scheme) for name, scheme in schemes if scheme.kind == "authorizer"
    }
    for planned in plan.methods:
        default = planned.path.strip("/") == DEFAULT_ROUTE
        key = DEFAULT_ROUTE if default else f"{planned.method} {planned.path}"
        route = HttpRoute(route_id=call.ids.token(7), route_key=key, operation_name=planned.operation_name or UNSET)
        if (authorization := _authorization(plan, planned, authorizers)) is not None:
            set_authorization(tx, call, api.api_id, route, authorization)
        if planned.integration is not None:
            integration = _make_integration(call, planned.integration, key, plan.warnings)
            if integration is not None:
                INTEGRATIONS.save(tx, call.scope, api.api_id, integration.integration_id, record=integration)
                route.target = f"{INTEGRATION_TARGET}{integration.integration_id}"
        try:
            checked_route_key(key)
        except ServiceError as error:
            # Its integration is there all the same: aws/serverless-application-model#1949.
            plan.warnings.append(f"Unable to create Route '{key}': {error.message}")
            continue
        ROUTES.save(tx, call.scope, api.api_id, route.route_id, record=route)


def _make_integration(call: Call, planned: Mapping[str, Any], key: str, warnings: list[str]) -> Integration | None:
    """Return a route's integration; None, and a warning, if it is of a kind that only REST APIs have.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-open-api.html#http-api-import.validation
    """
    kind = (planned.get("type") or "").upper()
    if planned.get("requestTemplates") and kind not in _REST_KINDS:
        raise NotImplementedHere(f"The mapping templates of {key} in an HTTP API's OpenAPI document")
    given = {
        "IntegrationType": kind,
        "IntegrationSubtype": planned.get("integrationSubtype"),
        "IntegrationUri": planned.get("uri"),
        "IntegrationMethod": planned.get("httpMethod"),
        "PayloadFormatVersion": planned.get("payloadFormatVersion"),
        "TimeoutInMillis": planned.get("timeoutInMillis"),
        "CredentialsArn": planned.get("credentials"),
        "ConnectionType": planned.get("connectionType"),
        "RequestParameters": planned.get("requestParameters"),
        "ResponseParameters": planned.get("responseParameters"),
    }
    try:
        return make_integration(call, given)
    except ServiceError as error:
        if kind not in _REST_KINDS:
            raise
        warnings.append(f"Unable to create Integration of Route '{key}': {error.message}")
        return None


def _authorization(
    plan: ApiPlan, planned: PlannedMethod, authorizers: Mapping[str, Authorizer]
) -> dict[str, Any] | None:
    """Return the members of CreateRoute that tell who may call, or None if anybody may."""
    if len(planned.security) > 1:
        raise ServiceError(
            "BadRequestException", f"Only one authorizer is supported of {planned.method} {planned.path}"
        )
    if not planned.security:
        return None
    [(name, scopes)] = planned.security
    scheme = plan.schemes.get(name)
    if scheme is None and name == extensions.NO_SCHEME:
        return None
    if scheme is None:
        raise ServiceError("BadRequestException", f"The security scheme {name} is not defined")
    if scheme.kind == "iam":
        return {"AuthorizationType": "AWS_IAM"}
    if scheme.kind != "authorizer":
        raise NotImplementedHere(f"The security scheme {name} without {extensions.AUTHORIZER} in an OpenAPI document")
    authorizer = authorizers[name]
    return {
        "AuthorizationType": "JWT" if authorizer.authorizer_type == "JWT" else "CUSTOM",
        "AuthorizerId": authorizer.authorizer_id,
        "AuthorizationScopes": list(scopes),
    }
