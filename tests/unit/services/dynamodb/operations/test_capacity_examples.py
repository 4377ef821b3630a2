"""What requests cost: the numeric examples of AWS's developer guide, and what its rules come to beside them.

Sources: "DynamoDB read and write operations", "DynamoDB item sizes and formats", "Provisioned throughput
considerations" of global and of local secondary indexes, and "Capacity management for transactions".
"""

from typing import Any

import pytest

KB = 1024
ATTRIBUTES = {"pk": "S", "sk": "S", "g": "S", "l": "S"}


def schema(hash_name: str, range_name: str | None = None) -> list[dict[str, str]]:
    keys = [{"AttributeName": hash_name, "KeyType": "HASH"}]
    return keys if range_name is None else [*keys, {"AttributeName": range_name, "KeyType": "RANGE"}]


def index(name: str, keys: list[dict[str, str]], *projected: str) -> dict[str, Any]:
    kind: dict[str, Any] = {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(projected)}
    return {"IndexName": name, "KeySchema": keys, "Projection": kind if projected else {"ProjectionType": "ALL"}}


@pytest.fixture
async def table(ddb: Any) -> Any:
    """Return `ddb` with a table "tab", a global index "by-g" and a local one "by-l" that projects `kept`."""
    await ddb(
        "CreateTable",
        TableName="tab",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in ATTRIBUTES.items()],
        KeySchema=schema("pk", "sk"),
        GlobalSecondaryIndexes=[index("by-g", schema("g"))],
        LocalSecondaryIndexes=[index("by-l", schema("pk", "l"), "kept")],
    )
    return ddb


def item(size: int, sk: str = "1", **more: str) -> dict[str, Any]:
    """Return an item of so many bytes."""
    texts = {"pk": "p", "sk": sk, **more}
    used = sum(len(name) + len(text) for name, text in texts.items())
    return {name: {"S": text} for name, text in {**texts, "v": "v" * (size - used - 1)}.items()}


def key(sk: str = "1") -> dict[str, Any]:
    return {"pk": {"S": "p"}, "sk": {"S": sk}}


async def units(ddb: Any, operation: str, **params: Any) -> float:
    answer = await ddb(operation, ReturnConsumedCapacity="TOTAL", **params)
    told = answer["ConsumedCapacity"]
    return sum(one["CapacityUnits"] for one in (told if isinstance(told, list) else [told]))


async def put(ddb: Any, *items: dict[str, Any]) -> None:
    for one in items:
        await ddb("PutItem", TableName="tab", Item=one)


GETS = {
    "nothing": (None, 1, 0.5),
    "3,500 bytes": (3500, 1, 0.5),
    "3.5 KB": (3584, 1, 0.5),
    "8 KB": (8 * KB, 2, 1),
    "10 KB": (10 * KB, 3, 1.5),
    "80 KB": (80 * KB, 20, 10),
}


@pytest.mark.parametrize(("size", "strong", "eventual"), GETS.values(), ids=GETS)
async def test_get_item(table: Any, size: int | None, strong: float, eventual: float) -> None:
    if size is not None:
        await put(table, item(size))
    params = {"TableName": "tab", "Key": key()}
    assert await units(table, "GetItem", **params, ConsistentRead=True) == strong
    assert await units(table, "GetItem", **params) == eventual
    # What is returned of it does not matter.
    assert await units(table, "GetItem", **params, ConsistentRead=True, ProjectionExpression="pk") == strong
    assert await units(table, "TransactGetItems", TransactItems=[{"Get": params}]) == 2 * strong


async def test_batch_get_item_rounds_each_item(table: Any) -> None:
    await put(table, item(1536, "1"), item(6656, "2"))
    wanted = {"tab": {"Keys": [key("1"), key("2")], "ConsistentRead": True}}
    assert await units(table, "BatchGetItem", RequestItems=wanted) == 3


@pytest.mark.parametrize(("count", "size", "strong"), [(10, 4178, 11), (1500, 64, 24)], ids=["40.8 KB", "96 KB"])
async def test_a_query_rounds_once(table: Any, count: int, size: int, strong: float) -> None:
    for first in range(0, count, 25):
        some = [item(size, f"{n:04}") for n in range(first, min(count, first + 25))]
        await table("BatchWriteItem", RequestItems={"tab": [{"PutRequest": {"Item": one}} for one in some]})
    params = {
        "TableName": "tab",
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": {":p": {"S": "p"}, ":x": {"S": "x"}},
        "FilterExpression": "v = :x",
    }
    assert await units(table, "Query", **params, ConsistentRead=True) == strong
    assert await units(table, "Query", **params, Select="COUNT") == strong / 2


async def test_a_query_of_a_global_index(table: Any) -> None:
    await put(table, *[item(2000, str(n), g="g") for n in range(8)])
    cost = await units(
        table,
        "Query",
        TableName="tab",
        IndexName="by-g",
        KeyConditionExpression="g = :g",
        ExpressionAttributeValues={":g": {"S": "g"}},
    )
    assert cost == 2


@pytest.mark.parametrize(("wanted", "strong"), [("kept", 1), ("v", 5)], ids=["projected", "fetched"])
async def test_a_query_of_a_local_index(table: Any, wanted: str, strong: float) -> None:
    """Four items of 300 bytes, of which the index has 200: 4 KB, and 4 KB more for each that has to be fetched."""
    await put(table, *[item(300, str(n), l="l", kept="k" * 187) for n in range(4)])
    cost = await units(
        table,
        "Query",
        TableName="tab",
        IndexName="by-l",
        KeyConditionExpression="pk = :p",
        ExpressionAttributeValues={":p": {"S": "p"}},
        ProjectionExpression=wanted,
        ConsistentRead=True,
    )
    assert cost == strong


async def test_a_page_of_a_local_index_counts_what_it_fetches_in_blocks(table: Any) -> None:
    """So 1 MB is less than 256 items, however small they are."""
    for first in range(0, 300, 25):
        some = [item(300, f"{n:04}", l="l") for n in range(first, first + 25)]
        await table("BatchWriteItem", RequestItems={"tab": [{"PutRequest": {"Item": one}} for one in some]})
    query = {
        "TableName": "tab",
        "IndexName": "by-l",
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": {":p": {"S": "p"}},
    }
    assert "LastEvaluatedKey" not in await table("Query", **query)
    fetching = await table("Query", **query, ProjectionExpression="v")
    assert 250 < fetching["Count"] <= 256
    rest = await table("Query", **query, ProjectionExpression="v", ExclusiveStartKey=fetching["LastEvaluatedKey"])
    assert fetching["Count"] + rest["Count"] == 300


async def test_writes(table: Any) -> None:
    write = {"TableName": "tab"}
    assert await units(table, "PutItem", **write, Item=item(500)) == 1
    assert await units(table, "PutItem", **write, Item=item(1638)) == 2
    # The larger of what was and what is.
    assert await units(table, "PutItem", **write, Item=item(500)) == 2
    assert await units(table, "PutItem", **write, Item=item(1638)) == 2
    assert await units(table, "UpdateItem", **write, Key=key(), UpdateExpression="REMOVE v") == 2
    await put(table, item(1638))
    assert await units(table, "DeleteItem", **write, Key=key()) == 2
    assert await units(table, "DeleteItem", **write, Key=key()) == 1


async def test_batch_write_item_rounds_each_item(table: Any) -> None:
    some = [{"PutRequest": {"Item": item(500, "1")}}, {"PutRequest": {"Item": item(3584, "2")}}]
    assert await units(table, "BatchWriteItem", RequestItems={"tab": some}) == 5


async def test_transactions_cost_twice(table: Any) -> None:
    writes = [{"Put": {"TableName": "tab", "Item": item(500, str(n))}} for n in range(3)]
    assert await units(table, "TransactWriteItems", TransactItems=writes) == 6
    reads = [{"Get": {"TableName": "tab", "Key": key(str(n))}} for n in range(3)]
    assert await units(table, "TransactGetItems", TransactItems=reads) == 6


INDEX_WRITES = {
    "enters": ({}, {"g": "a"}, 1),
    "moves": ({"g": "a"}, {"g": "b"}, 2),
    "leaves": ({"g": "a"}, {}, 1),
    "was not and is not there": ({"x": "a"}, {"x": "b"}, 0),
    "stays with another attribute": ({"g": "a", "x": "a"}, {"g": "a", "x": "b"}, 1),
    "stays as it is": ({"g": "a"}, {"g": "a"}, 0),
}


@pytest.mark.parametrize(("before", "after", "index_units"), INDEX_WRITES.values(), ids=INDEX_WRITES)
async def test_writes_of_an_index(table: Any, before: Any, after: Any, index_units: float) -> None:
    await put(table, item(100, **before))
    assert await units(table, "PutItem", TableName="tab", Item=item(100, **after)) == 1 + index_units


SIZES = {
    "a string in UTF-8": ({"S": "h\u00e9"}, 3),
    "a number of one digit": ({"N": "5"}, 2),
    "a number of 38 digits": ({"N": "1" * 38}, 20),
    "zeros around a number": ({"N": "001000"}, 2),
    "raw bytes": ({"B": "AAECAw=="}, 4),
    "null": ({"NULL": True}, 1),
    "a truth": ({"BOOL": False}, 1),
    "an empty list": ({"L": []}, 3),
    "an empty map": ({"M": {}}, 3),
    "a list": ({"L": [{"S": "ab"}, {"S": "c"}]}, 3 + (2 + 1) + (1 + 1)),
    "a map": ({"M": {"ab": {"S": "c"}}}, 3 + (2 + 1 + 1)),
    "a set": ({"SS": ["ab", "c"]}, 3),
}


@pytest.mark.parametrize(("value", "size"), SIZES.values(), ids=SIZES)
async def test_sizes(table: Any, value: dict[str, Any], size: int) -> None:
    """An item may grow to 1 KB with the value in it for one unit, and not by a byte more."""
    room = KB - size - 1
    assert await units(table, "PutItem", TableName="tab", Item={**item(room), "x": value}) == 1
    await table("DeleteItem", TableName="tab", Key=key())
    assert await units(table, "PutItem", TableName="tab", Item={**item(room + 1), "x": value}) == 2
