"""DynamoDB with its streams over the memory store: tables, what their streams tell, and the sweeps.

tables = Tables()
arn = await tables.create("notes", "NEW_IMAGE")
await tables("PutItem", TableName="notes", Item={"pk": {"S": "a"}})
assert [record["eventName"] for record in await tables.records(arn)] == ["INSERT"]
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from cumulet.errors import ServiceError
from cumulet.settings import Settings
from harness import House

Answer = dict[str, Any]


class Tables:
    """The services, called by operation name; answers come as their JSON would read."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.house = House("dynamodb", "dynamodbstreams", settings=settings)
        self.clock = self.house.clock
        self.store = self.house.store

    async def __call__(self, operation: str, **params: Any) -> Any:
        service = "dynamodbstreams" if operation in STREAM_OPERATIONS else "dynamodb"
        return msgspec.json.decode(msgspec.json.encode(await self.house.call(service, operation, params)))

    async def create(self, name: str, view: str | None = None, *, sort_key: bool = False, **more: Any) -> str:
        """Make a table of partition key pk (S), and sort key sk (S) if asked for; return the ARN of its stream."""
        names = ["pk", "sk"] if sort_key else ["pk"]
        params: dict[str, Any] = {
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in names],
            "KeySchema": [
                {"AttributeName": key, "KeyType": kind} for key, kind in zip(names, ("HASH", "RANGE"), strict=False)
            ],
        }
        if view is not None:
            params["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": view}
        answer = await self("CreateTable", **{**params, **more})
        return str(answer["TableDescription"].get("LatestStreamArn", ""))

    async def put(self, name: str, pk: str, **attributes: Mapping[str, Any]) -> None:
        """Put an item with this partition key."""
        await self("PutItem", TableName=name, Item={"pk": {"S": pk}, **attributes})

    async def items(self, name: str) -> dict[str, Answer]:
        """Return all items by their partition key."""
        return {item["pk"]["S"]: item for item in (await self("Scan", TableName=name))["Items"]}

    async def shards(self, arn: str) -> list[Answer]:
        """Return a stream's shards."""
        described = (await self("DescribeStream", StreamArn=arn))["StreamDescription"]
        return list(described["Shards"])

    async def iterator(self, arn: str, kind: str = "TRIM_HORIZON", shard: int = 0, **more: Any) -> str:
        """Return an iterator over one of a stream's shards."""
        shard_id = (await self.shards(arn))[shard]["ShardId"]
        answer = await self("GetShardIterator", StreamArn=arn, ShardId=shard_id, ShardIteratorType=kind, **more)
        return str(answer["ShardIterator"])

    async def records(self, arn: str, kind: str = "TRIM_HORIZON", **more: Any) -> list[Answer]:
        """Return everything in all of a stream's shards from a place on."""
        found: list[Answer] = []
        for shard in range(len(await self.shards(arn))):
            iterator: str | None = await self.iterator(arn, kind, shard, **more)
            while iterator is not None:
                page = await self("GetRecords", ShardIterator=iterator)
                if not page["Records"]:
                    break
                found += page["Records"]
                iterator = page.get("NextShardIterator")
        return found


STREAM_OPERATIONS = frozenset(("ListStreams", "DescribeStream", "GetShardIterator", "GetRecords"))


async def refused(call: Any) -> tuple[str, str]:
    """Return the (code, message) with which a call is refused."""
    with pytest.raises(ServiceError) as error:
        await call
    return error.value.code, error.value.message
