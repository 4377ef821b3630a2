"""PutItem: one whole item, in place of the one with its key."""

from cumulet.services.dynamodb.core.capacity import render_capacity
from cumulet.services.dynamodb.core.item_codec import stored_json
from cumulet.services.dynamodb.item_collections import render_collection
from cumulet.services.dynamodb.operations.item_writes import locate_write, perform_write, read_put
from cumulet.services.dynamodb.permissions import item_conditions
from cumulet.services.dynamodb.tables import open_table, table_arn
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import WriteTx


@operation(
    "PutItem",
    resource=table_arn,
    conditions=item_conditions,
    params="TableName Item Expected ReturnValues ReturnConsumedCapacity ReturnItemCollectionMetrics "
    "ConditionalOperator ConditionExpression ExpressionAttributeNames ExpressionAttributeValues "
    "ReturnValuesOnConditionCheckFailure",
)
def put_item(call: Call, tx: WriteTx, params: Params) -> Output:
    """Store the item if the condition holds; return the old one if ReturnValues asks for it."""
    write = read_put(params)
    table = open_table(tx, call, params["TableName"])
    wants_old = params.get("ReturnValues") == "ALL_OLD"
    level = params.get("ReturnConsumedCapacity")
    done = perform_write(tx, call, table, write, locate_write(table, write), wants_old or level is not None)

    output: dict[str, object] = {}
    if wants_old and done.old is not None:
        output["Attributes"] = stored_json(done.old)
    if (capacity := render_capacity(level, params["TableName"], done.units)) is not None:
        output["ConsumedCapacity"] = capacity
    metrics = render_collection(tx, table, write.item, params.get("ReturnItemCollectionMetrics"))
    if metrics is not None:
        output["ItemCollectionMetrics"] = metrics
    return output
