"""Exports to S3: their records, and how they are described. `exporting` does them, `export_files` says what they write.

A full export is a table as it was at one moment; an incremental one is what changed between two: both are read through
the table's log of changes, while writes go on.
"""

from typing import Any

import msgspec

from cumulet.services.dynamodb.tables import arn_of
from cumulet.services.kit import Call, Principal
from cumulet.store.keyspace import DDB_EXPORT
from cumulet.store.records import Records

DYNAMODB_HOST = "dynamodb.amazonaws.com"
"""Who does a transfer, on behalf of who asked for it."""

TRANSFERS_TOPIC = "dynamodb-transfers"
"""Hints that there is an export or import to do."""


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
    """The moment that is exported; of an increment, its end."""
    bucket: str
    bucket_owner: str | None
    prefix: str | None
    sse_algorithm: str | None
    format: str
    since_ms: int = 0
    """Where an increment begins."""
    view: str = ""
    """Of an increment: NEW_IMAGE or NEW_AND_OLD_IMAGES. Empty for a full export."""
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
        """Under which key the export's manifests lie, with a slash at the end."""
        return f"{self._prefix}AWSDynamoDB/{self.id}/"

    @property
    def data_folder(self) -> str:
        """Under which key the export's data lie: increments of one prefix have one folder in common."""
        return f"{self._prefix}AWSDynamoDB/data/" if self.view else self.folder + "data/"

    @property
    def manifest_key(self) -> str:
        """The key of the manifest's summary."""
        return self.folder + "manifest-summary.json"

    @property
    def type(self) -> str:
        """The ExportType."""
        return "INCREMENTAL_EXPORT" if self.view else "FULL_EXPORT"

    @property
    def _prefix(self) -> str:
        return "" if not self.prefix else self.prefix.rstrip("/") + "/"


EXPORTS = Records(DDB_EXPORT, Export)


def render_export(call: Call, export: Export) -> dict[str, Any]:
    """Return an ExportDescription."""
    description: dict[str, Any] = {
        "ExportArn": export_arn(call, export),
        "ExportStatus": export.status,
        "StartTime": export.started_ms / 1000,
        "TableArn": arn_of(call.scope, export.table_name),
        "TableId": export.table_id,
        "ClientToken": export.client_token,
        "S3Bucket": export.bucket,
        "S3BucketOwner": export.bucket_owner,
        "S3Prefix": export.prefix,
        "S3SseAlgorithm": export.sse_algorithm or "AES256",
        "ExportFormat": export.format,
        "ExportType": export.type,
    }
    if export.view:
        description["IncrementalExportSpecification"] = {
            "ExportFromTime": export.since_ms / 1000,
            "ExportToTime": export.at_ms / 1000,
            "ExportViewType": export.view,
        }
    else:
        description["ExportTime"] = export.at_ms / 1000
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
