"""On-demand backups: made, told of, restored and removed; large ones in steps while writes go on."""

from typing import Any

import pytest

from cumulet.services.dynamodb.chores import scan_chores
from cumulet.services.dynamodb.core import limits
from cumulet.services.dynamodb.core.limits import COPY_STEP_ITEMS_MAX, COUNTED_PAGE
from cumulet.services.dynamodb.sweeps import Sweeps
from cumulet.store.keyspace import DDB_ITEM
from harness import SCOPE
from streaming import Tables, refused

NOW_S = 1_760_000_000
LARGE = max(COPY_STEP_ITEMS_MAX, COUNTED_PAGE) + 50


@pytest.fixture
def tables() -> Tables:
    return Tables()


async def fill(tables: Tables, name: str, count: int) -> None:
    for first in range(0, count, 25):
        puts = [{"PutRequest": {"Item": item(place, "old")}} for place in range(first, min(first + 25, count))]
        await tables("BatchWriteItem", RequestItems={name: puts})


def item(place: int, value: str) -> dict[str, Any]:
    return {"pk": {"S": f"{place:04d}"}, "value": {"S": value}}


async def back_up(tables: Tables, name: str = "tab", backup_name: str = "bak") -> str:
    answer = await tables("CreateBackup", TableName=name, BackupName=backup_name)
    return str(answer["BackupDetails"]["BackupArn"])


async def run(tables: Tables, round_name: str) -> None:
    """Do one round of a loop."""
    lease = await tables.house.workers.take("test")
    assert lease is not None
    await tables.house.workers.perform(lease, getattr(Sweeps(tables.house.ground), round_name))


async def copy(tables: Tables) -> None:
    await run(tables, "copy")


async def test_a_backup_is_told_of(tables: Tables) -> None:
    await tables.create("tab", "KEYS_ONLY", sort_key=True)
    await tables("PutItem", TableName="tab", Item={"pk": {"S": "a"}, "sk": {"S": "b"}})
    created = (await tables("CreateBackup", TableName="tab", BackupName="bak"))["BackupDetails"]
    arn = created["BackupArn"]
    details = {
        "BackupArn": arn,
        "BackupName": "bak",
        "BackupSizeBytes": 6,
        "BackupStatus": "CREATING",
        "BackupType": "USER",
        "BackupCreationDateTime": NOW_S,
    }
    assert created == details
    assert arn.startswith(f"arn:aws:dynamodb:us-east-1:000000000000:table/tab/backup/0{NOW_S}000-")
    described = (await tables("DescribeBackup", BackupArn=arn))["BackupDescription"]
    assert described["BackupDetails"] == {**details, "BackupStatus": "AVAILABLE"}
    source = described["SourceTableDetails"]
    assert source.pop("TableId")
    assert source == {
        "TableName": "tab",
        "TableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/tab",
        "TableSizeBytes": 6,
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "TableCreationDateTime": NOW_S,
        "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
        "ItemCount": 1,
        "BillingMode": "PAY_PER_REQUEST",
    }
    stream = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    assert described["SourceTableFeatureDetails"] == {"StreamDescription": stream}


async def test_a_restored_table_is_as_the_one_that_was(tables: Tables) -> None:
    index = {
        "IndexName": "by-value",
        "KeySchema": [{"AttributeName": "value", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["more"]},
    }
    definitions = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "value")]
    tags = [{"Key": "a", "Value": "b"}]
    defined: dict[str, Any] = {"AttributeDefinitions": definitions, "GlobalSecondaryIndexes": [index], "Tags": tags}
    await tables.create("tab", "KEYS_ONLY", **defined)
    await fill(tables, "tab", 3)
    arn = await back_up(tables)
    await tables("PutItem", TableName="tab", Item=item(0, "new"))
    await tables("DeleteItem", TableName="tab", Key={"pk": {"S": "0001"}})
    tables.clock.advance(5)
    answer = await tables("RestoreTableFromBackup", BackupArn=arn, TargetTableName="tab-again")
    description = answer["TableDescription"]
    summary = {
        "SourceTableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/tab",
        "SourceBackupArn": arn,
        "RestoreDateTime": NOW_S,
        "RestoreInProgress": True,
    }
    assert (description["TableStatus"], description["ItemCount"]) == ("CREATING", 0)
    assert description["RestoreSummary"] == summary
    described = (await tables("DescribeTable", TableName="tab-again"))["Table"]
    assert described["TableStatus"] == "ACTIVE"
    assert described["RestoreSummary"] == {**summary, "RestoreInProgress": False}
    assert "StreamSpecification" not in described
    assert await tables("ListTagsOfResource", ResourceArn=described["TableArn"]) == {"Tags": []}
    original = (await tables("DescribeTable", TableName="tab"))["Table"]
    for member in ("KeySchema", "AttributeDefinitions"):
        assert described[member] == original[member]
    for member in ("IndexName", "KeySchema", "Projection", "IndexStatus"):
        assert described["GlobalSecondaryIndexes"][0][member] == original["GlobalSecondaryIndexes"][0][member]
    assert await tables.items("tab-again") == {f"{place:04d}": item(place, "old") for place in range(3)}
    assert (await tables("Scan", TableName="tab-again", IndexName="by-value"))["Count"] == 3


async def test_a_backup_outlives_its_table(tables: Tables) -> None:
    await tables.create("tab")
    await fill(tables, "tab", 2)
    arn = await back_up(tables)
    await tables("DeleteTable", TableName="tab")
    await tables("RestoreTableFromBackup", BackupArn=arn, TargetTableName="tab")
    assert len(await tables.items("tab")) == 2


async def test_overrides(tables: Tables) -> None:
    index = {
        "IndexName": "by-value",
        "KeySchema": [{"AttributeName": "value", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    definitions = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "value")]
    await tables.create("tab", AttributeDefinitions=definitions, GlobalSecondaryIndexes=[index])
    arn = await back_up(tables)
    answer = await tables(
        "RestoreTableFromBackup",
        BackupArn=arn,
        TargetTableName="tab-2",
        BillingModeOverride="PROVISIONED",
        ProvisionedThroughputOverride={"ReadCapacityUnits": 3, "WriteCapacityUnits": 4},
        GlobalSecondaryIndexOverride=[],
    )
    description = answer["TableDescription"]
    assert description["ProvisionedThroughput"]["ReadCapacityUnits"] == 3
    assert "GlobalSecondaryIndexes" not in description
    assert description["AttributeDefinitions"] == [{"AttributeName": "pk", "AttributeType": "S"}]
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
    answer = await tables(
        "RestoreTableFromBackup",
        BackupArn=arn,
        TargetTableName="tab-3",
        BillingModeOverride="PROVISIONED",
        ProvisionedThroughputOverride=units,
        GlobalSecondaryIndexOverride=[{**index, "ProvisionedThroughput": units}],
    )
    (restored,) = answer["TableDescription"]["GlobalSecondaryIndexes"]
    assert restored["ProvisionedThroughput"]["WriteCapacityUnits"] == 6
    other = {**index, "IndexName": "by-other"}
    call = tables(
        "RestoreTableFromBackup", BackupArn=arn, TargetTableName="tab-4", GlobalSecondaryIndexOverride=[other]
    )
    assert await refused(call) == (
        "ValidationException",
        "Invalid Request: Index by-other does not match a secondary index that existed in the source table and cannot "
        "be created during the restore operation",
    )
    for overrides, problem in (
        (
            {"BillingModeOverride": "PROVISIONED"},
            "Must override ProvisionedThroughput if BillingMode is overridden to PROVISIONED",
        ),
        (
            {"BillingModeOverride": "PAY_PER_REQUEST", "ProvisionedThroughputOverride": units},
            "Cannot override ProvisionedThroughput if BillingMode is overridden to PAY_PER_REQUEST",
        ),
        (
            {"ProvisionedThroughputOverride": units},
            "Cannot override ProvisionedThroughput unless BillingMode is PROVISIONED",
        ),
        (
            {
                "BillingModeOverride": "PROVISIONED",
                "ProvisionedThroughputOverride": units,
                "OnDemandThroughputOverride": {"MaxWriteRequestUnits": 1},
            },
            "Cannot override MaxWriteRequestUnits for OnDemandThroughput unless BillingModeOverride is PAY_PER_REQUEST",
        ),
        (
            {
                "BillingModeOverride": "PROVISIONED",
                "ProvisionedThroughputOverride": units,
                "GlobalSecondaryIndexOverride": [index],
            },
            "Must specify provisioned throughput for index by-value",
        ),
    ):
        call = tables("RestoreTableFromBackup", BackupArn=arn, TargetTableName="tab-4", **overrides)
        assert await refused(call) == ("ValidationException", f"Invalid Request: {problem}")
    assert await tables("ListTables") == {"TableNames": ["tab", "tab-2", "tab-3"]}


async def test_a_removed_backup_is_gone(tables: Tables) -> None:
    await tables.create("tab")
    arn = await back_up(tables)
    answer = await tables("DeleteBackup", BackupArn=arn)
    assert answer["BackupDescription"]["BackupDetails"]["BackupStatus"] == "DELETED"
    gone = ("BackupNotFoundException", f"Backup not found: {arn}")
    for operation in ("DescribeBackup", "DeleteBackup"):
        assert await refused(tables(operation, BackupArn=arn)) == gone
    assert await refused(tables("RestoreTableFromBackup", BackupArn=arn, TargetTableName="tab-2")) == gone


async def test_list_backups(tables: Tables) -> None:
    arns = []
    for name in ("tab-a", "tab-b"):
        await tables.create(name)
        for backup_name in ("one", "two"):
            arns.append(await back_up(tables, name, backup_name))
            tables.clock.advance(1)

    async def listed(**params: Any) -> list[str]:
        return [one["BackupArn"] for one in (await tables("ListBackups", **params))["BackupSummaries"]]

    assert await listed() == arns
    assert await listed(TableName="tab-b") == arns[2:]
    assert await listed(TimeRangeLowerBound=NOW_S + 1, TimeRangeUpperBound=NOW_S + 3) == arns[1:3]
    assert await listed(BackupType="ALL") == arns
    assert await listed(BackupType="SYSTEM") == []
    page = await tables("ListBackups", Limit=3)
    assert page["LastEvaluatedBackupArn"] == arns[2]
    assert await listed(ExclusiveStartBackupArn=arns[2]) == arns[3:]
    (summary,) = (await tables("ListBackups", TableName="tab-a", Limit=1))["BackupSummaries"]
    assert summary.pop("TableId")
    assert summary == {
        "TableName": "tab-a",
        "TableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/tab-a",
        "BackupArn": arns[0],
        "BackupName": "one",
        "BackupSizeBytes": 0,
        "BackupStatus": "AVAILABLE",
        "BackupType": "USER",
        "BackupCreationDateTime": NOW_S,
    }


MISSING = "arn:aws:dynamodb:us-east-1:000000000000:table/tab/backup/01760000000000-00000000"
BAD_REQUESTS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "no table": (
        "CreateBackup",
        {"TableName": "none", "BackupName": "bak"},
        "TableNotFoundException",
        "Table not found: none",
    ),
    "no ARN": ("DescribeBackup", {"BackupArn": "x" * 40}, "ValidationException", "Invalid Backup ARN"),
    "no backup": ("DescribeBackup", {"BackupArn": MISSING}, "BackupNotFoundException", f"Backup not found: {MISSING}"),
    "another region's": (
        "DescribeBackup",
        {"BackupArn": MISSING.replace("us-east-1", "eu-west-1")},
        "BackupNotFoundException",
        f"Backup not found: {MISSING.replace('us-east-1', 'eu-west-1')}",
    ),
    "a range that runs backwards": (
        "ListBackups",
        {"TimeRangeLowerBound": 2, "TimeRangeUpperBound": 1},
        "ValidationException",
        "One or more parameter values were invalid: Time range lower bound must be less than or equal to upper bound",
    ),
    "another table's backup to begin behind": (
        "ListBackups",
        {"TableName": "other", "ExclusiveStartBackupArn": MISSING},
        "ValidationException",
        f"Invalid BackupArn: {MISSING} is not a backup of the table other",
    ),
}


@pytest.mark.parametrize("what", BAD_REQUESTS)
async def test_bad_requests_are_refused(tables: Tables, what: str) -> None:
    operation, params, code, message = BAD_REQUESTS[what]
    assert await refused(tables(operation, **params)) == (code, message)


async def test_a_table_that_is_there_is_not_replaced(tables: Tables) -> None:
    await tables.create("tab")
    arn = await back_up(tables)
    call = tables("RestoreTableFromBackup", BackupArn=arn, TargetTableName="tab")
    assert await refused(call) == ("TableAlreadyExistsException", "Table already exists: tab")


async def test_a_large_backup_is_of_one_moment(tables: Tables) -> None:
    await tables.create("tab")
    await fill(tables, "tab", LARGE)
    arn = await back_up(tables)
    assert (await tables("DescribeBackup", BackupArn=arn))["BackupDescription"]["BackupDetails"]["BackupStatus"] == (
        "CREATING"
    )
    assert await refused(tables("DeleteBackup", BackupArn=arn)) == (
        "BackupInUseException",
        f"Backup is being used: {arn}",
    )
    assert (await refused(tables("RestoreTableFromBackup", BackupArn=arn, TargetTableName="tab-2")))[0] == (
        "BackupInUseException"
    )
    assert (await refused(tables("DeleteTable", TableName="tab")))[0] == "ResourceInUseException"
    tables.clock.advance(1)
    for place in range(0, LARGE, 2):
        await tables("PutItem", TableName="tab", Item=item(place, "new"))
    for place in range(0, LARGE, 3):
        await tables("DeleteItem", TableName="tab", Key={"pk": {"S": f"{place:04d}"}})
    await tables("PutItem", TableName="tab", Item=item(LARGE, "new"))
    await copy(tables)
    details = (await tables("DescribeBackup", BackupArn=arn))["BackupDescription"]
    assert details["BackupDetails"]["BackupStatus"] == "AVAILABLE"
    assert details["SourceTableDetails"]["ItemCount"] == LARGE

    await tables("RestoreTableFromBackup", BackupArn=arn, TargetTableName="tab-2")
    assert (await tables("DescribeTable", TableName="tab-2"))["Table"]["TableStatus"] == "CREATING"
    assert (await refused(tables("DeleteBackup", BackupArn=arn)))[0] == "BackupInUseException"
    call = tables("GetItem", TableName="tab-2", Key={"pk": {"S": "0000"}})
    assert await refused(call) == ("ResourceNotFoundException", "Requested resource not found")
    await copy(tables)
    assert (await tables("DescribeTable", TableName="tab-2"))["Table"]["TableStatus"] == "ACTIVE"
    assert await tables.items("tab-2") == {f"{place:04d}": item(place, "old") for place in range(LARGE)}
    await tables("DeleteBackup", BackupArn=arn)
    await tables("DeleteTable", TableName="tab")


async def keep_past(tables: Tables, name: str) -> None:
    setting = {"PointInTimeRecoveryEnabled": True}
    await tables("UpdateContinuousBackups", TableName=name, PointInTimeRecoverySpecification=setting)


async def list_backups(tables: Tables, kind: str | None = None) -> list[dict[str, Any]]:
    more = {} if kind is None else {"BackupType": kind}
    return list((await tables("ListBackups", **more))["BackupSummaries"])


async def test_a_deleted_table_that_had_recovery_leaves_a_system_backup_for_35_days(tables: Tables) -> None:
    await tables.create("tab")
    await fill(tables, "tab", LARGE)
    await keep_past(tables, "tab")
    await tables.create("other")
    await tables("DeleteTable", TableName="other")
    await tables("DeleteTable", TableName="tab")
    assert await list_backups(tables) == await list_backups(tables, "USER") == []
    (summary,) = await list_backups(tables, "SYSTEM")
    assert await list_backups(tables, "ALL") == [summary]
    arn = summary["BackupArn"]
    assert summary["BackupName"] == "tab$DeletedTableBackup"
    assert (summary["BackupType"], summary["BackupStatus"]) == ("SYSTEM", "AVAILABLE")
    assert summary["BackupExpiryDateTime"] == NOW_S + 35 * 24 * 3600
    source = (await tables("DescribeBackup", BackupArn=arn))["BackupDescription"]["SourceTableDetails"]
    assert source["ItemCount"] == LARGE

    # A namesake shares nothing with it.
    await tables.create("tab")
    await tables("RestoreTableFromBackup", BackupArn=arn, TargetTableName="back")
    await copy(tables)
    assert await tables.items("tab") == {}
    assert len(await tables.items("back")) == LARGE

    tables.clock.advance(35 * 24 * 3600)
    assert await list_backups(tables, "ALL") == []
    gone = await refused(tables("DescribeBackup", BackupArn=arn))
    assert gone == ("BackupNotFoundException", f"Backup not found: {arn}")
    await run(tables, "trim_changes")
    await tables("DeleteTable", TableName="back")
    await run(tables, "erase_remains")
    assert await tables.store.read(lambda tx: list(tx.scan(*DDB_ITEM.range(SCOPE)))) == []
    assert await tables.store.read(lambda tx: list(scan_chores(tx, "system backup"))) == []


async def test_a_system_backup_is_deleted_by_aws_alone(tables: Tables) -> None:
    await tables.create("tab")
    await fill(tables, "tab", 3)
    await keep_past(tables, "tab")
    await tables("DeleteTable", TableName="tab")
    (summary,) = await list_backups(tables, "SYSTEM")
    arn = summary["BackupArn"]
    assert await refused(tables("DeleteBackup", BackupArn=arn)) == (
        "ValidationException",
        f"Invalid Request: User is not allowed to delete the system backup with arn {arn}. It will automatically "
        "expire on 2025-11-13T08:53:20.000",
    )
    assert (await list_backups(tables, "SYSTEM"))[0]["BackupStatus"] == "AVAILABLE"


async def test_a_restore_consumes_none_of_the_new_tables_capacity(tables: Tables) -> None:
    await tables.create("tab")
    await fill(tables, "tab", COPY_STEP_ITEMS_MAX - 1)
    arn = await back_up(tables)
    await tables(
        "RestoreTableFromBackup",
        BackupArn=arn,
        TargetTableName="slow",
        BillingModeOverride="PROVISIONED",
        ProvisionedThroughputOverride={"ReadCapacityUnits": 1000, "WriteCapacityUnits": 1},
    )
    assert len(await tables.items("slow")) == COPY_STEP_ITEMS_MAX - 1


def vector_index(name: str, **more: Any) -> dict[str, Any]:
    return {
        "IndexName": name,
        "VectorAttribute": {"AttributeName": "v"},
        "Dimensions": 1,
        "DistanceFunction": "EUCLIDEAN",
        "Projection": {"ProjectionType": "ALL"},
        **more,
    }


@pytest.mark.parametrize(
    ("override", "restored"),
    [
        (None, ["far", "near"]),
        ([], []),
        ([vector_index("near")], ["near"]),
        ([vector_index("none")], "none"),
        ([vector_index("near", Dimensions=2)], "near"),
        ([vector_index("near", Projection={"ProjectionType": "KEYS_ONLY"})], "near"),
    ],
)
async def test_which_vector_indexes_are_restored(tables: Tables, override: Any, restored: list[str] | str) -> None:
    await tables.create("tab", VectorIndexes=[vector_index("far"), vector_index("near")])
    await tables("PutItem", TableName="tab", Item={"pk": {"S": "a"}, "v": {"L": [{"N": "1"}]}})
    request = {"BackupArn": await back_up(tables), "TargetTableName": "back"}
    if override is not None:
        request["VectorIndexOverride"] = override
    if isinstance(restored, str):
        code, message = await refused(tables("RestoreTableFromBackup", **request))
        assert code == "ValidationException"
        assert message.startswith(f"Invalid Request: Index {restored} does not match a secondary index that existed")
        return
    await tables("RestoreTableFromBackup", **request)
    described = (await tables("DescribeTable", TableName="back"))["Table"]
    assert [(index["IndexName"], index["ItemCount"]) for index in described.get("VectorIndexes", [])] == [
        (name, 1) for name in restored
    ]


async def test_restores_count_towards_what_an_account_may_have(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    await tables.create("tab")
    await fill(tables, "tab", LARGE)
    arn = await back_up(tables)
    await run(tables, "copy")
    monkeypatch.setattr(limits, "RESTORES_AT_ONCE_MAX", 1)
    await tables("RestoreTableFromBackup", BackupArn=arn, TargetTableName="one")
    assert await refused(tables("RestoreTableFromBackup", BackupArn=arn, TargetTableName="two")) == (
        "LimitExceededException",
        "Subscriber limit exceeded: Only 1 restore operations can be done simultaneously",
    )
    await run(tables, "copy")
    monkeypatch.setattr(limits, "TABLES_MAX", 2)
    assert await refused(tables("RestoreTableFromBackup", BackupArn=arn, TargetTableName="two")) == (
        "LimitExceededException",
        "Subscriber limit exceeded: There is a limit of 2 tables per subscriber",
    )
