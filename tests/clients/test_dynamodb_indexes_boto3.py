"""Secondary indexes as boto3 sees them: made with a table and later, queried, paged, and refused in AWS's words."""

import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError


@pytest.fixture
def dynamodb(client: Any) -> Any:
    return client("dynamodb")


def schema(*names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)]


@pytest.fixture
def songs(dynamodb: Any) -> Iterator[Any]:
    """A table of its own for each test, with a local and a global index, as boto3's resource."""
    name = f"songs-{uuid.uuid4()}"
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[
            {"AttributeName": "artist", "AttributeType": "S"},
            {"AttributeName": "song", "AttributeType": "S"},
            {"AttributeName": "album", "AttributeType": "S"},
            {"AttributeName": "sold", "AttributeType": "N"},
        ],
        KeySchema=schema("artist", "song"),
        LocalSecondaryIndexes=[
            {
                "IndexName": "albums",
                "KeySchema": schema("artist", "album"),
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "charts",
                "KeySchema": schema("album", "sold"),
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["genre"]},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.get_waiter("table_exists").wait(TableName=name)
    resource = boto3.resource(
        "dynamodb",
        endpoint_url=dynamodb.meta.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    table = resource.Table(name)
    with table.batch_writer() as batch:
        for number in range(12):
            item = {"artist": f"a{number % 2}", "song": f"s{number:02}", "album": "first", "sold": Decimal(number)}
            batch.put_item(Item={**item, "genre": "pop", "words": "la"})
    yield table
    dynamodb.delete_table(TableName=name)


def message_of(call: Any, **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as raised:
        call(**params)
    error: Any = raised.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_global_index_is_queried_in_pages(songs: Any, dynamodb: Any) -> None:
    pages = dynamodb.get_paginator("query").paginate(
        TableName=songs.name,
        IndexName="charts",
        KeyConditionExpression="album = :a AND sold >= :n",
        ExpressionAttributeValues={":a": {"S": "first"}, ":n": {"N": "3"}},
        ScanIndexForward=False,
        PaginationConfig={"PageSize": 4},
    )
    found = [item["sold"]["N"] for page in pages for item in page["Items"]]
    assert found == [str(number) for number in range(11, 2, -1)]
    item = songs.query(IndexName="charts", KeyConditionExpression=Key("album").eq("first"), Limit=1)["Items"][0]
    assert item == {"artist": "a0", "song": "s00", "album": "first", "sold": Decimal(0), "genre": "pop"}


def test_a_local_index_reads_consistently_and_reaches_into_the_table(songs: Any) -> None:
    found = songs.query(
        IndexName="albums",
        KeyConditionExpression=Key("artist").eq("a1") & Key("album").begins_with("f"),
        FilterExpression=Attr("words").eq("la"),
        ConsistentRead=True,
        ProjectionExpression="song, words",
        ReturnConsumedCapacity="INDEXES",
    )
    assert found["Items"][0] == {"song": "s01", "words": "la"}
    assert found["Count"] == 6
    assert found["ConsumedCapacity"]["LocalSecondaryIndexes"] == {"albums": {"CapacityUnits": 1.0}}
    assert found["ConsumedCapacity"]["Table"] == {"CapacityUnits": 6.0}


def test_an_index_is_scanned_in_segments(songs: Any) -> None:
    parts = [songs.scan(IndexName="albums", Segment=segment, TotalSegments=3)["Items"] for segment in range(3)]
    assert sorted(item["song"] for part in parts for item in part) == [f"s{number:02}" for number in range(12)]


def test_what_an_index_refuses(songs: Any) -> None:
    invalid = "ValidationException"
    by_album = {"IndexName": "charts", "KeyConditionExpression": Key("album").eq("first")}
    assert message_of(songs.query, **by_album, ConsistentRead=True) == (
        invalid,
        "Consistent reads are not supported on global secondary indexes",
    )
    assert message_of(songs.query, **by_album, ProjectionExpression="words") == (
        invalid,
        "One or more parameter values were invalid: Global secondary index charts does not project [words]",
    )
    assert message_of(songs.scan, IndexName="none") == (
        invalid,
        "The table does not have the specified index: none",
    )
    assert message_of(songs.put_item, Item={"artist": "a", "song": "b", "sold": "many"}) == (
        invalid,
        "One or more parameter values were invalid: Type mismatch for Index Key sold Expected: N Actual: S IndexName: "
        "charts",
    )


def test_an_index_is_added_and_removed(songs: Any, dynamodb: Any) -> None:
    dynamodb.update_table(
        TableName=songs.name,
        AttributeDefinitions=[{"AttributeName": "genre", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "genres",
                    "KeySchema": schema("genre"),
                    "Projection": {"ProjectionType": "ALL"},
                }
            }
        ],
    )
    dynamodb.get_waiter("table_exists").wait(TableName=songs.name)
    assert songs.query(IndexName="genres", KeyConditionExpression=Key("genre").eq("pop"))["Count"] == 12
    description = dynamodb.describe_table(TableName=songs.name)["Table"]
    assert {one["IndexName"]: one["IndexStatus"] for one in description["GlobalSecondaryIndexes"]} == {
        "charts": "ACTIVE",
        "genres": "ACTIVE",
    }
    removal = [{"Delete": {"IndexName": "genres"}}]
    dynamodb.update_table(TableName=songs.name, GlobalSecondaryIndexUpdates=removal)
    assert message_of(dynamodb.update_table, TableName=songs.name, GlobalSecondaryIndexUpdates=removal) == (
        "ResourceNotFoundException",
        f"Requested resource not found: Index genres for table {songs.name}",
    )


def test_a_collection_is_measured(songs: Any) -> None:
    written = songs.put_item(Item={"artist": "a0", "song": "new"}, ReturnItemCollectionMetrics="SIZE")
    assert written["ItemCollectionMetrics"] == {
        "ItemCollectionKey": {"artist": "a0"},
        "SizeEstimateRangeGB": [Decimal(0), Decimal(1)],
    }


def test_a_table_that_is_defined_wrongly(dynamodb: Any) -> None:
    params = {
        "TableName": "never-made",
        "AttributeDefinitions": [
            {"AttributeName": "a", "AttributeType": "S"},
            {"AttributeName": "b", "AttributeType": "S"},
        ],
        "KeySchema": schema("a"),
        "BillingMode": "PAY_PER_REQUEST",
    }
    index = {"IndexName": "one", "KeySchema": schema("b"), "Projection": {"ProjectionType": "ALL"}}
    invalid = "One or more parameter values were invalid: "
    for indexes, message in (
        ([index, index], "Duplicate index name: one"),
        ([], "List of GlobalSecondaryIndexes is empty"),
        (
            [{**index, "Projection": {"ProjectionType": "INCLUDE"}}],
            "ProjectionType is INCLUDE, but NonKeyAttributes is not specified",
        ),
        (
            [{**index, "KeySchema": schema("a")}],
            "Some AttributeDefinitions are not used. AttributeDefinitions: [a, b], keys used: [a]",
        ),
    ):
        refusal = message_of(dynamodb.create_table, **params, GlobalSecondaryIndexes=indexes)
        assert refusal == ("ValidationException", invalid + message)
