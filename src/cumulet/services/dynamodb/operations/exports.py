"""ExportTableToPointInTime, DescribeExport and ListExports. The export itself is done in the background: `exports`."""

import hashlib
import re
from typing import Any, NamedTuple

import msgspec

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.dynamodb.chores import save_chore
from cumulet.services.dynamodb.copies import count_copies
from cumulet.services.dynamodb.core.limits import (
    EXPORT_PERIOD_MS_MAX,
    EXPORT_PERIOD_MS_MIN,
    TRANSFER_TOKEN_MS,
    TRANSFERS_KEPT_MS,
    TRANSFERS_LISTED_MAX,
)
from cumulet.services.dynamodb.core.values import invalid
from cumulet.services.dynamodb.exports import DYNAMODB_HOST, EXPORTS, TRANSFERS_TOPIC, Export, export_arn, render_export
from cumulet.services.dynamodb.operations.recovery import earliest_ms
from cumulet.services.dynamodb.tables import find_table, name_of, transfer_arns
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.tokens import decode_token, encode_token
from cumulet.store.api import ReadTx, WriteTx

_EXPORT_ARN = re.compile(
    r"arn:aws[a-z-]*:dynamodb:([a-z0-9-]+):([0-9]{12}):table/([a-zA-Z0-9_.-]{1,255})/export/([0-9]+-[0-9a-f]+)"
).fullmatch


def exported_arn(call: Call, params: Params) -> str:
    """Return the ARN of the table that is exported."""
    return str(params["TableArn"])


def described_arn(call: Call, params: Params) -> str:
    """Return the ARN of the export that is described."""
    return str(params["ExportArn"])


@operation(
    "ExportTableToPointInTime",
    resource=exported_arn,
    params="TableArn ExportTime ClientToken S3Bucket S3BucketOwner S3Prefix S3SseAlgorithm ExportFormat ExportType "
    "IncrementalExportSpecification",
    missing="filtered exports; encryption with KMS, which S3 does not have here",
)
def export_table_to_point_in_time(call: Call, tx: WriteTx, params: Params) -> Output:
    """Record an export, to be done in the background. The same token and request within 8 hours mean the same one."""
    _check_type(params)
    if params.get("S3SseAlgorithm") == "KMS":
        raise NotImplementedHere("S3SseAlgorithm=KMS of dynamodb:ExportTableToPointInTime")
    arn = params["TableArn"]
    if not arn.startswith("arn:"):
        invalid("tableArn is not a valid ARN")
    table = find_table(tx, call, name_of(call, arn))
    if table is None:
        raise ServiceError("TableNotFoundException", f"Table not found: {arn}")
    record = table.record
    if not record.recovery_since_ms:
        raise ServiceError(
            "PointInTimeRecoveryUnavailableException",
            f"Point in time recovery is not enabled for table '{record.name}'",
        )
    moments = _read_increment(call, params) if _is_incremental(params) else _read_moment(call, params)
    token = params.get("ClientToken")
    digest = hashlib.sha256(msgspec.json.encode(dict(params), order="deterministic")).digest()
    if token is not None and (same := _find_same(tx, call, record.name, token)) is not None:
        if same.digest != digest:
            raise ServiceError(
                "ExportConflictException",
                f"An export with the same client token but other parameters exists: {export_arn(call, same)}",
            )
        return {"ExportDescription": render_export(call, same)}
    for name, moment_ms in (("ExportFromTime", moments.since_ms), (moments.until_name, moments.at_ms)):
        if moment_ms and not earliest_ms(record, call.now_ms) <= moment_ms <= call.now_ms:
            raise ServiceError(
                "InvalidExportTimeException",
                f"The specified {name} is outside of the point in time recovery window.",
            )
    export = Export(
        id=f"{call.now_ms:014d}-{call.ids.token(8, '0123456789abcdef')}",
        table_name=record.name,
        table_id=record.table_id,
        caller=call.principal.through(DYNAMODB_HOST),
        digest=digest,
        client_token=token,
        started_ms=call.now_ms,
        at_ms=moments.at_ms,
        since_ms=moments.since_ms,
        view=moments.view,
        bucket=params["S3Bucket"],
        bucket_owner=params.get("S3BucketOwner"),
        prefix=params.get("S3Prefix"),
        sse_algorithm=params.get("S3SseAlgorithm"),
        format=params.get("ExportFormat") or "DYNAMODB_JSON",
    )
    EXPORTS.save(tx, call.scope, record.name, export.id, record=export)
    save_chore(tx, "export", call.scope, f"{record.name}/{export.id}")
    count_copies(tx, call, table, 1)
    tx.hint(TRANSFERS_TOPIC)
    return {"ExportDescription": render_export(call, export)}


@operation("DescribeExport", resource=described_arn, params="ExportArn")
def describe_export(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return how an export stands."""
    arn = params["ExportArn"]
    match = _EXPORT_ARN(arn)
    if match is None:
        invalid("Invalid Export ARN")
    region, account, table_name, export_id = match.groups()
    export = EXPORTS.find(tx, call.scope, table_name, export_id) if (account, region) == call.scope else None
    if export is None:
        raise ServiceError("ExportNotFoundException", f"Export not found: {arn}")
    return {"ExportDescription": render_export(call, export)}


@operation("ListExports", resource=transfer_arns("export"), params="TableArn MaxResults NextToken")
def list_exports(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the exports of the last 90 days, of one table or of all, in descending order of their ARNs."""
    limit = params.get("MaxResults") or TRANSFERS_LISTED_MAX
    behind = decode_token(params.get("NextToken"), tuple[str, str], _bad_token)
    within = () if params.get("TableArn") is None else (name_of(call, params["TableArn"]),)
    found: list[Export] = []
    for export in EXPORTS.scan(tx, call.scope, *within, behind=behind, reverse=True):
        if export.started_ms > call.now_ms - TRANSFERS_KEPT_MS:
            found.append(export)
        if len(found) > limit:
            break
    output: dict[str, Any] = {
        "ExportSummaries": [
            {"ExportArn": export_arn(call, export), "ExportStatus": export.status, "ExportType": export.type}
            for export in found[:limit]
        ]
    }
    if len(found) > limit:
        output["NextToken"] = encode_token((found[limit - 1].table_name, found[limit - 1].id))
    return output


class _Moments(NamedTuple):
    """Which moment of a table is exported, or which stretch of time."""

    at_ms: int
    until_name: str
    """What the request calls that time."""
    since_ms: int = 0
    view: str = ""


def _is_incremental(params: Params) -> bool:
    return params.get("ExportType") == "INCREMENTAL_EXPORT"


def _check_type(params: Params) -> None:
    """Raise ValidationException for members of the other type of export. AWS documents the rules, not the words."""
    given = params.get("IncrementalExportSpecification") is not None
    if given != _is_incremental(params):
        negation = "not " if given else ""
        invalid(
            f"IncrementalExportSpecification must {negation}be specified when ExportType is "
            f"{params.get('ExportType') or 'FULL_EXPORT'}"
        )
    if given and params.get("ExportTime") is not None:
        invalid("ExportTime must not be specified when ExportType is INCREMENTAL_EXPORT")


def _read_moment(call: Call, params: Params) -> _Moments:
    moment = params.get("ExportTime")
    return _Moments(call.now_ms if moment is None else round(moment * 1000), "ExportTime")


def _read_increment(call: Call, params: Params) -> _Moments:
    """Return the stretch of time that a request names: its start belongs to it, its end does not."""
    given = params["IncrementalExportSpecification"]
    since, until = given.get("ExportFromTime"), given.get("ExportToTime")
    if since is None:
        invalid("ExportFromTime must be specified in IncrementalExportSpecification")
    since_ms, until_ms = round(since * 1000), call.now_ms if until is None else round(until * 1000)
    if not EXPORT_PERIOD_MS_MIN <= until_ms - since_ms <= EXPORT_PERIOD_MS_MAX:
        invalid("The export period must be at least 15 minutes and at most 24 hours long")
    return _Moments(until_ms, "ExportToTime", since_ms, given.get("ExportViewType") or "NEW_AND_OLD_IMAGES")


def _find_same(tx: ReadTx, call: Call, table_name: str, token: str) -> Export | None:
    for export in EXPORTS.scan(tx, call.scope, table_name, reverse=True):
        if export.started_ms <= call.now_ms - TRANSFER_TOKEN_MS:
            return None
        if export.client_token == token:
            return export
    return None


def _bad_token() -> ServiceError:
    return ServiceError("ValidationException", "Invalid NextToken")
