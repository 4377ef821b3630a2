"""What can be an item: numbers, nesting, sets, and its size to the byte on every way in which one is written."""

from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError

TABLE = "conformance.items"
ITEM_BYTES_MAX = 400 * 1024
V = "ValidationException"
INVALID = "One or more parameter values were invalid: "


@pytest.fixture(scope="module")
def items(server: Any) -> Any:
    """A client with a table of partition key `pk`."""
    client = server.client("dynamodb")
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield client
    client.delete_table(TableName=TABLE)


def stored(items: Any, value: Any) -> Any:
    """Return what a value has become once it was stored."""
    items.put_item(TableName=TABLE, Item={"pk": {"S": "v"}, "v": value})
    return items.get_item(TableName=TABLE, Key={"pk": {"S": "v"}})["Item"]["v"]


def refusal(items: Any, value: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        stored(items, value)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("0.000", "0"),
        ("007", "7"),
        ("+7", "7"),
        ("1.50", "1.5"),
        (".5", "0.5"),
        ("1e3", "1000"),
        ("-12E-1", "-1.2"),
        ("1e-130", "0." + "0" * 129 + "1"),
        ("9.9e125", "99" + "0" * 124),
        ("-" + "9" * 38, "-" + "9" * 38),
        ("9" * 38 + "e88", "9" * 38 + "0" * 88),
    ],
)
def test_numbers_come_back_in_plain_notation(items: Any, sent: str, kept: str) -> None:
    assert stored(items, {"N": sent}) == {"N": kept}
    assert stored(items, {"NS": [sent]}) == {"NS": [kept]}


OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ("", "The parameter cannot be converted to a numeric value"),
        (" 1", "The parameter cannot be converted to a numeric value:  1"),
        ("1_000", "The parameter cannot be converted to a numeric value: 1_000"),
        ("Infinity", "The parameter cannot be converted to a numeric value: Infinity"),
        ("1e126", OVERFLOW),
        ("-1e126", OVERFLOW),
        ("1e-131", UNDERFLOW),
        ("1" * 39, "Attempting to store more than 38 significant digits in a Number"),
    ],
)
def test_numbers_that_are_none(items: Any, sent: str, message: str) -> None:
    assert refusal(items, {"N": sent}) == (V, message)


@pytest.mark.parametrize(
    "value",
    [
        {"S": ""},
        {"B": b""},
        {"S": "\x00\u20ac\U0001f600"},
        {"L": []},
        {"M": {}},
        {"L": [{"NULL": True}, {"BOOL": False}, {"SS": [""]}]},
        {"M": {"a.b": {"M": {"#": {"BS": [b"\x00"]}}}}},
    ],
)
def test_values_that_come_back_as_they_were(items: Any, value: Any) -> None:
    assert stored(items, value) == value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"SS": []}, INVALID + "An string set  may not be empty"),
        ({"NS": []}, INVALID + "An number set  may not be empty"),
        ({"BS": []}, INVALID + "Binary sets should not be empty"),
        ({"SS": ["a", "a"]}, INVALID + "Input collection [a, a] contains duplicates."),
        ({"NS": ["1", "1.0"]}, INVALID + "Input collection contains duplicates"),
        ({"NULL": False}, INVALID + "Null attribute value types must have the value of true"),
        ({}, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
        (
            {"S": "a", "N": "1"},
            "Supplied AttributeValue has more than one datatypes set, "
            "must contain exactly one of the supported datatypes",
        ),
    ],
)
def test_values_that_are_none(items: Any, value: Any, message: str) -> None:
    assert refusal(items, value) == (V, message)


def nested(depth: int) -> Any:
    value: Any = {"S": "x"}
    for level in range(depth):
        value = {"L": [value]} if level % 2 else {"M": {"a": value}}
    return value


def test_nesting(items: Any) -> None:
    assert stored(items, nested(31)) == nested(31)
    assert refusal(items, nested(32)) == (
        V,
        "Nesting Levels have exceeded supported limits: "
        "Attributes in the item have nested levels beyond supported limit",
    )


def item_of(size: int) -> dict[str, Any]:
    """Return an item of exactly so many bytes, with something of every kind."""
    item: dict[str, Any] = {
        "pk": {"S": "size"},
        "number": {"N": str(Decimal("123.45"))},
        "flags": {"L": [{"BOOL": True}, {"NULL": True}]},
        "set": {"SS": ["a", "\u00e9"]},
        "map": {"M": {"k": {"B": b"abc"}}},
    }
    fixed = (2 + 4) + (6 + 4) + (5 + 3 + 2 * 2) + (3 + 1 + 2) + (3 + 3 + 1 + 3 + 1)
    return {**item, "fill": {"S": "x" * (size - fixed - 4)}}


def ways_to_put(item: dict[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    fill = {":f": item["fill"]}
    update = {"Key": {"pk": {"S": "grown"}}, "UpdateExpression": "SET fill = :f", "ExpressionAttributeValues": fill}
    put = {"TableName": TABLE, "Item": item}
    return {
        "PutItem": ("PutItem", put),
        "BatchWriteItem": ("BatchWriteItem", {"RequestItems": {TABLE: [{"PutRequest": {"Item": item}}]}}),
        "TransactWriteItems": ("TransactWriteItems", {"TransactItems": [{"Put": put}]}),
        "UpdateItem": ("UpdateItem", {"TableName": TABLE, **update}),
        "transacted update": ("TransactWriteItems", {"TransactItems": [{"Update": {"TableName": TABLE, **update}}]}),
        "legacy update": (
            "UpdateItem",
            {
                "TableName": TABLE,
                "Key": update["Key"],
                "AttributeUpdates": {"fill": {"Action": "PUT", "Value": item["fill"]}},
            },
        ),
    }


@pytest.mark.parametrize("way", ways_to_put(item_of(1000)))
def test_the_largest_item(items: Any, way: str) -> None:
    # An update changes an item that has all but its filling, and a key that is a byte longer.
    grown = {**item_of(1000), "pk": {"S": "grown"}}
    del grown["fill"]
    items.put_item(TableName=TABLE, Item=grown)
    longer = 0 if "pdate" not in way else 1
    operation, params = ways_to_put(item_of(ITEM_BYTES_MAX - longer))[way]
    items._make_api_call(operation, params)

    operation, params = ways_to_put(item_of(ITEM_BYTES_MAX - longer + 1))[way]
    with pytest.raises(ClientError) as error:
        items._make_api_call(operation, params)
    response = error.value.response
    words = "Item size to update has exceeded the maximum allowed size"
    if way == "transacted update":
        assert response["CancellationReasons"] == [{"Code": "ValidationError", "Message": words}]
        return
    if "pdate" not in way:
        words = "Item size has exceeded the maximum allowed size"
    assert (response["Error"]["Code"], response["Error"]["Message"]) == (V, words)
