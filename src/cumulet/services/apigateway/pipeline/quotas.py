"""Counting what keys use of their plans: in the store, before the request goes on.

Requests that come while a count is being written are counted together by the next transaction, so that many cost little
more than one, and none is served that a crash could make uncounted. Decision 0026 has the reasons.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from functools import partial

from cumulet.errors import InvariantViolated
from cumulet.scope import Scope
from cumulet.services.apigateway.plans import API_KEYS, USAGE, Quota, Tally, day_of, load_period, remaining
from cumulet.services.kit import Ground
from cumulet.store.api import StoreError, WriteTx


@dataclass(frozen=True, slots=True)
class _Use:
    """One request that waits to be counted."""

    scope: Scope
    plan_id: str
    key_id: str
    quota: Quota | None
    day: int
    admitted: asyncio.Future[bool]


class Quotas:
    """Counts requests batch by batch."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._waiting: deque[_Use] = deque()
        self._counting: asyncio.Task[None] | None = None

    async def admit(self, scope: Scope, plan_id: str, key_id: str, quota: Quota | None) -> bool:
        """Count a request and return whether the period's quota still allowed it; one that did not is not counted.

        Where there is no quota nobody waits for the count.
        """
        loop = asyncio.get_running_loop()
        use = _Use(scope, plan_id, key_id, quota, day_of(self._ground.clock.now_ms()), loop.create_future())
        self._waiting.append(use)
        if self._counting is None:
            self._counting = loop.create_task(self._count())
        if quota is not None:
            return await use.admitted
        use.admitted.add_done_callback(_see)
        return True

    async def finish(self) -> None:
        """Return once every request is counted."""
        if self._counting is not None:
            await asyncio.wait([self._counting])

    async def _count(self) -> None:
        batch: list[_Use] = []
        try:
            while self._waiting:
                batch = list(self._waiting)
                self._waiting.clear()
                try:
                    admitted = await self._ground.store.write(partial(count, batch=batch))
                except StoreError as error:
                    _fail(batch, error)
                    continue
                for use, was_admitted in zip(batch, admitted, strict=True):
                    if not use.admitted.done():  # its client has gone
                        use.admitted.set_result(was_admitted)
        finally:
            self._counting = None
            # Nobody is left to wait for ever, whatever went wrong.
            _fail([*batch, *self._waiting], InvariantViolated("a request was not counted"))


def _fail(uses: list[_Use], error: Exception) -> None:
    for use in uses:
        if not use.admitted.done():
            use.admitted.set_exception(error)


def _see(admitted: asyncio.Future[bool]) -> None:
    if not admitted.cancelled():
        admitted.exception()


def count(tx: WriteTx, batch: list[_Use]) -> list[bool]:
    """Add the requests that their quotas allow to the tallies, and tell which those were.

    Those of a key that has left the plan meanwhile leave no tally behind.
    """
    left: dict[tuple[Scope, str, str], int] = {}
    subscribed: dict[tuple[Scope, str, str], bool] = {}
    admitted = []
    for use in batch:
        key = (use.scope, use.plan_id, use.key_id)
        if key not in subscribed:
            api_key = API_KEYS.find(tx, use.scope, use.key_id)
            subscribed[key] = api_key is not None and use.plan_id in api_key.plans
        if not subscribed[key]:
            admitted.append(True)
            continue
        if use.quota is not None and key not in left:
            tallies = load_period(tx, use.scope, use.plan_id, use.quota, use.key_id, use.day)
            left[key] = remaining(use.quota, tallies.values())
        if use.quota is not None and left[key] <= 0:
            admitted.append(False)
            continue
        if use.quota is not None:
            left[key] -= 1
        place = (use.plan_id, use.key_id, use.day)
        tally = USAGE.find(tx, use.scope, *place) or Tally()
        USAGE.save(tx, use.scope, *place, record=Tally(tally.used + 1, tally.granted))
        admitted.append(True)
    return admitted
