"""How an export is done: read a few megabytes of the table, write them as a file, record that, and so on to the end.

Each file is uploaded under the principal that asked for the export and then recorded; one whose record was lost is
written again, the same, under the same name. The manifests come last; who finds them finds everything.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.change_log import read_as_of, read_changes
from cumulet.services.dynamodb.chores import Chore, delete_chore
from cumulet.services.dynamodb.copies import count_copies
from cumulet.services.dynamodb.core.item_codec import stored_bytes
from cumulet.services.dynamodb.core.limits import EXPORT_FILE_BYTES_MAX
from cumulet.services.dynamodb.export_files import Row, checksum, data_key, pack_rows, render_manifests
from cumulet.services.dynamodb.exports import EXPORTS, DataFile, Export
from cumulet.services.dynamodb.tables import OpenTable, find_table
from cumulet.services.kit import Call, Ground
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.leases import Lease

_FAILURES = {"NoSuchBucket": "S3NoSuchBucket", "AccessDenied": "S3AccessDenied"}


class _TableGone(Exception):
    """There is nothing to export any more."""


class _Rows(NamedTuple):
    """A part of what is exported."""

    key_names: Sequence[str]
    rows: Sequence[Row]
    size: int
    behind: bytes | None
    """Behind which key the next part begins; None at the end."""


async def go_on(ground: Ground, lease: Lease, chore: Chore, call: Call) -> None:
    """Do what is left of an export."""
    name, _, export_id = chore.subject.partition("/")
    export = await ground.store.read(lambda tx: EXPORTS.find(tx, call.scope, name, export_id))
    if export is None or export.status != "IN_PROGRESS":
        await lease.write(lambda tx: delete_chore(tx, "export", call.scope, chore.subject))
        return
    upload = partial(_upload, ground, call, export)
    try:
        if not export.files:
            # AWS writes an empty file first, to see whether it may.
            await upload(export.folder + "_started", b"", "application/octet-stream")
        while not export.is_written:
            lease.check()
            part = await _gather(ground, call, export)
            # Beside the event loop, which such a file would keep for a tenth of a second.
            body = await asyncio.to_thread(pack_rows, export, part.key_names, part.rows)
            key = data_key(export)
            etag = await upload(key, body, "application/octet-stream")
            done = DataFile(key, len(part.rows), checksum(body), etag)
            export = await lease.write(partial(_advance, call, export, done, part))
        export = msgspec.structs.replace(export, ended_ms=ground.clock.now_ms())
        for manifest in render_manifests(call.scope, export):
            await upload(*manifest)
    except ServiceError as error:
        await _end(lease, call, export, "FAILED", _FAILURES.get(error.code, error.code), error.message)
    except _TableGone:
        await _end(lease, call, export, "FAILED", "TableNotFound", "The table has been deleted")
    else:
        await _end(lease, call, export, "COMPLETED", "", "")


async def _gather(ground: Ground, call: Call, export: Export) -> _Rows:
    """Return what the next file holds, read in pieces, so that others are served in between."""
    rows: list[Row] = []
    size = 0
    position: bytes | None = export.position
    key_names: Sequence[str] = ()
    while position is not None and size < EXPORT_FILE_BYTES_MAX:
        now_ms = ground.clock.now_ms()
        piece = await ground.store.read(partial(_read, call, export, now_ms, position))
        key_names, position = piece.key_names, piece.behind
        rows += piece.rows
        size += piece.size
        await asyncio.sleep(0)
    return _Rows(key_names, rows, size, position)


def _read(call: Call, export: Export, now_ms: int, position: bytes, tx: ReadTx) -> _Rows:
    table = _source(tx, call, export)
    if table is None:
        raise _TableGone
    if not export.view:
        piece = read_as_of(tx, table, export.at_ms, now_ms, position)
        rows: list[Row] = [stored for _, stored in piece.items]
        return _Rows(table.key_names, rows, sum(stored_bytes(stored) for _, stored in piece.items), piece.behind)
    changes = read_changes(tx, table, export.since_ms, export.at_ms, now_ms, position)
    images = [image for change in changes.items for image in (change.before, change.after) if image]
    return _Rows(table.key_names, changes.items, sum(map(stored_bytes, images)), changes.behind)


async def _upload(ground: Ground, call: Call, export: Export, key: str, body: bytes, content_type: str) -> str:
    """Make `body` the object of that key, under the principal that asked for the export; return its ETag."""
    request: dict[str, Any] = {"Bucket": export.bucket, "Key": key, "Body": body, "ContentType": content_type}
    if export.bucket_owner is not None:
        request["ExpectedBucketOwner"] = export.bucket_owner
    if export.sse_algorithm is not None:
        request["ServerSideEncryption"] = export.sse_algorithm
    output = await ground.operations.call(export.caller, call.scope, "s3", "PutObject", request)
    return str(output["ETag"]).strip('"')


def _advance(call: Call, export: Export, done: DataFile, part: _Rows, tx: WriteTx) -> Export:
    advanced = msgspec.structs.replace(
        export,
        files=(*export.files, done),
        position=part.behind or b"",
        is_written=part.behind is None,
        item_count=export.item_count + done.items,
        size_bytes=export.size_bytes + part.size,
    )
    EXPORTS.save(tx, call.scope, export.table_name, export.id, record=advanced)
    return advanced


async def _end(lease: Lease, call: Call, export: Export, status: str, code: str, message: str) -> None:
    ended = msgspec.structs.replace(
        export,
        status=status,
        ended_ms=export.ended_ms or call.now_ms,
        failure_code=code,
        failure_message=message,
    )

    def save(tx: WriteTx) -> None:
        EXPORTS.save(tx, call.scope, export.table_name, export.id, record=ended)
        delete_chore(tx, "export", call.scope, f"{export.table_name}/{export.id}")
        if (table := _source(tx, call, export)) is not None:
            count_copies(tx, call, table, -1)

    await lease.write(save)


def _source(tx: ReadTx, call: Call, export: Export) -> OpenTable | None:
    table = find_table(tx, call, export.table_name)
    return table if table is not None and table.record.table_id == export.table_id else None
