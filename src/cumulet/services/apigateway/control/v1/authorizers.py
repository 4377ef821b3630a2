"""The authorizers of a REST API: Lambda functions (TOKEN and REQUEST), user pools, and issuers of JWTs."""

import re
from collections.abc import Iterable
from typing import Any, cast

from msgspec import UNSET

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway import limits, model
from cumulet.services.apigateway.control import lambda_uri
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, POST, at
from cumulet.services.apigateway.control.v1 import condition_keys, passed_roles, patching
from cumulet.services.apigateway.control.v1.integrations import checked_credentials
from cumulet.services.apigateway.control.v1.jwt_configuration import checked_configuration, freeze_issuers
from cumulet.services.apigateway.control.v1.paging import page_of_api
from cumulet.services.apigateway.control.v1.records import (
    AUTHORIZERS,
    RESOURCES,
    Authorizer,
    Method,
    get_api,
    get_authorizer,
    get_stage,
    render,
)
from cumulet.services.apigateway.mapping.patterns import compile_pattern
from cumulet.services.apigateway.model import CALLER, STAGES, AuthorizationKind, AuthorizerKind, RouteAuthorization
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

EVERY_AUTHORIZER = at("/restapis/{restApiId}/authorizers")
AUTHORIZER = at("/restapis/{restApiId}/authorizers/{authorizerId}")

PATCHES = patching.table(
    """
    /authType                     text    replace
    /authorizerCredentials        text    replace
    /authorizerResultTtlInSeconds number  replace
    /authorizerUri                text    replace
    /identitySource               text    add replace remove
    /identityValidationExpression text    replace
    /name                         text    replace
    /jwtConfiguration             object  replace
    /providerARNs                 members add remove
    /type                         text    replace
    """
)

_LAMBDA = ("authorizerUri", "authorizerCredentials", "authorizerResultTtlInSeconds")
MEMBERS = {
    "TOKEN": (*_LAMBDA, "identityValidationExpression"),
    "REQUEST": _LAMBDA,
    "COGNITO_USER_POOLS": ("providerARNs", "authorizerResultTtlInSeconds", "identityValidationExpression"),
    "JWT": ("jwtConfiguration",),
}
"""Every type, with the members that not all of them have."""

_OF_A_KIND = tuple(dict.fromkeys(member for members in MEMBERS.values() for member in members))
_AUTH_TYPES = {"COGNITO_USER_POOLS": "cognito_user_pools", "JWT": "jwt"}
_POOL = re.compile(r"^arn:aws[a-z-]*:cognito-idp:[a-z0-9-]+:\d{12}:userpool/[A-Za-z0-9_-]+\Z")
_SOURCE = re.compile(
    r"^(?:method\.request\.(?:header|querystring)\.[^\s,]+|context\.[^\s,]+|stageVariables\.[^\s,]+)\Z"
)
_TOKEN_SOURCE = re.compile(r"^method\.request\.header\.[^\s,]+\Z")


@operation(
    "CreateAuthorizer",
    action=POST,
    resource=EVERY_AUTHORIZER,
    params=f"restApiId name type authType identitySource {' '.join(_OF_A_KIND)}",
    demands=passed_roles.demanding(
        POST,
        EVERY_AUTHORIZER,
        passed_roles.named_by("authorizerCredentials"),
        condition_keys.asked(condition_keys.AUTHORIZER),
    ),
)
def create_authorizer(call: Call, tx: WriteTx, params: Params) -> Output:
    """The API has one more authorizer, to which methods can point."""
    api = get_api(tx, call, params)
    authorizer = make_authorizer(call.ids.token(6), params)
    others = list(AUTHORIZERS.scan(tx, call.scope, api.id))
    _check_name(authorizer, others)
    if len(others) >= limits.AUTHORIZERS_PER_API_MAX:
        raise ServiceError("LimitExceededException", "Maximum number of Authorizers for this API has been reached.")
    AUTHORIZERS.save(tx, call.scope, api.id, authorizer.id, record=authorizer)
    return render(authorizer)


def _check_name(authorizer: Authorizer, others: Iterable[Authorizer]) -> None:
    if any(other.name == authorizer.name and other.id != authorizer.id for other in others):
        raise _bad(f"Authorizer name must be unique. Authorizer {authorizer.name} already exists in this RestApi.")


def make_authorizer(authorizer_id: str, given: Params) -> Authorizer:
    """Return the authorizer that the members of CreateAuthorizer describe."""
    kind, name = given["type"], given.get("name") or ""
    if kind not in MEMBERS:
        raise _bad(f"Invalid authorizer type: {kind}. Must be one of [{', '.join(MEMBERS)}].")
    if not name:
        raise _bad("Authorizer name cannot be empty")
    for member in _OF_A_KIND:
        if given.get(member) not in (None, "", []) and member not in MEMBERS[kind]:
            raise _bad(f"{member} is not supported for {kind} authorizer")
    sources = _identity_sources(kind, given.get("identitySource") or "")
    authorizer = Authorizer(
        id=authorizer_id,
        name=name,
        type=kind,
        auth_type=given.get("authType") or _AUTH_TYPES.get(kind, "custom"),
        identity_source=",".join(sources) or UNSET,
        identity_validation_expression=_validation(given.get("identityValidationExpression") or "") or UNSET,
    )
    if kind == "JWT":
        authorizer.jwt_configuration = checked_configuration(given.get("jwtConfiguration"))
        return authorizer
    if kind == "COGNITO_USER_POOLS":
        authorizer.provider_arns = _checked_pools(given.get("providerARNs"))
    else:
        authorizer.authorizer_uri = _checked_uri(given.get("authorizerUri"))
        credentials = checked_credentials(given.get("authorizerCredentials"))
        if credentials == CALLER:
            raise _bad("Authorizer credentials must be a role")
        authorizer.authorizer_credentials = credentials or UNSET
    ttl = given.get("authorizerResultTtlInSeconds")
    ttl = limits.AUTHORIZER_TTL_DEFAULT_S if ttl is None else int(ttl)
    if ttl not in limits.AUTHORIZER_TTL_S:
        raise _bad("Authorizer result TTL must be between 0 and 3600")
    if ttl and not sources:
        raise _bad("Identity source must be set if authorizer caching is enabled (TTL is greater than 0)")
    authorizer.authorizer_result_ttl_in_seconds = ttl
    return authorizer


def _checked_uri(uri: str | None) -> str:
    if not uri:
        raise _bad("Authorizer URI cannot be empty")
    try:
        lambda_uri.check(uri, function_arn_alone=False)
    except NotImplementedHere:
        raise
    except ServiceError:
        raise _bad(
            "Invalid Authorizer URI: "
            f"{uri}. Authorizer URI should be a valid API Gateway ARN that represents a Lambda function invocation."
        ) from None
    return uri


def _checked_pools(arns: Any) -> list[str]:
    if not arns:
        raise _bad("Provider ARNs cannot be empty for COGNITO_USER_POOLS authorizer")
    for arn in arns:
        if not _POOL.match(arn):
            raise _bad(f"Invalid Cognito User Pool ARN specified: {arn}")
    return list(dict.fromkeys(arns))


def _identity_sources(kind: str, source: str) -> list[str]:
    if kind != "REQUEST":
        if not _TOKEN_SOURCE.match(source):
            raise _bad("Invalid identity source specified" if source else "Identity source cannot be empty")
        return [source]
    sources = [part.strip() for part in source.split(",")] if source else []
    for part in sources:
        if not _SOURCE.match(part):
            raise _bad(f"Invalid identity source specified: {part}")
    return sources


def _validation(expression: str) -> str:
    try:
        compile_pattern(expression)
    except ValueError:
        raise _bad(f"Invalid identity validation expression specified: {expression}") from None
    return expression


def freeze_authorization(tx: ReadTx, call: Call, api_id: str, method: Method) -> RouteAuthorization | None:
    """Return what a method asks of its callers, as the pipeline has it; None if that is nothing."""
    kind = method.authorization_type
    if method.authorizer_id is not UNSET:
        authorizer = AUTHORIZERS.find(tx, call.scope, api_id, method.authorizer_id)
        if authorizer is None:
            raise _bad("Invalid authorizer ID specified")
        scopes = () if method.authorization_scopes is UNSET else tuple(method.authorization_scopes)
        return RouteAuthorization(cast(AuthorizationKind, kind), freeze_authorizer(authorizer), scopes)
    return RouteAuthorization("AWS_IAM") if kind == "AWS_IAM" else None


def freeze_authorizer(authorizer: Authorizer) -> model.Authorizer:
    """Return an authorizer as the pipeline has it."""
    configuration = authorizer.jwt_configuration
    ttl_s, pools = authorizer.authorizer_result_ttl_in_seconds, authorizer.provider_arns
    return model.Authorizer(
        authorizer_id=authorizer.id,
        kind=cast(AuthorizerKind, authorizer.type),
        identity_sources=() if authorizer.identity_source is UNSET else tuple(authorizer.identity_source.split(",")),
        uri=_or_empty(authorizer.authorizer_uri),
        validation=_or_empty(authorizer.identity_validation_expression),
        credentials=_or_empty(authorizer.authorizer_credentials) or None,
        ttl_s=0 if ttl_s is UNSET else ttl_s,
        issuers=() if configuration is UNSET else freeze_issuers(configuration),
        algorithms=() if configuration is UNSET else tuple(configuration["defaultAlgorithms"]),
        user_pools=() if pools is UNSET else tuple(pools),
    )


def _or_empty(value: Any) -> str:
    return "" if value is UNSET else str(value)


def _bad(words: str) -> ServiceError:
    return ServiceError("BadRequestException", words)


@operation("GetAuthorizer", action=GET, resource=AUTHORIZER, params="restApiId authorizerId")
def get_one_authorizer(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one authorizer."""
    return render(get_authorizer(tx, call, params))


@operation(
    "GetAuthorizers",
    action=GET,
    resource=at("/restapis/{restApiId}/authorizers"),
    params="restApiId position limit",
)
def get_authorizers(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return an API's authorizers, a page at a time."""
    api = get_api(tx, call, params)
    return page_of_api(tx, call, params, api.id, AUTHORIZERS, lambda authorizer: authorizer.id, render)


@operation(
    "UpdateAuthorizer",
    action=PATCH,
    resource=AUTHORIZER,
    params="restApiId authorizerId patchOperations",
    demands=passed_roles.demanding(
        PATCH,
        AUTHORIZER,
        passed_roles.named_by("authorizerCredentials"),
        condition_keys.patched(condition_keys.AUTHORIZER, condition_keys.find_authorizer),
    ),
)
def update_authorizer(call: Call, tx: WriteTx, params: Params) -> Output:
    """The authorizer has the patched values; what is deployed does not change."""
    api = get_api(tx, call, params)
    authorizer = get_authorizer(tx, call, params)
    given = patching.patched(render(authorizer), params.get("patchOperations"), PATCHES)
    changed = make_authorizer(authorizer.id, given)
    _check_name(changed, AUTHORIZERS.scan(tx, call.scope, api.id))
    AUTHORIZERS.save(tx, call.scope, api.id, authorizer.id, record=changed)
    return render(changed)


@operation(
    "DeleteAuthorizer",
    action=DELETE,
    resource=AUTHORIZER,
    params="restApiId authorizerId",
    conditions=condition_keys.kept(condition_keys.AUTHORIZER, condition_keys.find_authorizer),
)
def delete_authorizer(call: Call, tx: WriteTx, params: Params) -> Output:
    """The authorizer is gone. Refused while a method points to it."""
    api = get_api(tx, call, params)
    authorizer = get_authorizer(tx, call, params)
    for resource in RESOURCES.scan(tx, call.scope, api.id):
        if any(method.authorizer_id == authorizer.id for method in resource.resource_methods.values()):
            raise ServiceError(
                "ConflictException",
                f"Unable to delete Authorizer '{authorizer.id}' because it is referenced by a method",
            )
    AUTHORIZERS.delete(tx, call.scope, api.id, authorizer.id)
    return {}


@operation(
    "FlushStageAuthorizersCache",
    action=DELETE,
    resource=at("/restapis/{restApiId}/stages/{stageName}/cache/authorizers"),
    params="restApiId stageName",
)
def flush_stage_authorizers_cache(call: Call, tx: WriteTx, params: Params) -> Output:
    """What the authorizers said of earlier requests for the stage is forgotten, on every node."""
    api = get_api(tx, call, params)
    stage = get_stage(tx, call, api.id, params["stageName"])
    stage.authorizers_reset_s = max(call.now_ms // 1000, stage.authorizers_reset_s + 1)
    STAGES.save(tx, call.scope, api.id, stage.name, record=stage)
    return {}
