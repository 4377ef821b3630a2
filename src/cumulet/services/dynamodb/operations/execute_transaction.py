"""ExecuteTransaction: up to 100 PartiQL statements, all reads or all writes, that all happen, or none.

Writes are the writes of TransactWriteItems, and an EXISTS is a condition check. What a statement by itself gets wrong
is a ValidationException that names it; what its item refuses is a reason among those of the cancellation.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.dynamodb.core.capacity import Units
from cumulet.services.dynamodb.core.limits import TRANSACTION_BYTES_MAX
from cumulet.services.dynamodb.core.partiql.ast import Delete, Exists, Update
from cumulet.services.dynamodb.core.values import invalid
from cumulet.services.dynamodb.items import locate
from cumulet.services.dynamodb.operations.item_writes import ItemWrite
from cumulet.services.dynamodb.operations.selects import read_select
from cumulet.services.dynamodb.operations.statement_permissions import statement_arns, statement_demands
from cumulet.services.dynamodb.operations.statements import (
    Prepared,
    bind_write,
    find_key,
    prepare,
    read_parameters,
)
from cumulet.services.dynamodb.operations.transact_write_items import (
    NO_REASON,
    ONGOING,
    OTHER_HALF,
    TRANSACTION_FACTOR,
    cancel_transaction,
    perform_transaction,
    render_transaction_capacity,
)
from cumulet.services.dynamodb.plane import DynamoDbPlane
from cumulet.services.dynamodb.tables import open_table
from cumulet.services.dynamodb.throttle import charge
from cumulet.services.kit import Call, Output, Params, operation, unsupported
from cumulet.store.api import ReadTx

_SUPPORTED = frozenset(("Statement", "Parameters", "ReturnValuesOnConditionCheckFailure"))


@operation(
    "ExecuteTransaction",
    resource=statement_arns,
    demands=statement_demands,
    params="TransactStatements ClientRequestToken ReturnConsumedCapacity",
)
async def execute_transaction(call: Call, plane: DynamoDbPlane, params: Params) -> Output:
    """Return a response for each SELECT; none for writes."""
    requests: Sequence[Mapping[str, Any]] = params["TransactStatements"]
    for request in requests:
        if more := unsupported(request, _SUPPORTED):
            raise NotImplementedHere(f"The parameter {more[0]} of dynamodb:ExecuteTransaction")
    parameters = [read_parameters(request.get("Parameters")) for request in requests]
    prepared = []
    for number, (request, given) in enumerate(zip(requests, parameters, strict=True)):
        with _naming(number):
            prepared.append(_check(prepare(request["Statement"], given)))
    if len({one.select is None for one in prepared}) > 1:
        invalid("ExecuteTransaction API does not support both read and write operations in the same request.")
    level = params.get("ReturnConsumedCapacity")
    if prepared[0].select is not None:
        return await plane.ground.store.read(lambda tx: _read(tx, call, plane, prepared, level))

    def bind(tx: ReadTx) -> list[ItemWrite]:
        return [_bind(tx, call, number, one, requests[number]) for number, one in enumerate(prepared)]

    writes = await plane.ground.store.read(bind)
    token = params.get("ClientRequestToken")
    digest = b"" if token is None else hashlib.sha256(msgspec.json.encode(requests, order="deterministic")).digest()
    units, was_done = await perform_transaction(call, plane, writes, token, digest)
    output: dict[str, Any] = {"Responses": []}
    if capacities := render_transaction_capacity(level, units, writes=not was_done):
        output["ConsumedCapacity"] = capacities
    return output


@contextmanager
def _naming(number: int) -> Iterator[None]:
    """Have a ValidationException say which statement it is about."""
    try:
        yield
    except ServiceError as error:
        if error.code != "ValidationException":
            raise
        invalid(f"Validation failed in TransactStatements[{number}]: {error.message}")


def _check(prepared: Prepared) -> Prepared:
    """Raise ValidationException for a statement that no transaction can have."""
    statement = prepared.statement
    if isinstance(statement, (Update, Delete)) and statement.returning is not None:
        invalid("RETURNING clause is not supported in ExecuteTransaction")
    select = statement.select if isinstance(statement, Exists) else prepared.select
    if select is not None and select.index is not None:
        invalid("Reads on indices are not supported within transactions")
    return prepared


def _bind(tx: ReadTx, call: Call, number: int, prepared: Prepared, request: Mapping[str, Any]) -> ItemWrite:
    """Return the write of a statement. The table may be another when it is performed; that is noticed then."""
    table = open_table(tx, call, prepared.table_name)
    params = {**request, "TableName": prepared.table_name}

    with _naming(number):
        if isinstance(prepared.statement, Exists):
            plan = find_key(table, prepared.statement.select.where, prepared.values)
            if plan is None or plan.rest is None:
                invalid("EXISTS() must contain a single item read with additional condition")
        return bind_write(table, prepared, params)


def _read(
    tx: ReadTx, call: Call, plane: DynamoDbPlane, prepared: Sequence[Prepared], level: str | None
) -> dict[str, Any]:
    places = [_place(tx, call, number, one) for number, one in enumerate(prepared)]
    if len(set(places)) < len(places):
        invalid("Transaction request cannot include multiple operations on one item")
    held = [plane.transactions.is_held(place) for place in places]
    if any(held):
        cancel_transaction([ONGOING if taken else NO_REASON for taken in held], len(places))
    responses: list[dict[str, Any]] = []
    consumed: dict[str, Units] = {}
    size = 0
    for one, place in zip(prepared, places, strict=True):
        page = read_select(tx, call, one, consistent=True, limit=None, token=None, thing=place)
        # The other half: reading has charged its own already.
        charge(call, open_table(tx, call, one.table_name), page.units, writes=False, thing=OTHER_HALF + place)
        size += page.size
        if size > TRANSACTION_BYTES_MAX:
            invalid("Transaction payload size cannot exceed 4 MB")
        responses.append({"Item": page.items[0]} if page.items else {})
        consumed.setdefault(one.table_name, Units()).add(page.units.times(TRANSACTION_FACTOR))
    output: dict[str, Any] = {"Responses": responses}
    if capacities := render_transaction_capacity(level, consumed, writes=False):
        output["ConsumedCapacity"] = capacities
    return output


def _place(tx: ReadTx, call: Call, number: int, prepared: Prepared) -> bytes:
    table = open_table(tx, call, prepared.table_name)

    with _naming(number):
        plan = None if prepared.select is None else find_key(table, prepared.select.where, prepared.values)
        if plan is None:
            invalid("Select statements within ExecuteTransaction must specify the primary key in the where clause.")
        return locate(table, plan.key)
