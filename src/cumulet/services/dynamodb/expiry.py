"""Expiry (TTL): which items expire when, and how they go.

The index of expiring items is written in the item's own transaction; a sweep deletes what is due, a few seconds at the
latest after its time (AWS: within days). Until then an expired item is an item like any other, as on AWS.

Source: "Using time to live (TTL) in DynamoDB", developer guide. A TTL attribute that is no number is passed over, and
so is a time more than five years ago.
"""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from cumulet.scope import Scope
from cumulet.services.dynamodb.chores import delete_chore, find_chore, save_chore
from cumulet.services.dynamodb.core.index_diff import Image
from cumulet.services.dynamodb.core.item_codec import decode_item
from cumulet.services.dynamodb.core.limits import (
    EXPIRED_STEP_ITEMS_MAX,
    EXPIRY_S_MAX,
    EXPIRY_STEP_ITEMS_MAX,
    EXPIRY_YEARS_S,
)
from cumulet.services.dynamodb.core.values import Value
from cumulet.services.dynamodb.remains import erase
from cumulet.services.dynamodb.tables import OpenTable, Table, find_table
from cumulet.services.kit import Call
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import DDB_EXPIRING
from cumulet.store.tuples import after, pack

INDEXED = b"\xff"
"""The position of a table whose items are all in the index."""


def expires_s(item: Mapping[str, Value], attribute: str) -> int | None:
    """Return the epoch second at which an item expires; None for never."""
    text = item.get(attribute, {}).get("N")
    if text is None:
        return None
    number = Decimal(text)
    return int(number) if 0 <= number <= EXPIRY_S_MAX else None


def index_expiry(
    tx: WriteTx, table: OpenTable, attribute: str, place: bytes, before: Image | None, after: Image | None
) -> None:
    """Keep the index of expiring items as the item has it."""
    old = None if before is None else expires_s(before.item, attribute)
    new = None if after is None else expires_s(after.item, attribute)
    if old == new:
        return
    if old is not None:
        tx.delete(_key(table, old, place))
    if new is not None:
        tx.put(_key(table, new, place), b"")


def with_expiry(tx: WriteTx, scope: Scope, record: Table, attribute: str) -> Table:
    """Return the record of a table whose items expire from now on.

    The items that it has are put into the index a step at a time, the first one right here.
    """
    changed = msgspec.structs.replace(record, expiry_attribute=attribute)
    index_step(tx, OpenTable(scope, changed), b"")
    return changed


def without_expiry(tx: WriteTx, scope: Scope, record: Table) -> Table:
    """Return the record of a table whose items expire no longer."""
    delete_chore(tx, "expiry", scope, record.name)
    erase(tx, scope, [(DDB_EXPIRING, (record.expiry_id,))])
    return msgspec.structs.replace(record, expiry_attribute=None, expiries=record.expiries + 1)


def is_indexed(tx: ReadTx, table: OpenTable) -> bool:
    """Return whether all items are in the index that belong there."""
    chore = find_chore(tx, "expiry", table.scope, table.record.name)
    return chore is not None and chore.position == INDEXED


def index_step(tx: WriteTx, table: OpenTable, position: bytes, limit: int = EXPIRY_STEP_ITEMS_MAX) -> bool:
    """Put the next items behind `position` (a stored key without the table's prefix) into the index.

    Return whether some are left; the position is kept.
    """
    attribute = table.record.expiry_attribute
    assert attribute is not None
    count, place = 0, table.prefix + position
    for place, stored in tx.scan(table.prefix + position + b"\x00" * bool(position), after(table.prefix), limit=limit):
        count += 1
        if (second := expires_s(decode_item(stored), attribute)) is not None:
            tx.put(_key(table, second, place), b"")
    more = count == limit
    save_chore(tx, "expiry", table.scope, table.record.name, place[len(table.prefix) :] if more else INDEXED)
    return more


def has_expired(tx: ReadTx, table: OpenTable, now_ms: int) -> bool:
    """Return whether an item of the table is due."""
    return next(iter(tx.scan(*_due(table, now_ms), limit=1)), None) is not None


def find_expired(
    tx: ReadTx, table: OpenTable, now_ms: int, limit: int = EXPIRED_STEP_ITEMS_MAX
) -> list[tuple[bytes, bytes]]:
    """Return the index's entries of the items that are due, the oldest first, and where these items lie."""
    found = []
    for entry, _ in tx.scan(*_due(table, now_ms), limit=limit):
        _, _, *item_key = DDB_EXPIRING.parts_of(entry)
        found.append((entry, table.prefix + pack(tuple(item_key))))
    return found


def open_expiring(tx: ReadTx, call: Call, name: str) -> OpenTable | None:
    """Return a table if its items expire."""
    table = find_table(tx, call, name)
    return table if table is not None and table.record.expiry_attribute is not None else None


def _due(table: OpenTable, now_ms: int) -> tuple[bytes, bytes]:
    now_s = now_ms // 1000
    start = DDB_EXPIRING.key(table.scope, table.record.expiry_id, max(0, now_s - EXPIRY_YEARS_S))
    return start, DDB_EXPIRING.key(table.scope, table.record.expiry_id, now_s + 1)


def _key(table: OpenTable, second: int, place: bytes) -> bytes:
    return DDB_EXPIRING.key(table.scope, table.record.expiry_id, second) + place[len(table.prefix) :]
