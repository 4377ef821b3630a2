"""A DynamoDB over the memory store, called by operation name; answers come as their JSON would read."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from cumulet.errors import ServiceError
from harness import House

Ddb = Callable[..., Awaitable[Any]]


@pytest.fixture
def ddb() -> Ddb:
    """Return an async function (operation, **params) -> the answer, decoded from its JSON."""
    house = House("dynamodb")

    async def call(operation: str, **params: Any) -> Any:
        return msgspec.json.decode(msgspec.json.encode(await house.call("dynamodb", operation, params)))

    return call


@pytest.fixture
async def notes(ddb: Ddb) -> Ddb:
    """Return `ddb` with a table "notes" of partition key pk (S) and sort key sk (S), billed on demand."""
    await ddb(
        "CreateTable",
        TableName="notes",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    return ddb


@pytest.fixture
def refused() -> Callable[[Awaitable[Any]], Awaitable[tuple[str, str]]]:
    """Return an async function from a call to the (code, message) with which it is refused."""

    async def expect(call: Awaitable[Any]) -> tuple[str, str]:
        with pytest.raises(ServiceError) as error:
            await call
        return error.value.code, error.value.message

    return expect
