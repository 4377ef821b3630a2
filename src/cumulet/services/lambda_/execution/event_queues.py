"""Where events lie until they are done: each function has a queue of its own, in the order in which they are due."""

from collections import Counter
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


class Found(NamedTuple):
    """What one look into the queues has found."""

    due: list[EventRecord]
    """What is to begin."""
    pause_s: float
    """After which to look again."""
    behind: Owner | None
    """The last function that was looked at, if there are more."""


def save(tx: WriteTx, event: EventRecord) -> None:
    """Put an event into its function's queue."""
    EVENTS.save(tx, SYSTEM, *_owner(event), event.due_ms, event.request_id, record=event)


def remove(tx: WriteTx, event: EventRecord) -> None:
    """Take an event out of its function's queue."""
    EVENTS.delete(tx, SYSTEM, *_owner(event), event.due_ms, event.request_id)


def look(tx: ReadTx, now_ms: int, under_way: Collection[Place], behind: Owner | None) -> Found:
    """Return what is to begin of the functions behind one.

    They are gone through in a ring, since of one look there is a limit to how many functions it sees, and how much it
    reads: the next goes on from there.
    """
    left = limits.EVENTS_LOOKED_BYTES
    next_ms = now_ms + int(limits.EVENTS_LOOK_S * 1000)

    def due(owner: Owner) -> Iterator[EventRecord]:
        nonlocal next_ms
        for event in _waiting(tx, owner, under_way):
            if event.due_ms > now_ms:
                next_ms = min(next_ms, event.due_ms)
                return
            yield event

    queues: dict[Owner, Iterator[EventRecord]] = {}
    last: Owner | None = None
    for owner, size in _owners(tx, behind):
        queues[owner] = due(owner)
        left -= size
        if left <= 0 or len(queues) >= limits.EVENTS_FUNCTIONS_LOOKED_AT:
            last = owner
            break
    begun = []
    for event in choose(queues, Counter(place.owner for place in under_way), limits.EVENTS_AT_A_TIME):
        begun.append(event)
        left -= len(event.payload)
        if left <= 0:
            break
    is_part = left <= 0 or behind is not None or last is not None
    return Found(begun, limits.EVENTS_SEARCH_S if is_part else (next_ms - now_ms) / 1000, last)


def _owner(event: EventRecord) -> Owner:
    return event.account, event.region, event.function_name


def _owners(tx: ReadTx, behind: Owner | None) -> Iterator[tuple[Owner, int]]:
    """Yield the functions that have events, and how much was read to find each."""
    family = EVENTS.family
    start, end = family.range(SYSTEM)
    if behind is not None:
        start = family.range(SYSTEM, *behind)[1]
    while (first := next(iter(tx.scan(start, end, limit=1)), None)) is not None:
        account, region, name, *_ = family.parts_of(first[0])
        yield (account, region, name), len(first[1])
        start = family.range(SYSTEM, account, region, name)[1]


def _waiting(tx: ReadTx, owner: Owner, under_way: Collection[Place]) -> Iterator[EventRecord]:
    """Yield the events of a function that are not under way, in the order in which they are due."""
    begun = {place.key for place in under_way if place.owner == owner}
    start, end = EVENTS.family.range(SYSTEM, *owner)
    for stop in [*sorted(place.key for place in under_way if place.is_large and place.owner == owner), end]:
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
