"""UpdateItem: change an item in place, or bring it into being."""

from cumulet.services.dynamodb.core.capacity import Units, render_capacity, write_units
from cumulet.services.dynamodb.core.expressions.projections import make_projector
from cumulet.services.dynamodb.core.expressions.updates import BoundUpdate, bind_update, touches
from cumulet.services.dynamodb.core.item_codec import decode_item, stored_bytes, stored_json
from cumulet.services.dynamodb.core.limits import ITEM_BYTES_MAX
from cumulet.services.dynamodb.core.values import canonical_item, invalid, invalid_parameter
from cumulet.services.dynamodb.items import check_condition, check_index_keys, locate
from cumulet.services.dynamodb.operations.requests import read_condition, read_placeholders
from cumulet.services.dynamodb.permissions import item_conditions
from cumulet.services.dynamodb.tables import open_table, table_arn
from cumulet.services.dynamodb.writes import write_item
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import WriteTx


@operation(
    "UpdateItem",
    resource=table_arn,
    conditions=item_conditions,
    params="TableName Key ReturnValues ReturnConsumedCapacity ReturnItemCollectionMetrics UpdateExpression "
    "ConditionExpression ExpressionAttributeNames ExpressionAttributeValues ReturnValuesOnConditionCheckFailure",
)
def update_item(call: Call, tx: WriteTx, params: Params) -> Output:
    """Apply the update if the condition holds; return what ReturnValues asks for.

    Without an update expression the item comes into being with its key alone.
    """
    placeholders = read_placeholders(params, "UpdateExpression", "ConditionExpression")
    key, key_size = canonical_item(params["Key"])
    text = params.get("UpdateExpression")
    update = None if text is None else bind_update(text, placeholders)
    test = read_condition(params, placeholders)
    placeholders.check_all_used()
    table = open_table(tx, call, params["TableName"])
    place = locate(table, key)
    if update is not None and (part_of_key := touches(update.paths, table.key_names)) is not None:
        invalid_parameter(f"Cannot update attribute {part_of_key}. This attribute is part of the key")

    old = tx.get(place)
    item = {} if old is None else decode_item(old)
    check_condition(test, old, params, item)
    new: bytes | None = None
    units = Units(write_units(0, 0))
    if old is not None or update is None or update.creates:
        size = stored_bytes(old) if old is not None else key_size
        item = item or dict(key)
        if update is not None:
            size -= update.touched_bytes(item)
            update.apply(item)
            size += update.touched_bytes(item)
        if size > ITEM_BYTES_MAX:
            invalid("Item size to update has exceeded the maximum allowed size")
        if table.indexes:
            check_index_keys(table, item, updated=True)
        new, units = write_item(tx, call, table, place, old, item, size)

    output: dict[str, object] = {}
    attributes = _returned(params.get("ReturnValues"), update, old, new)
    if attributes is not None:
        output["Attributes"] = attributes
    capacity = render_capacity(params.get("ReturnConsumedCapacity"), params["TableName"], units)
    if capacity is not None:
        output["ConsumedCapacity"] = capacity
    return output


def _returned(wanted: str | None, update: BoundUpdate | None, old: bytes | None, new: bytes | None) -> object | None:
    """Return Attributes, or None. The UPDATED ones are the touched paths that lead somewhere, as AWS has it."""
    if wanted is None or wanted == "NONE":
        return None
    if wanted == "ALL_OLD":
        return None if old is None else stored_json(old)
    if wanted == "ALL_NEW":
        return None if new is None else stored_json(new)
    if update is None:
        return None
    image = new if wanted == "UPDATED_NEW" else old
    return None if image is None else make_projector(update.paths)(decode_item(image)) or None
