"""How many requests a route lets through: a bucket of tokens for each, filled at a steady rate.

Each process has its own buckets; API Gateway's limits are targets as well, not guarantees.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from msgspec import UNSET

from cumulet.clock import Clock
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.model import Stage
from cumulet.services.apigateway.pipeline.exchange import Matched
from cumulet.services.apigateway.pipeline.faults import Refused


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_s: float


class Throttle:
    """A bounded memory of buckets; one that is forgotten is a full one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[Hashable, _Bucket] = OrderedDict()

    def admit(self, matched: Matched) -> None:
        """Raise Refused if the stage's settings let no more requests of the route through now."""
        found = throttling_of(matched.stage, matched.route.key)
        if found is not None:
            bucket = (matched.arrival.api_id, matched.stage.name, matched.route.key)
            if not self.take(bucket, *found, self._clock.monotonic_s()):
                raise Refused("too_many")

    def take(self, key: Hashable, rate: float, burst: float, now_s: float) -> bool:
        """Take a token and tell whether there was one. The bucket holds `burst`, and gains `rate` a second."""
        bucket = self._kept.get(key)
        if bucket is None:
            bucket = self._kept[key] = _Bucket(burst, now_s)
            if len(self._kept) > limits.BUCKETS_KEPT_MAX:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        bucket.tokens = min(burst, bucket.tokens + max(0.0, now_s - bucket.filled_s) * rate)
        bucket.filled_s = now_s
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


def throttling_of(stage: Stage, route_key: str) -> tuple[float, float] | None:
    """Return the rate and the burst of a route on a stage, or None if neither it nor the stage has any."""
    for settings in (stage.route_settings.get(route_key), stage.default_route_settings):
        if settings is None:
            continue
        rate, burst = settings.throttling_rate_limit, settings.throttling_burst_limit
        if rate is not UNSET or burst is not UNSET:
            return (
                limits.ACCOUNT_RATE if rate is UNSET else rate,
                limits.ACCOUNT_BURST if burst is UNSET else burst,
            )
    return None
