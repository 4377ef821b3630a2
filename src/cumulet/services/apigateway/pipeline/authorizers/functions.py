"""Callers of whom a Lambda function is asked: the authorizers TOKEN and REQUEST, of both dialects.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html
"""

import hashlib
from typing import Any

import msgspec

from cumulet.clock import Clock
from cumulet.errors import ServiceError
from cumulet.policy.documents import parse_document
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control.lambda_uri import fill_stage_variables
from cumulet.services.apigateway.mapping import patterns
from cumulet.services.apigateway.model import Authorizer
from cumulet.services.apigateway.pipeline.authorizers.identity import find_identity, source_values
from cumulet.services.apigateway.pipeline.authorizers.policies import decide_for, refuse_denied, request_arn
from cumulet.services.apigateway.pipeline.exchange import Authorized, Hearing, Matched
from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.services.apigateway.pipeline.integrate import Integrator
from cumulet.services.apigateway.pipeline.journey import Journey
from cumulet.services.apigateway.pipeline.remembered import Remembered
from cumulet.services.apigateway.pipeline.transform import http_event_v1, http_event_v2, rest_event

_encode = msgspec.json.Encoder().encode


class Verdict(msgspec.Struct, frozen=True):
    """What a function said of a caller. A policy speaks of any method, so it can be asked about others too."""

    allowed: bool
    """What a simple answer says; a policy is asked further."""
    principal_id: str | None
    policy: str | None
    context: dict[str, Any]
    usage_key: str | None
    size: int = 0
    """Of the whole answer, in bytes."""


class Functions:
    """Asks authorizers' functions, and keeps their answers as long as they say."""

    def __init__(self, clock: Clock, integrator: Integrator) -> None:
        self._clock = clock
        self._integrator = integrator
        self._kept: Remembered[Verdict] = Remembered(
            limits.AUTHORIZER_ANSWERS_KEPT_MAX, limits.AUTHORIZER_ANSWERS_BYTES_MAX
        )

    async def admit(self, matched: Matched, authorizer: Authorizer, journey: Journey) -> Authorized:
        """Return what the authorizer's function says of the caller, if that lets the request pass."""
        identity = demand_identity(matched, authorizer)
        refuse_denied(matched)
        verdict = await self._ask(matched, authorizer, identity, journey)
        if not verdict.allowed:
            raise Refused("forbidden")
        if verdict.policy is not None:
            decision = decide_for(matched, verdict.policy)
            if not decision.allowed:
                raise Refused("denied_explicitly" if decision.explicit else "denied")
        latency_ms = 0 if journey.heard is None else journey.heard.said_ms - journey.heard.asked_ms
        return _known(verdict, latency_ms, is_rest=matched.arrival.is_rest)

    async def _ask(
        self, matched: Matched, authorizer: Authorizer, identity: tuple[str, ...], journey: Journey
    ) -> Verdict:
        if authorizer.ttl_s <= 0 or not identity:
            return await self.ask_anew(matched, authorizer, identity, journey)
        stage = matched.stage
        asked = source_values(matched, authorizer) if matched.arrival.is_rest else identity
        # Tokens are as long as their bearers like, and nothing to keep.
        caller = hashlib.sha256(_encode(asked)).digest()
        # Stage variables, those of a canary too, may lead to another function.
        uri = fill_stage_variables(authorizer.uri, stage.variables)
        key = (matched.arrival.api_id, stage.name, stage.authorizers_reset_s, authorizer, uri, caller)
        now_s = self._clock.monotonic_s()
        verdict = self._kept.find(key, now_s)
        if verdict is None:
            verdict = await self.ask_anew(matched, authorizer, identity, journey)
            self._kept.keep(key, verdict, now_s + authorizer.ttl_s, verdict.size)
        return verdict

    async def ask_anew(
        self, matched: Matched, authorizer: Authorizer, identity: tuple[str, ...], journey: Journey
    ) -> Verdict:
        """Return what the function says now. Raises Refused where that is no verdict."""
        event, asked_ms = authorizer_event(matched, authorizer, identity), self._clock.now_ms()
        try:
            result = await self._integrator.ask_authorizer(matched, authorizer, event)
        except Refused as refused:
            raise Refused("authorizer_misconfigured", log_line=refused.log_line) from refused
        journey.heard = Hearing(
            authorizer.uri, event, asked_ms, result.payload, self._clock.now_ms(), result.request_id
        )
        try:
            answer = msgspec.json.decode(result.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Refused("authorizer_misconfigured") from None
        is_rest = matched.arrival.is_rest
        if result.failed:
            # A REST API's function that fails with this very word says that the caller is not known.
            words = answer.get("errorMessage") if is_rest and isinstance(answer, dict) else None
            raise Refused("unauthorized" if words == "Unauthorized" else "authorizer_failed")
        verdict = read_simple(answer) if authorizer.simple else read_verdict(answer, texts=is_rest)
        return msgspec.structs.replace(verdict, size=len(result.payload))


def demand_identity(matched: Matched, authorizer: Authorizer) -> tuple[str, ...]:
    """Return what identifies the caller. Raises Refused if that is missing or cannot be a token."""
    identity = find_identity(matched, authorizer)
    if identity is None or (authorizer.validation and not is_token_like(identity[0], authorizer.validation)):
        raise Refused("unauthorized")
    return identity


def is_token_like(token: str, validation: str) -> bool:
    """Tell whether a token matches the expression that its authorizer has for tokens."""
    try:
        return patterns.matches(token, validation)
    except ValueError:
        return False


def authorizer_event(matched: Matched, authorizer: Authorizer, identity: tuple[str, ...]) -> dict[str, Any]:
    """Return the event that an authorizer's function gets: but for TOKEN the route's own, without the body."""
    arn = request_arn(matched)
    if authorizer.kind == "TOKEN":
        return {"type": "TOKEN", "methodArn": arn, "authorizationToken": identity[0]}
    if matched.arrival.is_rest:
        return {"type": "REQUEST", "methodArn": arn, **_without_nulls(_without_body(rest_event(matched)))}
    if authorizer.payload_format == "2.0":
        named = {"version": "2.0", "type": "REQUEST", "routeArn": arn, "identitySource": list(identity) or None}
        return {**named, **_without_body(http_event_v2(matched))}
    source = ",".join(identity)
    named = {"version": "1.0", "type": "REQUEST", "methodArn": arn}
    both = {"identitySource": source, "authorizationToken": source}
    return {**named, **both, **_without_nulls(_without_body(http_event_v1(matched)))}


def _without_body(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in ("version", "body", "isBase64Encoded")}


def _without_nulls(event: dict[str, Any]) -> dict[str, Any]:
    for name in (
        "headers",
        "multiValueHeaders",
        "pathParameters",
        "queryStringParameters",
        "multiValueQueryStringParameters",
        "stageVariables",
    ):
        event[name] = event[name] or {}
    return event


def read_simple(answer: Any) -> Verdict:
    """Return the verdict in an answer of the form {"isAuthorized": true}. Raises Refused if it is none."""
    if not isinstance(answer, dict) or not isinstance(answer.get("isAuthorized"), bool):
        raise Refused("authorizer_misconfigured")
    principal_id: Any = answer.get("principalId")
    return Verdict(answer["isAuthorized"], principal_id, None, _context(answer), None)


def read_verdict(answer: Any, *, texts: bool) -> Verdict:
    """Return the verdict in an answer with a policy. Raises Refused if it is none.

    `texts`: the context's values are no objects, and are shown as text; so REST APIs have it.
    """
    if not isinstance(answer, dict):
        raise Refused("authorizer_misconfigured")
    principal_id, document = answer.get("principalId"), answer.get("policyDocument")
    usage_key: Any = answer.get("usageIdentifierKey")
    context = _context(answer)
    if not isinstance(principal_id, str) or not principal_id or not isinstance(document, dict):
        raise Refused("authorizer_misconfigured")
    if texts and any(isinstance(value, dict | list) for value in context.values()):
        raise Refused("authorizer_misconfigured")
    if usage_key is not None and not isinstance(usage_key, str):
        raise Refused("authorizer_misconfigured")
    try:
        policy = _encode(document).decode()
        parse_document(policy)
    except (ServiceError, UnicodeEncodeError):
        raise Refused("authorizer_misconfigured") from None
    if texts:
        context = {name: _context_text(value) for name, value in context.items()}
    return Verdict(True, principal_id, policy, context, usage_key)


def _context(answer: dict[str, Any]) -> dict[str, Any]:
    context: Any = answer.get("context") or {}
    if not isinstance(context, dict):
        raise Refused("authorizer_misconfigured")
    return context


def _context_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def _known(verdict: Verdict, latency_ms: int, *, is_rest: bool) -> Authorized:
    principal = {} if verdict.principal_id is None else {"principalId": verdict.principal_id}
    if is_rest:
        context = {**principal, **verdict.context, "integrationLatency": latency_ms}
        return Authorized(context, usage_key=verdict.usage_key)
    context = {**verdict.context, **principal}
    variables = {f"authorizer.{name}": value for name, value in context.items()}
    return Authorized(context, {"lambda": verdict.context or None}, variables)
