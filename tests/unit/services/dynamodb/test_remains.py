"""What is deleted goes in bounded steps, survives a kill between them, and is never taken for what is made anew."""

from collections.abc import Callable
from typing import Any

import pytest

from cumulet.scope import SYSTEM
from cumulet.services.dynamodb.core.limits import ERASED_STEP_BYTES_MAX, ERASED_STEP_RECORDS_MAX
from cumulet.services.dynamodb.remains import Step, erase_step
from cumulet.services.dynamodb.sweeps import Sweeps
from cumulet.store.keyspace import (
    DDB_BACKUP_ITEM,
    DDB_CHANGE,
    DDB_CHORE,
    DDB_EXPIRING,
    DDB_INDEX_ENTRY,
    DDB_ITEM,
    DDB_ITEM_COLLECTION,
    DDB_STREAM_RECORD,
    DDB_VECTOR,
    Family,
)
from harness import SCOPE, House
from streaming import Tables

MANY = 2 * ERASED_STEP_RECORDS_MAX + 7
HOUR_S = 3600
INDEXED: dict[str, Any] = {
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "g", "l")],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-g",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "by-l",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
}
VECTORS = [
    {
        "IndexName": "near",
        "VectorAttribute": {"AttributeName": "v"},
        "Dimensions": 1,
        "DistanceFunction": "EUCLIDEAN",
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
]


@pytest.fixture
def tables() -> Tables:
    return Tables()


async def fill(tables: Tables, name: str, count: int = MANY, **attributes: Any) -> None:
    for first in range(0, count, 25):
        items = [{"pk": {"S": f"{place:05}"}, **attributes} for place in range(first, min(count, first + 25))]
        await tables("BatchWriteItem", RequestItems={name: [{"PutRequest": {"Item": item}} for item in items]})


async def count(tables: Tables, family: Family) -> int:
    scope = SYSTEM if family is DDB_CHORE else SCOPE
    return await tables.store.read(lambda tx: sum(1 for _ in tx.scan(*family.range(scope))))


async def keep_changes(tables: Tables, enabled: bool) -> None:
    setting = {"PointInTimeRecoveryEnabled": enabled}
    await tables("UpdateContinuousBackups", TableName="large", PointInTimeRecoverySpecification=setting)


async def sweep(house: House, kind: str = "erase_remains") -> int:
    """Do a round of one loop; return in how many transactions."""
    lease = await house.workers.take("test")
    assert lease is not None
    steps = 0
    write = lease.write

    async def counted(fn: Callable[[Any], Any]) -> Any:
        nonlocal steps
        steps += 1
        return await write(fn)

    lease.write = counted  # type: ignore[method-assign]
    await house.workers.perform(lease, getattr(Sweeps(house.ground), kind))
    return steps


async def test_a_small_table_goes_at_once(tables: Tables) -> None:
    await tables.create("small")
    await fill(tables, "small", ERASED_STEP_RECORDS_MAX)
    await tables("DeleteTable", TableName="small")
    assert await count(tables, DDB_ITEM) == 0
    assert await count(tables, DDB_CHORE) == 0


async def test_a_large_table_goes_in_steps_by_whoever_finds_it(tables: Tables) -> None:
    await tables.create("large", sort_key=True, **INDEXED)
    await fill(tables, "large", sk={"S": "s"}, g={"S": "g"}, l={"S": "l"})
    await keep_changes(tables, True)
    await tables("UpdateTimeToLive", TableName="large", TimeToLiveSpecification={"AttributeName": "t", "Enabled": True})
    await fill(tables, "large", sk={"S": "s"}, g={"S": "g"}, l={"S": "l"}, t={"N": "9000000000"})
    families = (DDB_ITEM, DDB_INDEX_ENTRY, DDB_ITEM_COLLECTION, DDB_CHANGE, DDB_EXPIRING)
    before = {family.name: await count(tables, family) for family in families}
    assert min(before.values()) >= MANY
    await keep_changes(tables, False)
    assert await count(tables, DDB_CHANGE) == before[DDB_CHANGE.name] - ERASED_STEP_RECORDS_MAX
    await tables("DeleteTable", TableName="large")
    left = {family.name: await count(tables, family) for family in families}
    # What DeleteTable's own transaction removed is one step's worth.
    gone = sum(before[name] - left[name] for name in before) - ERASED_STEP_RECORDS_MAX
    assert gone == ERASED_STEP_RECORDS_MAX

    # The name is free, and the new table is empty and keeps what it gets.
    await tables.create("large")
    assert await tables.items("large") == {}
    await tables.put("large", "new")

    # The process dies, another one goes on.
    steps = await sweep(House("dynamodb", store=tables.store, clock=tables.clock, node_id="node-2"))
    assert steps >= sum(left.values()) // ERASED_STEP_RECORDS_MAX
    assert {family.name: await count(tables, family) for family in families} == {
        DDB_ITEM.name: 1,
        **{family.name: 0 for family in families[1:]},
    }
    assert list(await tables.items("large")) == ["new"]
    assert "remains" not in str(await tables.store.read(lambda tx: list(tx.scan(*DDB_CHORE.range(SYSTEM)))))


async def test_an_index_that_was_deleted_is_made_anew_while_its_entries_go(tables: Tables) -> None:
    await tables.create("indexed", sort_key=True, **INDEXED)
    await fill(tables, "indexed", sk={"S": "s"}, g={"S": "old"})
    deletion = {"Delete": {"IndexName": "by-g"}}
    await tables("UpdateTable", TableName="indexed", GlobalSecondaryIndexUpdates=[deletion])
    assert await count(tables, DDB_INDEX_ENTRY) == MANY - ERASED_STEP_RECORDS_MAX
    for first in range(0, MANY, 25):
        keys = [{"pk": {"S": f"{place:05}"}, "sk": {"S": "s"}} for place in range(first, min(MANY, first + 25))]
        await tables("BatchWriteItem", RequestItems={"indexed": [{"DeleteRequest": {"Key": key}} for key in keys]})
    await tables.put("indexed", "new", sk={"S": "s"}, g={"S": "new"})
    await tables(
        "UpdateTable",
        TableName="indexed",
        AttributeDefinitions=[{"AttributeName": "g", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[{"Create": INDEXED["GlobalSecondaryIndexes"][0]}],
    )
    await sweep(tables.house)
    page = await tables("Scan", TableName="indexed", IndexName="by-g")
    assert [item["g"]["S"] for item in page["Items"]] == ["new"]
    assert await count(tables, DDB_INDEX_ENTRY) == 1


async def test_expiry_that_begins_anew_does_not_wait_for_the_old_one(tables: Tables) -> None:
    ttl = {"AttributeName": "t", "Enabled": True}
    await tables.create("expiring")
    await tables("UpdateTimeToLive", TableName="expiring", TimeToLiveSpecification=ttl)
    await fill(tables, "expiring", t={"N": "9000000000"})
    tables.clock.advance(2 * HOUR_S)
    await tables("UpdateTimeToLive", TableName="expiring", TimeToLiveSpecification={**ttl, "Enabled": False})
    assert await count(tables, DDB_EXPIRING) == MANY - ERASED_STEP_RECORDS_MAX
    tables.clock.advance(2 * HOUR_S)
    await tables("UpdateTimeToLive", TableName="expiring", TimeToLiveSpecification=ttl)
    await tables.put("expiring", "new", t={"N": "9000000001"})
    await sweep(tables.house)
    await sweep(tables.house, "expire")
    assert await count(tables, DDB_EXPIRING) == MANY + 1


@pytest.mark.parametrize("family", [DDB_BACKUP_ITEM, DDB_VECTOR, DDB_STREAM_RECORD])
async def test_what_else_can_be_large(tables: Tables, family: Family) -> None:
    stream = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    await tables.create("large", StreamSpecification=stream, VectorIndexes=VECTORS)
    await fill(tables, "large", v={"L": [{"N": "1"}]})
    backup = (await tables("CreateBackup", TableName="large", BackupName="kept"))["BackupDetails"]["BackupArn"]
    await sweep(tables.house, "copy")
    await sweep(tables.house, "tend_streams")
    if family is DDB_BACKUP_ITEM:
        await tables("DeleteBackup", BackupArn=backup)
    elif family is DDB_VECTOR:
        deletion = {"Delete": {"IndexName": "near"}}
        await tables("UpdateTable", TableName="large", VectorIndexUpdates=[deletion])
    else:
        await tables("DeleteTable", TableName="large")
        assert await count(tables, DDB_STREAM_RECORD) == MANY
        tables.clock.advance(25 * HOUR_S)
        # Other loops run as well once this one has written.
        await sweep(tables.house, "tend_streams")
        assert await count(tables, DDB_STREAM_RECORD) == 0
        return
    assert await count(tables, family) == MANY - ERASED_STEP_RECORDS_MAX
    assert await sweep(tables.house) > 1
    assert await count(tables, family) == 0


async def test_a_step_is_bounded_by_bytes_too(tables: Tables) -> None:
    family, value = DDB_ITEM, b"x" * (ERASED_STEP_BYTES_MAX // 3)

    def fill_store(tx: Any) -> None:
        for place in range(10):
            tx.put(family.key(SCOPE, "id", place), value)

    await tables.store.write(fill_store)
    start_end = family.range(SCOPE, "id")
    steps: list[Step] = []
    while not steps or not steps[-1].is_last:
        steps.append(await tables.store.write(lambda tx: erase_step(tx, *start_end)))
    assert [step.records for step in steps] == [4, 4, 2]
    assert await count(tables, family) == 0
