"""Buckets of tokens, filled at a steady rate: how often something may happen.

Each process has its own; API Gateway's limits are targets as well, not guarantees.
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from cumulet.services.apigateway import limits


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_s: float


class Buckets:
    """A bounded memory of buckets; one that is forgotten is a full one."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, _Bucket] = OrderedDict()

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
