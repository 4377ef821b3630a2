"""kill -9 of the whole server: every acknowledged write is there again, the stream tells of each in order, what goes in
steps goes on, and no process stays behind.
"""

import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def read_stream(server: Server) -> dict[str, list[dict[str, Any]]]:
    """Return the images that the table's stream tells of, in its order, by their partition key."""
    streams = server.client("dynamodbstreams")
    told: dict[str, list[dict[str, Any]]] = {}
    arn = streams.list_streams(TableName="crash")["Streams"][0]["StreamArn"]
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        place = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = streams.get_shard_iterator(**place)["ShardIterator"]
        while (page := streams.get_records(ShardIterator=iterator))["Records"]:
            for record in page["Records"]:
                image = record["dynamodb"]["NewImage"]
                told.setdefault(image["pk"]["S"], []).append(image)
            iterator = page["NextShardIterator"]
    return told


def index(name: str, hash_name: str, range_name: str) -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": [
            {"AttributeName": hash_name, "KeyType": "HASH"},
            {"AttributeName": range_name, "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "ALL"},
    }


def scan(dynamodb: Any, **index_name: str) -> list[dict[str, Any]]:
    pages = dynamodb.get_paginator("scan").paginate(TableName="crash", **index_name)
    return [item for page in pages for item in page["Items"]]


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
            {"AttributeName": "hits", "AttributeType": "N"},
        ],
        # Each increment moves the counter's entries from one place to another.
        LocalSecondaryIndexes=[index("local", "pk", "hits")],
        GlobalSecondaryIndexes=[index("global", "hits", "sk")],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
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
        counters = [item for item in scan(dynamodb) if "hits" in item]
        for name in ("local", "global"):
            entries = sorted(scan(dynamodb, IndexName=name), key=str)
            assert entries == sorted(counters, key=str), f"kill {number_of_kills}: the index {name} tells another story"
        told = read_stream(server)
        for number in range(WRITERS):
            places = [int(image["sk"]["N"]) for image in told.get(f"writer-{number}", ())]
            assert places == sorted(acknowledged[number]), f"kill {number_of_kills}: the stream tells another story"
            hits_told = [int(image["hits"]["N"]) for image in told.get(f"counter-{number}", ())]
            assert hits_told == list(range(1, increments[number] + 1))
    assert sum(len(found) for found in acknowledged.values()) > 0
    assert server.stop() == 0


def test_a_restore_goes_on_after_kill_9(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data")
    dynamodb = server.client("dynamodb")
    dynamodb.create_table(
        TableName="source",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    count = 3000
    for first in range(0, count, 25):
        puts = [{"PutRequest": {"Item": {"pk": {"S": str(place)}}}} for place in range(first, first + 25)]
        dynamodb.batch_write_item(RequestItems={"source": puts})
    backup = dynamodb.create_backup(TableName="source", BackupName="before")["BackupDetails"]["BackupArn"]
    server.kill()
    server = start_server(tmp_path / "data")
    dynamodb = server.client("dynamodb")
    wait_for(lambda: status_of(dynamodb, backup) == "AVAILABLE")
    dynamodb.restore_table_from_backup(TargetTableName="target", BackupArn=backup)
    server.kill()
    server = start_server(tmp_path / "data")
    dynamodb = server.client("dynamodb")
    wait_for(lambda: dynamodb.describe_table(TableName="target")["Table"]["TableStatus"] == "ACTIVE")
    assert dynamodb.scan(TableName="target", Select="COUNT")["Count"] == count
    dynamodb.delete_backup(BackupArn=backup)
    dynamodb.delete_table(TableName="source")
    assert server.stop() == 0


def status_of(dynamodb: Any, backup: str) -> str:
    """Return the status of a backup."""
    return str(dynamodb.describe_backup(BackupArn=backup)["BackupDescription"]["BackupDetails"]["BackupStatus"])


def wait_for(condition: Callable[[], bool]) -> None:
    """Return when the condition holds."""
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)
