"""UpdateTable: how a table is billed, its global indexes, its stream, its class and its protection.

The request is checked whole before anything is changed. A change holds at once, unless the setting `dynamodb_delay_ms`
stretches UPDATING and CREATING; a new index of a large table is filled in the background (`index_filling`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.index_schema import check_projected_total, define_global_index
from cumulet.services.dynamodb.core.limits import CLASS_CHANGES_MAX, CLASS_CHANGES_MS, GLOBAL_INDEXES_MAX
from cumulet.services.dynamodb.core.schema import check_billing, check_definitions
from cumulet.services.dynamodb.core.values import invalid, invalid_parameter
from cumulet.services.dynamodb.core.vectors import check_together, define_vector_index
from cumulet.services.dynamodb.descriptions import describe_table_record, mark_indexes
from cumulet.services.dynamodb.encryption import change_key
from cumulet.services.dynamodb.index_filling import begin_filling, stop_filling
from cumulet.services.dynamodb.operations.tables import equip_index, make_index
from cumulet.services.dynamodb.operations.update_requests import (
    CHANGES,
    Asked,
    IndexUpdate,
    one_at_a_time,
    read_request,
)
from cumulet.services.dynamodb.plane import DynamoDbPlane
from cumulet.services.dynamodb.provisioning import (
    change_throughput,
    keep_warm,
    limit_on_demand,
    provision,
    render_throughput,
    switch_to_on_demand,
    warm,
)
from cumulet.services.dynamodb.quotas import check_changed_table
from cumulet.services.dynamodb.remains import erase
from cumulet.services.dynamodb.streams import with_stream, without_stream
from cumulet.services.dynamodb.tables import (
    TABLES,
    Index,
    OpenTable,
    Table,
    find_table,
    missing_table,
    name_of,
    refuse_in_use,
    table_arn,
)
from cumulet.services.dynamodb.vector_filling import begin_vector_filling, stop_vector_filling
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import WriteTx
from cumulet.store.keyspace import DDB_INDEX_ENTRY, DDB_SIZE, DDB_VECTOR

_STAYS_ACTIVE = frozenset(("DeletionProtectionEnabled", "OnDemandThroughput", "SSESpecification", "WarmThroughput"))
"""What AWS changes without an UPDATING of the table."""


@operation("UpdateTable", resource=table_arn, params=" ".join(("TableName", "AttributeDefinitions", *CHANGES)))
async def update_table(call: Call, plane: DynamoDbPlane, params: Params) -> Output:
    """Change a table; return it as it is then, with the status that AWS shows while it works."""
    delay_ms = plane.ground.settings.dynamodb_delay_ms
    return await plane.ground.store.write(lambda tx: _update(call, tx, params, delay_ms))


def _update(call: Call, tx: WriteTx, params: Params, delay_ms: int) -> Output:
    name = name_of(call, params["TableName"])
    asked = read_request(call, params)
    table = find_table(tx, call, name)
    if table is None:
        missing_table(name)
    if table.record.status(call.now_ms) != "ACTIVE":
        refuse_in_use(table.record, call.now_ms)

    record = _without_gone_indexes(table.record, call.now_ms)
    record = _change_billing(call, record, params, asked.updates)
    record = limit_on_demand(record, params.get("OnDemandThroughput"), record.billing_mode, creating=False)
    record = warm(record, params.get("WarmThroughput"), record.billing_mode, creating=False)
    record = _change_settings(call, record, params)
    if asked.view is not None:
        record = with_stream(tx, call, record, asked.view)
    elif "StreamSpecification" in asked.changes:
        record = without_stream(tx, call, record)
    stays_active = asked.changes <= _STAYS_ACTIVE
    if not stays_active and delay_ms:
        record = msgspec.structs.replace(record, updated_ms=call.now_ms + delay_ms)
    for update in asked.updates:
        record = _change_index(call, tx, table, record, update, params, delay_ms)
    if asked.vector_update is not None:
        record = change_vector_index(call, tx, record, asked.vector_update, params)
    if record.vector_indexes and record.billing_mode != "PAY_PER_REQUEST":
        invalid_parameter("Vector indexes are only supported for PAY_PER_REQUEST tables")
    check_changed_table(tx, call, record, table.record)
    TABLES.save(tx, call.scope, name, record=record)

    changed = OpenTable(call.scope, record)
    description = describe_table_record(tx, changed, call.now_ms, "ACTIVE" if stays_active else "UPDATING")
    _show_work(description, table.record, asked, params, call.now_ms)
    return {"TableDescription": description}


def _show_work(description: dict[str, Any], before: Table, asked: Asked, params: Params, now_ms: int) -> None:
    """Have a description say what AWS's answer says while it works on the request."""
    for update in asked.updates:
        mark_indexes(
            description, {"Create": "CREATING", "Update": "UPDATING"}.get(update.action, "DELETING"), [update.name]
        )
    if asked.vector_update is not None and asked.vector_update.action == "Create":
        mark_indexes(description, "CREATING", [asked.vector_update.name])
    if limits := params.get("OnDemandThroughput"):
        # A limit that is taken away is said to be -1 in this answer, and to be none from then on.
        given = {name: units for name, units in limits.items() if units is not None}
        description["OnDemandThroughput"] = {**description.get("OnDemandThroughput", {}), **given}
    if "ProvisionedThroughput" in asked.changes and before.billing_mode == "PROVISIONED":
        throughput, old = description["ProvisionedThroughput"], render_throughput(before, now_ms)
        for name in ("ReadCapacityUnits", "WriteCapacityUnits", "NumberOfDecreasesToday"):
            throughput[name] = old[name]
    if "BillingMode" in asked.changes:
        description.get("BillingModeSummary", {}).pop("LastUpdateToPayPerRequestDateTime", None)
    if "SSESpecification" in asked.changes and "SSEDescription" in description:
        description["SSEDescription"]["Status"] = "UPDATING"


def change_vector_index(call: Call, tx: WriteTx, record: Table, update: IndexUpdate, params: Params) -> Table:
    """Return the record with a vector index more, filled or being filled, or with one less."""
    others = (*record.local_indexes, *record.global_indexes)
    index = next((index for index in record.vector_indexes if index.name == update.name), None)
    if update.action == "Delete":
        if index is None:
            raise ServiceError("ResourceNotFoundException", "Requested resource not found")
        erase(tx, call.scope, [(family, (record.table_id, index.number)) for family in (DDB_SIZE, DDB_VECTOR)])
        stop_vector_filling(tx, call.scope, record, index)
        rest = tuple([one for one in record.vector_indexes if one is not index])
        return _forget_attributes(msgspec.structs.replace(record, vector_indexes=rest))
    if index is not None or any(update.name == other.name for other in others):
        invalid("Attempting to create an index which already exists")
    if any(one.filling for one in record.vector_indexes):
        one_at_a_time()
    kinds = check_definitions(params.get("AttributeDefinitions") or ())
    number = record.indexes_made + 1
    index = define_vector_index(update.given, kinds, number)
    _check_same_kinds(record, index.search_names, kinds)
    attributes = {**record.attributes, **{name: kinds[name] for name in index.search_names}}
    check_together([*record.vector_indexes, index], attributes)
    record = msgspec.structs.replace(
        record, vector_indexes=(*record.vector_indexes, index), attributes=attributes, indexes_made=number
    )
    if begin_vector_filling(tx, OpenTable(call.scope, record), index):
        return record
    filling = msgspec.structs.replace(index, filling=True)
    return msgspec.structs.replace(record, vector_indexes=(*record.vector_indexes[:-1], filling))


def _without_gone_indexes(record: Table, now_ms: int) -> Table:
    """Return the record without the indexes whose DELETING is over."""
    if not any(0 < index.gone_ms <= now_ms for index in record.global_indexes):
        return record
    stay = tuple([index for index in record.global_indexes if not 0 < index.gone_ms <= now_ms])
    return msgspec.structs.replace(record, global_indexes=stay)


def _change_billing(call: Call, record: Table, params: Params, updates: Sequence[IndexUpdate]) -> Table:
    """Return the record with its new billing mode and throughput."""
    mode, throughput = params.get("BillingMode"), params.get("ProvisionedThroughput")
    if mode is None and throughput is None:
        return record
    target = mode or record.billing_mode
    if target == "PAY_PER_REQUEST":
        check_billing(target, throughput)  # units alone do not say what the mode is
        return record if record.billing_mode == target else switch_to_on_demand(record, call.now_ms)
    if record.billing_mode == target:
        return record if throughput is None else change_throughput(record, throughput, call.now_ms)
    provisioned = {update.name for update in updates if update.given.get("ProvisionedThroughput") is not None}
    for index in record.global_indexes:
        if index.name not in provisioned and not index.gone_ms:
            invalid_parameter(f"ProvisionedThroughput must be specified for index: {index.name}")
    # On-demand limits end with the mode in which they hold.
    return msgspec.structs.replace(
        provision(keep_warm(record, record.billing_mode), throughput),
        billing_mode=target,
        read_limit=None,
        write_limit=None,
        global_indexes=tuple(
            [
                msgspec.structs.replace(keep_warm(index, record.billing_mode), read_limit=None, write_limit=None)
                for index in record.global_indexes
            ]
        ),
    )


def _change_settings(call: Call, record: Table, params: Params) -> Table:
    if (table_class := params.get("TableClass")) is not None:
        record = _change_class(record, table_class, call.now_ms)
    if (protected := params.get("DeletionProtectionEnabled")) is not None:
        record = msgspec.structs.replace(record, deletion_protection=protected)
    if (encryption := params.get("SSESpecification")) is not None:
        record = change_key(call.scope, record, encryption, call.now_ms)
    return record


def _change_class(record: Table, table_class: str, now_ms: int) -> Table:
    recent = tuple([moment for moment in record.class_changes_ms if now_ms - moment < CLASS_CHANGES_MS])
    if len(recent) >= CLASS_CHANGES_MAX:
        raise ServiceError(
            "LimitExceededException",
            f"Subscriber limit exceeded: Updates to TableClass are limited to {CLASS_CHANGES_MAX} times in "
            f"{CLASS_CHANGES_MS // (24 * 60 * 60 * 1000)} day(s).",
        )
    if table_class == record.table_class:
        return record
    changes = table_class != (record.table_class or "STANDARD")
    return msgspec.structs.replace(
        record,
        table_class=table_class,
        table_class_since_ms=now_ms,
        class_changes_ms=(*recent, now_ms) if changes else recent,
    )


def _change_index(
    call: Call, tx: WriteTx, table: OpenTable, record: Table, update: IndexUpdate, params: Params, delay_ms: int
) -> Table:
    mode = record.billing_mode
    if update.action == "Create":
        return _create_index(call, tx, table, record, update, params, delay_ms)
    index = next((index for index in record.global_indexes if index.name == update.name and not index.gone_ms), None)
    if index is None:
        if any(update.name == local.name for local in record.local_indexes):
            invalid(f"Cannot {update.action.lower()} an index that is not a GlobalSecondaryIndex: {update.name}")
        raise ServiceError(
            "ResourceNotFoundException",
            f"Requested resource not found: Index {update.name} for table {record.name}",
        )
    if update.action == "Update":
        changed = index
        if (throughput := update.given.get("ProvisionedThroughput")) is not None:
            if mode == "PAY_PER_REQUEST":
                invalid_parameter(
                    f"The only Updates for index: {update.name} when TableThroughputMode is PAY_PER_REQUEST can be to "
                    "OnDemandThroughput, WarmThroughput"
                )
            was_provisioned = table.record.billing_mode == "PROVISIONED"
            changed = (
                change_throughput(index, throughput, call.now_ms) if was_provisioned else provision(index, throughput)
            )
        changed = limit_on_demand(changed, update.given.get("OnDemandThroughput"), mode, creating=False)
        changed = warm(changed, update.given.get("WarmThroughput"), mode, creating=False)
        return _with_indexes(record, [changed if one is index else one for one in record.global_indexes])
    _check_none_under_way(record, call.now_ms)
    erase(tx, call.scope, [(family, (record.table_id, index.number)) for family in (DDB_SIZE, DDB_INDEX_ENTRY)])
    stop_filling(tx, call.scope, record, index)
    gone = [msgspec.structs.replace(index, gone_ms=call.now_ms + delay_ms)] if delay_ms else []
    rest = [one for one in record.global_indexes if one is not index]
    return _forget_attributes(_with_indexes(record, [*rest, *gone]))


def _create_index(
    call: Call, tx: WriteTx, table: OpenTable, record: Table, update: IndexUpdate, params: Params, delay_ms: int
) -> Table:
    others = (*record.local_indexes, *record.global_indexes)
    if any(update.name == index.name for index in others):
        invalid("Attempting to create an index which already exists")
    mode, throughput = record.billing_mode, update.given.get("ProvisionedThroughput")
    if mode == "PAY_PER_REQUEST" and throughput is not None:
        invalid_parameter(
            f"Neither ReadCapacityUnits nor WriteCapacityUnits can be specified for index: {update.name} when "
            "BillingMode is PAY_PER_REQUEST"
        )
    if mode == "PROVISIONED" and throughput is None:
        invalid_parameter(f"Both ReadCapacityUnits and WriteCapacityUnits must be specified for index: {update.name}")
    kinds = check_definitions(params.get("AttributeDefinitions") or ())
    definition = define_global_index(update.given, kinds)
    _check_same_kinds(record, definition.key_names, kinds)
    _check_none_under_way(record, call.now_ms)
    if len(record.global_indexes) >= GLOBAL_INDEXES_MAX:
        raise ServiceError(
            "LimitExceededException",
            "Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit of "
            f"{GLOBAL_INDEXES_MAX}",
        )
    check_projected_total([definition.non_key_attributes, *(index.non_key_attributes for index in others)])
    number = record.indexes_made + 1
    index = equip_index(make_index(definition, number), update.given, mode)
    if delay_ms:
        index = msgspec.structs.replace(index, ready_ms=call.now_ms + delay_ms)
    attributes = {**record.attributes, **{name: kinds[name] for name in definition.key_names}}
    record = msgspec.structs.replace(
        _with_indexes(record, [*record.global_indexes, index]), attributes=attributes, indexes_made=number
    )
    if begin_filling(tx, OpenTable(call.scope, record), index):
        return record
    filling = msgspec.structs.replace(index, filling=True)
    return _with_indexes(record, [*record.global_indexes[:-1], filling])


def _check_same_kinds(record: Table, key_names: Sequence[str], kinds: Mapping[str, str]) -> None:
    if any(record.attributes.get(name, kinds[name]) != kinds[name] for name in key_names):

        def shown(types: Mapping[str, str]) -> str:
            known = [(name, types[name]) for name in key_names if name in types]
            roles = ["HASH", *["RANGE"] * (len(known) - 1)]
            return ", ".join(f"key{{{name}:{kind}:{role}}}" for (name, kind), role in zip(known, roles, strict=True))

        invalid_parameter(
            "Attributes cannot be redefined. Please check that your attribute has the same type as previously defined. "
            f"Existing schema: Schema:[SchemaElement: {shown(record.attributes)}] "
            f"New schema: Schema:[SchemaElement: {shown(kinds)}]"
        )


def _check_none_under_way(record: Table, now_ms: int) -> None:
    if any(index.status(now_ms) != "ACTIVE" for index in record.global_indexes):
        one_at_a_time()


def _with_indexes(record: Table, indexes: Sequence[Index]) -> Table:
    return msgspec.structs.replace(record, global_indexes=tuple(indexes))


def _forget_attributes(record: Table) -> Table:
    """Return the record without the definitions of attributes that are no key any more."""
    indexes = [*record.local_indexes, *[index for index in record.global_indexes if not index.gone_ms]]
    used = {record.hash_name, record.range_name, *(name for index in indexes for name in index.key_names)}
    used.update(name for vector_index in record.vector_indexes for name in vector_index.search_names)
    return msgspec.structs.replace(
        record, attributes={name: kind for name, kind in record.attributes.items() if name in used}
    )
