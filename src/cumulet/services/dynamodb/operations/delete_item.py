"""DeleteItem: one item by its key."""

from cumulet.services.dynamodb.core.capacity import render_capacity
from cumulet.services.dynamodb.core.item_codec import stored_json
from cumulet.services.dynamodb.core.values import canonical_item
from cumulet.services.dynamodb.items import check_condition, locate
from cumulet.services.dynamodb.operations.requests import check_return_values, read_condition, read_placeholders
from cumulet.services.dynamodb.permissions import item_conditions
from cumulet.services.dynamodb.tables import open_table, table_arn
from cumulet.services.dynamodb.writes import write_item
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import WriteTx


@operation(
    "DeleteItem",
    resource=table_arn,
    conditions=item_conditions,
    params="TableName Key ReturnValues ReturnConsumedCapacity ReturnItemCollectionMetrics ConditionExpression "
    "ExpressionAttributeNames ExpressionAttributeValues ReturnValuesOnConditionCheckFailure",
)
def delete_item(call: Call, tx: WriteTx, params: Params) -> Output:
    """Remove the item if the condition holds; one that is not there does not matter."""
    placeholders = read_placeholders(params, "ConditionExpression")
    key, _ = canonical_item(params["Key"])
    check_return_values(params)
    test = read_condition(params, placeholders)
    placeholders.check_all_used()
    table = open_table(tx, call, params["TableName"])
    place = locate(table, key)
    old = tx.get(place)
    check_condition(test, old, params)
    written = write_item(tx, call, table, place, old, None)

    output: dict[str, object] = {}
    if old is not None and params.get("ReturnValues") == "ALL_OLD":
        output["Attributes"] = stored_json(old)
    capacity = render_capacity(params.get("ReturnConsumedCapacity"), params["TableName"], written.units)
    if capacity is not None:
        output["ConsumedCapacity"] = capacity
    return output
