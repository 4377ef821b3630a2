"""SearchVectors: the items whose vectors lie nearest to one, by an exact search.

The vectors are looked at in pages, each in a transaction of its own, so that a search of many does not keep others
waiting. Like AWS's, a search is not a view of one moment.
"""

import asyncio
import heapq
import math
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.expressions.ast import And, Comparison, Condition, Path, ValueRef
from cumulet.services.dynamodb.core.expressions.grammar import parse_condition, parse_projection
from cumulet.services.dynamodb.core.expressions.placeholders import Placeholders
from cumulet.services.dynamodb.core.expressions.projections import Projector, bind_projection
from cumulet.services.dynamodb.core.item_codec import decode_item
from cumulet.services.dynamodb.core.limits import (
    VECTOR_PAGE_ENTRIES,
    VECTOR_RESPONSE_BYTES_MAX,
    VECTOR_RESULTS_MAX,
    VECTOR_WRITE_BYTES_MIN,
)
from cumulet.services.dynamodb.core.values import Item, Value, equal, invalid, invalid_parameter, item_bytes
from cumulet.services.dynamodb.core.vectors import (
    Rank,
    VectorKeys,
    as_float32,
    check_search_vector,
    entry_suffix,
    make_rank,
    partition_of,
    read_entry,
    read_vector,
    render_float32,
    score_of,
)
from cumulet.services.dynamodb.operations.requests import read_placeholders
from cumulet.services.dynamodb.plane import DynamoDbPlane
from cumulet.services.dynamodb.tables import OpenTable, open_table, source_arn
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx
from cumulet.store.tuples import after

_CONDITION = "SearchConditionExpression"


class _Search(NamedTuple):
    """A search as its request has it."""

    keys: VectorKeys
    head: bytes
    """What the entries begin with that it looks at."""
    filters: Mapping[str, Value]
    rank: Rank
    top: int
    project: Projector | None


class _Found(NamedTuple):
    """An entry among the nearest. The order is that of the answer."""

    rank: float
    suffix: bytes


@operation(
    "SearchVectors",
    resource=source_arn,
    params="TableName IndexName SearchVector TopK SearchConditionExpression ProjectionExpression "
    "ExpressionAttributeNames ExpressionAttributeValues ReturnConsumedCapacity",
)
async def search_vectors(call: Call, plane: DynamoDbPlane, params: Params) -> Output:
    """Return the nearest items, the nearest first, each with its score."""
    store = plane.ground.store
    search = await store.read(partial(_read_request, call, params))
    nearest: list[_Found] = []
    position: bytes | None = search.head
    looked_at = 0
    while position is not None:
        nearest, size, position = await store.read(partial(_look, search, nearest, position))
        looked_at += size
        await asyncio.sleep(0)  # reading may have waited for nothing, and others are to have their turn
    results = await store.read(partial(_fetch, call, params, search, nearest))
    output: dict[str, Any] = {"SearchResults": results}
    if params.get("ReturnConsumedCapacity") in ("TOTAL", "INDEXES"):
        # AWS's own figure differs from call to call.
        output["ConsumedCapacity"] = {"VectorSearchRequestBytes": float(max(VECTOR_WRITE_BYTES_MIN, looked_at))}
    return output


def _read_request(call: Call, params: Params, tx: ReadTx) -> _Search:
    placeholders = read_placeholders(params, _CONDITION, "ProjectionExpression")
    count = params["TopK"]
    if count > VECTOR_RESULTS_MAX:
        invalid(
            f"Provided TopK value '{count}' is out of valid range. The value must be between 1 and "
            f"{VECTOR_RESULTS_MAX} inclusive"
        )
    text = params.get(_CONDITION)
    given = {} if text is None else _equalities(parse_condition(text, _CONDITION), placeholders)
    projection = params.get("ProjectionExpression")
    project = bind_projection(projection, placeholders)
    selected: list[str] = []
    if projection is not None:
        paths = parse_projection(projection).paths
        selected = [str(placeholders.elements(path, "ProjectionExpression")[0]) for path in paths]
    placeholders.check_all_used()
    table = open_table(tx, call, params["TableName"])
    keys = _find_index(table, params["IndexName"])
    index = keys.index
    vector = check_search_vector(index, params["SearchVector"])
    if keys.kept is not None and (missed := [name for name in selected if name not in keys.kept]):
        invalid_parameter(f"Vector index {index.name} does not project [{', '.join(dict.fromkeys(missed))}]")
    if keys.hash_key is not None and text is None:
        invalid(f"{_CONDITION} must be provided when SearchSchema has a HASH key")
    for name in given:
        if name not in index.search_names:
            invalid(
                f"{_CONDITION} must not contain any attributes that is not in SearchSchema. Invalid attribute: {name}"
            )
    head = keys.prefix
    if keys.hash_key is not None:
        partition = given.pop(keys.hash_key.name, None)
        if partition is None:
            invalid(f"Query condition missed key schema element: {keys.hash_key.name}")
        if keys.hash_key.kind not in partition:
            invalid_parameter("Condition parameter type does not match schema type")
        head += partition_of(partition)
    return _Search(keys, head, given, make_rank(index.distance, vector), count, project)


def _find_index(table: OpenTable, name: str) -> VectorKeys:
    keys = next((keys for keys in table.vectors if keys.index.name == name), None)
    if keys is None:
        invalid(f"The table does not have the specified index: {name}")
    if keys.index.filling:
        invalid(f"Cannot search backfilling vector index: {name}")
    return keys


def _equalities(tree: Condition, placeholders: Placeholders) -> dict[str, Value]:
    """Return the value that a condition gives each attribute. It has equalities only, and all of them hold."""
    found: dict[str, Value] = {}
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, And):
            waiting += (node.right, node.left)
            continue
        if not isinstance(node, Comparison) or node.operator != "=":
            invalid(f"Invalid {_CONDITION}: Invalid comparator used in {_CONDITION}")
        path, ref = (node.left, node.right) if isinstance(node.left, Path) else (node.right, node.left)
        if not isinstance(path, Path) or not isinstance(ref, ValueRef):
            invalid(f"Invalid {_CONDITION}: Invalid comparator used in {_CONDITION}")
        elements = placeholders.elements(path, _CONDITION)
        if len(elements) > 1:
            invalid(f"Invalid {_CONDITION}: Nested attributes are not supported")
        name = str(elements[0])
        if name in found:
            invalid(f"Invalid {_CONDITION}: There is more than one condition on attribute: {name}")
        found[name] = placeholders.value(ref, _CONDITION)
    return found


def _look(
    search: _Search, nearest: list[_Found], position: bytes, tx: ReadTx
) -> tuple[list[_Found], int, bytes | None]:
    """Return the nearest with those of the next entries, how many bytes were looked at, and where to go on."""
    candidates = list(nearest)
    worst = candidates[-1].rank if len(candidates) == search.top else math.inf
    size = seen = 0
    last = position
    for key, stored in tx.scan(position, after(search.head), limit=VECTOR_PAGE_ENTRIES):
        seen += 1
        last = key
        size += len(stored)
        entry = read_entry(stored)
        if search.filters and not all(
            (held := entry.filters.get(name)) is not None and equal(held, value)
            for name, value in search.filters.items()
        ):
            continue
        rank = search.rank(entry, worst)
        if rank <= worst:
            candidates.append(_Found(rank, entry_suffix(search.keys, key)))
            if len(candidates) == 2 * search.top:
                candidates = heapq.nsmallest(search.top, candidates)
                worst = candidates[-1].rank
    more = last + b"\x00" if seen == VECTOR_PAGE_ENTRIES else None
    return heapq.nsmallest(search.top, candidates), size, more


def _fetch(call: Call, params: Params, search: _Search, nearest: list[_Found], tx: ReadTx) -> list[dict[str, Any]]:
    """Return the results with what the index projects of their items."""
    table = open_table(tx, call, params["TableName"])
    results: list[dict[str, Any]] = []
    size = 0
    for found in nearest:
        stored = tx.get(table.prefix + found.suffix)
        if stored is None:
            # Deleted since it was looked at.
            continue
        item = _projected(search, decode_item(stored))
        size += item_bytes(item)
        if size > VECTOR_RESPONSE_BYTES_MAX:
            raise ServiceError("ValidationException", "The response exceeds the limit of 16 MB")
        results.append({"Item": item, "Score": as_float32(score_of(search.keys.index.distance, found.rank))})
    return results


def _projected(search: _Search, item: Item) -> Item:
    keys, name = search.keys, search.keys.index.attribute
    kept = {one: value for one, value in item.items() if keys.kept is None or one in keys.kept}
    if search.project is None:
        kept.pop(name, None)
        return kept
    vector = read_vector(kept[name]["L"]) if name in kept else None
    if vector is not None:
        # The index answers with its own copy, in its own precision.
        kept[name] = {"L": [{"N": render_float32(number)} for number in vector]}
    return search.project(kept)
