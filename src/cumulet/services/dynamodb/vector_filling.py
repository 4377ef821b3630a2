"""Putting the vectors that a table already has into a new vector index.

As with a global index: a small table's index is filled in the transaction that makes it, a large one's in the
background, a bounded number of items at a time, while every write keeps its own entry. What has no vector of the
index's dimensions is passed over.
"""

from functools import partial
from itertools import islice

import msgspec

from cumulet.scope import Scope
from cumulet.services.dynamodb.chores import Chore, delete_chore, find_chore, save_chore, scan_chores
from cumulet.services.dynamodb.core.item_codec import decode_item
from cumulet.services.dynamodb.core.vectors import VectorIndex, VectorKeys, make_vector_entry
from cumulet.services.dynamodb.index_filling import FILLED_AT_ONCE_MAX
from cumulet.services.dynamodb.tables import TABLES, OpenTable, Table
from cumulet.store.api import ReadTx, Store, WriteTx
from cumulet.store.leases import Lease
from cumulet.store.tuples import after

VECTOR_FILLING_TOPIC = "dynamodb-vector-filling"


def begin_vector_filling(tx: WriteTx, table: OpenTable, index: VectorIndex) -> bool:
    """Fill a new index of a table; False if that has only begun and goes on in the background."""
    position = _fill(tx, table, _keys(table, index), table.prefix)
    if position is None:
        return True
    save_chore(tx, "vector index", table.scope, _subject(table.record, index), position)
    tx.hint(VECTOR_FILLING_TOPIC)
    return False


def stop_vector_filling(tx: WriteTx, scope: Scope, record: Table, index: VectorIndex) -> None:
    """Forget the filling of an index that goes."""
    if index.filling:
        delete_chore(tx, "vector index", scope, _subject(record, index))


async def fill_vector_indexes(store: Store, lease: Lease) -> None:
    """Fill what there is to fill, step by step."""
    while (chore := await store.read(_find_one)) is not None:
        await lease.write(partial(_go_on, chore=chore))


def _find_one(tx: ReadTx) -> Chore | None:
    return next(scan_chores(tx, "vector index"), None)


def _go_on(tx: WriteTx, chore: Chore) -> None:
    current = find_chore(tx, "vector index", chore.scope, chore.subject)
    if current is None:
        return
    name, table_id, number = chore.subject.split("/")
    record = TABLES.find(tx, chore.scope, name)
    indexes = () if record is None or record.table_id != table_id else record.vector_indexes
    index = next((one for one in indexes if one.number == int(number) and one.filling), None)
    if record is None or index is None:
        delete_chore(tx, "vector index", chore.scope, chore.subject)
        return
    table = OpenTable(chore.scope, record)
    position = _fill(tx, table, _keys(table, index), current.position)
    if position is not None:
        save_chore(tx, "vector index", chore.scope, chore.subject, position)
        return
    delete_chore(tx, "vector index", chore.scope, chore.subject)
    filled = [msgspec.structs.replace(one, filling=False) if one is index else one for one in indexes]
    TABLES.save(tx, chore.scope, name, record=msgspec.structs.replace(record, vector_indexes=tuple(filled)))


def _fill(tx: WriteTx, table: OpenTable, keys: VectorKeys, start: bytes) -> bytes | None:
    """Put vectors into an index, from a key on; return the key to go on from, or None if that was all."""
    pairs = tx.scan(start, after(table.prefix), limit=FILLED_AT_ONCE_MAX + 1)
    entries = [
        make_vector_entry(keys, place[len(table.prefix) :], decode_item(stored))
        for place, stored in islice(pairs, FILLED_AT_ONCE_MAX)
    ]
    left = next(pairs, None)
    for entry in entries:
        if entry is not None:
            tx.put(*entry)
    return None if left is None else left[0]


def _keys(table: OpenTable, index: VectorIndex) -> VectorKeys:
    return next(keys for keys in table.vectors if keys.index.number == index.number)


def _subject(record: Table, index: VectorIndex) -> str:
    return f"{record.name}/{record.table_id}/{index.number}"
