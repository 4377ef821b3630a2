"""BatchWriteItem: up to 25 puts and deletes, in any tables.

Here they happen together, but for those that find no capacity left, or their item in a transaction: these come back as
unprocessed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.capacity import Units, render_capacity
from cumulet.services.dynamodb.core.limits import BATCH_WRITE_REQUESTS_MAX, ITEM_BYTES_MAX
from cumulet.services.dynamodb.core.values import Item, canonical_item, invalid, missing_member
from cumulet.services.dynamodb.item_collections import render_collection
from cumulet.services.dynamodb.items import locate, locate_item
from cumulet.services.dynamodb.permissions import batch_arns, batch_conditions
from cumulet.services.dynamodb.tables import OpenTable, open_table
from cumulet.services.dynamodb.writes import read_before, write_item
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import WriteTx

_COME_AGAIN = frozenset(
    ("ProvisionedThroughputExceededException", "ThrottlingException", "TransactionConflictException")
)


@operation(
    "BatchWriteItem",
    resource=batch_arns,
    conditions=batch_conditions,
    params="RequestItems ReturnConsumedCapacity ReturnItemCollectionMetrics",
)
def batch_write_item(call: Call, tx: WriteTx, params: Params) -> Output:
    """Put and delete the items; return as UnprocessedItems what has to be asked for again."""
    requests: Mapping[str, Sequence[Mapping[str, Any]]] = params["RequestItems"]
    if not requests:
        invalid("The requestItems parameter is required for BatchWriteItem")
    for name, given in requests.items():
        if given is None or any(request is None for request in given):
            missing_member(f"requestItems.{name}.member")
    if sum(map(len, requests.values())) > BATCH_WRITE_REQUESTS_MAX:
        invalid("Too many items requested for the BatchWriteItem call")
    read = {name: [_read_request(request) for request in writes] for name, writes in requests.items()}
    tables = {name: open_table(tx, call, name) for name in read}
    placed = {
        name: [(_locate_put if puts else locate)(tables[name], item) for puts, item, _ in writes]
        for name, writes in read.items()
    }
    # A table can be named twice, by its name and by its ARN.
    if len({place for places in placed.values() for place in places}) < sum(map(len, placed.values())):
        invalid("Provided list of item keys contains duplicates")

    level = params.get("ReturnConsumedCapacity")
    capacities = []
    metrics: dict[str, list[dict[str, Any]]] = {}
    unprocessed: dict[str, list[Mapping[str, Any]]] = {}
    done = 0
    refusal: ServiceError | None = None
    for name, writes in read.items():
        table = tables[name]
        units = Units()
        for request, place, (puts, item, size) in zip(requests[name], placed[name], writes, strict=True):
            old = read_before(tx, table, place, needed=level is not None)
            try:
                units.add(write_item(tx, call, table, place, old, item if puts else None, size).units)
                done += 1
            except ServiceError as error:
                if error.code not in _COME_AGAIN:
                    raise
                unprocessed.setdefault(name, []).append(request)
                refusal = error
        capacities.append(render_capacity(level, name, units))
        if collections := _collections(tx, table, writes, params.get("ReturnItemCollectionMetrics")):
            metrics[name] = collections
    if refusal is not None and not done and refusal.code != "TransactionConflictException":
        # Only if nothing at all could be done is throttling an error (API reference, BatchWriteItem).
        raise refusal
    output: dict[str, Any] = {"UnprocessedItems": unprocessed}
    if capacities[0] is not None:
        output["ConsumedCapacity"] = capacities
    if metrics:
        output["ItemCollectionMetrics"] = metrics
    return output


def _locate_put(table: OpenTable, item: Item) -> bytes:
    try:
        return locate_item(table, item)
    except ServiceError:
        # The words that deletions get, not those of PutItem (Parity Suite, recorded on AWS).
        locate(table, {name: item[name] for name in table.key_names if name in item})
        raise


def _collections(
    tx: WriteTx, table: OpenTable, writes: Sequence[tuple[bool, Item, int]], wanted: str | None
) -> list[dict[str, Any]]:
    """Return ItemCollectionMetrics of the collections that were written to, each once."""
    found: list[dict[str, Any]] = []
    for _, item, _ in writes:
        metrics = render_collection(tx, table, item, wanted)
        if metrics is not None and metrics not in found:
            found.append(metrics)
    return found


def _read_request(request: Mapping[str, Any]) -> tuple[bool, Item, int]:
    """Return (whether it puts, the item or key, its size)."""
    put, delete = request.get("PutRequest"), request.get("DeleteRequest")
    if (put is None) == (delete is None):
        invalid(
            "Supplied WriteRequest is empty, must contain exactly one of PutRequest or DeleteRequest"
            if put is None
            else "Supplied WriteRequest has more than one request set, "
            "must contain exactly one of PutRequest or DeleteRequest"
        )
    if put is None:
        key, size = canonical_item(delete["Key"])  # type: ignore[index]
        return False, key, size
    item, size = canonical_item(put["Item"])
    if size > ITEM_BYTES_MAX:
        invalid("Item size has exceeded the maximum allowed size")
    return True, item, size
