"""Whole stores: what a copy consists of, and a target that is filled wholly or not served."""

import asyncio
from collections.abc import Iterator

import pytest

from cumulet.clock import ManualClock
from cumulet.scope import SYSTEM, Scope
from cumulet.store.api import Store, StoreInUse, StoreTooNew, StoreUnreadable
from cumulet.store.dump import Block, Pair, Totals, blocks_of
from cumulet.store.keyspace import DDB_ITEM, LEASE, NODE, STORE_META, STORE_VERSION
from cumulet.store.memory import MemoryStore
from cumulet.store.nodes import BEAT_S, SILENCE_S, NodeRecord, save_node
from cumulet.store.transfer import (
    UNFINISHED_KEY,
    VERSION_KEY,
    CopyDiffers,
    StoreNotEmpty,
    StoreUnfinished,
    blocks_in,
    check_version,
    fill,
    require_copyable,
    require_unserved,
    require_whole,
    tally,
)

HERE = Scope("000000000000", "us-east-1")
SECRET = (STORE_META.key(SYSTEM, "signing secret"), b"secret")
VERSION = (VERSION_KEY, b"%d" % STORE_VERSION)
OF_NODES = [(LEASE.key(SYSTEM, "streams"), b"n1"), (NODE.key(SYSTEM, "n1"), b"alive")]
ITEMS = [(DDB_ITEM.key(HERE, "t1", number), b"item %d" % number) for number in range(5)]
COPIED = [SECRET, *ITEMS]


class Held:
    """A snapshot of these pairs."""

    engine = "memory"
    where = "the source"
    size_bytes = 0

    def __init__(self, *pairs: Pair) -> None:
        self._pairs = dict(sorted(pairs))

    def get(self, key: bytes) -> bytes | None:
        return self._pairs.get(key)

    def pairs(self) -> Iterator[Pair]:
        return iter(self._pairs.items())


async def store_of(*pairs: Pair) -> MemoryStore:
    store = MemoryStore()
    await store.write(lambda tx: [tx.put(key, value) for key, value in pairs])
    return store


async def content(store: Store) -> list[Pair]:
    return await store.read(lambda tx: list(tx.scan(b"", b"\xff")))


def totals_of(pairs: list[Pair]) -> Totals:
    return tally(blocks_of(pairs))


async def fill_with(store: Store, pairs: list[Pair]) -> Totals:
    return await fill(store, "the target", blocks_of(pairs), lambda: totals_of(pairs))


def test_a_copy_leaves_out_the_version_and_what_belongs_to_running_nodes() -> None:
    assert [pair for block in blocks_in(Held(VERSION, *OF_NODES, *COPIED)) for pair in block] == COPIED


@pytest.mark.parametrize(
    ("pairs", "error", "words"),
    [
        ([*COPIED], StoreUnreadable, "the source is not a store of Cumulet."),
        ([(VERSION_KEY, b"new")], StoreUnreadable, "the source is not a store of Cumulet."),
        (
            [(VERSION_KEY, b"%d" % (STORE_VERSION + 1))],
            StoreTooNew,
            f"the source comes from a newer Cumulet: its records have version {STORE_VERSION + 1}, this program's have "
            f"{STORE_VERSION}.",
        ),
        (
            [(VERSION_KEY, b"0")],
            StoreUnreadable,
            "the source comes from an older Cumulet, and nothing converts it: its records have version 0, this "
            f"program's have {STORE_VERSION}.",
        ),
        (
            [VERSION, (UNFINISHED_KEY, b""), *ITEMS],
            StoreUnfinished,
            "the source holds a part of a restore or a migration that was interrupted. Run it again: it begins anew.",
        ),
    ],
    ids=["no version", "no number", "newer", "older", "unfinished"],
)
def test_what_is_not_copied_is_refused_in_words(pairs: list[Pair], error: type[Exception], words: str) -> None:
    with pytest.raises(error) as refused:
        require_copyable(Held(*pairs))
    assert str(refused.value) == words


def test_a_store_of_this_version_is_copied() -> None:
    require_copyable(Held(VERSION, *COPIED))
    check_version(STORE_VERSION, "a backup")


async def test_a_filled_store_holds_what_was_copied_and_its_own_version() -> None:
    store = await store_of(VERSION)
    assert await fill_with(store, COPIED) == totals_of(COPIED)
    assert await content(store) == sorted([VERSION, *COPIED])
    await require_whole(store)


async def test_a_store_that_was_served_but_never_used_is_filled_and_keeps_nothing_of_its_own() -> None:
    store = await store_of(VERSION, (SECRET[0], b"its own"), (STORE_META.key(SYSTEM, "more"), b"1"), *OF_NODES)
    await fill_with(store, COPIED)
    assert await content(store) == sorted([VERSION, *COPIED])


async def test_a_store_that_holds_anything_is_not_touched() -> None:
    store = await store_of(VERSION, ITEMS[0])
    with pytest.raises(StoreNotEmpty) as refused:
        await fill_with(store, COPIED)
    assert str(refused.value) == (
        "the target is not empty, and a copy is never written over anything: choose another place, or remove what is "
        "there yourself."
    )
    assert await content(store) == sorted([VERSION, ITEMS[0]])


class Interrupted(Exception):
    """What ends a copy in the middle."""


async def test_an_interrupted_copy_is_not_served_and_begins_anew() -> None:
    store = await store_of(VERSION)

    def interrupted() -> Iterator[Block]:
        yield [(b"\x02gone", b"by then")]
        yield ITEMS[:2]
        raise Interrupted

    with pytest.raises(Interrupted):
        await fill(store, "the target", interrupted(), lambda: totals_of([]))
    with pytest.raises(StoreUnfinished, match=r"^The store holds a part of a restore or a migration that was interru"):
        await require_whole(store)
    with pytest.raises(StoreUnfinished):
        require_copyable(Held(*await content(store)))
    await fill_with(store, COPIED)
    assert await content(store) == sorted([VERSION, *COPIED])


async def test_what_an_interrupted_copy_left_is_cleared_in_bounded_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cumulet.store.transfer._CLEARED_AT_ONCE", 3)
    store = await store_of(VERSION, (UNFINISHED_KEY, b""), *OF_NODES, *ITEMS, (b"\x02zz", b"last"))
    await fill_with(store, [SECRET])
    assert await content(store) == sorted([VERSION, SECRET])


async def test_a_store_that_holds_something_else_than_was_written_is_not_served() -> None:
    store = await store_of(VERSION)
    with pytest.raises(CopyDiffers) as found:
        await fill(store, "the target", blocks_of(COPIED), lambda: totals_of(COPIED[1:]))
    assert str(found.value).startswith("the target holds 5 records of ")
    with pytest.raises(StoreUnfinished):
        await require_whole(store)


def node(node_id: str, beats: int) -> NodeRecord:
    return NodeRecord(
        node_id=node_id, host="here", pid=12, address="127.0.0.1:4566", version="0.1.0", started_ms=0, beats=beats
    )


async def watch(store: MemoryStore, meanwhile: dict[str, int]) -> None:
    """Ask whether a store is served, and have nodes beat so often before the answer."""
    clock = ManualClock()
    asked = asyncio.ensure_future(require_unserved(store, "the source", clock))
    await asyncio.sleep(0)
    await store.write(lambda tx: [save_node(tx, node(node_id, beats)) for node_id, beats in meanwhile.items()])
    clock.advance(SILENCE_S + BEAT_S)
    await asked


@pytest.mark.parametrize(
    ("before", "after"),
    [({"a": 4}, {"a": 5}), ({"a": 4}, {"a": 4, "b": 0}), ({"a": 4, "b": 7}, {"a": 4, "b": 8})],
    ids=["it beats", "another comes", "one of two beats"],
)
async def test_a_store_with_a_live_node_is_in_use(before: dict[str, int], after: dict[str, int]) -> None:
    store = MemoryStore(is_shared=True)
    await store.write(lambda tx: [save_node(tx, node(node_id, beats)) for node_id, beats in before.items()])
    with pytest.raises(StoreInUse) as refused:
        await watch(store, after)
    assert str(refused.value) == "the source is in use by a Cumulet server (process 12 at here). Stop it first."


async def test_nodes_that_died_hold_nobody_up() -> None:
    store = MemoryStore(is_shared=True)
    await store.write(lambda tx: save_node(tx, node("a", 4)))
    await watch(store, {})


async def test_a_store_that_nobody_shares_and_one_without_nodes_are_not_watched() -> None:
    alone = await store_of((NODE.key(SYSTEM, "n1"), b"whatever is written there"))
    await require_unserved(alone, "the source", ManualClock())
    await require_unserved(MemoryStore(is_shared=True), "the source", ManualClock())
