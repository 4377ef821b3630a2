"""This process as one of the nodes over a store: it says that it lives, watches the others, and keeps the common clock.

What a node's record is and when a node counts as dead stands in `store/nodes.py`. A node that has a store to itself has
nobody to tell: it writes its record once, when it starts, and is current until it ends.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import msgspec

from cumulet.clock import Clock
from cumulet.scope import SYSTEM
from cumulet.store import nodes
from cumulet.store.api import ReadTx, Store, StoreError, WriteTx
from cumulet.store.nodes import BEAT_S, CLOCK_MOVED, NODES, NODES_CHANGED, SILENCE_S, NodeRecord, Watch

FOLLOW_SECONDS_MAX = 8.0
"""How long a move of the clock waits for the other nodes. One that died is buried before that and not waited for."""

_LOOK_AGAIN_S = 0.2

_log = logging.getLogger(__name__)


class Node:
    """This process, among the others."""

    def __init__(self, store: Store, clock: Clock, record: NodeRecord) -> None:
        self._store = store
        self._clock = clock
        self._record = record
        self._beats = record.beats
        self._beat_s = clock.outside_s()
        self._watch = Watch()
        self._others: frozenset[str] = frozenset()
        self._beat_now = asyncio.Event()
        self._moved = asyncio.Event()
        self._beating: asyncio.Task[None] | None = None
        self._stop_listening: list[Callable[[], None]] = []
        self._was_current = True
        self.watchers: list[Callable[[], None]] = []
        """Called when a node has gone, and when this one has lost or found its standing."""

    @property
    def node_id(self) -> str:
        return self._record.node_id

    def is_current(self) -> bool:
        """Return whether this node has beaten so lately that nobody can have buried it."""
        return self.silent_s() < SILENCE_S

    def silent_s(self) -> float:
        """Return for how long this node could not say that it lives; one that has its store to itself need not."""
        return self._clock.outside_s() - self._beat_s if self._store.is_shared else 0.0

    async def start(self) -> None:
        """Join the nodes, with the clock that they have; alone, bury whoever was here before."""
        ahead_ms = await self._store.write(self._join)
        self._follow(ahead_ms)
        if self._store.is_shared:
            self._beat_s = self._clock.outside_s()
            self._stop_listening = [
                self._store.listen(CLOCK_MOVED, self._beat_now.set),
                self._store.listen(NODES_CHANGED, self._moved.set),
            ]
            self._beating = asyncio.get_running_loop().create_task(self._beat_for_ever())

    async def leave(self) -> None:
        """Go, so that nobody waits for this node. What it still held is free from then on."""
        for stop in self._stop_listening:
            stop()
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait({self._beating})

        def go(tx: WriteTx) -> None:
            NODES.delete(tx, SYSTEM, self.node_id)
            tx.hint(NODES_CHANGED)

        with contextlib.suppress(StoreError):  # then the others bury it
            await self._store.write(go)

    async def advance_clock(self, seconds: float) -> Sequence[NodeRecord]:
        """Move the time of all nodes forward; return those that have not followed within `FOLLOW_SECONDS_MAX`.

        They will, as soon as they read the store again. Raises ClockTooFar.
        """

        by_ms, outside_ms = round(seconds * 1000), self._clock.outside_ms()
        ahead_ms = await self._store.write(lambda tx: nodes.move_clock(tx, by_ms, outside_ms))
        self._follow(ahead_ms)
        return await self._await_followers(ahead_ms) if self._store.is_shared else ()

    async def _await_followers(self, ahead_ms: int) -> Sequence[NodeRecord]:
        def find_behind(tx: ReadTx) -> list[NodeRecord]:
            return [n for n in NODES.scan(tx, SYSTEM) if n.ahead_ms < ahead_ms and n.node_id != self.node_id]

        give_up_s = self._clock.outside_s() + FOLLOW_SECONDS_MAX
        while True:
            self._moved.clear()
            behind = await self._store.read(find_behind)
            if not behind or self._clock.outside_s() >= give_up_s:
                return behind
            await first_of(self._moved.wait(), self._clock.sleep_outside(_LOOK_AGAIN_S))

    def _join(self, tx: WriteTx) -> int:
        if not self._store.is_shared:
            nodes.forget_all(tx)
        ahead_ms = nodes.load_ahead_ms(tx)
        nodes.save_node(tx, msgspec.structs.replace(self._record, ahead_ms=ahead_ms))
        return ahead_ms

    def _follow(self, ahead_ms: int) -> None:
        if ahead_ms > self._clock.ahead_ms:
            self._clock.move_to(ahead_ms)

    # Beating

    async def _beat_for_ever(self) -> None:
        while True:
            self._beat_now.clear()
            began_s = self._clock.outside_s()
            beating = asyncio.ensure_future(self._beat(began_s))
            try:
                # Time goes on for the others too, whatever it is that takes the store so long.
                while not beating.done():
                    await first_of(asyncio.shield(beating), self._clock.sleep_outside(BEAT_S))
                    self._tell_if_standing_changed()
            finally:
                beating.cancel()
                await asyncio.wait({beating})
            self._tell_if_standing_changed()
            await first_of(
                self._beat_now.wait(),
                self._clock.sleep_outside(max(BEAT_S - (self._clock.outside_s() - began_s), 0.01)),
            )

    async def _beat(self, began_s: float) -> None:
        """Look at the others, then say that this node lives, and to which time it has moved."""
        try:
            others, ahead_ms = await self._store.read(self._look)
            self._follow(ahead_ms)
            self._beats += 1
            record = msgspec.structs.replace(self._record, beats=self._beats, ahead_ms=self._clock.ahead_ms)
            followed, self._record = record.ahead_ms != self._record.ahead_ms, record

            def beat(tx: WriteTx) -> bool:
                if followed:
                    tx.hint(NODES_CHANGED)
                return nodes.beat(tx, record)

            was_alive = await self._store.write(beat)
            if not was_alive:
                _log.warning("this node was silent and counted as dead: what it held may be another's")
                self._tell()  # while it is not yet current again, so that nobody trusts in a lease meanwhile
            self._beat_s = began_s
            for node_id in self._watch.look(others, self._clock.outside_s()):
                if await self._store.write(partial(nodes.bury, node_id=node_id, beats=others[node_id])):
                    _log.warning("a node is silent and counts as dead", extra={"node": node_id})
                    others.pop(node_id)
            gone, self._others = self._others - others.keys(), frozenset(others)
            if gone or not was_alive:
                self._tell()
        except StoreError as failure:
            if self.is_current():
                _log.warning("a beat failed", extra={"said": failure})
        except Exception:  # noqa: BLE001  the worker loop: whatever the trouble is, the next beat tries again
            _log.warning("a beat failed", exc_info=True)

    def _look(self, tx: ReadTx) -> tuple[dict[str, int], int]:
        others = {node.node_id: node.beats for node in NODES.scan(tx, SYSTEM) if node.node_id != self.node_id}
        return others, nodes.load_ahead_ms(tx)

    def _tell_if_standing_changed(self) -> None:
        if self.is_current() != self._was_current:
            self._was_current = not self._was_current
            if not self._was_current:
                _log.warning("the store is out of reach: this node holds no work until it has beaten again")
            self._tell()

    def _tell(self) -> None:
        for tell in self.watchers:
            tell()


async def first_of(*waits: Awaitable[object]) -> None:
    """Return when one of these is done; the others are let go of."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
