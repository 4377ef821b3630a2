"""The order of faults in requests about many items, and about tables. See `test_dynamodb_validation_order`.

What is known of AWS is its stages: the types of the JSON, the model's constraints, the parameters by themselves,
expressions, tables and their indexes, keys (decision 0008 tells where the order within a stage is ours).
"""

# ruff: noqa: E501  (the ladders below read best a line per rung)

from typing import Any

import pytest

from ladders import INVALID, MISFIT, MIXED, NO_ENUM, NO_NUMBER, NOT_FOUND, WRONG_TYPE, Fault, Ladder, V, alone, pairs

SORTED, PLAIN = "conformance.sorted", "conformance.plain"
KEY, OTHER_KEY = {"pk": {"S": "a"}, "sk": {"S": "b"}}, {"pk": {"S": "a"}, "sk": {"N": "1"}}
BAD_KEY = {"pk": {"S": "a"}, "sk": {"N": "x"}}
VALUES = {":a": {"S": "a"}}
NOWHERE = Fault("no such table", {"TableName": "nowhere"}, NOT_FOUND)
BAD_START = Fault(
    "a start that is no key",
    {"ExclusiveStartKey": {"pk": {"N": "x"}}},
    (V, "The provided starting key is invalid: " + NO_NUMBER[1]),
)
OTHER_START = Fault(
    "a start of another kind",
    {"ExclusiveStartKey": {"pk": {"S": "a"}}},
    (V, "The provided starting key is invalid: " + MISFIT[1]),
)
COUNT_OF_PARTS = Fault(
    "parts and only the count",
    {"ProjectionExpression": "b", "Select": "COUNT"},
    (V, "Cannot specify the ProjectionExpression when choosing to get only the Count"),
)
PROJECTION_SYNTAX = Fault(
    "syntax of the projection",
    {"ProjectionExpression": "b,", "Select": None},
    (V, 'Invalid ProjectionExpression: Syntax error; token: "<EOF>", near: ","'),
)
FILTER_SYNTAX = Fault(
    "syntax of the filter",
    {"FilterExpression": "b ="},
    (V, 'Invalid FilterExpression: Syntax error; token: "<EOF>", near: "="'),
)
NO_INDEX = Fault("no such index", {"IndexName": "none"}, (V, "The table does not have the specified index: none"))
UNUSED = (V, "Value provided in ExpressionAttributeNames unused in expressions: keys: {#u}")
ALONE_ON_ITS_SIDE = {"FilterExpression": None, "ProjectionExpression": None, "Select": None}
WITHOUT_EXPRESSIONS = {**ALONE_ON_ITS_SIDE, "KeyConditionExpression": None}
NO_METRICS = Fault(
    "a number for another text",
    {"ReturnItemCollectionMetrics": 5},
    ("SerializationException", "NUMBER_VALUE cannot be converted to String"),
)


def batch(*rungs: tuple[str, Any, tuple[str, str]]) -> list[Fault]:
    return [Fault(name, {"RequestItems": items}, answer) for name, items, answer in rungs]


def actions(*rungs: tuple[str, Any, tuple[str, str]]) -> list[Fault]:
    return [Fault(name, {"TransactItems": items}, answer) for name, items, answer in rungs]


def gets(key: Any = KEY, table: str = SORTED, **more: Any) -> dict[str, Any]:
    return {"Get": {"TableName": table, "Key": key, **more}}


def puts(item: Any = KEY, table: str = SORTED, **more: Any) -> dict[str, Any]:
    return {"Put": {"TableName": table, "Item": item, **more}}


def cancelled(*reasons: str) -> tuple[str, str]:
    return (
        "TransactionCanceledException",
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{', '.join(reasons)}]",
    )


UNITS = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
UNITS_ON_DEMAND = (
    V,
    INVALID + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
)
NO_MODE = Fault(
    "a billing mode that is none",
    {"BillingMode": "FREE"},
    (
        V,
        "1 validation error detected: Value 'FREE' at 'billingMode' failed to satisfy constraint: Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]",
    ),
)
NO_BOOLEAN = Fault(
    "a text for a boolean",
    {"DeletionProtectionEnabled": "no"},
    ("SerializationException", "Unexpected token received from parser"),
)
STREAM_OFF = {"StreamSpecification": {"StreamEnabled": False, "StreamViewType": "NEW_IMAGE"}}


def attributes(*names: str) -> dict[str, Any]:
    return {"AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in names]}


def keys(*names: str, kinds: tuple[str, ...] = ("HASH", "RANGE")) -> dict[str, Any]:
    return {"KeySchema": [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, kinds, strict=False)]}


def index(name: str, *names: str, kinds: tuple[str, ...] = ("HASH", "RANGE"), **more: Any) -> dict[str, Any]:
    return {"IndexName": name, **keys(*names, kinds=kinds), "Projection": {"ProjectionType": "ALL"}, **more}


def creates(name: str, *names: str, **more: Any) -> dict[str, Any]:
    return {"GlobalSecondaryIndexUpdates": [{"Create": index(name, *names, **more)}]}


NO_DEFINITION = (
    V,
    INVALID
    + "Some index key attributes are not defined in AttributeDefinitions. Keys: [zz], AttributeDefinitions: [pk, sk]",
)
NOT_HASH = (V, "Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
LARGE = {**KEY, "big": {"S": "x" * (400 * 1024)}}

LADDERS = [
    Ladder("Query", {"TableName": SORTED, "KeyConditionExpression": "pk = :a", "ExpressionAttributeValues": VALUES}, [
        WRONG_TYPE, NO_ENUM,
        Fault("old and new filters", {**ALONE_ON_ITS_SIDE, "QueryFilter": {}, "KeyConditionExpression": "pk = :a"}, (V, MIXED + "{QueryFilter} Expression parameters: {KeyConditionExpression}")),
        Fault("values without expressions", {**WITHOUT_EXPRESSIONS, "ExpressionAttributeNames": None}, (V, "ExpressionAttributeValues can only be specified when using expressions: FilterExpression and KeyConditionExpression and ProjectionExpression are null")),
        Fault("no key condition", {"KeyConditionExpression": None, "FilterExpression": "b = :a"}, (V, "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")),
        BAD_START, COUNT_OF_PARTS, PROJECTION_SYNTAX, FILTER_SYNTAX,
        Fault("syntax of the key condition", {"KeyConditionExpression": "pk ="}, (V, 'Invalid KeyConditionExpression: Syntax error; token: "<EOF>", near: "="')),
        Fault("unused name", {"ExpressionAttributeNames": {"#u": "u"}}, UNUSED),
        NOWHERE, NO_INDEX,
        Fault("no partition key", {"KeyConditionExpression": "b = :a"}, (V, "Query condition missed key schema element: pk")),
        Fault("a filter of the key", {"FilterExpression": "sk = :a"}, (V, "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk")),
        OTHER_START,
    ]),
    Ladder("Scan", {"TableName": SORTED}, [
        WRONG_TYPE, NO_ENUM,
        Fault("old and new filters", {**ALONE_ON_ITS_SIDE, "ScanFilter": {}, "FilterExpression": "attribute_exists(b)"}, (V, MIXED + "{ScanFilter} Expression parameters: {FilterExpression}")),
        Fault("names without expressions", {**WITHOUT_EXPRESSIONS, "ExpressionAttributeNames": {"#u": "u"}}, (V, "ExpressionAttributeNames can only be specified when using expressions")),
        Fault("a segment of nothing", {"Segment": 0}, (V, "The TotalSegments parameter is required but was not present in the request when Segment parameter is present")),
        BAD_START, COUNT_OF_PARTS, PROJECTION_SYNTAX, FILTER_SYNTAX,
        Fault("unused name", {"FilterExpression": "attribute_exists(b)", "ExpressionAttributeNames": {"#u": "u"}}, UNUSED),
        NOWHERE, NO_INDEX, OTHER_START,
    ]),
    Ladder("BatchGetItem", {"RequestItems": {SORTED: {"Keys": [KEY]}}}, [
        WRONG_TYPE, NO_ENUM,
        *batch(
            ("too many", {SORTED: {"Keys": [KEY] * 99}, "nowhere": {"Keys": [KEY, BAD_KEY]}}, (V, "Too many items requested for the BatchGetItem call")),
            ("a value that is none", {"nowhere": {"Keys": [KEY, BAD_KEY, KEY], "ProjectionExpression": "b"}}, NO_NUMBER),
            ("syntax", {"nowhere": {"Keys": [KEY, KEY], "ProjectionExpression": "b,"}}, PROJECTION_SYNTAX.answer),
            ("no such table", {"nowhere": {"Keys": [KEY]}, SORTED: {"Keys": [OTHER_KEY]}}, NOT_FOUND),
            ("another key", {SORTED: {"Keys": [KEY, KEY, OTHER_KEY]}}, MISFIT),
            ("the same twice", {SORTED: {"Keys": [KEY, KEY]}}, (V, "Provided list of item keys contains duplicates")),
        ),
    ]),
    Ladder("BatchWriteItem", {"RequestItems": {SORTED: [{"PutRequest": {"Item": KEY}}]}}, [
        NO_METRICS, NO_ENUM,
        *batch(
            ("too many", {SORTED: [{"PutRequest": {"Item": BAD_KEY}}] * 13, "nowhere": [{"PutRequest": {"Item": BAD_KEY}}] * 13}, (V, "Too many items requested for the BatchWriteItem call")),
            ("nothing to do", {"nowhere": [{}, {"PutRequest": {"Item": BAD_KEY}}]}, (V, "Supplied WriteRequest is empty, must contain exactly one of PutRequest or DeleteRequest")),
            ("a value that is none", {"nowhere": [{"PutRequest": {"Item": BAD_KEY}}]}, NO_NUMBER),
            ("too large", {"nowhere": [{"PutRequest": {"Item": LARGE}}]}, (V, "Item size has exceeded the maximum allowed size")),
            ("no such table", {"nowhere": [{"PutRequest": {"Item": KEY}}], SORTED: [{"DeleteRequest": {"Key": OTHER_KEY}}]}, NOT_FOUND),
            ("another key", {SORTED: [{"DeleteRequest": {"Key": KEY}}, {"DeleteRequest": {"Key": KEY}}, {"DeleteRequest": {"Key": OTHER_KEY}}]}, MISFIT),
            ("the same twice", {SORTED: [{"DeleteRequest": {"Key": KEY}}, {"PutRequest": {"Item": KEY}}]}, (V, "Provided list of item keys contains duplicates")),
        ),
    ]),
    Ladder("TransactGetItems", {"TransactItems": [gets()]}, [
        WRONG_TYPE, NO_ENUM,
        *actions(
            ("a value that is none", [gets(BAD_KEY), gets(table="nowhere")], NO_NUMBER),
            ("syntax", [gets(table="nowhere"), gets(ProjectionExpression="b,")], PROJECTION_SYNTAX.answer),
            ("unused name", [gets(table="nowhere"), gets(ProjectionExpression="b", ExpressionAttributeNames={"#u": "u"})], UNUSED),
            ("no such table", [gets(OTHER_KEY), gets(table="nowhere")], NOT_FOUND),
            ("another key", [gets(), gets(), gets(OTHER_KEY)], cancelled("None", "None", "ValidationError")),
            ("the same twice", [gets(), gets()], (V, "Transaction request cannot include multiple operations on one item")),
        ),
    ]),
    Ladder("TransactWriteItems", {"TransactItems": [puts()]}, [
        NO_METRICS, NO_ENUM,
        *actions(
            ("nothing to do", [{}, puts(BAD_KEY, "nowhere")], (V, "TransactItems can only contain one of Check, Put, Update or Delete")),
            ("a value that is none", [puts(BAD_KEY, ConditionExpression="b ="), puts(table="nowhere")], NO_NUMBER),
            ("too large", [puts(LARGE, ConditionExpression="b ="), puts(table="nowhere")], (V, "Item size has exceeded the maximum allowed size")),
            ("syntax", [puts(table="nowhere"), puts(ConditionExpression="b =")], (V, 'Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "="')),
            ("unused name", [puts(table="nowhere"), puts(ConditionExpression="attribute_exists(b)", ExpressionAttributeNames={"#u": "u"})], UNUSED),
            ("no such table", [puts(OTHER_KEY), puts(table="nowhere")], NOT_FOUND),
            ("another key", [puts(), puts(), puts(OTHER_KEY)], cancelled("None", "None", "ValidationError")),
            ("the same twice", [puts(ConditionExpression="attribute_exists(b)"), puts()], (V, "Transaction request cannot include multiple operations on one item")),
            ("conditions", [puts(ConditionExpression="attribute_exists(b)"), puts({**KEY, "sk": {"S": "c"}}, ConditionExpression="attribute_exists(b)")], cancelled("ConditionalCheckFailed", "ConditionalCheckFailed")),
        ),
    ]),
]  # fmt: skip

LADDERS += [
    Ladder("CreateTable", {"TableName": SORTED, "BillingMode": "PAY_PER_REQUEST", **attributes("pk", "sk"), **keys("pk", "sk")}, [
        NO_BOOLEAN, NO_MODE,
        Fault("a definition twice", attributes("pk", "sk", "pk"), (V, "Attribute Name is duplicated: pk")),
        Fault("units on demand", {"ProvisionedThroughput": UNITS}, UNITS_ON_DEMAND),
        Fault("more keys than definitions", {**attributes("pk"), **keys("pk", "sk", kinds=("RANGE", "HASH"))}, (V, "Invalid KeySchema: Some index key attribute have no definition")),
        Fault("keys in the wrong order", keys("pk", "zz", kinds=("RANGE", "HASH")), NOT_HASH),
        Fault("a key without a definition", {**attributes("pk", "sk"), **keys("pk", "zz")}, (V, INVALID + "Some index key attributes are not defined in AttributeDefinitions. Keys: [pk, zz], AttributeDefinitions: [pk, sk]")),
        Fault("a local index without a sort key", {"LocalSecondaryIndexes": [index("loc", "pk")]}, (V, INVALID + "Index KeySchema does not have a range key for index: loc")),
        Fault("a global index without a definition", {**attributes("pk", "sk"), "GlobalSecondaryIndexes": [index("glo", "zz")]}, NO_DEFINITION),
        Fault("a definition of no use", {**attributes("pk", "sk", "zz"), "GlobalSecondaryIndexes": None, "LocalSecondaryIndexes": None}, (V, INVALID + "Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions")),
        Fault("a view of no stream", STREAM_OFF, (V, INVALID + "Table is being created with a stream disabled, UpdateViewType should not be specified")),
        Fault("a table that is there", {}, ("ResourceInUseException", f"Table already exists: {SORTED}")),
    ]),
    Ladder("UpdateTable", {"TableName": SORTED}, [
        NO_BOOLEAN, NO_MODE,
        Fault("two indexes at once", {"GlobalSecondaryIndexUpdates": [{"Create": index("glo", "pk")}, {"Delete": {"IndexName": "old"}}], **attributes("pk")}, ("LimitExceededException", "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table")),
        Fault("a view of no stream", STREAM_OFF, (V, INVALID + "If stream is being disabled, then UpdateViewType must not be specified")),
        Fault("units on demand", {"BillingMode": "PAY_PER_REQUEST", "ProvisionedThroughput": UNITS}, (V, INVALID + "ProvisionedThroughput cannot be specified when BillingMode is PAY_PER_REQUEST")),
        Fault("another cipher", {"SSESpecification": {"Enabled": True, "SSEType": "AES256"}}, (V, INVALID + "SSEType AES256 is not supported")),
        Fault("a definition twice", {**attributes("pk", "pk"), **creates("glo", "pk")}, (V, "Attribute Name is duplicated: pk")),
        Fault("keys in the wrong order", {**attributes("pk"), **creates("glo", "pk", kinds=("RANGE",))}, NOT_HASH),
        Fault("a key without a definition", {**attributes("pk", "sk"), **creates("glo", "zz")}, NO_DEFINITION),
        Fault("a stream and an index", {**attributes("pk"), **creates("glo", "pk"), "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}}, (V, INVALID + "You cannot create or delete index while changing stream status")),
        Fault("no such table", {"TableName": "nowhere", "BillingMode": "PAY_PER_REQUEST"}, (NOT_FOUND[0], "Requested resource not found: Table: nowhere not found")),
        Fault("units for an index on demand", {**attributes("pk"), **creates("glo", "pk", ProvisionedThroughput=UNITS)}, (V, INVALID + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified for index: glo when BillingMode is PAY_PER_REQUEST")),
    ]),
]  # fmt: skip

PAIRS, ALONE = pairs(LADDERS), alone(LADDERS)


@pytest.fixture(scope="module")
def orders(server: Any) -> Any:
    """A client with a table of partition key `pk` and sort key `sk`."""
    client = server.client("dynamodb")
    client.create_table(
        TableName=SORTED,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )
    yield client
    client.delete_table(TableName=SORTED)


@pytest.mark.parametrize("case", ALONE)
def test_each_fault_by_itself(orders: Any, case: str) -> None:
    ladder, fault = ALONE[case]
    assert ladder.ask(orders, fault) == fault.answer


@pytest.mark.parametrize("case", PAIRS)
def test_of_two_faults_the_upper_one_is_reported(orders: Any, case: str) -> None:
    ladder, upper, lower = PAIRS[case]
    # What both change is as the upper one has it: then the lower fault may be gone, but never the upper one.
    assert ladder.ask(orders, lower, upper) == upper.answer
