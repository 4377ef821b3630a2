"""Query equals a filter over sorted items, and paging equals one big page, whatever is stored."""

import asyncio
import base64
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.dynamodb.operations import paging
from harness import House

pytestmark = pytest.mark.slow

sort_numbers = st.decimals(min_value=-(10**12), max_value=10**12, places=3, allow_nan=False, allow_infinity=False).map(
    lambda number: format(number, "f")
)
sort_texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=4)
operators = st.sampled_from(["=", "<", "<=", ">", ">=", "BETWEEN"])


async def loaded(sort_kind: str, rows: list[tuple[str, str]]) -> House:
    house = House("dynamodb")
    schema = {
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": sort_kind},
        ],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    }
    await house.call("dynamodb", "CreateTable", {"TableName": "rows", "BillingMode": "PAY_PER_REQUEST", **schema})
    for pk, sk in rows:
        await house.call("dynamodb", "PutItem", {"TableName": "rows", "Item": {"pk": {"S": pk}, "sk": {sort_kind: sk}}})
    return house


async def all_pages(house: House, operation: str, params: dict[str, Any], key: Any) -> list[str]:
    """Return what every page holds, in order."""
    found: list[str] = []
    start: dict[str, Any] = {}
    while True:
        answer = await house.call("dynamodb", operation, {"TableName": "rows", **params, **start})
        page = msgspec.json.decode(msgspec.json.encode(answer))
        found += [key(item) for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            return found
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def holds(operator: str, value: Any, low: Any, high: Any) -> bool:
    tests = {"=": value == low, "<": value < low, "<=": value <= low, ">": value > low, ">=": value >= low}
    return low <= value <= high if operator == "BETWEEN" else tests[operator]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["p", "p\x00", "q"]), sort_numbers), max_size=12),
    operators,
    sort_numbers,
    sort_numbers,
    st.booleans(),
    st.integers(1, 5),
)
def test_query_by_number(
    rows: list[tuple[str, str]], operator: str, one: str, two: str, forward: bool, limit: int
) -> None:
    low, high = sorted((one, two), key=Decimal)
    expected = sorted(
        {Decimal(sk) for pk, sk in rows if pk == "p" and holds(operator, Decimal(sk), Decimal(low), Decimal(high))},
        reverse=not forward,
    )
    found = asyncio.run(query("N", rows, operator, low, high, forward, limit))
    assert [Decimal(number) for number in found] == expected


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["p", "p\x00", "q"]), sort_texts), max_size=12),
    st.one_of(operators, st.just("begins_with")),
    sort_texts,
    sort_texts,
    st.booleans(),
    st.integers(1, 5),
)
def test_query_by_text(
    rows: list[tuple[str, str]], operator: str, one: str, two: str, forward: bool, limit: int
) -> None:
    low, high = sorted((one, two))

    def wanted(sk: str) -> bool:
        return sk.startswith(low) if operator == "begins_with" else holds(operator, sk, low, high)

    expected = sorted({sk for pk, sk in rows if pk == "p" and wanted(sk)}, reverse=not forward)
    assert asyncio.run(query("S", rows, operator, low, high, forward, limit)) == expected


async def query(
    kind: str, rows: list[tuple[str, str]], operator: str, low: str, high: str, forward: bool, limit: int
) -> list[str]:
    house = await loaded(kind, rows)
    condition = {"BETWEEN": "sk BETWEEN :l AND :h", "begins_with": "begins_with(sk, :l)"}.get(
        operator, f"sk {operator} :l"
    )
    bounds = {":l": {kind: low}, ":h": {kind: high}} if operator == "BETWEEN" else {":l": {kind: low}}
    params = {
        "KeyConditionExpression": f"pk = :p AND {condition}",
        "ExpressionAttributeValues": {":p": {"S": "p"}, **bounds},
        "ScanIndexForward": forward,
        "Limit": limit,
    }
    return await all_pages(house, "Query", params, lambda item: item["sk"][kind])


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(sort_texts, sort_texts), max_size=15),
    st.integers(1, 6),
    st.integers(1, 5),
)
def test_scan_pages_and_segments_hold_every_item_once(rows: list[tuple[str, str]], limit: int, total: int) -> None:
    async def scan() -> tuple[list[Any], list[Any]]:
        house = await loaded("S", rows)

        def key(item: Any) -> tuple[str, str]:
            return item["pk"]["S"], item["sk"]["S"]

        paged = await all_pages(house, "Scan", {"Limit": limit}, key)
        parts: list[Any] = []
        for segment in range(total):
            parts += await all_pages(house, "Scan", {"Limit": limit, "Segment": segment, "TotalSegments": total}, key)
        return paged, parts

    paged, parts = asyncio.run(scan())
    assert paged == parts
    assert sorted(paged) == sorted(set(rows))


binaries = st.binary(min_size=1, max_size=3).map(lambda value: base64.b64encode(value).decode())
filtered_rows = st.lists(st.tuples(st.sampled_from(["p", "q"]), binaries, st.integers(0, 9)), max_size=14)


@settings(max_examples=60, deadline=None)
@given(filtered_rows, st.integers(0, 9), st.booleans(), st.one_of(st.none(), st.integers(1, 5)), st.integers(40, 400))
def test_filtered_pages_are_a_filter_over_sorted_items_whatever_ends_them(
    rows: list[tuple[str, str, int]], least: int, forward: bool, limit: int | None, page_bytes: int
) -> None:
    """Pages end after so many items or so many bytes, which are counted before the filter."""

    async def run() -> None:
        house = await loaded("B", [])
        for pk, sk, n in rows:
            item = {"pk": {"S": pk}, "sk": {"B": sk}, "n": {"N": str(n)}, "more": {"S": "x" * 10 * n}}
            await house.call("dynamodb", "PutItem", {"TableName": "rows", "Item": item})
        stored = {(pk, base64.b64decode(sk)): n for pk, sk, n in rows}
        filters = {"FilterExpression": "n >= :n", **({} if limit is None else {"Limit": limit})}
        least_value = {":n": {"N": str(least)}}
        for operation, asked, within in (
            (
                "Query",
                {
                    "KeyConditionExpression": "pk = :p",
                    "ExpressionAttributeValues": {":p": {"S": "p"}, **least_value},
                    "ScanIndexForward": forward,
                },
                [key for key in stored if key[0] == "p"],
            ),
            ("Scan", {"ExpressionAttributeValues": least_value}, list(stored)),
        ):
            found: list[tuple[str, bytes]] = []
            counted = scanned = 0
            start: dict[str, Any] = {}
            while True:
                params = {"TableName": "rows", **filters, **asked, **start}
                page = msgspec.json.decode(msgspec.json.encode(await house.call("dynamodb", operation, params)))
                found += [(item["pk"]["S"], base64.b64decode(item["sk"]["B"])) for item in page["Items"]]
                counted, scanned = counted + page["Count"], scanned + page["ScannedCount"]
                assert limit is None or page["ScannedCount"] <= limit
                if "LastEvaluatedKey" not in page:
                    break
                start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
            expected = sorted((key for key in within if stored[key] >= least), reverse=not forward)
            assert (found if operation == "Query" else sorted(found, reverse=not forward)) == expected
            assert (counted, scanned) == (len(expected), len(within))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paging, "PAGE_BYTES_MAX", page_bytes)
        asyncio.run(run())
