"""The rest of DynamoDB's control plane through boto3: TTL, backups, recovery, policies and settings."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.fixture(scope="module")
def dynamodb(server: Any) -> Any:
    return server.client("dynamodb")


@pytest.fixture
def make_table(dynamodb: Any) -> Iterator[Callable[[], str]]:
    """Return a function that makes a table of partition key pk and returns its name."""
    made: list[str] = []

    def make() -> str:
        name = f"control-{uuid.uuid4()}"
        dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        made.append(name)
        return name

    yield make
    for name in made:
        dynamodb.delete_table(TableName=name)


def error_of(call: Any, **params: Any) -> tuple[str, str, int]:
    """Return (code, message, status) of the error that a call raises."""
    with pytest.raises(ClientError) as raised:
        call(**params)
    answer: Any = raised.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_ttl_settings(dynamodb: Any, make_table: Callable[[], str]) -> None:
    name = make_table()
    specification = {"Enabled": True, "AttributeName": "expires"}
    answer = dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=specification)
    assert answer["TimeToLiveSpecification"] == specification
    described = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
    assert error_of(dynamodb.update_time_to_live, TableName=name, TimeToLiveSpecification=specification) == (
        "ValidationException",
        "TimeToLive is already enabled",
        400,
    )
    bad = error_of(
        dynamodb.update_time_to_live, TableName=name, TimeToLiveSpecification={**specification, "AttributeName": ""}
    )
    assert bad == (
        "ValidationException",
        "1 validation error detected: Value '' at 'timeToLiveSpecification.attributeName' failed to satisfy "
        "constraint: Member must have length greater than or equal to 1",
        400,
    )
    assert error_of(dynamodb.describe_time_to_live, TableName="no-such-table") == (
        "ResourceNotFoundException",
        "Requested resource not found: Table: no-such-table not found",
        400,
    )


@pytest.mark.slow
def test_expired_items_go_in_seconds(dynamodb: Any, make_table: Callable[[], str]) -> None:
    name = make_table()
    specification = {"Enabled": True, "AttributeName": "expires"}
    dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=specification)
    dynamodb.put_item(TableName=name, Item={"pk": {"S": "a"}, "expires": {"N": str(int(time.time()) - 5)}})
    until = time.monotonic() + 20
    while dynamodb.scan(TableName=name)["Count"] and time.monotonic() < until:
        pass
    assert dynamodb.scan(TableName=name)["Count"] == 0


def test_backups(dynamodb: Any, make_table: Callable[[], str]) -> None:
    name, target = make_table(), f"control-{uuid.uuid4()}"
    dynamodb.put_item(TableName=name, Item={"pk": {"S": "a"}})
    arn = dynamodb.create_backup(TableName=name, BackupName="before")["BackupDetails"]["BackupArn"]
    described = dynamodb.describe_backup(BackupArn=arn)["BackupDescription"]
    assert described["BackupDetails"]["BackupStatus"] == "AVAILABLE"
    assert described["SourceTableDetails"]["ItemCount"] == 1
    (listed,) = dynamodb.list_backups(TableName=name)["BackupSummaries"]
    assert (listed["BackupArn"], listed["BackupName"]) == (arn, "before")
    dynamodb.restore_table_from_backup(TargetTableName=target, BackupArn=arn)
    dynamodb.get_waiter("table_exists").wait(TableName=target)
    assert dynamodb.scan(TableName=target)["Items"] == [{"pk": {"S": "a"}}]
    assert error_of(dynamodb.restore_table_from_backup, TargetTableName=target, BackupArn=arn) == (
        "TableAlreadyExistsException",
        f"Table already exists: {target}",
        400,
    )
    dynamodb.delete_table(TableName=target)
    assert dynamodb.delete_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]["BackupStatus"] == "DELETED"
    gone = ("BackupNotFoundException", f"Backup not found: {arn}", 400)
    assert error_of(dynamodb.describe_backup, BackupArn=arn) == gone
    assert error_of(dynamodb.delete_backup, BackupArn=arn) == gone
    assert error_of(dynamodb.create_backup, TableName="no-such-table", BackupName="before") == (
        "TableNotFoundException",
        "Table not found: no-such-table",
        400,
    )
    assert error_of(dynamodb.list_backups, Limit=101) == (
        "ValidationException",
        "1 validation error detected: Value '101' at 'limit' failed to satisfy constraint: "
        "Member must have value less than or equal to 100",
        400,
    )


def test_point_in_time_recovery(dynamodb: Any, make_table: Callable[[], str]) -> None:
    name, target = make_table(), f"control-{uuid.uuid4()}"
    assert error_of(
        dynamodb.restore_table_to_point_in_time,
        SourceTableName=name,
        TargetTableName=target,
        UseLatestRestorableTime=True,
    ) == (
        "PointInTimeRecoveryUnavailableException",
        f"Point in time recovery is not enabled for table '{name}'",
        400,
    )
    dynamodb.put_item(TableName=name, Item={"pk": {"S": "a"}})
    described = dynamodb.update_continuous_backups(
        TableName=name,
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 3},
    )["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert (described["PointInTimeRecoveryStatus"], described["RecoveryPeriodInDays"]) == ("ENABLED", 3)
    earliest = described["EarliestRestorableDateTime"]
    dynamodb.put_item(TableName=name, Item={"pk": {"S": "b"}})
    again = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    assert again["PointInTimeRecoveryDescription"]["EarliestRestorableDateTime"] == earliest
    dynamodb.restore_table_to_point_in_time(
        SourceTableName=name, TargetTableName=target, RestoreDateTime=earliest.timestamp()
    )
    dynamodb.get_waiter("table_exists").wait(TableName=target)
    assert dynamodb.scan(TableName=target)["Items"] == [{"pk": {"S": "a"}}]
    summary = dynamodb.describe_table(TableName=target)["Table"]["RestoreSummary"]
    assert (summary["RestoreInProgress"], summary["RestoreDateTime"]) == (False, earliest)
    dynamodb.delete_table(TableName=target)
    for call in (dynamodb.describe_continuous_backups, dynamodb.update_continuous_backups):
        given = {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}
        more = given if call == dynamodb.update_continuous_backups else {}
        assert error_of(call, TableName="no-such-table", **more) == (
            "TableNotFoundException",
            "Table not found: no-such-table",
            400,
        )


def test_resource_policies(dynamodb: Any, make_table: Callable[[], str]) -> None:
    arn = dynamodb.describe_table(TableName=make_table())["Table"]["TableArn"]
    missing = ("PolicyNotFoundException", f"Resource-based policy not found for the provided ResourceArn: {arn}", 400)
    assert error_of(dynamodb.get_resource_policy, ResourceArn=arn) == missing
    statement = {"Effect": "Allow", "Principal": "*", "Action": "dynamodb:GetItem", "Resource": arn}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    revision = dynamodb.put_resource_policy(ResourceArn=arn, Policy=text)["RevisionId"]
    found = dynamodb.get_resource_policy(ResourceArn=arn)
    assert (found["Policy"], found["RevisionId"]) == (text, revision)
    wrong = {"ResourceArn": arn, "ExpectedRevisionId": "1"}
    assert error_of(dynamodb.delete_resource_policy, **wrong) == missing
    assert dynamodb.delete_resource_policy(ResourceArn=arn)["RevisionId"] == revision
    bad = error_of(dynamodb.put_resource_policy, ResourceArn=arn, Policy="{}")
    assert bad == (
        "ValidationException",
        "One or more parameter values were invalid: Invalid policy document: Syntax errors in policy.",
        400,
    )


def test_contributor_insights(dynamodb: Any, make_table: Callable[[], str]) -> None:
    name = make_table()
    assert dynamodb.describe_contributor_insights(TableName=name)["ContributorInsightsStatus"] == "DISABLED"
    answer = dynamodb.update_contributor_insights(TableName=name, ContributorInsightsAction="ENABLE")
    assert answer["ContributorInsightsStatus"] == "ENABLING"
    described = dynamodb.describe_contributor_insights(TableName=name)
    assert described["ContributorInsightsStatus"] == "ENABLED"
    assert len(described["ContributorInsightsRuleList"]) == 2
    (listed,) = dynamodb.list_contributor_insights(TableName=name)["ContributorInsightsSummaries"]
    assert listed["ContributorInsightsStatus"] == "ENABLED"
    assert error_of(dynamodb.describe_contributor_insights, TableName=name, IndexName="none") == (
        "ResourceNotFoundException",
        f"Requested resource not found: Index: none not found for table: {name}",
        400,
    )
    for call, more in (
        (dynamodb.update_contributor_insights, {"ContributorInsightsAction": "ENABLE"}),
        (dynamodb.list_contributor_insights, {}),
    ):
        assert error_of(call, TableName="no-such-table", **more) == (
            "ResourceNotFoundException",
            "Requested resource not found: Table: no-such-table not found",
            400,
        )


def test_what_tells_of_the_service_and_of_no_replicas(
    dynamodb: Any, server: Any, make_table: Callable[[], str]
) -> None:
    name = make_table()
    assert dynamodb.describe_limits()["TableMaxReadCapacityUnits"] == 40_000
    (endpoint,) = dynamodb.describe_endpoints()["Endpoints"]
    assert endpoint == {"Address": f"localhost:{server.port}", "CachePeriodInMinutes": 1440}
    assert dynamodb.describe_kinesis_streaming_destination(TableName=name)["KinesisDataStreamDestinations"] == []
    described = dynamodb.describe_table_replica_auto_scaling(TableName=name)["TableAutoScalingDescription"]
    assert described == {"TableName": name, "TableStatus": "ACTIVE", "Replicas": []}
    assert dynamodb.list_global_tables()["GlobalTables"] == []
    missing = ("GlobalTableNotFoundException", f"Global table not found: {name} does not exist", 400)
    assert error_of(dynamodb.describe_global_table, GlobalTableName=name) == missing
    assert error_of(dynamodb.describe_global_table_settings, GlobalTableName=name) == missing
    old = (
        "ValidationException",
        "One or more parameter values were invalid: DynamoDB global tables version 2017.11.29 is not supported. We "
        "recommend using DynamoDB global tables version 2019.11.21, instead of version 2017.11.29 (Legacy).",
        400,
    )
    assert error_of(dynamodb.update_global_table, GlobalTableName=name, ReplicaUpdates=[]) == old
    here = [{"RegionName": "us-east-1"}]
    assert error_of(dynamodb.create_global_table, GlobalTableName=name, ReplicationGroup=here) == old
    for call in (dynamodb.describe_kinesis_streaming_destination, dynamodb.describe_table_replica_auto_scaling):
        assert error_of(call, TableName="no-such-table") == (
            "ResourceNotFoundException",
            "Requested resource not found: Table: no-such-table not found",
            400,
        )


def test_what_is_not_built_is_refused_by_name(dynamodb: Any) -> None:
    stream = "arn:aws:kinesis:us-east-1:000000000000:stream/some-stream"
    code, message, status = error_of(dynamodb.enable_kinesis_streaming_destination, TableName="tab", StreamArn=stream)
    assert (code, status) == ("NotImplementedException", 501)
    assert message.startswith("dynamodb:EnableKinesisStreamingDestination is not implemented")
