"""How many invocations run at once: of a function with a reservation, and of all others of an account together. Pure.

Counted in each process: a count across processes would cost every invocation a write. A reservation of none, which is
how functions are switched off, holds everywhere.
https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
"""

from collections import Counter
from collections.abc import Hashable

from cumulet.errors import ServiceError


class Admission:
    """The invocations under way: by function where it has a reservation, else by account and region."""

    def __init__(self) -> None:
        self._running: Counter[Hashable] = Counter()

    def running(self, pool: Hashable) -> int:
        """Return how many run in a pool now."""
        return self._running[pool]

    def total(self) -> int:
        """Return how many run in all pools."""
        return self._running.total()

    def enter(self, pool: Hashable, limit: int, reason: str) -> None:
        """Count one more. Raises TooManyRequestsException if the pool is full."""
        if self._running[pool] >= limit:
            raise ServiceError("TooManyRequestsException", "Rate Exceeded.", Reason=reason, Type="User")
        self._running[pool] += 1

    def leave(self, pool: Hashable) -> None:
        """Count one less."""
        self._running[pool] -= 1
        if self._running[pool] <= 0:
            del self._running[pool]
