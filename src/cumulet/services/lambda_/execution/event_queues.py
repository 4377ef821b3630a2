"""Where events lie until they are done: each function has a queue of its own, in the order in which they are due."""

from collections.abc import Collection, Iterator
from typing import NamedTuple, TypeAlias

from cumulet.scope import SYSTEM
from cumulet.services.lambda_ import limits
from cumulet.services.lambda_.execution.event_shares import choose
from cumulet.services.lambda_.records import EVENTS, EVENTS_BY_TIME, EventRecord
from cumulet.store.api import ReadTx, WriteTx

Owner: TypeAlias = tuple[str, str, str]
"""A function, by its account, region and name."""


class Place(NamedTuple):
    """Where an event lies."""

    owner: Owner
    key: bytes
    is_large: bool
    """Whether it is better stepped over than read."""

    @classmethod
    def of(cls, event: EventRecord) -> "Place":
        """Return the place of an event."""
        owner = _owner(event)
        key = EVENTS.family.key(SYSTEM, *owner, event.due_ms, event.request_id)
        return cls(owner, key, len(event.payload) > limits.EVENT_PAYLOAD_LARGE_BYTES)


class Round(NamedTuple):
    """How far all functions have been gone through, in a ring, in search of what may begin."""

    behind: Owner | None = None
    """The last function that had its turn."""
    until: Owner | None = None
    """With which it ends; None: with the last of all."""
    next_ms: int | None = None
    """When the first that is not due yet will be, of those that were seen."""

    def afresh(self) -> "Round":
        """Return a round of its own that begins where this one is."""
        return Round(self.behind, self.behind)


class Found(NamedTuple):
    """What one look into the queues has found."""

    due: list[EventRecord]
    """What is to begin."""
    pause_s: float
    """After which to look again."""
    rest: Round
    """How the search goes on then."""
    is_whole: bool
    """Whether there was not too much for one look."""


def save(tx: WriteTx, event: EventRecord) -> None:
    """Put an event into its function's queue."""
    EVENTS.save(tx, SYSTEM, *_owner(event), event.due_ms, event.request_id, record=event)


def remove(tx: WriteTx, event: EventRecord) -> None:
    """Take an event out of its function's queue."""
    EVENTS.delete(tx, SYSTEM, *_owner(event), event.due_ms, event.request_id)


def look(tx: ReadTx, now_ms: int, under_way: Collection[Place], course: Round) -> Found:
    """Return what is to begin of the functions that a round still has before it.

    It ends early when whatever is free has been taken by functions that had nothing under way: nobody comes before
    those. The next begins behind the last that got a place, so that all have their turn, be they more than places.
    """
    free = limits.EVENTS_AT_A_TIME - len(under_way)
    if free <= 0:
        return Found([], limits.EVENTS_LOOK_S, course, is_whole=True)
    left = limits.EVENTS_LOOKED_BYTES
    far_ms = now_ms + int(limits.EVENTS_LOOK_S * 1000)
    next_ms = far_ms if course.next_ms is None else course.next_ms

    def due(queue: Owner) -> Iterator[EventRecord]:
        nonlocal next_ms
        for event in _waiting(tx, queue, places.get(queue, ())):
            if event.due_ms > now_ms:
                next_ms = min(next_ms, event.due_ms)
                return
            yield event

    places: dict[Owner, list[Place]] = {}
    for place in under_way:
        places.setdefault(place.owner, []).append(place)
    queues: dict[Owner, Iterator[EventRecord]] = {}
    behind, idle, is_part = course.behind, 0, False
    for seen, (owner, first_ms, size) in enumerate(_owners(tx, course)):
        if left <= 0 or seen >= limits.EVENTS_FUNCTIONS_LOOKED_AT:
            is_part = True
            break
        left -= size
        behind = owner
        if first_ms > now_ms:
            next_ms = min(next_ms, first_ms)
        else:
            queues[owner] = due(owner)
            idle += owner not in places
        if idle >= free:
            next_ms = far_ms  # before that nothing begins unless something ends
            break
    begun = []
    counts = {owner: len(found) for owner, found in places.items()}
    for event in choose(queues, counts, limits.EVENTS_AT_A_TIME):
        begun.append(event)
        left -= len(event.payload)
        if left <= 0:
            is_part = True
            break
    rest = Round(behind, course.until, next_ms)
    if begun:
        rest = Round(_owner(begun[-1])).afresh()
    if is_part:
        return Found(begun, limits.EVENTS_SEARCH_S, rest, is_whole=False)
    return Found(begun, max(next_ms - now_ms, 0) / 1000, rest.afresh(), is_whole=True)


def _owner(event: EventRecord) -> Owner:
    return event.account, event.region, event.function_name


def _owners(tx: ReadTx, course: Round) -> Iterator[tuple[Owner, int, int]]:
    """Yield the functions that a round has before it: when their first event is due, and how much was read."""
    family = EVENTS.family
    start, end = family.range(SYSTEM)
    at = family.range(SYSTEM, *course.behind)[1] if course.behind else start
    stop = family.range(SYSTEM, *course.until)[1] if course.until else start
    for first, last in [(at, stop)] if at < stop else [(at, end), (start, stop)]:
        while (found := next(iter(tx.scan(first, last, limit=1)), None)) is not None:
            account, region, name, due_ms, _ = family.parts_of(found[0])
            yield (account, region, name), due_ms, len(found[1])
            first = family.range(SYSTEM, account, region, name)[1]


def _waiting(tx: ReadTx, owner: Owner, under_way: Collection[Place]) -> Iterator[EventRecord]:
    """Yield the events of a function that are not under way, in the order in which they are due."""
    begun = {place.key for place in under_way}
    start, end = EVENTS.family.range(SYSTEM, *owner)
    for stop in [*sorted(place.key for place in under_way if place.is_large), end]:
        for key, value in tx.scan(start, stop):
            if key not in begun:
                yield EVENTS.decode(value)
        start = stop + b"\x00"


def are_unsorted(tx: ReadTx) -> bool:
    """Tell whether there are events of versions that had one queue for all."""
    return next(EVENTS_BY_TIME.scan(tx, SYSTEM, limit=1), None) is not None


def sort_some(tx: WriteTx) -> bool:
    """Put some of them into the queues of their functions, and tell whether there were any."""
    found = list(EVENTS_BY_TIME.scan(tx, SYSTEM, limit=limits.EVENTS_SORTED_AT_ONCE))
    for event in found:
        EVENTS_BY_TIME.delete(tx, SYSTEM, event.due_ms, event.request_id)
        save(tx, event)
    return bool(found)
