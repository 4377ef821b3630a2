"""Query: the items of one partition, in the order of their sort key."""

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.capacity import read_units, render_capacity
from cumulet.services.dynamodb.core.expressions.conditions import bind_filter
from cumulet.services.dynamodb.core.expressions.key_conditions import bind_key_conditions, match_keys
from cumulet.services.dynamodb.core.expressions.projections import bind_projection
from cumulet.services.dynamodb.core.values import Item, invalid
from cumulet.services.dynamodb.items import KeyRange, key_range, locate
from cumulet.services.dynamodb.operations.paging import (
    check_index,
    check_select,
    read_page,
    read_start_key,
    render_page,
)
from cumulet.services.dynamodb.operations.requests import read_placeholders
from cumulet.services.dynamodb.permissions import item_conditions
from cumulet.services.dynamodb.tables import OpenTable, open_table, table_arn
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx


@operation(
    "Query",
    resource=table_arn,
    conditions=item_conditions,
    params="TableName IndexName Select Limit ConsistentRead ScanIndexForward ExclusiveStartKey "
    "ReturnConsumedCapacity ProjectionExpression FilterExpression KeyConditionExpression ExpressionAttributeNames "
    "ExpressionAttributeValues",
)
def query(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of the partition that the key condition names."""
    placeholders = read_placeholders(params, "FilterExpression", "KeyConditionExpression", "ProjectionExpression")
    counts_only = check_select(params)
    if params.get("KeyConditionExpression") is None:
        invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
    start_key = None
    if (given := params.get("ExclusiveStartKey")) is not None:
        start_key = read_start_key(given)
    project = bind_projection(params.get("ProjectionExpression"), placeholders)
    test, filtered = bind_filter(params.get("FilterExpression"), placeholders)
    conditions = bind_key_conditions(params["KeyConditionExpression"], placeholders)
    placeholders.check_all_used()
    table = open_table(tx, call, params["TableName"])
    check_index(params)
    partition, sort = match_keys(conditions, table.hash_name, table.range_name)
    found = key_range(table, partition, sort)
    _check_filter(table, filtered)

    forward = params.get("ScanIndexForward") is not False
    start, end = found.start, found.end
    if start_key is not None:
        place = _locate_start(table, found, start_key)
        if forward:
            start = place + b"\x00"
        else:
            end = place
    limit = params.get("Limit")
    pairs = tx.scan(start, end, limit=limit, reverse=not forward) if start < end else ()
    page = read_page(pairs, limit, test, project, counts_only)
    output = render_page(page, table, counts_only)
    if (level := params.get("ReturnConsumedCapacity")) is not None:
        units = read_units(page.sizes[0], bool(params.get("ConsistentRead")))
        if (capacity := render_capacity(level, params["TableName"], units)) is not None:
            output["ConsumedCapacity"] = capacity
    return output


def _check_filter(table: OpenTable, filtered: set[str]) -> None:
    for name in table.key_names:
        if name in filtered:
            invalid(f"Filter Expression can only contain non-primary key attributes: Primary key attribute: {name}")


def _locate_start(table: OpenTable, found: KeyRange, key: Item) -> bytes:
    try:
        place = locate(table, key)
    except ServiceError as error:
        invalid(f"The provided starting key is invalid: {error.message}")
    if not place.startswith(found.partition):
        invalid("The provided starting key is outside query boundaries based on provided conditions")
    if not found.start <= place < found.end:
        invalid("The provided starting key does not match the range key predicate")
    return place
