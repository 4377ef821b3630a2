"""Indexes equal a recomputation from the table after any writes, and are read as a filter over it would be."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.values import item_bytes
from cumulet.store.keyspace import DDB_ITEM_COLLECTION
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
    for kind, partition, sort, more in steps:
        key = {"p": {"S": partition}, "s": {"S": sort}}
        try:
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
        except ServiceError as error:
            assert error.code == "ValidationException"
    return house


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
