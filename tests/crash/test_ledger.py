"""The accounts that the crash tests keep can tell what is wrong: each kind of damage, done on purpose, is found."""

import time
from collections.abc import Callable
from typing import Any

import pytest

import ledger
from patience import PATIENCE_S
from running import Server

pytestmark = pytest.mark.slow


def first(outcomes: dict[Any, ledger.Outcome]) -> Any:
    return next(key for key, outcome in outcomes.items() if outcome == "done")


def test_what_is_damaged_is_found(server: Server) -> None:
    dynamodb = ledger.connect(server.endpoint)
    ledger.make_table(dynamodb)
    client = ledger.Client(server.endpoint, 0, seed=7)
    client.start()
    deadline = time.monotonic() + PATIENCE_S
    while client.done < 120:
        assert time.monotonic() < deadline, f"{client.done} calls were acknowledged"
        time.sleep(0.02)  # real time: the client works in its own thread
    client.stop()
    client.join(30)
    ledger.check(server.endpoint, [client])

    def delete(pk: str) -> Any:
        key = {"pk": {"S": pk}}
        return dynamodb.delete_item(TableName=ledger.TABLE, Key=key, ReturnValues="ALL_OLD")["Attributes"]

    def change(pk: str, update: str, value: dict[str, Any]) -> Any:
        before = dynamodb.get_item(TableName=ledger.TABLE, Key={"pk": {"S": pk}})["Item"]
        dynamodb.update_item(
            TableName=ledger.TABLE,
            Key={"pk": {"S": pk}},
            UpdateExpression=update,
            ExpressionAttributeValues={":v": value},
        )
        return before

    token = next((pk, token) for pk, token, outcome in client.tokens if outcome == "done")
    damages: dict[str, Callable[[], Any]] = {
        "is gone": lambda: delete(first(client.puts)),
        "additions were acknowledged": lambda: change("add-0", "ADD n :v", {"N": "1"}),
        "without anybody's doing": lambda: change("count-0", "ADD n :v", {"N": "1"}),
        "twice": lambda: change(token[0], "SET l = list_append(l, :v)", {"L": [{"S": token[1]}]}),
        "half of the transaction": lambda: delete(f"pair-b-{first(client.pairs)}"),
        "sum": lambda: change("account-0", "ADD balance :v", {"N": "1"}),
    }
    for words, damage in damages.items():
        before = damage()
        with pytest.raises(AssertionError, match=words):
            ledger.check(server.endpoint, [client])
        dynamodb.put_item(TableName=ledger.TABLE, Item=before)
    ledger.check(server.endpoint, [client])
    client.versions[10**9] = "done"
    with pytest.raises(AssertionError, match="is not in the stream"):
        ledger.check(server.endpoint, [client])
    client.puts["put-0-1000000000"] = "done"
    with pytest.raises(AssertionError, match="is gone"):
        ledger.check(server.endpoint, [client])
