"""Point-in-time recovery: the setting, its window, and tables as they were."""

from typing import Any

import pytest

from cumulet.services.dynamodb.core.limits import COPY_STEP_ITEMS_MAX
from cumulet.services.dynamodb.sweeps import Sweeps
from cumulet.store.keyspace import DDB_CHANGE
from harness import SCOPE
from streaming import Tables, refused

NOW_S = 1_760_000_000
DAY_S = 24 * 3600


@pytest.fixture
def tables() -> Tables:
    return Tables()


async def enable(tables: Tables, **more: Any) -> Any:
    specification = {"PointInTimeRecoveryEnabled": True, **more}
    return await tables("UpdateContinuousBackups", TableName="tab", PointInTimeRecoverySpecification=specification)


async def restore(tables: Tables, name: str, second: float | None = None) -> dict[str, Any]:
    """Return the items of a table that is restored as of a second, or as of now."""
    when = {"UseLatestRestorableTime": True} if second is None else {"RestoreDateTime": second}
    await tables("RestoreTableToPointInTime", SourceTableName="tab", TargetTableName=name, **when)
    return await tables.items(name)


async def run(tables: Tables, round_name: str) -> None:
    lease = await tables.house.workers.take("test")
    assert lease is not None
    await tables.house.workers.perform(lease, getattr(Sweeps(tables.house.ground), round_name))


async def test_the_setting_is_told(tables: Tables) -> None:
    await tables.create("tab")
    disabled = {"PointInTimeRecoveryStatus": "DISABLED"}
    off = {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": disabled}
    assert await tables("DescribeContinuousBackups", TableName="tab") == {"ContinuousBackupsDescription": off}
    recovery = {
        "PointInTimeRecoveryStatus": "ENABLED",
        "RecoveryPeriodInDays": 35,
        "EarliestRestorableDateTime": NOW_S,
        "LatestRestorableDateTime": NOW_S,
    }
    on = {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": recovery}
    assert await enable(tables) == {"ContinuousBackupsDescription": on}
    tables.clock.advance(10 * DAY_S)
    recovery["LatestRestorableDateTime"] = NOW_S + 10 * DAY_S
    assert await tables("DescribeContinuousBackups", TableName="tab") == {"ContinuousBackupsDescription": on}
    recovery |= {"RecoveryPeriodInDays": 7, "EarliestRestorableDateTime": NOW_S + 3 * DAY_S}
    assert await enable(tables, RecoveryPeriodInDays=7) == {"ContinuousBackupsDescription": on}
    answer = await tables(
        "UpdateContinuousBackups",
        TableName="tab",
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False},
    )
    assert answer == {"ContinuousBackupsDescription": off}


async def test_a_table_comes_back_as_it_was_at_any_second(tables: Tables) -> None:
    await tables.create("tab")
    await tables.put("tab", "before the setting")
    await enable(tables)
    states = {}
    for second, change in enumerate(("put a", "put b", "change a", "delete b", "put b", "delete before")):
        tables.clock.advance(1)
        verb, name = change.split()
        if verb == "delete":
            key = "before the setting" if name == "before" else name
            await tables("DeleteItem", TableName="tab", Key={"pk": {"S": key}})
        else:
            await tables.put("tab", name, change={"N": str(second)})
        states[tables.clock.now_ms() / 1000] = await tables.items("tab")
    assert list(await restore(tables, "tab-first", NOW_S)) == ["before the setting"]
    for place, (moment, items) in enumerate(states.items()):
        assert await restore(tables, f"tab-{place}", moment) == items
        assert await restore(tables, f"tab-{place}-later", moment + 0.999 if place < 5 else moment) == items
    assert await restore(tables, "tab-now") == items
    tables.clock.advance(100)
    await tables.put("tab", "long after")
    assert await restore(tables, "tab-a-pause", NOW_S + 50) == items


async def test_days_do_not_part_what_belongs_together(tables: Tables) -> None:
    await tables.create("tab")
    await enable(tables)
    states = {}
    for day in range(4):
        await tables.put("tab", "a", day={"N": str(day)})
        await tables.put("tab", f"only {day}")
        states[tables.clock.now_ms() / 1000] = await tables.items("tab")
        tables.clock.advance(DAY_S)
    for place, (second, items) in enumerate(states.items()):
        assert await restore(tables, f"tab-{place}", second) == items
        assert await restore(tables, f"tab-{place}-later", second + DAY_S - 1) == items


async def test_what_lies_behind_the_window_is_forgotten(tables: Tables) -> None:
    await tables.create("tab")
    await enable(tables, RecoveryPeriodInDays=2)
    for day in range(6):
        await tables.put("tab", "a", day={"N": str(day)})
        tables.clock.advance(DAY_S)

    def count(tx: Any) -> int:
        return sum(1 for _ in tx.scan(*DDB_CHANGE.range(SCOPE)))

    assert await tables.store.read(count) == 6
    await run(tables, "trim_changes")
    assert await tables.store.read(count) == 3
    assert (await restore(tables, "tab-old", tables.clock.now_ms() / 1000 - 2 * DAY_S))["a"]["day"] == {"N": "4"}
    early = tables.clock.now_ms() / 1000 - 2 * DAY_S - 1
    call = tables(
        "RestoreTableToPointInTime", SourceTableName="tab", TargetTableName="tab-older", RestoreDateTime=early
    )
    assert (await refused(call))[0] == "InvalidRestoreTimeException"
    await tables(
        "UpdateContinuousBackups",
        TableName="tab",
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False},
    )
    assert await tables.store.read(count) == 0


async def test_a_large_table_is_restored_in_steps_while_writes_go_on(tables: Tables) -> None:
    await tables.create("tab")
    count = COPY_STEP_ITEMS_MAX + 50
    await enable(tables)
    for first in range(0, count, 25):
        puts = [{"PutRequest": {"Item": {"pk": {"S": str(place)}}}} for place in range(first, first + 25)]
        await tables("BatchWriteItem", RequestItems={"tab": puts})
    tables.clock.advance(1)
    before = await tables.items("tab")
    call = {"SourceTableName": "tab", "TargetTableName": "tab-2", "UseLatestRestorableTime": True}
    answer = await tables("RestoreTableToPointInTime", **call)
    assert answer["TableDescription"]["RestoreSummary"]["RestoreInProgress"]
    assert (await refused(tables("DeleteTable", TableName="tab")))[0] == "ResourceInUseException"
    tables.clock.advance(1)
    for pk in before:
        await tables("DeleteItem", TableName="tab", Key={"pk": {"S": pk}})
    described = (await tables("DescribeTable", TableName="tab-2"))["Table"]
    assert (described["TableStatus"], described["RestoreSummary"]["RestoreInProgress"]) == ("CREATING", True)
    await run(tables, "copy")
    described = (await tables("DescribeTable", TableName="tab-2"))["Table"]
    assert (described["TableStatus"], described["RestoreSummary"]["RestoreInProgress"]) == ("ACTIVE", False)
    assert await tables.items("tab-2") == before
    await tables("DeleteTable", TableName="tab")


TWO_SOURCES = {"SourceTableName": "tab", "SourceTableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/tab"}
BAD_RESTORES: dict[str, tuple[dict[str, Any], str, str]] = {
    "no source": (
        {"UseLatestRestorableTime": True},
        "ValidationException",
        "Must provide exactly one of: sourceTableArn, sourceTableName",
    ),
    "two sources": (
        {**TWO_SOURCES, "UseLatestRestorableTime": True},
        "ValidationException",
        "Must provide exactly one of: sourceTableArn, sourceTableName",
    ),
    "no moment": (
        {"SourceTableName": "tab"},
        "ValidationException",
        "Invalid Request: Either one of RestoreDateTime or UseLatestRestorableTime must be specified, but not both",
    ),
    "two moments": (
        {"SourceTableName": "tab", "UseLatestRestorableTime": True, "RestoreDateTime": NOW_S},
        "ValidationException",
        "Invalid Request: Either one of RestoreDateTime or UseLatestRestorableTime must be specified, but not both",
    ),
    "no such table": (
        {"SourceTableName": "none", "UseLatestRestorableTime": True},
        "TableNotFoundException",
        "Table not found: none",
    ),
    "no log": (
        {"SourceTableName": "other", "UseLatestRestorableTime": True},
        "PointInTimeRecoveryUnavailableException",
        "Point in time recovery is not enabled for table 'other'",
    ),
    "the future": (
        {"SourceTableName": "tab", "RestoreDateTime": NOW_S + 1},
        "InvalidRestoreTimeException",
        "An invalid restore time was specified. RestoreDateTime must be between EarliestRestorableDateTime and "
        "LatestRestorableDateTime.",
    ),
    "a table that is there": (
        {"SourceTableName": "tab", "UseLatestRestorableTime": True, "TargetTableName": "other"},
        "TableAlreadyExistsException",
        "Table already exists: other",
    ),
}


@pytest.mark.parametrize("what", BAD_RESTORES)
async def test_bad_restores_are_refused(tables: Tables, what: str) -> None:
    await tables.create("tab")
    await tables.create("other")
    await enable(tables)
    params, code, message = BAD_RESTORES[what]
    call = tables("RestoreTableToPointInTime", **{"TargetTableName": "tab-2", **params})
    assert await refused(call) == (code, message)


async def test_bad_settings_are_refused(tables: Tables) -> None:
    specification: dict[str, Any] = {"PointInTimeRecoveryEnabled": False, "RecoveryPeriodInDays": 3}
    missing = ("TableNotFoundException", "Table not found: tab")
    call = tables("UpdateContinuousBackups", TableName="tab", PointInTimeRecoverySpecification=specification)
    assert await refused(call) == missing
    assert await refused(tables("DescribeContinuousBackups", TableName="tab")) == missing
    await tables.create("tab")
    call = tables("UpdateContinuousBackups", TableName="tab", PointInTimeRecoverySpecification=specification)
    assert await refused(call) == (
        "ValidationException",
        "Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time recovery.",
    )
