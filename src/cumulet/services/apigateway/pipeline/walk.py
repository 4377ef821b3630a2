"""The one pipeline of both dialects: a request walks through it from its route to its answer.

    match -> admit -> unpacked -> validate -> look -> map_request -> transform -> integrate -> respond -> settle
        -> packed

Each stage is a file of its own, takes what the one before it returned, and raises `Refused` where the answer is API
Gateway's own. The order is AWS's, as its execution logs show it. A preflight that an HTTP API answers goes no further
than `admit`; what the answer says is the business of `cors`.
"""

import logging
from collections.abc import Awaitable, Callable

from cumulet.errors import NotImplementedHere
from cumulet.services.apigateway.model import Stage
from cumulet.services.apigateway.pipeline import cors, faults, gateway_responses
from cumulet.services.apigateway.pipeline.encodings import packed, unpacked
from cumulet.services.apigateway.pipeline.exchange import Arrival, Compiled, Matched
from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.services.apigateway.pipeline.integrate import Integrator
from cumulet.services.apigateway.pipeline.journey import Journey
from cumulet.services.apigateway.pipeline.match import match
from cumulet.services.apigateway.pipeline.parameters import map_request
from cumulet.services.apigateway.pipeline.respond import respond
from cumulet.services.apigateway.pipeline.response_cache import NOT_CACHED, ResponseCache
from cumulet.services.apigateway.pipeline.transform import transform
from cumulet.services.apigateway.pipeline.validate import validate
from cumulet.services.kit import Ground
from cumulet.store.api import StoreError
from cumulet.wire.message import Response

log = logging.getLogger("cumulet.apigateway")

Admit = Callable[[Matched, Journey], Awaitable[Matched]]
"""Returns a request with what is known of who sent it. Raises Refused if it may not pass."""


class Walk:
    """Takes requests through the pipeline. A stage that an API does not use costs it a look at a field."""

    def __init__(self, ground: Ground, admit: Admit, integrator: Integrator) -> None:
        self._admit = admit
        self._integrator = integrator
        self._clock = ground.clock
        self._cache = ResponseCache(ground)

    async def answer(self, arrival: Arrival, stage: Stage, compiled: Compiled, journey: Journey) -> Response:
        """Return the answer to a request, whatever became of it; `journey` remembers how far it came."""
        is_preflight = compiled.deployment.cors is not None and cors.is_preflight(arrival.request)
        try:
            matched = journey.matched = match(arrival, stage, compiled)
            matched = journey.matched = await self._admit(matched, journey)
            if is_preflight:
                return Response(204, faults.own_headers(arrival))
            matched = journey.matched = unpacked(matched)
            if (looked_at := validate(matched)) is not None:
                await looked_at
            kept = await self._cache.look(matched) if stage.cache_enabled else NOT_CACHED
            response = kept.found or await self._ask(matched, journey)
            return packed(matched, self._cache.settle(matched, kept, response))
        except Refused as refused:
            if is_preflight and refused.fault == "no_route":
                return Response(204, faults.own_headers(arrival))
            journey.refused = refused
            return gateway_responses.answer(arrival, stage, compiled, journey.matched, refused)
        except StoreError as error:
            log.error("the store refused a request", extra={"api_id": arrival.api_id, "said": error})
            journey.refused = Refused("unavailable")
            return faults.render(arrival, journey.refused)
        except NotImplementedHere as missing:
            journey.refused = Refused("unavailable", message=missing.message, log_line=missing.message)
            return faults.render_not_implemented(arrival, missing)

    async def _ask(self, matched: Matched, journey: Journey) -> Response:
        matched = map_request(matched)
        sent = journey.leave(transform(matched), self._clock)
        said = journey.come_back(await self._integrator.integrate(matched, sent), self._clock)
        return respond(matched, sent, said)
