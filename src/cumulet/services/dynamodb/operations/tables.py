"""The control plane: making, describing, listing and deleting tables. `update_table` changes them.

A table is ready at once, but the answers that AWS gives while it works say so: CREATING, UPDATING, DELETING. With the
setting `dynamodb_delay_ms` these states last that long, by the clock that can be moved.
"""

from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.backups import keep_deleted
from cumulet.services.dynamodb.core.index_schema import (
    IndexDefinition,
    check_all_used,
    check_global_indexes,
    check_local_indexes,
    check_projected_total,
)
from cumulet.services.dynamodb.core.limits import LIST_TABLES_MAX, TABLE_NAME_CHARACTERS_MIN
from cumulet.services.dynamodb.core.schema import check_billing, check_definitions, check_key_alone, check_key_schema
from cumulet.services.dynamodb.core.values import invalid
from cumulet.services.dynamodb.core.vectors import check_vector_indexes
from cumulet.services.dynamodb.descriptions import describe_deleted, describe_table_record, mark_indexes
from cumulet.services.dynamodb.encryption import key_arn_of
from cumulet.services.dynamodb.operations.tags import read_tags
from cumulet.services.dynamodb.plane import DynamoDbPlane
from cumulet.services.dynamodb.provisioning import limit_on_demand, provision, warm
from cumulet.services.dynamodb.quotas import check_deletion, check_new_table
from cumulet.services.dynamodb.resource_policies import ResourcePolicy, check_policy, next_revision, with_policy
from cumulet.services.dynamodb.sizes import refresh_sizes
from cumulet.services.dynamodb.streams import read_specification, with_stream, without_stream
from cumulet.services.dynamodb.tables import (
    TABLES,
    Index,
    OpenTable,
    Table,
    check_name,
    erase_table_data,
    find_table,
    missing_table,
    name_of,
    refuse_in_use,
    table_arn,
)
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx


@operation(
    "CreateTable",
    resource=table_arn,
    params="TableName AttributeDefinitions KeySchema LocalSecondaryIndexes GlobalSecondaryIndexes BillingMode "
    "ProvisionedThroughput StreamSpecification SSESpecification Tags TableClass DeletionProtectionEnabled "
    "ResourcePolicy WarmThroughput OnDemandThroughput VectorIndexes",
)
async def create_table(call: Call, plane: DynamoDbPlane, params: Params) -> Output:
    """Make an empty table. It can be used at once, though the answer says CREATING as AWS's does."""
    record = read_table(call, params)
    settings = plane.ground.settings
    ready_ms = call.now_ms + settings.dynamodb_delay_ms if settings.dynamodb_delay_ms else 0
    record = msgspec.structs.replace(
        record,
        ready_ms=ready_ms,
        global_indexes=tuple([msgspec.structs.replace(index, ready_ms=ready_ms) for index in record.global_indexes]),
        collection_bytes_max=settings.dynamodb_item_collection_bytes_max,
    )
    view = read_specification(params.get("StreamSpecification"), creating=True)
    if (policy := params.get("ResourcePolicy")) is not None:
        check_policy(policy)
        await plane.ground.operations.authorize(
            call, "dynamodb:PutResourcePolicy", table_arn(call, params), service="dynamodb"
        )
    return await plane.ground.store.write(lambda tx: _create(call, tx, record, view, policy))


def read_table(call: Call, params: Params) -> Table:
    """Return the record of the table that a request defines. Raises what AWS says of a bad definition."""
    name = params["TableName"]
    check_name(name, TABLE_NAME_CHARACTERS_MIN)
    mode = params.get("BillingMode") or "PROVISIONED"
    throughput = params.get("ProvisionedThroughput")
    kinds = check_definitions(params.get("AttributeDefinitions"))
    check_billing(mode, throughput)
    hash_name, range_name = check_key_schema(params.get("KeySchema"), kinds)
    key_names = [hash_name] if range_name is None else [hash_name, range_name]
    local = check_local_indexes(params.get("LocalSecondaryIndexes"), kinds, hash_name, range_name)
    given_global = params.get("GlobalSecondaryIndexes")
    definitions = check_global_indexes(given_global, kinds, mode, local)
    others = [index.name for index in [*local, *definitions]]
    vectors = check_vector_indexes(params.get("VectorIndexes"), kinds, mode, others, len(others))
    if local or definitions or vectors:
        check_projected_total([index.non_key_attributes for index in [*local, *definitions]])
        used = [name for index in [*local, *definitions] for name in index.key_names]
        check_all_used(kinds, [*key_names, *used, *(name for index in vectors for name in index.search_names)])
    else:
        check_key_alone(kinds, key_names)
    record = Table(
        name=name,
        table_id=call.ids.uuid(),
        created_ms=call.now_ms,
        hash_name=hash_name,
        range_name=range_name,
        attributes=kinds,
        billing_mode=mode,
        on_demand_since_ms=call.now_ms if mode == "PAY_PER_REQUEST" else None,
        deletion_protection=bool(params.get("DeletionProtectionEnabled")),
        table_class=params.get("TableClass"),
        kms_key_arn=key_arn_of(call.scope, params.get("SSESpecification")),
        tags=read_tags(params.get("Tags") or []),
        local_indexes=tuple([make_index(index, number) for number, index in enumerate(local, 1)]),
        global_indexes=tuple(
            [
                equip_index(make_index(index, number), given, mode)
                for number, (index, given) in enumerate(
                    zip(definitions, given_global or (), strict=True), len(local) + 1
                )
            ]
        ),
        indexes_made=len(local) + len(definitions) + len(vectors),
        vector_indexes=tuple(vectors),
    )
    record = limit_on_demand(provision(record, throughput), params.get("OnDemandThroughput"), mode, creating=True)
    return warm(record, params.get("WarmThroughput"), mode, creating=True)


def make_index(definition: IndexDefinition, number: int) -> Index:
    """Return the record of a new index."""
    return Index(
        name=definition.name,
        number=number,
        hash_names=definition.hash_names,
        range_names=definition.range_names,
        projection=definition.projection,
        non_key_attributes=definition.non_key_attributes,
    )


def equip_index(index: Index, given: Any, mode: str) -> Index:
    """Return an index with the throughput that its definition in a request gives it."""
    index = provision(index, given.get("ProvisionedThroughput"))
    index = limit_on_demand(index, given.get("OnDemandThroughput"), mode, creating=True)
    return warm(index, given.get("WarmThroughput"), mode, creating=True)


def _create(call: Call, tx: WriteTx, record: Table, view: str | None, policy: str | None) -> Output:
    if find_table(tx, call, record.name) is not None:
        raise ServiceError("ResourceInUseException", f"Table already exists: {record.name}")
    check_new_table(tx, call, record)
    if view is not None:
        record = with_stream(tx, call, record, view)
    if policy is not None:
        record = with_policy(tx, call, record, ResourcePolicy(policy, next_revision(call, None)))
    TABLES.save(tx, call.scope, record.name, record=record)
    description = describe_table_record(tx, OpenTable(call.scope, record), call.now_ms, "CREATING")
    mark_indexes(description, "CREATING", [index.name for index in record.global_indexes])
    for index in description.get("VectorIndexes", ()):
        index["IndexStatus"] = "CREATING"
    # What AWS tells only afterwards.
    description.get("BillingModeSummary", {}).pop("LastUpdateToPayPerRequestDateTime", None)
    if not record.warm_read and not record.warm_write:
        del description["WarmThroughput"]
    return {"TableDescription": description}


@operation("DescribeTable", resource=table_arn, params="TableName")
async def describe_table(call: Call, plane: DynamoDbPlane, params: Params) -> Output:
    """Return what the control plane knows about one table. What lies in a large one may be counted for it."""
    given, store = params["TableName"], plane.ground.store
    await refresh_sizes(store, call, name_of(call, given))
    return await store.read(
        lambda tx: {"Table": describe_table_record(tx, get_table(call, tx, given), call.now_ms)},
    )


@operation("ListTables", resource="*", params="ExclusiveStartTableName Limit")
def list_tables(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the names of the tables, in order, a page at a time."""
    start = params.get("ExclusiveStartTableName")
    limit = params.get("Limit") or LIST_TABLES_MAX
    behind = None if start is None else (start,)
    names: list[str] = []
    for record in TABLES.scan(tx, call.scope, behind=behind):
        if 0 < record.gone_ms <= call.now_ms:
            continue
        if len(names) == limit:
            return {"TableNames": names, "LastEvaluatedTableName": names[-1]}
        names.append(record.name)
    return {"TableNames": names}


@operation("DeleteTable", resource=table_arn, params="TableName")
async def delete_table(call: Call, plane: DynamoDbPlane, params: Params) -> Output:
    """Remove a table and all that lies in it. With point-in-time recovery on, a system backup is left."""
    given, store, delay_ms = params["TableName"], plane.ground.store, plane.ground.settings.dynamodb_delay_ms
    if await store.read(lambda tx: get_table(call, tx, given).record.recovery_since_ms):
        await refresh_sizes(store, call, name_of(call, given))  # the backup tells how much it holds
    return await store.write(lambda tx: _delete(call, tx, given, delay_ms))


def _delete(call: Call, tx: WriteTx, given: str, delay_ms: int) -> Output:
    table = get_table(call, tx, given)
    record = table.record
    status = record.status(call.now_ms)
    if status == "UPDATING" or record.copies or any(index.filling for index in record.global_indexes):
        raise ServiceError(
            "ResourceInUseException",
            "Attempt to change a resource which is still in use: "
            f"Table: {record.name} is in the process of being updated.",
        )
    if status != "ACTIVE":
        refuse_in_use(record, call.now_ms)
    if record.deletion_protection:
        invalid(
            "Resource cannot be deleted as it is currently protected against deletion. "
            "Disable deletion protection first."
        )
    if delay_ms:
        check_deletion(tx, call)
    description = describe_deleted(tx, table, call.now_ms)
    if record.stream is not None and record.stream.enabled:
        record = without_stream(tx, call, record)
    if keeps_items := bool(record.recovery_since_ms):
        keep_deleted(tx, call, record, description["ItemCount"], description["TableSizeBytes"])
    erase_table_data(tx, table, keeps_items=keeps_items)
    if delay_ms:
        gone = msgspec.structs.replace(record, gone_ms=call.now_ms + delay_ms)
        TABLES.save(tx, call.scope, record.name, record=gone)
    else:
        TABLES.delete(tx, call.scope, record.name)
    return {"TableDescription": description}


def get_table(call: Call, tx: ReadTx, given: str) -> OpenTable:
    """Return the table that a control plane request names. Raises ResourceNotFoundException if there is none."""
    name = name_of(call, given)
    table = find_table(tx, call, name)
    if table is None:
        missing_table(name)
    return table
