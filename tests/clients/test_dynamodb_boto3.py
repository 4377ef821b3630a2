"""DynamoDB as boto3 sees it: each operation once, typed values both ways, and errors with AWS's code and words."""

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


@pytest.fixture
def table(dynamodb: Any) -> Iterator[Any]:
    """A table of its own for each test, as boto3's resource, which turns Python values into attribute values."""
    name = f"table-{uuid.uuid4()}"
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[
            {"AttributeName": "owner", "AttributeType": "S"},
            {"AttributeName": "number", "AttributeType": "N"},
        ],
        KeySchema=[
            {"AttributeName": "owner", "KeyType": "HASH"},
            {"AttributeName": "number", "KeyType": "RANGE"},
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
    yield resource.Table(name)
    dynamodb.delete_table(TableName=name)
    dynamodb.get_waiter("table_not_exists").wait(TableName=name)


ITEM = {
    "owner": "alice",
    "number": Decimal("1.50"),
    "text": "h\u00e9llo",
    "raw": b"\x00\xff",
    "none": None,
    "yes": True,
    "tags": {"a", "b"},
    "numbers": {Decimal(1), Decimal("2.5")},
    "doc": {"list": [Decimal(1), "two", {"three": b"3"}], "empty": {}},
}
KEY = {"owner": "alice", "number": Decimal("1.5")}


def error_of(call: Any, **params: Any) -> tuple[str, str, int]:
    """Return (code, message, status) of the error that a call raises."""
    with pytest.raises(ClientError) as raised:
        call(**params)
    answer: Any = raised.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_every_type_comes_back(table: Any) -> None:
    table.put_item(Item=ITEM)
    got = table.get_item(Key=KEY, ConsistentRead=True)["Item"]
    assert got == {**ITEM, "number": Decimal("1.5")}


def test_an_item_is_updated_and_deleted(table: Any) -> None:
    table.put_item(Item=ITEM)
    updated = table.update_item(
        Key=KEY,
        UpdateExpression="SET doc.#list[0] = doc.#list[0] + :one, #text = :text REMOVE yes ADD tags :tags",
        ConditionExpression=Attr("yes").eq(True),
        ExpressionAttributeNames={"#list": "list", "#text": "text"},
        ExpressionAttributeValues={":one": 1, ":text": "bye", ":tags": {"c"}},
        ReturnValues="UPDATED_NEW",
    )
    assert updated["Attributes"] == {"doc": {"list": [Decimal(2)]}, "text": "bye", "tags": {"a", "b", "c"}}
    deleted = table.delete_item(Key=KEY, ReturnValues="ALL_OLD", ReturnConsumedCapacity="TOTAL")
    assert deleted["Attributes"]["text"] == "bye"
    assert deleted["ConsumedCapacity"] == {"TableName": table.name, "CapacityUnits": 1.0}
    assert "Item" not in table.get_item(Key=KEY)


def test_query_scan_and_batches(table: Any) -> None:
    with table.batch_writer() as batch:
        for number in range(60):
            batch.put_item({"owner": "bob", "number": number, "even": number % 2 == 0})
    answer = table.query(
        KeyConditionExpression=Key("owner").eq("bob") & Key("number").between(10, 20),
        FilterExpression=Attr("even").eq(True),
        ScanIndexForward=False,
    )
    assert [item["number"] for item in answer["Items"]] == [20, 18, 16, 14, 12, 10]
    assert (answer["Count"], answer["ScannedCount"]) == (6, 11)
    paginator = table.meta.client.get_paginator("scan")
    pages = list(paginator.paginate(TableName=table.name, PaginationConfig={"PageSize": 25}))
    assert [page["Count"] for page in pages] == [25, 25, 10]
    found = table.meta.client.batch_get_item(
        RequestItems={table.name: {"Keys": [{"owner": "bob", "number": n} for n in (5, 99)]}}
    )
    assert found["Responses"] == {table.name: [{"owner": "bob", "number": Decimal(5), "even": False}]}


def test_a_failed_condition_carries_the_item(table: Any) -> None:
    table.put_item(Item=KEY)
    with pytest.raises(table.meta.client.exceptions.ConditionalCheckFailedException) as raised:
        table.put_item(
            Item=KEY,
            ConditionExpression=Attr("owner").not_exists(),
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert raised.value.response["Error"]["Message"] == "The conditional request failed"
    assert raised.value.response["Item"] == {"owner": {"S": "alice"}, "number": {"N": "1.5"}}


def test_the_control_plane(dynamodb: Any, table: Any) -> None:
    described = dynamodb.describe_table(TableName=table.name)["Table"]
    assert described["TableStatus"] == "ACTIVE"
    assert table.name in [
        name for page in dynamodb.get_paginator("list_tables").paginate() for name in page["TableNames"]
    ]
    dynamodb.tag_resource(ResourceArn=described["TableArn"], Tags=[{"Key": "team", "Value": "a"}])
    assert dynamodb.list_tags_of_resource(ResourceArn=described["TableArn"])["Tags"] == [{"Key": "team", "Value": "a"}]
    dynamodb.untag_resource(ResourceArn=described["TableArn"], TagKeys=["team"])
    assert dynamodb.list_tags_of_resource(ResourceArn=described["TableArn"])["Tags"] == []
    updated = dynamodb.update_table(TableName=table.name, DeletionProtectionEnabled=True)
    assert updated["TableDescription"]["DeletionProtectionEnabled"] is True
    assert error_of(dynamodb.delete_table, TableName=table.name)[0] == "ValidationException"
    dynamodb.update_table(TableName=table.name, DeletionProtectionEnabled=False)


@pytest.mark.parametrize(
    ("operation", "params", "code", "message"),
    [
        ("get_item", {"Key": KEY, "TableName": "nowhere"}, "ResourceNotFoundException", "Requested resource not found"),
        (
            "get_item",
            {"Key": {"owner": "a"}},
            "ValidationException",
            "The provided key element does not match the schema",
        ),
        (
            "put_item",
            {"Item": {"owner": "a"}},
            "ValidationException",
            "One or more parameter values were invalid: Missing the key number in the item",
        ),
        (
            "put_item",
            {"Item": {**KEY, "x": "y" * 410_000}},
            "ValidationException",
            "Item size has exceeded the maximum allowed size",
        ),
        (
            "update_item",
            {"Key": KEY, "UpdateExpression": "SET"},
            "ValidationException",
            'Invalid UpdateExpression: Syntax error; token: "<EOF>", near: "SET"',
        ),
        (
            "query",
            {"KeyConditionExpression": "owner = :o", "ExpressionAttributeValues": {":o": 5}},
            "ValidationException",
            "Invalid KeyConditionExpression: Attribute name is a reserved keyword; reserved keyword: owner",
        ),
        (
            "scan",
            {"Segment": 1},
            "ValidationException",
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is "
            "present",
        ),
    ],
)
def test_bad_input(table: Any, operation: str, params: dict[str, Any], code: str, message: str) -> None:
    call = getattr(table.meta.client, operation)
    assert error_of(call, **{"TableName": table.name, **params}) == (code, message, 400)
