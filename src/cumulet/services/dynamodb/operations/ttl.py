"""Time to live: the setting. What it does is in `expiry`."""

from typing import Any

import msgspec

from cumulet.services.dynamodb.core.values import invalid
from cumulet.services.dynamodb.expiry import is_indexed, with_expiry, without_expiry
from cumulet.services.dynamodb.plane import DynamoDbPlane
from cumulet.services.dynamodb.tables import TABLES, OpenTable, find_table, missing_table, name_of, table_arn
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx


@operation(
    "UpdateTimeToLive",
    resource=table_arn,
    params="TableName TimeToLiveSpecification",
    missing="a change is done at once, so a second one within an hour is refused only as long as the setting "
    "`dynamodb_delay_ms` lets the first one take",
)
async def update_time_to_live(call: Call, plane: DynamoDbPlane, params: Params) -> Output:
    """Begin or cease to let items expire by the time in one of their attributes.

    AWS refuses a second change within an hour, since it is busy with the first. Here a change is done at once, unless
    the setting says how long it takes.
    """
    delay_ms = plane.ground.settings.dynamodb_delay_ms
    return await plane.ground.store.write(lambda tx: _update(call, tx, params, delay_ms))


def _update(call: Call, tx: WriteTx, params: Params, delay_ms: int) -> Output:
    table = _get(call, tx, params)
    given = params["TimeToLiveSpecification"]
    attribute, current = given["AttributeName"], table.record.expiry_attribute
    if current is not None and current != attribute:
        invalid(f"TimeToLive is active on a different AttributeName: current AttributeName is {current}")
    if given["Enabled"]:
        if current is not None:
            invalid("TimeToLive is already enabled")
        _check_idle(call, table)
        record = with_expiry(tx, call.scope, table.record, attribute)
    else:
        if current is None:
            invalid("TimeToLive is already disabled")
        _check_idle(call, table)
        record = without_expiry(tx, call.scope, table.record)
    if delay_ms:
        record = msgspec.structs.replace(record, expiry_busy_ms=call.now_ms + delay_ms)
    TABLES.save(tx, call.scope, record.name, record=record)
    return {"TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": given["Enabled"]}}


@operation("DescribeTimeToLive", resource=table_arn, params="TableName")
def describe_time_to_live(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return whether items of a table expire, and by which attribute."""
    table = _get(call, tx, params)
    if (status := table.record.status(call.now_ms)) in ("CREATING", "DELETING"):
        invalid(f"Cannot describe time to live while table is in {status} state: Current table state is {status}")
    return {"TimeToLiveDescription": render_expiry(tx, table, call.now_ms)}


def render_expiry(tx: ReadTx, table: OpenTable, now_ms: int) -> dict[str, Any]:
    """Return a TimeToLiveDescription. It says ENABLING while items of a large table are looked through."""
    attribute = table.record.expiry_attribute
    is_busy = table.record.expiry_busy_ms > now_ms
    if attribute is None:
        return {"TimeToLiveStatus": "DISABLING" if is_busy else "DISABLED"}
    return {
        "TimeToLiveStatus": "ENABLED" if is_indexed(tx, table) and not is_busy else "ENABLING",
        "AttributeName": attribute,
    }


def _check_idle(call: Call, table: OpenTable) -> None:
    if table.record.expiry_busy_ms > call.now_ms:
        invalid("Time to live has been modified multiple times within a fixed interval")


def _get(call: Call, tx: ReadTx, params: Params) -> OpenTable:
    name = name_of(call, params["TableName"])
    table = find_table(tx, call, name)
    if table is None:
        missing_table(name)
    return table
