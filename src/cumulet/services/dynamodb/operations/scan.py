"""Scan: every item of a table or an index, or of a segment of it, in the order of the partition keys' hashes."""

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.capacity import partition_count, render_capacity
from cumulet.services.dynamodb.core.expressions.conditions import bind_filter
from cumulet.services.dynamodb.core.expressions.legacy import bind_legacy_filter, check_not_mixed, check_operator_used
from cumulet.services.dynamodb.core.index_diff import IndexKeys
from cumulet.services.dynamodb.core.key_codec import segment_hashes
from cumulet.services.dynamodb.core.values import Item, invalid
from cumulet.services.dynamodb.items import locate, locate_entry
from cumulet.services.dynamodb.operations.paging import (
    find_index,
    make_fetch,
    read_page,
    read_start_key,
    read_wanted,
    render_page,
    units_of,
)
from cumulet.services.dynamodb.operations.requests import read_placeholders
from cumulet.services.dynamodb.permissions import read_conditions
from cumulet.services.dynamodb.tables import OpenTable, Source, open_table, source_arn
from cumulet.services.dynamodb.throttle import charge
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx
from cumulet.store.tuples import after, pack

_LEGACY = ("AttributesToGet", "ScanFilter", "ConditionalOperator")
_EXPRESSIONS = ("ProjectionExpression", "FilterExpression")


@operation(
    "Scan",
    resource=source_arn,
    conditions=read_conditions,
    params="TableName IndexName Limit Select ExclusiveStartKey ReturnConsumedCapacity TotalSegments Segment "
    "ProjectionExpression FilterExpression ExpressionAttributeNames ExpressionAttributeValues ConsistentRead "
    "AttributesToGet ScanFilter ConditionalOperator",
)
def scan(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of the table or index, or of one segment of a parallel scan."""
    check_not_mixed(params, _LEGACY, _EXPRESSIONS)
    check_operator_used(params, "ScanFilter")
    placeholders = read_placeholders(params, "FilterExpression", "ProjectionExpression")
    segment = _read_segment(params)
    start_key = None
    if (given := params.get("ExclusiveStartKey")) is not None:
        start_key = read_start_key(given)
    wanted = read_wanted(params, placeholders)
    if (legacy := params.get("ScanFilter")) is not None:
        test, filtered = bind_legacy_filter(legacy, params.get("ConditionalOperator"))
    else:
        test, filtered = bind_filter(params.get("FilterExpression"), placeholders)
    placeholders.check_all_used()
    table = open_table(tx, call, params["TableName"])
    index = find_index(table, call, params)
    fetch = make_fetch(tx, table, index, wanted, filtered)
    source: Source = table if index is None else index
    start, end = segment_range(source, *segment)
    if start_key is not None:
        start = _locate_start(table, index, start, end, start_key, segment) + b"\x00"

    limit = params.get("Limit")
    level = params.get("ReturnConsumedCapacity")
    billed = level is not None or table.metered
    ends = partition_ends(table, start, end, index) if billed else ()
    page = read_page(
        tx.scan(start, end, limit=limit), limit, test, wanted.project, wanted.counts_only, ends, fetch=fetch
    )
    output = render_page(page, source, wanted.counts_only)
    if billed:
        units = units_of(page, index, bool(params.get("ConsistentRead")))
        charge(call, table, units, writes=False)
        if (capacity := render_capacity(level, params["TableName"], units)) is not None:
            output["ConsumedCapacity"] = capacity
    return output


def segment_range(source: Source, segment: int, total: int) -> tuple[bytes, bytes]:
    """Return the range of stored keys of one segment."""
    first, behind = segment_hashes(segment, total)
    return source.prefix + pack((first,)), after(source.prefix) if behind is None else source.prefix + pack((behind,))


def partition_ends(table: OpenTable, start: bytes, end: bytes, index: IndexKeys | None = None) -> tuple[bytes, ...]:
    """Return the keys inside a range at which AWS's partitions of the table end. Each one bills for itself.

    A global index has partitions of its own, a local one those of its table.
    """
    record = table.record
    read, write = record.read_units, record.write_units
    if index is not None and not index.is_local:
        own = next(one for one in record.global_indexes if one.name == index.name and not one.gone_ms)
        read, write = own.read_units, own.write_units
    count = partition_count(record.billing_mode, read, write)
    source: Source = table if index is None else index
    ends = (segment_range(source, number, count)[1] for number in range(count - 1))
    return tuple([key for key in ends if start < key < end])


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


def _locate_start(
    table: OpenTable, index: IndexKeys | None, start: bytes, end: bytes, key: Item, segment: tuple[int, int]
) -> bytes:
    try:
        place = locate(table, key) if index is None else locate_entry(table, index, key)
    except ServiceError as error:
        invalid(f"The provided starting key is invalid: {error.message}")
    if not start <= place < end:
        invalid(
            "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with "
            f"correct Segment. TotalSegments: {segment[1]} Segment: {segment[0]}"
        )
    return place
