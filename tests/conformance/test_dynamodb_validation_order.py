"""When several things are wrong with a request, DynamoDB reports one of them: always the same.

Each operation has a ladder of faults in the order in which AWS looks for them. A request with any two of them gets the
answer to the upper one.
"""

# ruff: noqa: E501  (the ladders below read best a line per rung)

from typing import Any

import pytest

from ladders import INVALID, MISFIT, MIXED, NO_ENUM, NO_NUMBER, NOT_FOUND, WRONG_TYPE, Fault, Ladder, V, alone, pairs

FAILED = ("ConditionalCheckFailedException", "The conditional request failed")
TABLE, KEY = "conformance.order", {"pk": {"S": "a"}}
NOWHERE = {"TableName": "nowhere"}
BAD_KEY = {"Key": {"pk": {"N": "x"}}}
OTHER_KEY = {"Key": {"other": {"S": "a"}}}
SYNTAX = {"ConditionExpression": "a ="}
SYNTAX_ANSWER = (V, 'Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "="')
UNUSED = {"ConditionExpression": "attribute_not_exists(zz)", "ExpressionAttributeNames": {"#u": "u"}}
UNUSED_ANSWER = (V, "Value provided in ExpressionAttributeNames unused in expressions: keys: {#u}")
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


PAIRS, ALONE = pairs(LADDERS), alone(LADDERS)


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


@pytest.mark.parametrize("case", ALONE)
def test_each_fault_by_itself(orders: Any, case: str) -> None:
    ladder, fault = ALONE[case]
    assert ladder.ask(orders, fault) == fault.answer


@pytest.mark.parametrize("case", PAIRS)
def test_of_two_faults_the_upper_one_is_reported(orders: Any, case: str) -> None:
    ladder, upper, lower = PAIRS[case]
    # What both change is as the upper one has it: then the lower fault may be gone, but never the upper one.
    assert ladder.ask(orders, lower, upper) == upper.answer
