"""ExecuteTransaction: all statements or none, with the reasons of TransactWriteItems."""

from typing import Any

import pytest

from cumulet.errors import ServiceError

KEY = "WHERE pk = 'a' AND sk = '1'"


@pytest.fixture
async def transact(notes: Any) -> Any:
    """Return an async function from statements to the answer, over two items with a number each."""
    for sk in ("1", "2"):
        await notes("PutItem", TableName="notes", Item={"pk": {"S": "a"}, "sk": {"S": sk}, "n": {"N": sk}})

    async def execute(*statements: str, **more: Any) -> Any:
        return await notes("ExecuteTransaction", TransactStatements=[{"Statement": one} for one in statements], **more)

    return execute


async def numbers(notes: Any) -> list[str]:
    found = (await notes("Scan", TableName="notes"))["Items"]
    return [item.get("n", {}).get("N", "-") for item in sorted(found, key=lambda item: item["sk"]["S"])]


async def test_writes_happen_together(notes: Any, transact: Any) -> None:
    answer = await transact(
        "INSERT INTO notes VALUE {'pk': 'a', 'sk': '3', 'n': 3}",
        f"UPDATE notes SET n = n + 9 {KEY}",
        "DELETE FROM notes WHERE pk = 'a' AND sk = '2'",
        "DELETE FROM notes WHERE pk = 'z' AND sk = '9'",
        ReturnConsumedCapacity="TOTAL",
    )
    assert answer == {
        "Responses": [],
        "ConsumedCapacity": [{"TableName": "notes", "CapacityUnits": 8.0, "WriteCapacityUnits": 8.0}],
    }
    assert await numbers(notes) == ["10", "3"]


async def test_reads(transact: Any) -> None:
    answer = await transact(
        f"SELECT n FROM notes {KEY}",
        "SELECT n FROM notes WHERE pk = 'a' AND sk = '9'",
        "SELECT * FROM notes WHERE pk = 'a' AND sk = '2' AND n = 1",
        ReturnConsumedCapacity="TOTAL",
    )
    assert answer == {
        "Responses": [{"Item": {"n": {"N": "1"}}}, {}, {}],
        "ConsumedCapacity": [{"TableName": "notes", "CapacityUnits": 6.0, "ReadCapacityUnits": 6.0}],
    }


CANCELLED = {
    "a key twice": ("INSERT INTO notes VALUE {'pk': 'a', 'sk': '1'}", "DuplicateItem"),
    "a failed condition": (f"UPDATE notes SET n = 5 {KEY} AND n = 9", "ConditionalCheckFailed"),
    "an update of nothing": ("UPDATE notes SET n = 5 WHERE pk = 'a' AND sk = '9'", "ConditionalCheckFailed"),
    "an EXISTS that does not": (f"EXISTS(SELECT * FROM notes {KEY} AND n = 9)", "ConditionalCheckFailed"),
    "an update that does not fit": (f"UPDATE notes SET n = list_append(n, [1]) {KEY}", "ValidationError"),
}


@pytest.mark.parametrize(("statement", "code"), CANCELLED.values(), ids=CANCELLED)
async def test_one_that_fails_cancels_all(notes: Any, transact: Any, statement: str, code: str) -> None:
    with pytest.raises(ServiceError) as cancelled:
        await transact("UPDATE notes SET n = 7 WHERE pk = 'a' AND sk = '2'", statement)
    error = cancelled.value
    assert (error.code, error.message) == (
        "TransactionCanceledException",
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [None, {code}]",
    )
    assert [reason["Code"] for reason in error.fields["CancellationReasons"]] == ["None", code]
    assert await numbers(notes) == ["1", "2"]


async def test_an_exists_that_holds_lets_others_through(notes: Any, transact: Any) -> None:
    exists = f"EXISTS(SELECT * FROM notes {KEY} AND attribute_exists(n))"
    await transact(exists, "UPDATE notes SET n = 7 WHERE pk = 'a' AND sk = '2'")
    assert await numbers(notes) == ["1", "7"]


async def test_a_token_makes_it_happen_once(notes: Any, transact: Any, refused: Any) -> None:
    statement = f"UPDATE notes SET n = n + 1 {KEY}"
    more = {"ClientRequestToken": "once", "ReturnConsumedCapacity": "TOTAL"}
    first = await transact(statement, **more)
    again = await transact(statement, **more)
    assert "WriteCapacityUnits" in first["ConsumedCapacity"][0]
    assert "ReadCapacityUnits" in again["ConsumedCapacity"][0]
    assert await numbers(notes) == ["2", "2"]
    code, _ = await refused(transact(f"UPDATE notes SET n = 0 {KEY}", **more))
    assert code == "IdempotentParameterMismatchException"


REFUSED = {
    "no statement": (
        "SELECT * FROM notes WHERE",
        "Validation failed in TransactStatements[0]: Statement wasn't well formed, can't be processed: Unexpected term",
    ),
    "a read by half a key": (
        "SELECT * FROM notes WHERE pk = 'a'",
        "Validation failed in TransactStatements[0]: Select statements within ExecuteTransaction must specify the "
        "primary key in the where clause.",
    ),
    "a read of an index": (
        """SELECT * FROM "notes"."index" WHERE pk = 'a' AND sk = '1'""",
        "Validation failed in TransactStatements[0]: Reads on indices are not supported within transactions",
    ),
    "a write that returns": (
        f"DELETE FROM notes {KEY} RETURNING ALL OLD *",
        "Validation failed in TransactStatements[0]: RETURNING clause is not supported in ExecuteTransaction",
    ),
    "an EXISTS without a condition": (
        f"EXISTS(SELECT * FROM notes {KEY})",
        "Validation failed in TransactStatements[0]: EXISTS() must contain a single item read with additional "
        "condition",
    ),
    "a write by half a key": (
        "DELETE FROM notes WHERE pk = 'a'",
        "Validation failed in TransactStatements[0]: Where clause does not contain a mandatory equality on all key "
        "attributes",
    ),
}


@pytest.mark.parametrize(("statement", "message"), REFUSED.values(), ids=REFUSED)
async def test_what_is_refused(transact: Any, refused: Any, statement: str, message: str) -> None:
    assert await refused(transact(statement)) == ("ValidationException", message)


async def test_reads_and_writes_do_not_mix(transact: Any, refused: Any) -> None:
    assert await refused(transact(f"SELECT * FROM notes {KEY}", f"DELETE FROM notes {KEY}")) == (
        "ValidationException",
        "ExecuteTransaction API does not support both read and write operations in the same request.",
    )


async def test_no_item_comes_twice(transact: Any, refused: Any) -> None:
    twice = ("ValidationException", "Transaction request cannot include multiple operations on one item")
    assert await refused(transact(f"SELECT * FROM notes {KEY}", f"SELECT n FROM notes {KEY}")) == twice
    assert await refused(transact(f"DELETE FROM notes {KEY}", f"UPDATE notes SET n = 1 {KEY}")) == twice


async def test_a_number_that_is_none_is_no_statements_fault(notes: Any, refused: Any) -> None:
    request = {"Statement": f"UPDATE notes SET n = ? {KEY}", "Parameters": [{"N": "abc"}]}
    assert await refused(notes("ExecuteTransaction", TransactStatements=[request])) == (
        "ValidationException",
        "The parameter cannot be converted to a numeric value: abc",
    )
