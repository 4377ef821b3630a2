"""PutItem: one whole item, in place of the one with its key."""

from cumulet.services.dynamodb.core.capacity import render_capacity
from cumulet.services.dynamodb.core.item_codec import stored_json
from cumulet.services.dynamodb.core.limits import ITEM_BYTES_MAX
from cumulet.services.dynamodb.core.values import canonical_item, invalid
from cumulet.services.dynamodb.items import check_condition, locate_item
from cumulet.services.dynamodb.operations.requests import check_return_values, read_condition, read_placeholders
from cumulet.services.dynamodb.permissions import item_conditions
from cumulet.services.dynamodb.tables import open_table, table_arn
from cumulet.services.dynamodb.writes import read_before, write_item
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import WriteTx


@operation(
    "PutItem",
    resource=table_arn,
    conditions=item_conditions,
    params="TableName Item ReturnValues ReturnConsumedCapacity ReturnItemCollectionMetrics ConditionExpression "
    "ExpressionAttributeNames ExpressionAttributeValues ReturnValuesOnConditionCheckFailure",
)
def put_item(call: Call, tx: WriteTx, params: Params) -> Output:
    """Store the item if the condition holds; return the old one if ReturnValues asks for it."""
    placeholders = read_placeholders(params, "ConditionExpression")
    item, size = canonical_item(params["Item"])
    check_return_values(params)
    if size > ITEM_BYTES_MAX:
        invalid("Item size has exceeded the maximum allowed size")
    test = read_condition(params, placeholders)
    placeholders.check_all_used()
    table = open_table(tx, call, params["TableName"])
    place = locate_item(table, item)

    wants_old = params.get("ReturnValues") == "ALL_OLD"
    level = params.get("ReturnConsumedCapacity")
    old = read_before(tx, table, place, needed=test is not None or wants_old or level is not None)
    check_condition(test, old, params)
    written = write_item(tx, call, table, place, old, item, size)

    output: dict[str, object] = {}
    if wants_old and old is not None:
        output["Attributes"] = stored_json(old)
    if (capacity := render_capacity(level, params["TableName"], written.units)) is not None:
        output["ConsumedCapacity"] = capacity
    return output
