"""Transactions through boto3: what they do, what they refuse, and that concurrent ones really conflict."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

TABLE = "transacted"


@pytest.fixture(scope="module")
def ddb(server: Any) -> Any:
    """A client with a table of partition key `pk`."""
    client = server.client("dynamodb")
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return client


def put(name: str, **more: Any) -> dict[str, Any]:
    return {"Put": {"TableName": TABLE, "Item": {"pk": {"S": name}}, **more}}


def get(name: str) -> dict[str, Any]:
    return {"Get": {"TableName": TABLE, "Key": {"pk": {"S": name}}}}


def error_of(call: Callable[..., Any], **params: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as error:
        call(**params)
    return dict(error.value.response)


def test_a_transaction_happens_as_a_whole(ddb: Any) -> None:
    ddb.transact_write_items(TransactItems=[put("a"), put("b")])
    both = ddb.transact_get_items(TransactItems=[get("b"), get("nobody"), get("a")])["Responses"]
    assert both == [{"Item": {"pk": {"S": "b"}}}, {}, {"Item": {"pk": {"S": "a"}}}]
    response = error_of(
        ddb.transact_write_items,
        TransactItems=[put("c"), put("a", ConditionExpression="attribute_not_exists(pk)")],
    )
    assert response["Error"] == {
        "Code": "TransactionCanceledException",
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons "
        "[None, ConditionalCheckFailed]",
    }
    assert response["CancellationReasons"] == [
        {"Code": "None"},
        {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"},
    ]
    assert "Item" not in ddb.get_item(TableName=TABLE, Key={"pk": {"S": "c"}})


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (
            [],
            "1 validation error detected: Value '[]' at 'transactItems' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
        ),
        ([put("a"), put("a")], "Transaction request cannot include multiple operations on one item"),
    ],
)
def test_bad_writes(ddb: Any, actions: list[Any], message: str) -> None:
    error = error_of(ddb.transact_write_items, TransactItems=actions)["Error"]
    assert error == {"Code": "ValidationException", "Message": message}


def test_bad_reads(ddb: Any) -> None:
    error = error_of(ddb.transact_get_items, TransactItems=[get("a"), get("a")])["Error"]
    assert error == {
        "Code": "ValidationException",
        "Message": "Transaction request cannot include multiple operations on one item",
    }


def test_a_token_for_something_else(ddb: Any) -> None:
    ddb.transact_write_items(TransactItems=[put("t")], ClientRequestToken="once")
    ddb.transact_write_items(TransactItems=[put("t")], ClientRequestToken="once")
    error = error_of(ddb.transact_write_items, TransactItems=[put("u")], ClientRequestToken="once")["Error"]
    assert error["Code"] == "IdempotentParameterMismatchException"


@pytest.mark.slow
def test_concurrent_transactions_conflict_or_happen(server: Any, ddb: Any) -> None:
    ddb.put_item(TableName=TABLE, Item={"pk": {"S": "counter"}, "n": {"N": "0"}})
    increment = {
        "Update": {
            "TableName": TABLE,
            "Key": {"pk": {"S": "counter"}},
            "UpdateExpression": "SET n = n + :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
    }

    def add(thread: int) -> list[str]:
        client = server.client("dynamodb")
        outcomes = []
        for _ in range(25):
            try:
                client.transact_write_items(TransactItems=[increment, put(f"of {thread}")])
                outcomes.append("done")
            except ClientError as error:
                outcomes.append(", ".join(reason["Code"] for reason in error.response["CancellationReasons"]))
        return outcomes

    with ThreadPoolExecutor(8) as pool:
        outcomes = [outcome for outcomes in pool.map(add, range(8)) for outcome in outcomes]
    assert set(outcomes) <= {"done", "TransactionConflict, None"}
    counted = ddb.get_item(TableName=TABLE, Key={"pk": {"S": "counter"}}, ConsistentRead=True)["Item"]["n"]["N"]
    assert int(counted) == outcomes.count("done") > 0
