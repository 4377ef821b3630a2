"""When several things are wrong with a request, DynamoDB reports one of them: always the same.

Each operation has a ladder of faults in the order in which AWS looks for them. A request with any two of them gets the
answer to the upper one.
"""

# ruff: noqa: E501  (the ladders below read best a line per rung)

from itertools import combinations
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

V, C = "ValidationException", "ConditionalCheckFailedException"
INVALID = "One or more parameter values were invalid: "
MIXED = "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: "
NOT_FOUND = ("ResourceNotFoundException", "Requested resource not found")
NO_NUMBER = (V, "The parameter cannot be converted to a numeric value: x")
MISFIT = (V, "The provided key element does not match the schema")
FAILED = (C, "The conditional request failed")


class Fault(NamedTuple):
    """One thing that is wrong: what it changes in the request, and what DynamoDB says to it."""

    name: str
    changes: dict[str, Any]
    answer: tuple[str, str]


class Ladder(NamedTuple):
    operation: str
    valid: dict[str, Any]
    faults: list[Fault]


TABLE, KEY = "conformance.order", {"pk": {"S": "a"}}
NOWHERE = {"TableName": "nowhere"}
BAD_KEY = {"Key": {"pk": {"N": "x"}}}
OTHER_KEY = {"Key": {"other": {"S": "a"}}}
SYNTAX = {"ConditionExpression": "a ="}
SYNTAX_ANSWER = (V, 'Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "="')
UNUSED = {"ConditionExpression": "attribute_not_exists(zz)", "ExpressionAttributeNames": {"#u": "u"}}
UNUSED_ANSWER = (V, "Value provided in ExpressionAttributeNames unused in expressions: keys: {#u}")
WRONG_TYPE = Fault(
    "a number for a text",
    {"ReturnConsumedCapacity": 5},
    ("SerializationException", "NUMBER_VALUE can not be converted to a String"),
)
NO_ENUM = Fault(
    "a word that is none",
    {"ReturnConsumedCapacity": "ALL"},
    (
        V,
        "1 validation error detected: Value 'ALL' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]",
    ),
)
MIXED_CONDITIONS = Fault(
    "old and new conditions",
    {"Expected": {"a": {"Exists": False}}, "ConditionExpression": "a = a"},
    (V, MIXED + "{Expected} Expression parameters: {ConditionExpression}"),
)
WRONG_RETURN = Fault("what only updates return", {"ReturnValues": "ALL_NEW"}, (V, "Return values set to invalid value"))
HUGE = {"pk": {"S": "a"}, "big": {"S": "x" * (400 * 1024)}}

LADDERS = [
    Ladder("PutItem", {"TableName": TABLE, "Item": KEY}, [
        WRONG_TYPE, NO_ENUM, MIXED_CONDITIONS,
        Fault("a value that is none", {"Item": {"pk": {"N": "x"}}}, NO_NUMBER),
        WRONG_RETURN,
        Fault("too large", {"Item": HUGE}, (V, "Item size has exceeded the maximum allowed size")),
        Fault("syntax", SYNTAX, SYNTAX_ANSWER),
        Fault("unused name", UNUSED, UNUSED_ANSWER),
        Fault("no such table", NOWHERE, NOT_FOUND),
        Fault("no key", {"Item": {"x": {"S": "a"}}}, (V, INVALID + "Missing the key pk in the item")),
        Fault("condition", {"ConditionExpression": "attribute_exists(zz)"}, FAILED),
    ]),
    Ladder("UpdateItem", {"TableName": TABLE, "Key": KEY}, [
        WRONG_TYPE, NO_ENUM,
        Fault("old and new updates", {"AttributeUpdates": {"a": {"Action": "DELETE"}}, "UpdateExpression": "REMOVE b", "ConditionExpression": "a = a"}, (V, MIXED + "{AttributeUpdates} Expression parameters: {UpdateExpression, ConditionExpression}")),
        Fault("a value that is none", BAD_KEY, NO_NUMBER),
        Fault("syntax of the update", {"UpdateExpression": "SET"}, (V, 'Invalid UpdateExpression: Syntax error; token: "<EOF>", near: "SET"')),
        Fault("syntax", SYNTAX, SYNTAX_ANSWER),
        Fault("unused name", UNUSED, UNUSED_ANSWER),
        Fault("no such table", NOWHERE, NOT_FOUND),
        Fault("another key", OTHER_KEY, MISFIT),
        Fault("a part of the key", {"UpdateExpression": "REMOVE pk"}, (V, INVALID + "Cannot update attribute pk. This attribute is part of the key")),
        Fault("condition", {"ConditionExpression": "attribute_exists(zz)"}, FAILED),
        Fault("nothing to copy", {"UpdateExpression": "SET a = zz"}, (V, "The provided expression refers to an attribute that does not exist in the item")),
    ]),
    Ladder("DeleteItem", {"TableName": TABLE, "Key": KEY}, [
        WRONG_TYPE, NO_ENUM, MIXED_CONDITIONS,
        Fault("a value that is none", BAD_KEY, NO_NUMBER),
        WRONG_RETURN,
        Fault("syntax", SYNTAX, SYNTAX_ANSWER),
        Fault("unused name", UNUSED, UNUSED_ANSWER),
        Fault("no such table", NOWHERE, NOT_FOUND),
        Fault("another key", OTHER_KEY, MISFIT),
        Fault("condition", {"ConditionExpression": "attribute_exists(zz)"}, FAILED),
    ]),
    Ladder("GetItem", {"TableName": TABLE, "Key": KEY}, [
        WRONG_TYPE, NO_ENUM,
        Fault("a value that is none", BAD_KEY, NO_NUMBER),
        Fault("syntax", {"ProjectionExpression": "a,"}, (V, 'Invalid ProjectionExpression: Syntax error; token: "<EOF>", near: ","')),
        Fault("unused name", {"ProjectionExpression": "a", "ExpressionAttributeNames": {"#u": "u"}}, UNUSED_ANSWER),
        Fault("no such table", NOWHERE, NOT_FOUND),
        Fault("another key", OTHER_KEY, MISFIT),
    ]),
]  # fmt: skip


PAIRS = {
    f"{ladder.operation}: {upper.name} before {lower.name}": (ladder, upper, lower)
    for ladder in LADDERS
    for upper, lower in combinations(ladder.faults, 2)
}
ALONE = {f"{ladder.operation}: {fault.name}": (ladder, fault) for ladder in LADDERS for fault in ladder.faults}


@pytest.fixture(scope="module")
def orders(server: Any) -> Any:
    """A client whose table has a partition key `pk` and one item."""
    client = server.client("dynamodb")
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.put_item(TableName=TABLE, Item=KEY)
    yield client
    client.delete_table(TableName=TABLE)


def ask(client: Any, operation: str, params: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        client._make_api_call(operation, params)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


@pytest.mark.parametrize("case", ALONE)
def test_each_fault_by_itself(orders: Any, case: str) -> None:
    ladder, fault = ALONE[case]
    assert ask(orders, ladder.operation, {**ladder.valid, **fault.changes}) == fault.answer


@pytest.mark.parametrize("case", PAIRS)
def test_of_two_faults_the_upper_one_is_reported(orders: Any, case: str) -> None:
    ladder, upper, lower = PAIRS[case]
    # What both change is as the upper one has it: then the lower fault may be gone, but never the upper one.
    assert ask(orders, ladder.operation, {**ladder.valid, **lower.changes, **upper.changes}) == upper.answer
