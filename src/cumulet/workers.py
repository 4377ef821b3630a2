"""Runs background work: each piece on one node at a time, wherever the node that has it dies.

A service declares a **loop** when its plane starts, and its round is called, again and again, on the one node that
holds the loop's lease:

    ground.workers.run(Loop("logs: expired events", self.sweep, every_s=3600, topic="logs"))

    async def sweep(self, lease: Lease) -> float | None:
        expired = await self.ground.store.read(find_expired)       # reading needs no lease
        await lease.write(lambda tx: remove(tx, expired))          # writing does: LeaseLost, and nothing happened
        lease.check()                                              # before an effect that no transaction guards
        return None                                                # in `every_s`; or in so many seconds

The next round comes after `every_s` seconds of the clock that can be moved, or sooner when a transaction hints at
`topic`. A round that raises is logged and tried again, later and later. A round that takes long may be cut short: when
the lease is lost (it is cancelled), or when the server stops (it has `STOP_SECONDS_MAX`). So work goes in steps that
each leave the store true, and an unfinished step is found again by the next holder.

**A single piece of work** (one stack operation, one shard) has a lease of its own:

    lease = await ground.workers.take("shard: ...")                # None: another node has it
    if lease is not None:
        result = await ground.workers.perform(lease, body)         # body(lease); given back afterwards

or takes it in the transaction that begins the work (`take_within`, then `adopt` once that is committed), so that there
is no moment at which the work is recorded and nobody has it. Who looks for work that died with its node asks
`leases.find_holder`, in a loop with the topic `NODES_CHANGED`.

With a store that only this process has open, all of this costs one small write per lease and nothing while idle.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from cumulet.clock import Clock
from cumulet.errors import InvariantViolated
from cumulet.nodes import Node, first_of
from cumulet.scope import SYSTEM
from cumulet.services.kit import Loop
from cumulet.store import leases
from cumulet.store.api import ReadTx, Store, StoreError, WriteTx
from cumulet.store.leases import LEASES, LEASES_FREED, Lease, LeaseLost, LeaseRecord

T = TypeVar("T")

LOOK_S = 5.0
"""How often all leases are looked through, for what no hint has told. In seconds outside."""

STOP_SECONDS_MAX = 5.0
"""In real seconds, how long rounds under way may take when the server stops."""

BACK_OFF_S = 0.5
BACK_OFF_S_MAX = 30.0
"""How long a loop waits after its first failure, twice as long after each more, and at most. In seconds outside."""

_log = logging.getLogger(__name__)


class Workers:
    """The background work of this node."""

    def __init__(self, store: Store, clock: Clock, node: Node) -> None:
        self._store = store
        self._clock = clock
        self._node = node
        self._loops: dict[str, asyncio.Task[None]] = {}
        self._held: dict[str, Lease] = {}
        self._epoch = 0
        self._awaited: dict[str, asyncio.Event] = {}
        self._strays: dict[str, tuple[int, float]] = {}
        """Leases that the store says are ours and nobody works under: by name their epoch, and since when."""
        self._look_now = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._stop_listening: Callable[[], None] = lambda: None
        node.watchers.append(self._standing_changed)

    async def start(self) -> None:
        """Begin to look at what the other nodes let go of. Loops may have been declared before."""
        if self._store.is_shared:
            self._stop_listening = self._store.listen(LEASES_FREED, self._look_now.set)
            self._looking = asyncio.get_running_loop().create_task(self._look_for_ever())

    async def stop(self) -> None:
        """Stop the loops: rounds under way may end (bounded), no new one begins, and their leases are given back."""
        self._stopping.set()
        self._stop_listening()
        for freed in self._awaited.values():
            freed.set()
        tasks = set(self._loops.values())
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS_MAX)
        if self._looking is not None:
            tasks.add(self._looking)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Loops

    def run(self, loop: Loop) -> None:
        """Do a loop's work whenever this node holds its lease, until the server stops."""
        if loop.name in self._loops:
            raise InvariantViolated(f"two loops are called '{loop.name}'")
        self._loops[loop.name] = asyncio.get_running_loop().create_task(self._stand_for(loop))

    async def _stand_for(self, loop: Loop) -> None:
        while (lease := await self._win(loop.name)) is not None:
            try:
                await self.perform(lease, partial(self._go_round, loop))
            except LeaseLost:
                _log.info("another node may do this work now", extra={"lease": loop.name})
            except Exception:  # noqa: BLE001  the worker loop: whatever the trouble is, it is tried again
                _log.exception("background work ended, and begins anew", extra={"loop": loop.name})
                await self._clock.sleep_outside(BACK_OFF_S)

    async def _win(self, name: str) -> Lease | None:
        """Return the lease once it is ours; None when the server stops."""
        freed = self._awaited.setdefault(name, asyncio.Event())
        try:
            while not self._stopping.is_set():
                freed.clear()
                try:
                    # Who cannot reach the store need not ask; the next look wakes it when it can.
                    if self._node.is_current() and (lease := await self.take(name)) is not None:
                        return lease
                except Exception as failure:  # noqa: BLE001  the worker loop: whatever the trouble is, it is tried again
                    _log_failure("a lease could not be asked for", failure, lease=name)
                    await first_of(self._stopping.wait(), self._clock.sleep_outside(BACK_OFF_S))
                else:
                    await freed.wait()
            return None
        finally:
            del self._awaited[name]

    async def _go_round(self, loop: Loop, lease: Lease) -> None:
        woken, failures = asyncio.Event(), 0
        stop_listening = self._store.listen(loop.topic, woken.set) if loop.topic else None
        try:
            while not self._stopping.is_set():
                woken.clear()
                try:
                    pause_s = await loop.round(lease)
                except LeaseLost:
                    raise
                except Exception as failure:  # noqa: BLE001  the worker loop: one round's failure ends nothing
                    _log_failure("background work failed", failure, loop=loop.name)
                    back_off = self._clock.sleep_outside(min(BACK_OFF_S * 2**failures, BACK_OFF_S_MAX))
                    await first_of(self._stopping.wait(), back_off)
                    failures = min(failures + 1, 16)
                    continue
                failures = 0
                pause = self._clock.sleep(loop.every_s if pause_s is None else pause_s)
                await first_of(woken.wait(), self._stopping.wait(), pause)
        finally:
            if stop_listening is not None:
                stop_listening()

    # Leases

    async def take(self, name: str) -> Lease | None:
        """Return a lease that was free, or None."""
        if name in self._held or await self._store.read(lambda tx: self._is_elsewhere(tx, name)):
            return None
        record = await self._store.write(lambda tx: self.take_within(tx, name))
        return None if record is None else self.adopt(record)

    def take_within(self, tx: WriteTx, name: str) -> LeaseRecord | None:
        """Take a free lease as a part of a transaction; None if it is not free. `adopt` what comes of it."""
        if (held := self._held.get(name)) is not None and leases.is_held(tx, held.record):
            return None
        return leases.take(tx, name, self._node.node_id, epoch_min=self._epoch + 1, now_ms=self._clock.now_ms())

    def adopt(self, record: LeaseRecord) -> Lease:
        """Return the lease that a committed transaction has taken."""
        self._epoch = max(self._epoch, record.epoch)
        lease = self._held[record.name] = Lease(self._store, record, self._node.is_current)
        return lease

    async def perform(self, lease: Lease, body: Callable[[Lease], Awaitable[T]]) -> T:
        """Return what `body(lease)` returns, and give the lease back. Raises LeaseLost if it is lost meanwhile."""
        work = asyncio.ensure_future(body(lease))
        either: set[asyncio.Future[Any]] = {work, lease.ended}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise LeaseLost(lease.name)
            return work.result()
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
                if not work.cancelled() and (failure := work.exception()) is not None:
                    _log.error("work that was cut short failed", exc_info=failure, extra={"lease": lease.name})
            await self._give_back(lease)

    async def _give_back(self, lease: Lease) -> None:
        """Free a lease for whoever wants it; nothing happens if it is not ours any more."""
        if self._held.get(lease.name) is lease:
            del self._held[lease.name]
        if lease.ended.done():
            return
        lease.end()
        try:
            await self._store.write(lambda tx: leases.give_back(tx, lease.record))
        except StoreError:
            self._strays[lease.name] = (lease.record.epoch, -LOOK_S)

    def _is_elsewhere(self, tx: ReadTx, name: str) -> bool:
        return leases.find_holder(tx, name) not in (None, self._node.node_id)

    # What became of them

    def _standing_changed(self) -> None:
        if not self._node.is_current():
            for lease in self._held.values():
                # What nobody goes on with is given back when the store can be reached again.
                self._strays[lease.name] = (lease.record.epoch, -LOOK_S)
                lease.end()
        self._look_now.set()

    async def _look_for_ever(self) -> None:
        while True:
            self._look_now.clear()
            try:
                if self._node.is_current():
                    await self._look()
            except Exception as failure:  # noqa: BLE001  the worker loop: whatever the trouble is, it is tried again
                _log_failure("the leases could not be looked through", failure)
            await first_of(self._look_now.wait(), self._clock.sleep_outside(LOOK_S))

    async def _look(self) -> None:
        """End what other nodes have taken, give back what is ours by mistake, and wake who waits for what is free."""
        # As they are now: an engine may read in a thread, while others begin to wait.
        awaited = tuple(self._awaited)
        records, free = await self._store.read(lambda tx: self._find_free(tx, awaited))
        mine = {name: record for name, record in records.items() if record.holder == self._node.node_id}
        for name, lease in list(self._held.items()):
            is_known = name in mine and mine[name].epoch == lease.record.epoch
            # It may have been taken after the leases were read.
            if not is_known and not await self._store.read(partial(leases.is_held, held=lease.record)):
                lease.end()
        # A commit of which nobody heard; or one that is being adopted just now, hence the time.
        unused = {name: record.epoch for name, record in mine.items() if name not in self._held}
        now_s, seen = self._clock.outside_s(), self._strays
        self._strays = {
            name: seen[name] if name in seen and seen[name][0] == epoch else (epoch, now_s)
            for name, epoch in unused.items()
        }
        strays = [name for name, (_, since_s) in self._strays.items() if now_s - since_s >= LOOK_S]
        for name in strays:
            await self._store.write(partial(leases.give_back, held=mine[name]))
        for name in free | set(strays):
            if (freed := self._awaited.get(name)) is not None:
                freed.set()

    def _find_free(self, tx: ReadTx, awaited: Sequence[str]) -> tuple[Mapping[str, LeaseRecord], set[str]]:
        """Return all leases, and which of those that are waited for here can be taken."""
        records = {record.name: record for record in LEASES.scan(tx, SYSTEM)}
        return records, {name for name in awaited if not self._is_elsewhere(tx, name)}


def _log_failure(message: str, failure: Exception, **fields: str) -> None:
    if isinstance(failure, StoreError):
        # Its engine has told what happened, and it happens to all loops at once.
        _log.warning(message, extra={**fields, "said": failure})
    else:
        _log.error(message, exc_info=failure, extra=fields)
