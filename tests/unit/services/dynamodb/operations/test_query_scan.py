"""Query and Scan: ranges, order, paging, filters, counts, cost and refusals."""

from typing import Any

import pytest

QUERY = {"TableName": "notes", "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}


async def fill(notes: Any, count: int, **attributes: Any) -> None:
    for number in range(count):
        item = {"pk": {"S": "a"}, "sk": {"S": f"{number:03}"}, "n": {"N": str(number)}, **attributes}
        await notes("PutItem", TableName="notes", Item=item)


def sort_keys(answer: Any) -> list[str]:
    return [item["sk"]["S"] for item in answer["Items"]]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("pk = :p", ["000", "001", "002", "003", "004"]),
        ("pk = :p AND sk = :x", ["002"]),
        (":x = sk AND :p = pk", ["002"]),
        ("pk = :p AND sk < :x", ["000", "001"]),
        ("pk = :p AND sk <= :x", ["000", "001", "002"]),
        ("pk = :p AND sk > :x", ["003", "004"]),
        ("pk = :p AND sk >= :x", ["002", "003", "004"]),
        ("pk = :p AND :x > sk", ["000", "001"]),
        ("(pk = :p) AND (sk BETWEEN :x AND :y)", ["002", "003"]),
        ("pk = :p AND begins_with(sk, :z)", ["000", "001", "002", "003", "004"]),
        ("pk = :p AND begins_with(sk, :y)", ["003"]),
    ],
)
async def test_key_conditions(notes: Any, condition: str, found: list[str]) -> None:
    await fill(notes, 5)
    values = {":p": {"S": "a"}, ":x": {"S": "002"}, ":y": {"S": "003"}, ":z": {"S": "00"}}
    used = {name: value for name, value in values.items() if name in condition}
    answer = await notes("Query", TableName="notes", KeyConditionExpression=condition, ExpressionAttributeValues=used)
    assert sort_keys(answer) == found
    assert (answer["Count"], answer["ScannedCount"]) == (len(found), len(found))
    backwards = await notes(
        "Query",
        TableName="notes",
        KeyConditionExpression=condition,
        ExpressionAttributeValues=used,
        ScanIndexForward=False,
    )
    assert sort_keys(backwards) == found[::-1]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("sk = :p", "Query condition missed key schema element: pk"),
        ("pk = :p AND n = :p", "Query condition missed key schema element: sk"),
        ("pk < :p", "Query key condition not supported"),
        (
            "pk = :p OR sk = :p",
            "Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: OR",
        ),
        (
            "pk = :p AND NOT sk = :p",
            "Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: NOT",
        ),
        (
            "pk = :p AND sk <> :p",
            "Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: <>",
        ),
        (
            "pk = :p AND contains(sk, :p)",
            "Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: contains",
        ),
        (
            "pk = :p AND sk > :p AND sk < :p",
            "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key",
        ),
        (
            "pk = :p AND sk.x = :p",
            "Invalid KeyConditionExpression: KeyConditionExpressions cannot have conditions on nested attributes",
        ),
        ("", "Invalid KeyConditionExpression: The expression can not be empty;"),
    ],
)
async def test_wrong_key_conditions(notes: Any, refused: Any, condition: str, message: str) -> None:
    assert await refused(
        notes(
            "Query",
            TableName="notes",
            KeyConditionExpression=condition,
            ExpressionAttributeValues={":p": {"S": "a"}},
        )
    ) == ("ValidationException", message)


async def test_a_condition_must_have_the_keys_type(notes: Any, refused: Any) -> None:
    assert await refused(notes("Query", **{**QUERY, "ExpressionAttributeValues": {":p": {"N": "1"}}})) == (
        "ValidationException",
        "One or more parameter values were invalid: Condition parameter type does not match schema type",
    )


async def test_a_filter_works_on_what_was_read(notes: Any) -> None:
    await fill(notes, 10)
    values = {":p": {"S": "a"}, ":n": {"N": "6"}}
    answer = await notes(
        "Query",
        TableName="notes",
        KeyConditionExpression="pk = :p",
        FilterExpression="n >= :n",
        ExpressionAttributeValues=values,
        Limit=8,
    )
    assert sort_keys(answer) == ["006", "007"]
    assert (answer["Count"], answer["ScannedCount"]) == (2, 8)
    assert answer["LastEvaluatedKey"] == {"pk": {"S": "a"}, "sk": {"S": "007"}}
    counts = await notes(
        "Query",
        TableName="notes",
        KeyConditionExpression="pk = :p",
        FilterExpression="n >= :n",
        ExpressionAttributeValues=values,
        Select="COUNT",
    )
    assert counts == {"Count": 4, "ScannedCount": 10}


async def test_a_filter_may_not_ask_for_keys(notes: Any, refused: Any) -> None:
    assert await refused(notes("Query", **QUERY, FilterExpression="sk = :p")) == (
        "ValidationException",
        "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk",
    )


async def test_a_page_ends_with_the_item_that_passes_1_mb(notes: Any) -> None:
    await fill(notes, 6, text={"S": "x" * 300_000})
    first = await notes("Query", **QUERY, ReturnConsumedCapacity="TOTAL")
    assert sort_keys(first) == ["000", "001", "002", "003"]
    assert first["ConsumedCapacity"]["CapacityUnits"] == -(-4 * 300_019 // 4096) / 2
    second = await notes("Query", **QUERY, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert sort_keys(second) == ["004", "005"]
    assert "LastEvaluatedKey" not in second


async def test_a_full_page_has_a_last_key_even_at_the_end(notes: Any) -> None:
    await fill(notes, 3)
    page = await notes("Query", **QUERY, Limit=3)
    assert page["LastEvaluatedKey"] == {"pk": {"S": "a"}, "sk": {"S": "002"}}
    assert await notes("Query", **QUERY, ExclusiveStartKey=page["LastEvaluatedKey"]) == {
        "Items": [],
        "Count": 0,
        "ScannedCount": 0,
    }


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (
            {"pk": {"S": "a"}},
            "The provided starting key is invalid: The provided key element does not match the schema",
        ),
        (
            {"pk": {"S": "b"}, "sk": {"S": "0"}},
            "The provided starting key is outside query boundaries based on provided conditions",
        ),
        ({"pk": {"S": "a"}, "sk": {"S": "9"}}, "The provided starting key does not match the range key predicate"),
    ],
)
async def test_a_wrong_starting_key(notes: Any, refused: Any, start: Any, message: str) -> None:
    assert await refused(
        notes(
            "Query",
            TableName="notes",
            KeyConditionExpression="pk = :p AND sk < :s",
            ExpressionAttributeValues={":p": {"S": "a"}, ":s": {"S": "5"}},
            ExclusiveStartKey=start,
        )
    ) == ("ValidationException", message)


async def test_keys_with_any_bytes_stay_in_their_partition(notes: Any) -> None:
    keys = ["\x00", "\x00\x00", "\x00\x01", "a", "a\x00", "a\x00b", "\u00ff", "\U0010ffff"]
    for key in keys:
        for other in ("p", "p\x00", "p\x00\u00ff"):
            await notes("PutItem", TableName="notes", Item={"pk": {"S": other}, "sk": {"S": key}})
    answer = await notes("Query", **{**QUERY, "ExpressionAttributeValues": {":p": {"S": "p"}}})
    assert sort_keys(answer) == sorted(keys)
    begins = await notes(
        "Query",
        TableName="notes",
        KeyConditionExpression="pk = :p AND begins_with(sk, :s)",
        ExpressionAttributeValues={":p": {"S": "p\x00"}, ":s": {"S": "a\x00"}},
    )
    assert sort_keys(begins) == ["a\x00", "a\x00b"]


async def test_scan_pages_and_segments_cover_the_table(notes: Any) -> None:
    for number in range(40):
        await notes("PutItem", TableName="notes", Item={"pk": {"S": str(number)}, "sk": {"S": "x"}})
    whole = await notes("Scan", TableName="notes")
    order = [item["pk"]["S"] for item in whole["Items"]]
    assert sorted(order, key=int) == [str(number) for number in range(40)]
    paged: list[str] = []
    start: dict[str, Any] = {}
    while True:
        page = await notes("Scan", TableName="notes", Limit=7, **start)
        paged += [item["pk"]["S"] for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert paged == order
    parts = [await notes("Scan", TableName="notes", Segment=segment, TotalSegments=3) for segment in range(3)]
    assert [item["pk"]["S"] for part in parts for item in part["Items"]] == order
    assert all(part["Count"] for part in parts)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"Segment": 0},
            "The TotalSegments parameter is required but was not present in the request when Segment parameter "
            "is present",
        ),
        (
            {"TotalSegments": 4},
            "The Segment parameter is required but was not present in the request when parameter "
            "TotalSegments is present",
        ),
        (
            {"Segment": 5, "TotalSegments": 5},
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 5 is not less "
            "than TotalSegments: 5",
        ),
        ({"IndexName": "by-title"}, "The table does not have the specified index: by-title"),
        (
            {"Select": "COUNT", "ProjectionExpression": "pk"},
            "Cannot specify the ProjectionExpression when choosing to get only the Count",
        ),
    ],
)
async def test_scan_refuses(notes: Any, refused: Any, params: dict[str, Any], message: str) -> None:
    assert await refused(notes("Scan", TableName="notes", **params)) == ("ValidationException", message)


async def test_a_scan_bills_each_partition_it_touches(notes: Any) -> None:
    await notes("PutItem", TableName="notes", Item={"pk": {"S": "a"}, "sk": {"S": "x"}})
    answer = await notes("Scan", TableName="notes", ReturnConsumedCapacity="TOTAL")
    assert answer["ConsumedCapacity"]["CapacityUnits"] == 2
    segment = await notes("Scan", TableName="notes", Segment=3, TotalSegments=4, ReturnConsumedCapacity="TOTAL")
    assert segment["ConsumedCapacity"]["CapacityUnits"] == 0.5


async def test_a_binary_prefix_may_end_with_ff(ddb: Any) -> None:
    await ddb(
        "CreateTable",
        TableName="raw",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "B"},
        ],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    for value in ("AQID", "/wME", "////", "/wA="):
        await ddb("PutItem", TableName="raw", Item={"pk": {"S": "a"}, "sk": {"B": value}})
    answer = await ddb(
        "Query",
        TableName="raw",
        KeyConditionExpression="pk = :p AND begins_with(sk, :s)",
        ExpressionAttributeValues={":p": {"S": "a"}, ":s": {"B": "/w=="}},
    )
    assert [item["sk"]["B"] for item in answer["Items"]] == ["/wA=", "/wME", "////"]


OPERAND = "Invalid KeyConditionExpression: Incorrect operand type for operator or function; operator or function: "
OTHER_TYPE = "One or more parameter values were invalid: Condition parameter type does not match schema type"
KEY_OPERANDS = {
    "a truth is in no order": ("pk = :p AND sk < :v", {"BOOL": True}, f"{OPERAND}<, operand type: BOOL"),
    "the value first": ("pk = :p AND :v >= sk", {"SS": ["a"]}, f"{OPERAND}>=, operand type: SS"),
    "bounds": ("pk = :p AND sk BETWEEN :v AND :v", {"NULL": True}, f"{OPERAND}BETWEEN, operand type: NULL"),
    "a number as prefix": ("pk = :p AND begins_with(sk, :v)", {"N": "1"}, f"{OPERAND}begins_with, operand type: N"),
    "another key's type": ("pk = :p AND sk < :v", {"N": "1"}, OTHER_TYPE),
    "an equality": ("pk = :p AND sk = :v", {"BOOL": True}, OTHER_TYPE),
    "three conditions": (
        "pk = :p AND sk > :v AND n = :v",
        {"S": "x"},
        "The number of query conditions (3) exceeds the number of key attributes defined in the schema (2)",
    ),
}


@pytest.mark.parametrize(("condition", "value", "message"), KEY_OPERANDS.values(), ids=KEY_OPERANDS)
async def test_operands_of_key_conditions(
    notes: Any, refused: Any, condition: str, value: dict[str, Any], message: str
) -> None:
    """Recorded on AWS by Parity Suite."""
    values = {":p": {"S": "a"}, ":v": value}
    query = notes("Query", TableName="notes", KeyConditionExpression=condition, ExpressionAttributeValues=values)
    assert await refused(query) == ("ValidationException", message)


async def test_legacy_parameters_of_a_query(notes: Any, refused: Any) -> None:
    await fill(notes, 4)
    equal = {"pk": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}}
    later = {"sk": {"ComparisonOperator": "GT", "AttributeValueList": [{"S": "001"}]}}
    small = {"n": {"ComparisonOperator": "LE", "AttributeValueList": [{"N": "2"}]}}
    query = {"TableName": "notes", "KeyConditions": {**equal, **later}}
    assert sort_keys(await notes("Query", **query)) == ["002", "003"]
    assert sort_keys(await notes("Query", **query, QueryFilter=small)) == ["002"]
    assert (await notes("Query", **query, AttributesToGet=["n"]))["Items"] == [{"n": {"N": "2"}}, {"n": {"N": "3"}}]
    assert (await notes("Query", **query, ProjectionExpression="n"))["Items"] == [{"n": {"N": "2"}}, {"n": {"N": "3"}}]
    assert sort_keys(await notes("Scan", TableName="notes", ScanFilter=small)) == ["000", "001", "002"]
    for more, message in (
        (
            {"QueryFilter": small, "ProjectionExpression": "n"},
            "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: "
            "{QueryFilter} Expression parameters: {ProjectionExpression}",
        ),
        (
            {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}},
            "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: "
            "{KeyConditions} Expression parameters: {KeyConditionExpression}",
        ),
        ({"KeyConditions": {}}, "Conditions can be of length 1 or 2 only"),
        (
            {"KeyConditions": {**query["KeyConditions"], "n": equal["pk"]}},
            "Conditions can be of length 1 or 2 only",
        ),
        (
            {"QueryFilter": later},
            "QueryFilter can only contain non-primary key attributes: Primary key attribute: sk",
        ),
        (
            {"AttributesToGet": ["n"], "Select": "ALL_ATTRIBUTES"},
            "Cannot specify the AttributesToGet when choosing to get ALL_ATTRIBUTES",
        ),
    ):
        assert await refused(notes("Query", **{**query, **more})) == ("ValidationException", message)


async def test_a_partition_of_one_item_has_no_pages(ddb: Any, refused: Any) -> None:
    await ddb(
        "CreateTable",
        TableName="plain",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    await ddb("PutItem", TableName="plain", Item={"pk": {"S": "a"}})
    query = {**QUERY, "TableName": "plain", "Limit": 1}
    assert await ddb("Query", **query) == {"Count": 1, "ScannedCount": 1, "Items": [{"pk": {"S": "a"}}]}
    assert await refused(ddb("Query", **query, ExclusiveStartKey={"pk": {"S": "a"}})) == (
        "ValidationException",
        "The provided exclusive start key is invalid: ExclusiveStartKey: {pk=AttributeValue: {S:a}}",
    )
