"""Local and global indexes: what they hold, what writes cost, how they are read, and what they refuse."""

from typing import Any

import pytest

from cumulet.settings import Settings
from harness import House

INVALID = "One or more parameter values were invalid: "


def keys(hash_name: str, range_name: str | None = None) -> list[dict[str, str]]:
    schema = [{"AttributeName": hash_name, "KeyType": "HASH"}]
    return schema if range_name is None else [*schema, {"AttributeName": range_name, "KeyType": "RANGE"}]


def definitions(**kinds: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in kinds.items()]


def index(name: str, schema: list[dict[str, str]], projection: str = "ALL", *attributes: str) -> dict[str, Any]:
    projected: dict[str, Any] = {"ProjectionType": projection}
    if attributes:
        projected["NonKeyAttributes"] = list(attributes)
    return {"IndexName": name, "KeySchema": schema, "Projection": projected}


TABLE = {
    "TableName": "orders",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": definitions(pk="S", sk="S", weekday="S", amount="N"),
    "KeySchema": keys("pk", "sk"),
    "LocalSecondaryIndexes": [index("by_day", keys("pk", "weekday"), "INCLUDE", "note")],
    "GlobalSecondaryIndexes": [
        index("by_total", keys("weekday", "amount")),
        index("days", keys("weekday"), "KEYS_ONLY"),
    ],
}


def order(pk: str, sk: str, **more: Any) -> dict[str, Any]:
    kinds = {"amount": "N"}
    values = {name: {kinds.get(name, "S"): value} for name, value in more.items()}
    return {"pk": {"S": pk}, "sk": {"S": sk}, **values}


@pytest.fixture
async def orders(ddb: Any) -> Any:
    """Return `ddb` with the table "orders"."""
    await ddb("CreateTable", **TABLE)
    return ddb


async def found(ddb: Any, index_name: str, condition: str, **more: Any) -> list[dict[str, Any]]:
    values = more.pop("values")
    answer = await ddb(
        "Query",
        TableName="orders",
        IndexName=index_name,
        KeyConditionExpression=condition,
        ExpressionAttributeValues=values,
        **more,
    )
    items: list[dict[str, Any]] = answer["Items"]
    return items


async def test_indexes_of_a_new_table_are_creating(ddb: Any) -> None:
    created = (await ddb("CreateTable", **TABLE))["TableDescription"]
    shown = [(one["IndexStatus"], "Backfilling" in one) for one in created["GlobalSecondaryIndexes"]]
    assert shown == [("CREATING", False), ("CREATING", False)]
    assert "IndexStatus" not in created["LocalSecondaryIndexes"][0]


async def test_indexes_are_described(orders: Any) -> None:
    table = (await orders("DescribeTable", TableName="orders"))["Table"]
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/orders/index/"
    assert table["LocalSecondaryIndexes"] == [
        {
            "IndexName": "by_day",
            "KeySchema": keys("pk", "weekday"),
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["note"]},
            "IndexSizeBytes": 0,
            "ItemCount": 0,
            "IndexArn": arn + "by_day",
        }
    ]
    assert table["GlobalSecondaryIndexes"][1] == {
        "IndexName": "days",
        "KeySchema": keys("weekday"),
        "Projection": {"ProjectionType": "KEYS_ONLY"},
        "IndexStatus": "ACTIVE",
        "ProvisionedThroughput": {"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
        "WarmThroughput": {"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000, "Status": "ACTIVE"},
        "IndexSizeBytes": 0,
        "ItemCount": 0,
        "IndexArn": arn + "days",
    }
    await orders("PutItem", TableName="orders", Item=order("a", "1", weekday="mon"))
    table = (await orders("DescribeTable", TableName="orders"))["Table"]
    counts = {one["IndexName"]: one["ItemCount"] for one in table["GlobalSecondaryIndexes"]}
    assert counts == {"by_total": 0, "days": 1}


async def test_an_item_enters_moves_and_leaves(orders: Any) -> None:
    key = {"pk": {"S": "a"}, "sk": {"S": "1"}}
    values = {":d": {"S": "mon"}}

    async def sold() -> list[dict[str, Any]]:
        return await found(orders, "by_total", "weekday = :d", values=values)

    await orders("PutItem", TableName="orders", Item=order("a", "1", weekday="mon"))
    assert await sold() == []
    await orders(
        "UpdateItem",
        TableName="orders",
        Key=key,
        UpdateExpression="SET amount = :t",
        ExpressionAttributeValues={":t": {"N": "5"}},
    )
    assert await sold() == [order("a", "1", weekday="mon", amount="5")]
    await orders(
        "UpdateItem",
        TableName="orders",
        Key=key,
        UpdateExpression="SET #d = :t",
        ExpressionAttributeNames={"#d": "weekday"},
        ExpressionAttributeValues={":t": {"S": "tue"}},
    )
    assert await sold() == []
    await orders(
        "BatchWriteItem",
        RequestItems={"orders": [{"PutRequest": {"Item": order("b", "1", weekday="mon", amount="-1")}}]},
    )
    assert await sold() == [order("b", "1", weekday="mon", amount="-1")]
    await orders("DeleteItem", TableName="orders", Key={"pk": {"S": "b"}, "sk": {"S": "1"}})
    assert await sold() == []


async def test_what_an_index_projects(orders: Any) -> None:
    whole = order("a", "1", weekday="mon", amount="5", note="n", extra="o")
    await orders("PutItem", TableName="orders", Item=whole)
    by_day = {"values": {":p": {"S": "a"}}}
    kept = {name: whole[name] for name in ("pk", "sk", "weekday", "note")}
    assert await found(orders, "by_day", "pk = :p", **by_day) == [kept]
    assert await found(orders, "by_day", "pk = :p", **by_day, Select="ALL_PROJECTED_ATTRIBUTES") == [kept]
    assert await found(orders, "by_day", "pk = :p", **by_day, Select="ALL_ATTRIBUTES") == [whole]
    assert await found(orders, "by_day", "pk = :p", **by_day, ProjectionExpression="extra") == [{"extra": {"S": "o"}}]
    assert await found(orders, "days", "weekday = :d", values={":d": {"S": "mon"}}) == [
        {name: whole[name] for name in ("pk", "sk", "weekday")}
    ]
    filtered = {"values": {":p": {"S": "a"}, ":o": {"S": "o"}}, "FilterExpression": "extra = :o"}
    assert await found(orders, "by_day", "pk = :p", **filtered) == [whole]


async def test_reads_are_billed_to_what_was_read(orders: Any) -> None:
    await orders("PutItem", TableName="orders", Item=order("a", "1", weekday="mon", amount="5", extra="x" * 9000))

    async def billed(index_name: str, condition: str, **more: Any) -> Any:
        value = "mon" if condition == "weekday = :v" else "a"
        answer = await orders(
            "Query",
            TableName="orders",
            IndexName=index_name,
            KeyConditionExpression=condition,
            ExpressionAttributeValues={":v": {"S": value}},
            ReturnConsumedCapacity="INDEXES",
            **more,
        )
        return answer["ConsumedCapacity"]

    assert await billed("days", "weekday = :v") == {
        "TableName": "orders",
        "CapacityUnits": 0.5,
        "Table": {"CapacityUnits": 0.0},
        "GlobalSecondaryIndexes": {"days": {"CapacityUnits": 0.5}},
    }
    assert (await billed("by_total", "weekday = :v"))["CapacityUnits"] == 1.5
    # The item has 3 blocks of 4 KB, its entry one.
    assert await billed("by_day", "pk = :v", Select="ALL_ATTRIBUTES", ConsistentRead=True) == {
        "TableName": "orders",
        "CapacityUnits": 4.0,
        "Table": {"CapacityUnits": 3.0},
        "LocalSecondaryIndexes": {"by_day": {"CapacityUnits": 1.0}},
    }


@pytest.mark.parametrize(
    ("before", "after", "table", "local", "totals"),
    [
        ({}, {"weekday": "mon"}, 1.0, 1.0, None),
        ({"weekday": "mon"}, {"weekday": "mon", "extra": "x"}, 1.0, None, None),
        ({"weekday": "mon"}, {"weekday": "mon", "note": "x"}, 1.0, 1.0, None),
        ({"weekday": "mon"}, {"weekday": "tue"}, 1.0, 2.0, None),
        ({"weekday": "mon", "amount": "1"}, {"weekday": "mon", "amount": "1", "extra": "x" * 2000}, 2.0, None, 2.0),
        ({"weekday": "mon", "amount": "1", "extra": "x" * 2000}, {"weekday": "mon", "amount": "2"}, 2.0, None, 3.0),
        ({"weekday": "mon", "amount": "1"}, {}, 1.0, 1.0, 1.0),
        ({"weekday": "mon", "amount": "1"}, {"weekday": "mon", "amount": "1"}, 1.0, None, None),
    ],
)
async def test_a_write_costs_what_it_changes(
    orders: Any, before: Any, after: Any, table: float, local: float | None, totals: float | None
) -> None:
    await orders("PutItem", TableName="orders", Item=order("a", "1", **before))
    answer = await orders(
        "PutItem", TableName="orders", Item=order("a", "1", **after), ReturnConsumedCapacity="INDEXES"
    )
    consumed = answer["ConsumedCapacity"]
    assert consumed["Table"] == {"CapacityUnits": table}
    assert consumed.get("LocalSecondaryIndexes", {}).get("by_day", {}).get("CapacityUnits") == local
    assert consumed.get("GlobalSecondaryIndexes", {}).get("by_total", {}).get("CapacityUnits") == totals
    parts = [*consumed.get("LocalSecondaryIndexes", {}).values(), *consumed.get("GlobalSecondaryIndexes", {}).values()]
    assert consumed["CapacityUnits"] == table + sum(part["CapacityUnits"] for part in parts)


async def test_pages_of_an_index_go_on_where_they_ended(orders: Any) -> None:
    # All with the same index key: only the table's key tells them apart.
    for number in range(7):
        await orders("PutItem", TableName="orders", Item=order("p", str(number), weekday="mon", amount="1"))
    for operation, condition in (("Query", {"KeyConditionExpression": "weekday = :d"}), ("Scan", {})):
        values = {"ExpressionAttributeValues": {":d": {"S": "mon"}}} if condition else {}
        seen: list[str] = []
        start: dict[str, Any] = {}
        while True:
            page = await orders(
                operation, TableName="orders", IndexName="by_total", Limit=3, **condition, **values, **start
            )
            seen += [item["sk"]["S"] for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                break
            assert page["LastEvaluatedKey"].keys() == {"pk", "sk", "weekday", "amount"}
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        assert seen == [str(number) for number in range(7)]


QUERY = {
    "TableName": "orders",
    "IndexName": "by_total",
    "KeyConditionExpression": "weekday = :d",
    "ExpressionAttributeValues": {":d": {"S": "mon"}},
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"IndexName": "none"}, "The table does not have the specified index: none"),
        ({"ConsistentRead": True}, "Consistent reads are not supported on global secondary indexes"),
        (
            {"IndexName": "days", "Select": "ALL_ATTRIBUTES"},
            INVALID + "Select type ALL_ATTRIBUTES is not supported for global secondary index days because its "
            "projection type is not ALL",
        ),
        (
            {"IndexName": "days", "ProjectionExpression": "pk, note, amount"},
            INVALID + "Global secondary index days does not project [note, amount]",
        ),
        (
            {"FilterExpression": "amount = :d"},
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: amount",
        ),
        ({"KeyConditionExpression": "pk = :d"}, "Query condition missed key schema element: weekday"),
        (
            {"ExpressionAttributeValues": {":d": {"N": "1"}}},
            INVALID + "Condition parameter type does not match schema type",
        ),
        (
            {"ExclusiveStartKey": {"pk": {"S": "a"}, "sk": {"S": "1"}, "weekday": {"S": "mon"}}},
            "The provided starting key is invalid: The provided key element does not match the schema",
        ),
        (
            {"ExclusiveStartKey": order("a", "1", weekday="tue", amount="1")},
            "The provided starting key is outside query boundaries based on provided conditions",
        ),
    ],
)
async def test_a_query_of_an_index_refuses(orders: Any, refused: Any, changes: Any, message: str) -> None:
    assert await refused(orders("Query", **{**QUERY, **changes})) == ("ValidationException", message)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (
            {"weekday": {"N": "1"}},
            INVALID + "Type mismatch for Index Key weekday Expected: S Actual: N IndexName: by_day",
        ),
        (
            {"amount": {"NULL": True}},
            INVALID + "Type mismatch for Index Key amount Expected: N Actual: NULL IndexName: by_total",
        ),
        (
            {"weekday": {"S": ""}},
            "One or more parameter values are not valid. A value specified for a secondary index key is not "
            "supported. The AttributeValue for a key attribute cannot contain an empty string value. "
            "IndexName: by_day, IndexKey: weekday",
        ),
        (
            {"weekday": {"S": "x" * 1025}},
            INVALID + "Aggregated size of all range keys has exceeded the size limit of 1024 bytes",
        ),
    ],
)
async def test_an_item_that_an_index_cannot_hold(orders: Any, refused: Any, item: Any, message: str) -> None:
    whole = {**order("a", "1"), **item}
    assert await refused(orders("PutItem", TableName="orders", Item=whole)) == ("ValidationException", message)
    request = {"RequestItems": {"orders": [{"PutRequest": {"Item": order("b", "1")}}, {"PutRequest": {"Item": whole}}]}}
    assert await refused(orders("BatchWriteItem", **request)) == ("ValidationException", message)
    assert (await orders("Scan", TableName="orders"))["Count"] == 0


@pytest.mark.parametrize(
    ("expression", "value", "message"),
    [
        (
            "SET weekday = :v",
            {"N": "1"},
            INVALID + "Type mismatch for Index Key weekday Expected: S Actual: N IndexName: by_day",
        ),
        (
            "SET weekday = :v",
            {"S": ""},
            "One or more parameter values are not valid. The update expression attempted to update a secondary index "
            "key to a value that is not supported. The AttributeValue for a key attribute cannot contain an empty "
            "string value.",
        ),
        (
            "SET weekday.x = :v",
            {"S": "y"},
            "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: "
            "IndexKey: weekday",
        ),
    ],
)
async def test_an_update_that_an_index_cannot_hold(
    orders: Any, refused: Any, expression: str, value: Any, message: str
) -> None:
    update = {
        "TableName": "orders",
        "Key": {"pk": {"S": "a"}, "sk": {"S": "1"}},
        "UpdateExpression": expression.replace("weekday", "#d"),
        "ExpressionAttributeNames": {"#d": "weekday"},
        "ExpressionAttributeValues": {":v": value},
    }
    assert await refused(orders("UpdateItem", **update)) == ("ValidationException", message)


MULTI = {
    "TableName": "games",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": definitions(id="S", a="S", b="N", c="N", d="S"),
    "KeySchema": keys("id"),
    "GlobalSecondaryIndexes": [
        index(
            "multi",
            [
                {"AttributeName": "a", "KeyType": "HASH"},
                {"AttributeName": "b", "KeyType": "HASH"},
                {"AttributeName": "c", "KeyType": "RANGE"},
                {"AttributeName": "d", "KeyType": "RANGE"},
            ],
        )
    ],
}


async def test_keys_of_several_attributes(ddb: Any, refused: Any) -> None:
    await ddb("CreateTable", **MULTI)
    for number, (c, d) in enumerate([("2", "x"), ("10", "a"), ("2", "xy"), ("2", "a"), ("-1", "z")]):
        item = {"id": {"S": str(number)}, "a": {"S": "k"}, "b": {"N": "1"}, "c": {"N": c}, "d": {"S": d}}
        await ddb("PutItem", TableName="games", Item=item)
    await ddb("PutItem", TableName="games", Item={"id": {"S": "9"}, "a": {"S": "k"}, "b": {"N": "1"}, "c": {"N": "2"}})

    def request(condition: str, values: dict[str, Any]) -> dict[str, Any]:
        return {
            "TableName": "games",
            "IndexName": "multi",
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": {":a": {"S": "k"}, ":b": {"N": "1"}, **values},
        }

    async def ids(condition: str, **values: Any) -> list[str]:
        given = {f":{name}": value for name, value in values.items()}
        return [item["id"]["S"] for item in (await ddb("Query", **request(condition, given)))["Items"]]

    both = "a = :a AND b = :b"
    assert await ids(both) == ["4", "3", "0", "2", "1"]
    assert await ids(both + " AND c = :c", c={"N": "2.0"}) == ["3", "0", "2"]
    assert await ids(both + " AND c > :c", c={"N": "2"}) == ["1"]
    assert await ids(both + " AND d >= :d AND c = :c", c={"N": "2"}, d={"S": "x"}) == ["0", "2"]
    assert await ids(both + " AND c = :c AND begins_with(d, :d)", c={"N": "2"}, d={"S": "x"}) == ["0", "2"]
    lacking_c = (
        "RANGE key attributes c must have equality conditions specified in the query because a condition is present on "
        "key attribute d"
    )
    for condition, values, word in (
        ("a = :a AND :b = :b", {}, ""),
        ("a = :a", {}, "HASH key attributes with equality"),
        ("a = :a AND b > :b", {}, "HASH key attributes with equality"),
        (both + " AND d = :d", {":d": {"S": "x"}}, lacking_c),
        (both + " AND c > :c AND d = :d", {":c": {"N": "1"}, ":d": {"S": "x"}}, lacking_c),
        (
            both + " AND c = :c AND d = :d AND e = :e",
            {":c": {"N": "1"}, ":d": {"S": "x"}, ":e": {"S": "x"}},
            "The number of query conditions (5) exceeds the number of key attributes defined in the schema (4)",
        ),
    ):
        given = request(condition, values)
        if ":b" not in condition:
            del given["ExpressionAttributeValues"][":b"]
        code, message = await refused(ddb("Query", **given))
        assert code == "ValidationException"
        assert word in message


async def test_an_item_collection_has_a_size_and_a_limit(refused: Any) -> None:
    house = House("dynamodb", settings=Settings(dynamodb_item_collection_bytes_max=3000))

    async def call(operation: str, **params: Any) -> Any:
        return await house.call("dynamodb", operation, params)

    await call("CreateTable", **TABLE)
    wanted = {"ReturnItemCollectionMetrics": "SIZE"}
    put = {"TableName": "orders", "Item": order("a", "1", weekday="mon", extra="x" * 2000)}
    expected = {"ItemCollectionKey": {"pk": {"S": "a"}}, "SizeEstimateRangeGB": [0.0, 1.0]}
    assert (await call("PutItem", **put, **wanted))["ItemCollectionMetrics"] == expected
    assert "ItemCollectionMetrics" not in await call("PutItem", **put)
    more = {"TableName": "orders", "Item": order("a", "2", extra="x" * 1000)}
    assert await refused(call("PutItem", **more)) == (
        "ItemCollectionSizeLimitExceededException",
        "Collection size exceeded.",
    )
    # Another partition has room of its own, and what shrinks may always be written.
    await call("PutItem", TableName="orders", Item=order("b", "2", extra="x" * 1000))
    await call("PutItem", TableName="orders", Item=order("a", "1"))
    answer = await call("BatchWriteItem", RequestItems={"orders": [{"PutRequest": {"Item": more["Item"]}}]}, **wanted)
    assert answer["ItemCollectionMetrics"] == {"orders": [expected]}
    deleted = await call("DeleteItem", TableName="orders", Key={"pk": {"S": "a"}, "sk": {"S": "2"}}, **wanted)
    assert deleted["ItemCollectionMetrics"] == expected


async def test_old_items_that_an_index_cannot_hold_can_still_be_changed(ddb: Any) -> None:
    await ddb(
        "CreateTable",
        TableName="plain",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=definitions(pk="S"),
        KeySchema=keys("pk"),
    )
    for number, value in enumerate(({"S": "x"}, {"N": "1"}, {"S": ""}, {"S": "y" * 2049})):
        await ddb("PutItem", TableName="plain", Item={"pk": {"S": str(number)}, "a": value})
    await ddb(
        "UpdateTable",
        TableName="plain",
        AttributeDefinitions=definitions(a="S"),
        GlobalSecondaryIndexUpdates=[{"Create": index("by_a", keys("a"))}],
    )
    assert (await ddb("Scan", TableName="plain", IndexName="by_a"))["Count"] == 1
    await ddb(
        "UpdateItem",
        TableName="plain",
        Key={"pk": {"S": "1"}},
        UpdateExpression="SET note = :n",
        ExpressionAttributeValues={":n": {"S": "n"}},
    )
    assert (await ddb("Scan", TableName="plain", IndexName="by_a"))["Count"] == 1


async def test_what_an_index_cannot_hold_in_a_transaction(orders: Any, refused: Any) -> None:
    def put(weekday: Any) -> dict[str, Any]:
        item = {**order("a", "1"), "weekday": weekday}
        return {"TransactItems": [{"Put": {"TableName": "orders", "Item": item}}]}

    code, message = await refused(orders("TransactWriteItems", **put({"S": ""})))
    assert (code, "IndexName: by_day, IndexKey: weekday" in message) == ("ValidationException", True)
    assert (await refused(orders("TransactWriteItems", **put({"N": "1"}))))[0] == "TransactionCanceledException"
    await orders("TransactWriteItems", **put({"S": "mon"}))
    assert (await orders("Scan", TableName="orders", IndexName="days"))["Count"] == 1


TOO_LARGE = ("ValidationException", "Item size has exceeded the maximum allowed size")
SIZES_WITH_ENTRIES = {
    "not in the index": ({"note": "n" * 390_000}, None),
    "what is not projected": ({"weekday": "monday", "filler": "f" * 390_000}, None),
    "item and entry just fit": ({"weekday": "monday", "note": "n" * 204_700}, None),
    "item and entry do not fit": ({"weekday": "monday", "note": "n" * 204_800}, TOO_LARGE),
}


@pytest.mark.parametrize(("attributes", "expected"), SIZES_WITH_ENTRIES.values(), ids=SIZES_WITH_ENTRIES)
async def test_an_item_and_its_entries_in_local_indexes_have_400_kb_together(
    orders: Any, refused: Any, attributes: dict[str, str], expected: tuple[str, str] | None
) -> None:
    put = {"TableName": "orders", "Item": order("a", "1", **attributes)}
    parts = {f":{name}": {"S": value} for name, value in attributes.items()}
    update = {
        "TableName": "orders",
        "Key": order("a", "2"),
        "UpdateExpression": "SET " + ", ".join(f"{name[1:]} = {name}" for name in parts),
        "ExpressionAttributeValues": parts,
    }
    if expected is None:
        await orders("PutItem", **put)
        await orders("UpdateItem", **update)
        return
    assert await refused(orders("PutItem", **put)) == expected
    assert await refused(orders("UpdateItem", **update)) == expected
    assert await refused(orders("BatchWriteItem", RequestItems={"orders": [{"PutRequest": put}]})) == expected
    code, message = await refused(orders("TransactWriteItems", TransactItems=[{"Put": put}]))
    assert (code, message.endswith("[ValidationError]")) == ("TransactionCanceledException", True)
    assert (await orders("Scan", TableName="orders"))["Count"] == 0
