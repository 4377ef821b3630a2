"""Background work on several nodes over one store, in one process: who does it, who takes it over, who must stop."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from cumulet.clock import ManualClock
from cumulet.scope import SYSTEM
from cumulet.services.kit import Loop
from cumulet.store.api import StoreUnavailable
from cumulet.store.leases import LEASES, Lease, LeaseLost, find_holder
from cumulet.store.memory import MemoryStore
from cumulet.store.nodes import NODES, ClockTooFar
from cumulet.workers import Workers
from harness import make_node


class Cuttable(MemoryStore):
    """A node's way to the common store, which can be cut."""

    def __init__(self, common: MemoryStore) -> None:
        super().__init__(is_shared=True)
        self.common = common
        self.is_cut = False

    async def read(self, fn: Callable[..., Any]) -> Any:
        self._pass()
        return await self.common.read(fn)

    async def write(self, fn: Callable[..., Any]) -> Any:
        self._pass()
        return await self.common.write(fn)

    def listen(self, topic: str, wake: Callable[[], None]) -> Callable[[], None]:
        return self.common.listen(topic, wake)

    def _pass(self) -> None:
        if self.is_cut:
            raise StoreUnavailable("The database is away.")


class Machine:
    """One node: its own way to the store, its own clock, its workers."""

    def __init__(self, common: MemoryStore, name: str) -> None:
        self.name = name
        self.store = Cuttable(common)
        self.clock = ManualClock()
        self.node = make_node(self.store, self.clock, name)
        self.workers = Workers(self.store, self.clock, self.node)
        self.rounds = 0
        self.leases: list[Lease] = []
        self.hold_up: asyncio.Event | None = None
        self.cut_short = 0

    async def start(self) -> None:
        await self.node.start()
        await self.workers.start()

    def run(self, **more: Any) -> None:
        self.workers.run(Loop("work", self.round, every_s=60, **more))

    async def round(self, lease: Lease) -> None:
        self.rounds += 1
        self.leases.append(lease)
        if self.hold_up is not None:
            try:
                await self.hold_up.wait()
            except asyncio.CancelledError:
                self.cut_short += 1
                raise

    async def stop(self) -> None:
        await self.workers.stop()
        await self.node.leave()


class Cluster:
    """Some nodes over one store."""

    def __init__(self) -> None:
        self.store = MemoryStore(is_shared=True)
        self.machines: list[Machine] = []

    async def add(self, name: str, *, runs: bool = True, **more: Any) -> Machine:
        machine = Machine(self.store, name)
        self.machines.append(machine)
        await machine.start()
        if runs:
            machine.run(**more)
        await settle()
        return machine

    async def pass_seconds(self, seconds: float, *, without: tuple[Machine, ...] = ()) -> None:
        """Let time pass on all nodes but those that are paused."""
        for _ in range(int(seconds * 4)):
            for machine in self.machines:
                if machine not in without:
                    machine.clock.advance(0.25)
            await settle()

    async def holder(self) -> str | None:
        return await self.store.read(lambda tx: find_holder(tx, "work"))

    async def nodes(self) -> set[str]:
        return await self.store.read(lambda tx: {node.node_id for node in NODES.scan(tx, SYSTEM)})


async def settle() -> None:
    for _ in range(60):
        await asyncio.sleep(0)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


async def test_one_node_does_the_work(cluster: Cluster) -> None:
    machines = [await cluster.add(name) for name in "abc"]
    await cluster.pass_seconds(62)
    assert [machine.rounds for machine in machines] == [2, 0, 0]
    assert await cluster.nodes() == {"a", "b", "c"}


async def test_a_dead_nodes_work_is_taken_over_within_seconds(cluster: Cluster) -> None:
    a, b, c = [await cluster.add(name) for name in "abc"]
    await cluster.pass_seconds(2)
    await cluster.pass_seconds(2.5, without=(a,))
    assert await cluster.holder() == "a"
    await cluster.pass_seconds(2.5, without=(a,))
    assert await cluster.holder() in {"b", "c"}
    assert (a.rounds, b.rounds + c.rounds) == (1, 1)
    assert await cluster.nodes() == {"b", "c"}


async def test_a_node_that_stops_hands_over_at_once(cluster: Cluster) -> None:
    a, b = [await cluster.add(name) for name in "ab"]
    await a.stop()
    await settle()
    assert (await cluster.holder(), b.rounds) == ("b", 1)
    assert await cluster.nodes() == {"b"}


async def test_a_paused_holder_cannot_act_any_more(cluster: Cluster) -> None:
    a, b = [await cluster.add(name) for name in "ab"]
    a.hold_up = asyncio.Event()
    a.clock.advance(60)  # into a round that does not end
    await settle()
    await cluster.pass_seconds(6, without=(a,))
    assert (await cluster.holder(), a.cut_short) == ("b", 0)
    with pytest.raises(LeaseLost):
        await a.leases[-1].write(lambda tx: tx.put(b"late", b"1"))
    assert await cluster.store.read(lambda tx: tx.get(b"late")) is None
    # It wakes up, and finds that its work is not its own.
    await cluster.pass_seconds(3)
    assert (a.cut_short, await cluster.holder()) == (1, "b")
    assert await cluster.nodes() == {"a", "b"}
    await b.stop()
    await settle()
    assert await cluster.holder() == "a"


async def test_who_wakes_up_buried_is_at_no_moment_sure_of_what_it_held(cluster: Cluster) -> None:
    a, _ = [await cluster.add(name) for name in "ab"]
    a.hold_up = asyncio.Event()
    a.clock.advance(60)
    await settle()
    await cluster.pass_seconds(6, without=(a,))
    assert await cluster.holder() == "b"

    a.clock.advance(6)

    for _ in range(100):
        await asyncio.sleep(0)
        assert not a.leases[-1].is_held
    assert a.node.is_current()


async def test_a_node_cut_from_the_store_stops_working_before_another_begins(cluster: Cluster) -> None:
    a, b = [await cluster.add(name) for name in "ab"]
    a.hold_up = asyncio.Event()
    a.clock.advance(60)
    await settle()
    a.store.is_cut = True
    for _ in range(40):
        await cluster.pass_seconds(0.25)
        if b.rounds:
            break
        assert a.cut_short or a.leases[-1].is_held
    assert (a.cut_short, b.rounds, a.leases[-1].is_held) == (1, 1, False)
    a.store.is_cut = False
    await cluster.pass_seconds(6)
    assert (await cluster.holder(), b.rounds) == ("b", 1)


async def test_a_store_that_was_away_for_all_kills_nobody(cluster: Cluster) -> None:
    a, b = [await cluster.add(name) for name in "ab"]
    for machine in (a, b):
        machine.store.is_cut = True
    await cluster.pass_seconds(30)
    for machine in (a, b):
        machine.store.is_cut = False
    await cluster.pass_seconds(8)
    assert await cluster.nodes() == {"a", "b"}
    assert await cluster.holder() in {"a", "b"}
    assert a.rounds + b.rounds == 2


async def test_a_hint_wakes_the_holder(cluster: Cluster) -> None:
    a = await cluster.add("a", topic="there is work")
    await cluster.store.write(lambda tx: tx.hint("there is work"))
    await settle()
    assert a.rounds == 2


async def test_a_round_that_fails_is_tried_again_later_and_later(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    a = await cluster.add("a", runs=False)
    moments: list[float] = []

    async def fail(lease: Lease) -> None:
        moments.append(a.clock.outside_s())
        raise ValueError("nothing works")

    a.workers.run(Loop("failing", fail, every_s=1))
    await settle()
    await cluster.pass_seconds(8)
    assert moments == [0, 0.5, 1.5, 3.5, 7.5]
    assert [record.message for record in caplog.records] == ["background work failed"] * 5


async def test_a_piece_of_work_has_one_performer_and_is_free_afterwards(cluster: Cluster) -> None:
    a, b = [await cluster.add(name, runs=False) for name in "ab"]
    lease = await a.workers.take("piece")
    assert lease is not None
    assert [await a.workers.take("piece"), await b.workers.take("piece")] == [None, None]

    async def body(lease: Lease) -> str:
        return await lease.write(lambda tx: "done")

    assert await a.workers.perform(lease, body) == "done"
    other = await b.workers.take("piece")
    assert other is not None
    assert other.record.holder == "b"


async def test_a_lease_taken_in_a_transaction_is_there_with_it_or_not_at_all(cluster: Cluster) -> None:
    a = await cluster.add("a", runs=False)

    def fail(tx: Any) -> None:
        assert a.workers.take_within(tx, "piece") is not None
        raise ValueError

    with pytest.raises(ValueError):
        await a.store.write(fail)
    assert await cluster.store.read(lambda tx: list(LEASES.scan(tx, SYSTEM))) == []


async def test_a_lease_that_nobody_adopted_is_given_back(cluster: Cluster) -> None:
    a, b = [await cluster.add(name, runs=False) for name in "ab"]
    assert await a.store.write(lambda tx: a.workers.take_within(tx, "piece")) is not None
    assert await b.workers.take("piece") is None
    await cluster.pass_seconds(16)
    assert await b.workers.take("piece") is not None


async def test_a_node_alone_whose_store_refuses_it_asks_again() -> None:
    machine = Machine(MemoryStore(), "a")
    machine.store.is_shared = False
    await machine.start()
    machine.store.is_cut = True
    machine.run()
    await settle()
    machine.store.is_cut = False
    machine.clock.advance(1)
    await settle()
    assert machine.rounds == 1
    await machine.stop()


async def test_a_node_alone_writes_nothing_while_idle() -> None:
    store = MemoryStore()
    clock = ManualClock()
    node = make_node(store, clock)
    workers = Workers(store, clock, node)
    await node.start()
    await workers.start()
    rounds = []

    async def round_(lease: Lease) -> None:
        rounds.append(lease)

    workers.run(Loop("work", round_, every_s=3600))
    await settle()
    writes = 0
    write = store.write

    async def counted(fn: Any) -> Any:
        nonlocal writes
        writes += 1
        return await write(fn)

    store.write = counted  # type: ignore[method-assign]
    for _ in range(100):
        clock.advance(10)
        await settle()
    assert (len(rounds), writes) == (1, 0)
    await workers.stop()
    await node.leave()
    assert store._keys == []


# The clock


async def test_all_nodes_move_their_clocks_before_a_move_is_acknowledged(cluster: Cluster) -> None:
    a, b, c = [await cluster.add(name, runs=False) for name in "abc"]
    assert await asyncio.wait_for(a.node.advance_clock(3600), 1) == []
    assert [machine.clock.ahead_ms for machine in (a, b, c)] == [3_600_000] * 3
    assert await asyncio.wait_for(b.node.advance_clock(0.5), 1) == []
    assert [machine.clock.ahead_ms for machine in (a, b, c)] == [3_600_500] * 3


async def test_a_node_that_starts_later_begins_with_the_common_time(cluster: Cluster) -> None:
    a = await cluster.add("a", runs=False)
    await a.node.advance_clock(60)
    b = await cluster.add("b", runs=False)
    assert b.clock.ahead_ms == 60_000


async def test_a_node_that_does_not_follow_is_named_and_one_that_died_is_not_waited_for(cluster: Cluster) -> None:
    a, b, c = [await cluster.add(name, runs=False) for name in "abc"]
    await cluster.pass_seconds(2)
    b.store.is_cut = True
    moving = asyncio.ensure_future(a.node.advance_clock(60))
    await cluster.pass_seconds(1)
    assert not moving.done()
    await cluster.pass_seconds(5, without=(b,))
    assert await moving == []  # buried meanwhile
    assert (a.clock.ahead_ms, b.clock.ahead_ms, c.clock.ahead_ms) == (60_000, 0, 60_000)
    b.store.is_cut = False
    await cluster.pass_seconds(2)
    assert b.clock.ahead_ms == 60_000


async def test_the_clock_is_not_moved_beyond_what_can_be_written(cluster: Cluster) -> None:
    a = await cluster.add("a", runs=False)
    with pytest.raises(ClockTooFar):
        await a.node.advance_clock(2_000 * 366 * 24 * 3600)
    assert a.clock.ahead_ms == 0
