"""What DescribeTable tells of how much there is: exact for a little and at first; for much, as old as AWS's figures."""

from typing import Any

import pytest

from cumulet.services.dynamodb.core.limits import COUNTED_FRESH_MAX, COUNTED_PAGE
from cumulet.settings import Settings
from cumulet.store.keyspace import DDB_SIZE
from harness import SCOPE
from streaming import Tables

HOUR_S = 3600
INDEXED: dict[str, Any] = {
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "g")],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-g",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
    "VectorIndexes": [
        {
            "IndexName": "near",
            "VectorAttribute": {"AttributeName": "v"},
            "Dimensions": 2,
            "DistanceFunction": "EUCLIDEAN",
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
}


@pytest.fixture
async def tables() -> Tables:
    tables = Tables()
    await tables.create("tab", sort_key=True)
    return tables


async def fill(tables: Tables, first: int, last: int, name: str = "tab", **attributes: Any) -> None:
    """Put items of one partition: 10 bytes each, without more attributes."""
    for start in range(first, last, 25):
        items = [{"pk": {"S": "p"}, "sk": {"S": f"{n:05}"}, **attributes} for n in range(start, min(start + 25, last))]
        await tables("BatchWriteItem", RequestItems={name: [{"PutRequest": {"Item": item}} for item in items]})


async def told(tables: Tables, name: str = "tab") -> tuple[int, int]:
    table = (await tables("DescribeTable", TableName=name))["Table"]
    return table["ItemCount"], table["TableSizeBytes"]


async def kept(tables: Tables) -> list[Any]:
    """Return the figures that are kept."""
    return await tables.store.read(lambda tx: list(tx.scan(*DDB_SIZE.range(SCOPE))))


@pytest.mark.parametrize("count", [0, 1, COUNTED_PAGE, COUNTED_PAGE + 1, 2 * COUNTED_PAGE, 2 * COUNTED_PAGE + 7])
async def test_items_of_one_partition_are_counted_exactly(tables: Tables, count: int) -> None:
    await fill(tables, 0, count)
    assert await told(tables) == (count, 10 * count)
    await tables("DeleteItem", TableName="tab", Key={"pk": {"S": "p"}, "sk": {"S": "00000"}})
    assert await told(tables) == (max(0, count - 1), 10 * max(0, count - 1))


async def test_indexes_have_figures_of_their_own() -> None:
    tables = Tables()
    await tables.create("tab", sort_key=True, **INDEXED)
    await fill(tables, 0, 1500, g={"S": "g"}, v={"L": [{"N": "1"}, {"N": "2"}]})
    await fill(tables, 1500, 1600)
    table = (await tables("DescribeTable", TableName="tab"))["Table"]
    (by_g,), (near,) = table["GlobalSecondaryIndexes"], table["VectorIndexes"]
    assert (table["ItemCount"], by_g["ItemCount"], near["ItemCount"]) == (1600, 1500, 1500)
    assert (by_g["IndexSizeBytes"], near["IndexSizeBytes"]) == (1500 * 12, 1500 * 8)
    # What else describes the table tells what DescribeTable has counted.
    update = await tables("UpdateTable", TableName="tab", DeletionProtectionEnabled=False)
    assert update["TableDescription"]["ItemCount"] == 1600
    assert len(await kept(tables)) == 3
    await tables("UpdateTable", TableName="tab", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-g"}}])
    await tables("UpdateTable", TableName="tab", VectorIndexUpdates=[{"Delete": {"IndexName": "near"}}])
    assert len(await kept(tables)) == 1


@pytest.mark.slow
async def test_the_figures_of_large_tables_are_up_to_six_hours_old(tables: Tables) -> None:
    many = COUNTED_FRESH_MAX + 1
    await fill(tables, 0, many)
    assert (await told(tables))[0] == many
    await fill(tables, many, many + 50)
    tables.clock.advance(6 * HOUR_S - 1)
    assert (await told(tables))[0] == many
    tables.clock.advance(1)
    assert (await told(tables))[0] == many + 50
    # What has become small is counted again.
    for first in range(10, many + 50, 25):
        keys = [{"pk": {"S": "p"}, "sk": {"S": f"{n:05}"}} for n in range(first, min(first + 25, many + 50))]
        await tables("BatchWriteItem", RequestItems={"tab": [{"DeleteRequest": {"Key": key}} for key in keys]})
    assert (await told(tables))[0] == 10


async def test_the_figures_go_with_their_table(tables: Tables) -> None:
    await fill(tables, 0, COUNTED_PAGE + 1)
    assert await told(tables) == (COUNTED_PAGE + 1, 10 * (COUNTED_PAGE + 1))
    await tables("DeleteTable", TableName="tab")
    assert await kept(tables) == []
    await tables.create("tab", sort_key=True)
    assert await told(tables) == (0, 0)


async def test_what_is_being_deleted_is_not_counted_any_more() -> None:
    """A large index is still there for some time, in parts, when its figures are gone; so may be a table."""
    tables = Tables(Settings(dynamodb_delay_ms=1000))
    await tables.create("tab", sort_key=True, **INDEXED)
    tables.clock.advance(1)
    await fill(tables, 0, COUNTED_PAGE * 2, g={"S": "g"})
    described = (await tables("DescribeTable", TableName="tab"))["Table"]
    assert (described["ItemCount"], len(await kept(tables))) == (COUNTED_PAGE * 2, 2)
    await tables("UpdateTable", TableName="tab", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-g"}}])
    described = (await tables("DescribeTable", TableName="tab"))["Table"]
    assert described["GlobalSecondaryIndexes"][0]["IndexStatus"] == "DELETING"
    assert len(await kept(tables)) == 1
    tables.clock.advance(1)
    await tables("DeleteTable", TableName="tab")
    assert (await tables("DescribeTable", TableName="tab"))["Table"]["TableStatus"] == "DELETING"
    assert await kept(tables) == []
