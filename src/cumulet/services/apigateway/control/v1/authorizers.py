"""The Lambda authorizers of a REST API: TOKEN and REQUEST."""

import re
from typing import Any

from msgspec import UNSET

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway import limits, model
from cumulet.services.apigateway.control import lambda_uri
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, POST, at
from cumulet.services.apigateway.control.v1 import patching
from cumulet.services.apigateway.control.v1.integrations import checked_credentials
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
from cumulet.services.apigateway.model import STAGES, RouteAuthorization
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

AUTHORIZER = at("/restapis/{restApiId}/authorizers/{authorizerId}")

PATCHES = patching.table(
    """
    /authType                     text    replace
    /authorizerCredentials        text    replace
    /authorizerResultTtlInSeconds number  replace
    /authorizerUri                text    replace
    /identitySource               text    replace
    /identityValidationExpression text    replace
    /name                         text    replace
    /providerARNs                 refused add remove
    /type                         text    replace
    """
)

_TYPES = ("TOKEN", "REQUEST")
_SOURCE = re.compile(r"^(?:method\.request\.(?:header|querystring)\.[^\s,]+|context\.[^\s,]+|stageVariables\.[^\s,]+)$")
_TOKEN_SOURCE = re.compile(r"^method\.request\.header\.[^\s,]+$")
_SETTINGS = "name type authType authorizerUri authorizerCredentials identitySource identityValidationExpression"


@operation(
    "CreateAuthorizer",
    action=POST,
    resource=at("/restapis/{restApiId}/authorizers"),
    params=f"restApiId {_SETTINGS} authorizerResultTtlInSeconds",
    missing="COGNITO_USER_POOLS and JWT authorizers",
)
def create_authorizer(call: Call, tx: WriteTx, params: Params) -> Output:
    """The API has one more authorizer, to which methods can point."""
    api = get_api(tx, call, params)
    authorizer = make_authorizer(call.ids.token(6), params)
    others = list(AUTHORIZERS.scan(tx, call.scope, api.id))
    if any(other.name == authorizer.name for other in others):
        raise _bad(f"Authorizer name must be unique. Authorizer {authorizer.name} already exists in this RestApi.")
    if len(others) >= limits.AUTHORIZERS_PER_API_MAX:
        raise ServiceError("LimitExceededException", "Maximum number of Authorizers for this API has been reached.")
    AUTHORIZERS.save(tx, call.scope, api.id, authorizer.id, record=authorizer)
    return render(authorizer)


def make_authorizer(authorizer_id: str, given: Params) -> Authorizer:
    """Return the authorizer that the members of CreateAuthorizer describe."""
    kind, uri, name = given["type"], given.get("authorizerUri"), given.get("name") or ""
    if kind not in _TYPES:
        raise NotImplementedHere(f"The authorizer type {kind} of API Gateway")
    if not name:
        raise _bad("Authorizer name cannot be empty")
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
    ttl = given.get("authorizerResultTtlInSeconds")
    ttl = limits.AUTHORIZER_TTL_DEFAULT_S if ttl is None else int(ttl)
    if ttl not in limits.AUTHORIZER_TTL_S:
        raise _bad("Authorizer result TTL must be between 0 and 3600")
    source = given.get("identitySource") or ""
    if kind == "TOKEN" and not _TOKEN_SOURCE.match(source):
        raise _bad("Invalid identity source specified" if source else "Identity source cannot be empty")
    sources = [part.strip() for part in source.split(",")] if source else []
    for part in sources:
        if not _SOURCE.match(part):
            raise _bad(f"Invalid identity source specified: {part}")
    if ttl and not sources:
        raise _bad("Identity source must be set if authorizer caching is enabled (TTL is greater than 0)")
    validation = given.get("identityValidationExpression") or ""
    if validation and kind == "REQUEST":
        raise _bad("Identity validation expression is not supported for REQUEST authorizer")
    try:
        compile_pattern(validation)
    except ValueError:
        raise _bad(f"Invalid identity validation expression specified: {validation}") from None
    return Authorizer(
        id=authorizer_id,
        name=name,
        type=kind,
        auth_type=given.get("authType") or "custom",
        authorizer_uri=uri,
        authorizer_result_ttl_in_seconds=ttl,
        identity_source=",".join(sources) or UNSET,
        identity_validation_expression=validation or UNSET,
        authorizer_credentials=checked_credentials(given.get("authorizerCredentials")) or UNSET,
    )


def freeze_authorization(tx: ReadTx, call: Call, api_id: str, method: Method) -> RouteAuthorization | None:
    """Return what a method asks of its callers, as the pipeline has it; None if that is nothing."""
    if method.authorizer_id is not UNSET:
        authorizer = AUTHORIZERS.find(tx, call.scope, api_id, method.authorizer_id)
        if authorizer is None:
            raise _bad("Invalid authorizer ID specified")
        return RouteAuthorization("CUSTOM", _freeze(authorizer))
    return RouteAuthorization("AWS_IAM") if method.authorization_type == "AWS_IAM" else None


def _freeze(authorizer: Authorizer) -> model.Authorizer:
    return model.Authorizer(
        authorizer_id=authorizer.id,
        kind="TOKEN" if authorizer.type == "TOKEN" else "REQUEST",
        uri=authorizer.authorizer_uri,
        identity_sources=() if authorizer.identity_source is UNSET else tuple(authorizer.identity_source.split(",")),
        validation=_or_empty(authorizer.identity_validation_expression),
        credentials=_or_empty(authorizer.authorizer_credentials) or None,
        ttl_s=authorizer.authorizer_result_ttl_in_seconds,
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
    missing="patch paths of other types of authorizers",
)
def update_authorizer(call: Call, tx: WriteTx, params: Params) -> Output:
    """The authorizer has the patched values; what is deployed does not change."""
    api = get_api(tx, call, params)
    authorizer = get_authorizer(tx, call, params)
    given = patching.patched(render(authorizer), params.get("patchOperations"), PATCHES)
    changed = make_authorizer(authorizer.id, given)
    AUTHORIZERS.save(tx, call.scope, api.id, authorizer.id, record=changed)
    return render(changed)


@operation("DeleteAuthorizer", action=DELETE, resource=AUTHORIZER, params="restApiId authorizerId")
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
