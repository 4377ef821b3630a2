"""BatchGetItem: up to 100 items by their keys, from any tables.

What goes beyond 16 MB, or finds no capacity left, comes back as unprocessed.
"""

from collections.abc import Mapping
from typing import Any

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.dynamodb.core.capacity import Units, read_units, render_capacity
from cumulet.services.dynamodb.core.expressions.legacy import check_not_mixed
from cumulet.services.dynamodb.core.expressions.projections import Projector
from cumulet.services.dynamodb.core.item_codec import decode_item, stored_bytes, stored_json
from cumulet.services.dynamodb.core.limits import BATCH_GET_BYTES_MAX, BATCH_GET_KEYS_MAX
from cumulet.services.dynamodb.core.values import Item, canonical_item, invalid, missing_member
from cumulet.services.dynamodb.items import locate
from cumulet.services.dynamodb.operations.requests import read_projection
from cumulet.services.dynamodb.permissions import batch_arns, batch_read_conditions
from cumulet.services.dynamodb.tables import open_table
from cumulet.services.dynamodb.throttle import charge
from cumulet.services.kit import Call, Output, Params, operation, unsupported
from cumulet.store.api import ReadTx

_SUPPORTED = frozenset(
    {"Keys", "AttributesToGet", "ConsistentRead", "ProjectionExpression", "ExpressionAttributeNames"}
)


@operation(
    "BatchGetItem",
    resource=batch_arns,
    conditions=batch_read_conditions,
    params="RequestItems ReturnConsumedCapacity",
)
def batch_get_item(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the items that are there; return as UnprocessedKeys what has to be asked for again."""
    requests: Mapping[str, Mapping[str, Any]] = params["RequestItems"]
    if not requests:
        invalid("The requestItems parameter is required for BatchGetItem")
    for name, request in requests.items():
        if request is None or request.get("Keys") is None:
            missing_member(f"requestItems.{name}.member.keys")
    if sum(len(request["Keys"]) for request in requests.values()) > BATCH_GET_KEYS_MAX:
        invalid("Too many items requested for the BatchGetItem call")
    if len(requests) > 1:
        # One way to project for all tables of a request (Parity Suite, recorded on AWS).
        together = {
            member: given for request in requests.values() for member, given in request.items() if given is not None
        }
        check_not_mixed(together, ("AttributesToGet",), ("ProjectionExpression",))
    read = {name: _read_request(request) for name, request in requests.items()}
    tables = {name: open_table(tx, call, name) for name in read}
    placed = {name: [locate(tables[name], key) for key in keys] for name, (keys, _) in read.items()}
    # A table can be named twice, by its name and by its ARN.
    if len({place for places in placed.values() for place in places}) < sum(map(len, placed.values())):
        invalid("Provided list of item keys contains duplicates")

    responses: dict[str, list[Any]] = {}
    unprocessed: dict[str, dict[str, Any]] = {}
    capacities = []
    total = done = 0
    refusal: ServiceError | None = None
    for name, places in placed.items():
        keys, project = read[name]
        consistent = bool(requests[name].get("ConsistentRead"))
        found: list[Any] = []
        left: list[Item] = []
        units = 0.0
        for key, place in zip(keys, places, strict=True):
            stored = tx.get(place)
            size = 0 if stored is None else stored_bytes(stored)
            total += size
            if total > BATCH_GET_BYTES_MAX:
                left.append(key)
                continue
            cost = read_units(size, consistent)
            try:
                charge(call, tables[name], Units(cost), writes=False, thing=place)
            except ServiceError as error:
                refusal = error
                left.append(key)
                continue
            done += 1
            units += cost
            if stored is not None:
                found.append(stored_json(stored) if project is None else project(decode_item(stored)))
        if left:
            unprocessed[name] = {**requests[name], "Keys": left}
        responses[name] = found
        capacities.append(render_capacity(params.get("ReturnConsumedCapacity"), name, units))
    if refusal is not None and not done:
        # Only if nothing at all could be done is throttling an error (API reference, BatchGetItem).
        raise refusal
    output: dict[str, Any] = {"Responses": responses, "UnprocessedKeys": unprocessed}
    if capacities[0] is not None:
        output["ConsumedCapacity"] = capacities
    return output


def _read_request(request: Mapping[str, Any]) -> tuple[list[Item], Projector | None]:
    if more := unsupported(request, _SUPPORTED):
        raise NotImplementedHere(f"The parameter {more[0]} of dynamodb:BatchGetItem")
    project = read_projection(request)
    return [canonical_item(key)[0] for key in request["Keys"]], project
