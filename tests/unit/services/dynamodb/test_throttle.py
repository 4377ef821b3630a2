"""Throttling: bursts, refills, debts, indexes, and what each operation makes of it."""

# ruff: noqa: E501  (the table below reads best a line per row)

import asyncio
import contextlib
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.dynamodb.core.capacity import Units
from cumulet.services.dynamodb.core.limits import BURST_S
from cumulet.services.dynamodb.tables import open_table
from cumulet.services.dynamodb.throttle import Throttle
from cumulet.services.kit import Call, Principal
from cumulet.settings import Settings
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.memory import MemoryStore
from cumulet.store.overlay import OverlayTx
from harness import SCOPE, House

T = TypeVar("T")

TABLE_WORDS = (
    "The level of configured provisioned throughput for the table was exceeded. "
    "Consider increasing your provisioning level with the UpdateTable API."
)
INDEX_WORDS = (
    "The level of configured provisioned throughput for one or more global secondary indexes of the table was "
    "exceeded. Consider increasing your provisioning level for the under-provisioned global secondary indexes with "
    "the UpdateTable API"
)
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/metered"


def units(read: int, write: int) -> dict[str, int]:
    return {"ReadCapacityUnits": read, "WriteCapacityUnits": write}


async def table(house: House, **more: Any) -> None:
    await house.call(
        "dynamodb",
        "CreateTable",
        {
            "TableName": "metered",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            **more,
        },
    )


@pytest.fixture
async def metered() -> House:
    """Return a house with a table of one unit per second, reading and writing: 300 units of each at once."""
    house = House("dynamodb")
    await table(house, ProvisionedThroughput=units(1, 1))
    return house


async def put(house: House, kilobytes: float = 0.1, **more: Any) -> Any:
    item = {"pk": {"S": "a"}, "s": {"S": "x" * int(kilobytes * 1024 - 10)}, **more}
    return await house.call("dynamodb", "PutItem", {"TableName": "metered", "Item": item})


async def get(house: House) -> Any:
    params = {"TableName": "metered", "Key": {"pk": {"S": "a"}}, "ConsistentRead": True}
    return await house.call("dynamodb", "GetItem", params)


async def throttled(call: Any) -> ServiceError:
    with pytest.raises(ServiceError) as error:
        await call
    return error.value


async def test_a_burst_and_then_so_many_a_second(metered: House) -> None:
    await put(metered, BURST_S - 0.5)
    error = await throttled(put(metered))
    assert (error.code, error.message) == ("ProvisionedThroughputExceededException", TABLE_WORDS)
    assert error.fields["ThrottlingReasons"] == [{"reason": "TableWriteProvisionedThroughputExceeded", "resource": ARN}]
    metered.clock.advance(BURST_S)
    await put(metered)


async def test_a_refill_is_a_unit_a_second(metered: House) -> None:
    await put(metered, BURST_S - 0.5)
    # Replacing the large item by a small one costs the large one.
    metered.clock.advance(1)
    await put(metered)
    assert (await throttled(put(metered))).message == TABLE_WORDS
    metered.clock.advance(BURST_S - 2)
    assert (await throttled(put(metered))).message == TABLE_WORDS, "the debt is not paid back yet"
    metered.clock.advance(2)
    await put(metered)
    assert (await get(metered))["Item"] is not None


async def test_what_was_refused_did_not_happen(metered: House) -> None:
    await put(metered, BURST_S - 0.5)
    await throttled(put(metered, changed={"BOOL": True}))
    assert b"changed" not in bytes((await get(metered))["Item"])


async def test_reading_has_a_bucket_of_its_own(metered: House) -> None:
    await put(metered, BURST_S - 0.5)
    for _ in range(BURST_S // 75):
        await get(metered)
    error = await throttled(get(metered))
    assert (error.code, error.message) == ("ProvisionedThroughputExceededException", TABLE_WORDS)
    assert error.fields["ThrottlingReasons"][0]["reason"] == "TableReadProvisionedThroughputExceeded"


@pytest.mark.parametrize("operation", ["PutItem", "UpdateItem", "DeleteItem"])
async def test_a_condition_that_fails_costs_what_is_there(metered: House, operation: str) -> None:
    await put(metered, BURST_S / 2)
    name = "Item" if operation == "PutItem" else "Key"
    params = {"TableName": "metered", name: {"pk": {"S": "a"}}, "ConditionExpression": "attribute_not_exists(pk)"}
    answers = [(await throttled(metered.call("dynamodb", operation, params))).code for _ in range(2)]
    assert answers == ["ConditionalCheckFailedException", "ProvisionedThroughputExceededException"]


async def test_an_index_throttles_its_table() -> None:
    house = House("dynamodb")
    index = {
        "IndexName": "by_g",
        "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
        "ProvisionedThroughput": units(1, 1),
    }
    attributes = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "g")]
    more = {"GlobalSecondaryIndexes": [index], "AttributeDefinitions": attributes}
    await table(house, ProvisionedThroughput=units(1000, 1000), **more)
    await put(house, BURST_S - 0.5, g={"S": "g"})
    error = await throttled(put(house, g={"S": "h"}))
    assert (error.code, error.message) == ("ProvisionedThroughputExceededException", INDEX_WORDS)
    assert error.fields["ThrottlingReasons"] == [
        {"reason": "IndexWriteProvisionedThroughputExceeded", "resource": f"{ARN}/index/by_g"}
    ]
    await house.call("dynamodb", "PutItem", {"TableName": "metered", "Item": {"pk": {"S": "beside the index"}}})


async def test_batches_give_back_what_they_could_not_do(metered: House) -> None:
    await put(metered, BURST_S - 1.5)
    puts = [{"PutRequest": {"Item": {"pk": {"S": str(number)}}}} for number in range(4)]
    output = await metered.call("dynamodb", "BatchWriteItem", {"RequestItems": {"metered": puts}})
    assert output["UnprocessedItems"] == {"metered": puts[1:]}
    again = metered.call("dynamodb", "BatchWriteItem", {"RequestItems": {"metered": puts[1:]}})
    assert (await throttled(again)).code == "ProvisionedThroughputExceededException"

    for _ in range(3):
        await get(metered)
    keys = [{"pk": {"S": "a"}}, {"pk": {"S": "0"}}]
    request = {"RequestItems": {"metered": {"Keys": keys, "ConsistentRead": True}}}
    output = await metered.call("dynamodb", "BatchGetItem", request)
    assert len(output["Responses"]["metered"]) == 1, "75 units were left, and the first item costs as many"
    assert output["UnprocessedKeys"] == {"metered": {"Keys": keys[1:], "ConsistentRead": True}}
    again = metered.call("dynamodb", "BatchGetItem", request)
    assert (await throttled(again)).code == "ProvisionedThroughputExceededException"


async def test_a_transaction_pays_twice_and_is_cancelled(metered: House) -> None:
    def transaction(name: str) -> Any:
        action = {"Put": {"TableName": "metered", "Item": {"pk": {"S": name}, "s": {"S": "x" * 76_000}}}}
        return metered.call("dynamodb", "TransactWriteItems", {"TransactItems": [action]})

    await transaction("a")
    await transaction("b")
    error = await throttled(transaction("c"))
    assert error.code == "TransactionCanceledException"
    assert error.fields["CancellationReasons"] == [{"Code": "ProvisionedThroughputExceeded", "Message": TABLE_WORDS}]


async def test_an_on_demand_maximum() -> None:
    house = House("dynamodb")
    maximum = {"MaxReadRequestUnits": 1, "MaxWriteRequestUnits": 1}
    await table(house, BillingMode="PAY_PER_REQUEST", OnDemandThroughput=maximum)
    await put(house, BURST_S - 0.5)
    error = await throttled(put(house))
    assert (error.code, error.message) == (
        "ThrottlingException",
        "Throughput exceeds the maximum OnDemandThroughput configured on table or index",
    )
    assert error.fields["throttlingReasons"][0]["reason"] == "TableWriteMaxOnDemandThroughputExceeded"


@pytest.mark.parametrize("free", ["on demand", "switched off"])
async def test_who_is_not_throttled(free: str) -> None:
    house = House("dynamodb", settings=Settings(dynamodb_throttling=free != "switched off"))
    billing = {"BillingMode": "PAY_PER_REQUEST"} if free == "on demand" else {"ProvisionedThroughput": units(1, 1)}
    await table(house, **billing)
    for _ in range(3):
        await put(house, BURST_S)


class TwiceStore(MemoryStore):
    """A store that meets others at each transaction: its bodies run once more than others'."""

    async def read(self, fn: Callable[[ReadTx], T]) -> T:
        await super().read(fn)
        return await super().read(fn)

    async def write(self, fn: Callable[[WriteTx], T]) -> T:
        def twice(tx: WriteTx) -> T:
            fn(OverlayTx(tx))
            return fn(tx)

        return await super().write(twice)


KEY = {"pk": {"S": "a"}}
LARGE = {**KEY, "s": {"S": "x" * 40_000}}
NAMED = {"TableName": "metered", "Key": KEY}
SELECT = {"Statement": "SELECT * FROM metered WHERE pk = 'a'"}
DELETE = {"Statement": "DELETE FROM metered WHERE pk = 'b'"}
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("PutItem", {"TableName": "metered", "Item": LARGE}),
    ("UpdateItem", {**NAMED, "UpdateExpression": "SET n = :n", "ExpressionAttributeValues": {":n": {"N": "1"}}}),
    ("BatchWriteItem", {"RequestItems": {"metered": [{"PutRequest": {"Item": {**LARGE, "pk": {"S": name}}}} for name in "abc"]}}),
    ("TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "metered", "Item": LARGE}}, {"Delete": {"TableName": "metered", "Key": {"pk": {"S": "b"}}}}]}),
    ("TransactWriteItems", {"TransactItems": [{"ConditionCheck": {**NAMED, "ConditionExpression": "attribute_exists(pk)"}}]}),
    ("GetItem", NAMED),
    ("Query", {"TableName": "metered", "KeyConditionExpression": "pk = :a", "ExpressionAttributeValues": {":a": {"S": "a"}}}),
    ("Scan", {"TableName": "metered"}),
    ("BatchGetItem", {"RequestItems": {"metered": {"Keys": [KEY, {"pk": {"S": "b"}}]}}}),
    ("TransactGetItems", {"TransactItems": [{"Get": NAMED}, {"Get": {**NAMED, "Key": {"pk": {"S": "b"}}}}]}),
    ("ExecuteStatement", SELECT),
    ("ExecuteStatement", DELETE),
    ("BatchExecuteStatement", {"Statements": [SELECT, SELECT]}),
    ("BatchExecuteStatement", {"Statements": [DELETE, DELETE]}),
    ("ExecuteTransaction", {"TransactStatements": [SELECT, {"Statement": "SELECT * FROM metered WHERE pk = 'b'"}]}),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "params"), REQUESTS, ids=[f"{name}{n}" for n, (name, _) in enumerate(REQUESTS)])
async def test_a_body_that_runs_again_pays_once(operation: str, params: dict[str, Any]) -> None:
    consumed = []
    for store in (MemoryStore(), TwiceStore()):
        house = House("dynamodb", store=store)
        await table(house, ProvisionedThroughput=units(1, 1))
        for name in "ab":
            await house.call("dynamodb", "PutItem", {"TableName": "metered", "Item": {**LARGE, "pk": {"S": name}}})
        house.clock.advance(BURST_S)
        await house.call("dynamodb", operation, params)
        consumed.append(await left_of(house))
    assert consumed[0] == consumed[1] != (BURST_S, BURST_S)


async def left_of(house: House) -> tuple[float, float]:
    """Return what the table's buckets hold, found by taking from them."""
    service = await house.dispatcher.service("dynamodb")
    call = house.dispatcher.new_call(service, Principal.root(SCOPE.account), SCOPE)
    opened = await house.store.read(lambda tx: open_table(tx, call, "metered"))
    left = []
    for writes in (False, True):
        count = 0
        with contextlib.suppress(ServiceError):
            while True:
                service.plane.throttle.charge(call, opened, Units(0.5), writes=writes, thing=b"probe %d" % count)
                count += 1
        left.append(count / 2)
    return left[0], left[1]


async def test_threads_take_no_more_than_there_is(metered: House) -> None:
    ground = metered.ground
    root = Principal.root("000000000000")
    call = Call(Scope("000000000000", "us-east-1"), root, "request", ground.clock.now_ms(), ground.ids)
    table = await ground.store.read(lambda tx: open_table(tx, call, "metered"))
    throttle = Throttle(is_on=True)

    def take_all(name: int) -> int:
        for taken in range(10_000):
            try:
                throttle.charge(call, table, Units(0.125), writes=True, thing=b"%d %d" % (name, taken))
            except ServiceError:
                return taken
        return 10_000

    patience = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        taken = await asyncio.gather(*[asyncio.to_thread(take_all, name) for name in range(4)])
    finally:
        sys.setswitchinterval(patience)

    assert sum(taken) == BURST_S * 8
