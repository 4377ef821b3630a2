"""TransactWriteItems: up to 100 puts, updates, deletions and checks that all happen, or none.

AWS's order of finding fault: each action by itself (a ValidationException for all of it), the size of all, the tables;
then what the tables' keys refuse, which cancels with the first such reason; items that are named twice; items of other
transactions; in the end the items themselves, with a reason for each action.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.capacity import Units
from cumulet.services.dynamodb.core.expressions.grammar import parse_condition
from cumulet.services.dynamodb.core.limits import TRANSACTION_BYTES_MAX
from cumulet.services.dynamodb.core.values import canonical_value, invalid
from cumulet.services.dynamodb.item_collections import render_collection
from cumulet.services.dynamodb.operations.item_writes import (
    ItemWrite,
    locate_write,
    perform_write,
    read_check,
    read_delete,
    read_put,
    read_update,
)
from cumulet.services.dynamodb.permissions import transaction_arns, transaction_demands
from cumulet.services.dynamodb.plane import DynamoDbPlane
from cumulet.services.dynamodb.tables import open_table
from cumulet.services.dynamodb.throttle import charge
from cumulet.services.dynamodb.transactions import find_done, save_done
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

_CODES = {
    "ConditionalCheckFailedException": "ConditionalCheckFailed",
    "DuplicateItemException": "DuplicateItem",
    "ItemCollectionSizeLimitExceededException": "ItemCollectionSizeLimitExceeded",
    "ProvisionedThroughputExceededException": "ProvisionedThroughputExceeded",
    "ThrottlingException": "ThrottlingError",
    "TransactionConflictException": "TransactionConflict",
    "ValidationException": "ValidationError",
}
"""What an error of one action is called among the reasons (API reference, TransactWriteItems)."""
NO_REASON: Mapping[str, Any] = {"Code": "None"}
ONGOING: Mapping[str, Any] = {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
OTHER_HALF = b"commit:"
"""Before an item's place: what the second half of its cost is paid for."""
TRANSACTION_FACTOR = 2
"""Each item is written, or read, twice: to prepare and to commit ("Capacity management for transactions")."""


@operation(
    "TransactWriteItems",
    resource=transaction_arns,
    demands=transaction_demands,
    params="TransactItems ReturnConsumedCapacity ReturnItemCollectionMetrics ClientRequestToken",
)
async def transact_write_items(call: Call, plane: DynamoDbPlane, params: Params) -> Output:
    """Do all of it, once for each token."""
    given: Sequence[Mapping[str, Any]] = params["TransactItems"]
    writes = [_read_action(action or {}) for action in given]
    if sum(map(_payload_bytes, writes)) > TRANSACTION_BYTES_MAX:
        invalid("Transaction payload size cannot exceed 4 MB")
    token = params.get("ClientRequestToken")
    digest = b"" if token is None else hashlib.sha256(msgspec.json.encode(given, order="deterministic")).digest()
    units, was_done = await perform_transaction(call, plane, writes, token, digest)
    capacities = render_transaction_capacity(params.get("ReturnConsumedCapacity"), units, writes=not was_done)
    output: dict[str, Any] = {"ConsumedCapacity": capacities} if capacities else {}
    if (wanted := params.get("ReturnItemCollectionMetrics")) == "SIZE":
        metrics = await plane.ground.store.read(lambda tx: _collections(tx, call, writes, wanted))
        if metrics:
            output["ItemCollectionMetrics"] = metrics
    return output


def _collections(tx: ReadTx, call: Call, writes: Sequence[ItemWrite], wanted: str) -> dict[str, list[dict[str, Any]]]:
    """Return ItemCollectionMetrics of the collections that were written to, each once, by table."""
    found: dict[str, list[dict[str, Any]]] = {}
    for write in writes:
        name = write.params["TableName"]
        metrics = render_collection(tx, open_table(tx, call, name), write.item, wanted)
        if metrics is not None and write.kind != "ConditionCheck" and metrics not in found.get(name, ()):
            found.setdefault(name, []).append(metrics)
    return found


async def perform_transaction(
    call: Call, plane: DynamoDbPlane, writes: Sequence[ItemWrite], token: str | None, digest: bytes
) -> tuple[dict[str, Units], bool]:
    """Do all the writes or none; return what was consumed of each table, and whether it had been done before."""
    holder = call.request_id

    def run(tx: WriteTx) -> tuple[dict[str, Units], bool]:
        if token is not None and (done := find_done(tx, call.scope, token, digest, call.now_ms)) is not None:
            return done, True
        units = _write_all(tx, call, plane, writes)
        if token is not None:
            save_done(tx, call.scope, token, digest, call.now_ms, units)
        return units, False

    try:
        if token is not None:
            plane.transactions.hold_token(call.scope, token, holder)
        return await plane.ground.store.write(run)
    finally:
        plane.transactions.release(call.scope, token, holder)


def _write_all(tx: WriteTx, call: Call, plane: DynamoDbPlane, writes: Sequence[ItemWrite]) -> dict[str, Units]:
    tables = [open_table(tx, call, write.params["TableName"]) for write in writes]
    places: list[bytes] = []
    for table, write in zip(tables, writes, strict=True):
        try:
            places.append(locate_write(table, write))
        except ServiceError as error:
            cancel_transaction([NO_REASON] * len(places) + [reason_of(error)], len(writes))
    if len(set(places)) < len(places):
        invalid("Transaction request cannot include multiple operations on one item")
    if not all(held := plane.transactions.hold(places, call.request_id)):
        cancel_transaction([NO_REASON if mine else ONGOING for mine in held], len(writes))

    reasons: list[Mapping[str, Any]] = []
    consumed: dict[str, Units] = {}
    for table, write, place in zip(tables, writes, places, strict=True):
        try:
            units = perform_write(tx, call, table, write, place, wants_old=True).units
            # The other half: a write has charged its own already, a check nothing.
            due = units.times(TRANSACTION_FACTOR) if write.kind == "ConditionCheck" else units
            charge(call, table, due, writes=True, thing=OTHER_HALF + place)
        except ServiceError as error:
            reasons.append(reason_of(error))
            continue
        reasons.append(NO_REASON)
        consumed.setdefault(write.params["TableName"], Units()).add(units.times(TRANSACTION_FACTOR))
    if any(reason is not NO_REASON for reason in reasons):
        cancel_transaction(reasons, len(writes))
    return consumed


def render_transaction_capacity(level: str | None, units: Mapping[str, Units], *, writes: bool) -> list[dict[str, Any]]:
    """Return ConsumedCapacity of a transaction, which says besides whether the units were read or written.

    A request whose token was used before reads what it wrote, as AWS bills it.
    """
    if level != "TOTAL" and level != "INDEXES":
        return []
    member = "WriteCapacityUnits" if writes else "ReadCapacityUnits"
    rendered = []
    for name, used in units.items():
        capacity: dict[str, Any] = {"TableName": name, "CapacityUnits": used.total, member: used.total}
        if level == "INDEXES":
            capacity["Table"] = {"CapacityUnits": used.table, member: used.table}
            for indexes, consumed in (
                ("LocalSecondaryIndexes", used.local_indexes),
                ("GlobalSecondaryIndexes", used.global_indexes),
            ):
                if consumed:
                    capacity[indexes] = {one: {"CapacityUnits": more, member: more} for one, more in consumed.items()}
        rendered.append(capacity)
    return rendered


def cancel_transaction(reasons: Sequence[Mapping[str, Any]], count: int) -> NoReturn:
    """Raise TransactionCanceledException with a reason for each of `count` actions; the last ones may have none."""
    reasons = [*reasons, *[NO_REASON] * (count - len(reasons))]
    codes = ", ".join(reason["Code"] for reason in reasons)
    raise ServiceError(
        "TransactionCanceledException",
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        CancellationReasons=reasons,
    )


def reason_of(error: ServiceError) -> Mapping[str, Any]:
    """Return an action's error as its reason. Raises it again where it is none of an item."""
    code = _CODES.get(error.code)
    # An empty key value fails the request as a whole, though a value of the wrong type is the item's own fault (seen on
    # AWS by the makers of ExtendDB, pull request 184).
    if code is None or error.message.startswith("One or more parameter values are not valid."):
        raise error
    reason: dict[str, Any] = {"Code": code, "Message": error.message}
    if (item := error.fields.get("Item")) is not None:
        reason["Item"] = item
    return reason


def _read_delete(params: Mapping[str, Any]) -> ItemWrite:
    try:
        return read_delete(params)
    except ServiceError as error:
        # AWS finds a condition that it cannot read before a key that is too deep; only here, and not in DeleteItem.
        if error.message.startswith("Nesting Levels") and (text := params.get("ConditionExpression")) is not None:
            parse_condition(text, "ConditionExpression")
        raise


_READERS = {"ConditionCheck": read_check, "Put": read_put, "Delete": _read_delete, "Update": read_update}


def _read_action(action: Mapping[str, Any]) -> ItemWrite:
    present = [kind for kind in _READERS if action.get(kind) is not None]
    if len(present) != 1:
        invalid("TransactItems can only contain one of Check, Put, Update or Delete")
    return _READERS[present[0]](action[present[0]])


def _payload_bytes(write: ItemWrite) -> int:
    """Return what counts towards the 4 MB: what was sent, not what lies in the tables."""
    if write.kind != "Update":
        return write.size
    values: Mapping[str, Any] = write.params.get("ExpressionAttributeValues") or {}
    return write.size + sum(canonical_value(value)[1] for value in values.values())
