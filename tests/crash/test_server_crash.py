"""kill -9 of the whole server under load: every acknowledged write is there again, and no process stays behind."""

import os
import random
import threading
import time
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from running import Server, start_server

ROUNDS = max(1, int(os.environ.get("CUMULET_CRASH_ROUNDS", "3")) // 10 or 3)
WRITERS = 4
pytestmark = pytest.mark.slow


class Writer(threading.Thread):
    """Puts items and increments a counter, one call at a time, until the server is gone."""

    def __init__(self, server: Server, number: int, start: int) -> None:
        super().__init__(daemon=True)
        self._dynamodb = server.client("dynamodb")
        self._number = number
        self.acknowledged: list[int] = []
        self.increments = 0
        self._next = start

    def run(self) -> None:
        while True:
            try:
                self._dynamodb.put_item(
                    TableName="crash",
                    Item={
                        "pk": {"S": f"writer-{self._number}"},
                        "sk": {"N": str(self._next)},
                        "value": {"S": "x" * 300},
                    },
                    ConditionExpression="attribute_not_exists(pk)",
                )
                self.acknowledged.append(self._next)
                self._next += 1
                self._dynamodb.update_item(
                    TableName="crash",
                    Key={"pk": {"S": f"counter-{self._number}"}, "sk": {"N": "0"}},
                    UpdateExpression="ADD hits :one",
                    ExpressionAttributeValues={":one": {"N": "1"}},
                )
                self.increments += 1
            except (BotoCoreError, ClientError):
                return


def test_every_acknowledged_write_survives_kill_9(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    acknowledged: dict[int, set[int]] = {number: set() for number in range(WRITERS)}
    increments = dict.fromkeys(range(WRITERS), 0)
    server = start_server(tmp_path / "data")
    server.client("dynamodb").create_table(
        TableName="crash",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for number_of_kills in range(1, ROUNDS + 1):
        writers = [Writer(server, number, len(acknowledged[number])) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        time.sleep(chance.uniform(0.2, 0.8))
        server.kill()
        for writer in writers:
            writer.join(20)
            assert not writer.is_alive()
        server = start_server(tmp_path / "data")
        dynamodb = server.client("dynamodb")
        for number, writer in enumerate(writers):
            acknowledged[number].update(writer.acknowledged)
            increments[number] += writer.increments
            pages = dynamodb.get_paginator("query").paginate(
                TableName="crash",
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": f"writer-{number}"}},
            )
            found = {int(item["sk"]["N"]) for page in pages for item in page["Items"]}
            assert acknowledged[number] <= found, f"kill {number_of_kills}: acknowledged writes are gone"
            # One call per writer may have been carried out without its answer having arrived.
            assert len(found - acknowledged[number]) <= 1, f"kill {number_of_kills}: writes that nobody made"
            acknowledged[number] = found
            key = {"pk": {"S": f"counter-{number}"}, "sk": {"N": "0"}}
            item = dynamodb.get_item(TableName="crash", Key=key, ConsistentRead=True).get("Item")
            hits = int(item["hits"]["N"]) if item else 0
            assert increments[number] <= hits <= increments[number] + 1
            increments[number] = hits
    assert sum(len(found) for found in acknowledged.values()) > 0
    assert server.stop() == 0
