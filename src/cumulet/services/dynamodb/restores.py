"""What a restored table is like: as the one it comes from, but for what a request overrides.

Not restored, as on AWS: tags, stream, TTL, point-in-time recovery, deletion protection, the resource policy. Source:
"Restoring a table from a backup", developer guide.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import msgspec

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.dynamodb.backups import backup_arn
from cumulet.services.dynamodb.core.schema import render_definitions, render_key_schema
from cumulet.services.dynamodb.core.values import invalid
from cumulet.services.dynamodb.core.vectors import VectorIndex, define_vector_index, render_vector_index
from cumulet.services.dynamodb.tables import Index, Table, TableRestore, arn_of
from cumulet.services.kit import Params

OVERRIDES = (
    "BillingModeOverride GlobalSecondaryIndexOverride LocalSecondaryIndexOverride ProvisionedThroughputOverride "
    "OnDemandThroughputOverride SSESpecificationOverride VectorIndexOverride"
)
"""The members of both requests that restore."""


def define_restored(source: Table, name: str, params: Params) -> dict[str, Any]:
    """Return the CreateTable request that makes the restored table, without its items."""
    mode = params.get("BillingModeOverride") or source.billing_mode
    provisioned = mode == "PROVISIONED"
    _check_overrides(source, params, mode)
    local = _chosen(source.local_indexes, params.get("LocalSecondaryIndexOverride"))
    chosen = _chosen(source.global_indexes, params.get("GlobalSecondaryIndexOverride"))
    global_indexes = []
    for index, given in chosen:
        definition = _define_index(index)
        if given is not None:
            definition |= {
                name: given[name] for name in ("ProvisionedThroughput", "OnDemandThroughput") if given.get(name)
            }
            if provisioned and "ProvisionedThroughput" not in definition:
                invalid(f"Invalid Request: Must specify provisioned throughput for index {index.name}")
        elif provisioned:
            definition["ProvisionedThroughput"] = _units(index)
        global_indexes.append(definition)
    used = {source.hash_name, source.range_name}
    for index, _ in (*local, *chosen):
        used.update(index.key_names)
    vectors = _chosen_vectors(source, params.get("VectorIndexOverride"))
    for vector_index in vectors:
        used.update(vector_index.search_names)
    request: dict[str, Any] = {
        "TableName": name,
        "AttributeDefinitions": render_definitions(
            {attribute: kind for attribute, kind in source.attributes.items() if attribute in used}
        ),
        "KeySchema": render_key_schema([source.hash_name], [] if source.range_name is None else [source.range_name]),
        "BillingMode": mode,
        "TableClass": source.table_class,
        "OnDemandThroughput": params.get("OnDemandThroughputOverride"),
        "SSESpecification": params.get("SSESpecificationOverride") or _encryption(source),
    }
    if (throughput := params.get("ProvisionedThroughputOverride")) is not None:
        request["ProvisionedThroughput"] = throughput
    elif provisioned and source.billing_mode == mode:
        request["ProvisionedThroughput"] = _units(source)
    if local:
        request["LocalSecondaryIndexes"] = [_define_index(index) for index, _ in local]
    if global_indexes:
        request["GlobalSecondaryIndexes"] = global_indexes
    if vectors:
        request["VectorIndexes"] = [render_vector_index(index) for index in vectors]
    return request


def _check_overrides(source: Table, params: Params, mode: str) -> None:
    """Raise ValidationException for a throughput that does not go with the restored table's billing mode."""
    overridden, throughput = params.get("BillingModeOverride"), params.get("ProvisionedThroughputOverride")
    problem = ""
    if throughput is not None and overridden == "PAY_PER_REQUEST":
        problem = "Cannot override ProvisionedThroughput if BillingMode is overridden to PAY_PER_REQUEST"
    elif throughput is not None and mode == "PAY_PER_REQUEST":
        problem = "Cannot override ProvisionedThroughput unless BillingMode is PROVISIONED"
    elif throughput is None and overridden == "PROVISIONED" != source.billing_mode:
        problem = "Must override ProvisionedThroughput if BillingMode is overridden to PROVISIONED"
    elif mode == "PROVISIONED":
        for name in ("MaxReadRequestUnits", "MaxWriteRequestUnits"):
            if (params.get("OnDemandThroughputOverride") or {}).get(name) is not None:
                problem = f"Cannot override {name} for OnDemandThroughput unless BillingModeOverride is PAY_PER_REQUEST"
                break
    if problem:
        invalid(f"Invalid Request: {problem}")


def render_restore(scope: Scope, restore: TableRestore) -> dict[str, Any]:
    """Return a RestoreSummary."""
    summary: dict[str, Any] = {
        "SourceTableArn": arn_of(scope, restore.source_table),
        "RestoreDateTime": restore.at_ms / 1000,
        "RestoreInProgress": restore.in_progress,
    }
    if restore.backup_id:
        summary["SourceBackupArn"] = backup_arn(scope, restore.source_table, restore.backup_id)
    return summary


def refuse_existing(name: str) -> ServiceError:
    """Return what AWS says of a restore to a table that is there."""
    return ServiceError("TableAlreadyExistsException", f"Table already exists: {name}")


def _chosen(
    indexes: Iterable[Index], given: Sequence[Mapping[str, Any]] | None
) -> list[tuple[Index, Mapping[str, Any] | None]]:
    """Return the indexes to restore: all, or those that an override names and describes as they are."""
    kept = [index for index in indexes if not index.gone_ms]
    if given is None:
        return [(index, None) for index in kept]
    by_name = {index.name: index for index in kept}
    chosen: list[tuple[Index, Mapping[str, Any] | None]] = []
    for override in given:
        index = by_name.get(override["IndexName"])
        if index is None or not _is_same(index, override):
            _no_such_index(override["IndexName"])
        chosen.append((index, override))
    return chosen


def _chosen_vectors(source: Table, given: Sequence[Mapping[str, Any]] | None) -> Sequence[VectorIndex]:
    """Return the vector indexes to restore, chosen as `_chosen` does."""
    if given is None:
        return source.vector_indexes
    by_name = {index.name: msgspec.structs.replace(index, filling=False) for index in source.vector_indexes}
    chosen: list[VectorIndex] = []
    for override in given:
        index = by_name.get(override["IndexName"])
        if index is None or define_vector_index(override, source.attributes, index.number) != index:
            _no_such_index(override["IndexName"])
        chosen.append(index)
    return chosen


def _no_such_index(name: str) -> NoReturn:
    invalid(
        f"Invalid Request: Index {name} does not match a secondary index that existed in the source table and cannot "
        "be created during the restore operation"
    )


def _is_same(index: Index, override: Mapping[str, Any]) -> bool:
    definition = _define_index(index)
    return all(override[member] == definition[member] for member in ("KeySchema", "Projection"))


def _define_index(index: Index) -> dict[str, Any]:
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


def _encryption(source: Table) -> dict[str, Any] | None:
    if source.kms_key_arn is None:
        return None
    return {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": source.kms_key_arn}


def with_source_limits(record: Table, source: Table, params: Params) -> Table:
    """Return the restored record with the limits of the source that CreateTable's request cannot say."""
    record = msgspec.structs.replace(record, collection_bytes_max=source.collection_bytes_max)
    if params.get("OnDemandThroughputOverride") is None and record.billing_mode == "PAY_PER_REQUEST":
        record = msgspec.structs.replace(record, read_limit=source.read_limit, write_limit=source.write_limit)
    return record
