"""Leases: which node does a piece of background work, and how one that has lost it is kept from acting.

A lease is a record with a name, a holder and an epoch. It is free if there is no record or its holder is not among the
living (`nodes.py`); who takes it writes itself and a later epoch. It is not renewed: its holder's beats keep all that
it holds. So a transaction that checks the lease reads a record that changes at takeovers only, and conflicts with
nothing.

The check is the fence: whatever a holder writes, it writes in a transaction that reads the lease's record first and
fails unless holder and epoch are still its own. A holder that was paused for an hour can go on as if nothing had
happened, and nothing of it comes to pass. No two tenures share holder and epoch: a node takes no epoch twice.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec

from cumulet.scope import SYSTEM
from cumulet.store.api import ReadTx, Store, WriteTx
from cumulet.store.keyspace import LEASE
from cumulet.store.nodes import NODES
from cumulet.store.records import Records

T = TypeVar("T")

LEASES_FREED = "leases"
"""The topic of the hint that leases were given back."""


class LeaseLost(Exception):
    """Another node has the lease, or may have it: nothing of this transaction happened, and its work is not ours."""


class LeaseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Who does a piece of work."""

    name: str
    holder: str
    """A node's id."""
    epoch: int
    taken_ms: int


LEASES = Records(LEASE, LeaseRecord)


def find_holder(tx: ReadTx, name: str) -> str | None:
    """Return the living node that holds a lease, or None if it is free."""
    record = LEASES.find(tx, SYSTEM, name)
    return record.holder if record is not None and _is_alive(tx, record.holder) else None


def take(tx: WriteTx, name: str, node_id: str, *, epoch_min: int, now_ms: int) -> LeaseRecord | None:
    """Make a node the holder of a lease and return the record; None if another living node holds it.

    A node may take what is its own already, in a new epoch: it does so when it does not know whether it got it.
    """
    record = LEASES.find(tx, SYSTEM, name)
    if record is not None and record.holder != node_id and _is_alive(tx, record.holder):
        return None
    epoch = epoch_min if record is None else max(epoch_min, record.epoch + 1)
    taken = LeaseRecord(name=name, holder=node_id, epoch=epoch, taken_ms=now_ms)
    LEASES.save(tx, SYSTEM, name, record=taken)
    return taken


def give_back(tx: WriteTx, held: LeaseRecord) -> None:
    """Free a lease, if it is still the one that was taken, and wake who waits for it."""
    if is_held(tx, held):
        LEASES.delete(tx, SYSTEM, held.name)
        tx.hint(LEASES_FREED)


def is_held(tx: ReadTx, held: LeaseRecord) -> bool:
    """Return whether a lease is still the one that was taken."""
    record = LEASES.find(tx, SYSTEM, held.name)
    return record is not None and (record.holder, record.epoch) == (held.holder, held.epoch)


def find_living(tx: ReadTx, prefix: str) -> list[LeaseRecord]:
    """Return the leases whose names begin so and that living nodes hold."""
    living = {node.node_id for node in NODES.scan(tx, SYSTEM)}
    held = LEASES.scan(tx, SYSTEM)
    return [record for record in held if record.name.startswith(prefix) and record.holder in living]


def is_alive(tx: ReadTx, name: str, epoch: int) -> bool:
    """Return whether a lease that was taken in this epoch is held still, by a node that lives."""
    record = LEASES.find(tx, SYSTEM, name)
    return record is not None and record.epoch == epoch and _is_alive(tx, record.holder)


def _is_alive(tx: ReadTx, node_id: str) -> bool:
    return tx.get(NODES.family.key(SYSTEM, node_id)) is not None


class Lease:
    """A lease that this node has taken. Whoever works under it writes through it, and through nothing else."""

    def __init__(self, store: Store, record: LeaseRecord, is_current: Callable[[], bool]) -> None:
        """`is_current` says whether this node has beaten lately, so that nobody can have buried it."""
        self._store = store
        self._is_current = is_current
        self.record = record
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the lease is lost or given back."""

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def is_held(self) -> bool:
        """Whether the lease is surely ours at this moment. Ask before each effect that no transaction guards."""
        return not self.ended.done() and self._is_current()

    def check(self) -> None:
        """Raise LeaseLost unless the lease is surely ours at this moment."""
        if not self.is_held:
            raise LeaseLost(self.name)

    def fence(self, tx: ReadTx) -> None:
        """Raise LeaseLost, and let nothing of this transaction happen, unless the lease is ours in it."""
        if not is_held(tx, self.record):
            raise LeaseLost(self.name)

    async def write(self, fn: Callable[[WriteTx], T]) -> T:
        """Return `fn(tx)` once its writes are durable, all under the fence. Raises LeaseLost."""

        def fenced(tx: WriteTx) -> T:
            self.fence(tx)
            return fn(tx)

        try:
            return await self._store.write(fenced)
        except LeaseLost:
            self.end()
            raise

    def end(self) -> None:
        """Tell whoever works under it that it is not ours any more."""
        if not self.ended.done():
            self.ended.set_result(None)
