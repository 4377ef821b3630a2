"""Who may pass a route of an HTTP API: tokens of an issuer, or what a function says.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html
"""

from dataclasses import replace
from typing import Any, NoReturn
from urllib.parse import unquote

import msgspec

from cumulet.errors import ServiceError
from cumulet.policy.documents import parse_document
from cumulet.policy.evaluate import Policy, Request, evaluate
from cumulet.policy.principals import Caller
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.model import HttpAuthorizer, RouteAuthorization
from cumulet.services.apigateway.pipeline.exchange import Authorized, Matched
from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.services.apigateway.pipeline.integrate import Integrator
from cumulet.services.apigateway.pipeline.jwt import Issuers, TokenRefused, claim_text, scopes_of, verify
from cumulet.services.apigateway.pipeline.parameters import request_lookup
from cumulet.services.apigateway.pipeline.remembered import Remembered
from cumulet.services.apigateway.pipeline.transform import http_event_v1, http_event_v2
from cumulet.services.kit import Ground

INVOKE = "execute-api:Invoke"


class Guard:
    """Asks authorizers, and keeps their answers as long as they say."""

    def __init__(self, ground: Ground, integrator: Integrator) -> None:
        self._clock = ground.clock
        self._integrator = integrator
        self._issuers = Issuers(ground.clock)
        self._answers: Remembered[dict[str, Any]] = Remembered(limits.AUTHORIZER_ANSWERS_KEPT_MAX)

    async def authorize(self, matched: Matched, asked: RouteAuthorization) -> Matched:
        """Return the request with what its authorizer says of the caller. Raises Refused if it may not pass."""
        authorizer = asked.authorizer
        if authorizer is None:
            raise Refused("misconfigured")
        if asked.kind == "JWT":
            return replace(matched, authorized=await self._by_token(matched, authorizer, asked.scopes))
        return replace(matched, authorized=await self._by_function(matched, authorizer))

    async def _by_token(self, matched: Matched, authorizer: HttpAuthorizer, wanted: list[str]) -> Authorized:
        given = request_lookup(matched)(authorizer.identity_sources[0][1:])
        if not given:
            raise Refused("unauthorized", ("www-authenticate", "Bearer"))
        token = given[7:] if given[:7].lower() == "bearer " else given
        try:
            claims = await verify(
                self._issuers, token.strip(), authorizer.issuer, authorizer.audience, self._clock.now_ms() / 1000
            )
        except TokenRefused as refused:
            _challenge("unauthorized", "invalid_token", str(refused), "")
        held = scopes_of(claims)
        if wanted and not any(scope in held for scope in wanted):
            _challenge("forbidden", "insufficient_scope", "the token does not have a required scope", " ".join(wanted))
        texts = {name: claim_text(value) for name, value in claims.items()}
        jwt = {"claims": texts, "scopes": [scope for scope in wanted if scope in held] or None}
        variables = {f"authorizer.claims.{name}": value for name, value in texts.items()}
        return Authorized(jwt, {"jwt": jwt}, variables)

    async def _by_function(self, matched: Matched, authorizer: HttpAuthorizer) -> Authorized:
        lookup = request_lookup(matched)
        identities = [lookup(source[1:]) for source in authorizer.identity_sources]
        if not all(identities):
            raise Refused("unauthorized")
        known = [identity for identity in identities if identity]
        answer = await self._answer(matched, authorizer, known)
        context = answer.get("context") or {}
        if not isinstance(context, dict):
            raise Refused("misconfigured")
        if authorizer.simple:
            if not isinstance(answer.get("isAuthorized"), bool):
                raise Refused("misconfigured")
            if not answer["isAuthorized"]:
                raise Refused("forbidden")
        elif not allows(answer, route_arn(matched), matched):
            raise Refused("forbidden")
        principal_id = answer.get("principalId")
        variables = {f"authorizer.{name}": value for name, value in context.items()}
        v1 = dict(context)
        if principal_id is not None:
            v1["principalId"] = variables["authorizer.principalId"] = principal_id
        return Authorized(v1, {"lambda": context or None}, variables)

    async def _answer(self, matched: Matched, authorizer: HttpAuthorizer, identities: list[str]) -> dict[str, Any]:
        arrival = matched.arrival
        key = (
            *(arrival.api_id, matched.stage.name, matched.stage.authorizers_reset_s),
            *(matched.compiled.deployment.deployment_id, authorizer.authorizer_id, *identities),
        )
        now = self._clock.monotonic_s()
        kept = self._answers.find(key, now) if authorizer.ttl_s else None
        if kept is not None:
            return kept
        result = await self._integrator.ask_authorizer(
            matched, authorizer, authorizer_event(matched, authorizer, identities)
        )
        if result.failed:
            raise Refused("misconfigured")
        try:
            answer = msgspec.json.decode(result.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Refused("misconfigured") from None
        if not isinstance(answer, dict):
            raise Refused("misconfigured")
        if authorizer.ttl_s:
            self._answers.keep(key, answer, now + authorizer.ttl_s)
        return answer


def _challenge(fault: Any, error: str, words: str, scope: str) -> NoReturn:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-jwt.html
    header = f'Bearer scope="{scope}" error="{error}" error_description="{words}"'
    raise Refused(fault, ("www-authenticate", header))


def allows(answer: dict[str, Any], resource: str, matched: Matched) -> bool:
    """Tell whether the policy that a function returned allows a request. Raises Refused if there is none."""
    document = answer.get("policyDocument")
    if not isinstance(document, dict) or not isinstance(answer.get("principalId"), str):
        raise Refused("misconfigured")
    account = matched.arrival.owner.account
    try:
        policy = Policy("", parse_document(msgspec.json.encode(document).decode()))
    except (ServiceError, UnicodeDecodeError) as error:
        raise Refused("misconfigured") from error
    context = {"aws:sourceip": matched.arrival.request.client_ip, "aws:useragent": matched.arrival.user_agent or ""}
    caller = Caller("user", "", account, "")
    return evaluate(Request(caller, INVOKE, resource, account, context), (policy,)).allowed


def route_arn(matched: Matched) -> str:
    """Return what is asked for, as authorizers see it: the stage, the method and the path as it came."""
    arrival = matched.arrival
    api = f"arn:aws:execute-api:{arrival.scope.region}:{arrival.scope.account}:{arrival.api_id}"
    return f"{api}/{matched.stage.name}/{arrival.request.method}{unquote(arrival.path)}"


def authorizer_event(matched: Matched, authorizer: HttpAuthorizer, identities: list[str]) -> dict[str, Any]:
    """Return the event for an authorizer's function: the route's own, without the body."""
    if authorizer.payload_format == "2.0":
        event = http_event_v2(matched)
        named = {"version": "2.0", "type": "REQUEST", "routeArn": route_arn(matched)}
        return {**named, "identitySource": identities or None, **_without_body(event)}
    event = http_event_v1(matched)
    source = ",".join(identities)
    named = {"version": "1.0", "type": "REQUEST", "methodArn": route_arn(matched)}
    both = {"identitySource": source, "authorizationToken": source}
    event = {**named, **both, **_without_body(event)}
    for name in ("pathParameters", "queryStringParameters", "multiValueQueryStringParameters", "stageVariables"):
        event[name] = event[name] or {}
    return event


def _without_body(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in ("version", "body", "isBase64Encoded")}
