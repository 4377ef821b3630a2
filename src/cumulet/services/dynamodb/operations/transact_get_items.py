"""TransactGetItems: up to 100 items as they are at one moment."""

from collections.abc import Mapping, Sequence
from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.capacity import Units, read_units
from cumulet.services.dynamodb.core.item_codec import decode_item, stored_bytes, stored_json
from cumulet.services.dynamodb.core.limits import TRANSACTION_BYTES_MAX
from cumulet.services.dynamodb.core.values import canonical_item, invalid
from cumulet.services.dynamodb.items import locate
from cumulet.services.dynamodb.operations.requests import read_projection
from cumulet.services.dynamodb.operations.transact_write_items import (
    NO_REASON,
    ONGOING,
    TRANSACTION_FACTOR,
    cancel_transaction,
    reason_of,
    render_transaction_capacity,
)
from cumulet.services.dynamodb.permissions import transaction_arns, transaction_demands
from cumulet.services.dynamodb.tables import open_table
from cumulet.services.dynamodb.throttle import charge
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx


@operation(
    "TransactGetItems",
    resource=transaction_arns,
    demands=transaction_demands,
    params="TransactItems ReturnConsumedCapacity",
)
def transact_get_items(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a response for each item, an empty one for an item that is not there."""
    given: Sequence[Mapping[str, Any]] = params["TransactItems"]
    gets = [action["Get"] for action in given]
    read = [(canonical_item(get["Key"])[0], read_projection(get)) for get in gets]
    tables = [open_table(tx, call, get["TableName"]) for get in gets]
    places: list[bytes] = []
    for table, (key, _) in zip(tables, read, strict=True):
        try:
            places.append(locate(table, key))
        except ServiceError as error:
            cancel_transaction([NO_REASON] * len(places) + [reason_of(error)], len(gets))
    if len(set(places)) < len(places):
        invalid("Transaction request cannot include multiple operations on one item")
    _check_free(call, places)

    responses: list[dict[str, Any]] = []
    consumed: dict[str, Units] = {}
    total = 0
    reasons: list[Mapping[str, Any]] = []
    for get, table, place, (_, project) in zip(gets, tables, places, read, strict=True):
        stored = tx.get(place)
        size = 0 if stored is None else stored_bytes(stored)
        total += size
        if total > TRANSACTION_BYTES_MAX:
            invalid("Transaction payload size cannot exceed 4 MB")
        units = Units(read_units(size, consistent=True) * TRANSACTION_FACTOR)
        consumed.setdefault(get["TableName"], Units()).add(units)
        try:
            charge(call, table, units, writes=False, thing=place)
        except ServiceError as error:
            reasons.append(reason_of(error))
            continue
        reasons.append(NO_REASON)
        if stored is None:
            responses.append({})
        else:
            responses.append({"Item": stored_json(stored) if project is None else project(decode_item(stored))})
    if any(reason is not NO_REASON for reason in reasons):
        cancel_transaction(reasons, len(gets))
    output: dict[str, Any] = {"Responses": responses}
    if capacities := render_transaction_capacity(params.get("ReturnConsumedCapacity"), consumed, writes=False):
        output["ConsumedCapacity"] = capacities
    return output


def _check_free(call: Call, places: Sequence[bytes]) -> None:
    if call.plane is None:
        return
    held = [call.plane.transactions.is_held(place) for place in places]
    if any(held):
        cancel_transaction([ONGOING if taken else NO_REASON for taken in held], len(places))
