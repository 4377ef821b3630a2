"""How many requests a stage lets through: of each of its routes, and of the account that it belongs to.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html
"""

from msgspec import UNSET

from cumulet.clock import Clock
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.model import Route, Stage, method_settings
from cumulet.services.apigateway.pipeline import log_words
from cumulet.services.apigateway.pipeline.buckets import Buckets
from cumulet.services.apigateway.pipeline.exchange import Matched
from cumulet.services.apigateway.pipeline.faults import Refused


class Throttle:
    """Counts what goes to each route, and lets no more through than its stage and its account allow."""

    def __init__(self, clock: Clock, buckets: Buckets) -> None:
        self._clock = clock
        self._buckets = buckets

    def admit(self, matched: Matched) -> None:
        """Raise Refused if no more requests of the route may pass now."""
        arrival, stage, route = matched.arrival, matched.stage, matched.route
        now_s = self._clock.monotonic_s()
        found = throttling_of(stage, route)
        if found is not None:
            bucket = (arrival.api_id, stage.name, route.path, route.key)
            if not self._buckets.take(bucket, *found, now_s):
                raise Refused("too_many", log_line=log_words.throttled(matched, *found))
        if not self._buckets.take(arrival.owner.scope, limits.ACCOUNT_RATE, limits.ACCOUNT_BURST, now_s):
            raise Refused("too_many")


def throttling_of(stage: Stage, route: Route) -> tuple[float, float] | None:
    """Return the rate and the burst of a route on a stage, or None if neither it nor the stage has any."""
    if stage.method_settings:
        settings = method_settings(stage, route)
        # Less than nothing turns throttling off, as Terraform's provider has it.
        if settings.throttling_rate_limit < 0 or settings.throttling_burst_limit < 0:
            return None
        return settings.throttling_rate_limit, settings.throttling_burst_limit
    for set_for in (stage.route_settings.get(route.key), stage.default_route_settings):
        if set_for is None:
            continue
        rate, burst = set_for.throttling_rate_limit, set_for.throttling_burst_limit
        if rate is not UNSET or burst is not UNSET:
            return (
                limits.ACCOUNT_RATE if rate is UNSET else rate,
                limits.ACCOUNT_BURST if burst is UNSET else burst,
            )
    return None
