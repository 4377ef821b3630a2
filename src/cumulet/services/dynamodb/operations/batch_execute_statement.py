"""BatchExecuteStatement: up to 25 PartiQL statements, all reads or all writes, each on its own."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.dynamodb.core.capacity import Units, render_capacity
from cumulet.services.dynamodb.core.values import invalid
from cumulet.services.dynamodb.operations.selects import find_source, read_select
from cumulet.services.dynamodb.operations.statement_permissions import demand_of
from cumulet.services.dynamodb.operations.statements import (
    Prepared,
    find_key,
    perform_statement,
    prepare_alone,
    read_parameters,
)
from cumulet.services.dynamodb.plane import DynamoDbPlane
from cumulet.services.dynamodb.tables import open_table
from cumulet.services.kit import Call, ConditionValues, Output, Params, operation, unsupported
from cumulet.store.api import ReadTx, WriteTx

_SUPPORTED = frozenset(("Statement", "Parameters", "ConsistentRead", "ReturnValuesOnConditionCheckFailure"))

_CODES = {
    "AccessDeniedException": "AccessDenied",
    "ConditionalCheckFailedException": "ConditionalCheckFailed",
    "DuplicateItemException": "DuplicateItem",
    "InternalServerError": "InternalServerError",
    "ItemCollectionSizeLimitExceededException": "ItemCollectionSizeLimitExceeded",
    "ProvisionedThroughputExceededException": "ProvisionedThroughputExceeded",
    "RequestLimitExceeded": "RequestLimitExceeded",
    "ResourceNotFoundException": "ResourceNotFound",
    "ThrottlingException": "ThrottlingError",
    "TransactionConflictException": "TransactionConflict",
    "ValidationException": "ValidationError",
}
_RAN = frozenset(("ConditionalCheckFailed", "DuplicateItem"))
"""What tells of a statement that reached its table: only then the answer names it (Parity Suite, recorded on AWS)."""

_Slot = tuple[dict[str, Any], Units | None]


@operation(
    "BatchExecuteStatement",
    # Each statement is authorised by itself in `_run`: a denied one does not keep the others.
    resource="*",
    open_to_all=True,
    params="Statements ReturnConsumedCapacity",
)
async def batch_execute_statement(call: Call, plane: DynamoDbPlane, params: Params) -> Output:
    """Return what each statement came to, in their order: an item, nothing, or its error."""
    requests = params["Statements"]
    for request in requests:
        if more := unsupported(request, _SUPPORTED):
            raise NotImplementedHere(f"The parameter {more[0]} of dynamodb:BatchExecuteStatement")
    prepared = [_prepare(request) for request in requests]
    reads = {one.select is not None for one in prepared if isinstance(one, Prepared)}
    if len(reads) > 1:
        invalid("BatchExecuteStatement API does not support both read and write operations in the same request.")
    # Together, so that one fsync serves them all; the store takes them in their order.
    slots = await asyncio.gather(
        *[
            # Each pays for itself, so each is a request of its own.
            _run(msgspec.structs.replace(call, request_id=f"{call.request_id}/{number}"), plane, one, request)
            for number, (one, request) in enumerate(zip(prepared, requests, strict=True))
        ]
    )
    output: dict[str, Any] = {"Responses": [response for response, _ in slots]}
    level = params.get("ReturnConsumedCapacity")
    if level in ("TOTAL", "INDEXES"):
        output["ConsumedCapacity"] = [
            render_capacity(level, one.table_name, units)
            for one, (_, units) in zip(prepared, slots, strict=True)
            if units is not None and isinstance(one, Prepared)
        ]
    return output


def _prepare(request: Mapping[str, Any]) -> Prepared | ServiceError:
    try:
        prepared = prepare_alone(request["Statement"], read_parameters(request.get("Parameters")))
    except ServiceError as error:
        if error.code not in _CODES:
            raise
        return error
    return prepared


def _asked(tx: ReadTx, call: Call, prepared: Prepared) -> tuple[str, str, ConditionValues]:
    demand = demand_of(tx, call, prepared)
    return demand.action, demand.resource, demand.conditions()


async def _run(
    call: Call, plane: DynamoDbPlane, prepared: Prepared | ServiceError, request: Mapping[str, Any]
) -> _Slot:
    if isinstance(prepared, ServiceError):
        return _failed(prepared, None), None
    one = prepared
    try:
        asked = await plane.ground.store.read(lambda tx: _asked(tx, call, one))
        await plane.ground.operations.authorize(call, *asked, service="dynamodb")
        if one.select is None:
            return await plane.ground.store.write(lambda tx: _write(tx, call, one))
        return await plane.ground.store.read(lambda tx: _read(tx, call, one, bool(request.get("ConsistentRead"))))
    except ServiceError as error:
        if error.code not in _CODES:
            raise
        return _failed(error, one.table_name), None


def _failed(error: ServiceError, table_name: str | None) -> dict[str, Any]:
    code = _CODES[error.code]
    response: dict[str, Any] = {"Error": {"Code": code, "Message": error.message}}
    if code in _RAN:
        response["TableName"] = table_name
    return response


def _write(tx: WriteTx, call: Call, prepared: Prepared) -> _Slot:
    # ReturnValuesOnConditionCheckFailure changes nothing here on AWS (Parity Suite), so a write never hears of it.
    done = perform_statement(tx, call, prepared, {})
    response: dict[str, Any] = {"TableName": prepared.table_name}
    if done.returned is not None:
        response["Item"] = done.returned
    return response, done.outcome.units


def _read(tx: ReadTx, call: Call, prepared: Prepared, consistent: bool) -> _Slot:
    select = prepared.select
    table = open_table(tx, call, prepared.table_name)
    if select is not None and select.index is not None:
        find_source(table, call, select, consistent)
    if select is None or select.index is not None or find_key(table, select.where, prepared.values) is None:
        invalid("Select statements within BatchExecuteStatement must specify the primary key in the where clause.")
    page = read_select(tx, call, prepared, consistent=consistent, limit=None, token=None)
    response: dict[str, Any] = {"TableName": prepared.table_name}
    if page.items:
        response["Item"] = page.items[0]
    return response, page.units
