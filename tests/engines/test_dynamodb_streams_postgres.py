"""Streams over PostgreSQL: whatever two nodes write at once, no reader misses a record or sees an item out of order."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from cumulet.services.dynamodb.streams import STREAMS, Stream
from cumulet.store.postgres import open_postgres
from harness import SCOPE, House
from postgres import Cluster

pytestmark = pytest.mark.slow

PARTITIONS = ("a", "b", "c", "d")
WRITES = 15


@pytest.fixture
async def nodes(postgres: Cluster) -> AsyncIterator[list[House]]:
    """Two nodes over one database, with a table whose changes are streamed."""
    database = postgres.new_database()
    stores: list[Any] = [open_postgres(postgres.local_url(database)) for _ in range(2)]
    houses = [
        House("dynamodb", "dynamodbstreams", store=store, node_id=f"node-{number}")
        for number, store in enumerate(stores)
    ]
    await houses[0].call(
        "dynamodb",
        "CreateTable",
        {
            "TableName": "tab",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        },
    )
    yield houses
    for store in stores:
        await store.close()


async def the_stream(house: House) -> Stream:
    (stream,) = await house.store.read(lambda tx: list(STREAMS.scan(tx, SCOPE)))
    return stream


async def test_a_reader_sees_every_change_of_each_item_in_order(nodes: list[House]) -> None:
    written = asyncio.Event()
    stream = await the_stream(nodes[0])
    arn = f"arn:aws:dynamodb:us-east-1:{SCOPE.account}:table/tab/stream/{stream.label}"

    async def write(pk: str, house: House) -> None:
        for _ in range(WRITES):
            params = {
                "TableName": "tab",
                "Key": {"pk": {"S": pk}},
                "UpdateExpression": "ADD hits :one",
                "ExpressionAttributeValues": {":one": {"N": "1"}},
            }
            await house.call("dynamodb", "UpdateItem", params)

    async def follow(house: House) -> dict[str, list[int]]:
        place = {"StreamArn": arn, "ShardId": stream.shard_id(0), "ShardIteratorType": "TRIM_HORIZON"}
        iterator = (await house.call("dynamodbstreams", "GetShardIterator", place))["ShardIterator"]
        told: dict[str, list[int]] = {}
        while True:
            ended = written.is_set()
            answer = await house.call("dynamodbstreams", "GetRecords", {"ShardIterator": iterator})
            page: Any = msgspec.json.decode(msgspec.json.encode(answer))
            for record in page["Records"]:
                image = record["dynamodb"]["NewImage"]
                told.setdefault(image["pk"]["S"], []).append(int(image["hits"]["N"]))
            if ended and not page["Records"]:
                return told
            iterator = page["NextShardIterator"]

    readers = [asyncio.ensure_future(follow(house)) for house in nodes]
    # Each item is written by both nodes.
    await asyncio.gather(*[write(pk, house) for pk in PARTITIONS for house in nodes])
    written.set()
    expected = {pk: list(range(1, 2 * WRITES + 1)) for pk in PARTITIONS}
    assert await asyncio.gather(*readers) == [expected, expected]
