"""Query: the items of one partition of a table or an index, in the order of their sort key."""

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.capacity import render_capacity
from cumulet.services.dynamodb.core.expressions.conditions import Test, bind_filter
from cumulet.services.dynamodb.core.expressions.key_conditions import (
    KeyCondition,
    bind_key_conditions,
    match_index_keys,
    match_keys,
)
from cumulet.services.dynamodb.core.expressions.legacy import (
    bind_legacy_filter,
    bind_legacy_key_conditions,
    check_not_mixed,
    check_operator_used,
)
from cumulet.services.dynamodb.core.expressions.placeholders import Placeholders
from cumulet.services.dynamodb.core.index_diff import IndexKeys
from cumulet.services.dynamodb.core.values import Item, invalid
from cumulet.services.dynamodb.items import KeyRange, key_range, key_range_of, locate, locate_entry
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

_LEGACY = ("AttributesToGet", "QueryFilter", "ConditionalOperator")
_EXPRESSIONS = ("ProjectionExpression", "FilterExpression", "KeyConditionExpression")


@operation(
    "Query",
    resource=source_arn,
    conditions=read_conditions,
    params="TableName IndexName Select Limit ConsistentRead ScanIndexForward ExclusiveStartKey ReturnConsumedCapacity "
    "ProjectionExpression FilterExpression KeyConditionExpression ExpressionAttributeNames ExpressionAttributeValues "
    "AttributesToGet QueryFilter ConditionalOperator KeyConditions",
)
def query(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of the partition that the key condition names."""
    check_not_mixed(params, _LEGACY, _EXPRESSIONS)
    # AWS lets KeyConditions stand beside other expressions: Alternator's tests, which pass on AWS, rely on it.
    check_not_mixed(params, ("KeyConditions",), ("KeyConditionExpression",))
    check_operator_used(params, "QueryFilter")
    placeholders = read_placeholders(params, "FilterExpression", "KeyConditionExpression", "ProjectionExpression")
    if params.get("KeyConditionExpression") is None and params.get("KeyConditions") is None:
        invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
    start_key = None
    if (given := params.get("ExclusiveStartKey")) is not None:
        start_key = read_start_key(given)
    wanted = read_wanted(params, placeholders)
    test, filtered = _read_filter(params, placeholders)
    conditions = _read_key_conditions(params, placeholders)
    placeholders.check_all_used()
    table = open_table(tx, call, params["TableName"])
    index = find_index(table, call, params)
    fetch = make_fetch(tx, table, index, wanted, filtered)
    source: Source = table if index is None else index
    found = _find_range(table, index, conditions)
    _check_filter(source, filtered, params)

    forward = params.get("ScanIndexForward") is not False
    start, end = found.start, found.end
    if start_key is not None:
        place = _locate_start(table, index, found, start_key)
        if forward:
            start = place + b"\x00"
        else:
            end = place
    limit = params.get("Limit")
    pairs = tx.scan(start, end, limit=limit, reverse=not forward) if start < end else ()
    page = read_page(pairs, limit, test, wanted.project, wanted.counts_only, fetch=fetch)
    if not source.range_keys and index is None:
        # A partition of one item is read to its end, and no key may start behind it.
        page = page._replace(last=None)
    output = render_page(page, source, wanted.counts_only)
    level = params.get("ReturnConsumedCapacity")
    if level is not None or table.metered:
        units = units_of(page, index, bool(params.get("ConsistentRead")))
        charge(call, table, units, writes=False)
        if (capacity := render_capacity(level, params["TableName"], units)) is not None:
            output["ConsumedCapacity"] = capacity
    return output


def _read_filter(params: Params, placeholders: Placeholders) -> tuple[Test | None, set[str]]:
    if (legacy := params.get("QueryFilter")) is not None:
        return bind_legacy_filter(legacy, params.get("ConditionalOperator"))
    return bind_filter(params.get("FilterExpression"), placeholders)


def _read_key_conditions(params: Params, placeholders: Placeholders) -> dict[str, KeyCondition]:
    if (text := params.get("KeyConditionExpression")) is not None:
        return bind_key_conditions(text, placeholders)
    conditions = bind_legacy_key_conditions(params["KeyConditions"])
    if not 1 <= len(conditions) <= 2:
        invalid("Conditions can be of length 1 or 2 only")
    return conditions


def _find_range(table: OpenTable, index: IndexKeys | None, conditions: dict[str, KeyCondition]) -> KeyRange:
    if index is None:
        return key_range(table, *match_keys(conditions, table.hash_name, table.range_name))
    hash_names = [key.name for key in index.hash_keys]
    return key_range_of(index, *match_index_keys(conditions, hash_names, [key.name for key in index.range_keys]))


def _check_filter(source: Source, filtered: set[str], params: Params) -> None:
    if not filtered:
        return
    noun = "Filter Expression" if params.get("QueryFilter") is None else "QueryFilter"
    for key in (*source.hash_keys, *source.range_keys):
        if key.name in filtered:
            invalid(f"{noun} can only contain non-primary key attributes: Primary key attribute: {key.name}")


def _locate_start(table: OpenTable, index: IndexKeys | None, found: KeyRange, key: Item) -> bytes:
    try:
        place = locate(table, key) if index is None else locate_entry(table, index, key)
    except ServiceError as error:
        invalid(f"The provided starting key is invalid: {error.message}")
    if index is None and table.range_name is None:
        shown = ", ".join(f"{kind}:{content}" for kind, content in key[table.hash_name].items())
        invalid(
            "The provided exclusive start key is invalid: ExclusiveStartKey: "
            f"{{{table.hash_name}=AttributeValue: {{{shown}}}}}"
        )
    if not place.startswith(found.partition):
        invalid("The provided starting key is outside query boundaries based on provided conditions")
    if not found.start <= place < found.end:
        invalid("The provided starting key does not match the range key predicate")
    return place
