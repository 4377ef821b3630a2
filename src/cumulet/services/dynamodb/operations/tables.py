"""The control plane: making, describing, changing and deleting tables.

A table is ready at once, but the answers that AWS gives while it works say so: CREATING, UPDATING, DELETING.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.item_codec import stored_bytes
from cumulet.services.dynamodb.core.key_codec import HASH_BITS
from cumulet.services.dynamodb.core.limits import LIST_TABLES_MAX, TABLE_NAME_CHARACTERS_MIN
from cumulet.services.dynamodb.core.schema import (
    check_billing,
    check_definitions,
    check_key_schema,
    render_definitions,
    render_key_schema,
)
from cumulet.services.dynamodb.core.values import invalid
from cumulet.services.dynamodb.operations.tags import read_tags
from cumulet.services.dynamodb.tables import (
    TABLES,
    OpenTable,
    Table,
    arn_of,
    check_name,
    find_table,
    missing_table,
    name_of,
    table_arn,
)
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import DDB_ITEM

COUNTED_ITEMS_MAX = 1000


@operation(
    "CreateTable",
    resource=table_arn,
    params="TableName AttributeDefinitions KeySchema BillingMode ProvisionedThroughput Tags TableClass "
    "DeletionProtectionEnabled",
)
def create_table(call: Call, tx: WriteTx, params: Params) -> Output:
    """Make an empty table. It can be used at once, though the answer says CREATING as AWS's does."""
    name = params["TableName"]
    check_name(name, TABLE_NAME_CHARACTERS_MIN)
    mode = params.get("BillingMode") or "PROVISIONED"
    throughput = params.get("ProvisionedThroughput")
    kinds = check_definitions(params.get("AttributeDefinitions"))
    check_billing(mode, throughput)
    hash_name, range_name = check_key_schema(params.get("KeySchema"), kinds)
    tags = read_tags(params.get("Tags") or [])
    if find_table(tx, call, name) is not None:
        raise ServiceError("ResourceInUseException", f"Table already exists: {name}")
    record = Table(
        name=name,
        table_id=call.ids.uuid(),
        created_ms=call.now_ms,
        hash_name=hash_name,
        range_name=range_name,
        attributes=kinds,
        billing_mode=mode,
        read_units=throughput["ReadCapacityUnits"] if throughput else 0,
        write_units=throughput["WriteCapacityUnits"] if throughput else 0,
        on_demand_since_ms=call.now_ms if mode == "PAY_PER_REQUEST" else None,
        deletion_protection=bool(params.get("DeletionProtectionEnabled")),
        table_class=params.get("TableClass"),
        tags=tags,
    )
    TABLES.save(tx, call.scope, name, record=record)
    return {"TableDescription": _render(OpenTable(call.scope, record), "CREATING", call.now_ms, 0, 0)}


@operation("DescribeTable", resource=table_arn, params="TableName")
def describe_table(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return what the control plane knows about one table."""
    table = _get(call, tx, params)
    return {"Table": _render(table, "ACTIVE", call.now_ms, *_measure(tx, table))}


@operation("ListTables", resource="*", params="ExclusiveStartTableName Limit")
def list_tables(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the names of the tables, in order, a page at a time."""
    start = params.get("ExclusiveStartTableName")
    limit = params.get("Limit") or LIST_TABLES_MAX
    behind = None if start is None else (start,)
    names = [record.name for record in TABLES.scan(tx, call.scope, behind=behind, limit=limit + 1)]
    if len(names) > limit:
        return {"TableNames": names[:limit], "LastEvaluatedTableName": names[limit - 1]}
    return {"TableNames": names}


@operation("DeleteTable", resource=table_arn, params="TableName")
def delete_table(call: Call, tx: WriteTx, params: Params) -> Output:
    """Remove a table and its items. The items go as one range: the cost does not grow with their number."""
    table = _get(call, tx, params)
    if table.record.deletion_protection:
        invalid(
            "Resource cannot be deleted as it is currently protected against deletion. "
            "Disable deletion protection first."
        )
    TABLES.delete(tx, call.scope, table.record.name)
    tx.delete_range(*DDB_ITEM.range(call.scope, table.record.table_id))
    description = _render(table, "DELETING", call.now_ms, 0, 0)
    for gone in ("AttributeDefinitions", "KeySchema", "CreationDateTime"):
        del description[gone]
    return {"TableDescription": description}


@operation(
    "UpdateTable",
    resource=table_arn,
    params="TableName AttributeDefinitions BillingMode ProvisionedThroughput TableClass DeletionProtectionEnabled",
)
def update_table(call: Call, tx: WriteTx, params: Params) -> Output:
    """Change how a table is billed, its class or its protection. The change holds at once."""
    name = name_of(call, params["TableName"])
    changes = ("BillingMode", "ProvisionedThroughput", "TableClass", "DeletionProtectionEnabled")
    if all(params.get(change) is None for change in changes):
        invalid(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or "
            "SSESpecification or ReplicaUpdates is required"
        )
    table = find_table(tx, call, name)
    if table is None:
        missing_table(name)
    record = _with_billing(call, table.record, params.get("BillingMode"), params.get("ProvisionedThroughput"))
    if (table_class := params.get("TableClass")) is not None and table_class != record.table_class:
        record = msgspec.structs.replace(record, table_class=table_class, table_class_since_ms=call.now_ms)
    if (protected := params.get("DeletionProtectionEnabled")) is not None:
        record = msgspec.structs.replace(record, deletion_protection=protected)
    TABLES.save(tx, call.scope, name, record=record)
    only_protection = all(params.get(change) is None for change in changes[:-1])
    changed = OpenTable(call.scope, record)
    status = "ACTIVE" if only_protection else "UPDATING"
    return {"TableDescription": _render(changed, status, call.now_ms, *_measure(tx, changed))}


def _with_billing(call: Call, record: Table, mode: str | None, throughput: Mapping[str, int] | None) -> Table:
    """Return the record with its new billing mode and throughput."""
    if mode is None and throughput is None:
        return record
    target = mode or record.billing_mode
    if target == "PAY_PER_REQUEST" or record.billing_mode != target or throughput is not None:
        check_billing(target, throughput)
    if target == "PAY_PER_REQUEST":
        if record.billing_mode == target:
            return record
        return msgspec.structs.replace(
            record, billing_mode=target, read_units=0, write_units=0, on_demand_since_ms=call.now_ms
        )
    if throughput is None:
        return record
    read, write = throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"]
    if record.billing_mode == target and (read, write) == (record.read_units, record.write_units):
        invalid(
            "The provisioned throughput for the table will not change. The requested value equals the current value. "
            f"Current ReadCapacityUnits provisioned for the table: {read}. Requested ReadCapacityUnits: {read}. "
            f"Current WriteCapacityUnits provisioned for the table: {write}. Requested WriteCapacityUnits: {write}. "
            "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
        )
    was_provisioned = record.billing_mode == target
    increased = was_provisioned and (read > record.read_units or write > record.write_units)
    decreased = was_provisioned and (read < record.read_units or write < record.write_units)
    return msgspec.structs.replace(
        record,
        billing_mode=target,
        read_units=read,
        write_units=write,
        increased_ms=call.now_ms if increased else record.increased_ms,
        decreased_ms=call.now_ms if decreased else record.decreased_ms,
        decreases=record.decreases_on(call.now_ms) + decreased,
    )


def _get(call: Call, tx: ReadTx, params: Params) -> OpenTable:
    name = name_of(call, params["TableName"])
    table = find_table(tx, call, name)
    if table is None:
        missing_table(name)
    return table


def _measure(tx: ReadTx, table: OpenTable) -> tuple[int, int]:
    """Return the number of items and their bytes: exact for a small table, an estimate for a large one.

    AWS refreshes these figures about every six hours and calls them approximate. Here they are never stale, and never
    cost more than reading the first items: since items lie in the order of their keys' hashes, the share of the hashes
    that those items cover tells how many there are.
    """
    start, end = DDB_ITEM.range(table.scope, table.record.table_id)
    count = size = 0
    last = b""
    for key, stored in tx.scan(start, end, limit=COUNTED_ITEMS_MAX):
        count += 1
        size += stored_bytes(stored)
        last = key
    if count < COUNTED_ITEMS_MAX:
        return count, size
    covered = int.from_bytes(DDB_ITEM.parts_of(last)[1], "big") + 1
    return (count << HASH_BITS) // covered, (size << HASH_BITS) // covered


def _render(table: OpenTable, status: str, now_ms: int, item_count: int, size_bytes: int) -> dict[str, Any]:
    record = table.record
    throughput: dict[str, Any] = {
        "NumberOfDecreasesToday": record.decreases_on(now_ms),
        "ReadCapacityUnits": record.read_units,
        "WriteCapacityUnits": record.write_units,
    }
    if record.increased_ms is not None:
        throughput["LastIncreaseDateTime"] = record.increased_ms / 1000
    if record.decreased_ms is not None:
        throughput["LastDecreaseDateTime"] = record.decreased_ms / 1000
    description: dict[str, Any] = {
        "AttributeDefinitions": render_definitions(record.attributes),
        "TableName": record.name,
        "KeySchema": render_key_schema(record.hash_name, record.range_name),
        "TableStatus": status,
        "CreationDateTime": record.created_ms / 1000,
        "ProvisionedThroughput": throughput,
        "TableSizeBytes": size_bytes,
        "ItemCount": item_count,
        "TableArn": arn_of(table.scope, record.name),
        "TableId": record.table_id,
        "DeletionProtectionEnabled": record.deletion_protection,
    }
    if record.on_demand_since_ms is not None:
        description["BillingModeSummary"] = {
            "BillingMode": record.billing_mode,
            "LastUpdateToPayPerRequestDateTime": record.on_demand_since_ms / 1000,
        }
    if record.table_class is not None:
        summary: dict[str, Any] = {"TableClass": record.table_class}
        if record.table_class_since_ms is not None:
            summary["LastUpdateDateTime"] = record.table_class_since_ms / 1000
        description["TableClassSummary"] = summary
    return description
