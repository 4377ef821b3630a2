"""ExecuteStatement: one PartiQL statement."""

from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.capacity import render_capacity
from cumulet.services.dynamodb.operations.selects import read_select
from cumulet.services.dynamodb.operations.statement_permissions import statement_arns, statement_demands
from cumulet.services.dynamodb.operations.statements import (
    Prepared,
    perform_statement,
    prepare_alone,
    read_parameters,
)
from cumulet.services.dynamodb.plane import DynamoDbPlane
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx


@operation(
    "ExecuteStatement",
    resource=statement_arns,
    demands=statement_demands,
    params="Statement Parameters ConsistentRead NextToken ReturnConsumedCapacity Limit "
    "ReturnValuesOnConditionCheckFailure",
)
async def execute_statement(call: Call, plane: DynamoDbPlane, params: Params) -> Output:
    """Return the items that a SELECT finds or a RETURNING asks for; none for other writes."""
    prepared = prepare_alone(params["Statement"], read_parameters(params.get("Parameters")))
    if prepared.select is None and params.get("NextToken") is not None:
        raise ServiceError("ValidationException", "Invalid NextToken")
    if prepared.select is None:
        return await plane.ground.store.write(lambda tx: _write(tx, call, prepared, params))
    return await plane.ground.store.read(lambda tx: _select(tx, call, prepared, params))


def _write(tx: WriteTx, call: Call, prepared: Prepared, params: Params) -> Output:
    done = perform_statement(tx, call, prepared, params)
    output: dict[str, Any] = {"Items": [] if done.returned is None else [done.returned]}
    level = params.get("ReturnConsumedCapacity")
    if (capacity := render_capacity(level, prepared.table_name, done.outcome.units)) is not None:
        output["ConsumedCapacity"] = capacity
    return output


def _select(tx: ReadTx, call: Call, prepared: Prepared, params: Params) -> Output:
    page = read_select(
        tx,
        call,
        prepared,
        consistent=bool(params.get("ConsistentRead")),
        limit=params.get("Limit"),
        token=params.get("NextToken"),
    )
    output: dict[str, Any] = {"Items": page.items}
    if page.token is not None:
        output["NextToken"] = page.token
    if page.last_key is not None:
        output["LastEvaluatedKey"] = page.last_key
    if (capacity := render_capacity(params.get("ReturnConsumedCapacity"), prepared.table_name, page.units)) is not None:
        output["ConsumedCapacity"] = capacity
    return output
