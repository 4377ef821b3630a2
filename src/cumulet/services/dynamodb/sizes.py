"""How many items a table has, and how many bytes: counted, by who asks.

AWS brings these figures up to date about every six hours. Here up to 1,000 items are counted for whatever describes a
table. What is larger is counted by DescribeTable, a page at a time so that nobody else waits, and kept: above 10,000
items for six hours, too. Nothing is counted that nobody asks about, and no write pays for it. Indexes have figures of
their own.

An estimate from the share of hashes that the first items cover costs less and was here before. Where many items have
one partition key it is off by any factor.
"""

import asyncio
from functools import partial
from typing import NamedTuple

import msgspec

from cumulet.services.dynamodb.core.item_codec import stored_bytes
from cumulet.services.dynamodb.core.limits import COUNTED_FRESH_MAX, COUNTED_KEPT_MS, COUNTED_PAGE
from cumulet.services.dynamodb.core.vectors import FLOAT_BYTES
from cumulet.services.dynamodb.tables import OpenTable, Table, find_table
from cumulet.services.kit import Call
from cumulet.store.api import ReadTx, Store, WriteTx
from cumulet.store.keyspace import DDB_INDEX_ENTRY, DDB_ITEM, DDB_SIZE, DDB_VECTOR
from cumulet.store.records import Records


class Size(msgspec.Struct, frozen=True, array_like=True):
    """How much lies in a table or in one of its indexes."""

    items: int
    size_bytes: int
    counted_ms: int = 0


SIZES = Records(DDB_SIZE, Size)

ITEMS = 0
"""The number that stands for the table itself; indexes have theirs from 1 on."""


class _Subject(NamedTuple):
    """A table, or one of its indexes."""

    name: str
    table_id: str
    number: int


class _Page(NamedTuple):
    items: int
    size_bytes: int
    behind: bytes | None
    """Where the next page begins; None at the end."""


def measure(tx: ReadTx, table: OpenTable, number: int = ITEMS) -> Size:
    """Return how much lies in a table or an index: as DescribeTable last counted it, exact for a little.

    What nobody has counted yet has at least as much as is returned.
    """
    kept = SIZES.find(tx, table.scope, table.record.table_id, number)
    if kept is not None:
        return kept
    page = _count(tx, table, number, None)
    return Size(page.items, page.size_bytes)


async def refresh_sizes(store: Store, call: Call, name: str) -> None:
    """Count what is larger than `measure` counts and was not counted lately, or has become small."""
    for subject in await store.read(partial(_subjects, call, name)):
        is_large, is_stale = await store.read(partial(_look, call, subject))
        if is_stale:
            await _recount(store, call, subject)
        if is_large:
            await asyncio.sleep(0)  # reading may have waited for nothing, and others are to have their turn


async def _recount(store: Store, call: Call, subject: _Subject) -> None:
    items = size = 0
    position: bytes | None = None
    while (page := await store.read(partial(_count_page, call, subject, position))) is not None:
        items, size, position = items + page.items, size + page.size_bytes, page.behind
        if position is None:
            await store.write(partial(_save, call, subject, Size(items, size, call.now_ms)))
            return
        await asyncio.sleep(0)


def _subjects(call: Call, name: str, tx: ReadTx) -> list[_Subject]:
    table = find_table(tx, call, name)
    if table is None:
        return []
    return [_Subject(name, table.record.table_id, number) for number in _numbers(table.record)]


def _numbers(record: Table) -> list[int]:
    """Return what of a table can be counted. What is DELETING has lost its count, and is not to get another one."""
    if record.gone_ms:
        return []
    indexes = [one.number for one in (*record.local_indexes, *record.global_indexes) if not one.gone_ms]
    return [ITEMS, *indexes, *(one.number for one in record.vector_indexes)]


def _look(call: Call, subject: _Subject, tx: ReadTx) -> tuple[bool, bool]:
    """Return whether there is more than a page, and whether it has to be counted."""
    page = _count_page(call, subject, None, tx)
    is_large = page is not None and page.behind is not None
    kept = SIZES.find(tx, call.scope, subject.table_id, subject.number)
    if kept is None:
        return is_large, is_large
    is_fresh = kept.items > COUNTED_FRESH_MAX and call.now_ms - kept.counted_ms < COUNTED_KEPT_MS
    return is_large, not (is_fresh and is_large)


def _count_page(call: Call, subject: _Subject, position: bytes | None, tx: ReadTx) -> _Page | None:
    table = _find(call, subject, tx)
    return None if table is None else _count(tx, table, subject.number, position)


def _find(call: Call, subject: _Subject, tx: ReadTx) -> OpenTable | None:
    """Return the table, or None once it or its index is gone, though another may have the name."""
    table = find_table(tx, call, subject.name)
    if table is None or table.record.table_id != subject.table_id or subject.number not in _numbers(table.record):
        return None
    return table


def _save(call: Call, subject: _Subject, size: Size, tx: WriteTx) -> None:
    if _find(call, subject, tx) is None:
        return
    kept = SIZES.find(tx, call.scope, subject.table_id, subject.number)
    is_same = kept is not None and (kept.items, kept.size_bytes) == (size.items, size.size_bytes)
    if is_same and size.items <= COUNTED_FRESH_MAX:
        return  # whoever polls a table of some thousand items is not to make the disk work
    if size.items > COUNTED_PAGE:
        SIZES.save(tx, call.scope, subject.table_id, subject.number, record=size)
    else:
        SIZES.delete(tx, call.scope, subject.table_id, subject.number)


def _count(tx: ReadTx, table: OpenTable, number: int, position: bytes | None) -> _Page:
    """Count the next entries, up to a page of them."""
    vector_index = next((index for index in table.record.vector_indexes if index.number == number), None)
    if number == ITEMS:
        start, end = DDB_ITEM.range(table.scope, table.record.table_id)
    else:
        family = DDB_INDEX_ENTRY if vector_index is None else DDB_VECTOR
        start, end = family.range(table.scope, table.record.table_id, number)
    count = size = 0
    for key, stored in tx.scan(position or start, end, limit=COUNTED_PAGE + 1):
        if count == COUNTED_PAGE:
            return _Page(count, size, key)
        count += 1
        size += stored_bytes(stored) if vector_index is None else FLOAT_BYTES * vector_index.dimensions
    return _Page(count, size, None)
