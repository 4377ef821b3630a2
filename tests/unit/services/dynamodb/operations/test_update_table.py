"""UpdateTable: indexes that come and go, billing, throughput, and how long things take where they take time."""

import asyncio
from typing import Any

import msgspec
import pytest

from cumulet.services.dynamodb import index_filling
from cumulet.settings import Settings
from harness import House

INVALID = "One or more parameter values were invalid: "
HOUR_S = 3600


def keys(hash_name: str) -> list[dict[str, str]]:
    return [{"AttributeName": hash_name, "KeyType": "HASH"}]


def definitions(**kinds: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in kinds.items()]


def index(name: str, hash_name: str, **more: Any) -> dict[str, Any]:
    return {"IndexName": name, "KeySchema": keys(hash_name), "Projection": {"ProjectionType": "ALL"}, **more}


def table(**changes: Any) -> dict[str, Any]:
    """Return a CreateTable request; a change of None leaves a member out."""
    params = {
        "TableName": "things",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": definitions(pk="S"),
        "KeySchema": keys("pk"),
        **changes,
    }
    return {name: value for name, value in params.items() if value is not None}


def units(read: int, write: int) -> dict[str, int]:
    return {"ReadCapacityUnits": read, "WriteCapacityUnits": write}


CREATE = {
    "AttributeDefinitions": definitions(a="S"),
    "GlobalSecondaryIndexUpdates": [{"Create": index("by_a", "a")}],
}
DELETE = {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "by_a"}}]}
PROVISIONED = {"BillingMode": None, "ProvisionedThroughput": units(5, 5)}


async def described(ddb: Any) -> Any:
    return (await ddb("DescribeTable", TableName="things"))["Table"]


async def test_an_index_comes_and_goes(ddb: Any, refused: Any) -> None:
    await ddb("CreateTable", **table())
    await ddb("PutItem", TableName="things", Item={"pk": {"S": "1"}, "a": {"S": "x"}})
    created = (await ddb("UpdateTable", TableName="things", **CREATE))["TableDescription"]
    assert created["TableStatus"] == "UPDATING"
    assert created["AttributeDefinitions"] == definitions(pk="S", a="S")
    assert [(one["IndexStatus"], one["Backfilling"]) for one in created["GlobalSecondaryIndexes"]] == [
        ("CREATING", False)
    ]
    (now,) = (await described(ddb))["GlobalSecondaryIndexes"]
    assert (now["IndexStatus"], now["ItemCount"], "Backfilling" in now) == ("ACTIVE", 1, False)
    assert await refused(ddb("PutItem", TableName="things", Item={"pk": {"S": "2"}, "a": {"N": "1"}})) == (
        "ValidationException",
        INVALID + "Type mismatch for Index Key a Expected: S Actual: N IndexName: by_a",
    )
    deleted = (await ddb("UpdateTable", TableName="things", **DELETE))["TableDescription"]
    assert "GlobalSecondaryIndexes" not in deleted
    assert (await described(ddb))["AttributeDefinitions"] == definitions(pk="S")
    await ddb("PutItem", TableName="things", Item={"pk": {"S": "2"}, "a": {"N": "1"}})
    assert await refused(ddb("Scan", TableName="things", IndexName="by_a")) == (
        "ValidationException",
        "The table does not have the specified index: by_a",
    )
    # A new index of the same name has nothing of the old one.
    await ddb("UpdateTable", TableName="things", **{**CREATE, "AttributeDefinitions": definitions(a="N")})
    assert (await ddb("Scan", TableName="things", IndexName="by_a"))["Items"] == [{"pk": {"S": "2"}, "a": {"N": "1"}}]


async def test_a_large_table_fills_its_index_in_steps(refused: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_filling, "FILLED_AT_ONCE_MAX", 2)
    house = House("dynamodb")

    async def ddb(operation: str, **params: Any) -> Any:
        return msgspec.json.decode(msgspec.json.encode(await house.call("dynamodb", operation, params)))

    await ddb("CreateTable", **table())
    for number in range(7):
        await ddb("PutItem", TableName="things", Item={"pk": {"S": str(number)}, "a": {"S": "x"}})
    await ddb("UpdateTable", TableName="things", **CREATE)
    (filling,) = (await described(ddb))["GlobalSecondaryIndexes"]
    assert (filling["IndexStatus"], filling["Backfilling"]) == ("CREATING", True)
    assert await refused(ddb("Scan", TableName="things", IndexName="by_a")) == (
        "ValidationException",
        "Cannot read from backfilling global secondary index: by_a",
    )
    assert (await refused(ddb("DeleteTable", TableName="things")))[0] == "ResourceInUseException"
    assert (await refused(ddb("UpdateTable", TableName="things", **DELETE)))[0] == "LimitExceededException"
    # Meanwhile items change: some before the filling gets to them, some after.
    for number in range(7):
        await ddb(
            "UpdateItem",
            TableName="things",
            Key={"pk": {"S": str(number)}},
            UpdateExpression="SET a = :a" if number % 2 else "REMOVE a",
            **({"ExpressionAttributeValues": {":a": {"S": "y"}}} if number % 2 else {}),
        )
    await index_filling.fill_indexes(house.store, house.store.write)
    (filled,) = (await described(ddb))["GlobalSecondaryIndexes"]
    assert filled["IndexStatus"] == "ACTIVE"
    left = await ddb("Scan", TableName="things", IndexName="by_a")
    assert sorted(item["pk"]["S"] for item in left["Items"]) == ["1", "3", "5"]
    assert {item["a"]["S"] for item in left["Items"]} == {"y"}


async def test_states_last_as_long_as_they_are_set_to(refused: Any) -> None:
    house = House("dynamodb", settings=Settings(dynamodb_delay_ms=1000))

    async def ddb(operation: str, **params: Any) -> Any:
        return msgspec.json.decode(msgspec.json.encode(await house.call("dynamodb", operation, params)))

    async def status() -> tuple[str, list[str]]:
        now = await described(ddb)
        return now["TableStatus"], [one["IndexStatus"] for one in now.get("GlobalSecondaryIndexes", ())]

    item = {"TableName": "things", "Item": {"pk": {"S": "1"}, "a": {"S": "x"}}}
    await ddb("CreateTable", **table())
    assert await status() == ("CREATING", [])
    assert await refused(ddb("PutItem", **item)) == ("ResourceNotFoundException", "Requested resource not found")
    assert await refused(ddb("DeleteTable", TableName="things")) == (
        "ResourceInUseException",
        "Attempt to change a resource which is still in use: Table is being created: things",
    )
    house.clock.advance(1)
    assert await status() == ("ACTIVE", [])
    await ddb("PutItem", **item)
    await ddb("UpdateTable", TableName="things", **CREATE)
    assert await status() == ("UPDATING", ["CREATING"])
    assert (await refused(ddb("UpdateTable", TableName="things", **DELETE)))[0] == "ResourceInUseException"
    house.clock.advance(1)
    assert await status() == ("ACTIVE", ["ACTIVE"])
    await ddb("UpdateTable", TableName="things", **DELETE)
    assert await status() == ("UPDATING", ["DELETING"])
    house.clock.advance(1)
    assert await status() == ("ACTIVE", [])
    await ddb("UpdateTable", TableName="things", **CREATE)
    house.clock.advance(1)
    assert await status() == ("ACTIVE", ["ACTIVE"])
    await ddb("DeleteTable", TableName="things")
    assert await status() == ("DELETING", ["ACTIVE"])
    assert await refused(ddb("PutItem", **item)) == ("ResourceNotFoundException", "Requested resource not found")
    assert (await refused(ddb("CreateTable", **table())))[0] == "ResourceInUseException"
    house.clock.advance(1)
    assert (await refused(ddb("DescribeTable", TableName="things")))[0] == "ResourceNotFoundException"
    assert await ddb("ListTables") == {"TableNames": []}
    await ddb("CreateTable", **table())
    house.clock.advance(1)
    assert (await ddb("Scan", TableName="things"))["Count"] == 0


LIMIT = (
    "LimitExceededException",
    "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
)


NOTHING = (
    "ValidationException",
    "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, "
    "SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, MultiRegionConsistency, "
    "DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required",
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {},
            NOTHING,
        ),
        (
            {"VectorIndexUpdates": []},
            NOTHING,
        ),
        (
            {"GlobalSecondaryIndexUpdates": [{}]},
            (
                "ValidationException",
                INVALID + "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, "
                "GlobalSecondaryIndexUpdate.Delete must not be null",
            ),
        ),
        (
            {"GlobalSecondaryIndexUpdates": []},
            ("ValidationException", INVALID + "List of GlobalSecondaryIndexUpdates is empty"),
        ),
        (
            {"GlobalSecondaryIndexUpdates": [{"Create": index("by_a", "a"), "Delete": {"IndexName": "here"}}]},
            (
                "ValidationException",
                INVALID + "Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object",
            ),
        ),
        (
            {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "near"}}]},
            ("ValidationException", "Cannot delete an index that is not a GlobalSecondaryIndex: near"),
        ),
        (
            {"GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "near", "ProvisionedThroughput": units(1, 1)}}]},
            ("ValidationException", "Cannot update an index that is not a GlobalSecondaryIndex: near"),
        ),
        (
            {"GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "here", "ProvisionedThroughput": units(1, 1)}}]},
            (
                "ValidationException",
                INVALID + "The only Updates for index: here when TableThroughputMode is PAY_PER_REQUEST can be to "
                "OnDemandThroughput, WarmThroughput",
            ),
        ),
        ({**CREATE, "GlobalSecondaryIndexUpdates": [CREATE["GlobalSecondaryIndexUpdates"][0]] * 2}, LIMIT),
        (
            {
                "AttributeDefinitions": definitions(b="S"),
                "GlobalSecondaryIndexUpdates": [{"Create": index("here", "b")}],
            },
            ("ValidationException", "Attempting to create an index which already exists"),
        ),
        (
            {"GlobalSecondaryIndexUpdates": [{"Create": index("by_a", "a")}]},
            (
                "ValidationException",
                INVALID + "AttributeDefinitions is not specified for index: by_a",
            ),
        ),
        (
            {
                "AttributeDefinitions": definitions(pk="N"),
                "GlobalSecondaryIndexUpdates": [{"Create": index("new", "pk")}],
            },
            (
                "ValidationException",
                INVALID + "Attributes cannot be redefined. Please check that your attribute has the same type as "
                "previously defined. Existing schema: Schema:[SchemaElement: key{pk:S:HASH}] "
                "New schema: Schema:[SchemaElement: key{pk:N:HASH}]",
            ),
        ),
        (
            {
                **CREATE,
                "GlobalSecondaryIndexUpdates": [{"Create": index("by_a", "a", ProvisionedThroughput=units(1, 1))}],
            },
            (
                "ValidationException",
                INVALID + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified for index: by_a when "
                "BillingMode is PAY_PER_REQUEST",
            ),
        ),
        (
            {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "none"}}]},
            ("ResourceNotFoundException", "Requested resource not found: Index none for table things"),
        ),
        (
            {"BillingMode": "PROVISIONED", "ProvisionedThroughput": units(1, 1)},
            ("ValidationException", INVALID + "ProvisionedThroughput must be specified for index: here"),
        ),
        (
            {"BillingMode": "PROVISIONED"},
            (
                "ValidationException",
                INVALID + "ProvisionedThroughput must be specified when BillingMode is PROVISIONED",
            ),
        ),
        (
            {"BillingMode": "PAY_PER_REQUEST", "ProvisionedThroughput": units(1, 1)},
            (
                "ValidationException",
                INVALID + "ProvisionedThroughput cannot be specified when BillingMode is PAY_PER_REQUEST",
            ),
        ),
        (
            {"ProvisionedThroughput": units(1, 1)},
            (
                "ValidationException",
                INVALID + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
                "PAY_PER_REQUEST",
            ),
        ),
        (
            {"SSESpecification": {"Enabled": False}},
            ("ValidationException", INVALID + "Table is already encrypted by default"),
        ),
        (
            {"SSESpecification": {"Enabled": False, "SSEType": "KMS"}},
            ("ValidationException", INVALID + "SSEType can not be specified if Enabled is false"),
        ),
        (
            {"SSESpecification": {"Enabled": True, "SSEType": "AES256"}},
            ("ValidationException", INVALID + "SSEType AES256 is not supported"),
        ),
        (
            {"SSESpecification": {"Enabled": True, "KMSMasterKeyId": "key"}},
            ("ValidationException", INVALID + "SSEType KMS is required if KMSMasterKeyId is specified"),
        ),
        (
            {"OnDemandThroughput": {"MaxWriteRequestUnits": 0}},
            (
                "ValidationException",
                INVALID + "Requested MaxWriteRequestUnits for OnDemandThroughput for table is outside of valid range",
            ),
        ),
        (
            {"WarmThroughput": {"ReadUnitsPerSecond": 1}},
            (
                "ValidationException",
                INVALID + "Requested ReadUnitsPerSecond for WarmThroughput for table is lower than current "
                "WarmThroughput, decreasing WarmThroughput is not supported",
            ),
        ),
    ],
)
async def test_what_is_refused(ddb: Any, refused: Any, changes: dict[str, Any], expected: Any) -> None:
    here = index("here", "h")
    near = {**index("near", "pk"), "KeySchema": [*keys("pk"), {"AttributeName": "h", "KeyType": "RANGE"}]}
    await ddb(
        "CreateTable",
        **table(
            AttributeDefinitions=definitions(pk="S", sk="S", h="S"),
            KeySchema=[*keys("pk"), {"AttributeName": "sk", "KeyType": "RANGE"}],
            GlobalSecondaryIndexes=[here],
            LocalSecondaryIndexes=[near],
        ),
    )
    before = await described(ddb)
    assert await refused(ddb("UpdateTable", TableName="things", **changes)) == expected
    assert await described(ddb) == before


STREAM = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}}
UNITS = {"ProvisionedThroughput": units(9, 9)}
WARM = {"WarmThroughput": {"ReadUnitsPerSecond": 20_000}}
CLASS = {"TableClass": "STANDARD"}
PROTECTED = {"DeletionProtectionEnabled": False}
ENCRYPTED = {"SSESpecification": {"Enabled": True}}
NOT_ALONE = "modification must be the only operation in the request"
TOGETHER: dict[str, tuple[dict[str, Any], str]] = {
    "encryption and protection": ({**PROTECTED, **ENCRYPTED}, f"Server-Side Encryption {NOT_ALONE}"),
    "encryption and class": ({**CLASS, **ENCRYPTED}, f"Server-Side Encryption {NOT_ALONE}"),
    "class and protection": ({**PROTECTED, **CLASS}, f"TableClass {NOT_ALONE}"),
    "protection and units": ({**UNITS, **PROTECTED}, f"DeletionProtection {NOT_ALONE}"),
    "protection and warmth": ({**WARM, **PROTECTED}, f"DeletionProtection {NOT_ALONE}"),
    "warmth and a stream": ({**WARM, **STREAM}, "WarmThroughput must be the only operation in the request"),
    "warmth and a new index": (
        {**WARM, **CREATE},
        "Create global secondary index cannot be specified when updating WarmThroughput",
    ),
    "units and an index that goes": (
        {**UNITS, **DELETE},
        "You cannot create or delete index while updating table IOPS",
    ),
    "units and a stream": ({**UNITS, **STREAM}, "You cannot modify stream status while updating table IOPS"),
    "a stream and a new index": (
        {**STREAM, **CREATE},
        "You cannot create or delete index while changing stream status",
    ),
    "a limit and a stream": (
        {"OnDemandThroughput": {"MaxReadRequestUnits": 5}, **STREAM},
        "OnDemandThroughput can only be combined with BillingMode in an UpdateTable request",
    ),
}


@pytest.mark.parametrize("case", TOGETHER)
async def test_changes_that_do_not_go_together(ddb: Any, refused: Any, case: str) -> None:
    changes, message = TOGETHER[case]
    await ddb("CreateTable", **table(**PROVISIONED))
    assert await refused(ddb("UpdateTable", TableName="things", **changes)) == (
        "ValidationException",
        INVALID + message,
    )


async def test_changes_that_go_together(ddb: Any) -> None:
    await ddb("CreateTable", **table(**PROVISIONED))
    on_demand = {"BillingMode": "PAY_PER_REQUEST", "OnDemandThroughput": {"MaxReadRequestUnits": 5}}
    await ddb("UpdateTable", TableName="things", **on_demand, **CREATE)
    await ddb("UpdateTable", TableName="things", BillingMode="PAY_PER_REQUEST", **STREAM)
    warmer = [{"Update": {"IndexName": "by_a", **WARM}}]
    await ddb("UpdateTable", TableName="things", **WARM, GlobalSecondaryIndexUpdates=warmer)
    now = await described(ddb)
    assert (now["OnDemandThroughput"], now["StreamSpecification"]["StreamEnabled"]) == (
        {"MaxReadRequestUnits": 5},
        True,
    )
    assert {one["WarmThroughput"]["ReadUnitsPerSecond"] for one in (now, *now["GlobalSecondaryIndexes"])} == {20_000}


async def test_an_index_has_throughput_of_its_own(ddb: Any, refused: Any) -> None:
    here = index("here", "h", ProvisionedThroughput=units(3, 2))
    changes = {"AttributeDefinitions": definitions(pk="S", h="S"), "GlobalSecondaryIndexes": [here]}
    await ddb("CreateTable", **table(**changes, **PROVISIONED))
    same = {"GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "here", "ProvisionedThroughput": units(3, 2)}}]}
    code, message = await refused(ddb("UpdateTable", TableName="things", **same))
    assert (code, message[:66]) == (
        "ValidationException",
        "The provisioned throughput for the index here will not change. The",
    )
    more = {"GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "here", "ProvisionedThroughput": units(9, 1)}}]}
    updated = (await ddb("UpdateTable", TableName="things", **more))["TableDescription"]["GlobalSecondaryIndexes"][0]
    assert updated["IndexStatus"] == "UPDATING"
    now = (await described(ddb))["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]
    assert (now["ReadCapacityUnits"], now["WriteCapacityUnits"], now["NumberOfDecreasesToday"]) == (9, 1, 1)
    await ddb("UpdateTable", TableName="things", BillingMode="PAY_PER_REQUEST")
    now = (await described(ddb))["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]
    assert (now["ReadCapacityUnits"], now["WriteCapacityUnits"]) == (0, 0)
    await ddb("UpdateTable", TableName="things", BillingMode="PROVISIONED", ProvisionedThroughput=units(1, 1), **same)
    now = (await described(ddb))["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]
    assert now["ReadCapacityUnits"] == 3


async def test_throughput_is_lowered_four_times_a_day_and_then_hourly(refused: Any) -> None:
    house = House("dynamodb")

    async def lower(read: int) -> Any:
        params = {"TableName": "things", "ProvisionedThroughput": units(read, 5)}
        return await house.call("dynamodb", "UpdateTable", params)

    await house.call("dynamodb", "CreateTable", table(BillingMode=None, ProvisionedThroughput=units(50, 5)))
    for read in (40, 30, 20, 15):
        await lower(read)
    code, message = await refused(lower(14))
    assert code == "LimitExceededException"
    assert message == (
        "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After the "
        "first 4 decreases, each subsequent decrease in the same UTC day can be performed at most once every 3600 "
        "seconds. Number of decreases today: 4. Last decrease at Thursday, October 9, 2025 at 8:53:20 AM Coordinated "
        "Universal Time. Next decrease can be made at Thursday, October 9, 2025 at 9:53:20 AM Coordinated Universal "
        "Time."
    )
    await lower(100)
    house.clock.advance(HOUR_S)
    await lower(90)
    assert (await refused(lower(80)))[0] == "LimitExceededException"
    house.clock.advance(13 * HOUR_S + 30 * 60)
    await lower(80)
    assert (await refused(lower(70)))[1].endswith(
        "at Friday, October 10, 2025 at 12:00:00 AM Coordinated Universal Time."
    )


async def test_billing_becomes_on_demand_four_times_a_day(refused: Any) -> None:
    house = House("dynamodb")

    async def switch(**changes: Any) -> Any:
        return await house.call("dynamodb", "UpdateTable", {"TableName": "things", **changes})

    await house.call("dynamodb", "CreateTable", table(**PROVISIONED))
    for _ in range(4):
        await switch(BillingMode="PAY_PER_REQUEST")
        await switch(BillingMode="PROVISIONED", ProvisionedThroughput=units(1, 1))
    code, message = await refused(switch(BillingMode="PAY_PER_REQUEST"))
    assert (code, "4 times in 1 day(s)" in message) == ("LimitExceededException", True)
    house.clock.advance(24 * HOUR_S)
    await switch(BillingMode="PAY_PER_REQUEST")


async def test_limits_and_warmth_of_an_on_demand_table(ddb: Any, refused: Any) -> None:
    limits = {"MaxReadRequestUnits": 10, "MaxWriteRequestUnits": 20}
    await ddb("CreateTable", **table(OnDemandThroughput=limits, WarmThroughput={"WriteUnitsPerSecond": 9000}))
    now = await described(ddb)
    assert now["OnDemandThroughput"] == limits
    assert now["WarmThroughput"] == {"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 9000, "Status": "ACTIVE"}
    await ddb("UpdateTable", TableName="things", OnDemandThroughput={"MaxReadRequestUnits": -1})
    assert (await described(ddb))["OnDemandThroughput"] == {"MaxWriteRequestUnits": 20}
    gone = await ddb("UpdateTable", TableName="things", OnDemandThroughput={"MaxWriteRequestUnits": -1})
    assert gone["TableDescription"]["TableStatus"] == "ACTIVE"
    assert gone["TableDescription"]["OnDemandThroughput"] == {"MaxWriteRequestUnits": -1}
    assert "OnDemandThroughput" not in await described(ddb)


async def test_warm_throughput_never_sinks(ddb: Any) -> None:
    async def change(**changes: Any) -> tuple[int, int]:
        await ddb("UpdateTable", TableName="things", **changes)
        warm = (await described(ddb))["WarmThroughput"]
        return warm["ReadUnitsPerSecond"], warm["WriteUnitsPerSecond"]

    await ddb("CreateTable", **table(**PROVISIONED))
    assert await change(ProvisionedThroughput=units(7, 3)) == (7, 5)
    assert await change(ProvisionedThroughput=units(1, 1)) == (7, 5)
    assert await change(BillingMode="PAY_PER_REQUEST") == (12000, 4000)
    assert await change(BillingMode="PROVISIONED", ProvisionedThroughput=units(1, 1)) == (12000, 4000)


COLD = (
    "lower than initial throughput for OnDemand. See: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/"
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {**PROVISIONED, "OnDemandThroughput": {"MaxWriteRequestUnits": 1, "MaxReadRequestUnits": 1}},
            "MaxReadRequestUnits for OnDemandThroughput cannot be specified when table BillingMode is PROVISIONED.",
        ),
        (
            {"OnDemandThroughput": {"MaxReadRequestUnits": -1}},
            "Requested MaxReadRequestUnits for OnDemandThroughput for table is outside of valid range",
        ),
        (
            {"WarmThroughput": {"ReadUnitsPerSecond": 1}},
            f"Requested ReadUnitsPerSecond for WarmThroughput for table is {COLD}on-demand-capacity-mode.html"
            "#on-demand-capacity-mode-initial",
        ),
        (
            {**PROVISIONED, "WarmThroughput": {"WriteUnitsPerSecond": 4}},
            "Requested WriteUnitsPerSecond for WarmThroughput for table is lower than WriteCapacityUnits of "
            "ProvisionedThroughput",
        ),
    ],
)
async def test_throughput_that_a_new_table_cannot_have(ddb: Any, refused: Any, changes: Any, message: str) -> None:
    assert await refused(ddb("CreateTable", **table(**changes))) == ("ValidationException", INVALID + message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {
                **PROVISIONED,
                "AttributeDefinitions": definitions(pk="S", h="S"),
                "GlobalSecondaryIndexes": [index("here", "h", ProvisionedThroughput=units(10**30, 1))],
            },
            f"Given value {10**30} for ReadCapacityUnits is out of bounds for index here",
        ),
    ],
)
async def test_more_units_than_there_are(ddb: Any, refused: Any, changes: Any, message: str) -> None:
    assert await refused(ddb("CreateTable", **table(**changes))) == ("ValidationException", message)


async def test_encryption_is_described(ddb: Any, refused: Any) -> None:
    await ddb("CreateTable", **table(SSESpecification={"Enabled": True, "SSEType": "KMS"}))
    encryption = (await described(ddb))["SSEDescription"]
    assert (encryption["Status"], encryption["SSEType"]) == ("ENABLED", "KMS")
    assert encryption["KMSMasterKeyArn"].startswith("arn:aws:kms:us-east-1:000000000000:key/")
    arn = "arn:aws:kms:us-east-1:000000000000:key/mine"
    mine = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": arn}
    working = (await ddb("UpdateTable", TableName="things", SSESpecification=mine))["TableDescription"]
    assert (working["TableStatus"], working["SSEDescription"]["Status"]) == ("ACTIVE", "UPDATING")
    assert (await described(ddb))["SSEDescription"] == {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": arn}
    assert await refused(ddb("UpdateTable", TableName="things", SSESpecification=mine)) == (
        "ValidationException",
        INVALID + "Table is already encrypted with given KMSMasterKeyId. Use KMSMasterKeyId parameter if you want to "
        "change Master Key",
    )
    await ddb("UpdateTable", TableName="things", SSESpecification={"Enabled": False})
    assert "SSEDescription" not in await described(ddb)


async def test_the_key_of_a_table_changes_four_times_a_day(refused: Any) -> None:
    house = House("dynamodb")

    async def change(key: str) -> Any:
        encryption = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
        return await house.call("dynamodb", "UpdateTable", {"TableName": "things", "SSESpecification": encryption})

    await house.call("dynamodb", "CreateTable", table())
    for key in "abcd":
        await change(key)
    house.clock.advance(HOUR_S)
    assert await refused(change("e")) == (
        "LimitExceededException",
        "Subscriber limit exceeded: Encryption mode changes are limited in the 24h window ending at "
        "2025-10-10T08:53:20.000. After the first 4 change, each subsequent change in the same window can be performed "
        "at most once every 21600 seconds. Number of updates today: 4. Last change at 2025-10-09T08:53:20.000. Next "
        "changes can be made at 2025-10-09T14:53:20.000.",
    )
    house.clock.advance(5 * HOUR_S)
    await change("e")
    assert (await refused(change("f")))[0] == "LimitExceededException"
    house.clock.advance(18 * HOUR_S)
    await change("f")


async def test_many_writers_and_a_new_index(ddb: Any) -> None:
    await ddb("CreateTable", **table())
    puts = [ddb("PutItem", TableName="things", Item={"pk": {"S": str(n)}, "a": {"S": "x"}}) for n in range(20)]
    await asyncio.gather(*puts[:10], ddb("UpdateTable", TableName="things", **CREATE), *puts[10:])
    assert (await ddb("Scan", TableName="things", IndexName="by_a"))["Count"] == 20
