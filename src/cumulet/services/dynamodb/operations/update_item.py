"""UpdateItem: change an item in place, or bring it into being."""

from cumulet.services.dynamodb.core.capacity import render_capacity
from cumulet.services.dynamodb.core.expressions.projections import make_projector
from cumulet.services.dynamodb.core.expressions.updates import BoundUpdate
from cumulet.services.dynamodb.core.item_codec import decode_item, stored_json
from cumulet.services.dynamodb.item_collections import render_collection
from cumulet.services.dynamodb.operations.item_writes import Outcome, locate_write, perform_write, read_update
from cumulet.services.dynamodb.permissions import item_conditions
from cumulet.services.dynamodb.tables import open_table, table_arn
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import WriteTx


@operation(
    "UpdateItem",
    resource=table_arn,
    conditions=item_conditions,
    params="TableName Key AttributeUpdates Expected ConditionalOperator ReturnValues ReturnConsumedCapacity "
    "ReturnItemCollectionMetrics UpdateExpression ConditionExpression ExpressionAttributeNames "
    "ExpressionAttributeValues ReturnValuesOnConditionCheckFailure",
)
def update_item(call: Call, tx: WriteTx, params: Params) -> Output:
    """Apply the update if the condition holds; return what ReturnValues asks for."""
    write = read_update(params)
    table = open_table(tx, call, params["TableName"])
    done = perform_write(tx, call, table, write, locate_write(table, write), wants_old=True)

    output: dict[str, object] = {}
    attributes = returned_attributes(params.get("ReturnValues"), write.update, done)
    if attributes is not None:
        output["Attributes"] = attributes
    capacity = render_capacity(params.get("ReturnConsumedCapacity"), params["TableName"], done.units)
    if capacity is not None:
        output["ConsumedCapacity"] = capacity
    metrics = render_collection(tx, table, write.item, params.get("ReturnItemCollectionMetrics"))
    if metrics is not None:
        output["ItemCollectionMetrics"] = metrics
    return output


def returned_attributes(wanted: str | None, update: BoundUpdate | None, done: Outcome) -> object | None:
    """Return Attributes, or None. The UPDATED ones are the touched paths that lead somewhere, as AWS has it."""
    if wanted is None or wanted == "NONE":
        return None
    if wanted == "ALL_OLD":
        return None if done.old is None else stored_json(done.old)
    if wanted == "ALL_NEW":
        return None if done.new is None else stored_json(done.new)
    if update is None:
        return None
    image = done.new if wanted == "UPDATED_NEW" else done.old
    return None if image is None else make_projector(update.paths)(decode_item(image)) or None
