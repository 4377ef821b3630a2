"""Imports from S3: their records, and how a table is filled with what lies in a bucket.

The objects under the prefix are read one after the other, in the order of their keys, in ranges, under the principal
that asked for the import. Each step writes some hundred items and, in the same transaction, how far the import is;
so an import that a kill cut short goes on behind the last item that it wrote. The table is CREATING until the end.

A record from which no item can be made, or which does not fit the table, is counted, logged (`import_log`) and passed
over; an import with such records has failed, as AWS has it.
"""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any, NamedTuple

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.chores import Chore, delete_chore
from cumulet.services.dynamodb.core.interchange import (
    HEADER,
    Record,
    RecordReader,
    csv_reader,
    ion_reader,
    json_reader,
)
from cumulet.services.dynamodb.core.limits import (
    COPY_STEP_BYTES_MAX,
    IMPORT_READ_BYTES,
    IMPORT_STEP_ITEMS_MAX,
    ITEM_BYTES_MAX,
)
from cumulet.services.dynamodb.core.unpacking import UNPACKERS, NotPacked
from cumulet.services.dynamodb.import_log import Fault, ImportLog, log_group_arn
from cumulet.services.dynamodb.items import locate_item
from cumulet.services.dynamodb.tables import TABLES, OpenTable, Table, arn_of, find_table
from cumulet.services.dynamodb.writes import read_before, write_item
from cumulet.services.kit import Call, Ground, Principal
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import DDB_IMPORT
from cumulet.store.leases import Lease
from cumulet.store.records import Records


class Import(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is recorded about one import."""

    id: str
    table_name: str
    table_id: str
    caller: Principal
    """Under whom the objects are read."""
    digest: bytes
    client_token: str | None
    started_ms: int
    request: dict[str, Any]
    """The members of the request that a description repeats."""
    status: str = "IN_PROGRESS"
    ended_ms: int = 0
    object_key: str = ""
    """The object that is read, or was read last."""
    records: int = 0
    """How many of its records are done; -1 if all are."""
    size_bytes: int = 0
    """Of the objects that are read to their end, uncompressed."""
    processed: int = 0
    imported: int = 0
    errors: int = 0
    untold: tuple[Fault, ...] = ()
    """Errors of the last step, of which the log may not have been told."""
    failure_code: str = ""
    failure_message: str = ""


IMPORTS = Records(DDB_IMPORT, Import)

_FAILURES = {"NoSuchBucket": "S3NoSuchBucket", "AccessDenied": "S3AccessDenied", "NoSuchKey": "S3NoSuchKey"}


_ITEM_FAULTS = (
    "ItemValidationError",
    "Some of the items failed validation checks and were not imported. Please check CloudWatch error logs for more "
    "details.",
)


class _Failed(Exception):
    """The import cannot go on."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class _Object(NamedTuple):
    key: str
    size: int


async def go_on(ground: Ground, lease: Lease, chore: Chore, call: Call) -> None:
    """Do what is left of an import."""
    name, _, import_id = chore.subject.partition("/")
    record = await ground.store.read(lambda tx: IMPORTS.find(tx, call.scope, name, import_id))
    if record is None or record.status != "IN_PROGRESS":
        await lease.write(lambda tx: delete_chore(tx, "import", call.scope, chore.subject))
        return
    source = _Source(ground, call, record)
    log = ImportLog(ground, call.scope, record.caller, (name, import_id), record.request["S3BucketSource"]["S3Bucket"])
    try:
        await log.begin()
        await log.tell(list(record.untold))
        async for found in source.objects():
            record = await _import_object(ground, lease, call, record, source, log, found)
        if not record.object_key:
            raise _Failed("S3NoSuchKey", "There is no object under the given prefix")
        if record.errors:
            raise _Failed(*_ITEM_FAULTS)
    except ServiceError as error:
        await _end(ground, lease, call, record, "FAILED", _FAILURES.get(error.code, error.code), error.message)
    except _Failed as failure:
        await _end(ground, lease, call, record, "FAILED", failure.code, failure.message)
    else:
        await _end(ground, lease, call, record, "COMPLETED", "", "")


def render_import(call: Call, record: Import) -> dict[str, Any]:
    """Return an ImportTableDescription."""
    description: dict[str, Any] = {
        **render_summary(call, record),
        "TableId": record.table_id,
        "ClientToken": record.client_token,
        "ErrorCount": record.errors,
        "InputFormatOptions": record.request.get("InputFormatOptions"),
        "InputCompressionType": record.request.get("InputCompressionType") or "NONE",
        "TableCreationParameters": record.request["TableCreationParameters"],
        "ProcessedSizeBytes": record.size_bytes,
        "ProcessedItemCount": record.processed,
        "ImportedItemCount": record.imported,
        "FailureCode": record.failure_code or None,
        "FailureMessage": record.failure_message or None,
    }
    return {name: value for name, value in description.items() if value is not None}


def render_summary(call: Call, record: Import) -> dict[str, Any]:
    """Return an ImportSummary."""
    summary: dict[str, Any] = {
        "ImportArn": f"{arn_of(call.scope, record.table_name)}/import/{record.id}",
        "ImportStatus": record.status,
        "TableArn": arn_of(call.scope, record.table_name),
        "S3BucketSource": record.request["S3BucketSource"],
        "InputFormat": record.request["InputFormat"],
        "StartTime": record.started_ms / 1000,
        "CloudWatchLogGroupArn": log_group_arn(call.scope),
    }
    if record.ended_ms:
        summary["EndTime"] = record.ended_ms / 1000
    return summary


async def _import_object(
    ground: Ground, lease: Lease, call: Call, record: Import, source: "_Source", log: ImportLog, found: _Object
) -> Import:
    """Import what is left of one object; return how the import then stands."""
    done = record.records if record.object_key == found.key else 0
    if done < 0:
        return record
    record = msgspec.structs.replace(record, object_key=found.key, records=done)
    batch: list[Record] = []
    batch_bytes = seen = 0
    size = 0

    async def step(records: int) -> Import:
        now = msgspec.structs.replace(call, now_ms=ground.clock.now_ms())
        stepped = await lease.write(partial(_step, now, record, batch, seen - len(batch), records))
        await log.tell(list(stepped.untold))
        return stepped

    async for records, more in source.records(found, await _key_kinds(ground, call, record)):
        size += more
        for one in records:
            if one is HEADER:
                continue
            seen += 1
            if seen <= done:
                continue
            batch.append(one)
            batch_bytes += 0 if isinstance(one, str) else one[1]
            if len(batch) >= IMPORT_STEP_ITEMS_MAX or batch_bytes >= COPY_STEP_BYTES_MAX:
                record = await step(seen)
                batch, batch_bytes = [], 0
    record = msgspec.structs.replace(record, size_bytes=record.size_bytes + size)
    return await step(-1)


def _step(call: Call, record: Import, batch: list[Record], first: int, records: int, tx: WriteTx) -> Import:
    """Write some items, of which the first is that many records into its object, and that they are written."""
    table = _target(tx, call, record)
    faults = []
    for index, one in enumerate(batch, first):
        if (message := _write(tx, call, table, one)) is not None:
            faults.append(Fault(record.object_key, index, message))
    record = msgspec.structs.replace(
        record,
        records=records,
        processed=record.processed + len(batch),
        imported=record.imported + len(batch) - len(faults),
        errors=record.errors + len(faults),
        untold=tuple(faults),
    )
    IMPORTS.save(tx, call.scope, record.table_name, record.id, record=record)
    return record


def _write(tx: WriteTx, call: Call, table: OpenTable, one: Record) -> str | None:
    """Write one item; return why it could not be, if so."""
    if isinstance(one, str):
        return one
    item, size = one
    if size > ITEM_BYTES_MAX:
        return "Item size has exceeded the maximum allowed size"
    try:
        place = locate_item(table, item)
        write_item(tx, call, table, place, read_before(tx, table, place, needed=False), item, size)
    except ServiceError as error:
        return error.message
    return None


def _target(tx: ReadTx, call: Call, record: Import) -> OpenTable:
    table = find_table(tx, call, record.table_name)
    if table is None or table.record.table_id != record.table_id:
        raise _Failed("TableNotFound", "The table has been deleted")
    return table


async def _key_kinds(ground: Ground, call: Call, record: Import) -> dict[str, str]:
    table: Table = (await ground.store.read(lambda tx: _target(tx, call, record))).record
    return dict(table.attributes)


async def _end(ground: Ground, lease: Lease, call: Call, record: Import, status: str, code: str, message: str) -> None:
    ended = msgspec.structs.replace(
        record, status=status, ended_ms=ground.clock.now_ms(), untold=(), failure_code=code, failure_message=message
    )

    def save(tx: WriteTx) -> None:
        IMPORTS.save(tx, call.scope, record.table_name, record.id, record=ended)
        delete_chore(tx, "import", call.scope, f"{record.table_name}/{record.id}")
        table = find_table(tx, call, record.table_name)
        if table is not None and table.record.table_id == record.table_id:
            ready = msgspec.structs.replace(table.record, ready_ms=0)
            TABLES.save(tx, call.scope, record.table_name, record=ready)

    await lease.write(save)


class _Source:
    """Reads the objects of an import."""

    def __init__(self, ground: Ground, call: Call, record: Import) -> None:
        self._ground = ground
        self._scope = call.scope
        self._caller = record.caller
        self._request = record.request
        self._behind = record.object_key if record.records < 0 else ""
        where = record.request["S3BucketSource"]
        self._prefix = where.get("S3KeyPrefix") or ""
        self._bucket: dict[str, Any] = {"Bucket": where["S3Bucket"]}
        if where.get("S3BucketOwner") is not None:
            self._bucket["ExpectedBucketOwner"] = where["S3BucketOwner"]

    async def objects(self) -> AsyncIterator[_Object]:
        """Yield the objects that are not read to their end, in the order of their keys."""
        more: dict[str, Any] = {"StartAfter": self._behind} if self._behind else {}
        while True:
            page = await self._call("ListObjectsV2", {"Prefix": self._prefix, **more})
            for entry in page.get("Contents") or ():
                if entry["Size"]:
                    yield _Object(entry["Key"], int(entry["Size"]))
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    async def records(self, found: _Object, kinds: dict[str, str]) -> AsyncIterator[tuple[Iterator[Record], int]]:
        """Yield the records of an object, some at a time, and how many bytes were read for them, uncompressed."""
        reader = self._reader(kinds)
        unpacker = UNPACKERS[self._request.get("InputCompressionType") or "NONE"]()
        for start in range(0, found.size, IMPORT_READ_BYTES):
            last = min(start + IMPORT_READ_BYTES, found.size) - 1
            part = await self._call("GetObject", {"Key": found.key, "Range": f"bytes={start}-{last}"})
            try:
                for data in unpacker.feed(bytes(part["Body"])):
                    yield reader.feed(data), len(data)
            except NotPacked as error:
                raise _Failed("InvalidCompression", str(error)) from None
        try:
            unpacker.finish()
        except NotPacked as error:
            raise _Failed("InvalidCompression", str(error)) from None
        yield reader.finish(), 0

    def _reader(self, kinds: dict[str, str]) -> RecordReader:
        match self._request["InputFormat"]:
            case "DYNAMODB_JSON":
                return json_reader()
            case "ION":
                return ion_reader()
        options = (self._request.get("InputFormatOptions") or {}).get("Csv") or {}
        return csv_reader(options.get("Delimiter") or ",", options.get("HeaderList"), kinds)

    async def _call(self, operation: str, params: dict[str, Any]) -> Any:
        request = {**self._bucket, **params}
        return await self._ground.operations.call(self._caller, self._scope, "s3", operation, request)
