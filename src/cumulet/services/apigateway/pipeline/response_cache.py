"""Answers that a stage of a REST API keeps for a while, so that no backend is asked again.

Each process keeps its own, within a bound; any of them may be gone at any time, as AWS's caches are best-effort too.
What an answer belongs to is in its key: the deployment, which never changes, and the stage's own mark of when it was
last to forget, so that every process forgets with the next request.
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-caching.html
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import msgspec

from cumulet.services.apigateway import limits
from cumulet.services.apigateway.model import MethodSettings, method_settings, own_settings
from cumulet.services.apigateway.pipeline import events
from cumulet.services.apigateway.pipeline.authorizers.policies import request_arn
from cumulet.services.apigateway.pipeline.exchange import Matched
from cumulet.services.apigateway.pipeline.faults import Refused, own_headers
from cumulet.services.apigateway.pipeline.rest_context import rest_context
from cumulet.services.kit import Call, Ground
from cumulet.wire.message import Response

INVALIDATE = "execute-api:InvalidateCache"
WARNING = ("Warning", "199 Cache-control headers were ignored because the caller was unauthorized.")

_OF_ONE_REQUEST = frozenset(("x-amzn-requestid", "x-amz-apigw-id", "x-amzn-trace-id"))
_REFRESH = re.compile(r"(?:^|,)\s*max-age\s*=\s*\"?0+\"?\s*(?:,|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the cache has for a request, and what is to become of its answer."""

    key: Hashable = None
    """None for a request whose answer is not kept."""
    ttl_s: int = 0
    found: Response | None = None
    warns: bool = False
    """Whether the client is told that it may not have the answer made anew."""


NOT_CACHED = Lookup()


class ResponseCache:
    """A bounded memory of answers, by the clock that can be moved."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._kept: OrderedDict[Hashable, tuple[float, Response]] = OrderedDict()
        self._bytes = 0

    async def look(self, matched: Matched) -> Lookup:
        """Return what is kept for a request. Raises Refused where nobody without permission may have it made anew."""
        settings = caching_of(matched)
        if settings is None:
            return NOT_CACHED
        key, ttl_s = cache_key(matched), settings.cache_ttl_in_seconds
        warns = False
        if _REFRESH.search(matched.arrival.request.headers.get("cache-control") or ""):
            if not settings.require_authorization_for_cache_control or await self._may_invalidate(matched):
                return Lookup(key, ttl_s)
            strategy = settings.unauthorized_cache_control_header_strategy
            if strategy == "FAIL_WITH_403":
                raise Refused("forbidden")
            warns = strategy == "SUCCEED_WITH_RESPONSE_HEADER"
        return Lookup(key, ttl_s, self._find(key), warns)

    def settle(self, matched: Matched, lookup: Lookup, response: Response) -> Response:
        """Return the answer for the client, and keep it if it is new and can be kept."""
        if lookup.key is None:
            return response
        if lookup.found is None:
            self._keep(lookup, response)
        else:
            response = Response(response.status, (*own_headers(matched.arrival), *response.headers), response.body)
        return response.with_headers(WARNING) if lookup.warns else response

    async def _may_invalidate(self, matched: Matched) -> bool:
        signer = None if matched.authorized is None else matched.authorized.signer
        if signer is None:
            return False
        arrival = matched.arrival
        call = Call(arrival.scope, signer, arrival.request_id, arrival.now_ms, self._ground.ids)
        ruling = await self._ground.operations.decide(call, INVALIDATE, request_arn(matched), {}, None)
        return ruling.allowed

    def _find(self, key: Hashable) -> Response | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept[0] <= self._ground.clock.monotonic_s():
            self._forget(key)
            return None
        self._kept.move_to_end(key)
        return kept[1]

    def _keep(self, lookup: Lookup, response: Response) -> None:
        body = response.body
        # An answer that comes in pieces is gone once it is sent; one that says what went wrong would say it for long.
        if not isinstance(body, bytes) or response.status >= 400 or len(body) > limits.CACHED_BYTES_MAX:
            return
        self._forget(lookup.key)
        headers = tuple([pair for pair in response.headers if pair[0].lower() not in _OF_ONE_REQUEST])
        kept = Response(response.status, headers, body)
        self._kept[lookup.key] = (self._ground.clock.monotonic_s() + lookup.ttl_s, kept)
        self._bytes += _size(kept)
        while self._bytes > limits.CACHE_BYTES_MAX:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: Hashable) -> None:
        if (kept := self._kept.pop(key, None)) is not None:
            self._bytes -= _size(kept[1])


def caching_of(matched: Matched) -> MethodSettings | None:
    """Return the settings under which a method's answers are kept, or None if they are not."""
    stage, arrival = matched.stage, matched.arrival
    if not stage.cache_enabled or (arrival.is_canary and stage.canary is not None and not stage.canary.use_stage_cache):
        return None
    settings = method_settings(stage, matched.route)
    if not settings.caching_enabled or settings.cache_ttl_in_seconds == 0:
        return None
    # What is set for all methods is meant for those that only read.
    if arrival.request.method != "GET" and own_settings(stage, matched.route) is None:
        return None
    return settings


def cache_key(matched: Matched) -> Hashable:
    """Return what tells answers apart: two requests that differ in nothing of this get the same one."""
    arrival, stage, route = matched.arrival, matched.stage, matched.route
    return (
        arrival.api_id,
        stage.name,
        stage.cache_flushed_ms,
        matched.compiled.deployment.deployment_id,
        route.cache_namespace,
        arrival.request.method,
        # As long as a client likes, so what is kept of them is not.
        hashlib.sha256(msgspec.json.encode([_value(matched, name) for name in route.cache_key_parameters])).digest(),
    )


def _value(matched: Matched, name: str) -> Any:
    """Return the values of a parameter, of the method's or of the integration's."""
    if name.startswith("integration.request."):
        mapping = matched.route.target.mapping
        source = None if mapping is None else mapping.request_parameters.get(name)
        if source is None:
            return None
        name = source
    place, _, rest = name.partition(".")
    if place == "stageVariables":
        return matched.stage.variables.get(rest)
    if place == "context":
        found: Any = rest_context(matched)
        for part in rest.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return None if found is None else str(found)
    request = matched.arrival.request
    where, _, key = rest.removeprefix("request.").partition(".")
    if where == "path":
        return matched.path_parameters.get(key)
    if where.endswith("querystring"):
        return tuple(events.rest_query_fields(request.query).get(key, ()))
    return request.body if where.startswith("body") else tuple(request.headers.get_all(key.lower()))


def _size(response: Response) -> int:
    body = response.body if isinstance(response.body, bytes) else b""
    fields = sum(limits.CACHED_FIELD_BYTES + len(name) + len(value) for name, value in response.headers)
    return limits.CACHED_ANSWER_BYTES + fields + len(body)
