"""The one way in which an item changes. Every operation that puts, updates or deletes an item ends here.

    table = open_table(tx, call, name)
    place = locate_item(table, item)                        # or locate(table, key)
    before = read_before(tx, table, place, needed=...)      # needed: for a condition, ReturnValues, or to bill exactly
    ...                                                     # the operation's own checks
    written = write_item(tx, call, table, place, before, item, size)     # None in place of the item deletes it

`write_item` writes the item, its index entries, its stream record and its TTL entry in the caller's transaction, and
returns the new stored form and what was consumed (`core/capacity.Units`, for the table and for each index; a
transaction bills `units.times(2)`).

`before` is what `read_before` returned. Tables on which nothing hangs do not need it: `read_before` then reads only if
`needed`, and the units that come back are exact only if it did. So a put that nobody asks about stays a single put.

What hangs on a table's items is known by `OpenTable.watched`: a new kind (streams, expiry) sets it there, and gets its
line in `write_item`, which has both images at hand.

Checked before: the table's keys (`locate`, `locate_item`), the index keys of a whole item (`locate_item`) and of an
updated one (`index_keys.check_index_keys`), the item's size.
"""

import msgspec

from cumulet.services.dynamodb.change_log import log_change
from cumulet.services.dynamodb.core.capacity import Units, write_units
from cumulet.services.dynamodb.core.index_diff import Image, IndexWrite, plan_index_writes
from cumulet.services.dynamodb.core.item_codec import decode_item, encode_item, stored_bytes
from cumulet.services.dynamodb.core.values import Item
from cumulet.services.dynamodb.core.vectors import VectorWrite, billed_item_bytes, plan_vector_writes
from cumulet.services.dynamodb.expiry import index_expiry
from cumulet.services.dynamodb.item_collections import grown_collection, save_collection
from cumulet.services.dynamodb.stream_log import record_change
from cumulet.services.dynamodb.tables import OpenTable
from cumulet.services.dynamodb.throttle import charge
from cumulet.services.kit import Call
from cumulet.store.api import ReadTx, WriteTx


class Written(msgspec.Struct, eq=False, frozen=True):
    """What a write came to."""

    stored: bytes | None
    """The item as it now lies in the store; None if it was deleted."""
    units: Units


def read_before(tx: ReadTx, table: OpenTable, place: bytes, needed: bool) -> bytes | None:
    """Return the stored item that a write is going to replace, or None if there is none or nobody has to know it."""
    return tx.get(place) if needed or table.watched or table.metered else None


def write_item(
    tx: WriteTx,
    call: Call,
    table: OpenTable,
    place: bytes,
    before: bytes | None,
    item: Item | None,
    size: int = 0,
) -> Written:
    """Make `item` (canonical, of that size) the item at `place`, with all that hangs on it; None deletes.

    Raises TransactionConflictException if another request's transaction holds the item, ValidationException if a vector
    index cannot hold it or local indexes make it too large, and what `throttle.charge` raises. Then nothing is written,
    and a batch may go on with the next item.
    """
    if call.plane is not None:
        call.plane.transactions.check_free(place, call.request_id)
    if item is None:
        stored, size = None, 0
    else:
        stored = encode_item(item, size)
    size_before = 0 if before is None else stored_bytes(before)
    units = Units(write_units(size_before, size))
    old = new = None
    index_writes: list[IndexWrite] = []
    vector_writes: list[VectorWrite] = []
    collection = None
    if table.watched:
        old = None if before is None else Image(decode_item(before), before)
        new = None if item is None or stored is None else Image(item, stored)
        if table.vectors:
            vector_writes = plan_vector_writes(table.vectors, place[len(table.prefix) :], old, new)
            units.table = write_units(*[_billed(table, image) for image in (old, new)])
            units.vector_indexes = {one.keys.index.name: one.billed for one in vector_writes}
        index_writes = plan_index_writes(table.indexes.values(), place[len(table.prefix) :], old, new)
        for write in index_writes:
            consumed = units.local_indexes if write.keys.is_local else units.global_indexes
            consumed[write.keys.name] = write.units
        collection = grown_collection(tx, table, place, new, size - size_before, index_writes)
    charge(call, table, units, writes=True, thing=place)

    if stored is not None:
        tx.put(place, stored)
    elif before is not None or not table.watched:
        tx.delete(place)
    if table.watched:
        for write in index_writes:
            _apply(tx, write)
        for vector_write in vector_writes:
            _apply(tx, vector_write)
        if collection is not None:
            save_collection(tx, *collection)
        if table.stream is not None:
            record_change(tx, call, table, place, old, new)
        if (attribute := table.record.expiry_attribute) is not None:
            index_expiry(tx, table, attribute, place, old, new)
        if table.logs_changes and before != stored:
            log_change(tx, call, table, place, before)
    return Written(stored, units)


def _billed(table: OpenTable, image: Image | None) -> int:
    return 0 if image is None else billed_item_bytes(table.vectors, image.item)


def _apply(tx: WriteTx, write: IndexWrite | VectorWrite) -> None:
    if write.removed is not None:
        tx.delete(write.removed)
    if write.put is not None:
        tx.put(*write.put)
