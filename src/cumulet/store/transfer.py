"""Whole stores, of whatever engine: read as they are at one moment, and filled.

A copy has the records of the installation and not those of its running nodes, nor the store's own version, which the
engine of the target writes itself. While a store is being filled it holds a mark, put before the first record and taken
away after the last has been read back: who opens it to serve asks `require_whole` first.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from cumulet.clock import Clock
from cumulet.scope import SYSTEM
from cumulet.store.api import ReadTx, Store, StoreError, StoreInUse, StoreTooNew, StoreUnreadable, WriteTx
from cumulet.store.dump import Block, Pair, Tally, Totals, blocks_of
from cumulet.store.keyspace import CLOCK, FAMILIES, STORE_META, STORE_VERSION
from cumulet.store.nodes import BEAT_S, NODES, SILENCE_S, NodeRecord

VERSION_KEY = STORE_META.key(SYSTEM, "version")
UNFINISHED_KEY = STORE_META.key(SYSTEM, "restoring")

_END = b"\xff"
"""Behind every key: no element of a tuple begins with it."""

_OF_NODES = tuple(family.key(SYSTEM) for family in FAMILIES.values() if family.of_nodes)
_LEFT_OUT = (VERSION_KEY, UNFINISHED_KEY, *_OF_NODES)
_WITHOUT_USE = (STORE_META.key(SYSTEM), CLOCK.key(SYSTEM), *_OF_NODES)
"""What a server writes that has been started once and never used."""

_CLEARED_AT_ONCE = 10_000


class StoreNotEmpty(StoreError):
    """The target of a copy holds something already."""


class StoreUnfinished(StoreError):
    """The store holds a part of a copy that was interrupted."""


class CopyDiffers(StoreError):
    """What was read back from the target is not what was written to it."""


class Snapshot(Protocol):
    """A whole store as it was at one moment, whoever goes on writing to it."""

    @property
    def engine(self) -> str:
        """Its kind, for people."""
        ...

    @property
    def where(self) -> str:
        """Which store it is, for people."""
        ...

    @property
    def size_bytes(self) -> int | None:
        """About how large it is, if that is known: for a bar of progress."""
        ...

    def get(self, key: bytes) -> bytes | None:
        """Return the value of `key`, or None."""
        ...

    def pairs(self) -> Iterator[Pair]:
        """Yield every pair in key order, holding few of them at a time."""
        ...


def require_copyable(snapshot: Snapshot) -> None:
    """Raise StoreError for what is no store, an unfinished one, or one of another version."""
    version = snapshot.get(VERSION_KEY)
    if version is None or not version.isdigit():
        raise StoreUnreadable(f"{snapshot.where} is not a store of Cumulet.")
    check_version(int(version), snapshot.where)
    if snapshot.get(UNFINISHED_KEY) is not None:
        raise _unfinished(snapshot.where)


def check_version(found: int, where: str) -> None:
    """Raise StoreTooNew or StoreUnreadable unless the records there are of the version that this program writes."""
    versions = f"its records have version {found}, this program's have {STORE_VERSION}"
    if found > STORE_VERSION:
        raise StoreTooNew(f"{where} comes from a newer Cumulet: {versions}.")
    if found < STORE_VERSION:
        raise StoreUnreadable(f"{where} comes from an older Cumulet, and nothing converts it: {versions}.")


def blocks_in(snapshot: Snapshot) -> Iterator[Block]:
    """Yield what a copy of the store consists of."""
    return blocks_of(pair for pair in snapshot.pairs() if not pair[0].startswith(_LEFT_OUT))


def tally(blocks: Iterable[Block]) -> Totals:
    """Return the totals of the blocks."""
    counted = Tally()
    for block in blocks:
        counted.add(block)
    return counted.totals()


async def fill(store: Store, where: str, blocks: Iterable[Block], read_back: Callable[[], Totals]) -> Totals:
    """Make the records of `blocks` all that the store holds, and return their totals.

    Raises StoreNotEmpty if it holds anything but a part of an earlier attempt, which is removed first. Raises
    CopyDiffers if `read_back` finds other records than were written. Whatever raises or ends it leaves a store that
    `require_whole` refuses and that can be filled anew.
    """
    if not await store.write(_begin):
        raise StoreNotEmpty(
            f"{where} is not empty, and a copy is never written over anything: choose another place, or remove what is "
            "there yourself."
        )
    while await store.write(_clear_some):
        pass
    written = Tally()
    for block in blocks:
        await store.write(lambda tx, block=block: _put_all(tx, block))  # type: ignore[misc]
        written.add(block)
    totals = written.totals()
    if (found := read_back()) != totals:
        raise CopyDiffers(
            f"{where} holds {found.records:,} records of {found.bytes:,} bytes, which are not the {totals.records:,} "
            f"of {totals.bytes:,} bytes that were written to it. It will not be served; the source is as it was."
        )
    await store.write(lambda tx: tx.delete(UNFINISHED_KEY))
    return totals


async def require_unserved(store: Store, where: str, clock: Clock) -> None:
    """Raise StoreInUse if any node lives. Takes some seconds if one may: its record is watched for a beat."""
    if not store.is_shared:
        return  # whoever has it open holds it
    seen = await store.read(_find_beats)
    if not seen:
        return
    await clock.sleep(SILENCE_S + BEAT_S)
    for node in (await store.read(_find_beats)).values():
        before = seen.get(node.node_id)
        if before is None or before.beats != node.beats:
            raise StoreInUse(
                f"{where} is in use by a Cumulet server (process {node.pid} at {node.host}). Stop it first."
            )


async def require_whole(store: Store) -> None:
    """Raise StoreUnfinished if the store holds a part of a copy only."""
    if await store.read(lambda tx: tx.get(UNFINISHED_KEY)) is not None:
        raise _unfinished("The store")


def is_unused(tx: ReadTx) -> bool:
    """Return whether nothing has been kept in the store yet."""
    return all(key.startswith(_WITHOUT_USE) for key, _ in tx.scan(b"", _END))


def _find_beats(tx: ReadTx) -> dict[str, NodeRecord]:
    return {node.node_id: node for node in NODES.scan(tx, SYSTEM)}


def _unfinished(where: str) -> StoreUnfinished:
    return StoreUnfinished(
        f"{where} holds a part of a restore or a migration that was interrupted. Run it again: it begins anew."
    )


def _begin(tx: WriteTx) -> bool:
    """Mark the store as unfinished; return whether it may be filled."""
    if tx.get(UNFINISHED_KEY) is None:
        if not is_unused(tx):
            return False
        tx.put(UNFINISHED_KEY, b"")
    return True


def _clear_some(tx: WriteTx) -> bool:
    """Remove the first records; return whether there may be more."""
    last, count = b"", 0
    for key, _ in tx.scan(b"", _END, limit=_CLEARED_AT_ONCE):
        last, count = key, count + 1
    kept = {key: value for key in (VERSION_KEY, UNFINISHED_KEY) if (value := tx.get(key)) is not None}
    if count > len(kept):
        tx.delete_range(b"", last + b"\x00")
        for key, value in kept.items():
            tx.put(key, value)
    return count == _CLEARED_AT_ONCE


def _put_all(tx: WriteTx, block: Block) -> None:
    for key, value in block:
        tx.put(key, value)
