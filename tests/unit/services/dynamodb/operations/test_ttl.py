"""Time to live: the setting, which items expire, and what their stream records say."""

import asyncio
from typing import Any

import pytest

from cumulet.services.dynamodb.core.limits import EXPIRY_STEP_ITEMS_MAX
from cumulet.services.dynamodb.sweeps import Sweeps
from cumulet.settings import Settings
from streaming import Tables, refused

NOW_S = 1_760_000_000
YEAR_S = 366 * 24 * 3600


@pytest.fixture
def tables() -> Tables:
    return Tables()


async def enable(tables: Tables, name: str = "tab", attribute: str = "expires") -> Any:
    return await tables(
        "UpdateTimeToLive",
        TableName=name,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": attribute},
    )


async def sweep(tables: Tables) -> None:
    """Do one round of expiry, whatever the loops of the service do."""
    lease = await tables.house.workers.take("test")
    assert lease is not None
    await tables.house.workers.perform(lease, Sweeps(tables.house.ground).expire)


def at(second: float | str) -> dict[str, str]:
    return {"N": str(second)}


async def test_the_setting_is_told(tables: Tables) -> None:
    await tables.create("tab")
    described = await tables("DescribeTimeToLive", TableName="tab")
    assert described == {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
    specification = {"Enabled": True, "AttributeName": "expires"}
    assert await enable(tables) == {"TimeToLiveSpecification": specification}
    described = await tables("DescribeTimeToLive", TableName="tab")
    assert described == {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}}
    specification["Enabled"] = False
    answer = await tables("UpdateTimeToLive", TableName="tab", TimeToLiveSpecification=specification)
    assert answer == {"TimeToLiveSpecification": specification}
    described = await tables("DescribeTimeToLive", TableName="tab")
    assert described == {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}


BAD_CHANGES = {
    "enabled twice": (True, True, "expires", "TimeToLive is already enabled"),
    "another attribute": (
        True,
        True,
        "other",
        "TimeToLive is active on a different AttributeName: current AttributeName is expires",
    ),
    "disabled by another attribute": (
        True,
        False,
        "other",
        "TimeToLive is active on a different AttributeName: current AttributeName is expires",
    ),
    "disabled twice": (False, False, "expires", "TimeToLive is already disabled"),
}


@pytest.mark.parametrize("what", BAD_CHANGES)
async def test_changes_that_change_nothing_are_refused(tables: Tables, what: str) -> None:
    enabled, enables, attribute, message = BAD_CHANGES[what]
    await tables.create("tab")
    if enabled:
        await enable(tables)
    call = tables(
        "UpdateTimeToLive",
        TableName="tab",
        TimeToLiveSpecification={"Enabled": enables, "AttributeName": attribute},
    )
    assert await refused(call) == ("ValidationException", message)


@pytest.mark.parametrize("operation", ["DescribeTimeToLive", "UpdateTimeToLive"])
async def test_a_table_that_is_not_there(tables: Tables, operation: str) -> None:
    more = {"TimeToLiveSpecification": {"Enabled": True, "AttributeName": "x"}} if operation[0] == "U" else {}
    assert await refused(tables(operation, TableName="tab", **more)) == (
        "ResourceNotFoundException",
        "Requested resource not found: Table: tab not found",
    )


async def test_items_expire_at_their_time_and_not_before(tables: Tables) -> None:
    await tables.create("tab")
    await tables.put("tab", "older than the setting", expires=at(NOW_S - 60))
    await enable(tables)
    items = {
        "past": at(NOW_S - 60),
        "this second": at(NOW_S),
        "a power of ten": at("176000000e1"),
        "a fraction": at(NOW_S - 0.5),
        "soon": at(NOW_S + 10),
        "later": at(NOW_S + 1000),
        "no number": {"S": str(NOW_S - 60)},
        "six years ago": at(NOW_S - 6 * YEAR_S),
        "negative": at(-1),
        "the end of time": at("9.9E+125"),
    }
    for name, expires in items.items():
        await tables.put("tab", name, expires=expires)
    await tables.put("tab", "never")
    assert len(await tables.items("tab")) == len(items) + 2
    await sweep(tables)
    stay = {"soon", "later", "no number", "six years ago", "negative", "the end of time", "never"}
    assert set(await tables.items("tab")) == stay
    tables.clock.advance(10)
    await sweep(tables)
    assert set(await tables.items("tab")) == stay - {"soon"}


async def test_a_changed_time_counts(tables: Tables) -> None:
    await tables.create("tab")
    await enable(tables)
    for name in ("later", "earlier", "gone"):
        await tables.put("tab", name, expires=at(NOW_S + 10))
    await tables.put("tab", "later", expires=at(NOW_S + 100))
    await tables.put("tab", "earlier", expires=at(NOW_S + 1))
    await tables("DeleteItem", TableName="tab", Key={"pk": {"S": "gone"}})
    tables.clock.advance(2)
    await sweep(tables)
    assert set(await tables.items("tab")) == {"later"}
    tables.clock.advance(20)
    await sweep(tables)
    assert set(await tables.items("tab")) == {"later"}


async def test_nothing_expires_once_the_setting_is_off(tables: Tables) -> None:
    await tables.create("tab")
    await enable(tables)
    await tables.put("tab", "a", expires=at(NOW_S + 10))
    specification = {"Enabled": False, "AttributeName": "expires"}
    await tables("UpdateTimeToLive", TableName="tab", TimeToLiveSpecification=specification)
    tables.clock.advance(20)
    await sweep(tables)
    assert set(await tables.items("tab")) == {"a"}
    await enable(tables, attribute="other")
    await sweep(tables)
    assert set(await tables.items("tab")) == {"a"}


async def test_the_loop_comes_by_itself(tables: Tables) -> None:
    await tables.create("tab")
    await enable(tables)
    await tables.put("tab", "a", expires=at(NOW_S + 10))
    for _ in range(10):
        await asyncio.sleep(0)
    tables.clock.advance(11)
    for _ in range(30):
        await asyncio.sleep(0)
    assert await tables.items("tab") == {}


async def test_the_stream_says_who_deleted(tables: Tables) -> None:
    arn = await tables.create("tab", "OLD_IMAGE")
    await enable(tables)
    await tables.put("tab", "a", expires=at(NOW_S - 1))
    await tables.put("tab", "b")
    await sweep(tables)
    await tables("DeleteItem", TableName="tab", Key={"pk": {"S": "b"}})
    records = await tables.records(arn)
    by_service, by_user = [record for record in records if record["eventName"] == "REMOVE"]
    assert by_service["userIdentity"] == {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}
    assert by_service["dynamodb"]["OldImage"] == {"pk": {"S": "a"}, "expires": at(NOW_S - 1)}
    assert "userIdentity" not in by_user


async def test_expired_items_leave_indexes_too(tables: Tables) -> None:
    index = {
        "IndexName": "by-kind",
        "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    definitions = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "kind")]
    await tables.create("tab", AttributeDefinitions=definitions, GlobalSecondaryIndexes=[index])
    await enable(tables)
    await tables.put("tab", "a", kind={"S": "x"}, expires=at(NOW_S - 1))
    assert (await tables("Scan", TableName="tab", IndexName="by-kind"))["Count"] == 1
    await sweep(tables)
    assert (await tables("Scan", TableName="tab", IndexName="by-kind"))["Count"] == 0


async def test_a_large_table_is_looked_through_in_steps(tables: Tables) -> None:
    await tables.create("tab")
    count = EXPIRY_STEP_ITEMS_MAX * 2 + 10
    for first in range(0, count, 25):
        puts = [
            {"PutRequest": {"Item": {"pk": {"S": str(place)}, "expires": at(NOW_S - 1)}}}
            for place in range(first, min(first + 25, count))
        ]
        await tables("BatchWriteItem", RequestItems={"tab": puts})
    await enable(tables)
    assert (await tables("DescribeTimeToLive", TableName="tab"))["TimeToLiveDescription"]["TimeToLiveStatus"] == (
        "ENABLING"
    )
    await sweep(tables)
    assert (await tables("Scan", TableName="tab"))["Count"] == 0
    assert (await tables("DescribeTimeToLive", TableName="tab"))["TimeToLiveDescription"]["TimeToLiveStatus"] == (
        "ENABLED"
    )


async def test_a_table_of_the_same_name_inherits_nothing(tables: Tables) -> None:
    await tables.create("tab")
    await enable(tables)
    await tables.put("tab", "a", expires=at(NOW_S - 1))
    await tables("DeleteTable", TableName="tab")
    await tables.create("tab")
    await tables.put("tab", "a", expires=at(NOW_S - 1))
    await sweep(tables)
    assert set(await tables.items("tab")) == {"a"}
    described = await tables("DescribeTimeToLive", TableName="tab")
    assert described == {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}


async def test_a_change_that_takes_its_time_cannot_be_followed_by_another() -> None:
    hour_s = 3600
    tables = Tables(Settings(dynamodb_delay_ms=hour_s * 1000))
    await tables.create("tab")
    tables.clock.advance(hour_s)
    off = {"Enabled": False, "AttributeName": "expires"}

    async def status() -> Any:
        return (await tables("DescribeTimeToLive", TableName="tab"))["TimeToLiveDescription"]

    await enable(tables)
    assert await status() == {"TimeToLiveStatus": "ENABLING", "AttributeName": "expires"}
    # What is wrong with the change itself is told first.
    assert "already enabled" in (await refused(enable(tables)))[1]
    tables.clock.advance(hour_s - 1)
    assert await refused(tables("UpdateTimeToLive", TableName="tab", TimeToLiveSpecification=off)) == (
        "ValidationException",
        "Time to live has been modified multiple times within a fixed interval",
    )
    tables.clock.advance(1)
    assert await status() == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
    await tables("UpdateTimeToLive", TableName="tab", TimeToLiveSpecification=off)
    assert await status() == {"TimeToLiveStatus": "DISABLING"}
    assert "multiple times" in (await refused(enable(tables)))[1]
    tables.clock.advance(hour_s)
    assert await status() == {"TimeToLiveStatus": "DISABLED"}
