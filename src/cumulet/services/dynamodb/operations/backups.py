"""On-demand backups: making, describing, listing, deleting and restoring them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.dynamodb.backups import (
    BACKUPS,
    Backup,
    backup_arn,
    get_backup,
    name_of_backup,
    new_backup_id,
    refuse_busy_backup,
    remove_backup,
)
from cumulet.services.dynamodb.copies import begin_backup, begin_restore
from cumulet.services.dynamodb.core.limits import BACKUPS_LISTED_MAX
from cumulet.services.dynamodb.core.schema import render_key_schema
from cumulet.services.dynamodb.core.values import invalid, invalid_parameter
from cumulet.services.dynamodb.descriptions import describe_table_record
from cumulet.services.dynamodb.operations.tables import read_table
from cumulet.services.dynamodb.restores import OVERRIDES, define_restored, refuse_existing, with_source_limits
from cumulet.services.dynamodb.tables import (
    Index,
    OpenTable,
    Table,
    TableRestore,
    arn_of,
    find_table,
    name_of,
    refuse_in_use,
    table_arn,
)
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx


def given_backup(call: Call, params: Params) -> str:
    """Return the ARN of the backup that a request names."""
    arn: str = params["BackupArn"]
    return arn


def restored_arns(call: Call, params: Params) -> list[str]:
    """Return the ARNs of the backup and of the table that is made of it."""
    return [params["BackupArn"], arn_of(call.scope, params["TargetTableName"])]


@operation("CreateBackup", resource=table_arn, params="TableName BackupName")
def create_backup(call: Call, tx: WriteTx, params: Params) -> Output:
    """Copy a table as it is now. A small one is copied at once, though the answer says CREATING as AWS's does."""
    name = name_of(call, params["TableName"])
    table = find_table(tx, call, name)
    if table is None or table.record.gone_ms:
        raise ServiceError("TableNotFoundException", f"Table not found: {name}")
    if table.record.status(call.now_ms) == "CREATING":
        refuse_in_use(table.record, call.now_ms)
    backup = Backup(
        id=new_backup_id(call),
        name=params["BackupName"],
        table=table.record,
        created_ms=call.now_ms,
        status="CREATING",
    )
    made = begin_backup(tx, call, table, backup)
    return {"BackupDetails": {**_render_details(call.scope, made), "BackupStatus": "CREATING"}}


@operation("DescribeBackup", resource=given_backup, params="BackupArn")
def describe_backup(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a backup and what its table was like."""
    return {"BackupDescription": _describe(call.scope, get_backup(tx, call, params["BackupArn"]))}


@operation("DeleteBackup", resource=given_backup, params="BackupArn")
def delete_backup(call: Call, tx: WriteTx, params: Params) -> Output:
    """Remove a backup."""
    arn = params["BackupArn"]
    backup = get_backup(tx, call, arn)
    if backup.kind == "SYSTEM":
        # How AWS writes the moment is not known.
        moment = (datetime(1970, 1, 1) + timedelta(milliseconds=backup.expires_ms)).isoformat(timespec="milliseconds")
        invalid(
            f"Invalid Request: User is not allowed to delete the system backup with arn {arn}. It will automatically "
            f"expire on {moment}"
        )
    if backup.status == "CREATING" or backup.restores:
        refuse_busy_backup(arn)
    remove_backup(tx, call.scope, backup)
    return {"BackupDescription": _describe(call.scope, msgspec.structs.replace(backup, status="DELETED"))}


@operation(
    "ListBackups",
    resource="*",
    params="TableName Limit TimeRangeLowerBound TimeRangeUpperBound ExclusiveStartBackupArn BackupType",
)
def list_backups(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of the backups, in the order of their tables' names and of their times."""
    limit = params.get("Limit") or BACKUPS_LISTED_MAX
    given, start = params.get("TableName"), params.get("ExclusiveStartBackupArn")
    name = None if given is None else name_of(call, given)
    lower, upper = params.get("TimeRangeLowerBound"), params.get("TimeRangeUpperBound")
    if lower is not None and upper is not None and lower > upper:
        invalid_parameter("Time range lower bound must be less than or equal to upper bound")
    behind = None if start is None else name_of_backup(call, start)
    if behind is not None and name is not None and behind[0] != name:
        invalid(f"Invalid BackupArn: {start} is not a backup of the table {name}")
    found: list[Backup] = []
    kind = params.get("BackupType") or "USER"
    for backup in _scan(tx, call.scope, name, behind):
        created = backup.created_ms / 1000
        if kind not in (backup.kind, "ALL") or backup.is_gone(call.now_ms):
            continue
        if (lower is None or created >= lower) and (upper is None or created < upper):
            found.append(backup)
        if len(found) > limit:
            break
    listed = [_summarise(call.scope, backup) for backup in found[:limit]]
    if len(found) > limit:
        return {"BackupSummaries": listed, "LastEvaluatedBackupArn": listed[-1]["BackupArn"]}
    return {"BackupSummaries": listed}


@operation(
    "RestoreTableFromBackup",
    resource=restored_arns,
    params=f"TargetTableName BackupArn {OVERRIDES}",
)
def restore_table_from_backup(call: Call, tx: WriteTx, params: Params) -> Output:
    """Make a table of a backup. A small one is there at once, though the answer says CREATING as AWS's does."""
    arn, name = params["BackupArn"], params["TargetTableName"]
    backup = get_backup(tx, call, arn)
    if backup.status != "AVAILABLE":
        refuse_busy_backup(arn)
    if find_table(tx, call, name) is not None:
        raise refuse_existing(name)
    record = read_table(call, define_restored(backup.table, name, params))
    source = TableRestore(backup.table.name, backup.table.table_id, backup.created_ms, backup.id)
    record = begin_restore(tx, call, with_source_limits(record, backup.table, params), source)
    return {"TableDescription": render_restoring(tx, call, record)}


def render_restoring(tx: ReadTx, call: Call, record: Table) -> dict[str, Any]:
    """Return the description of a table whose restore has just been asked for."""
    description = describe_table_record(tx, OpenTable(call.scope, record), call.now_ms, "CREATING")
    description["RestoreSummary"]["RestoreInProgress"] = True
    return {**description, "ItemCount": 0, "TableSizeBytes": 0}


def _scan(tx: ReadTx, scope: Scope, name: str | None, behind: tuple[str, str] | None) -> Iterator[Backup]:
    return BACKUPS.scan(tx, scope, *(() if name is None else (name,)), behind=behind)


def _render_details(scope: Scope, backup: Backup) -> dict[str, Any]:
    details: dict[str, Any] = {
        "BackupArn": backup_arn(scope, backup.table.name, backup.id),
        "BackupName": backup.name,
        "BackupSizeBytes": backup.size_bytes,
        "BackupStatus": backup.status,
        "BackupType": backup.kind,
        "BackupCreationDateTime": backup.created_ms / 1000,
    }
    if backup.expires_ms:
        details["BackupExpiryDateTime"] = backup.expires_ms / 1000
    return details


def _summarise(scope: Scope, backup: Backup) -> dict[str, Any]:
    return {
        "TableName": backup.table.name,
        "TableId": backup.table.table_id,
        "TableArn": arn_of(scope, backup.table.name),
        **_render_details(scope, backup),
    }


def _describe(scope: Scope, backup: Backup) -> dict[str, Any]:
    table = backup.table
    source: dict[str, Any] = {
        "TableName": table.name,
        "TableId": table.table_id,
        "TableArn": arn_of(scope, table.name),
        "TableSizeBytes": backup.size_bytes,
        "KeySchema": render_key_schema([table.hash_name], [] if table.range_name is None else [table.range_name]),
        "TableCreationDateTime": table.created_ms / 1000,
        "ProvisionedThroughput": _units(table),
        "ItemCount": backup.item_count,
        "BillingMode": table.billing_mode,
    }
    features: dict[str, Any] = {}
    if table.local_indexes:
        features["LocalSecondaryIndexes"] = [_describe_index(index) for index in table.local_indexes]
    if indexes := [index for index in table.global_indexes if not index.gone_ms]:
        features["GlobalSecondaryIndexes"] = [
            {**_describe_index(index), "ProvisionedThroughput": _units(index)} for index in indexes
        ]
    if table.stream is not None and table.stream.enabled:
        features["StreamDescription"] = {"StreamEnabled": True, "StreamViewType": table.stream.view}
    if table.expiry_attribute is not None:
        features["TimeToLiveDescription"] = {
            "TimeToLiveStatus": "ENABLED",
            "AttributeName": table.expiry_attribute,
        }
    if table.kms_key_arn is not None:
        features["SSEDescription"] = {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": table.kms_key_arn}
    return {
        "BackupDetails": _render_details(scope, backup),
        "SourceTableDetails": source,
        "SourceTableFeatureDetails": features,
    }


def _describe_index(index: Index) -> dict[str, Any]:
    projection: dict[str, Any] = {"ProjectionType": index.projection}
    if index.non_key_attributes:
        projection["NonKeyAttributes"] = list(index.non_key_attributes)
    return {
        "IndexName": index.name,
        "KeySchema": render_key_schema(index.hash_names, index.range_names),
        "Projection": projection,
    }


def _units(record: Table | Index) -> dict[str, int]:
    return {"ReadCapacityUnits": record.read_units, "WriteCapacityUnits": record.write_units}
