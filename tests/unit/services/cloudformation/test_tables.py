"""AWS::DynamoDB::Table: a table becomes what its template says, when it is made and when it changes."""

from typing import Any

import pytest

from stacking import TABLE, Stacks

INDEX = {
    "IndexName": "by-owner",
    "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
}
OTHER = {**INDEX, "IndexName": "by-owner-too", "Projection": {"ProjectionType": "KEYS_ONLY"}}
OWNER = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "owner")]


def table(**properties: Any) -> dict[str, Any]:
    return {**TABLE, "Properties": {**TABLE["Properties"], **properties}}


def indexed(*indexes: Any, **properties: Any) -> dict[str, Any]:
    return table(AttributeDefinitions=OWNER, GlobalSecondaryIndexes=list(indexes), **properties)


async def described(stacks: Stacks) -> Any:
    name = await stacks.physical_id("T")
    return (await stacks.house.call("dynamodb", "DescribeTable", {"TableName": name}))["Table"]


async def setting(stacks: Stacks, operation: str) -> Any:
    return await stacks.house.call("dynamodb", operation, {"TableName": await stacks.physical_id("T")})


@pytest.fixture
def stacks() -> Stacks:
    return Stacks()


async def test_a_table_with_everything(stacks: Stacks) -> None:
    await stacks.create(
        outputs={"Stream": {"Value": {"Fn::GetAtt": ["T", "StreamArn"]}}},
        T=indexed(
            INDEX,
            StreamSpecification={"StreamViewType": "NEW_IMAGE"},
            SSESpecification={"SSEEnabled": True},
            TimeToLiveSpecification={"AttributeName": "until", "Enabled": True},
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
        ),
    )
    assert await stacks.status() == "CREATE_COMPLETE", await stacks.reasons()
    made = await described(stacks)
    assert [index["IndexName"] for index in made["GlobalSecondaryIndexes"]] == ["by-owner"]
    assert made["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    assert made["SSEDescription"]["Status"] == "ENABLED"
    assert (await stacks.stack())["Outputs"][0]["OutputValue"] == made["LatestStreamArn"]
    ttl = (await setting(stacks, "DescribeTimeToLive"))["TimeToLiveDescription"]
    assert (ttl["AttributeName"], ttl["TimeToLiveStatus"]) == ("until", "ENABLED")
    backups = (await setting(stacks, "DescribeContinuousBackups"))["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


async def test_indexes_come_and_go_one_by_one(stacks: Stacks) -> None:
    await stacks.create(T=indexed(INDEX))
    await stacks.update(T=indexed(OTHER))
    assert await stacks.status() == "UPDATE_COMPLETE", await stacks.reasons()
    assert [index["IndexName"] for index in (await described(stacks))["GlobalSecondaryIndexes"]] == ["by-owner-too"]
    await stacks.update(T=table())
    assert "GlobalSecondaryIndexes" not in await described(stacks)


async def test_what_dynamodb_changes_one_by_one(stacks: Stacks) -> None:
    units = {"ReadCapacityUnits": 3, "WriteCapacityUnits": 2}
    await stacks.create(T=table(SSESpecification={"SSEEnabled": False}))
    await stacks.update(
        T=table(
            BillingMode="PROVISIONED",
            ProvisionedThroughput=units,
            TableClass="STANDARD_INFREQUENT_ACCESS",
            DeletionProtectionEnabled=True,
        )
    )
    assert await stacks.status() == "UPDATE_COMPLETE", await stacks.reasons()
    now = await described(stacks)
    assert now["BillingModeSummary"]["BillingMode"] == "PROVISIONED"
    assert {name: now["ProvisionedThroughput"][name] for name in units} == units
    assert now["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    assert now["DeletionProtectionEnabled"]
    await stacks.update(T=table(OnDemandThroughput={"MaxReadRequestUnits": 9}))
    assert await stacks.status() == "UPDATE_COMPLETE", await stacks.reasons()
    now = await described(stacks)
    assert now["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert now["OnDemandThroughput"] == {"MaxReadRequestUnits": 9}
    assert not now["DeletionProtectionEnabled"]


def units(read: int | str) -> dict[str, Any]:
    return {"ReadCapacityUnits": read, "WriteCapacityUnits": 2}


async def test_indexes_get_their_units_with_the_table(stacks: Stacks) -> None:
    await stacks.create(T=indexed(INDEX, OTHER))
    stays = {**INDEX, "ProvisionedThroughput": units("7")}
    comes = {**OTHER, "IndexName": "comes", "ProvisionedThroughput": units(8)}
    await stacks.update(T=indexed(stays, comes, BillingMode="PROVISIONED", ProvisionedThroughput=units("3")))
    assert await stacks.status() == "UPDATE_COMPLETE", await stacks.reasons()
    indexes = (await described(stacks))["GlobalSecondaryIndexes"]
    assert [(index["IndexName"], index["ProvisionedThroughput"]["ReadCapacityUnits"]) for index in indexes] == [
        ("by-owner", 7),
        ("comes", 8),
    ]
    await stacks.update(T=indexed({**INDEX, "OnDemandThroughput": {"MaxReadRequestUnits": 9}}))
    assert await stacks.status() == "UPDATE_COMPLETE", await stacks.reasons()
    now = await described(stacks)
    assert now["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert now["GlobalSecondaryIndexes"][0]["OnDemandThroughput"] == {"MaxReadRequestUnits": 9}


@pytest.mark.parametrize(
    ("change", "failure"),
    [
        ({"ProvisionedThroughput": units(50_000)}, "above the per table maximum"),
        ({"TimeToLiveSpecification": {"AttributeName": "other", "Enabled": True}}, "TimeToLive"),
        ({"SSESpecification": {"SSEEnabled": True, "SSEType": "AES256"}}, "SSEType"),
    ],
)
async def test_changes_that_have_not_come_to_pass_are_taken_back(
    stacks: Stacks, change: dict[str, Any], failure: str
) -> None:
    before = {
        "BillingMode": "PROVISIONED",
        "ProvisionedThroughput": units("3"),
        "TimeToLiveSpecification": {"AttributeName": "until", "Enabled": "true"},
        "StreamSpecification": {"StreamViewType": "NEW_IMAGE"},
        "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": "alias/one"},
    }
    after = {
        **before,
        "ProvisionedThroughput": units(4),
        "TableClass": "STANDARD_INFREQUENT_ACCESS",
        "StreamSpecification": {"StreamViewType": "KEYS_ONLY"},
        "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": "alias/two"},
    }
    await stacks.create(T=table(**before))
    await stacks.update(T=table(**{**after, **change}))
    assert await stacks.status() == "UPDATE_ROLLBACK_COMPLETE", await stacks.reasons()
    assert failure in (await stacks.reasons())["T UPDATE_FAILED"]
    now = await described(stacks)
    assert now["ProvisionedThroughput"]["ReadCapacityUnits"] == 3
    assert now["StreamSpecification"]["StreamViewType"] == "NEW_IMAGE"
    assert now["SSEDescription"]["KMSMasterKeyArn"].endswith("alias/one")


async def test_an_index_keeps_its_keys(stacks: Stacks) -> None:
    await stacks.create(T=indexed(INDEX))
    await stacks.update(T=indexed({**OTHER, "IndexName": "by-owner"}))
    assert await stacks.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert "the keys or the projection of the index by-owner changed" in (await stacks.reasons())["T UPDATE_FAILED"]
    assert (await described(stacks))["GlobalSecondaryIndexes"][0]["Projection"] == {"ProjectionType": "ALL"}


async def test_a_stream_begins_anew_with_another_view_and_ends(stacks: Stacks) -> None:
    outputs = {"Stream": {"Value": {"Fn::GetAtt": ["T", "StreamArn"]}}}
    await stacks.create(outputs=outputs, T=table(StreamSpecification={"StreamViewType": "NEW_IMAGE"}))
    first = (await described(stacks))["LatestStreamArn"]
    stacks.house.clock.advance(5)
    await stacks.update(outputs=outputs, T=table(StreamSpecification={"StreamViewType": "KEYS_ONLY"}))
    changed = await described(stacks)
    assert changed["StreamSpecification"]["StreamViewType"] == "KEYS_ONLY"
    assert changed["LatestStreamArn"] != first
    assert (await stacks.stack())["Outputs"][0]["OutputValue"] == changed["LatestStreamArn"]
    await stacks.update(T=table())
    assert "StreamSpecification" not in await described(stacks)


async def test_what_is_not_built_is_named(stacks: Stacks) -> None:
    await stacks.create(T=table(StreamSpecification={"StreamViewType": "NEW_IMAGE", "ResourcePolicy": {}}))
    assert await stacks.status() == "ROLLBACK_COMPLETE"
    assert "StreamSpecification.ResourcePolicy is not built" in (await stacks.reasons())["T CREATE_FAILED"]
