"""BatchGetItem and BatchWriteItem: effects over several tables, limits, cost and refusals."""

from typing import Any

import pytest


def row(number: int, **attributes: Any) -> dict[str, Any]:
    return {"pk": {"S": "p"}, "sk": {"S": f"{number:03}"}, **attributes}


async def second_table(ddb: Any) -> None:
    await ddb(
        "CreateTable",
        TableName="users",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )


async def test_a_batch_spans_tables(notes: Any) -> None:
    await second_table(notes)
    await notes("PutItem", TableName="notes", Item=row(0))
    written = await notes(
        "BatchWriteItem",
        RequestItems={
            "notes": [
                {"PutRequest": {"Item": row(1, text={"S": "x" * 2000})}},
                {"DeleteRequest": {"Key": row(0)}},
            ],
            "users": [{"PutRequest": {"Item": {"id": {"N": "1.0"}}}}],
        },
        ReturnConsumedCapacity="TOTAL",
    )
    assert written == {
        "UnprocessedItems": {},
        "ConsumedCapacity": [
            {"TableName": "notes", "CapacityUnits": 3},
            {"TableName": "users", "CapacityUnits": 1},
        ],
    }
    read = await notes(
        "BatchGetItem",
        RequestItems={
            "notes": {"Keys": [row(0), row(1)], "ProjectionExpression": "sk"},
            "users": {"Keys": [{"id": {"N": "1"}}], "ConsistentRead": True},
        },
        ReturnConsumedCapacity="TOTAL",
    )
    assert read == {
        "Responses": {"notes": [{"sk": {"S": "001"}}], "users": [{"id": {"N": "1"}}]},
        "UnprocessedKeys": {},
        "ConsumedCapacity": [
            {"TableName": "notes", "CapacityUnits": 1},
            {"TableName": "users", "CapacityUnits": 1},
        ],
    }


@pytest.mark.slow
async def test_what_exceeds_16_mb_is_left_unprocessed(notes: Any) -> None:
    for number in range(45):
        await notes("PutItem", TableName="notes", Item=row(number, text={"S": "x" * 400_000}))
    keys = [row(number) for number in range(45)]
    answer = await notes("BatchGetItem", RequestItems={"notes": {"Keys": keys, "ConsistentRead": True}})
    assert len(answer["Responses"]["notes"]) == 41
    assert answer["UnprocessedKeys"] == {"notes": {"Keys": keys[41:], "ConsistentRead": True}}


PUT = {"PutRequest": {"Item": row(1)}}


@pytest.mark.parametrize(
    ("operation", "items", "message"),
    [
        ("BatchWriteItem", {}, "The requestItems parameter is required for BatchWriteItem"),
        ("BatchGetItem", {}, "The requestItems parameter is required for BatchGetItem"),
        (
            "BatchWriteItem",
            {"notes": [{"PutRequest": {"Item": row(n)}} for n in range(26)]},
            "Too many items requested for the BatchWriteItem call",
        ),
        (
            "BatchGetItem",
            {"notes": {"Keys": [row(n) for n in range(101)]}},
            "Too many items requested for the BatchGetItem call",
        ),
        ("BatchWriteItem", {"notes": [PUT, PUT]}, "Provided list of item keys contains duplicates"),
        (
            "BatchWriteItem",
            {"notes": [PUT, {"DeleteRequest": {"Key": row(1)}}]},
            "Provided list of item keys contains duplicates",
        ),
        ("BatchGetItem", {"notes": {"Keys": [row(1), row(1)]}}, "Provided list of item keys contains duplicates"),
        (
            "BatchGetItem",
            {
                "notes": {"Keys": [row(1)], "AttributesToGet": ["pk"]},
                "others": {"Keys": [row(1)], "ProjectionExpression": "pk"},
            },
            "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: "
            "{AttributesToGet} Expression parameters: {ProjectionExpression}",
        ),
        (
            "BatchWriteItem",
            {"notes": [{"PutRequest": {"Item": {"pk": {"S": "a"}, "sk": {"N": "1"}}}}]},
            "The provided key element does not match the schema",
        ),
        (
            "BatchWriteItem",
            {"notes": [{"PutRequest": {"Item": {"pk": {"S": "a"}, "other": {"S": "x"}}}}]},
            "The provided key element does not match the schema",
        ),
        (
            "BatchWriteItem",
            {"notes": [{}]},
            "Supplied WriteRequest is empty, must contain exactly one of PutRequest or DeleteRequest",
        ),
        (
            "BatchWriteItem",
            {"notes": [{"PutRequest": {"Item": row(1, text={"S": "x" * 409_600})}}]},
            "Item size has exceeded the maximum allowed size",
        ),
        (
            "BatchWriteItem",
            {"notes": None},
            "1 validation error detected: Value null at 'requestItems.notes.member' failed to satisfy constraint: "
            "Member must not be null",
        ),
    ],
)
async def test_a_batch_is_refused(notes: Any, refused: Any, operation: str, items: Any, message: str) -> None:
    assert await refused(notes(operation, RequestItems=items)) == ("ValidationException", message)


async def test_a_refused_batch_writes_nothing(notes: Any, refused: Any) -> None:
    items = {"notes": [PUT], "nowhere": [PUT]}
    assert await refused(notes("BatchWriteItem", RequestItems=items)) == (
        "ResourceNotFoundException",
        "Requested resource not found",
    )
    assert (await notes("Scan", TableName="notes"))["Count"] == 0


async def test_unknown_members_of_a_batch_are_refused_by_name(notes: Any, refused: Any) -> None:
    request = {"notes": {"Keys": [row(1)], "NotYetInvented": ["pk"]}}
    code, message = await refused(notes("BatchGetItem", RequestItems=request))
    assert (code, "NotYetInvented" in message) == ("NotImplementedException", True)
