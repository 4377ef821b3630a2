"""Transactions: all or nothing, the reasons of what was cancelled, tokens, and what concurrent requests see."""

import asyncio
from typing import Any

import msgspec
import pytest

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.capacity import Units
from cumulet.services.dynamodb.core.limits import TOKEN_MS
from cumulet.services.dynamodb.transactions import (
    TransactionsUnderWay,
    find_done,
    has_old_tokens,
    save_done,
    sweep_tokens,
)
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import DDB_EXPIRING_TOKEN, DDB_TRANSACTION_TOKEN
from cumulet.store.memory import MemoryStore
from harness import SCOPE, House


def key(number: int) -> dict[str, Any]:
    return {"pk": {"S": "p"}, "sk": {"S": str(number)}}


def item(number: int, **more: Any) -> dict[str, Any]:
    return {**key(number), **more}


def put(number: int, **more: Any) -> dict[str, Any]:
    return {"Put": {"TableName": "notes", "Item": item(number), **more}}


def delete(number: int, **more: Any) -> dict[str, Any]:
    return {"Delete": {"TableName": "notes", "Key": key(number), **more}}


def update(number: int, expression: str, **more: Any) -> dict[str, Any]:
    return {"Update": {"TableName": "notes", "Key": key(number), "UpdateExpression": expression, **more}}


def check(number: int, condition: str) -> dict[str, Any]:
    return {"ConditionCheck": {"TableName": "notes", "Key": key(number), "ConditionExpression": condition}}


def get(number: int, **more: Any) -> dict[str, Any]:
    return {"Get": {"TableName": "notes", "Key": key(number), **more}}


THERE, NOT_THERE = "attribute_exists(pk)", "attribute_not_exists(pk)"


async def all_items(ddb: Any) -> list[Any]:
    return list((await ddb("Scan", TableName="notes"))["Items"])


async def reasons(call: Any) -> tuple[str, list[Any]]:
    with pytest.raises(ServiceError) as error:
        await call
    assert error.value.code == "TransactionCanceledException"
    found = msgspec.json.decode(msgspec.json.encode(error.value.fields["CancellationReasons"]))
    codes = ", ".join(reason["Code"] for reason in found)
    assert error.value.message == (
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    )
    return codes, found


async def test_all_of_it(notes: Any) -> None:
    for number in (2, 3, 4):
        await notes("PutItem", TableName="notes", Item=item(number))
    one = {":one": {"N": "1"}}
    output = await notes(
        "TransactWriteItems",
        TransactItems=[
            put(1, ConditionExpression=NOT_THERE),
            update(2, "SET n = :one", ExpressionAttributeValues=one),
            delete(3, ConditionExpression=THERE),
            check(4, THERE),
        ],
    )
    assert output == {}
    assert await all_items(notes) == [item(1), item(2, n={"N": "1"}), item(4)]


async def test_or_nothing(notes: Any) -> None:
    await notes("PutItem", TableName="notes", Item=item(2, n={"N": "1"}))
    before = await all_items(notes)
    codes, found = await reasons(
        notes(
            "TransactWriteItems",
            TransactItems=[
                put(1),
                put(2, ConditionExpression=NOT_THERE, ReturnValuesOnConditionCheckFailure="ALL_OLD"),
                check(3, THERE),
                delete(4),
            ],
        )
    )
    assert codes == "None, ConditionalCheckFailed, ConditionalCheckFailed, None"
    assert found == [
        {"Code": "None"},
        {
            "Code": "ConditionalCheckFailed",
            "Message": "The conditional request failed",
            "Item": item(2, n={"N": "1"}),
        },
        {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"},
        {"Code": "None"},
    ]
    assert await all_items(notes) == before


async def test_what_an_item_refuses_is_a_reason_beside_others(notes: Any) -> None:
    await notes("PutItem", TableName="notes", Item=item(1, n={"S": "text"}))
    codes, found = await reasons(
        notes(
            "TransactWriteItems",
            TransactItems=[
                update(1, "SET n = n + :one", ExpressionAttributeValues={":one": {"N": "1"}}),
                check(2, THERE),
            ],
        )
    )
    assert codes == "ValidationError, ConditionalCheckFailed"
    assert found[0]["Message"] == "An operand in the update expression has an incorrect data type"


async def test_the_first_misfit_of_keys_is_the_only_reason(notes: Any) -> None:
    wrong = {"Put": {"TableName": "notes", "Item": {"pk": {"N": "1"}, "sk": {"S": "a"}}}}
    codes, found = await reasons(notes("TransactWriteItems", TransactItems=[check(1, THERE), wrong, wrong]))
    assert codes == "None, ValidationError, None"
    assert found[1]["Message"] == (
        "One or more parameter values were invalid: Type mismatch for key pk expected: S actual: N"
    )
    codes, found = await reasons(
        notes("TransactGetItems", TransactItems=[get(1), {"Get": {"TableName": "notes", "Key": {}}}])
    )
    assert codes == "None, ValidationError"
    assert found[1]["Message"] == "The provided key element does not match the schema"


BIG = {"S": "x" * 390_000}
VALIDATION = "ValidationException"
REFUSED: dict[str, tuple[list[Any], str, str]] = {
    "two actions in one": (
        [{**put(1), **delete(1)}],
        VALIDATION,
        "TransactItems can only contain one of Check, Put, Update or Delete",
    ),
    "no action": ([{}], VALIDATION, "TransactItems can only contain one of Check, Put, Update or Delete"),
    "an item twice": (
        [put(1), delete(1)],
        VALIDATION,
        "Transaction request cannot include multiple operations on one item",
    ),
    "more than 4 MB": (
        [{"Put": {"TableName": "notes", "Item": item(number, big=BIG)}} for number in range(11)],
        VALIDATION,
        "Transaction payload size cannot exceed 4 MB",
    ),
    "a bad expression comes before a missing table": (
        [{"Delete": {"TableName": "nowhere", "Key": key(1)}}, put(1, ConditionExpression="!")],
        VALIDATION,
        'Invalid ConditionExpression: Syntax error; token: "!", near: "!"',
    ),
    "an unused value": (
        [put(1, ConditionExpression=THERE, ExpressionAttributeValues={":v": {"S": "a"}})],
        VALIDATION,
        "Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}",
    ),
    "a missing table comes before a bad key": (
        [{"Put": {"TableName": "notes", "Item": {}}}, {"Delete": {"TableName": "nowhere", "Key": key(1)}}],
        "ResourceNotFoundException",
        "Requested resource not found",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_refused_as_a_whole(notes: Any, refused: Any, case: str) -> None:
    actions, code, message = REFUSED[case]
    assert await refused(notes("TransactWriteItems", TransactItems=actions)) == (code, message)
    assert await all_items(notes) == []


async def test_reading_at_one_moment(notes: Any, refused: Any) -> None:
    await notes("PutItem", TableName="notes", Item=item(1, n={"N": "1"}, m={"M": {"a": {"S": "b"}, "c": {"S": "d"}}}))
    output = await notes(
        "TransactGetItems",
        TransactItems=[get(2), get(1, ProjectionExpression="#m.a", ExpressionAttributeNames={"#m": "m"})],
    )
    assert output == {"Responses": [{}, {"Item": {"m": {"M": {"a": {"S": "b"}}}}}]}
    twice = notes("TransactGetItems", TransactItems=[get(1), get(1)])
    assert await refused(twice) == (VALIDATION, "Transaction request cannot include multiple operations on one item")


async def test_capacity_is_doubled(notes: Any) -> None:
    await notes("PutItem", TableName="notes", Item=item(1, s={"S": "x" * 1500}))
    written = await notes(
        "TransactWriteItems", TransactItems=[delete(1), put(2), check(3, NOT_THERE)], ReturnConsumedCapacity="INDEXES"
    )
    whole = {"CapacityUnits": 8.0, "WriteCapacityUnits": 8.0}
    assert written == {"ConsumedCapacity": [{"TableName": "notes", **whole, "Table": whole}]}
    read = await notes("TransactGetItems", TransactItems=[get(1), get(2)], ReturnConsumedCapacity="TOTAL")
    assert read["ConsumedCapacity"] == [{"TableName": "notes", "CapacityUnits": 4.0, "ReadCapacityUnits": 4.0}]


async def test_a_token_happens_once(ddb: Any, refused: Any) -> None:
    house = House("dynamodb")

    async def call(operation: str, **params: Any) -> Any:
        return msgspec.json.decode(msgspec.json.encode(await house.call("dynamodb", operation, params)))

    await call(
        "CreateTable",
        TableName="notes",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    one = {":one": {"N": "1"}}
    request = {
        "TransactItems": [update(1, "ADD n :one", ExpressionAttributeValues=one)],
        "ClientRequestToken": "t",
        "ReturnConsumedCapacity": "TOTAL",
    }
    first, again = await call("TransactWriteItems", **request), await call("TransactWriteItems", **request)
    assert first["ConsumedCapacity"] == [{"TableName": "notes", "CapacityUnits": 2.0, "WriteCapacityUnits": 2.0}]
    assert again["ConsumedCapacity"] == [{"TableName": "notes", "CapacityUnits": 2.0, "ReadCapacityUnits": 2.0}]
    assert await all_items(call) == [item(1, n={"N": "1"})]

    other = call("TransactWriteItems", TransactItems=[put(2)], ClientRequestToken="t")
    assert (await refused(other))[0] == "IdempotentParameterMismatchException"

    house.clock.advance(TOKEN_MS / 1000)
    await call("TransactWriteItems", **request)
    assert await all_items(call) == [item(1, n={"N": "2"})]


async def test_a_token_of_what_was_cancelled_is_free(notes: Any) -> None:
    await reasons(notes("TransactWriteItems", TransactItems=[check(1, THERE)], ClientRequestToken="t"))
    assert await notes("TransactWriteItems", TransactItems=[put(1)], ClientRequestToken="t") == {}


async def test_tokens_are_forgotten() -> None:
    store = MemoryStore()

    def save(tx: WriteTx) -> None:
        save_done(tx, SCOPE, "old", b"a", 0, {"notes": Units(2.0)})
        save_done(tx, SCOPE, "used anew", b"a", 0, {})
        save_done(tx, SCOPE, "used anew", b"b", TOKEN_MS, {})

    def left(tx: ReadTx) -> tuple[bool, bool, int]:
        return (
            tx.get(DDB_TRANSACTION_TOKEN.key(SCOPE, "old")) is not None,
            find_done(tx, SCOPE, "used anew", b"b", TOKEN_MS) is not None,
            len(list(tx.scan(*DDB_EXPIRING_TOKEN.range(("", ""))))),  # type: ignore[arg-type]
        )

    await store.write(save)
    assert not await store.read(lambda tx: has_old_tokens(tx, TOKEN_MS - 1))
    await store.write(lambda tx: sweep_tokens(tx, TOKEN_MS - 1))
    assert await store.read(left) == (True, True, 3)
    assert await store.read(lambda tx: has_old_tokens(tx, TOKEN_MS))
    await store.write(lambda tx: sweep_tokens(tx, TOKEN_MS))
    assert await store.read(left) == (False, True, 1)
    assert not await store.read(lambda tx: has_old_tokens(tx, TOKEN_MS))


def test_who_holds_what() -> None:
    under_way = TransactionsUnderWay()
    assert under_way.hold([b"a", b"b"], "one") == [True, True]
    assert under_way.hold([b"a", b"b"], "one") == [True, True], "a body may run twice"
    assert under_way.hold([b"b", b"c"], "two") == [False, True]
    under_way.check_free(b"a", "one")
    with pytest.raises(ServiceError, match="TransactionConflictException: Transaction is ongoing for the item"):
        under_way.check_free(b"a", "two")
    under_way.release(SCOPE, None, "two")
    assert [under_way.is_held(place) for place in (b"a", b"b", b"c")] == [True, True, False]
    under_way.hold_token(SCOPE, "t", "one")
    with pytest.raises(ServiceError, match="TransactionInProgressException"):
        under_way.hold_token(SCOPE, "t", "two")
    under_way.release(SCOPE, "t", "two")
    under_way.release(SCOPE, "t", "one")
    under_way.hold_token(SCOPE, "t", "two")
    assert not under_way.is_held(b"a")


class SlowStore(MemoryStore):
    """A store whose commits wait until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.committing = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def write(self, fn: Any) -> Any:
        done = await super().write(fn)
        self.committing.set()
        await self.go_on.wait()
        return done


@pytest.fixture
async def slow() -> Any:
    """Return a house with a table, whose next transactions stay under way until `store.go_on` is set."""
    house = House("dynamodb")
    house.store = house.dispatcher._store = store = SlowStore()
    await house.call(
        "dynamodb",
        "CreateTable",
        {
            "TableName": "notes",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
        },
    )
    store.committing.clear()
    store.go_on.clear()
    return house


CONCURRENT: dict[str, tuple[str, dict[str, Any], str]] = {
    "PutItem": ("PutItem", {"TableName": "notes", "Item": item(1)}, "TransactionConflictException"),
    "UpdateItem": ("UpdateItem", {"TableName": "notes", "Key": key(1)}, "TransactionConflictException"),
    "DeleteItem": ("DeleteItem", {"TableName": "notes", "Key": key(1)}, "TransactionConflictException"),
    "TransactWriteItems": ("TransactWriteItems", {"TransactItems": [put(2), put(1)]}, "[None, TransactionConflict]"),
    "TransactGetItems": ("TransactGetItems", {"TransactItems": [get(1), get(2)]}, "[TransactionConflict, None]"),
    "the same token": (
        "TransactWriteItems",
        {"TransactItems": [put(3)], "ClientRequestToken": "t"},
        "TransactionInProgressException",
    ),
}


@pytest.mark.parametrize("case", CONCURRENT)
async def test_concurrent_requests_for_an_item_of_a_transaction(slow: House, case: str) -> None:
    operation, params, expected = CONCURRENT[case]
    request = {"TransactItems": [put(1)], "ClientRequestToken": "t"}
    under_way = asyncio.ensure_future(slow.call("dynamodb", "TransactWriteItems", request))
    store: Any = slow.store
    await asyncio.wait_for(store.committing.wait(), 10)
    with pytest.raises(ServiceError) as error:
        await slow.call("dynamodb", operation, params)
    assert expected in str(error.value)
    store.go_on.set()
    await under_way
    if "ClientRequestToken" not in params:
        await slow.call("dynamodb", operation, params)


async def test_other_items_are_free_meanwhile(slow: House) -> None:
    under_way = asyncio.ensure_future(slow.call("dynamodb", "TransactWriteItems", {"TransactItems": [put(1)]}))
    store: Any = slow.store
    await asyncio.wait_for(store.committing.wait(), 10)
    other = asyncio.ensure_future(slow.call("dynamodb", "PutItem", {"TableName": "notes", "Item": item(2)}))
    read = await slow.call("dynamodb", "GetItem", {"TableName": "notes", "Key": key(1)})
    assert "Item" in read
    store.go_on.set()
    await asyncio.gather(under_way, other)


async def test_of_a_deletion_the_condition_is_read_before_a_key_that_is_too_deep(notes: Any, refused: Any) -> None:
    deep: dict[str, Any] = {"S": "leaf"}
    for _ in range(33):
        deep = {"M": {"n": deep}}
    key = {"pk": {"S": "a"}, "sk": deep}
    delete = {"TableName": "notes", "Key": key, "ConditionExpression": "a ="}
    syntax = ("ValidationException", 'Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "="')
    assert await refused(notes("TransactWriteItems", TransactItems=[{"Delete": delete}])) == syntax
    sound = {**delete, "ConditionExpression": "attribute_exists(a)"}
    for call in (notes("TransactWriteItems", TransactItems=[{"Delete": sound}]), notes("DeleteItem", **delete)):
        code, message = await refused(call)
        assert (code, message[:44]) == ("ValidationException", "Nesting Levels have exceeded supported limit"), message
