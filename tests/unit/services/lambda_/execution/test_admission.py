"""Counting what runs: by pool, up to a limit, in one process and in several together."""

import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cumulet.clock import SystemClock
from cumulet.errors import ServiceError
from cumulet.ids import RandomIds
from cumulet.nodes import Node
from cumulet.scope import SYSTEM, Scope
from cumulet.services.kit import Ground
from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.execution.admission import Admission, Pool
from cumulet.services.lambda_.execution.standing import Standing
from cumulet.services.lambda_.records import RESERVED, SHARES, SHARES_WANTED, Reserved, Shares
from cumulet.settings import Settings
from cumulet.store.api import StoreError
from cumulet.store.leases import LeaseLost
from cumulet.store.memory import MemoryStore
from cumulet.store.nodes import NODES
from cumulet.workers import Workers
from harness import make_node

SCOPE = Scope("123456789012", "eu-west-1")
NOTES, OTHER, ACCOUNT = Pool(SCOPE, "notes"), Pool(SCOPE, "other"), Pool(SCOPE, "")


class Process:
    """One process that runs functions."""

    def __init__(self, store: MemoryStore, name: str) -> None:
        clock = SystemClock()
        self.store = store
        self.node: Node = make_node(store, clock, name)
        self.workers = Workers(store, clock, self.node)
        no_operations: Any = None
        ground = Ground(store, clock, RandomIds(), Settings(data_dir=Path("nowhere")), no_operations, self.workers)
        self.standing = Standing(ground)
        self.admission = Admission(ground, self.standing)

    async def start(self) -> None:
        await self.node.start()
        await self.workers.start()

    async def stop(self) -> None:
        await self.admission.stop()
        await self.standing.stop()
        await self.workers.stop()
        await self.node.leave()

    async def die(self) -> None:
        """Be as dead as others can see."""
        await self.store.write(lambda tx: NODES.delete(tx, SYSTEM, self.node.node_id))

    async def enter(self, pool: Pool = NOTES, limit: int | None = 1) -> bool:
        return await self.admission.try_enter(pool, limit, limits.LEND_WAIT_S)

    def leave(self, pool: Pool = NOTES) -> None:
        self.admission.leave(pool)


@pytest.fixture
async def alone() -> AsyncIterator[Process]:
    process = Process(MemoryStore(), "one")
    yield process
    await process.stop()


@pytest.fixture
async def two() -> AsyncIterator[tuple[Process, Process]]:
    store = MemoryStore(is_shared=True)
    processes = (Process(store, "one"), Process(store, "two"))
    for process in processes:
        await process.start()
    yield processes
    for process in processes:
        await process.stop()


async def shares(process: Process, pool: Pool = NOTES) -> Shares:
    return await process.store.read(lambda tx: SHARES.find(tx, *pool) or Shares())


async def test_pools_are_counted_apart(alone: Process) -> None:
    for pool in (NOTES, NOTES, OTHER):
        await alone.admission.enter(pool, 2, "why")
    assert alone.admission.total() == 3
    with pytest.raises(ServiceError) as caught:
        await alone.admission.enter(NOTES, 2, "why")
    assert (caught.value.code, caught.value.fields["Reason"]) == ("TooManyRequestsException", "why")
    alone.leave(NOTES)
    await alone.admission.enter(NOTES, 2, "why")
    for pool in (NOTES, NOTES, OTHER):
        alone.leave(pool)
    assert alone.admission.total() == 0


async def test_a_reservation_of_none_lets_nobody_in(alone: Process) -> None:
    with pytest.raises(ServiceError, match=r"Rate Exceeded\."):
        await alone.admission.enter(NOTES, 0, "why")
    assert alone.admission.total() == 0


async def test_who_has_the_store_alone_writes_nothing(alone: Process) -> None:
    assert await alone.enter(NOTES, 5)
    assert await alone.enter(ACCOUNT, None)
    assert await shares(alone) == Shares()


async def test_a_limit_holds_for_all_processes_together(two: tuple[Process, Process]) -> None:
    one, other = two
    assert await one.enter()
    assert not await other.enter()
    one.leave()
    assert await other.enter()
    assert not await one.enter()


@pytest.mark.slow
async def test_a_share_is_taken_once_and_lent_when_it_is_wanted(two: tuple[Process, Process]) -> None:
    one, other = two
    for _ in range(3):
        assert await one.enter(limit=16)
    assert list((await shares(one)).holdings.values()) == [4]
    for _ in range(3):
        one.leave()
    taken = [await other.enter(limit=16) for _ in range(17)]
    assert taken == [True] * 16 + [False]
    assert not await one.enter(limit=16)


async def test_many_at_once_are_never_more_than_the_limit(two: tuple[Process, Process]) -> None:
    running, most, ran = 0, 0, 0

    async def work(process: Process) -> None:
        nonlocal running, most, ran
        if not await process.enter(limit=3):
            return
        running, ran = running + 1, ran + 1
        most = max(most, running)
        await asyncio.sleep(0.002)
        running -= 1
        process.leave()

    for _ in range(10):
        await asyncio.gather(*(work(process) for process in two for _ in range(4)))
    assert most <= 3
    assert ran >= 30


async def test_the_share_of_the_dead_is_free(two: tuple[Process, Process]) -> None:
    one, other = two
    assert await one.enter()
    await one.die()
    assert await other.enter()


async def test_who_was_silent_has_its_slot_again_with_its_next_beat(two: tuple[Process, Process]) -> None:
    one, _ = two
    lease, beat_s = await one.standing.take(), one.node._beat_s
    one.node._beat_s = -math.inf  # as after a machine's sleep
    async with asyncio.timeout(5):
        with pytest.raises(LeaseLost):
            await one.standing.take()
        assert not await one.admission.try_enter(NOTES, 1)
    one.node._beat_s = beat_s
    assert await one.standing.take() is lease
    assert await one.enter()


async def test_who_has_lost_its_slot_has_lost_its_share(two: tuple[Process, Process]) -> None:
    one, other = two
    assert await one.enter()
    one.leave()
    lease = one.standing.lease
    assert lease is not None
    lease.end()
    assert await other.enter()
    assert not await one.enter()
    other.leave()
    assert await one.enter()


async def test_a_lowered_limit_is_told_to_those_who_have_shares(two: tuple[Process, Process]) -> None:
    one, other = two
    for _ in range(8):
        assert await one.enter(limit=8)
    for _ in range(6):
        one.leave()

    def want(tx: Any) -> None:
        found = SHARES.find(tx, *NOTES)
        SHARES.save(tx, *NOTES, record=Shares(holdings=found.holdings, wanted=True))
        tx.hint(SHARES_WANTED)

    await one.store.write(want)
    assert await other.enter(limit=3)
    assert not await other.enter(limit=3)


async def test_the_account_has_what_reservations_leave(two: tuple[Process, Process]) -> None:
    one, other = two
    await one.store.write(lambda tx: RESERVED.save(tx, SCOPE, record=Reserved(total=998)))
    assert await one.enter(ACCOUNT, None)
    assert await other.enter(ACCOUNT, None)
    assert not await one.admission.try_enter(ACCOUNT, None)


async def test_what_could_not_be_given_back_is_given_back_later(two: tuple[Process, Process], monkeypatch: Any) -> None:
    one, other = two
    assert await one.enter(limit=16)
    one.leave()
    [count] = one.admission._counts.values()
    lease = count.under
    assert lease is not None

    async def fail(body: Any) -> Any:
        raise StoreError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(lease, "write", fail)
        with pytest.raises(StoreError):
            await one.admission._give_back(count)
    assert count.held == 2
    await one.admission._give_back(count)
    assert (await shares(other)).holdings == {}
