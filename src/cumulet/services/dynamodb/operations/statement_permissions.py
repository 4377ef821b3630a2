"""What a statement needs: the permissions of its caller, with what policies can ask of it.

Source: "IAM security policies with PartiQL for DynamoDB", developer guide, and DynamoDB's page of the service
authorization reference.
"""

import sys
from functools import partial

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.expressions.ast import paths_of
from cumulet.services.dynamodb.core.partiql.ast import Delete, Exists, Insert, Select, Update
from cumulet.services.dynamodb.core.partiql.grammar import parse_statement
from cumulet.services.dynamodb.core.partiql.plan import plan_read
from cumulet.services.dynamodb.core.partiql.values import resolve
from cumulet.services.dynamodb.operations.statements import (
    RETURN_VALUES,
    Prepared,
    prepare,
    read_parameters,
    table_of,
)
from cumulet.services.dynamodb.tables import OpenTable, find_table, name_of, table_arn
from cumulet.services.kit import Call, ConditionValues, Demand, Params
from cumulet.store.api import ReadTx

_ACTIONS = {Select: "Select", Exists: "Select", Insert: "Insert", Update: "Update", Delete: "Delete"}


def demand_of(tx: ReadTx, call: Call, prepared: Prepared) -> Demand:
    """Return what a statement asks of its caller."""
    statement = prepared.statement
    resource = table_arn(call, {"TableName": prepared.table_name})
    select = statement.select if isinstance(statement, Exists) else statement
    if isinstance(select, Select) and select.index is not None:
        resource += f"/index/{select.index}"
    keys = partial(_condition_keys, tx, call, prepared, select)
    return Demand(f"dynamodb:PartiQL{_ACTIONS[type(statement)]}", resource, keys)


def _condition_keys(
    tx: ReadTx, call: Call, prepared: Prepared, select: Select | Insert | Update | Delete
) -> ConditionValues:
    conditions: dict[str, str | list[str]] = {}
    if attributes := _attributes(select, prepared):
        conditions["dynamodb:Attributes"] = sorted(attributes)
    if isinstance(select, Select):
        conditions["dynamodb:Select"] = "ALL_ATTRIBUTES" if select.paths is None else "SPECIFIC_ATTRIBUTES"
    elif not isinstance(select, Insert) and select.returning is not None:
        conditions["dynamodb:ReturnValues"] = RETURN_VALUES[select.returning]
    try:
        table = find_table(tx, call, name_of(call, prepared.table_name))
    except ServiceError:
        table = None
    if table is not None:
        leading = _leading_values(table, select, prepared)
        if isinstance(select, Select):
            conditions["dynamodb:FullTableScan"] = "true" if leading is None else "false"
        if leading:
            conditions["dynamodb:LeadingKeys"] = leading
    return conditions


def _attributes(statement: Select | Insert | Update | Delete, prepared: Prepared) -> set[str]:
    """Return the top-level attributes that a statement names."""
    if isinstance(statement, Insert):
        return set(resolve(statement.item, prepared.parameters).get("M", {}))
    return {str(path.elements[0]) for path in paths_of(statement)}


def _leading_values(
    table: OpenTable, statement: Select | Insert | Update | Delete, prepared: Prepared
) -> list[str] | None:
    """Return the partition key values that a statement is about, or None if it can be about all."""
    if isinstance(statement, Insert):
        item = resolve(statement.item, prepared.parameters).get("M", {})
        value = item.get(table.hash_name)
        return None if value is None else [str(content) for content in value.values()]
    hash_name, range_name = table.hash_name, table.range_name
    if isinstance(statement, Select) and statement.index is not None:
        index = table.indexes.get(statement.index)
        if index is None or len(index.hash_keys) != 1:
            return None
        hash_name, range_name = index.hash_keys[0].name, None
    try:
        # Who may not is told so first, whatever else is wrong: here nothing is too much to read.
        plan = plan_read(statement.where, prepared.values, hash_name, range_name, reads_max=sys.maxsize)
    except ServiceError:
        return None
    if plan.accesses is None:
        return None
    return list(dict.fromkeys(str(content) for access in plan.accesses for content in access.partition.values()))


def statement_demands(tx: ReadTx, call: Call, params: Params) -> list[Demand]:
    """Return the permissions of a request's statements. What is no statement is refused by the operation."""
    demands = []
    for request in params.get("TransactStatements") or [params]:
        try:
            prepared = prepare(request["Statement"], read_parameters(request.get("Parameters")))
        except ServiceError:
            continue
        demands.append(demand_of(tx, call, prepared))
    return demands


def statement_arns(call: Call, params: Params) -> list[str]:
    """Return the ARNs of the tables that a request's statements name."""
    arns = []
    for request in params.get("TransactStatements") or [params]:
        try:
            statement = parse_statement(request["Statement"])
        except ServiceError:
            continue
        arns.append(table_arn(call, {"TableName": table_of(statement)}))
    return arns
