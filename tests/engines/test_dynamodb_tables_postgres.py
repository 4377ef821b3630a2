"""Tables over PostgreSQL: transactions that run again pay once, and large tables go and are counted in steps."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.limits import BURST_S, ERASED_STEP_RECORDS_MAX
from cumulet.services.dynamodb.sweeps import Sweeps
from cumulet.store.keyspace import DDB_ITEM
from cumulet.store.postgres import open_postgres
from harness import SCOPE, House
from postgres import Cluster

pytestmark = pytest.mark.slow


class Counting:
    """A store that counts how often bodies of writes run."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.runs = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, fn: Any) -> Any:
        def counted(tx: Any) -> Any:
            self.runs += 1
            return fn(tx)

        return await self._store.write(counted)


@pytest.fixture
async def house(postgres: Cluster) -> AsyncIterator[House]:
    store: Any = Counting(open_postgres(postgres.local_url(postgres.new_database())))
    house = House("dynamodb", store=store)
    house.workers.run = lambda loop: None  # type: ignore[method-assign]
    yield house
    await store.close()


async def create(house: House, **billing: Any) -> None:
    params = {
        "TableName": "tab",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    }
    await house.call("dynamodb", "CreateTable", {**params, **billing})


async def test_writers_that_meet_pay_once(house: House) -> None:
    await create(house, ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1})
    store: Any = house.store
    add = {
        "TableName": "tab",
        "Key": {"pk": {"S": "counter"}},
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    await house.call("dynamodb", "UpdateItem", add)
    store.runs, writes = 0, 40
    await asyncio.gather(*[house.call("dynamodb", "UpdateItem", add) for _ in range(writes)])
    assert store.runs > writes, "nobody met anybody, and the test tells nothing"
    # What is left of the burst are single writes.
    left = 0
    with contextlib.suppress(ServiceError):
        while True:
            await house.call("dynamodb", "PutItem", {"TableName": "tab", "Item": {"pk": {"S": "other"}}})
            left += 1
    assert left == BURST_S - 1 - writes


async def test_a_large_table_is_counted_and_goes_in_steps(house: House) -> None:
    await create(house, BillingMode="PAY_PER_REQUEST")
    many = 4 * ERASED_STEP_RECORDS_MAX + 25
    for first in range(0, many, 25):
        puts = [{"PutRequest": {"Item": {"pk": {"S": str(place)}}}} for place in range(first, first + 25)]
        await house.call("dynamodb", "BatchWriteItem", {"RequestItems": {"tab": puts}})
    described = msgspec.to_builtins(await house.call("dynamodb", "DescribeTable", {"TableName": "tab"}))
    assert described["Table"]["ItemCount"] == many
    await house.call("dynamodb", "DeleteTable", {"TableName": "tab"})
    await create(house, BillingMode="PAY_PER_REQUEST")

    def count(tx: Any) -> int:
        return sum(1 for _ in tx.scan(*DDB_ITEM.range(SCOPE)))

    # One of the records that went at once was the table's size.
    assert await house.store.read(count) == many - ERASED_STEP_RECORDS_MAX + 1
    lease = await house.workers.take("test")
    assert lease is not None
    await house.workers.perform(lease, Sweeps(house.ground).erase_remains)
    assert await house.store.read(count) == 0
