"""What an account may have. The numbers are lowered here, and stand in AWS's words as they are."""

from typing import Any

import pytest

from cumulet.services.dynamodb.core import limits
from cumulet.settings import Settings
from harness import House

ASK = "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
DEFINITIONS = [{"AttributeName": "pk", "AttributeType": "S"}]
KEYS = [{"AttributeName": "pk", "KeyType": "HASH"}]


def units(read: int, write: int = 1) -> dict[str, Any]:
    return {"ProvisionedThroughput": {"ReadCapacityUnits": read, "WriteCapacityUnits": write}}


def table(name: str = "tab", **changes: Any) -> dict[str, Any]:
    return {"TableName": name, "AttributeDefinitions": DEFINITIONS, "KeySchema": KEYS, **changes}


def index(**changes: Any) -> dict[str, Any]:
    return {"IndexName": "idx", "KeySchema": KEYS, "Projection": {"ProjectionType": "ALL"}, **changes}


ON_DEMAND = {"BillingMode": "PAY_PER_REQUEST"}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, number in (
        ("TABLES_MAX", 3),
        ("TABLES_CHANGED_AT_ONCE_MAX", 2),
        ("TABLE_UNITS_MAX", 100),
        ("ACCOUNT_UNITS_MAX", 150),
    ):
        monkeypatch.setattr(limits, name, number)


ABOVE_TABLE = f"above the per table maximum for the account in us-east-1. Per table maximum: 100. {ASK}"
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "read units of a table": (units(101), f"The requested ReadCapacityUnits, 101, is {ABOVE_TABLE}"),
    "write units of a table": (units(1, 102), f"The requested WriteCapacityUnits, 102, is {ABOVE_TABLE}"),
    "units of an index": (
        {**units(1), "GlobalSecondaryIndexes": [index(**units(101))]},
        "The requested ReadCapacityUnits for index idx, 101, is above the per index maximum for the account in "
        f"us-east-1. Per index maximum: 100. {ASK}",
    ),
    "units of a table and its indexes": (
        {**units(60), "GlobalSecondaryIndexes": [index(**units(50))]},
        f"The requested ReadCapacityUnits, 110, is {ABOVE_TABLE}",
    ),
    "a limit on demand": (
        {**ON_DEMAND, "OnDemandThroughput": {"MaxReadRequestUnits": 101}},
        "Subscriber limit exceeded: Requested MaxReadRequestUnits for OnDemandThroughput for table exceeds "
        "TableMaxReadCapacityUnits of the account in region us-east-1",
    ),
    "a limit of an index": (
        {**ON_DEMAND, "GlobalSecondaryIndexes": [index(OnDemandThroughput={"MaxWriteRequestUnits": 101})]},
        "Subscriber limit exceeded: Requested MaxWriteRequestUnits for OnDemandThroughput for index : idx exceeds "
        "TableMaxWriteCapacityUnits of the account in region us-east-1",
    ),
    "warmth": (
        {**ON_DEMAND, "WarmThroughput": {"ReadUnitsPerSecond": 12_000}},
        "Subscriber limit exceeded: Requested ReadUnitsPerSecond for WarmThroughput for table exceeds "
        "TableMaxReadCapacityUnits of the account in region us-east-1",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_table_may_have_so_much(ddb: Any, refused: Any, case: str) -> None:
    changes, message = REFUSED[case]
    assert await refused(ddb("CreateTable", **table(**changes))) == ("LimitExceededException", message)
    assert await ddb("ListTables") == {"TableNames": []}


async def test_all_tables_of_an_account_may_have_so_much(ddb: Any, refused: Any) -> None:
    def exceeded(requested: int) -> tuple[str, str]:
        return (
            "LimitExceededException",
            "This request would have caused the ReadCapacityUnits limit to be exceeded for the account in us-east-1. "
            f"Current ReadCapacityUnits reserved by the account: 100. Limit: 150. Requested: {requested}. {ASK}",
        )

    await ddb("CreateTable", **table("one", **units(60)))
    await ddb("CreateTable", **table("two", **units(30), GlobalSecondaryIndexes=[index(**units(10))]))
    assert await refused(ddb("CreateTable", **table("three", **units(51)))) == exceeded(51)
    assert await refused(ddb("UpdateTable", TableName="two", **units(81))) == exceeded(51)
    await ddb("UpdateTable", TableName="two", **units(80))
    # What does not grow is not looked at.
    await ddb("UpdateTable", TableName="one", **units(60, 2))
    await ddb("UpdateTable", TableName="one", **ON_DEMAND)
    await ddb("CreateTable", **table("three", **units(60)))


async def test_what_a_table_has_it_keeps(ddb: Any, refused: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await ddb("CreateTable", **table(**units(90)))
    monkeypatch.setattr(limits, "TABLE_UNITS_MAX", 50)
    monkeypatch.setattr(limits, "ACCOUNT_UNITS_MAX", 50)
    await ddb("UpdateTable", TableName="tab", **units(80, 2))
    code, _ = await refused(ddb("UpdateTable", TableName="tab", **units(81, 2)))
    assert code == "LimitExceededException"


async def test_an_index_may_be_called_as_its_table(ddb: Any, refused: Any) -> None:
    same = {**index(**units(90)), "IndexName": "tab"}
    await ddb("CreateTable", **table(**units(5), GlobalSecondaryIndexes=[same]))
    more = [{"Update": {"IndexName": "tab", **units(101)}}]
    code, message = await refused(ddb("UpdateTable", TableName="tab", GlobalSecondaryIndexUpdates=more))
    assert code == "LimitExceededException"
    assert message.startswith("The requested ReadCapacityUnits for index tab, 101, is above the per index maximum")


async def test_an_account_has_so_many_tables(ddb: Any, refused: Any) -> None:
    for name in ("one", "two", "three"):
        await ddb("CreateTable", **table(name, **ON_DEMAND))
    assert await refused(ddb("CreateTable", **table("four", **ON_DEMAND))) == (
        "LimitExceededException",
        "Subscriber limit exceeded: There is a limit of 3 tables per subscriber",
    )
    await ddb("DeleteTable", TableName="two")
    await ddb("CreateTable", **table("four", **ON_DEMAND))


async def test_so_many_tables_are_changed_at_once(refused: Any) -> None:
    house = House("dynamodb", settings=Settings(dynamodb_delay_ms=1000))

    async def ddb(operation: str, **params: Any) -> Any:
        return await house.call("dynamodb", operation, params)

    too_many = (
        "LimitExceededException",
        "Subscriber limit exceeded: Only 2 tables can be created, updated, or deleted simultaneously",
    )
    for name in ("one", "two"):
        await ddb("CreateTable", **table(name, **ON_DEMAND))
    assert await refused(ddb("CreateTable", **table("three", **ON_DEMAND))) == too_many
    house.clock.advance(1)
    await ddb("CreateTable", **table("three", **ON_DEMAND))
    await ddb("DeleteTable", TableName="one")
    assert await refused(ddb("DeleteTable", TableName="two")) == too_many
    stream = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}}
    assert await refused(ddb("UpdateTable", TableName="two", **stream)) == too_many
    await ddb("UpdateTable", TableName="two", DeletionProtectionEnabled=True)  # which takes no time on AWS
    house.clock.advance(1)
    await ddb("UpdateTable", TableName="two", **stream)
