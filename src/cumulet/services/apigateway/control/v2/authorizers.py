"""The authorizers of an HTTP API: JWT and REQUEST (a Lambda function)."""

import re
from typing import Any

import msgspec
from msgspec import UNSET

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control import lambda_uri
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, POST, at
from cumulet.services.apigateway.control.v1 import passed_roles
from cumulet.services.apigateway.control.v1.integrations import checked_credentials
from cumulet.services.apigateway.control.v2.deploying import auto_deploy
from cumulet.services.apigateway.control.v2.paging import page_of_api
from cumulet.services.apigateway.control.v2.records import (
    AUTHORIZERS,
    ROUTES,
    Authorizer,
    JwtConfiguration,
    get_api,
    get_authorizer,
    get_stage,
    render,
)
from cumulet.services.apigateway.model import STAGES
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

EVERY_AUTHORIZER = at("/apis/{ApiId}/authorizers")
AUTHORIZER = at("/apis/{ApiId}/authorizers/{AuthorizerId}")

_SETTINGS = (
    "AuthorizerType Name IdentitySource JwtConfiguration AuthorizerUri AuthorizerCredentialsArn "
    "AuthorizerPayloadFormatVersion AuthorizerResultTtlInSeconds EnableSimpleResponses IdentityValidationExpression"
)
"""The last is, in the model's words, not used."""
_OF_FUNCTIONS = (
    "AuthorizerUri",
    "AuthorizerPayloadFormatVersion",
    "EnableSimpleResponses",
    "AuthorizerCredentialsArn",
    "AuthorizerResultTtlInSeconds",
)
_JWT_SOURCE = re.compile(r"^\$request\.(header|querystring)\.[^.\s][^\s]*\Z")
_SOURCE = re.compile(r"^\$(request\.(header|querystring)|context|stageVariables)\.[^.\s][^\s]*\Z")
_ISSUER = re.compile(r"^https?://[^/?#\s]+[^?#\s]*\Z")


@operation(
    "CreateAuthorizer",
    action=POST,
    resource=EVERY_AUTHORIZER,
    params=f"ApiId {_SETTINGS}",
    demands=passed_roles.demanding(POST, EVERY_AUTHORIZER, passed_roles.named_by("AuthorizerCredentialsArn")),
)
def create_authorizer(call: Call, tx: WriteTx, params: Params) -> Output:
    """The API has one more authorizer, to which routes can point."""
    api = get_api(tx, call, params)
    others = list(AUTHORIZERS.scan(tx, call.scope, api.api_id))
    if len(others) >= limits.AUTHORIZERS_PER_API_MAX:
        raise ServiceError("TooManyRequestsException", "Maximum number of authorizers for this API has been reached.")
    authorizer = make_authorizer(params, call.ids.token(6))
    if any(other.name == authorizer.name for other in others):
        raise ServiceError("ConflictException", f"Authorizer name must be unique. Authorizer {authorizer.name} exists.")
    AUTHORIZERS.save(tx, call.scope, api.api_id, authorizer.authorizer_id, record=authorizer)
    return render(authorizer)


def make_authorizer(params: Params, authorizer_id: str, before: Authorizer | None = None) -> Authorizer:
    """Return the authorizer that the members of CreateAuthorizer describe, over what it was `before`."""
    old: dict[str, Any] = render(before) if before is not None else {}
    given = {**old, **{name: value for name, value in params.items() if value is not None}}
    sources = list(given.get("IdentitySource") or [])
    authorizer = Authorizer(authorizer_id, given["AuthorizerType"], given["Name"], sources)
    if given["AuthorizerType"] == "JWT":
        _set_jwt(authorizer, given)
    else:
        _set_function(authorizer, given)
    return authorizer


def _set_jwt(authorizer: Authorizer, given: Params) -> None:
    for name in _OF_FUNCTIONS:
        if given.get(name):
            raise _bad(f"{name} is not supported for JWT authorizer")
    sources, jwt = authorizer.identity_source, given.get("JwtConfiguration") or {}
    if len(sources) != 1 or not _JWT_SOURCE.match(sources[0]):
        raise _bad("Identity source for a JWT authorizer must be one header or query string parameter")
    issuer, audience = jwt.get("Issuer"), jwt.get("Audience") or []
    if not issuer or not audience:
        raise _bad("JwtConfiguration with an issuer and an audience is required for JWT authorizer")
    if not _ISSUER.match(issuer):
        raise _bad(
            f"Invalid issuer: {issuer}. Issuer must have a valid discovery endpoint ended with "
            "'/.well-known/openid-configuration'"
        )
    if len(audience) > limits.AUDIENCES_PER_AUTHORIZER_MAX:
        raise _bad(f"An authorizer can have at most {limits.AUDIENCES_PER_AUTHORIZER_MAX} audiences")
    authorizer.jwt_configuration = msgspec.convert({"Issuer": issuer, "Audience": audience}, JwtConfiguration)


def _set_function(authorizer: Authorizer, given: Params) -> None:
    """Give a REQUEST authorizer its function. The words: hashicorp/terraform-provider-aws#15181 and #32629."""
    payload_format, uri = given.get("AuthorizerPayloadFormatVersion"), given.get("AuthorizerUri")
    simple, ttl = given.get("EnableSimpleResponses"), given.get("AuthorizerResultTtlInSeconds")
    if given.get("JwtConfiguration"):
        raise _bad("JwtConfiguration is not supported for REQUEST authorizer")
    if not payload_format:
        raise _bad("AuthorizerPayloadFormatVersion is a required parameter for REQUEST authorizer")
    if payload_format not in ("1.0", "2.0"):
        raise _bad(f"Invalid AuthorizerPayloadFormatVersion {payload_format}: must be one of [1.0, 2.0]")
    if simple and payload_format != "2.0":
        raise _bad("EnableSimpleResponses is only supported for AuthorizerPayloadFormatVersion 2.0")
    if not uri:
        raise _bad("AuthorizerUri is a required parameter for REQUEST authorizer")
    lambda_uri.check(uri, function_arn_alone=False)
    for source in authorizer.identity_source:
        if not _SOURCE.match(source):
            raise _bad(f"Invalid identity source specified: {source}")
    if ttl and not authorizer.identity_source:
        raise _bad("Identity source must be set if authorizer caching is enabled (TTL is greater than 0)")
    if ttl is not None and ttl not in limits.AUTHORIZER_TTL_S:
        raise _bad("AuthorizerResultTtlInSeconds should be between 0 and 3600")
    authorizer.authorizer_uri = uri
    authorizer.authorizer_payload_format_version = payload_format
    authorizer.authorizer_credentials_arn = checked_credentials(given.get("AuthorizerCredentialsArn")) or UNSET
    authorizer.authorizer_result_ttl_in_seconds = ttl if ttl is not None else UNSET
    authorizer.enable_simple_responses = simple if simple is not None else UNSET


def _bad(words: str) -> ServiceError:
    return ServiceError("BadRequestException", words)


@operation("GetAuthorizer", action=GET, resource=AUTHORIZER, params="ApiId AuthorizerId")
def get_one_authorizer(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one authorizer."""
    return render(get_authorizer(tx, call, params))


@operation("GetAuthorizers", action=GET, resource=EVERY_AUTHORIZER, params="ApiId MaxResults NextToken")
def get_authorizers(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return an API's authorizers."""
    api = get_api(tx, call, params)
    return page_of_api(tx, call, params, api.api_id, AUTHORIZERS, lambda authorizer: authorizer.authorizer_id, render)


@operation(
    "UpdateAuthorizer",
    action=PATCH,
    resource=AUTHORIZER,
    params=f"ApiId AuthorizerId {_SETTINGS}",
    demands=passed_roles.demanding(PATCH, AUTHORIZER, passed_roles.named_by("AuthorizerCredentialsArn")),
)
def update_authorizer(call: Call, tx: WriteTx, params: Params) -> Output:
    """The authorizer has the given values; stages with AutoDeploy follow."""
    api = get_api(tx, call, params)
    before = get_authorizer(tx, call, params)
    if params.get("AuthorizerType") not in (None, before.authorizer_type):
        raise _bad("The type of an authorizer cannot be changed")
    authorizer = make_authorizer(params, before.authorizer_id, before)
    AUTHORIZERS.save(tx, call.scope, api.api_id, authorizer.authorizer_id, record=authorizer)
    auto_deploy(tx, call, api)
    return render(authorizer)


@operation("DeleteAuthorizer", action=DELETE, resource=AUTHORIZER, params="ApiId AuthorizerId")
def delete_authorizer(call: Call, tx: WriteTx, params: Params) -> Output:
    """The authorizer is gone. Refused while a route points to it."""
    api = get_api(tx, call, params)
    authorizer = get_authorizer(tx, call, params)
    asking = list(ROUTES.scan(tx, call.scope, api.api_id))
    if routes := [route.route_id for route in asking if route.authorizer_id == authorizer.authorizer_id]:
        raise ServiceError(
            "ConflictException",
            "Cannot delete Authorizer because it is referenced by the following Routes with Ids: "
            f"[{', '.join(routes)}]",
        )
    AUTHORIZERS.delete(tx, call.scope, api.api_id, authorizer.authorizer_id)
    return {}


@operation(
    "ResetAuthorizersCache",
    action=DELETE,
    resource=at("/apis/{ApiId}/stages/{StageName}/cache/authorizers"),
    params="ApiId StageName",
)
def reset_authorizers_cache(call: Call, tx: WriteTx, params: Params) -> Output:
    """What the authorizers said of earlier requests for the stage is forgotten, on every node."""
    api = get_api(tx, call, params)
    stage = get_stage(tx, call, api.api_id, params["StageName"])
    stage.authorizers_reset_s = max(call.now_ms // 1000, stage.authorizers_reset_s + 1)
    STAGES.save(tx, call.scope, api.api_id, stage.name, record=stage)
    return {}
