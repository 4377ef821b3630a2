"""Time to live: the setting. What it does is in `expiry`."""

from typing import Any

from cumulet.services.dynamodb.core.values import invalid
from cumulet.services.dynamodb.expiry import is_indexed, with_expiry, without_expiry
from cumulet.services.dynamodb.tables import TABLES, OpenTable, find_table, missing_table, name_of, table_arn
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx


@operation(
    "UpdateTimeToLive",
    resource=table_arn,
    params="TableName TimeToLiveSpecification",
    missing="a second change within an hour is made, not refused",
)
def update_time_to_live(call: Call, tx: WriteTx, params: Params) -> Output:
    """Begin or cease to let items expire by the time in one of their attributes.

    AWS refuses a second change within an hour, since it is busy with the first. Here a change is done at once.
    """
    table = _get(call, tx, params)
    given = params["TimeToLiveSpecification"]
    attribute, current = given["AttributeName"], table.record.expiry_attribute
    if current is not None and current != attribute:
        invalid(f"TimeToLive is active on a different AttributeName: current AttributeName is {current}")
    if given["Enabled"]:
        if current is not None:
            invalid("TimeToLive is already enabled")
        record = with_expiry(tx, call.scope, table.record, attribute)
    else:
        if current is None:
            invalid("TimeToLive is already disabled")
        record = without_expiry(tx, call.scope, table.record)
    TABLES.save(tx, call.scope, record.name, record=record)
    return {"TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": given["Enabled"]}}


@operation("DescribeTimeToLive", resource=table_arn, params="TableName")
def describe_time_to_live(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return whether items of a table expire, and by which attribute."""
    return {"TimeToLiveDescription": render_expiry(tx, _get(call, tx, params))}


def render_expiry(tx: ReadTx, table: OpenTable) -> dict[str, Any]:
    """Return a TimeToLiveDescription. It says ENABLING while items of a large table are looked through."""
    attribute = table.record.expiry_attribute
    if attribute is None:
        return {"TimeToLiveStatus": "DISABLED"}
    return {
        "TimeToLiveStatus": "ENABLED" if is_indexed(tx, table) else "ENABLING",
        "AttributeName": attribute,
    }


def _get(call: Call, tx: ReadTx, params: Params) -> OpenTable:
    name = name_of(call, params["TableName"])
    table = find_table(tx, call, name)
    if table is None:
        missing_table(name)
    return table
