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
from cumulet.services.dynamodb.tables import OpenTable, find_table
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


class _Page(NamedTuple):
    items: int
    size_bytes: int
    behind: bytes | None
    """Where the next page begins; None at the end."""


def measure(tx: ReadTx, table: OpenTable, number: int = ITEMS) -> Size:
    """Return how much lies in a table or an index: exact for a little, as DescribeTable last counted for more.

    What nobody has counted yet has at least as much as is returned.
    """
    page = _count(tx, table, number, None)
    if page.behind is not None:
        kept = SIZES.find(tx, table.scope, table.record.table_id, number)
        if kept is not None:
            return kept
    return Size(page.items, page.size_bytes)


async def refresh_sizes(store: Store, call: Call, name: str) -> None:
    """Count what is larger than `measure` counts and was not counted lately."""
    for number in await store.read(partial(_find_stale, call, name)):
        items = size = 0
        position: bytes | None = None
        while (page := await store.read(partial(_count_page, call, name, number, position))) is not None:
            items, size, position = items + page.items, size + page.size_bytes, page.behind
            if position is None:
                await store.write(partial(_save, call, name, number, Size(items, size, call.now_ms)))
                break
            await asyncio.sleep(0)


def _find_stale(call: Call, name: str, tx: ReadTx) -> list[int]:
    table = find_table(tx, call, name)
    if table is None:
        return []
    record = table.record
    indexes = [one.number for one in (*record.local_indexes, *record.global_indexes)]
    numbers = [ITEMS, *indexes, *(one.number for one in record.vector_indexes)]
    return [number for number in numbers if _is_stale(call, tx, table, number)]


def _is_stale(call: Call, tx: ReadTx, table: OpenTable, number: int) -> bool:
    kept = SIZES.find(tx, table.scope, table.record.table_id, number)
    if kept is not None and kept.items > COUNTED_FRESH_MAX and call.now_ms - kept.counted_ms < COUNTED_KEPT_MS:
        return False
    return _count(tx, table, number, None).behind is not None


def _count_page(call: Call, name: str, number: int, position: bytes | None, tx: ReadTx) -> _Page | None:
    table = find_table(tx, call, name)
    return None if table is None else _count(tx, table, number, position)


def _save(call: Call, name: str, number: int, size: Size, tx: WriteTx) -> None:
    table = find_table(tx, call, name)
    if table is not None:
        SIZES.save(tx, table.scope, table.record.table_id, number, record=size)


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
