"""Who may call a method of a REST API: what its Lambda authorizer says, and what the policy in that answer allows.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html
"""

from dataclasses import replace
from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.policy.documents import parse_document
from cumulet.policy.evaluate import Policy, Request, evaluate
from cumulet.policy.principals import Caller
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.mapping import patterns
from cumulet.services.apigateway.model import RestAuthorizer
from cumulet.services.apigateway.pipeline import events
from cumulet.services.apigateway.pipeline.exchange import Matched
from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.services.apigateway.pipeline.integrate import Integrator
from cumulet.services.apigateway.pipeline.remembered import Remembered
from cumulet.services.apigateway.pipeline.transform import rest_context, rest_event
from cumulet.services.kit import Ground

_encode = msgspec.json.Encoder().encode


class Verdict(msgspec.Struct, frozen=True):
    """What an authorizer said of a caller; the policy speaks of any method, so it can be asked about others too."""

    principal_id: str
    policy: str
    context: dict[str, str]
    usage_key: str | None


class RestAuthorizers:
    """Asks the authorizers of REST APIs, and remembers what they say."""

    def __init__(self, ground: Ground, integrator: Integrator) -> None:
        self._ground = ground
        self._integrator = integrator
        self._remembered: Remembered[Verdict] = Remembered(limits.AUTHORIZER_ANSWERS_KEPT_MAX)

    async def authorize(self, matched: Matched) -> Matched:
        """Return the request with what its authorizer said. Raises Refused for who may not call the method."""
        authorizer = matched.route.rest_authorizer
        if authorizer is None:
            return matched
        identity = find_identity(matched, authorizer)
        if identity is None:
            raise Refused("unauthorized")
        clock = self._ground.clock
        stage = matched.stage
        key = (matched.arrival.api_id, stage.name, authorizer, identity, stage.authorizers_reset_s)
        cacheable = authorizer.ttl_s > 0 and bool(identity)
        verdict = self._remembered.find(key, clock.monotonic_s()) if cacheable else None
        if verdict is None:
            verdict = await self.ask(matched, authorizer, authorizer_event(matched, authorizer, identity))
            if cacheable:
                self._remembered.keep(key, verdict, clock.monotonic_s() + authorizer.ttl_s)
        check_policy(matched, verdict)
        said = {"principalId": verdict.principal_id, **verdict.context, "integrationLatency": 0}
        return replace(matched, authorizer=said, usage_key=verdict.usage_key)

    async def ask(self, matched: Matched, authorizer: RestAuthorizer, event: dict[str, Any]) -> Verdict:
        """Return what the authorizer's function says. Raises Refused where that is no verdict."""
        try:
            result = await self._integrator.ask_authorizer(matched, authorizer, event)
        except Refused as refused:
            raise Refused("authorizer_misconfigured") from refused
        try:
            answer = msgspec.json.decode(result.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Refused("authorizer_misconfigured") from None
        if result.failed:
            # A function that fails with this very word says that the caller is not known.
            words = answer.get("errorMessage") if isinstance(answer, dict) else None
            raise Refused("unauthorized" if words == "Unauthorized" else "authorizer_failed")
        return read_verdict(answer)


def find_identity(matched: Matched, authorizer: RestAuthorizer) -> tuple[str, ...] | None:
    """Return the values of the identity sources; None if one is missing or cannot be a token."""
    values = [_source_value(matched, source) for source in authorizer.identity_sources]
    if not all(values):
        return None
    if authorizer.kind == "TOKEN" and authorizer.validation:
        try:
            if not patterns.matches(values[0] or "", authorizer.validation):
                return None
        except ValueError:
            return None
    return tuple(value or "" for value in values)


def _source_value(matched: Matched, source: str) -> str | None:
    request = matched.arrival.request
    place, _, name = source.partition(".")
    if place == "stageVariables":
        return matched.stage.variables.get(name)
    if place == "context":
        found: Any = rest_context(matched)
        for part in name.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return None if found is None else str(found)
    _, _, name = source.removeprefix("method.request.").partition(".")
    if source.startswith("method.request.header."):
        return request.headers.get(name.lower())
    if source.startswith("method.request.querystring."):
        values = events.query_fields(request.query).get(name)
        return values[-1] if values else None
    return matched.path_parameters.get(name)


def method_arn(matched: Matched) -> str:
    """Return the ARN of the request, as policies name it: with the method and path that the client asked for."""
    arrival = matched.arrival
    scope = arrival.scope
    return (
        f"arn:aws:execute-api:{scope.region}:{scope.account}:{arrival.api_id}/{matched.stage.name}"
        f"/{arrival.request.method}{arrival.path}"
    )


def authorizer_event(matched: Matched, authorizer: RestAuthorizer, identity: tuple[str, ...]) -> dict[str, Any]:
    """Return the event that an authorizer's function gets."""
    if authorizer.kind == "TOKEN":
        return {"type": "TOKEN", "methodArn": method_arn(matched), "authorizationToken": identity[0]}
    event = rest_event(matched)
    del event["body"], event["isBase64Encoded"]
    for name in (
        "queryStringParameters",
        "multiValueQueryStringParameters",
        "pathParameters",
        "stageVariables",
    ):
        event[name] = event[name] or {}
    return {"type": "REQUEST", "methodArn": method_arn(matched), **event}


def read_verdict(answer: Any) -> Verdict:
    """Return the verdict in a function's answer. Raises Refused if it is none."""
    if not isinstance(answer, dict):
        raise Refused("authorizer_misconfigured")
    principal_id, document = answer.get("principalId"), answer.get("policyDocument")
    usage_key: Any = answer.get("usageIdentifierKey")
    context: Any = answer.get("context") or {}
    if not isinstance(principal_id, str) or not principal_id or not isinstance(document, dict):
        raise Refused("authorizer_misconfigured")
    if not isinstance(context, dict) or any(isinstance(value, dict | list) for value in context.values()):
        raise Refused("authorizer_misconfigured")
    if usage_key is not None and not isinstance(usage_key, str):
        raise Refused("authorizer_misconfigured")
    policy = _encode(document).decode()
    try:
        parse_document(policy)
    except ServiceError:
        raise Refused("authorizer_misconfigured") from None
    return Verdict(principal_id, policy, {name: _context_text(value) for name, value in context.items()}, usage_key)


def _context_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def check_policy(matched: Matched, verdict: Verdict) -> None:
    """Raise Refused unless the verdict's policy allows this very request."""
    arrival = matched.arrival
    account = arrival.owner.account
    decision = evaluate(
        Request(
            Caller("user", f"arn:aws:iam::{account}:user/{verdict.principal_id}", account),
            "execute-api:Invoke",
            method_arn(matched),
            account,
            {"aws:sourceip": arrival.request.client_ip, "aws:useragent": arrival.user_agent or ""},
        ),
        [Policy("authorizer", parse_document(verdict.policy))],
    )
    if not decision.allowed:
        raise Refused("denied_explicitly" if decision.explicit else "denied")
