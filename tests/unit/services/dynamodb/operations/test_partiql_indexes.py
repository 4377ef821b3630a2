"""SELECT from an index: queries, scans, what is projected, and what is refused."""

from typing import Any

import pytest


def keys(*names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": "RANGE" if at else "HASH"} for at, name in enumerate(names)]


INDEXES = {
    "GlobalSecondaryIndexes": [
        {"IndexName": "by-group", "KeySchema": keys("g", "sk"), "Projection": {"ProjectionType": "KEYS_ONLY"}},
        {
            "IndexName": "by-both",
            "KeySchema": [
                {"AttributeName": "g", "KeyType": "HASH"},
                {"AttributeName": "h", "KeyType": "HASH"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        },
    ],
    "LocalSecondaryIndexes": [
        {"IndexName": "by-h", "KeySchema": keys("pk", "h"), "Projection": {"ProjectionType": "KEYS_ONLY"}}
    ],
}


@pytest.fixture
async def run(ddb: Any) -> Any:
    """Return an async function from a statement to what it returns, over a table with indexes."""
    await ddb(
        "CreateTable",
        TableName="indexed",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "g", "h")],
        KeySchema=keys("pk", "sk"),
        **INDEXES,
    )

    async def execute(statement: str, **more: Any) -> Any:
        return await ddb("ExecuteStatement", Statement=statement, **more)

    for pk, sk, g, h in (("a", "1", "x", "z"), ("a", "2", "x", "y"), ("b", "3", "x", "w"), ("b", "4", "v", "u")):
        await execute(f"INSERT INTO indexed VALUE {{'pk': '{pk}', 'sk': '{sk}', 'g': '{g}', 'h': '{h}', 'n': {sk}}}")
    return execute


FOUND = {
    "a partition": ("""SELECT sk FROM "indexed"."by-group" WHERE g = 'x'""", ["1", "2", "3"]),
    "a range": ("""SELECT sk FROM "indexed"."by-group" WHERE g = 'x' AND sk >= '2'""", ["2", "3"]),
    "backwards": ("""SELECT sk FROM "indexed"."by-group" WHERE g = 'x' ORDER BY sk DESC""", ["3", "2", "1"]),
    "without its key": ("""SELECT sk FROM "indexed"."by-group" WHERE pk = 'b' AND sk = '3'""", ["3"]),
    "a local index": ("""SELECT sk FROM "indexed"."by-h" WHERE pk = 'a'""", ["2", "1"]),
    "a local index and more than it has": ("""SELECT sk FROM "indexed"."by-h" WHERE pk = 'a' AND n = 1""", ["1"]),
}


@pytest.mark.parametrize(("statement", "expected"), FOUND.values(), ids=FOUND)
async def test_an_index_is_read(run: Any, statement: str, expected: list[str]) -> None:
    assert [item["sk"]["S"] for item in (await run(statement))["Items"]] == expected


async def test_an_index_answers_with_what_it_projects(run: Any) -> None:
    found = (await run("""SELECT * FROM "indexed"."by-group" WHERE g = 'v'"""))["Items"]
    assert found == [{"pk": {"S": "b"}, "sk": {"S": "4"}, "g": {"S": "v"}}]
    fetched = (await run("""SELECT n FROM "indexed"."by-h" WHERE pk = 'a' AND h = 'y'"""))["Items"]
    assert fetched == [{"n": {"N": "2"}}]


async def test_pages_of_an_index(run: Any) -> None:
    statement = """SELECT sk FROM "indexed"."by-group" WHERE g = 'x'"""
    first = await run(statement, Limit=2, ReturnConsumedCapacity="INDEXES")
    assert first["LastEvaluatedKey"] == {"g": {"S": "x"}, "pk": {"S": "a"}, "sk": {"S": "2"}}
    assert first["ConsumedCapacity"] == {
        "TableName": "indexed",
        "CapacityUnits": 0.5,
        "Table": {"CapacityUnits": 0.0},
        "GlobalSecondaryIndexes": {"by-group": {"CapacityUnits": 0.5}},
    }
    second = await run(statement, Limit=2, NextToken=first["NextToken"])
    assert [item["sk"]["S"] for item in second["Items"]] == ["3"]


REFUSED = {
    "no such index": (
        'SELECT * FROM "indexed"."nothing"',
        {},
        "The table does not have the specified index",
    ),
    "no such index, consistently": (
        'SELECT * FROM "indexed"."nothing"',
        {"ConsistentRead": True},
        "The table does not have the specified index",
    ),
    "what is not projected": (
        """SELECT n, m FROM "indexed"."by-group" WHERE g = 'x'""",
        {},
        "One or more parameter values were invalid: Global secondary index by-group does not project [n, m]",
    ),
    "a key of several attributes": (
        """SELECT * FROM "indexed"."by-both" WHERE g = 5""",
        {},
        "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys.",
    ),
    "consistency": (
        """SELECT * FROM "indexed"."by-group" WHERE g = 'x'""",
        {"ConsistentRead": True},
        "Strongly consistent read is not supported on Global Secondary Indexes",
    ),
}


@pytest.mark.parametrize(("statement", "more", "message"), REFUSED.values(), ids=REFUSED)
async def test_what_is_refused(run: Any, refused: Any, statement: str, more: Any, message: str) -> None:
    assert await refused(run(statement, **more)) == ("ValidationException", message)


async def test_a_batch_reads_no_index(run: Any, ddb: Any) -> None:
    answer = await ddb(
        "BatchExecuteStatement",
        Statements=[
            {"Statement": """SELECT * FROM "indexed"."by-group" WHERE pk = 'a' AND sk = '1'"""},
            {"Statement": """SELECT * FROM "indexed"."by-both" WHERE pk = 'a' AND sk = '1'"""},
        ],
    )
    assert [slot["Error"]["Message"] for slot in answer["Responses"]] == [
        "Select statements within BatchExecuteStatement must specify the primary key in the where clause.",
        REFUSED["a key of several attributes"][2],
    ]
