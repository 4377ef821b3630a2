"""GetItem: one item by its key."""

from cumulet.services.dynamodb.core.capacity import Units, read_units, render_capacity
from cumulet.services.dynamodb.core.item_codec import decode_item, stored_bytes, stored_json
from cumulet.services.dynamodb.core.values import canonical_item
from cumulet.services.dynamodb.items import locate
from cumulet.services.dynamodb.operations.requests import read_projection
from cumulet.services.dynamodb.permissions import read_conditions
from cumulet.services.dynamodb.tables import open_table, table_arn
from cumulet.services.dynamodb.throttle import charge
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx

_PLAIN = frozenset(("TableName", "Key", "ConsistentRead", "ReturnConsumedCapacity"))


@operation(
    "GetItem",
    resource=table_arn,
    conditions=read_conditions,
    params="TableName Key AttributesToGet ConsistentRead ReturnConsumedCapacity ProjectionExpression "
    "ExpressionAttributeNames",
)
def get_item(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the item, or no Item if there is none. Without a projection its stored bytes are the answer."""
    key, _ = canonical_item(params["Key"])
    project = read_projection(params) if not params.keys() <= _PLAIN else None
    table = open_table(tx, call, params["TableName"])
    stored = tx.get(locate(table, key))
    level = params.get("ReturnConsumedCapacity")
    units = 0.0
    if level is not None or table.metered:
        units = read_units(0 if stored is None else stored_bytes(stored), bool(params.get("ConsistentRead")))
        charge(call, table, Units(units), writes=False)
    output: dict[str, object] = {}
    if stored is not None:
        output["Item"] = stored_json(stored) if project is None else project(decode_item(stored))
    if (capacity := render_capacity(level, params["TableName"], units)) is not None:
        output["ConsumedCapacity"] = capacity
    return output
