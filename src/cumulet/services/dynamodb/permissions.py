"""DynamoDB's own condition keys: what policies can ask of a request besides its table.

Source: "Using IAM policy conditions for fine-grained access control", developer guide. Of a request that is
malformed they tell nothing; the operation refuses it.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.expressions.ast import Elements, Path
from cumulet.services.dynamodb.core.expressions.conditions import bind_condition
from cumulet.services.dynamodb.core.expressions.key_conditions import bind_key_conditions
from cumulet.services.dynamodb.core.expressions.placeholders import Placeholders
from cumulet.services.dynamodb.core.expressions.projections import bind_projection
from cumulet.services.dynamodb.core.expressions.updates import bind_update
from cumulet.services.dynamodb.core.values import Value, canonical_value
from cumulet.services.dynamodb.tables import OpenTable, arn_of, find_table, name_of, table_arn
from cumulet.services.kit import Call, ConditionValues, Demand, Params
from cumulet.store.api import ReadTx


def item_conditions(tx: ReadTx, call: Call, params: Params) -> ConditionValues:
    """Return the condition keys of a request for items of one table."""
    found: dict[str, str | list[str]] = {}
    try:
        table = find_table(tx, call, name_of(call, params["TableName"]))
        attributes, leading = _mentioned(params, table)
    except ServiceError:
        return found
    _add_attributes(found, attributes, leading)
    if (returned := params.get("ReturnValues")) is not None:
        found["dynamodb:ReturnValues"] = returned
    if (told := params.get("ReturnConsumedCapacity")) is not None:
        found["dynamodb:ReturnConsumedCapacity"] = told
    return found


def read_conditions(tx: ReadTx, call: Call, params: Params) -> ConditionValues:
    """Return the condition keys of a request that reads items of one table."""
    return {**item_conditions(tx, call, params), "dynamodb:Select": params.get("Select") or _selected([params])}


def batch_conditions(tx: ReadTx, call: Call, params: Params) -> ConditionValues:
    """Return the condition keys of a batch: those of all its requests together."""
    found: dict[str, str | list[str]] = {}
    attributes: set[str] = set()
    leading: list[Value] = []
    try:
        for name, requests in params["RequestItems"].items():
            table = find_table(tx, call, name_of(call, name))
            for request in _single_requests(requests):
                more_attributes, more_leading = _mentioned(request, table)
                attributes |= more_attributes
                leading += more_leading
    except ServiceError:
        return {}
    _add_attributes(found, attributes, leading)
    if (told := params.get("ReturnConsumedCapacity")) is not None:
        found["dynamodb:ReturnConsumedCapacity"] = told
    return found


def batch_read_conditions(tx: ReadTx, call: Call, params: Params) -> ConditionValues:
    """Return the condition keys of a batch that reads: of all attributes, if one of its requests asks for all."""
    return {**batch_conditions(tx, call, params), "dynamodb:Select": _selected(params["RequestItems"].values())}


def batch_arns(call: Call, params: Params) -> list[str]:
    """Return the ARNs of the tables that a batch names."""
    return [name if name.startswith("arn:") else arn_of(call.scope, name) for name in params["RequestItems"]]


_LEGACY = ("Expected", "AttributeUpdates", "AttributesToGet", "KeyConditions", "QueryFilter", "ScanFilter")
"""The parameters that expressions replaced: lists of attribute names, or maps from these."""


def transaction_arns(call: Call, params: Params) -> list[str]:
    """Return the ARNs of the tables that a transaction names, each once."""
    return list(dict.fromkeys(table_arn(call, request) for _, request in _transacted(params)))


def transaction_demands(tx: ReadTx, call: Call, params: Params) -> list[Demand]:
    """Return what a transaction needs: for each of its actions the permission to do that alone.

    Source: "Amazon DynamoDB Transactions: how it works", "Using IAM with DynamoDB transactions", developer guide.
    """
    enclosing = "TransactGetItems" if any(kind == "Get" for kind, _ in _transacted(params)) else "TransactWriteItems"
    return [
        Demand(
            _TRANSACTED_ACTIONS[kind],
            table_arn(call, request),
            partial(_transacted_conditions, tx, call, request, enclosing, params.get("ReturnConsumedCapacity")),
        )
        for kind, request in _transacted(params)
    ]


def _transacted_conditions(
    tx: ReadTx, call: Call, request: Params, enclosing: str, told: str | None
) -> ConditionValues:
    conditions = read_conditions if enclosing == "TransactGetItems" else item_conditions
    found = {**conditions(tx, call, request), "dynamodb:EnclosingOperation": enclosing}
    return found if told is None else {**found, "dynamodb:ReturnConsumedCapacity": told}


_TRANSACTED_ACTIONS = {
    "Get": "dynamodb:GetItem",
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
    "Delete": "dynamodb:DeleteItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
}


def _transacted(params: Params) -> Iterator[tuple[str, Params]]:
    for action in params["TransactItems"]:
        for kind, request in (action or {}).items():
            if request is not None and kind in _TRANSACTED_ACTIONS:
                yield kind, request


class _Mentions(Placeholders):
    """Placeholders that remember the top-level attributes of the paths they were asked for."""

    def __init__(self, params: Params) -> None:
        super().__init__(params.get("ExpressionAttributeNames"), params.get("ExpressionAttributeValues"))
        self.attributes: set[str] = set()

    def elements(self, path: Path, expression: str) -> Elements:
        elements = super().elements(path, expression)
        self.attributes.add(str(elements[0]))
        return elements


def _mentioned(request: Mapping[str, Any], table: OpenTable | None) -> tuple[set[str], list[Value]]:
    """Return the attributes that a request names, and the values that it gives the partition key."""
    mentions = _Mentions(request)
    leading: list[Value] = []
    hash_name = None if table is None else table.hash_name
    for given in (request.get("Item"), request.get("Key")):
        if isinstance(given, dict):
            mentions.attributes.update(given)
            if hash_name in given:
                leading.append(canonical_value(given[hash_name])[0])
    index = None if table is None else table.indexes.get(request.get("IndexName", ""))
    if index is not None:
        # What an index is read by is its own partition key.
        hash_name = index.hash_name
    if (text := request.get("KeyConditionExpression")) is not None:
        condition = bind_key_conditions(text, mentions).get(str(hash_name))
        leading += () if condition is None else condition.values
    for name in _LEGACY:
        mentions.attributes.update(request.get(name) or ())
    if (asked := (request.get("KeyConditions") or {}).get(str(hash_name))) is not None:
        leading += [canonical_value(value)[0] for value in asked.get("AttributeValueList") or ()]
    for name in ("ConditionExpression", "FilterExpression"):
        if (text := request.get(name)) is not None:
            bind_condition(text, name, mentions)
    if (text := request.get("UpdateExpression")) is not None:
        mentions.attributes |= bind_update(text, mentions).mentioned
    bind_projection(request.get("ProjectionExpression"), mentions)
    return mentions.attributes, leading


def _single_requests(requests: Any) -> Iterator[Mapping[str, Any]]:
    """Yield what a batch asks of one table, as requests for one item each."""
    if isinstance(requests, Mapping):
        for key in requests.get("Keys") or ():
            yield {**requests, "Key": key}
        return
    for write in requests or ():
        for request in (write or {}).values():
            if request is not None:
                yield request


def _selected(requests: Iterable[Any]) -> str:
    for request in requests:
        if (request or {}).get("ProjectionExpression") is None and (request or {}).get("AttributesToGet") is None:
            return "ALL_ATTRIBUTES"
    return "SPECIFIC_ATTRIBUTES"


def _add_attributes(found: dict[str, str | list[str]], attributes: set[str], leading: list[Value]) -> None:
    if attributes:
        found["dynamodb:Attributes"] = sorted(attributes)
    if leading:
        found["dynamodb:LeadingKeys"] = [str(content) for value in leading for content in value.values()]
