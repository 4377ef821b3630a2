"""Item collections: a partition of a table with local indexes, with its entries in these.

AWS lets one grow to 10 GB ("Item collection size limit", developer guide). Only tables with local indexes have them,
and only there their sizes are kept: one number for each partition, changed in the item's own transaction.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.index_diff import Image, IndexWrite, make_entry
from cumulet.services.dynamodb.core.item_codec import stored_bytes
from cumulet.services.dynamodb.core.limits import ITEM_BYTES_MAX
from cumulet.services.dynamodb.core.values import Value, invalid
from cumulet.services.dynamodb.items import key_range
from cumulet.services.dynamodb.tables import OpenTable
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import DDB_ITEM_COLLECTION
from cumulet.store.tuples import unpack

_GB = 1024**3
_VERSION = b"\x01"


def grown_collection(
    tx: ReadTx, table: OpenTable, place: bytes, new: Image | None, grown: int, index_writes: Iterable[IndexWrite]
) -> tuple[bytes, int] | None:
    """Return the record of the item's collection and its size after a write, or None where none is kept.

    `grown` is by how much the item itself grows. Raises ItemCollectionSizeLimitExceededException if it may not, and
    ValidationException if the new item is too large together with its entries.
    """
    if not table.record.local_indexes:
        return None
    if new is not None:
        _check_size(table, new)
    grown += sum(write.grown for write in index_writes if write.keys.is_local)
    key = _key(table, place)
    size = max(0, _size(tx, key) + grown)
    if grown > 0 and size > table.record.collection_bytes_max:
        raise ServiceError("ItemCollectionSizeLimitExceededException", "Collection size exceeded.")
    return key, size


def _check_size(table: OpenTable, new: Image) -> None:
    # "Item size for tables with local secondary indexes", service quotas, developer guide: one limit for them all.
    if stored_bytes(new.stored) * (1 + len(table.record.local_indexes)) <= ITEM_BYTES_MAX:
        return
    entries = [make_entry(index, b"", new) for index in table.indexes.values() if index.is_local]
    if sum(stored_bytes(one) for one in (new.stored, *(entry.value for entry in entries if entry))) > ITEM_BYTES_MAX:
        invalid("Item size has exceeded the maximum allowed size")


def save_collection(tx: WriteTx, key: bytes, size: int) -> None:
    """Record a collection's size; an empty one has no record."""
    if size:
        tx.put(key, _VERSION + size.to_bytes(8, "big"))
    else:
        tx.delete(key)


def render_collection(
    tx: ReadTx, table: OpenTable, item: Mapping[str, Value], wanted: str | None
) -> dict[str, Any] | None:
    """Return ItemCollectionMetrics for an item or its key as ReturnItemCollectionMetrics asks for it, or None."""
    if wanted != "SIZE" or not table.record.local_indexes:
        return None
    partition = item[table.hash_name]
    gigabytes = _size(tx, _key(table, key_range(table, partition, None).partition)) // _GB
    return {
        "ItemCollectionKey": {table.hash_name: partition},
        "SizeEstimateRangeGB": [float(gigabytes), float(gigabytes + 1)],
    }


def _key(table: OpenTable, place: bytes) -> bytes:
    hashed, partition = unpack(place[len(table.prefix) :])[:2]
    return DDB_ITEM_COLLECTION.key(table.scope, table.record.table_id, hashed, partition)


def _size(tx: ReadTx, key: bytes) -> int:
    value = tx.get(key)
    return 0 if value is None else int.from_bytes(value[1:], "big")
