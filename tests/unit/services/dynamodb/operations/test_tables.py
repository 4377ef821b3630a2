"""The control plane: life of a table, its description, its tags, and what is refused."""

from typing import Any

import pytest

from harness import House

PK = [{"AttributeName": "pk", "AttributeType": "S"}]
HASH = [{"AttributeName": "pk", "KeyType": "HASH"}]
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/"


def request(**changes: Any) -> dict[str, Any]:
    """Return a CreateTable request; a change of None leaves a member out."""
    params = {
        "TableName": "events",
        "AttributeDefinitions": PK,
        "KeySchema": HASH,
        "BillingMode": "PAY_PER_REQUEST",
        **changes,
    }
    return {name: value for name, value in params.items() if value is not None}


PROVISIONED = {"BillingMode": None, "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 2}}


async def test_a_new_table_is_described(ddb: Any) -> None:
    created = (await ddb("CreateTable", **request(Tags=[{"Key": "team", "Value": "a"}])))["TableDescription"]
    assert created == {
        "AttributeDefinitions": PK,
        "TableName": "events",
        "KeySchema": HASH,
        "TableStatus": "CREATING",
        "CreationDateTime": 1_760_000_000.0,
        "ProvisionedThroughput": {"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
        "TableSizeBytes": 0,
        "ItemCount": 0,
        "TableArn": ARN + "events",
        "TableId": created["TableId"],
        "DeletionProtectionEnabled": False,
        "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
    }
    described = await ddb("DescribeTable", TableName="events")
    assert described == {
        "Table": {
            **created,
            "TableStatus": "ACTIVE",
            "BillingModeSummary": {
                "BillingMode": "PAY_PER_REQUEST",
                "LastUpdateToPayPerRequestDateTime": 1_760_000_000.0,
            },
            "WarmThroughput": {"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000, "Status": "ACTIVE"},
        }
    }
    assert await ddb("DescribeTable", TableName=ARN + "events") == described
    assert await ddb("ListTagsOfResource", ResourceArn=ARN + "events") == {"Tags": [{"Key": "team", "Value": "a"}]}


async def test_the_description_counts_items(ddb: Any) -> None:
    await ddb("CreateTable", **request())
    for number in range(3):
        await ddb("PutItem", TableName="events", Item={"pk": {"S": str(number)}})
    table = (await ddb("DescribeTable", TableName="events"))["Table"]
    assert (table["ItemCount"], table["TableSizeBytes"]) == (3, 9)


@pytest.mark.slow
async def test_a_large_table_is_counted_by_estimate(ddb: Any) -> None:
    await ddb("CreateTable", **request())
    for number in range(2000):
        await ddb("PutItem", TableName="events", Item={"pk": {"S": str(number)}})
    table = (await ddb("DescribeTable", TableName="events"))["Table"]
    assert 1800 < table["ItemCount"] < 2200


async def test_a_deleted_table_takes_its_items_along(ddb: Any, refused: Any) -> None:
    await ddb("CreateTable", **request())
    await ddb("PutItem", TableName="events", Item={"pk": {"S": "a"}})
    deleted = await ddb("DeleteTable", TableName="events")
    assert deleted["TableDescription"]["TableStatus"] == "DELETING"
    gone = ("ResourceNotFoundException", "Requested resource not found: Table: events not found")
    assert await refused(ddb("DescribeTable", TableName="events")) == gone
    assert await refused(ddb("DeleteTable", TableName="events")) == gone
    assert await refused(ddb("UpdateTable", TableName="events", DeletionProtectionEnabled=True)) == gone
    await ddb("CreateTable", **request())
    assert (await ddb("Scan", TableName="events"))["Count"] == 0


async def test_a_protected_table_stays(ddb: Any, refused: Any) -> None:
    await ddb("CreateTable", **request(DeletionProtectionEnabled=True))
    assert await refused(ddb("DeleteTable", TableName="events")) == (
        "ValidationException",
        "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
    )
    updated = await ddb("UpdateTable", TableName="events", DeletionProtectionEnabled=False)
    assert updated["TableDescription"]["DeletionProtectionEnabled"] is False
    await ddb("DeleteTable", TableName="events")


async def test_a_name_is_taken_once(ddb: Any, refused: Any) -> None:
    await ddb("CreateTable", **request())
    assert await refused(ddb("CreateTable", **request())) == (
        "ResourceInUseException",
        "Table already exists: events",
    )


async def test_tables_are_listed_by_name_in_pages(ddb: Any) -> None:
    for name in ("ccc", "aaa", "bbb"):
        await ddb("CreateTable", **request(TableName=name))
    assert await ddb("ListTables") == {"TableNames": ["aaa", "bbb", "ccc"]}
    assert await ddb("ListTables", Limit=2) == {"TableNames": ["aaa", "bbb"], "LastEvaluatedTableName": "bbb"}
    assert await ddb("ListTables", Limit=2, ExclusiveStartTableName="bbb") == {"TableNames": ["ccc"]}
    assert await ddb("ListTables", ExclusiveStartTableName="b") == {"TableNames": ["bbb", "ccc"]}


INVALID = "One or more parameter values were invalid: "
SK = {"AttributeName": "sk", "AttributeType": "N"}
RANGE = {"AttributeName": "sk", "KeyType": "RANGE"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"TableName": "ab"},
            "1 validation error detected: Value 'ab' at 'tableName' failed to satisfy constraint: Member must have "
            "length greater than or equal to 3",
        ),
        (
            {"KeySchema": None},
            "1 validation error detected: Value null at 'keySchema' failed to satisfy constraint: Member must not be "
            "null",
        ),
        (
            {"ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}},
            INVALID + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
            "PAY_PER_REQUEST",
        ),
        (
            {"BillingMode": None},
            INVALID + "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        ),
        (
            {"KeySchema": [*HASH, RANGE]},
            "Invalid KeySchema: Some index key attribute have no definition",
        ),
        (
            {"AttributeDefinitions": [*PK, SK]},
            INVALID + "Number of attributes in KeySchema does not exactly match number of attributes defined in "
            "AttributeDefinitions",
        ),
        (
            {"AttributeDefinitions": [SK]},
            INVALID + "Some index key attributes are not defined in AttributeDefinitions. Keys: [pk], "
            "AttributeDefinitions: [sk]",
        ),
        (
            {"KeySchema": [{"AttributeName": "pk", "KeyType": "RANGE"}]},
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ),
        (
            {"AttributeDefinitions": [*PK, SK], "KeySchema": [*HASH, {"AttributeName": "sk", "KeyType": "HASH"}]},
            "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
        ),
        (
            {"AttributeDefinitions": [*PK, SK], "KeySchema": [*HASH, {"AttributeName": "pk", "KeyType": "RANGE"}]},
            "Both the Hash Key and the Range Key element in the KeySchema have the same name",
        ),
        (
            {"KeySchema": [*HASH, RANGE, RANGE]},
            "1 validation error detected: Value '[KeySchemaElement(attributeName=pk, keyType=HASH), "
            "KeySchemaElement(attributeName=sk, keyType=RANGE), KeySchemaElement(attributeName=sk, keyType=RANGE)]' at "
            "'keySchema' failed to satisfy constraint: Member must have length less than or equal to 2",
        ),
    ],
)
async def test_create_table_refuses(ddb: Any, refused: Any, changes: dict[str, Any], message: str) -> None:
    assert await refused(ddb("CreateTable", **request(**changes))) == ("ValidationException", message)


def index(name: str, *keys: str, **more: Any) -> dict[str, Any]:
    kinds = ("HASH", "RANGE", "RANGE")
    schema = [{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, kinds, strict=False)]
    return {"IndexName": name, "KeySchema": schema, "Projection": {"ProjectionType": "ALL"}, **more}


def both(**changes: Any) -> dict[str, Any]:
    """Return changes to a request: a table of two keys, with a third attribute defined."""
    third = {"AttributeName": "x", "AttributeType": "S"}
    return {"AttributeDefinitions": [*PK, SK, third], "KeySchema": [*HASH, RANGE], **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            both(),
            "Number of attributes in KeySchema does not exactly match number of attributes defined in "
            "AttributeDefinitions",
        ),
        (both(LocalSecondaryIndexes=[]), "List of LocalSecondaryIndexes is empty"),
        (both(GlobalSecondaryIndexes=[]), "List of GlobalSecondaryIndexes is empty"),
        (
            both(LocalSecondaryIndexes=[index("one", "x", "sk")]),
            "Index KeySchema does not have the same leading hash key as table KeySchema for index: one. "
            "index hash key: x, table hash key: pk",
        ),
        (
            both(LocalSecondaryIndexes=[index("one", "pk")]),
            "Index KeySchema does not have a range key for index: one",
        ),
        (
            {"AttributeDefinitions": [*PK, SK], "LocalSecondaryIndexes": [index("one", "pk", "sk")]},
            "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
        ),
        (
            both(LocalSecondaryIndexes=[index(f"one{number}", "pk", "x") for number in range(6)]),
            "Number of LocalSecondaryIndexes exceeds per-table limit of 5",
        ),
        (
            both(GlobalSecondaryIndexes=[index(f"one{number}", "x") for number in range(21)]),
            "GlobalSecondaryIndex count exceeds the per-table limit of 20",
        ),
        (
            both(LocalSecondaryIndexes=[index("one", "pk", "x")], GlobalSecondaryIndexes=[index("one", "x")]),
            "Duplicate index name: one",
        ),
        (
            both(GlobalSecondaryIndexes=[index("one", "none")]),
            "Some index key attributes are not defined in AttributeDefinitions. Keys: [none], "
            "AttributeDefinitions: [pk, sk, x]",
        ),
        (
            both(GlobalSecondaryIndexes=[index("one", "sk")]),
            "Some AttributeDefinitions are not used. AttributeDefinitions: [pk, sk, x], keys used: [pk, sk]",
        ),
        (
            both(GlobalSecondaryIndexes=[index("one", "x", Projection={})]),
            "Unknown ProjectionType: null",
        ),
        (
            both(GlobalSecondaryIndexes=[index("one", "x", Projection={"ProjectionType": "INCLUDE"})]),
            "ProjectionType is INCLUDE, but NonKeyAttributes is not specified",
        ),
        (
            both(
                GlobalSecondaryIndexes=[
                    index("one", "x", Projection={"ProjectionType": "KEYS_ONLY", "NonKeyAttributes": ["y"]})
                ]
            ),
            "ProjectionType is KEYS_ONLY, but NonKeyAttributes is specified",
        ),
        (
            both(
                GlobalSecondaryIndexes=[
                    index("one", "x", ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1})
                ]
            ),
            "ProvisionedThroughput should not be specified for index: one when BillingMode is PAY_PER_REQUEST",
        ),
        (
            both(GlobalSecondaryIndexes=[index("one", "x")], **PROVISIONED),
            "ProvisionedThroughput is not specified for index: one",
        ),
        (
            both(
                GlobalSecondaryIndexes=[
                    index(
                        f"one{number}",
                        "x",
                        Projection={
                            "ProjectionType": "INCLUDE",
                            "NonKeyAttributes": [f"n{number}-{one}" for one in range(20)],
                        },
                    )
                    for number in range(6)
                ]
            ),
            "Number of NonKeyAttributes in all indexes, 120, exceeds the per-table limit of 100",
        ),
    ],
)
async def test_indexes_that_create_table_refuses(ddb: Any, refused: Any, changes: Any, message: str) -> None:
    assert await refused(ddb("CreateTable", **request(**changes))) == ("ValidationException", INVALID + message)
    assert await ddb("ListTables") == {"TableNames": []}


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("x HASH, x RANGE", "Both the Hash Key and the Range Key element in the KeySchema have the same name"),
        ("x RANGE", "Invalid KeySchema: The first KeySchemaElement is not a HASH key type"),
        (
            "x HASH, sk RANGE, pk HASH",
            INVALID + "All HASH key attributes must precede RANGE key attributes in the KeySchema",
        ),
        ("x HASH, pk HASH, x RANGE", "The KeySchema contains multiple key attributes with the same name"),
    ],
)
async def test_keys_that_a_global_index_cannot_have(ddb: Any, refused: Any, schema: str, message: str) -> None:
    elements = [element.split() for element in schema.split(", ")]
    keys = [{"AttributeName": name, "KeyType": kind} for name, kind in elements]
    params = request(**both(GlobalSecondaryIndexes=[{**index("one", "x"), "KeySchema": keys}]))
    assert await refused(ddb("CreateTable", **params)) == ("ValidationException", message)


async def test_what_is_not_built_is_refused_by_name(ddb: Any, refused: Any) -> None:
    code, message = await refused(ddb("CreateTable", **request(GlobalTableSourceArn=ARN + "other")))
    assert (code, "GlobalTableSourceArn" in message) == ("NotImplementedException", True)


async def test_billing_can_be_switched(ddb: Any, refused: Any) -> None:
    created = await ddb("CreateTable", **request(**PROVISIONED))
    assert "BillingModeSummary" not in created["TableDescription"]
    throughput = {"ReadCapacityUnits": 9, "WriteCapacityUnits": 1}
    raised = (await ddb("UpdateTable", TableName="events", ProvisionedThroughput=throughput))["TableDescription"]
    assert raised["TableStatus"] == "UPDATING"
    moments = {"LastIncreaseDateTime": 1_760_000_000.0, "LastDecreaseDateTime": 1_760_000_000.0}
    # While AWS works on it, it tells what was.
    assert raised["ProvisionedThroughput"] == {
        "NumberOfDecreasesToday": 0,
        "ReadCapacityUnits": 5,
        "WriteCapacityUnits": 2,
        **moments,
    }
    table = (await ddb("DescribeTable", TableName="events"))["Table"]
    assert table["ProvisionedThroughput"] == {"NumberOfDecreasesToday": 1, **throughput, **moments}
    code, message = await refused(ddb("UpdateTable", TableName="events", ProvisionedThroughput=throughput))
    assert code == "ValidationException"
    assert message.startswith("The provisioned throughput for the table will not change.")
    await ddb("UpdateTable", TableName="events", BillingMode="PAY_PER_REQUEST")
    table = (await ddb("DescribeTable", TableName="events"))["Table"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["ProvisionedThroughput"]["ReadCapacityUnits"] == 0
    assert (await refused(ddb("UpdateTable", TableName="events", BillingMode="PROVISIONED")))[1] == (
        INVALID + "ProvisionedThroughput must be specified when BillingMode is PROVISIONED"
    )
    assert (await refused(ddb("UpdateTable", TableName="events")))[1].startswith(
        "At least one of ProvisionedThroughput"
    )


async def test_the_table_class_is_described_once_set(ddb: Any) -> None:
    await ddb("CreateTable", **request(TableClass="STANDARD_INFREQUENT_ACCESS"))
    table = (await ddb("DescribeTable", TableName="events"))["Table"]
    assert table["TableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}
    await ddb("UpdateTable", TableName="events", TableClass="STANDARD")
    table = (await ddb("DescribeTable", TableName="events"))["Table"]
    assert table["TableClassSummary"] == {"TableClass": "STANDARD", "LastUpdateDateTime": 1_760_000_000.0}


async def test_the_class_of_a_table_changes_twice_in_thirty_days(refused: Any) -> None:
    house = House("dynamodb")

    async def change(table_class: str) -> Any:
        return await house.call("dynamodb", "UpdateTable", {"TableName": "events", "TableClass": table_class})

    await house.call("dynamodb", "CreateTable", request())
    await change("STANDARD")  # it has that class already
    await change("STANDARD_INFREQUENT_ACCESS")
    house.clock.advance(24 * 3600)
    await change("STANDARD")
    too_often = (
        "LimitExceededException",
        "Subscriber limit exceeded: Updates to TableClass are limited to 2 times in 30 day(s).",
    )
    assert await refused(change("STANDARD_INFREQUENT_ACCESS")) == too_often
    assert await refused(change("STANDARD")) == too_often
    house.clock.advance(29 * 24 * 3600)
    await change("STANDARD_INFREQUENT_ACCESS")


async def test_tags_come_and_go(ddb: Any, refused: Any) -> None:
    await ddb("CreateTable", **request())
    arn = ARN + "events"
    await ddb("TagResource", ResourceArn=arn, Tags=[{"Key": f"k{n:02}", "Value": "v"} for n in range(15)])
    await ddb("TagResource", ResourceArn=arn, Tags=[{"Key": "k00", "Value": "new"}])
    first = await ddb("ListTagsOfResource", ResourceArn=arn)
    assert (len(first["Tags"]), "NextToken" in first) == (15, False)
    assert first["Tags"][0] == {"Key": "k00", "Value": "new"}
    await ddb("UntagResource", ResourceArn=arn, TagKeys=["k01", "absent"])
    left = await ddb("ListTagsOfResource", ResourceArn=arn)
    assert "k01" not in [tag["Key"] for tag in left["Tags"]]
    assert await refused(ddb("ListTagsOfResource", ResourceArn=arn + "x")) == (
        "ResourceNotFoundException",
        f"Requested resource not found: ResourcArn: {arn}x not found",
    )


BAD_TAGS: dict[str, tuple[list[dict[str, str]], str]] = {
    "none": ([], "Atleast one Tag needs to be provided as Input."),
    "twice": (
        [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}],
        "Duplicate Tag Keys provided as input: Duplicate Tag Key found a",
    ),
    "characters of a key": ([{"Key": "hi!", "Value": "x"}], "The Tag Key provided is invalid, Key: hi!"),
    "characters of a value": ([{"Key": "a", "Value": "%"}], "The Tag Value provided is invalid, Value: %"),
    "AWS's own": ([{"Key": "aws:a", "Value": "x"}], "Tag Key cannot be prefixed with aws:, Key: aws:a"),
    "too many": (
        [{"Key": str(number), "Value": "x"} for number in range(51)],
        "Number of Tags exceed the current limit for the provided ResourceArn",
    ),
}


@pytest.mark.parametrize("case", BAD_TAGS)
async def test_bad_tags(ddb: Any, refused: Any, case: str) -> None:
    tags, message = BAD_TAGS[case]
    await ddb("CreateTable", **request())
    assert await refused(ddb("TagResource", ResourceArn=ARN + "events", Tags=tags)) == ("ValidationException", message)
    if tags:
        created = await refused(ddb("CreateTable", **request(TableName="other", Tags=tags)))
        assert created == ("ValidationException", message)


NOT_TAGGED = {
    "no ARN": ("events", INVALID + "ARNs must start with 'arn:': events"),
    "of another service": (
        "arn:aws:s3:::bucket",
        INVALID + "Provided Arn is not a DynamoDB resource arn: arn:aws:s3:::bucket",
    ),
    "an index": (
        f"{ARN}events/index/idx",
        INVALID + "Invalid resource arn provided, only table or stream is accepted. Provided resource arn: "
        f"{ARN}events/index/idx",
    ),
    "of another region": (
        f"{ARN}events".replace("us-east-1", "eu-west-1"),
        f"Invalid TableArn: Invalid ResourceArn provided as input {ARN}events".replace("us-east-1", "eu-west-1"),
    ),
}


@pytest.mark.parametrize("case", NOT_TAGGED)
async def test_what_has_no_tags(ddb: Any, refused: Any, case: str) -> None:
    arn, message = NOT_TAGGED[case]
    assert await refused(ddb("ListTagsOfResource", ResourceArn=arn)) == ("ValidationException", message)


async def test_a_table_of_another_region_is_not_described(ddb: Any, refused: Any) -> None:
    arn = f"{ARN}events".replace("us-east-1", "eu-west-1")
    assert await refused(ddb("DescribeTable", TableName=arn)) == (
        "ValidationException",
        f"1 validation error detected: Invalid AWS region in '{arn}'",
    )
