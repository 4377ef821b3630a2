"""What an export writes: its data files and its manifests, as names and bytes.

All of it depends on the export alone, so that a file written twice is the same.

Source: "DynamoDB table export output format", developer guide. The documentation shows WriteTimestampMicros as a bare
number; files that AWS wrote have it as an attribute value, as programs that read them expect.
"""

import base64
import gzip
import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from cumulet.scope import Scope
from cumulet.services.dynamodb.change_log import Changed
from cumulet.services.dynamodb.core import interchange
from cumulet.services.dynamodb.core.item_codec import decode_item
from cumulet.services.dynamodb.core.values import Item
from cumulet.services.dynamodb.exports import Export
from cumulet.services.dynamodb.tables import arn_of

Row = bytes | Changed
"""A stored item, or the change of one."""

_ENDINGS = {"DYNAMODB_JSON": "json", "ION": "ion"}
_RENDERERS = {"DYNAMODB_JSON": interchange.render_json, "ION": interchange.render_ion}


def data_key(export: Export) -> str:
    """Return the key of the next data file."""
    name = hashlib.blake2b(f"{export.id}/{len(export.files)}".encode(), digest_size=16).hexdigest()
    return f"{export.data_folder}{name}.{_ENDINGS[export.format]}.gz"


def pack_rows(export: Export, key_names: Sequence[str], rows: Sequence[Row]) -> bytes:
    """Return a data file: a line for each row, compressed."""
    render = _RENDERERS[export.format]
    lines = [render(_members(export, key_names, row)) for row in rows]
    # Without a time in its head, so that a file written twice is the same.
    return gzip.compress(b"".join(lines), compresslevel=6, mtime=0)


def _members(export: Export, key_names: Sequence[str], row: Row) -> dict[str, Item]:
    """Return what the line of a row has, each an item or like one."""
    if isinstance(row, bytes):
        return {"Item": decode_item(row)}
    old, new = (decode_item(image) if image else None for image in (row.before, row.after))
    image = new or old or {}
    members: dict[str, Item] = {
        "Metadata": {"WriteTimestampMicros": {"N": str(row.changed_ms * 1000)}},
        "Keys": {name: image[name] for name in key_names},
    }
    if old is not None and export.view == "NEW_AND_OLD_IMAGES":
        members["OldImage"] = old
    if new is not None:
        members["NewImage"] = new
    return members


def render_manifests(scope: Scope, export: Export) -> Iterator[tuple[str, bytes, str]]:
    """Yield the manifests of an export: key, bytes and content type, in the order in which they are written."""
    files = [
        {"itemCount": file.items, "md5Checksum": file.md5, "etag": file.etag, "dataFileS3Key": file.key}
        for file in export.files
    ]
    listed = b"".join([msgspec.json.encode(file) + b"\n" for file in files])
    for name, body in (
        ("manifest-files", listed),
        ("manifest-summary", msgspec.json.encode(_render_summary(scope, export))),
    ):
        yield f"{export.folder}{name}.md5", checksum(body).encode(), "text/plain"
        yield f"{export.folder}{name}.json", body, "application/json"


def checksum(body: bytes) -> str:
    """Return the MD5 of some bytes in base64, as manifests have it."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def _render_summary(scope: Scope, export: Export) -> dict[str, Any]:
    table_arn = arn_of(scope, export.table_name)
    summary: dict[str, Any] = {
        "version": "2023-08-01" if export.view else "2020-06-30",
        "exportArn": f"{table_arn}/export/{export.id}",
        "startTime": _iso(export.started_ms),
        "endTime": _iso(export.ended_ms),
        "tableArn": table_arn,
        "tableId": export.table_id,
    }
    if export.view:
        summary |= {"exportFromTime": _iso(export.since_ms), "exportToTime": _iso(export.at_ms)}
    else:
        summary["exportTime"] = _iso(export.at_ms)
    summary |= {
        "s3Bucket": export.bucket,
        "s3Prefix": export.prefix,
        "s3SseAlgorithm": export.sse_algorithm or "AES256",
        "s3SseKmsKeyId": None,
        "manifestFilesS3Key": export.folder + "manifest-files.json",
        "billedSizeBytes": export.size_bytes,
        "itemCount": export.item_count,
        "outputFormat": export.format,
    }
    if export.view:
        summary["outputView"] = export.view
    return summary | {"exportType": export.type}


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"
