"""DeleteItem: one item by its key."""

from cumulet.services.dynamodb.core.capacity import render_capacity
from cumulet.services.dynamodb.core.item_codec import stored_json
from cumulet.services.dynamodb.item_collections import render_collection
from cumulet.services.dynamodb.operations.item_writes import locate_write, perform_write, read_delete
from cumulet.services.dynamodb.permissions import item_conditions
from cumulet.services.dynamodb.tables import open_table, table_arn
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import WriteTx


@operation(
    "DeleteItem",
    resource=table_arn,
    conditions=item_conditions,
    params="TableName Key Expected ConditionalOperator ReturnValues ReturnConsumedCapacity ReturnItemCollectionMetrics "
    "ConditionExpression ExpressionAttributeNames ExpressionAttributeValues ReturnValuesOnConditionCheckFailure",
)
def delete_item(call: Call, tx: WriteTx, params: Params) -> Output:
    """Remove the item if the condition holds; one that is not there does not matter."""
    write = read_delete(params)
    table = open_table(tx, call, params["TableName"])
    done = perform_write(tx, call, table, write, locate_write(table, write), wants_old=True)

    output: dict[str, object] = {}
    if done.old is not None and params.get("ReturnValues") == "ALL_OLD":
        output["Attributes"] = stored_json(done.old)
    capacity = render_capacity(params.get("ReturnConsumedCapacity"), params["TableName"], done.units)
    if capacity is not None:
        output["ConsumedCapacity"] = capacity
    metrics = render_collection(tx, table, write.item, params.get("ReturnItemCollectionMetrics"))
    if metrics is not None:
        output["ItemCollectionMetrics"] = metrics
    return output
