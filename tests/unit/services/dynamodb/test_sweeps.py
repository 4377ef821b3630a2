"""What the sweeps leave: of old streams nothing, of the others everything in order."""

from typing import Any

import pytest

from cumulet.scope import SYSTEM
from cumulet.services.dynamodb.core.limits import STREAM_SETTLED_MAX
from cumulet.services.dynamodb.sweeps import Sweeps
from cumulet.store.keyspace import (
    DDB_CHORE,
    DDB_RESOURCE_POLICY,
    DDB_STREAM,
    DDB_STREAM_ARRIVAL,
    DDB_STREAM_RECORD,
    DDB_STREAM_SHARD,
    Family,
)
from harness import SCOPE
from iam_house import allow, document
from streaming import Tables

HOUR_S = 3600


@pytest.fixture
def tables() -> Tables:
    return Tables()


async def tend(tables: Tables) -> None:
    lease = await tables.house.workers.take("test")
    assert lease is not None
    await tables.house.workers.perform(lease, Sweeps(tables.house.ground).tend_streams)


async def count(tables: Tables, family: Family) -> int:
    scope = SYSTEM if family is DDB_CHORE else SCOPE

    def counted(tx: Any) -> int:
        return sum(1 for _ in tx.scan(*family.range(scope)))

    return await tables.store.read(counted)


async def test_streams_that_nobody_reads_are_put_in_order(tables: Tables) -> None:
    arn = await tables.create("tab", "KEYS_ONLY")
    writes = STREAM_SETTLED_MAX + 25
    for first in range(0, writes, 25):
        puts = [{"PutRequest": {"Item": {"pk": {"S": str(place)}}}} for place in range(first, first + 25)]
        await tables("BatchWriteItem", RequestItems={"tab": puts})
        tables.clock.advance(0.001)
    assert await count(tables, DDB_STREAM_ARRIVAL) == writes
    await tend(tables)
    assert await count(tables, DDB_STREAM_ARRIVAL) == 0
    assert await count(tables, DDB_STREAM_RECORD) == writes
    assert len(await tables.records(arn)) == writes


async def test_records_older_than_24_hours_are_removed(tables: Tables) -> None:
    arn = await tables.create("tab", "KEYS_ONLY")
    await tables.put("tab", "old")
    tables.clock.advance(23 * HOUR_S)
    await tables.put("tab", "new")
    tables.clock.advance(HOUR_S + 1)
    await tend(tables)
    assert await count(tables, DDB_STREAM_RECORD) == 1
    (record,) = await tables.records(arn)
    assert record["dynamodb"]["Keys"] == {"pk": {"S": "new"}}
    assert record["dynamodb"]["SequenceNumber"].endswith("2")
    tables.clock.advance(24 * HOUR_S)
    await tend(tables)
    assert await count(tables, DDB_STREAM_RECORD) == 0
    await tables.put("tab", "newer")
    (record,) = await tables.records(arn)
    assert record["dynamodb"]["SequenceNumber"].endswith("3")


async def test_of_an_ended_stream_nothing_is_left_after_24_hours(tables: Tables) -> None:
    arn = await tables.create("tab", "KEYS_ONLY")
    policy = document(allow("dynamodb:GetRecords", Principal="*"))
    await tables("PutResourcePolicy", ResourceArn=arn, Policy=policy)
    await tables.put("tab", "a")
    await tables.records(arn)
    await tables.put("tab", "b")
    await tables("DeleteTable", TableName="tab")
    await tend(tables)
    assert len(await tables.records(arn)) == 2
    tables.clock.advance(24 * HOUR_S)
    await tend(tables)
    families = (DDB_STREAM, DDB_STREAM_ARRIVAL, DDB_STREAM_RECORD, DDB_STREAM_SHARD, DDB_RESOURCE_POLICY, DDB_CHORE)
    assert [await count(tables, family) for family in families] == [0] * len(families)
