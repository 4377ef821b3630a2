"""Point-in-time recovery: the setting, and restoring a table as it was at a moment. How it works is in `change_log`.

AWS's latest restorable moment lies about five minutes back. Here it is now.
"""

from typing import Any, NoReturn

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.change_log import end_log
from cumulet.services.dynamodb.chores import delete_chore, save_chore
from cumulet.services.dynamodb.copies import begin_restore
from cumulet.services.dynamodb.core.limits import RECOVERY_DAYS_MAX
from cumulet.services.dynamodb.core.values import invalid
from cumulet.services.dynamodb.operations.backups import render_restoring
from cumulet.services.dynamodb.operations.tables import read_table
from cumulet.services.dynamodb.restores import OVERRIDES, define_restored, refuse_existing, with_source_limits
from cumulet.services.dynamodb.tables import (
    TABLES,
    OpenTable,
    Table,
    TableRestore,
    arn_of,
    find_table,
    name_of,
    table_arn,
)
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

_DAY_MS = 24 * 60 * 60 * 1000


def restored_arns(call: Call, params: Params) -> list[str]:
    """Return the ARNs of the table that is read and of the one that is made."""
    source = params.get("SourceTableArn") or arn_of(call.scope, params.get("SourceTableName") or "")
    return [source, arn_of(call.scope, params["TargetTableName"])]


@operation("UpdateContinuousBackups", resource=table_arn, params="TableName PointInTimeRecoverySpecification")
def update_continuous_backups(call: Call, tx: WriteTx, params: Params) -> Output:
    """Begin to keep what makes every moment restorable, or cease to and forget it."""
    table = _get(call, tx, params["TableName"])
    given = params["PointInTimeRecoverySpecification"]
    record, days = table.record, given.get("RecoveryPeriodInDays")
    if given["PointInTimeRecoveryEnabled"]:
        record = msgspec.structs.replace(
            record,
            recovery_since_ms=record.recovery_since_ms or call.now_ms,
            recovery_days=days or record.recovery_days or RECOVERY_DAYS_MAX,
        )
        save_chore(tx, "change log", call.scope, record.name)
    else:
        if days is not None:
            invalid("Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time recovery.")
        record = msgspec.structs.replace(record, recovery_since_ms=0, recovery_days=0)
        delete_chore(tx, "change log", call.scope, record.name)
        if not record.copies:
            record = end_log(tx, call.scope, record)
    TABLES.save(tx, call.scope, record.name, record=record)
    return {"ContinuousBackupsDescription": _render(record, call.now_ms)}


@operation("DescribeContinuousBackups", resource=table_arn, params="TableName")
def describe_continuous_backups(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return whether a table can be restored as it was, and between which moments."""
    return {"ContinuousBackupsDescription": _render(_get(call, tx, params["TableName"]).record, call.now_ms)}


@operation(
    "RestoreTableToPointInTime",
    resource=restored_arns,
    params=f"SourceTableArn SourceTableName TargetTableName UseLatestRestorableTime RestoreDateTime {OVERRIDES}",
)
def restore_table_to_point_in_time(call: Call, tx: WriteTx, params: Params) -> Output:
    """Make a table of another one as it was. A small one is there at once, though the answer says CREATING."""
    given = params.get("SourceTableArn") or params.get("SourceTableName")
    if given is None or (params.get("SourceTableArn") and params.get("SourceTableName")):
        invalid("Must provide exactly one of: sourceTableArn, sourceTableName")
    moment = params.get("RestoreDateTime")
    if (moment is None) == (not params.get("UseLatestRestorableTime")):
        invalid(
            "Invalid Request: Either one of RestoreDateTime or UseLatestRestorableTime must be specified, but not both"
        )
    table = _get(call, tx, given)
    source, name = table.record, params["TargetTableName"]
    if not source.recovery_since_ms:
        raise ServiceError(
            "PointInTimeRecoveryUnavailableException",
            f"Point in time recovery is not enabled for table '{source.name}'",
        )
    if find_table(tx, call, name) is not None:
        raise refuse_existing(name)
    at_ms = call.now_ms if moment is None else round(moment * 1000)
    if not earliest_ms(source, call.now_ms) <= at_ms <= call.now_ms:
        raise ServiceError(
            "InvalidRestoreTimeException",
            "An invalid restore time was specified. RestoreDateTime must be between EarliestRestorableDateTime and "
            "LatestRestorableDateTime.",
        )
    record = read_table(call, define_restored(source, name, params))
    restore = TableRestore(source.name, source.table_id, at_ms)
    record = begin_restore(tx, call, with_source_limits(record, source, params), restore)
    return {"TableDescription": render_restoring(tx, call, record)}


def earliest_ms(record: Table, now_ms: int) -> int:
    """Return the earliest moment that can be restored: a whole second, as most clients send it back."""
    return max(record.recovery_since_ms, now_ms - record.recovery_days * _DAY_MS) // 1000 * 1000


def _render(record: Table, now_ms: int) -> dict[str, Any]:
    recovery: dict[str, Any] = {"PointInTimeRecoveryStatus": "DISABLED"}
    if record.recovery_since_ms:
        recovery = {
            "PointInTimeRecoveryStatus": "ENABLED",
            "RecoveryPeriodInDays": record.recovery_days,
            "EarliestRestorableDateTime": earliest_ms(record, now_ms) // 1000,
            "LatestRestorableDateTime": now_ms // 1000,
        }
    # The API reference: continuous backups are ENABLED on all tables from their creation on.
    return {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": recovery}


def _get(call: Call, tx: ReadTx, given: str) -> OpenTable:
    name = name_of(call, given)
    table = find_table(tx, call, name)
    if table is None or table.record.gone_ms:
        _missing(name)
    return table


def _missing(name: str) -> NoReturn:
    raise ServiceError("TableNotFoundException", f"Table not found: {name}")
