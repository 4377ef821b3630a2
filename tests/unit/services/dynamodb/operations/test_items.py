"""PutItem, GetItem, UpdateItem, DeleteItem: effects, what they return, what they cost, what they refuse."""

from typing import Any

import msgspec
import pytest

from cumulet.errors import ServiceError

KEY = {"pk": {"S": "a"}, "sk": {"S": "1"}}
ITEM = {**KEY, "n": {"N": "5"}, "title": {"S": "hello"}}


async def test_an_item_comes_back_in_canonical_form(notes: Any) -> None:
    await notes("PutItem", TableName="notes", Item={**KEY, "n": {"N": "005.50"}, "l": {"L": [{"NS": ["1e1", "2"]}]}})
    answer = await notes("GetItem", TableName="notes", Key=KEY)
    assert answer == {"Item": {**KEY, "n": {"N": "5.5"}, "l": {"L": [{"NS": ["2", "10"]}]}}}


async def test_an_absent_item_is_no_error(notes: Any) -> None:
    assert await notes("GetItem", TableName="notes", Key=KEY) == {}
    assert await notes("DeleteItem", TableName="notes", Key=KEY, ReturnValues="ALL_OLD") == {}


async def test_get_item_projects(notes: Any) -> None:
    document = {"M": {"x": {"L": [{"S": "p"}, {"S": "q"}, {"S": "r"}]}, "y": {"N": "1"}}}
    await notes("PutItem", TableName="notes", Item={**ITEM, "doc": document})
    answer = await notes(
        "GetItem",
        TableName="notes",
        Key=KEY,
        ProjectionExpression="#t, doc.x[2], doc.x[0], absent.y, n.z",
        ExpressionAttributeNames={"#t": "title"},
    )
    assert answer == {"Item": {"title": {"S": "hello"}, "doc": {"M": {"x": {"L": [{"S": "p"}, {"S": "r"}]}}}}}


async def test_the_table_may_be_named_by_its_arn(notes: Any, refused: Any) -> None:
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/notes"
    await notes("PutItem", TableName=arn, Item=ITEM)
    answer = await notes("GetItem", TableName=arn, Key=KEY, ReturnConsumedCapacity="TOTAL")
    assert answer == {"Item": ITEM, "ConsumedCapacity": {"TableName": arn, "CapacityUnits": 0.5}}
    foreign = arn.replace("000000000000", "111111111111")
    assert (await refused(notes("GetItem", TableName=foreign, Key=KEY)))[0] == "AccessDeniedException"


async def test_conditions_decide_over_writes(notes: Any, refused: Any) -> None:
    condition = {"ConditionExpression": "attribute_not_exists(pk)"}
    await notes("PutItem", TableName="notes", Item=ITEM, **condition)
    failed = ("ConditionalCheckFailedException", "The conditional request failed")
    assert await refused(notes("PutItem", TableName="notes", Item=ITEM, **condition)) == failed
    assert await refused(notes("DeleteItem", TableName="notes", Key=KEY, **condition)) == failed
    assert (
        await refused(notes("UpdateItem", TableName="notes", Key=KEY, UpdateExpression="REMOVE n", **condition))
        == failed
    )
    assert await notes("GetItem", TableName="notes", Key=KEY) == {"Item": ITEM}


@pytest.mark.parametrize("operation", ["PutItem", "UpdateItem", "DeleteItem"])
async def test_a_failed_condition_can_return_the_item(notes: Any, operation: str) -> None:
    await notes("PutItem", TableName="notes", Item=ITEM)
    with pytest.raises(ServiceError) as error:
        await notes(
            operation,
            TableName="notes",
            **({"Item": ITEM} if operation == "PutItem" else {"Key": KEY}),
            ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )

    assert msgspec.json.decode(error.value.fields["Item"]) == ITEM


UPDATE = {
    "TableName": "notes",
    "Key": KEY,
    "UpdateExpression": "SET n = n + :one, extra = :one REMOVE title",
    "ExpressionAttributeValues": {":one": {"N": "1"}},
}


@pytest.mark.parametrize(
    ("wanted", "attributes"),
    [
        ("NONE", None),
        ("ALL_OLD", ITEM),
        ("UPDATED_OLD", {"n": {"N": "5"}, "title": {"S": "hello"}}),
        ("ALL_NEW", {**KEY, "n": {"N": "6"}, "extra": {"N": "1"}}),
        ("UPDATED_NEW", {"n": {"N": "6"}, "extra": {"N": "1"}}),
    ],
)
async def test_update_item_returns(notes: Any, wanted: str, attributes: Any) -> None:
    await notes("PutItem", TableName="notes", Item=ITEM)
    answer = await notes("UpdateItem", ReturnValues=wanted, **UPDATE)
    assert answer == ({} if attributes is None else {"Attributes": attributes})


async def test_update_item_creates_an_item_unless_it_only_removes(notes: Any) -> None:
    removal = await notes(
        "UpdateItem", TableName="notes", Key=KEY, UpdateExpression="REMOVE n.deep, l[0]", ReturnValues="ALL_NEW"
    )
    assert removal == {}
    assert await notes("GetItem", TableName="notes", Key=KEY) == {}
    assert await notes("UpdateItem", TableName="notes", Key=KEY, ReturnValues="ALL_NEW") == {"Attributes": KEY}
    assert await notes("GetItem", TableName="notes", Key=KEY) == {"Item": KEY}


@pytest.mark.parametrize("wanted", ["ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"])
async def test_puts_and_deletes_return_only_the_old_item(notes: Any, refused: Any, wanted: str) -> None:
    for operation, params in (("PutItem", {"Item": ITEM}), ("DeleteItem", {"Key": KEY})):
        code, _ = await refused(notes(operation, TableName="notes", ReturnValues=wanted, **params))
        assert code == "ValidationException"


async def test_capacity_follows_the_larger_image(notes: Any) -> None:
    large = {**KEY, "text": {"S": "x" * 3000}}
    spent = {"ReturnConsumedCapacity": "TOTAL"}

    def units(answer: Any) -> float:
        found: float = answer["ConsumedCapacity"]["CapacityUnits"]
        return found

    assert units(await notes("PutItem", TableName="notes", Item=large, **spent)) == 3
    assert units(await notes("PutItem", TableName="notes", Item=KEY, **spent)) == 3
    assert units(await notes("PutItem", TableName="notes", Item=KEY, **spent)) == 1
    await notes("PutItem", TableName="notes", Item={**KEY, "text": {"S": "x" * 5000}})
    assert units(await notes("GetItem", TableName="notes", Key=KEY, **spent)) == 1
    assert units(await notes("GetItem", TableName="notes", Key=KEY, ConsistentRead=True, **spent)) == 2
    assert units(await notes("DeleteItem", TableName="notes", Key=KEY, **spent)) == 5
    answer = await notes("DeleteItem", TableName="notes", Key=KEY, ReturnConsumedCapacity="INDEXES")
    assert answer["ConsumedCapacity"] == {"TableName": "notes", "CapacityUnits": 1, "Table": {"CapacityUnits": 1}}


INVALID = "One or more parameter values were invalid: "
EMPTY_KEY = (
    "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string "
    "value. Key: sk"
)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"Item": {"pk": {"S": "a"}}}, INVALID + "Missing the key sk in the item"),
        ({"Item": {**KEY, "sk": {"N": "1"}}}, INVALID + "Type mismatch for key sk expected: S actual: N"),
        ({"Item": {**KEY, "sk": {"S": ""}}}, EMPTY_KEY),
        (
            {"Item": {**KEY, "pk": {"S": "x" * 2049}}},
            INVALID + "Size of hashkey has exceeded the maximum size limit of2048 bytes",
        ),
        (
            {"Item": {**KEY, "sk": {"S": "x" * 1025}}},
            INVALID + "Aggregated size of all range keys has exceeded the size limit of 1024 bytes",
        ),
        ({"Item": {**KEY, "x": {"S": "y" * 409_600}}}, "Item size has exceeded the maximum allowed size"),
        (
            {"Item": KEY, "ExpressionAttributeValues": {":v": {"S": "x"}}},
            "ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null",
        ),
        (
            {"Item": KEY, "ExpressionAttributeNames": {"#v": "x"}},
            "ExpressionAttributeNames can only be specified when using expressions",
        ),
    ],
)
async def test_put_item_refuses(notes: Any, refused: Any, params: dict[str, Any], message: str) -> None:
    assert await refused(notes("PutItem", TableName="notes", **params)) == ("ValidationException", message)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ({"pk": {"S": "a"}}, "The provided key element does not match the schema"),
        ({**KEY, "more": {"S": "a"}}, "The provided key element does not match the schema"),
        ({"pk": {"S": "a"}, "sk": {"N": "1"}}, "The provided key element does not match the schema"),
        ({"pk": {"S": "a"}, "sk": {"S": ""}}, EMPTY_KEY),
    ],
)
@pytest.mark.parametrize("operation", ["GetItem", "DeleteItem", "UpdateItem"])
async def test_a_key_must_match_the_schema(notes: Any, refused: Any, operation: str, key: Any, message: str) -> None:
    assert await refused(notes(operation, TableName="notes", Key=key)) == ("ValidationException", message)


async def test_update_item_refuses_keys_and_oversize(notes: Any, refused: Any) -> None:
    assert await refused(
        notes(
            "UpdateItem",
            TableName="notes",
            Key=KEY,
            UpdateExpression="SET sk = :v",
            ExpressionAttributeValues={":v": {"S": "2"}},
        )
    ) == (
        "ValidationException",
        INVALID + "Cannot update attribute sk. This attribute is part of the key",
    )
    assert await refused(
        notes(
            "UpdateItem",
            TableName="notes",
            Key=KEY,
            UpdateExpression="SET x = :v",
            ExpressionAttributeValues={":v": {"S": "y" * 409_600}},
        )
    ) == ("ValidationException", "Item size to update has exceeded the maximum allowed size")


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("GetItem", {"Key": KEY}),
        ("PutItem", {"Item": KEY}),
        ("UpdateItem", {"Key": KEY}),
        ("DeleteItem", {"Key": KEY}),
        ("Scan", {}),
        ("Query", {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}),
    ],
)
async def test_a_missing_table(ddb: Any, refused: Any, operation: str, params: dict[str, Any]) -> None:
    assert await refused(ddb(operation, TableName="nowhere", **params)) == (
        "ResourceNotFoundException",
        "Requested resource not found",
    )


async def test_values_are_checked_before_the_table(ddb: Any, refused: Any) -> None:
    code, message = await refused(ddb("PutItem", TableName="nowhere", Item={"pk": {"SS": []}}))
    assert (code, message) == ("ValidationException", INVALID + "An string set  may not be empty")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "bad table!",
            "1 validation error detected: Value 'bad table!' at 'tableName' failed to satisfy constraint: Member must "
            "satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
        ),
        (
            "a" * 256,
            f"1 validation error detected: Value '{'a' * 256}' at 'tableName' failed to satisfy constraint: Member "
            "must have length less than or equal to 255",
        ),
    ],
)
async def test_a_bad_table_name(ddb: Any, refused: Any, name: str, message: str) -> None:
    assert await refused(ddb("GetItem", TableName=name, Key=KEY)) == ("ValidationException", message)
