"""Scan: every item of a table, or of a segment of it, in the order of the partition keys' hashes."""

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.capacity import partition_count, read_units, render_capacity
from cumulet.services.dynamodb.core.expressions.conditions import bind_filter
from cumulet.services.dynamodb.core.expressions.projections import bind_projection
from cumulet.services.dynamodb.core.key_codec import segment_hashes
from cumulet.services.dynamodb.core.values import Item, invalid
from cumulet.services.dynamodb.items import locate
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
from cumulet.store.tuples import after, pack


@operation(
    "Scan",
    resource=table_arn,
    conditions=item_conditions,
    params="TableName IndexName Limit Select ExclusiveStartKey ReturnConsumedCapacity TotalSegments Segment "
    "ProjectionExpression FilterExpression ExpressionAttributeNames ExpressionAttributeValues ConsistentRead",
)
def scan(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of the table, or of one segment of a parallel scan."""
    placeholders = read_placeholders(params, "FilterExpression", "ProjectionExpression")
    segment = _read_segment(params)
    counts_only = check_select(params)
    start_key = None
    if (given := params.get("ExclusiveStartKey")) is not None:
        start_key = read_start_key(given)
    project = bind_projection(params.get("ProjectionExpression"), placeholders)
    test, _ = bind_filter(params.get("FilterExpression"), placeholders)
    placeholders.check_all_used()
    table = open_table(tx, call, params["TableName"])
    check_index(params)
    start, end = segment_range(table, *segment)
    if start_key is not None:
        start = _locate_start(table, start, end, start_key, segment) + b"\x00"

    limit = params.get("Limit")
    level = params.get("ReturnConsumedCapacity")
    ends = () if level is None else partition_ends(table, start, end)
    page = read_page(tx.scan(start, end, limit=limit), limit, test, project, counts_only, ends)
    output = render_page(page, table, counts_only)
    if level is not None:
        consistent = bool(params.get("ConsistentRead"))
        units = sum(read_units(size, consistent) for size in page.sizes)
        if (capacity := render_capacity(level, params["TableName"], units)) is not None:
            output["ConsumedCapacity"] = capacity
    return output


def segment_range(table: OpenTable, segment: int, total: int) -> tuple[bytes, bytes]:
    """Return the range of stored keys of one segment."""
    first, behind = segment_hashes(segment, total)
    return table.prefix + pack((first,)), after(table.prefix) if behind is None else table.prefix + pack((behind,))


def _read_segment(params: Params) -> tuple[int, int]:
    segment, total = params.get("Segment"), params.get("TotalSegments")
    if segment is None and total is None:
        return 0, 1
    if total is None:
        invalid(
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is "
            "present"
        )
    if segment is None:
        invalid(
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is "
            "present"
        )
    if segment >= total:
        invalid(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
            f"Segment: {segment} is not less than TotalSegments: {total}"
        )
    return segment, total


def _locate_start(table: OpenTable, start: bytes, end: bytes, key: Item, segment: tuple[int, int]) -> bytes:
    try:
        place = locate(table, key)
    except ServiceError as error:
        invalid(f"The provided starting key is invalid: {error.message}")
    if not start <= place < end:
        invalid(
            "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with "
            f"correct Segment. TotalSegments: {segment[1]} Segment: {segment[0]}"
        )
    return place


def partition_ends(table: OpenTable, start: bytes, end: bytes) -> tuple[bytes, ...]:
    """Return the keys inside a range at which AWS's partitions of the table end. Each one bills for itself."""
    record = table.record
    count = partition_count(record.billing_mode, record.read_units, record.write_units)
    ends = (segment_range(table, number, count)[1] for number in range(count - 1))
    return tuple([key for key in ends if start < key < end])
