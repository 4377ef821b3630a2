"""How many invocations run at once: of a function with a reservation, of what is provisioned, and of all others of an
account together. https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html

A process that has the store alone counts for itself. Several divide each limit (`shares.py`): a process takes a share
when it needs one, in a transaction, and uses it again and again without another; it gives back what others want, and
what it has not used for long. Decision 0024 has the reasons.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cumulet.scope import Scope
from cumulet.services.kit import Ground
from cumulet.services.lambda_.execution import limits, shares
from cumulet.services.lambda_.execution.rates import throttled
from cumulet.services.lambda_.execution.standing import Standing, living_slots
from cumulet.services.lambda_.limits import CONCURRENT_EXECUTIONS_MAX, UNRESERVED_CONCURRENCY_MIN
from cumulet.services.lambda_.records import SHARES, SHARES_FREED, SHARES_WANTED, Shares, reserved_total
from cumulet.store.api import ReadTx, StoreError, WriteTx
from cumulet.store.leases import Lease, LeaseLost

_log = logging.getLogger(__name__)


class Pool(NamedTuple):
    """What is counted together: "" is the account's, which has no limit of its own but what reservations leave."""

    scope: Scope
    name: str


@dataclass(slots=True, eq=False)
class _Count:
    """One pool, as this process knows it."""

    pool: Pool
    running: int = 0
    held: int = 0
    """This process's share; what runs is within it."""
    under: Lease | None = None
    """What makes it valid."""
    is_wanted: bool = False
    """Others wait: what becomes free is given back at once."""
    is_used: bool = False
    """Since the shares were last tidied up."""
    pause_until_s: float = 0.0
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def has_room(self) -> bool:
        return self.running < self.held and self.under is not None and self.under.is_held


class Admission:
    """The invocations under way."""

    def __init__(self, ground: Ground, standing: Standing) -> None:
        self._store = ground.store
        self._clock = ground.clock
        self._standing = standing
        self._counts: dict[Pool, _Count] = {}
        self._freed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._tidying: asyncio.TimerHandle | None = None
        self._stop_listening = (
            [
                ground.store.listen(SHARES_WANTED, lambda: self._spawn(self._lend())),
                ground.store.listen(SHARES_FREED, self._ask_again),
            ]
            if ground.store.is_shared
            else []
        )

    def total(self) -> int:
        """Return how many run here, in all pools."""
        return sum(count.running for count in self._counts.values())

    async def enter(self, pool: Pool, limit: int | None, reason: str) -> None:
        """Count one more. Raises TooManyRequestsException if the pool is full; without a limit it is the account's."""
        if not await self.try_enter(pool, limit, limits.LEND_WAIT_S):
            raise throttled(reason)

    async def try_enter(self, pool: Pool, limit: int | None, patience_s: float = 0.0) -> bool:
        """Count one more if there is room, and return whether there was."""
        count = self._counts.get(pool)
        if count is None:
            count = self._counts[pool] = _Count(pool)
        count.is_used = True
        if self._store.is_shared:
            has_room = await self._has_room_shared(count, limit, patience_s)
        else:
            has_room = await self._has_room_alone(count, limit)
        if has_room:
            # It may have been forgotten meanwhile, and made anew.
            self._counts.setdefault(pool, count).running += 1
        return has_room

    def leave(self, pool: Pool) -> None:
        """Count one less."""
        count = self._counts[pool]
        count.running -= 1
        if count.is_wanted:
            self._spawn(self._give_back(count))
        elif not count.running and pool.name and not self._store.is_shared:
            del self._counts[pool]

    async def stop(self) -> None:
        """Divide no more; what this process had is free once its slot is."""
        for stop in self._stop_listening:
            stop()
        if self._tidying is not None:
            self._tidying.cancel()
        for task in list(self._tasks):
            await asyncio.wait({task})

    # Alone

    async def _has_room_alone(self, count: _Count, limit: int | None) -> bool:
        if limit is None:
            limit = UNRESERVED_CONCURRENCY_MIN
            if count.running >= limit:
                # So much is left whatever is reserved, so only what is beyond needs a look.
                limit = await self._store.read(lambda tx: account_limit(tx, count.pool.scope))
        return count.running < limit

    # Among others

    async def _has_room_shared(self, count: _Count, limit: int | None, patience_s: float) -> bool:
        deadline_s = self._clock.outside_s() + patience_s
        while True:
            if limit is not None and count.running >= limit:
                return False
            if count.has_room():
                return True
            now_s = self._clock.outside_s()
            if now_s >= count.pause_until_s:
                self._freed.clear()
                if await self._take(count, limit):
                    continue
                count.pause_until_s = self._clock.outside_s() + limits.LEND_PAUSE_S
            if now_s >= deadline_s:
                return False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(deadline_s, count.pause_until_s) - now_s):
                    await self._freed.wait()

    async def _take(self, count: _Count, limit: int | None) -> bool:
        """Ask for a larger share; return whether there is room now."""
        async with count.changing:
            if count.has_room():
                return True
            try:
                lease = await self._standing.take()
            except LeaseLost:
                return False
            if count.under is not lease:
                count.under, count.held = lease, count.running
            held, running, (scope, name) = count.held, count.running, count.pool

            def take(tx: WriteTx) -> int:
                most = account_limit(tx, scope) if limit is None else limit
                living = {share_name(slot, epoch) for slot, epoch in living_slots(tx).items()}
                before = SHARES.find(tx, scope, name) or Shares()
                more = max(most // limits.SHARE_PARTS, 1)
                after, mine = shares.take(
                    before, _name(lease), living, held=held, running=running, more=more, limit=most
                )
                if after != before:
                    SHARES.save(tx, scope, name, record=after)
                if after.wanted:
                    tx.hint(SHARES_WANTED)
                return mine

            try:
                count.held = await lease.write(take)
            except LeaseLost:
                return False
            self._tidy_later()
            return count.has_room()

    async def _lend(self) -> None:
        """Give back what is not in use of all that others want."""
        counts = [count for count in self._counts.values() if count.held]

        def find_wanted(tx: ReadTx) -> list[bool]:
            found = [SHARES.find(tx, *count.pool) for count in counts]
            return [one is not None and one.wanted for one in found]

        for count, is_wanted in zip(counts, await self._store.read(find_wanted), strict=True):
            if is_wanted:
                count.is_wanted = True
                await self._give_back(count)

    async def _give_back(self, count: _Count) -> None:
        async with count.changing:
            lease = count.under
            if lease is None or count.held == count.running:
                return
            held = count.held
            count.held = running = count.running
            scope, name = count.pool

            def give(tx: WriteTx) -> bool:
                before = SHARES.find(tx, scope, name) or Shares()
                after = shares.give_back(before, _name(lease), running)
                if after.holdings:
                    SHARES.save(tx, scope, name, record=after)
                else:
                    SHARES.delete(tx, scope, name)
                tx.hint(SHARES_FREED)
                return before.wanted

            try:
                # Others may ask again while some of it is in use here.
                count.is_wanted = await lease.write(give) and running > 0
            except StoreError:
                count.held = held  # as the record still has it: it goes with the next permit, or when it is tidied
                raise

    def _tidy_later(self) -> None:
        if self._tidying is None:
            self._tidying = asyncio.get_running_loop().call_later(limits.SHARE_IDLE_S, self._tidy)

    def _tidy(self) -> None:
        """Give back shares that were not used since the last time."""
        self._tidying = None
        for count in list(self._counts.values()):
            if not count.is_used and not count.running:
                if count.held:
                    self._spawn(self._give_back(count))
                else:
                    del self._counts[count.pool]
            count.is_used = False
        if self._counts:
            self._tidy_later()

    def _ask_again(self) -> None:
        for count in self._counts.values():
            count.pause_until_s = 0.0
        self._freed.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        async def guarded() -> None:
            try:
                await work
            except (StoreError, LeaseLost) as trouble:
                _log.warning("a share of a limit could not be given back", extra={"said": trouble})

        task = asyncio.get_running_loop().create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def account_limit(tx: ReadTx, scope: Scope) -> int:
    """Return how many invocations of functions without a reservation an account may run at once."""
    return CONCURRENT_EXECUTIONS_MAX - reserved_total(tx, scope)


def share_name(slot: str, epoch: int) -> str:
    """Return under which name a process has its shares: another one each time it takes its slot."""
    return f"{slot} {epoch}"


def _name(lease: Lease) -> str:
    return share_name(lease.name, lease.record.epoch)
