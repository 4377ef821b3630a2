"""Hostile requests to DynamoDB: every one is answered, soon, and never with a failure of the server; nothing is lost.

A valid request of every item operation gets something bad in one or two places: values nested too deeply, numbers that
are none or enormous, texts that are no UTF-8, types that do not fit, expressions made to exhaust a parser.
"""

# ruff: noqa: E501  (the tables below read best a line per row)

import json
import socket
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.expressions.conditions import bind_condition
from cumulet.services.dynamodb.core.expressions.placeholders import Placeholders
from cumulet.services.dynamodb.core.expressions.projections import bind_projection
from cumulet.services.dynamodb.core.expressions.updates import bind_update
from properties.test_fuzz_server import places, put
from running import Server
from wire.bad_requests import dynamodb

TABLE = {"TableName": "hostile"}
KEY = {"pk": {"S": "a"}}
NAMES, VALUES = {"#n": "n"}, {":v": {"N": "1"}}
CONDITION = {"ConditionExpression": "#n = :v", "ExpressionAttributeNames": NAMES, "ExpressionAttributeValues": VALUES}
EXPECTED = {
    "Expected": {"n": {"ComparisonOperator": "EQ", "AttributeValueList": [{"N": "1"}]}},
    "ConditionalOperator": "OR",
}
FILTER = {"n": {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"N": "1"}, {"N": "2"}]}}
UPDATE = {
    "UpdateExpression": "SET #n = :v REMOVE l[0] ADD c :v",
    "ExpressionAttributeNames": NAMES,
    "ExpressionAttributeValues": VALUES,
}

VALID: list[tuple[str, dict[str, Any]]] = [
    ("PutItem", {**TABLE, "Item": {**KEY, "l": {"L": [{"M": {"x": {"NS": ["1", "2"]}}}]}, "b": {"B": "AAAA"}}, **CONDITION}),
    ("PutItem", {**TABLE, "Item": KEY, **EXPECTED, "ReturnValues": "ALL_OLD"}),
    ("UpdateItem", {**TABLE, "Key": KEY, **UPDATE, "ConditionExpression": "attribute_exists(pk)", "ReturnValues": "UPDATED_NEW"}),
    ("UpdateItem", {**TABLE, "Key": KEY, "AttributeUpdates": {"n": {"Action": "ADD", "Value": {"N": "1"}}}, **EXPECTED}),
    ("DeleteItem", {**TABLE, "Key": KEY, **CONDITION, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}),
    ("GetItem", {**TABLE, "Key": KEY, "ProjectionExpression": "l[0].x, #n", "ExpressionAttributeNames": NAMES}),
    ("GetItem", {**TABLE, "Key": KEY, "AttributesToGet": ["n", "l"], "ConsistentRead": True}),
    ("Query", {**TABLE, "KeyConditionExpression": "pk = :k", "FilterExpression": "#n IN (:k)", "ExpressionAttributeNames": NAMES, "ExpressionAttributeValues": {":k": {"S": "a"}}}),
    ("Query", {**TABLE, "KeyConditions": {"pk": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}}, "QueryFilter": FILTER}),
    ("Scan", {**TABLE, "ScanFilter": FILTER, "ExclusiveStartKey": KEY, "Limit": 1}),
    ("BatchGetItem", {"RequestItems": {"hostile": {"Keys": [KEY], "ProjectionExpression": "n"}}, "ReturnConsumedCapacity": "INDEXES"}),
    ("BatchWriteItem", {"RequestItems": {"hostile": [{"PutRequest": {"Item": KEY}}, {"DeleteRequest": {"Key": {"pk": {"S": "b"}}}}]}}),
    ("TransactGetItems", {"TransactItems": [{"Get": {**TABLE, "Key": KEY, "ProjectionExpression": "n"}}]}),
    ("TransactWriteItems", {"TransactItems": [{"Put": {**TABLE, "Item": {"pk": {"S": "t"}}}}, {"Update": {**TABLE, "Key": KEY, **UPDATE}}, {"ConditionCheck": {**TABLE, "Key": {"pk": {"S": "c"}}, "ConditionExpression": "attribute_not_exists(pk)"}}], "ClientRequestToken": "t"}),
    ("ExecuteStatement", {"Statement": "SELECT * FROM hostile WHERE pk = ?", "Parameters": [{"S": "a"}]}),
    ("ExecuteStatement", {"Statement": "UPDATE hostile SET n = n + 1 WHERE pk = 'a'"}),
]  # fmt: skip


def nested(opening: str, innermost: str, closing: str, depth: int) -> str:
    return opening * depth + innermost + closing * depth


RAW: list[bytes] = [
    *(nested('{"L":[', '{"S":"x"}', "]}", depth).encode() for depth in (31, 32, 33, 400, 5000)),
    *(nested('{"M":{"a":', '{"NULL":true}', "}}", depth).encode() for depth in (31, 32, 33, 400, 5000)),
    *(nested("[", "", "]", depth).encode() for depth in (1, 600, 100_000)),
    nested('{"a":', "1", "}", 100_000).encode(),
    b'"\xff\xfe"', b'"\xed\xa0\x80"', b'"\\ud800"', b'"\\udfff\\ud800"', b'"\\u0000"', b'"a', b"{", b"NaN", b"-", b"1e999", b"01", b'{"a":1,"a":2}',
    b'{"S":"a","N":"1"}', b'{"S":null}', b'{"S":1}', b'{"N":1}', b'{"N":""}', b'{"N":"1e400"}', b'{"N":"0x1f"}', b'{"N":"' + b"9" * 50_000 + b'"}', b'{"N":"1e-999999999999999999"}', b'{"N":"1e' + b"9" * 5000 + b'"}', b'{"N":"\xd9\xa1"}',
    b'{"NS":["1","1.0"]}', b'{"SS":[]}', b'{"BS":["=","="]}', b'{"B":"***"}', b'{"B":"' + b"A" * 100_001 + b'"}', b'{"BOOL":"true"}', b'{"NULL":false}', b'{"L":{}}', b'{"M":[]}', b'{"X":"y"}', b"{}", b"[]", b"null", b"true", b"-1", b"2147483648", b"1.5", b'""',
    b'"' + b"x" * 70_000 + b'"', b'{"":{"S":"a"}}', b'{"' + b"x" * 70_000 + b'":{"S":"a"}}', b'{"#":"a"}', b'{":":{"S":"a"}}',
]  # fmt: skip
BOMBS: list[str] = [
    "(" * 4000, "(" * 2000 + "a = :v" + ")" * 2000, "NOT " * 1000 + "a = :v", "a = :v AND " * 370 + "a = :v", "a=:v OR " * 299 + "a=:v",
    "size(" * 290 + "a" + ")" * 290 + " > :v", "a.b" * 1000, "a" + ".b" * 1900, "a" + "[0]" * 1300, "a[99999999999999999999]", "a IN (" + ":v," * 900 + ":v)", "a BETWEEN :v AND" * 200,
    "SET a = " + "if_not_exists(a, " * 220 + ":v" + ")" * 220, "SET " + ", ".join(f"a{n} = :v" for n in range(350)), "SET a = a " + "+ :v " * 700, "SET a = list_append(" * 150,
    "REMOVE " + ", ".join(f"l[{n}]" for n in range(500)), "ADD " * 900, "SET SET", "a, " * 1300 + "a", "#n" * 1500, ":v" * 1500, ",", "\x00", "\U0001f600", " " * 4097, "x" * 4097, "\t\n", "a = = b", "'quoted'", "a--b",
    "SELECT " * 500, "SELECT * FROM " + "(" * 4000, "SELECT * FROM hostile WHERE " + "(" * 2000 + "pk = 'a'" + ")" * 2000, "SELECT * FROM hostile WHERE " + "NOT " * 1500 + "pk = 'a'", "SELECT a" + ".b" * 2000 + " FROM hostile", "INSERT INTO hostile VALUE " + "{'a':" * 1500, "UPDATE hostile SET a = " + "[" * 3000,
]  # fmt: skip


@st.composite
def hostile(draw: st.DrawFn) -> tuple[str, bytes]:
    """Return an operation and a body with something bad in it."""
    operation, params = draw(st.sampled_from(VALID))
    raw: dict[str, bytes] = {}
    for number in range(draw(st.integers(1, 2))):
        where = draw(st.sampled_from([place for place in places(params) if place]))
        if where[-1] in ("Statement", *[name for name in where if str(name).endswith("Expression")]):
            bad: Any = draw(st.sampled_from(BOMBS) | st.text(max_size=40))
        else:
            bad = f"@@{number}@@"
            raw[json.dumps(bad)] = draw(st.sampled_from(RAW))
        params = put(params, where, bad)
    body = json.dumps(params, ensure_ascii=False).encode("utf-8", "surrogatepass")
    for mark, piece in raw.items():
        body = body.replace(mark.encode(), piece)
    return operation, body


def answer(server: Server, operation: str, body: bytes) -> tuple[int, bytes]:
    """Return the status and the body of an answer that comes within seconds."""
    sent = dynamodb(operation, {})
    headers = {**sent.headers, "Host": "localhost", "Content-Length": str(len(body)), "Connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", server.port), timeout=8) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    return int(received.split(b" ", 2)[1]), received.partition(b"\r\n\r\n")[2]


@pytest.fixture(scope="module")
def besieged(server: Server) -> Server:
    """The server, with a table for hostile requests, and one item that none of them names."""
    client = server.client("dynamodb")
    client.create_table(
        TableName="hostile",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.put_item(TableName="hostile", Item={"pk": {"S": "untouched"}, "n": {"N": "42"}})
    return server


@pytest.mark.slow
@given(request=hostile())
@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
def test_hostile_requests(besieged: Server, request: tuple[str, bytes]) -> None:
    status, body = answer(besieged, *request)
    assert status < 500, body
    assert status == 200 or b"__type" in body
    kept = besieged.client("dynamodb").get_item(TableName="hostile", Key={"pk": {"S": "untouched"}})
    assert kept["Item"] == {"pk": {"S": "untouched"}, "n": {"N": "42"}}


@pytest.mark.slow
@pytest.mark.parametrize("bomb", range(len(BOMBS)))
def test_expression_bombs(besieged: Server, bomb: int) -> None:
    for operation, params in VALID:
        for name in params:
            if name.endswith("Expression") or name == "Statement":
                status, body = answer(besieged, operation, json.dumps({**params, name: BOMBS[bomb]}).encode())
                assert status < 500, (operation, name, body)


FRAGMENTS = st.sampled_from(
    [*"()[].,+-=<>#:", "a", "#n", ":v", "size", "contains", "attribute_exists", "if_not_exists", "list_append", " AND ", " OR ", "NOT ", " IN ", " BETWEEN ", "SET ", "REMOVE ", " ADD ", "DELETE ", "0", "99999999999", "\x00", "é", " "]
)  # fmt: skip


@given(text=st.lists(FRAGMENTS, max_size=60).map("".join))
@example(text="a" + "[0]" * 1300)
@settings(max_examples=300, deadline=None)
def test_parsers_raise_nothing_but_what_aws_says(text: str) -> None:
    for bind in (
        lambda given: bind_condition(text, "ConditionExpression", given)({"a": {"L": []}, "n": {"N": "1"}}),
        lambda given: bind_update(text, given).apply({"a": {"L": []}, "n": {"N": "1"}}),
        lambda given: bind_projection(text, given),
    ):
        try:
            bind(Placeholders(NAMES, VALUES))
        except ServiceError as error:
            assert error.code == "ValidationException"
