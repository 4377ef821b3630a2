"""What is left of what was deleted: records under an id, or an index's number, that nothing will ever name again.

To remove 20,000 items in one transaction takes a third of a second, in which nobody else is served. So a deletion
removes what one step does, which for most is all, and leaves the rest to a loop, with a line for each range among the
chores. The name is free at once, since whatever is made anew lies under an id of its own: tables and streams, but also
a table's next log of changes and its next index of expiring items.
"""

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

from cumulet.scope import Scope
from cumulet.services.dynamodb.chores import Chore, delete_chore, save_chore, scan_chores
from cumulet.services.dynamodb.core.limits import ERASED_STEP_BYTES_MAX, ERASED_STEP_RECORDS_MAX
from cumulet.store.api import ReadTx, Store, WriteTx
from cumulet.store.keyspace import FAMILIES, Family
from cumulet.store.leases import Lease
from cumulet.store.tuples import Element

REMAINS_TOPIC = "dynamodb-remains"
"""Hints that there is something left to remove."""

Remains = tuple[Family, tuple[Element, ...]]
"""All records of a family whose keys begin with these parts."""


class Step(NamedTuple):
    """What one step came to."""

    records: int
    is_last: bool


def erase(tx: WriteTx, scope: Scope, ranges: Iterable[Remains]) -> None:
    """Remove these ranges, to which nothing is added any more: a step's worth now, the rest in the background."""
    left = ERASED_STEP_RECORDS_MAX
    for family, parts in ranges:
        step = erase_step(tx, *family.range(scope, *parts), left)
        left -= step.records
        if not step.is_last:
            save_chore(tx, "remains", scope, "/".join([str(family.number), *map(str, parts)]))
            tx.hint(REMAINS_TOPIC)


async def erase_remains(store: Store, lease: Lease) -> None:
    """Remove all that is left of what was deleted, step by step."""
    while (chore := await store.read(_find_one)) is not None:
        await lease.write(partial(_go_on, chore=chore))


def _find_one(tx: ReadTx) -> Chore | None:
    return next(scan_chores(tx, "remains"), None)


def _go_on(tx: WriteTx, chore: Chore) -> None:
    number, subject_id, *numbers = chore.subject.split("/")
    start_end = FAMILIES[int(number)].range(chore.scope, subject_id, *map(int, numbers))
    if erase_step(tx, *start_end).is_last:
        delete_chore(tx, "remains", chore.scope, chore.subject)


def erase_step(tx: WriteTx, start: bytes, end: bytes, limit: int = ERASED_STEP_RECORDS_MAX) -> Step:
    """Remove the first records of a range, up to a number and a size."""
    count = size = 0
    for key, value in tx.scan(start, end, limit=limit + 1):
        if count == limit or size >= ERASED_STEP_BYTES_MAX:
            tx.delete_range(start, key)
            return Step(count, is_last=False)
        count += 1
        size += len(value)
    if count:
        tx.delete_range(start, end)
    return Step(count, is_last=True)
