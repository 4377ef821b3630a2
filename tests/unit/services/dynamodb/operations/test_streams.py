"""Streams: what they tell of which write, how they are read, and how they end."""

from typing import Any

import pytest

from streaming import Tables, refused

HOUR_S = 3600


def text(value: str) -> dict[str, str]:
    return {"S": value}


def number(value: int) -> dict[str, str]:
    return {"N": str(value)}


@pytest.fixture
def tables() -> Tables:
    return Tables()


async def write_and_change(tables: Tables) -> None:
    await tables.put("tab", "a", x=number(1))
    await tables("UpdateItem", TableName="tab", Key={"pk": text("a")}, UpdateExpression="SET y = x")
    await tables("DeleteItem", TableName="tab", Key={"pk": text("a")})


IMAGES = [
    ("KEYS_ONLY", [set(), set(), set()], [3, 3, 3]),
    ("NEW_IMAGE", [{"NewImage"}, {"NewImage"}, set()], [9, 12, 3]),
    ("OLD_IMAGE", [set(), {"OldImage"}, {"OldImage"}], [3, 9, 12]),
    ("NEW_AND_OLD_IMAGES", [{"NewImage"}, {"NewImage", "OldImage"}, {"OldImage"}], [9, 18, 12]),
]


@pytest.mark.parametrize(("view", "images", "sizes"), IMAGES, ids=[view for view, _, _ in IMAGES])
async def test_the_view_says_which_images_a_record_has(
    tables: Tables, view: str, images: list[set[str]], sizes: list[int]
) -> None:
    arn = await tables.create("tab", view)
    await write_and_change(tables)
    records = await tables.records(arn)
    assert [record["eventName"] for record in records] == ["INSERT", "MODIFY", "REMOVE"]
    assert [{"NewImage", "OldImage"} & set(record["dynamodb"]) for record in records] == images
    assert [record["dynamodb"]["SizeBytes"] for record in records] == sizes
    assert all(record["dynamodb"]["Keys"] == {"pk": text("a")} for record in records)
    assert all(record["dynamodb"]["StreamViewType"] == view for record in records)


async def test_a_record_has_what_aws_has_in_it(tables: Tables) -> None:
    arn = await tables.create("tab", "NEW_AND_OLD_IMAGES")
    await write_and_change(tables)
    _, changed, _ = await tables.records(arn)
    event_id = changed.pop("eventID")
    assert len(event_id) == 32
    assert changed == {
        "eventName": "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_760_000_000,
            "Keys": {"pk": text("a")},
            "NewImage": {"pk": text("a"), "x": number(1), "y": number(1)},
            "OldImage": {"pk": text("a"), "x": number(1)},
            "SequenceNumber": "100000000000000000002",
            "SizeBytes": 18,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }
    assert [record["eventID"] for record in await tables.records(arn)][1] == event_id


MAP = {"M": {"k": number(1), "l": number(2)}}
TURNED_MAP = {"M": {"l": number(2), "k": number(1)}}
KEY = {"Key": {"pk": text("a")}}
OTHER_KEY = {"Key": {"pk": text("b")}}
ADD_NOTHING = {"UpdateExpression": "ADD s :s", "ExpressionAttributeValues": {":s": {"SS": ["x"]}}}
UNCHANGED: dict[str, tuple[str, dict[str, Any]]] = {
    "a put of the same item": ("PutItem", {"Item": {"pk": text("a"), "m": MAP, "s": {"SS": ["x", "y"]}}}),
    "a put in another order": ("PutItem", {"Item": {"s": {"SS": ["y", "x"]}, "m": TURNED_MAP, "pk": text("a")}}),
    "a removed attribute that was not there": ("UpdateItem", {**KEY, "UpdateExpression": "REMOVE z"}),
    "an added nothing": ("UpdateItem", {**KEY, **ADD_NOTHING}),
    "a delete of what is not there": ("DeleteItem", OTHER_KEY),
    "a removal from what is not there": ("UpdateItem", {**OTHER_KEY, "UpdateExpression": "REMOVE z"}),
}


@pytest.mark.parametrize("what", UNCHANGED)
async def test_what_changes_nothing_leaves_no_record(tables: Tables, what: str) -> None:
    arn = await tables.create("tab", "KEYS_ONLY")
    await tables.put("tab", "a", m=MAP, s={"SS": ["x", "y"]})
    operation, params = UNCHANGED[what]
    await tables(operation, TableName="tab", **params)
    assert [record["eventName"] for record in await tables.records(arn)] == ["INSERT"]


async def test_batches_leave_a_record_for_each_change(tables: Tables) -> None:
    arn = await tables.create("tab", "KEYS_ONLY")
    await tables.put("tab", "a")
    requests = [
        {"PutRequest": {"Item": {"pk": text("a")}}},
        {"PutRequest": {"Item": {"pk": text("b")}}},
        {"DeleteRequest": {"Key": {"pk": text("c")}}},
    ]
    await tables("BatchWriteItem", RequestItems={"tab": requests})
    found = [(record["eventName"], record["dynamodb"]["Keys"]["pk"]["S"]) for record in await tables.records(arn)]
    assert found == [("INSERT", "a"), ("INSERT", "b")]


async def test_a_failed_condition_leaves_no_record(tables: Tables) -> None:
    arn = await tables.create("tab", "KEYS_ONLY")
    call = tables("PutItem", TableName="tab", Item={"pk": text("a")}, ConditionExpression="attribute_exists(pk)")
    assert (await refused(call))[0] == "ConditionalCheckFailedException"
    assert await tables.records(arn) == []


async def test_time_orders_what_partition_keys_do_not(tables: Tables) -> None:
    arn = await tables.create("tab", "KEYS_ONLY")
    for place in range(20):
        tables.clock.advance(0.001)
        await tables.put("tab", str(place))
    keys = [record["dynamodb"]["Keys"]["pk"]["S"] for record in await tables.records(arn)]
    assert keys == [str(place) for place in range(20)]


async def test_sequence_numbers_grow_and_stay(tables: Tables) -> None:
    arn = await tables.create("tab", "KEYS_ONLY")
    await tables.put("tab", "a")
    first = [record["dynamodb"]["SequenceNumber"] for record in await tables.records(arn)]
    await tables.put("tab", "b")
    both = [record["dynamodb"]["SequenceNumber"] for record in await tables.records(arn)]
    assert both[:1] == first
    assert int(both[1]) > int(both[0])
    assert all(21 <= len(number) <= 40 for number in both)


async def test_every_kind_of_iterator_begins_where_it_says(tables: Tables) -> None:
    arn = await tables.create("tab", "KEYS_ONLY")
    moments = []
    for name in "abc":
        tables.clock.advance(1)
        moments.append(tables.clock.now_ms() / 1000)
        await tables.put("tab", name)
    numbers = [record["dynamodb"]["SequenceNumber"] for record in await tables.records(arn)]

    async def keys(kind: str, **more: Any) -> str:
        return "".join(record["dynamodb"]["Keys"]["pk"]["S"] for record in await tables.records(arn, kind, **more))

    assert await keys("TRIM_HORIZON") == "abc"
    assert await keys("LATEST") == ""
    assert await keys("AT_SEQUENCE_NUMBER", SequenceNumber=numbers[1]) == "bc"
    assert await keys("AFTER_SEQUENCE_NUMBER", SequenceNumber=numbers[1]) == "c"
    start = (await tables.shards(arn))[0]["SequenceNumberRange"]["StartingSequenceNumber"]
    assert await keys("AT_SEQUENCE_NUMBER", SequenceNumber=start) == "abc"
    assert await keys("AFTER_SEQUENCE_NUMBER", SequenceNumber=start) == "abc"
    assert await keys("AT_TIMESTAMP", Timestamp=moments[1]) == "bc"
    assert await keys("AT_TIMESTAMP", Timestamp=moments[2] + 0.5) == ""
    assert await keys("AT_TIMESTAMP", Timestamp=moments[0] - 100) == "abc"


async def test_an_iterator_at_the_end_sees_what_comes(tables: Tables) -> None:
    arn = await tables.create("tab", "KEYS_ONLY")
    await tables.put("tab", "a")
    iterator = await tables.iterator(arn, "LATEST")
    empty = await tables("GetRecords", ShardIterator=iterator)
    assert empty["Records"] == []
    await tables.put("tab", "b")
    page = await tables("GetRecords", ShardIterator=empty["NextShardIterator"])
    assert [record["dynamodb"]["Keys"]["pk"]["S"] for record in page["Records"]] == ["b"]


async def test_pages_end_at_the_limit_and_at_a_megabyte(tables: Tables) -> None:
    arn = await tables.create("tab", "NEW_IMAGE")
    for name in "abcd":
        await tables.put("tab", name, x=text("." * 300_000))
    iterator = await tables.iterator(arn)
    page = await tables("GetRecords", ShardIterator=iterator, Limit=1)
    assert len(page["Records"]) == 1
    page = await tables("GetRecords", ShardIterator=page["NextShardIterator"], Limit=1000)
    assert len(page["Records"]) == 3
    page = await tables("GetRecords", ShardIterator=iterator)
    assert len(page["Records"]) == 3
    page = await tables("GetRecords", ShardIterator=page["NextShardIterator"])
    assert len(page["Records"]) == 1


async def test_an_iterator_is_good_for_15_minutes(tables: Tables) -> None:
    arn = await tables.create("tab", "KEYS_ONLY")
    iterator = await tables.iterator(arn)
    tables.clock.advance(15 * 60)
    await tables("GetRecords", ShardIterator=iterator)
    tables.clock.advance(0.001)
    assert await refused(tables("GetRecords", ShardIterator=iterator)) == (
        "ExpiredIteratorException",
        "The provided iterator exceeds the maximum age allowed.",
    )


async def test_records_are_there_for_24_hours(tables: Tables) -> None:
    arn = await tables.create("tab", "KEYS_ONLY")
    await tables.put("tab", "old")
    (old,) = await tables.records(arn)
    tables.clock.advance(23 * HOUR_S)
    await tables.put("tab", "new")
    at_old = await tables.iterator(arn, "AT_SEQUENCE_NUMBER", SequenceNumber=old["dynamodb"]["SequenceNumber"])
    tables.clock.advance(HOUR_S + 1)
    assert [record["dynamodb"]["Keys"]["pk"]["S"] for record in await tables.records(arn)] == ["new"]
    trimmed = ("TrimmedDataAccessException", "The data you are trying to access has been trimmed")
    again = tables.iterator(arn, "AT_SEQUENCE_NUMBER", SequenceNumber=old["dynamodb"]["SequenceNumber"])
    assert await refused(again) == trimmed
    # An iterator lives shorter than a record, so only one that was given out for an old record meets this.
    assert (await refused(tables("GetRecords", ShardIterator=at_old)))[0] == "ExpiredIteratorException"


async def test_an_iterator_to_what_was_trimmed_meanwhile_is_refused(tables: Tables) -> None:
    arn = await tables.create("tab", "KEYS_ONLY")
    await tables.put("tab", "old")
    (old,) = await tables.records(arn)
    tables.clock.advance(24 * HOUR_S - 60)
    iterator = await tables.iterator(arn, "AT_SEQUENCE_NUMBER", SequenceNumber=old["dynamodb"]["SequenceNumber"])
    tables.clock.advance(120)
    assert (await refused(tables("GetRecords", ShardIterator=iterator)))[0] == "TrimmedDataAccessException"


async def test_a_disabled_stream_is_closed_and_stays_readable_for_24_hours(tables: Tables) -> None:
    arn = await tables.create("tab", "KEYS_ONLY")
    before = await tables.iterator(arn)
    await tables.put("tab", "a")
    answer = await tables("UpdateTable", TableName="tab", StreamSpecification={"StreamEnabled": False})
    assert "StreamSpecification" not in answer["TableDescription"]
    assert answer["TableDescription"]["LatestStreamArn"] == arn
    await tables.put("tab", "b")
    page = await tables("GetRecords", ShardIterator=before)
    assert [record["dynamodb"]["Keys"]["pk"]["S"] for record in page["Records"]] == ["a"]
    assert "NextShardIterator" not in page
    described = (await tables("DescribeStream", StreamArn=arn))["StreamDescription"]
    assert described["StreamStatus"] == "DISABLED"
    (shard,) = described["Shards"]
    assert shard["SequenceNumberRange"]["EndingSequenceNumber"] == page["Records"][0]["dynamodb"]["SequenceNumber"]
    tables.clock.advance(24 * HOUR_S)
    assert await refused(tables("DescribeStream", StreamArn=arn)) == (
        "ResourceNotFoundException",
        f"Requested resource not found: Stream: {arn} not found",
    )
    assert (await tables("ListStreams"))["Streams"] == []


async def test_a_second_stream_has_a_name_of_its_own_and_nothing_of_the_first(tables: Tables) -> None:
    first = await tables.create("tab", "KEYS_ONLY")
    await tables.put("tab", "a")
    await tables("UpdateTable", TableName="tab", StreamSpecification={"StreamEnabled": False})
    spec = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    answer = await tables("UpdateTable", TableName="tab", StreamSpecification=spec)
    second = answer["TableDescription"]["LatestStreamArn"]
    assert second != first
    assert answer["TableDescription"]["StreamSpecification"] == spec
    assert await tables.records(second) == []
    assert len(await tables.records(first)) == 1
    listed = (await tables("ListStreams", TableName="tab"))["Streams"]
    assert [stream["StreamArn"] for stream in listed] == [first, second]


async def test_a_deleted_tables_stream_stays_readable(tables: Tables) -> None:
    arn = await tables.create("tab", "KEYS_ONLY")
    await tables.put("tab", "a")
    await tables("DeleteTable", TableName="tab")
    assert len(await tables.records(arn)) == 1
    assert (await tables("DescribeStream", StreamArn=arn))["StreamDescription"]["StreamStatus"] == "DISABLED"


async def test_list_streams_pages_by_arn(tables: Tables) -> None:
    arns = [await tables.create(name, "KEYS_ONLY") for name in ("tab-a", "tab-b", "tab-c")]
    await tables.create("tab-d")
    first = await tables("ListStreams", Limit=2)
    assert [stream["StreamArn"] for stream in first["Streams"]] == arns[:2]
    assert first["LastEvaluatedStreamArn"] == arns[1]
    assert first["Streams"][0] == {
        "StreamArn": arns[0],
        "TableName": "tab-a",
        "StreamLabel": arns[0].rpartition("/")[2],
    }
    rest = await tables("ListStreams", ExclusiveStartStreamArn=first["LastEvaluatedStreamArn"])
    assert [stream["StreamArn"] for stream in rest["Streams"]] == arns[2:]
    assert "LastEvaluatedStreamArn" not in rest
    assert (await tables("ListStreams", TableName="tab-d"))["Streams"] == []


async def test_a_large_provisioned_table_has_a_shard_for_each_partition(tables: Tables) -> None:
    units = {"ReadCapacityUnits": 6000, "WriteCapacityUnits": 1000}
    arn = await tables.create("tab", "KEYS_ONLY", BillingMode="PROVISIONED", ProvisionedThroughput=units)
    page = (await tables("DescribeStream", StreamArn=arn, Limit=2))["StreamDescription"]
    assert len(page["Shards"]) == 2
    assert page["LastEvaluatedShardId"] == page["Shards"][-1]["ShardId"]
    rest = (await tables("DescribeStream", StreamArn=arn, ExclusiveStartShardId=page["LastEvaluatedShardId"]))[
        "StreamDescription"
    ]
    assert len(rest["Shards"]) == 1
    assert "LastEvaluatedShardId" not in rest
    for place in range(30):
        await tables.put("tab", str(place))
    assert len(await tables.records(arn)) == 30
    iterators = [await tables.iterator(arn, shard=shard) for shard in range(3)]
    assert all([(await tables("GetRecords", ShardIterator=iterator))["Records"] for iterator in iterators])
    none = await tables(
        "DescribeStream",
        StreamArn=arn,
        ShardFilter={"Type": "CHILD_SHARDS", "ShardId": page["Shards"][0]["ShardId"]},
    )
    assert none["StreamDescription"]["Shards"] == []


ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/tab/stream/2025-10-09T08:53:20.000"
SHARD = "shardId-00000001760000000000-00000000"
BAD_REQUESTS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "no ARN": ("DescribeStream", {"StreamArn": "x" * 40}, "ValidationException", f"Invalid StreamArn: {'x' * 40}"),
    "no such stream": (
        "DescribeStream",
        {"StreamArn": ARN.replace("table/tab/", "table/other/")},
        "ResourceNotFoundException",
        f"Requested resource not found: Stream: {ARN.replace('table/tab/', 'table/other/')} not found",
    ),
    "too many shards": (
        "DescribeStream",
        {"StreamArn": ARN, "Limit": 101},
        "ValidationException",
        "1 validation error detected: Value '101' at 'limit' failed to satisfy constraint: "
        "Member must have value less than or equal to 100",
    ),
    "half a filter": (
        "DescribeStream",
        {"StreamArn": ARN, "ShardFilter": {"Type": "CHILD_SHARDS"}},
        "ValidationException",
        "ShardFilter.ShardId must be specified when ShardFilter is present",
    ),
    "a filter by no shard": (
        "DescribeStream",
        {"StreamArn": ARN, "ShardFilter": {"Type": "CHILD_SHARDS", "ShardId": "s" * 30}},
        "ValidationException",
        f"Invalid ShardFilter.ShardId: {'s' * 30}",
    ),
    "no such shard": (
        "GetShardIterator",
        {"StreamArn": ARN, "ShardId": "s" * 30, "ShardIteratorType": "LATEST"},
        "ResourceNotFoundException",
        "Requested resource not found: Shard does not exist",
    ),
    "no sequence number": (
        "GetShardIterator",
        {"StreamArn": ARN, "ShardId": SHARD, "ShardIteratorType": "AT_SEQUENCE_NUMBER"},
        "ValidationException",
        "SequenceNumber must be specified when ShardIteratorType is AT_SEQUENCE_NUMBER",
    ),
    "a needless sequence number": (
        "GetShardIterator",
        {"StreamArn": ARN, "ShardId": SHARD, "ShardIteratorType": "LATEST", "SequenceNumber": "1" * 21},
        "ValidationException",
        "SequenceNumber cannot be specified when ShardIteratorType is LATEST",
    ),
    "a sequence number of no record": (
        "GetShardIterator",
        {"StreamArn": ARN, "ShardId": SHARD, "ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": "9" * 21},
        "ValidationException",
        f"Invalid SequenceNumber: {'9' * 21}",
    ),
    "a sequence number in letters": (
        "GetShardIterator",
        {"StreamArn": ARN, "ShardId": SHARD, "ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": "x" * 21},
        "ValidationException",
        f"Invalid SequenceNumber: {'x' * 21}",
    ),
    "no timestamp": (
        "GetShardIterator",
        {"StreamArn": ARN, "ShardId": SHARD, "ShardIteratorType": "AT_TIMESTAMP"},
        "ValidationException",
        "Timestamp must be specified when ShardIteratorType is AT_TIMESTAMP",
    ),
    "no iterator": (
        "GetRecords",
        {"ShardIterator": "nonsense"},
        "ValidationException",
        "Invalid ShardIterator",
    ),
    "a forged iterator": (
        "GetRecords",
        {"ShardIterator": f"{ARN}|1|k5kBAs8="},
        "ValidationException",
        "Invalid ShardIterator",
    ),
    "too many records": (
        "GetRecords",
        {"ShardIterator": "x", "Limit": 1001},
        "ValidationException",
        "1 validation error detected: Value '1001' at 'limit' failed to satisfy constraint: "
        "Member must have value less than or equal to 1000",
    ),
    "another table's stream to begin behind": (
        "ListStreams",
        {"TableName": "other", "ExclusiveStartStreamArn": ARN},
        "ValidationException",
        f"Invalid StreamArn: {ARN} is not a stream of the table other",
    ),
    "a stream that is enabled twice": (
        "UpdateTable",
        {"TableName": "tab", "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}},
        "ValidationException",
        "Table already has an enabled stream: TableName: tab",
    ),
    "a stream without a view": (
        "UpdateTable",
        {"TableName": "tab", "StreamSpecification": {"StreamEnabled": True}},
        "ValidationException",
        "One or more parameter values were invalid: If stream is being enabled then UpdateViewType is required",
    ),
    "a view without a stream": (
        "UpdateTable",
        {"TableName": "tab", "StreamSpecification": {"StreamEnabled": False, "StreamViewType": "KEYS_ONLY"}},
        "ValidationException",
        "One or more parameter values were invalid: If stream is being disabled, then UpdateViewType must not be "
        "specified",
    ),
}


@pytest.mark.parametrize("what", BAD_REQUESTS)
async def test_bad_requests_are_refused(what: str) -> None:
    tables = Tables()
    assert await tables.create("tab", "KEYS_ONLY") == ARN
    operation, params, code, message = BAD_REQUESTS[what]
    assert await refused(tables(operation, **params)) == (code, message)


async def test_a_stream_that_is_not_there_cannot_be_disabled(tables: Tables) -> None:
    await tables.create("tab")
    call = tables("UpdateTable", TableName="tab", StreamSpecification={"StreamEnabled": False})
    assert await refused(call) == ("ValidationException", "Table has no stream to disable: TableName: tab")


CREATED: dict[str, tuple[dict[str, Any], str]] = {
    "a view without a stream": (
        {"StreamEnabled": False, "StreamViewType": "KEYS_ONLY"},
        "Table is being created with a stream disabled, UpdateViewType should not be specified",
    ),
    "a stream without a view": (
        {"StreamEnabled": True},
        "Table is being created with a stream enabled, UpdateViewType is required",
    ),
}


@pytest.mark.parametrize("what", CREATED)
async def test_a_table_is_not_made_with_half_a_stream(tables: Tables, what: str) -> None:
    specification, message = CREATED[what]
    assert await refused(tables.create("tab", StreamSpecification=specification)) == (
        "ValidationException",
        f"One or more parameter values were invalid: {message}",
    )
