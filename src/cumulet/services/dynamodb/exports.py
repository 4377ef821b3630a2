"""Exports to S3: their records, and the files that they write.

An export reads a table as it was at one moment, through the table's change log, and writes it as files of a few
megabytes, each uploaded under the principal that asked for the export and then recorded. A file whose record was lost
is written again under the same name. The manifests come last; who finds them finds everything.

Source of the layout: "DynamoDB table export output format", developer guide.
"""

import base64
import gzip
import hashlib
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.change_log import read_as_of
from cumulet.services.dynamodb.chores import Chore, delete_chore
from cumulet.services.dynamodb.copies import count_copies
from cumulet.services.dynamodb.core import interchange
from cumulet.services.dynamodb.core.item_codec import decode_item, stored_bytes
from cumulet.services.dynamodb.core.limits import EXPORT_FILE_BYTES_MAX
from cumulet.services.dynamodb.tables import OpenTable, arn_of, find_table
from cumulet.services.kit import Call, Ground, Principal
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import DDB_EXPORT
from cumulet.store.leases import Lease
from cumulet.store.records import Records

TRANSFERS_TOPIC = "dynamodb-transfers"
"""Hints that there is an export or import to do."""

_ENDINGS = {"DYNAMODB_JSON": "json", "ION": "ion"}
_RENDERERS = {"DYNAMODB_JSON": interchange.render_json, "ION": interchange.render_ion}


class DataFile(msgspec.Struct, frozen=True, array_like=True):
    """A file of an export that has been written."""

    key: str
    items: int
    md5: str
    """In base64."""
    etag: str


class Export(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is recorded about one export."""

    id: str
    table_name: str
    table_id: str
    caller: Principal
    """Under whom the files are written."""
    digest: bytes
    """Of the request, to tell a client token's second use."""
    client_token: str | None
    started_ms: int
    at_ms: int
    """The moment that is exported."""
    bucket: str
    bucket_owner: str | None
    prefix: str | None
    sse_algorithm: str | None
    format: str
    status: str = "IN_PROGRESS"
    ended_ms: int = 0
    position: bytes = b""
    """Behind which key the next file begins."""
    is_written: bool = False
    """Whether only the manifests are left to write."""
    files: tuple[DataFile, ...] = ()
    item_count: int = 0
    size_bytes: int = 0
    failure_code: str = ""
    failure_message: str = ""

    @property
    def folder(self) -> str:
        """Under which key the export's files lie, with a slash at the end."""
        prefix = "" if not self.prefix else self.prefix.rstrip("/") + "/"
        return f"{prefix}AWSDynamoDB/{self.id}/"

    @property
    def manifest_key(self) -> str:
        """The key of the manifest's summary."""
        return self.folder + "manifest-summary.json"


EXPORTS = Records(DDB_EXPORT, Export)


async def go_on(ground: Ground, lease: Lease, chore: Chore, call: Call) -> None:
    """Do what is left of an export."""
    name, _, export_id = chore.subject.partition("/")
    export = await ground.store.read(lambda tx: EXPORTS.find(tx, call.scope, name, export_id))
    if export is None or export.status != "IN_PROGRESS":
        await lease.write(lambda tx: delete_chore(tx, "export", call.scope, chore.subject))
        return
    uploads = _Uploads(ground, call, export)
    try:
        if not export.files:
            # AWS writes an empty file first, to see whether it may.
            await uploads.put("_started", b"", "application/octet-stream")
        while not export.is_written:
            lease.check()
            call = msgspec.structs.replace(call, now_ms=ground.clock.now_ms())
            piece = await ground.store.read(partial(_read_file, call, export))
            if piece is None:
                await _end(lease, call, export, "FAILED", "TableNotFound", "The table has been deleted")
                return
            items, size, position = piece
            done = await _write_file(uploads, export, items)
            export = await lease.write(partial(_advance, call, export, done, size, position))
        export = msgspec.structs.replace(export, ended_ms=ground.clock.now_ms())
        await _write_manifests(uploads, export)
    except ServiceError as error:
        await _end(lease, call, export, "FAILED", _FAILURES.get(error.code, error.code), error.message)
        return
    await _end(lease, call, export, "COMPLETED", "", "")


_FAILURES = {"NoSuchBucket": "S3NoSuchBucket", "AccessDenied": "S3AccessDenied"}


def render_export(call: Call, export: Export) -> dict[str, Any]:
    """Return an ExportDescription."""
    description: dict[str, Any] = {
        "ExportArn": export_arn(call, export),
        "ExportStatus": export.status,
        "StartTime": export.started_ms / 1000,
        "TableArn": arn_of(call.scope, export.table_name),
        "TableId": export.table_id,
        "ExportTime": export.at_ms / 1000,
        "ClientToken": export.client_token,
        "S3Bucket": export.bucket,
        "S3BucketOwner": export.bucket_owner,
        "S3Prefix": export.prefix,
        "S3SseAlgorithm": export.sse_algorithm or "AES256",
        "ExportFormat": export.format,
        "ExportType": "FULL_EXPORT",
    }
    if export.ended_ms:
        description["EndTime"] = export.ended_ms / 1000
    if export.status == "COMPLETED":
        description["ExportManifest"] = export.manifest_key
        description["BilledSizeBytes"] = export.size_bytes
        description["ItemCount"] = export.item_count
    if export.failure_code:
        description["FailureCode"] = export.failure_code
        description["FailureMessage"] = export.failure_message
    return {name: value for name, value in description.items() if value is not None}


def export_arn(call: Call, export: Export) -> str:
    """Return the ARN of an export."""
    return f"{arn_of(call.scope, export.table_name)}/export/{export.id}"


def _read_file(call: Call, export: Export, tx: ReadTx) -> tuple[list[bytes], int, bytes | None] | None:
    """Return the items of the next file as stored, their size, and where the file after it begins."""
    table = _source(tx, call, export)
    if table is None:
        return None
    items: list[bytes] = []
    size = 0
    position: bytes | None = export.position
    while position is not None and size < EXPORT_FILE_BYTES_MAX:
        piece = read_as_of(tx, table, export.at_ms, call.now_ms, position)
        items += [stored for _, stored in piece.items]
        size += sum(stored_bytes(stored) for _, stored in piece.items)
        position = piece.behind
    return items, size, position


async def _write_file(uploads: "_Uploads", export: Export, items: list[bytes]) -> DataFile:
    render = _RENDERERS[export.format]
    # Without a time in its head, so that a file written twice is the same.
    body = gzip.compress(b"".join([render(decode_item(stored)) for stored in items]), compresslevel=6, mtime=0)
    name = hashlib.blake2b(f"{export.id}/{len(export.files)}".encode(), digest_size=16).hexdigest()
    key = f"data/{name}.{_ENDINGS[export.format]}.gz"
    etag = await uploads.put(key, body, "application/octet-stream")
    return DataFile(export.folder + key, len(items), _md5(body), etag)


def _advance(call: Call, export: Export, done: DataFile, size: int, position: bytes | None, tx: WriteTx) -> Export:
    advanced = msgspec.structs.replace(
        export,
        files=(*export.files, done),
        position=position or b"",
        is_written=position is None,
        item_count=export.item_count + done.items,
        size_bytes=export.size_bytes + size,
    )
    EXPORTS.save(tx, call.scope, export.table_name, export.id, record=advanced)
    return advanced


async def _write_manifests(uploads: "_Uploads", export: Export) -> None:
    files = b"".join(
        [
            msgspec.json.encode(
                {"itemCount": file.items, "md5Checksum": file.md5, "etag": file.etag, "dataFileS3Key": file.key}
            )
            + b"\n"
            for file in export.files
        ]
    )
    summary = {
        "version": "2020-06-30",
        "exportArn": f"{arn_of(uploads.call.scope, export.table_name)}/export/{export.id}",
        "startTime": _iso(export.started_ms),
        "endTime": _iso(export.ended_ms),
        "tableArn": arn_of(uploads.call.scope, export.table_name),
        "tableId": export.table_id,
        "exportTime": _iso(export.at_ms),
        "s3Bucket": export.bucket,
        "s3Prefix": export.prefix,
        "s3SseAlgorithm": export.sse_algorithm or "AES256",
        "s3SseKmsKeyId": None,
        "manifestFilesS3Key": export.folder + "manifest-files.json",
        "billedSizeBytes": export.size_bytes,
        "itemCount": export.item_count,
        "outputFormat": export.format,
        "exportType": "FULL_EXPORT",
    }
    rendered = msgspec.json.encode(summary)
    for name, body in (("manifest-files", files), ("manifest-summary", rendered)):
        await uploads.put(f"{name}.md5", _md5(body).encode(), "text/plain")
        await uploads.put(f"{name}.json", body, "application/json")


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


class _Uploads:
    """Writes an export's objects."""

    def __init__(self, ground: Ground, call: Call, export: Export) -> None:
        self._ground = ground
        self._export = export
        self.call = call

    async def put(self, name: str, body: bytes, content_type: str) -> str:
        """Make `body` the object of that name in the export's folder; return its ETag."""
        export = self._export
        request: dict[str, Any] = {
            "Bucket": export.bucket,
            "Key": export.folder + name,
            "Body": body,
            "ContentType": content_type,
        }
        if export.bucket_owner is not None:
            request["ExpectedBucketOwner"] = export.bucket_owner
        if export.sse_algorithm is not None:
            request["ServerSideEncryption"] = export.sse_algorithm
        output = await self._ground.operations.call(export.caller, self.call.scope, "s3", "PutObject", request)
        return str(output["ETag"]).strip('"')


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"
