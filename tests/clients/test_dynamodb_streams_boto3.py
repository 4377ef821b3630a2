"""Streams through boto3: one reader that follows a table, and what each operation refuses."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

KEY = [{"AttributeName": "pk", "KeyType": "HASH"}]
DEFINITIONS = [{"AttributeName": "pk", "AttributeType": "S"}]
Clients = tuple[Any, Any]


@pytest.fixture(scope="module")
def clients(server: Any) -> Clients:
    return server.client("dynamodb"), server.client("dynamodbstreams")


@pytest.fixture(scope="module")
def table(clients: Clients) -> Iterator[dict[str, Any]]:
    """A table with a stream of both images, as CreateTable describes it."""
    dynamodb, _ = clients
    name = f"streams-{uuid.uuid4()}"
    yield dynamodb.create_table(
        TableName=name,
        KeySchema=KEY,
        AttributeDefinitions=DEFINITIONS,
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )["TableDescription"]
    dynamodb.delete_table(TableName=name)


def error_of(call: Any, **params: Any) -> tuple[str, str, int]:
    """Return (code, message, status) of the error that a call raises."""
    with pytest.raises(ClientError) as raised:
        call(**params)
    answer: Any = raised.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_reader_follows_a_table(clients: Clients, table: dict[str, Any]) -> None:
    dynamodb, streams = clients
    name, arn = table["TableName"], table["LatestStreamArn"]
    assert arn == f"{table['TableArn']}/stream/{table['LatestStreamLabel']}"
    (listed,) = streams.list_streams(TableName=name)["Streams"]
    assert listed == {"StreamArn": arn, "TableName": name, "StreamLabel": table["LatestStreamLabel"]}
    described = streams.describe_stream(StreamArn=arn)["StreamDescription"]
    assert (described["StreamStatus"], described["KeySchema"]) == ("ENABLED", KEY)
    (shard,) = described["Shards"]
    place = {"StreamArn": arn, "ShardId": shard["ShardId"]}
    iterator = streams.get_shard_iterator(**place, ShardIteratorType="LATEST")["ShardIterator"]
    dynamodb.put_item(TableName=name, Item={"pk": {"S": "a"}, "data": {"B": b"\x00\xff"}, "set": {"NS": ["1", "2"]}})
    dynamodb.delete_item(TableName=name, Key={"pk": {"S": "a"}})
    page = streams.get_records(ShardIterator=iterator)
    inserted, removed = page["Records"]
    assert (inserted["eventName"], removed["eventName"]) == ("INSERT", "REMOVE")
    image = inserted["dynamodb"]["NewImage"]
    assert image == {"pk": {"S": "a"}, "data": {"B": b"\x00\xff"}, "set": {"NS": ["1", "2"]}}
    assert removed["dynamodb"]["OldImage"] == image
    assert inserted["dynamodb"]["ApproximateCreationDateTime"].year > 2024
    number = inserted["dynamodb"]["SequenceNumber"]
    iterator = streams.get_shard_iterator(**place, ShardIteratorType="AFTER_SEQUENCE_NUMBER", SequenceNumber=number)[
        "ShardIterator"
    ]
    assert streams.get_records(ShardIterator=iterator, Limit=5)["Records"] == [removed]
    assert streams.get_records(ShardIterator=page["NextShardIterator"])["Records"] == []


def test_streams_of_one_name_are_told_apart(clients: Clients, table: dict[str, Any]) -> None:
    dynamodb, streams = clients
    name, arn = table["TableName"], table["LatestStreamArn"]
    spec = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    assert error_of(dynamodb.update_table, TableName=name, StreamSpecification=spec) == (
        "ValidationException",
        f"Table already has an enabled stream: TableName: {name}",
        400,
    )
    dynamodb.update_table(TableName=name, StreamSpecification={"StreamEnabled": False})
    assert error_of(dynamodb.update_table, TableName=name, StreamSpecification={"StreamEnabled": False}) == (
        "ValidationException",
        f"Table has no stream to disable: TableName: {name}",
        400,
    )
    closed = streams.describe_stream(StreamArn=arn)["StreamDescription"]
    assert closed["StreamStatus"] == "DISABLED"
    assert "EndingSequenceNumber" in closed["Shards"][0]["SequenceNumberRange"]
    answer = dynamodb.update_table(TableName=name, StreamSpecification=spec)["TableDescription"]
    assert answer["LatestStreamArn"] != arn
    assert len(streams.list_streams(TableName=name)["Streams"]) == 2


def test_refusals(clients: Clients, table: dict[str, Any]) -> None:
    _, streams = clients
    missing = table["LatestStreamArn"].replace("/streams-", "/no-streams-")
    not_found = ("ResourceNotFoundException", f"Requested resource not found: Stream: {missing} not found", 400)
    assert error_of(streams.describe_stream, StreamArn=missing) == not_found
    place = {"StreamArn": missing, "ShardId": "shardId-00000000000000000000-00000000"}
    assert error_of(streams.get_shard_iterator, **place, ShardIteratorType="LATEST") == not_found
    assert error_of(streams.get_records, ShardIterator="nonsense") == (
        "ValidationException",
        "Invalid ShardIterator",
        400,
    )
    assert error_of(streams.list_streams, Limit=0) == (
        "ValidationException",
        "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: "
        "Member must have value greater than or equal to 1",
        400,
    )
    bad_type = error_of(streams.get_shard_iterator, **place, ShardIteratorType="bulle")
    assert bad_type[0] == "ValidationException"
    assert "shardIteratorType" in bad_type[1]
