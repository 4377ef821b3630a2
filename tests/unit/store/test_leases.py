"""Leases and nodes: who may take what, who counts as dead, and what a holder that has lost its lease can still do."""

import pytest

from cumulet.scope import SYSTEM
from cumulet.store import leases, nodes
from cumulet.store.api import WriteTx
from cumulet.store.leases import LEASES, Lease, LeaseLost, LeaseRecord
from cumulet.store.memory import MemoryStore
from cumulet.store.nodes import BEAT_S, NODES, SILENCE_S, NodeRecord, Watch


def join(tx: WriteTx, node_id: str, beats: int = 0) -> None:
    nodes.beat(
        tx,
        NodeRecord(node_id=node_id, host="h", pid=1, address="a", version="0", started_ms=0, beats=beats),
    )


def take(tx: WriteTx, node_id: str, epoch_min: int = 1) -> LeaseRecord | None:
    return leases.take(tx, "work", node_id, epoch_min=epoch_min, now_ms=0)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(is_shared=True)


async def test_a_lease_has_one_holder_while_that_lives(store: MemoryStore) -> None:
    def act(tx: WriteTx) -> list[object]:
        join(tx, "a")
        join(tx, "b")
        return [take(tx, "a") is not None, take(tx, "b"), leases.find_holder(tx, "work")]

    assert await store.write(act) == [True, None, "a"]


async def test_who_takes_a_dead_nodes_lease_takes_a_later_epoch(store: MemoryStore) -> None:
    def act(tx: WriteTx) -> list[object]:
        join(tx, "a", beats=7)
        join(tx, "b")
        first = take(tx, "a", epoch_min=5)
        assert first is not None
        buried = [nodes.bury(tx, "a", 6), nodes.bury(tx, "a", 7)]
        holder = leases.find_holder(tx, "work")
        second = take(tx, "b")
        assert second is not None
        return [buried, holder, first.epoch, second.epoch, leases.is_held(tx, first), leases.is_held(tx, second)]

    assert await store.write(act) == [[False, True], None, 5, 6, False, True]


async def test_a_node_that_was_only_slow_keeps_what_nobody_took(store: MemoryStore) -> None:
    def act(tx: WriteTx) -> list[object]:
        join(tx, "a")
        held = take(tx, "a")
        assert held is not None
        nodes.bury(tx, "a", 0)
        join(tx, "a", beats=1)
        return [leases.is_held(tx, held), leases.find_holder(tx, "work"), take(tx, "b")]

    assert await store.write(act) == [True, "a", None]


async def test_what_is_given_back_is_free_at_once_and_only_by_its_holder(store: MemoryStore) -> None:
    def act(tx: WriteTx) -> list[object]:
        join(tx, "a")
        join(tx, "b")
        first = take(tx, "a")
        assert first is not None
        leases.give_back(tx, first)
        second = take(tx, "b", epoch_min=9)
        leases.give_back(tx, first)
        return [second is not None, leases.find_holder(tx, "work")]

    assert await store.write(act) == [True, "b"]


async def test_nothing_is_written_under_a_lost_lease(store: MemoryStore) -> None:
    def begin(tx: WriteTx) -> LeaseRecord | None:
        join(tx, "a")
        return take(tx, "a")

    record = await store.write(begin)
    assert record is not None
    lease = Lease(store, record, lambda: True)
    await lease.write(lambda tx: tx.put(b"kept", b"1"))
    # Another node, while this one is paused
    await store.write(lambda tx: (nodes.bury(tx, "a", 0), join(tx, "b"), take(tx, "b")))
    assert lease.is_held  # as far as the paused one can know
    with pytest.raises(LeaseLost):
        await lease.write(lambda tx: tx.put(b"lost", b"1"))
    assert not lease.is_held
    with pytest.raises(LeaseLost):
        lease.check()
    assert await store.read(lambda tx: (tx.get(b"kept"), tx.get(b"lost"))) == (b"1", None)


async def test_who_cannot_have_beaten_holds_nothing_for_sure(store: MemoryStore) -> None:
    lease = Lease(store, LeaseRecord(name="work", holder="a", epoch=1, taken_ms=0), lambda: False)
    with pytest.raises(LeaseLost):
        lease.check()


async def test_who_has_the_store_alone_buries_all(store: MemoryStore) -> None:
    def act(tx: WriteTx) -> list[object]:
        join(tx, "a")
        take(tx, "a")
        nodes.forget_all(tx)
        return [*NODES.scan(tx, SYSTEM), *LEASES.scan(tx, SYSTEM)]

    assert await store.write(act) == []


def test_a_watch_finds_who_is_silent_for_long() -> None:
    watch = Watch()
    found = [list(watch.look({"a": 1, "b": second}, float(second))) for second in range(6)]
    assert found == [[], [], [], ["a"], ["a"], ["a"]]
    assert SILENCE_S == 3.0


def test_a_watch_that_did_not_look_knows_nothing_of_that_time() -> None:
    watch = Watch()
    watch.look({"a": 1}, 0)
    assert list(watch.look({"a": 1}, 3600)) == []  # the store was away, for "a" as well
    assert list(watch.look({"a": 1}, 3600 + 2 * BEAT_S)) == ["a"]


def test_a_watch_forgets_who_has_gone_and_begins_anew_with_who_returns() -> None:
    watch = Watch()
    for second in range(3):
        watch.look({"a": 1}, second)
    watch.look({}, 3)
    assert list(watch.look({"a": 1}, 4)) == []
