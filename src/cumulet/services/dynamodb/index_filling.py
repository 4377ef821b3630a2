"""Putting the items that a table already has into a new global index.

A small table's index is filled in the transaction that makes it. A large one's is filled in the background, a bounded
number of items at a time: from the moment the index is recorded every write keeps its entry, and the filling puts in
what was there before, each item as it finds it. So both may meet the same item in any order.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from itertools import islice

import msgspec

from cumulet.scope import Scope
from cumulet.services.dynamodb.chores import Chore, delete_chore, find_chore, save_chore, scan_chores
from cumulet.services.dynamodb.core.index_diff import Image, make_entry
from cumulet.services.dynamodb.core.item_codec import decode_item
from cumulet.services.dynamodb.tables import TABLES, Index, OpenTable, Table
from cumulet.store.api import ReadTx, Store, WriteTx
from cumulet.store.tuples import after

FILLED_AT_ONCE_MAX = 250
"""Items that one transaction puts into an index: a few milliseconds of the event loop."""

HINT = "dynamodb: index filling"


def begin_filling(tx: WriteTx, table: OpenTable, index: Index) -> bool:
    """Fill a new index of a table; False if that has only begun and goes on in the background."""
    position = _fill(tx, table, index.name, table.prefix)
    if position is None:
        return True
    save_chore(tx, "index", table.scope, _subject(table.record, index), position)
    tx.hint(HINT)
    return False


def stop_filling(tx: WriteTx, scope: Scope, record: Table, index: Index) -> None:
    """Forget the filling of an index that goes."""
    if index.filling:
        delete_chore(tx, "index", scope, _subject(record, index))


async def fill_indexes(store: Store, write: Callable[[Callable[[WriteTx], None]], Awaitable[None]]) -> None:
    """Fill what there is to fill, each step through `write` (a lease's, which fails once another node has the work)."""
    while (chore := await store.read(_find_one)) is not None:
        await write(partial(_go_on, chore=chore))


def _find_one(tx: ReadTx) -> Chore | None:
    return next(scan_chores(tx, "index"), None)


def _go_on(tx: WriteTx, chore: Chore) -> None:
    """Take one step of a filling, from where it is now."""
    current = find_chore(tx, "index", chore.scope, chore.subject)
    if current is None:
        return
    name, table_id, number = chore.subject.split("/")
    record = TABLES.find(tx, chore.scope, name)
    index = _find_index(record, table_id, int(number))
    if record is None or index is None:
        # The table is gone, and another may have its name.
        delete_chore(tx, "index", chore.scope, chore.subject)
        return
    position = _fill(tx, OpenTable(chore.scope, record), index.name, current.position)
    if position is not None:
        save_chore(tx, "index", chore.scope, chore.subject, position)
        return
    delete_chore(tx, "index", chore.scope, chore.subject)
    filled = [msgspec.structs.replace(one, filling=False) if one is index else one for one in record.global_indexes]
    TABLES.save(tx, chore.scope, name, record=msgspec.structs.replace(record, global_indexes=tuple(filled)))


def _find_index(record: Table | None, table_id: str, number: int) -> Index | None:
    if record is None or record.table_id != table_id:
        return None
    return next((index for index in record.global_indexes if index.number == number and index.filling), None)


def _fill(tx: WriteTx, table: OpenTable, name: str, start: bytes) -> bytes | None:
    """Put items into an index, from a key on; return the key to go on from, or None if that was all."""
    index = table.indexes[name]
    pairs = tx.scan(start, after(table.prefix), limit=FILLED_AT_ONCE_MAX + 1)
    entries = []
    for place, stored in islice(pairs, FILLED_AT_ONCE_MAX):
        entry = make_entry(index, place[len(table.prefix) :], Image(decode_item(stored), stored))
        if entry is not None:
            entries.append(entry)
    left = next(pairs, None)
    for entry in entries:
        tx.put(*entry)
    return None if left is None else left[0]


def _subject(record: Table, index: Index) -> str:
    return f"{record.name}/{record.table_id}/{index.number}"
