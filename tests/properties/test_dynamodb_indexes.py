"""Indexes equal a recomputation from the table after any writes, and are read as a filter over it would be."""

import asyncio
import contextlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.errors import ServiceError
from cumulet.services.dynamodb import index_filling
from cumulet.services.dynamodb.core.values import item_bytes
from cumulet.store.keyspace import DDB_INDEX_ENTRY, DDB_ITEM_COLLECTION
from harness import SCOPE, House

pytestmark = pytest.mark.slow

Item = Mapping[str, Any]


def keys(hash_names: str, range_names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": "HASH"} for name in hash_names] + [
        {"AttributeName": name, "KeyType": "RANGE"} for name in range_names
    ]


INDEXES: dict[str, tuple[str, str, set[str] | None]] = {
    "local": ("p", "a", {"x"}),
    "keys": ("a", "", set()),
    "number": ("a", "n", None),
    "several": ("an", "sp", None),
    "same": ("p", "s", {"x"}),
}
"""By name: partition key attributes, sort key attributes, what is projected besides the keys (None is everything)."""


def definition(name: str) -> dict[str, Any]:
    hash_names, range_names, projected = INDEXES[name]
    projection: dict[str, Any] = {"ProjectionType": "ALL"}
    if projected is not None:
        projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": sorted(projected)}
        if not projected:
            projection = {"ProjectionType": "KEYS_ONLY"}
    return {"IndexName": name, "KeySchema": keys(hash_names, range_names), "Projection": projection}


TABLE = {
    "TableName": "rows",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": kind}
        for name, kind in (("p", "S"), ("s", "S"), ("a", "B"), ("n", "N"))
    ],
    "KeySchema": keys("p", "s"),
    "LocalSecondaryIndexes": [definition("local")],
    "GlobalSecondaryIndexes": [definition(name) for name in INDEXES if name != "local"],
}

partitions = st.sampled_from(["p", "q\x00", "q"])
sorts = st.sampled_from(["1", "1\x00", "2"])
binaries = st.sampled_from(["AA==", "AP8=", "/w==", "//8="])
numbers = st.sampled_from(["-1", "0", "2", "10", "1.5"])
bad = st.sampled_from([{"S": "text"}, {"NULL": True}])
rest = st.fixed_dictionaries(
    {},
    optional={
        "a": st.one_of(binaries.map(lambda value: {"B": value}), binaries.map(lambda value: {"B": value}), bad),
        "n": numbers.map(lambda value: {"N": value}),
        "x": st.sampled_from(["", "x", "x" * 1500]).map(lambda value: {"S": value}),
        "y": st.just({"BOOL": True}),
    },
)
puts = st.tuples(st.just("put"), partitions, sorts, rest)
updates = st.tuples(st.just("update"), partitions, sorts, rest)
deletes = st.tuples(st.just("delete"), partitions, sorts, st.just({}))
sequences = st.lists(st.one_of(puts, puts, updates, deletes), max_size=14)


async def call(house: House, operation: str, **params: Any) -> Any:
    answer = await house.call("dynamodb", operation, {"TableName": "rows", **params})
    return msgspec.json.decode(msgspec.json.encode(answer))


async def written(steps: list[tuple[str, str, str, dict[str, Any]]]) -> House:
    """Return a house with the table after these writes, in which some were refused."""
    house = House("dynamodb")
    await call(house, "CreateTable", **TABLE)
    for step in steps:
        try:
            await write_one(house, *step)
        except ServiceError as error:
            assert error.code == "ValidationException"
    return house


async def write_one(house: House, kind: str, partition: str, sort: str, more: dict[str, Any]) -> None:
    key = {"p": {"S": partition}, "s": {"S": sort}}
    if kind == "put":
        await call(house, "PutItem", Item={**key, **more})
    elif kind == "delete":
        await call(house, "DeleteItem", Key=key)
    else:
        changes = [
            *[f"SET {', '.join(f'{name} = :{name}' for name in more)}" for _ in [0] if more],
            *[f"REMOVE {', '.join(name for name in 'anx' if name not in more)}" for _ in [0] if len(more) < 3],
        ]
        values = {"ExpressionAttributeValues": {f":{name}": value for name, value in more.items()}}
        await call(house, "UpdateItem", Key=key, UpdateExpression=" ".join(changes), **(values if more else {}))


def entry_of(name: str, item: Item) -> Item | None:
    """Return what an index has of an item, by the letter of AWS's rules."""
    hash_names, range_names, projected = INDEXES[name]
    kinds = {"p": "S", "s": "S", "a": "B", "n": "N"}
    if any(kinds[key] not in item.get(key, {}) for key in hash_names + range_names):
        return None
    kept = {*hash_names, *range_names, "p", "s"} | (projected or set())
    return {key: value for key, value in item.items() if projected is None or key in kept}


def order(item: Item) -> str:
    return msgspec.json.encode(item, order="deterministic").decode()


async def pages(house: House, operation: str, **params: Any) -> list[Item]:
    found: list[Item] = []
    start: dict[str, Any] = {}
    while True:
        page = await call(house, operation, **params, **start)
        found += page["Items"]
        if "LastEvaluatedKey" not in page:
            return found
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


@settings(max_examples=60, deadline=None)
@given(sequences, st.integers(1, 4), st.integers(1, 4))
def test_indexes_are_what_the_table_makes_of_them(steps: Any, limit: int, total: int) -> None:
    async def run() -> None:
        house = await written(steps)
        items = (await call(house, "Scan"))["Items"]
        for name in INDEXES:
            expected = [entry for item in items if (entry := entry_of(name, item)) is not None]
            whole = (await call(house, "Scan", IndexName=name))["Items"]
            assert sorted(map(order, whole)) == sorted(map(order, expected))
            assert await pages(house, "Scan", IndexName=name, Limit=limit) == whole
            parts = [
                await pages(house, "Scan", IndexName=name, Segment=segment, TotalSegments=total)
                for segment in range(total)
            ]
            assert [item for part in parts for item in part] == whole
        await check_collections(house, items)

    asyncio.run(run())


async def check_collections(house: House, items: list[Item]) -> None:
    """The size that is kept of each partition is that of its items and their entries in local indexes."""
    sizes: dict[str, int] = {}
    for item in items:
        entry = entry_of("local", item)
        size = item_bytes(item) + (0 if entry is None else item_bytes(entry))
        sizes[item["p"]["S"]] = sizes.get(item["p"]["S"], 0) + size
    start, end = DDB_ITEM_COLLECTION.range(SCOPE)
    kept = await house.store.read(lambda tx: list(tx.scan(start, end)))
    assert sorted(int.from_bytes(value[1:], "big") for _, value in kept) == sorted(sizes.values())


batches = st.tuples(
    st.sampled_from(["batch", "transaction", "statements"]),
    st.lists(st.one_of(puts, updates, deletes), min_size=1, max_size=4, unique_by=lambda step: step[1:3]),
)
comings_and_goings = st.tuples(
    st.sampled_from(["drop", "make"]), st.sampled_from(["keys", "number", "several", "same"])
)
everything = st.lists(
    st.one_of(puts, updates, deletes, batches, batches, comings_and_goings, st.tuples(st.just("fill"))), max_size=16
)


def bag(step: Any, *, refused: bool = False) -> dict[str, Any]:
    """Return a write as an action of a transaction; a refused one has a condition that cannot hold."""
    kind, partition, sort, more = step
    key = {"p": {"S": partition}, "s": {"S": sort}}
    condition = {"ConditionExpression": "attribute_exists(nothing)"} if refused else {}
    if kind == "put":
        return {"Put": {"TableName": "rows", "Item": {**key, **more}, **condition}}
    if kind == "delete" or not more:
        return {"Delete": {"TableName": "rows", "Key": key, **condition}}
    sets = {
        "UpdateExpression": f"SET {', '.join(f'{name} = :{name}' for name in more)}",
        "ExpressionAttributeValues": {f":{name}": value for name, value in more.items()},
    }
    return {"Update": {"TableName": "rows", "Key": key, **sets, **condition}}


def statement(step: Any) -> dict[str, Any]:
    """Return a write as a PartiQL statement."""
    kind, partition, sort, more = step
    key = [{"S": partition}, {"S": sort}]
    if kind == "put":
        names = ["p", "s", *more]
        item = ", ".join(f"'{name}': ?" for name in names)
        return {"Statement": f"INSERT INTO rows VALUE {{{item}}}", "Parameters": [*key, *more.values()]}
    if kind == "delete" or not more:
        return {"Statement": "DELETE FROM rows WHERE p = ? AND s = ?", "Parameters": key}
    sets = " ".join(f"SET {name} = ?" for name in more)
    return {"Statement": f"UPDATE rows {sets} WHERE p = ? AND s = ?", "Parameters": [*more.values(), *key]}


class EnoughError(Exception):
    """One step was taken."""


async def one_step_of_filling(house: House) -> None:
    async def write(body: Any) -> None:
        await house.store.write(body)
        raise EnoughError

    with contextlib.suppress(EnoughError):
        await index_filling.fill_indexes(house.store, write)


async def take(house: House, step: Any) -> None:
    """Take one step of any kind, and let it be refused."""
    kind, *rest = step
    try:
        if kind == "fill":
            await one_step_of_filling(house)
        elif kind == "drop":
            await call(house, "UpdateTable", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": rest[0]}}])
        elif kind == "make":
            made = definition(rest[0])
            names = {element["AttributeName"] for element in made["KeySchema"]}
            definitions = [one for one in TABLE["AttributeDefinitions"] if one["AttributeName"] in names]
            await call(
                house,
                "UpdateTable",
                AttributeDefinitions=definitions,
                GlobalSecondaryIndexUpdates=[{"Create": made}],
            )
        elif kind == "batch":
            writes = [bag(one) for one in rest[0] if one[0] != "update"]
            requests = [
                {"PutRequest": {"Item": one["Put"]["Item"]}}
                if "Put" in one
                else {"DeleteRequest": {"Key": one["Delete"]["Key"]}}
                for one in writes
            ]
            await house.call("dynamodb", "BatchWriteItem", {"RequestItems": {"rows": requests}})
        elif kind == "transaction":
            actions = [bag(one, refused=number == 3) for number, one in enumerate(rest[0])]
            await house.call("dynamodb", "TransactWriteItems", {"TransactItems": actions})
        elif kind == "statements":
            await house.call("dynamodb", "BatchExecuteStatement", {"Statements": [statement(one) for one in rest[0]]})
        else:
            await write_one(house, kind, *rest)
    except ServiceError as error:
        assert error.code in {
            "ValidationException",
            "TransactionCanceledException",
            "LimitExceededException",
            "ResourceNotFoundException",
        }


@settings(max_examples=60, deadline=None)
@given(st.lists(puts, min_size=4, max_size=8), everything)
def test_indexes_are_right_whichever_way_items_are_written(first: Any, steps: Any) -> None:
    """Through batches, transactions and statements, while indexes go, come back, and are being filled."""

    async def run() -> None:
        house = House("dynamodb")
        await call(house, "CreateTable", **{**TABLE, "GlobalSecondaryIndexes": [definition("several")]})
        for step in (*first, *steps):
            await take(house, step)
        await index_filling.fill_indexes(house.store, house.store.write)
        items = (await call(house, "Scan"))["Items"]
        table = (await call(house, "DescribeTable"))["Table"]
        there = [
            index["IndexName"] for index in (*table["LocalSecondaryIndexes"], *table.get("GlobalSecondaryIndexes", ()))
        ]
        entries = 0
        for name in there:
            expected = [entry for item in items if (entry := entry_of(name, item)) is not None]
            whole = (await call(house, "Scan", IndexName=name))["Items"]
            assert sorted(map(order, whole)) == sorted(map(order, expected)), name
            entries += len(expected)
        # Nothing is left of indexes that went, and of items in them.
        start, end = DDB_INDEX_ENTRY.range(SCOPE)
        assert len(await house.store.read(lambda tx: list(tx.scan(start, end)))) == entries
        await check_collections(house, items)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_filling, "FILLED_AT_ONCE_MAX", 2)
        asyncio.run(run())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(partitions, sorts, binaries, numbers), max_size=12),
    binaries,
    st.sampled_from(["=", "<", "<=", ">", ">="]),
    numbers,
    st.booleans(),
    st.integers(1, 4),
)
def test_a_query_of_an_index_is_a_filter_over_sorted_items(
    rows: Any, wanted: str, operator: str, bound: str, forward: bool, limit: int
) -> None:
    async def run() -> None:
        steps = [("put", p, s, {"a": {"B": a}, "n": {"N": n}}) for p, s, a, n in rows]
        house = await written(steps)
        items = (await call(house, "Scan"))["Items"]
        compare = {
            "=": lambda number: number == Decimal(bound),
            "<": lambda number: number < Decimal(bound),
            "<=": lambda number: number <= Decimal(bound),
            ">": lambda number: number > Decimal(bound),
            ">=": lambda number: number >= Decimal(bound),
        }[operator]
        expected = sorted(
            Decimal(item["n"]["N"]) for item in items if item["a"]["B"] == wanted and compare(Decimal(item["n"]["N"]))
        )
        found = await pages(
            house,
            "Query",
            IndexName="number",
            KeyConditionExpression=f"a = :a AND n {operator} :n",
            ExpressionAttributeValues={":a": {"B": wanted}, ":n": {"N": bound}},
            ScanIndexForward=forward,
            Limit=limit,
        )
        assert [Decimal(item["n"]["N"]) for item in found] == (expected if forward else expected[::-1])
        assert len({order(item) for item in found}) == len(found)

    asyncio.run(run())
