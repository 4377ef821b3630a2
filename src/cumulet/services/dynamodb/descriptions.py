"""How the control plane describes a table: its record, its indexes, and how much lies in them."""

from collections.abc import Sequence
from typing import Any

from cumulet.services.dynamodb.core.schema import render_definitions, render_key_schema
from cumulet.services.dynamodb.core.vectors import VectorIndex, render_vector_index
from cumulet.services.dynamodb.provisioning import render_on_demand, render_throughput, warm_units
from cumulet.services.dynamodb.restores import render_restore
from cumulet.services.dynamodb.sizes import measure
from cumulet.services.dynamodb.streams import render_table_stream
from cumulet.services.dynamodb.tables import Index, OpenTable
from cumulet.store.api import ReadTx


def describe_table_record(tx: ReadTx, table: OpenTable, now_ms: int, status: str | None = None) -> dict[str, Any]:
    """Return a table's description; `status` is for the answer that AWS gives while it works on a request."""
    record = table.record
    size = measure(tx, table)
    keys = [] if record.range_name is None else [record.range_name]
    description: dict[str, Any] = {
        "AttributeDefinitions": render_definitions(record.attributes),
        "TableName": record.name,
        "KeySchema": render_key_schema([record.hash_name], keys),
        "TableStatus": status or record.status(now_ms),
        "CreationDateTime": record.created_ms / 1000,
        "ProvisionedThroughput": render_throughput(record, now_ms),
        "TableSizeBytes": size.size_bytes,
        "ItemCount": size.items,
        "TableArn": table.arn,
        "TableId": record.table_id,
        "DeletionProtectionEnabled": record.deletion_protection,
        "WarmThroughput": {**warm_units(record, record.billing_mode), "Status": "ACTIVE"},
    }
    if record.on_demand_since_ms is not None:
        description["BillingModeSummary"] = {
            "BillingMode": record.billing_mode,
            "LastUpdateToPayPerRequestDateTime": record.on_demand_since_ms / 1000,
        }
    if (limits := render_on_demand(record)) is not None:
        description["OnDemandThroughput"] = limits
    if record.kms_key_arn is not None:
        description["SSEDescription"] = {
            "Status": "ENABLED",
            "SSEType": "KMS",
            "KMSMasterKeyArn": record.kms_key_arn,
        }
    if record.table_class is not None:
        summary: dict[str, Any] = {"TableClass": record.table_class}
        if record.table_class_since_ms is not None:
            summary["LastUpdateDateTime"] = record.table_class_since_ms / 1000
        description["TableClassSummary"] = summary
    description.update(render_table_stream(table.scope, record))
    if record.restore is not None:
        description["RestoreSummary"] = render_restore(table.scope, record.restore)
    if record.local_indexes:
        description["LocalSecondaryIndexes"] = [_describe_index(tx, table, index) for index in record.local_indexes]
    if indexes := [index for index in record.global_indexes if not 0 < index.gone_ms <= now_ms]:
        description["GlobalSecondaryIndexes"] = [_describe_global(tx, table, index, now_ms) for index in indexes]
    if record.vector_indexes:
        description["VectorIndexes"] = [_describe_vector(tx, table, index) for index in record.vector_indexes]
    return description


def describe_deleted(tx: ReadTx, table: OpenTable, now_ms: int) -> dict[str, Any]:
    """Return what DeleteTable answers: AWS leaves the schema and the indexes out."""
    description = describe_table_record(tx, table, now_ms, "DELETING")
    for gone in (
        "AttributeDefinitions",
        "KeySchema",
        "CreationDateTime",
        "LocalSecondaryIndexes",
        "GlobalSecondaryIndexes",
        "VectorIndexes",
    ):
        description.pop(gone, None)
    return description


def mark_indexes(description: dict[str, Any], status: str, names: Sequence[str]) -> None:
    """Have a description say that AWS works on these global indexes."""
    for index in (*description.get("GlobalSecondaryIndexes", ()), *description.get("VectorIndexes", ())):
        if index["IndexName"] in names:
            index["IndexStatus"] = status
            if status == "CREATING" and description["TableStatus"] != "CREATING":
                index.setdefault("Backfilling", False)


def _describe_index(tx: ReadTx, table: OpenTable, index: Index) -> dict[str, Any]:
    size = measure(tx, table, index.number)
    projection: dict[str, Any] = {"ProjectionType": index.projection}
    if index.non_key_attributes:
        projection["NonKeyAttributes"] = list(index.non_key_attributes)
    return {
        "IndexName": index.name,
        "KeySchema": render_key_schema(index.hash_names, index.range_names),
        "Projection": projection,
        "IndexSizeBytes": size.size_bytes,
        "ItemCount": size.items,
        "IndexArn": f"{table.arn}/index/{index.name}",
    }


def _describe_global(tx: ReadTx, table: OpenTable, index: Index, now_ms: int) -> dict[str, Any]:
    description = _describe_index(tx, table, index)
    status = index.status(now_ms)
    description["IndexStatus"] = status
    if status == "CREATING" and table.record.status(now_ms) != "CREATING":
        # What is made with its table has nothing to be filled with.
        description["Backfilling"] = index.filling
    description["ProvisionedThroughput"] = render_throughput(index, now_ms)
    description["WarmThroughput"] = {**warm_units(index, table.record.billing_mode), "Status": status}
    if (limits := render_on_demand(index)) is not None:
        description["OnDemandThroughput"] = limits
    return description


def _describe_vector(tx: ReadTx, table: OpenTable, index: VectorIndex) -> dict[str, Any]:
    size = measure(tx, table, index.number)
    description = {
        **render_vector_index(index),
        "IndexStatus": "CREATING" if index.filling else "ACTIVE",
        "IndexSizeBytes": size.size_bytes,
        "ItemCount": size.items,
        "IndexArn": f"{table.arn}/index/{index.name}",
    }
    if index.filling:
        description["Backfilling"] = True
    return description
