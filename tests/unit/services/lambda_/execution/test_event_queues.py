"""Looks into the queues: every function has its turn, whatever one look sees, and none sees more than it needs."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from cumulet.services.lambda_ import limits
from cumulet.services.lambda_.execution.event_queues import Found, Place, Round, look, remove, save
from cumulet.services.lambda_.records import EventRecord
from cumulet.store.api import ReadTx
from cumulet.store.memory import MemoryStore

NOW_MS = 1_000_000
NAMES = "abcdefgh"


def event(name: str, number: int, due_ms: int = NOW_MS) -> EventRecord:
    return EventRecord(
        account="000000000000",
        region="us-east-1",
        function_name=name,
        qualifier=None,
        request_id=f"{name}-{number}",
        payload=b"{}",
        accepted_ms=due_ms,
        due_ms=due_ms,
    )


async def accept(store: MemoryStore, *events: EventRecord) -> None:
    await store.write(lambda tx: [save(tx, one) for one in events])


class Counted:
    """A transaction that counts how often something is looked for."""

    def __init__(self, tx: ReadTx) -> None:
        self.tx = tx
        self.scans = 0

    def scan(self, *place: Any, **more: Any) -> Iterator[tuple[bytes, bytes]]:
        self.scans += 1
        yield from self.tx.scan(*place, **more)


@pytest.mark.parametrize("looked_at", [100, 3, 1])
async def test_more_functions_than_places_all_have_their_turn(looked_at: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(limits, "EVENTS_AT_A_TIME", 3)
    monkeypatch.setattr(limits, "EVENTS_FUNCTIONS_LOOKED_AT", looked_at)
    store = MemoryStore()
    await accept(store, *[event(name, number) for name in NAMES for number in range(10)])
    under_way: dict[Place, EventRecord] = {}
    ran: Counter[str] = Counter()
    course = Round()
    for _ in range(60):
        found: Found = await store.read(lambda tx, under=list(under_way), at=course: look(tx, NOW_MS, under, at))
        course = found.rest
        for begun in found.due:
            under_way[Place.of(begun)] = begun
        assert len(under_way) <= 3
        if under_way:  # the one that began first ends
            done = under_way.pop(next(iter(under_way)))
            await store.write(lambda tx, done=done: remove(tx, done))
            ran[done.function_name] += 1
    assert set(ran) == set(NAMES)
    assert max(ran.values()) <= min(ran.values()) + 2


@pytest.mark.parametrize(("looked_at", "looks"), [(3, 3), (4, 2), (8, 1), (9, 1)])
async def test_what_is_not_due_is_waited_for_once_all_has_been_looked_at(
    looked_at: int, looks: int, monkeypatch: Any
) -> None:
    monkeypatch.setattr(limits, "EVENTS_FUNCTIONS_LOOKED_AT", looked_at)
    store = MemoryStore()
    await accept(store, *[event(name, 1, NOW_MS + 4000 - at * 100) for at, name in enumerate(NAMES[::-1])])
    course, pauses = Round(), []
    for _ in range(2 * looks):
        found: Found = await store.read(lambda tx, at=course: look(tx, NOW_MS, [], at))
        course = found.rest
        pauses.append((found.pause_s, found.is_whole))
    part = (limits.EVENTS_SEARCH_S, False)
    assert pauses == [*[part] * (looks - 1), (3.3, True)] * 2


async def test_no_more_is_looked_at_than_can_begin(monkeypatch: Any) -> None:
    monkeypatch.setattr(limits, "EVENTS_AT_A_TIME", 2)
    store = MemoryStore()
    await accept(store, *[event(name, 1) for name in NAMES])

    def count(tx: ReadTx, *under_way: EventRecord) -> tuple[int, list[str]]:
        counted: Any = Counted(tx)
        found = look(counted, NOW_MS, [Place.of(one) for one in under_way], Round())
        return counted.scans, [one.function_name for one in found.due]

    assert await store.read(lambda tx: count(tx, event("a", 1), event("b", 1))) == (0, [])
    scans, begun = await store.read(lambda tx: count(tx, event("a", 1)))
    assert begun == ["b"]
    assert scans < len(NAMES)
