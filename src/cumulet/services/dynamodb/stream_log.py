"""What streams hold: changes that have just arrived, and records in their shard's order. Why there are two: 0016.

A write leaves its change among the arrivals of its partition key, in the item's own transaction. There it meets nobody
but writers of the same partition key. Who reads a shard first gives the arrivals their sequence numbers (`settle`); a
sweep does it for streams that nobody reads. From then on a record's place never changes.

In one shard the numbers are dense, from 1 on, and the times never run backwards.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from cumulet.scope import Scope
from cumulet.services.dynamodb.core.index_diff import Image
from cumulet.services.dynamodb.core.item_codec import stored_bytes, stored_json
from cumulet.services.dynamodb.core.key_codec import HASH_BITS
from cumulet.services.dynamodb.core.limits import STREAM_PAGE_BYTES_MAX, STREAM_RETENTION_MS, STREAM_SETTLED_MAX
from cumulet.services.dynamodb.core.values import equal, item_bytes
from cumulet.services.dynamodb.remains import erase
from cumulet.services.dynamodb.streams import Stream, sequence_text
from cumulet.services.dynamodb.tables import OpenTable
from cumulet.services.kit import Call
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import DDB_STREAM_ARRIVAL, DDB_STREAM_RECORD, DDB_STREAM_SHARD
from cumulet.store.records import Records
from cumulet.store.tuples import unpack

EXPIRY_PRINCIPAL = "dynamodb.amazonaws.com"
"""Under whose name expired items are deleted; their records say so in userIdentity."""

_json = msgspec.json.Encoder()


class Change(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """One change of one item, as the stream's view has it. Keys and images are JSON, empty where there are none."""

    at_ms: int
    name: str
    """INSERT, MODIFY or REMOVE."""
    keys: bytes
    size: int
    """As AWS counts it: the keys and the images that the record has."""
    old: bytes = b""
    new: bytes = b""
    expired: bool = False


class Shard(msgspec.Struct, frozen=True):
    """How far a shard has come."""

    last: int = 0
    """The last number given; there never was a record 0."""
    last_ms: int = 0


ARRIVALS = Records(DDB_STREAM_ARRIVAL, Change)
RECORDS = Records(DDB_STREAM_RECORD, Change)
SHARDS = Records(DDB_STREAM_SHARD, Shard)


def record_change(
    tx: WriteTx, call: Call, table: OpenTable, place: bytes, before: Image | None, after: Image | None
) -> None:
    """Leave the change of an item in its table's stream. A write that changed nothing leaves nothing, as on AWS."""
    stream = table.stream
    if stream is None or not _differ(before, after):
        return
    image = after or before
    assert image is not None
    keys = {name: image.item[name] for name in table.key_names}
    size, old, new = item_bytes(keys), b"", b""
    if before is not None and stream.view in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES"):
        old = bytes(stored_json(before.stored))
        size += stored_bytes(before.stored)
    if after is not None and stream.view in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES"):
        new = bytes(stored_json(after.stored))
        size += stored_bytes(after.stored)
    change = Change(
        at_ms=call.now_ms,
        name="INSERT" if before is None else "REMOVE" if after is None else "MODIFY",
        keys=_json.encode(keys),
        size=size,
        old=old,
        new=new,
        expired=call.principal.kind == "service" and call.principal.arn == EXPIRY_PRINCIPAL,
    )
    hashed: Any = unpack(place[len(table.prefix) :])[0]
    arrived = (stream.id, int.from_bytes(hashed, "big") * stream.shards >> HASH_BITS, hashed)
    start, end = DDB_STREAM_ARRIVAL.range(table.scope, *arrived)
    last = next(iter(tx.scan(start, end, limit=1, reverse=True)), None)
    number = 0 if last is None else DDB_STREAM_ARRIVAL.parts_of(last[0])[-1] + 1
    ARRIVALS.save(tx, table.scope, *arrived, number, record=change)
    tx.hint(table.stream_arn)


def has_arrivals(tx: ReadTx, scope: Scope, stream: Stream, shard: int) -> bool:
    """Return whether changes of this shard wait for their numbers."""
    start, end = DDB_STREAM_ARRIVAL.range(scope, stream.id, shard)
    return next(iter(tx.scan(start, end, limit=1)), None) is not None


def settle(tx: WriteTx, scope: Scope, stream: Stream, shard: int, limit: int = STREAM_SETTLED_MAX) -> bool:
    """Give arrivals their places behind the records of the shard; return whether some may be left.

    Changes of one partition key keep their order whatever their times say; between partition keys time decides.
    """
    arrived: list[tuple[int, bytes, int, bytes, Change]] = []
    hashed, at_ms = b"", 0
    start, end = DDB_STREAM_ARRIVAL.range(scope, stream.id, shard)
    for key, value in tx.scan(start, end, limit=limit):
        *_, partition, number = DDB_STREAM_ARRIVAL.parts_of(key)
        change = ARRIVALS.decode(value)
        # Another server's clock may be behind that of the one which wrote before.
        at_ms = max(change.at_ms, at_ms) if partition == hashed else change.at_ms
        hashed = partition
        arrived.append((at_ms, partition, number, key, change))
    if not arrived:
        return False
    arrived.sort(key=lambda arrival: arrival[:3])
    counter = SHARDS.find(tx, scope, stream.id, shard) or Shard()
    last, last_ms = counter.last, counter.last_ms
    for at_ms, _, _, key, change in arrived:
        last, last_ms = last + 1, max(at_ms, last_ms)
        placed = change if change.at_ms == last_ms else msgspec.structs.replace(change, at_ms=last_ms)
        RECORDS.save(tx, scope, stream.id, shard, last, record=placed)
        tx.delete(key)
    SHARDS.save(tx, scope, stream.id, shard, record=Shard(last, last_ms))
    return len(arrived) == limit


class Page(NamedTuple):
    """A piece of a shard."""

    records: list[tuple[int, Change]]
    """With their numbers."""
    behind: int
    """Where the next page begins."""
    first: int
    """The oldest record that is still there; one behind the last if there is none."""
    last: int
    """The last number given."""


def read_page(tx: ReadTx, scope: Scope, stream: Stream, shard: int, start: int | None, limit: int, now_ms: int) -> Page:
    """Return the records from `start` on (None: the oldest), up to the limit or 1 MB, whichever comes first.

    A page that begins before the oldest record has none: what was asked for is trimmed.
    """
    last = last_number(tx, scope, stream, shard)
    first = first_number(tx, scope, stream, shard, now_ms - STREAM_RETENTION_MS, last)
    if start is None:
        start = first
    records: list[tuple[int, Change]] = []
    if start < first:
        return Page(records, start, first, last)
    size = 0
    for number, change in _scan(tx, scope, stream, shard, start, limit):
        size += change.size
        if size > STREAM_PAGE_BYTES_MAX and records:
            break
        records.append((number, change))
    return Page(records, records[-1][0] + 1 if records else start, first, last)


def last_number(tx: ReadTx, scope: Scope, stream: Stream, shard: int) -> int:
    """Return the last number given in the shard; 0 if none was."""
    counter = SHARDS.find(tx, scope, stream.id, shard)
    return 0 if counter is None else counter.last


def first_number(tx: ReadTx, scope: Scope, stream: Stream, shard: int, since_ms: int, last: int) -> int:
    """Return the first record at or after a time that is still there; `last` + 1 if there is none."""
    low, high = last + 1, last + 1
    for low, oldest in _scan(tx, scope, stream, shard, 1, 1):
        if oldest.at_ms >= since_ms:
            return low
    while low < high:
        middle = (low + high) // 2
        found = RECORDS.find(tx, scope, stream.id, shard, middle)
        if found is None or found.at_ms < since_ms:
            low = middle + 1
        else:
            high = middle
    return low


def has_trimmable_records(tx: ReadTx, scope: Scope, stream: Stream, shard: int, now_ms: int) -> bool:
    """Return whether the shard has records older than 24 hours."""
    return any(change.at_ms < now_ms - STREAM_RETENTION_MS for _, change in _scan(tx, scope, stream, shard, 1, 1))


def trim(tx: WriteTx, scope: Scope, stream: Stream, shard: int, now_ms: int, limit: int = STREAM_SETTLED_MAX) -> None:
    """Remove records older than 24 hours, up to a number."""
    for number, change in list(_scan(tx, scope, stream, shard, 1, limit)):
        if change.at_ms >= now_ms - STREAM_RETENTION_MS:
            break
        RECORDS.delete(tx, scope, stream.id, shard, number)


def delete_log(tx: WriteTx, scope: Scope, stream: Stream) -> None:
    """Remove everything that the stream holds; what is large goes in the background."""
    erase(tx, scope, [(records.family, (stream.id,)) for records in (ARRIVALS, RECORDS, SHARDS)])


def render_record(scope: Scope, stream: Stream, shard: int, number: int, change: Change) -> dict[str, Any]:
    """Return a record as GetRecords answers it, and as Lambda hands it to a function but for the ARN."""
    sequence = sequence_text(shard, number)
    content: dict[str, Any] = {
        # Whole seconds, by the model's words; it is an approximation by its name.
        "ApproximateCreationDateTime": change.at_ms // 1000,
        "Keys": msgspec.Raw(change.keys),
    }
    if change.new:
        content["NewImage"] = msgspec.Raw(change.new)
    if change.old:
        content["OldImage"] = msgspec.Raw(change.old)
    content |= {"SequenceNumber": sequence, "SizeBytes": change.size, "StreamViewType": stream.view}
    record: dict[str, Any] = {
        "eventID": blake2b(f"{stream.id}/{sequence}".encode(), digest_size=16).hexdigest(),
        "eventName": change.name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": scope.region,
        "dynamodb": content,
    }
    if change.expired:
        record["userIdentity"] = {"PrincipalId": EXPIRY_PRINCIPAL, "Type": "Service"}
    return record


def _scan(tx: ReadTx, scope: Scope, stream: Stream, shard: int, start: int, limit: int) -> Iterator[tuple[int, Change]]:
    end = DDB_STREAM_RECORD.range(scope, stream.id, shard)[1]
    for key, value in tx.scan(DDB_STREAM_RECORD.key(scope, stream.id, shard, start), end, limit=limit):
        yield DDB_STREAM_RECORD.parts_of(key)[-1], RECORDS.decode(value)


def _differ(before: Image | None, after: Image | None) -> bool:
    if before is None or after is None:
        return before is not after
    if before.stored == after.stored:
        return False
    old, new = before.item, after.item
    # Sets have no order, nor have the attributes of a map.
    return old.keys() != new.keys() or not all(equal(value, new[name]) for name, value in old.items())
