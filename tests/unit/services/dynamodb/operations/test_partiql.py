"""ExecuteStatement and BatchExecuteStatement: what statements do, and what they are refused with."""

from typing import Any

import pytest

CONDITION = ("ConditionalCheckFailedException", "The conditional request failed")
NO_KEY = ("ValidationException", "Where clause does not contain a mandatory equality on all key attributes")
BATCH_NEEDS_KEY = "Select statements within BatchExecuteStatement must specify the primary key in the where clause."


@pytest.fixture
async def run(notes: Any) -> Any:
    """Return an async function from a statement to what it returns, over three items of one partition."""

    async def execute(statement: str, *parameters: Any, **more: Any) -> Any:
        given = {"Parameters": list(parameters)} if parameters else {}
        return (await notes("ExecuteStatement", Statement=statement, **given, **more))["Items"]

    for sk, n in (("1", 1), ("2", 2), ("3", 3)):
        value = f"{{'pk': 'a', 'sk': '{sk}', 'n': {n}, 'm': {{'x': ['p', 'q']}}, 's': <<'u', 'v'>>}}"
        assert await execute(f"INSERT INTO notes VALUE {value}") == []
    return execute


def sort_keys(items: list[dict[str, Any]]) -> list[str]:
    return [item["sk"]["S"] for item in items]


SELECTS = {
    "everything": ("SELECT * FROM notes", ["1", "2", "3"]),
    "one item": ("SELECT * FROM notes WHERE pk = 'a' AND sk = '2'", ["2"]),
    "no item": ("SELECT * FROM notes WHERE pk = 'a' AND sk = '9'", []),
    "the key the other way round": ("SELECT * FROM notes WHERE 'a' = pk AND '1' < sk", ["2", "3"]),
    "a range": ("SELECT * FROM notes WHERE pk = 'a' AND sk BETWEEN '2' AND '3'", ["2", "3"]),
    "two conditions on the sort key": ("SELECT * FROM notes WHERE pk = 'a' AND sk > '1' AND sk < '3'", ["2"]),
    "conditions that exclude each other": ("SELECT * FROM notes WHERE pk = 'a' AND sk < '2' AND sk > '2'", []),
    "a prefix": ("SELECT * FROM notes WHERE pk = 'a' AND begins_with(sk, '3')", ["3"]),
    "backwards": ("SELECT * FROM notes WHERE pk = 'a' ORDER BY sk DESC", ["3", "2", "1"]),
    "several partitions": ("SELECT * FROM notes WHERE pk IN ['b', 'a'] AND sk = '1'", ["1"]),
    "either key": ("SELECT * FROM notes WHERE pk = 'a' AND sk = '3' OR pk = 'a' AND sk = '1'", ["1", "3"]),
    "a filter": ("SELECT * FROM notes WHERE pk = 'a' AND n >= 2", ["2", "3"]),
    "a filter over all": ("SELECT * FROM notes WHERE n = 1 OR contains(s, 'w')", ["1"]),
    "branches that overlap, one negated": (
        "SELECT * FROM notes WHERE pk = 'a' AND NOT sk = '1' OR pk = 'a' AND sk = '2'",
        ["2", "3"],
    ),
    "missing": ("SELECT * FROM notes WHERE z IS MISSING AND n <> 1", ["2", "3"]),
    "a type": ("SELECT * FROM notes WHERE n IS NUMERIC AND n IS NOT NULL AND m IS STRUCT", ["1", "2", "3"]),
    "a size": ("SELECT * FROM notes WHERE size(m.x) = 2 AND n = 3", ["3"]),
}


@pytest.mark.parametrize(("statement", "expected"), SELECTS.values(), ids=SELECTS)
async def test_selects(run: Any, statement: str, expected: list[str]) -> None:
    assert sort_keys(await run(statement)) == expected


async def test_what_is_selected_comes_back_under_its_last_name(run: Any) -> None:
    found = await run("SELECT n, m.x[1], m.nothing FROM notes WHERE pk = 'a' AND sk = '1'")
    assert found == [{"n": {"N": "1"}, "x[1]": {"S": "q"}}]


async def test_pages(notes: Any, run: Any, refused: Any) -> None:
    statement = "SELECT sk FROM notes WHERE pk = 'a'"
    first = await notes("ExecuteStatement", Statement=statement, Limit=2)
    assert sort_keys(first["Items"]) == ["1", "2"]
    assert first["LastEvaluatedKey"] == {"pk": {"S": "a"}, "sk": {"S": "2"}}
    second = await notes("ExecuteStatement", Statement=statement, Limit=2, NextToken=first["NextToken"])
    assert (sort_keys(second["Items"]), "NextToken" in second) == (["3"], False)
    other = notes("ExecuteStatement", Statement=statement + " AND sk > '0'", NextToken=first["NextToken"])
    assert await refused(other) == ("ValidationException", "The provided starting key is invalid")
    nonsense = notes("ExecuteStatement", Statement=statement, NextToken="nonsense")
    assert await refused(nonsense) == ("ValidationException", "Invalid NextToken")


async def test_a_limit_counts_what_is_read(notes: Any, run: Any) -> None:
    page = await notes("ExecuteStatement", Statement="SELECT * FROM notes WHERE n = 3", Limit=2)
    assert page["Items"] == []
    assert "NextToken" in page


async def test_a_page_is_at_most_ten_reads_by_key(notes: Any, run: Any) -> None:
    """AWS answers IN with more than ten values page by page."""
    for n in range(25):
        await run(f"INSERT INTO notes VALUE {{'pk': 'k{n:02}', 'sk': '1'}}")
    wanted = ", ".join(f"'k{n:02}'" for n in range(5, 45))
    statement = f"SELECT pk FROM notes WHERE pk IN [{wanted}] ORDER BY pk"

    async def page(**more: Any) -> tuple[list[str], str | None, str | None]:
        answer = await notes("ExecuteStatement", Statement=statement, **more)
        last = answer.get("LastEvaluatedKey")
        keys = [item["pk"]["S"] for item in answer["Items"]]
        return keys, None if last is None else last["pk"]["S"], answer.get("NextToken")

    pages, token = [], None
    while not pages or token is not None:
        keys, last, token = await page(**({} if token is None else {"NextToken": token}))
        pages.append((keys, last))
    expected = [[f"k{n:02}" for n in range(5, 15)], [f"k{n:02}" for n in range(15, 25)]]
    assert pages == [(expected[0], "k14"), (expected[1], "k24"), ([], None), ([], None)]
    keys, last, token = await page(Limit=3)
    assert (keys, last) == (["k05", "k06", "k07"], "k07")
    assert (await page(NextToken=token))[0] == [f"k{n:02}" for n in range(8, 17)]


def values(count: int) -> str:
    return "[" + ", ".join(f"'{n}'" for n in range(count)) + "]"


TOO_MANY_READS = ("ValidationException", "Too many decomposed read operations for a given query.")
READS = {
    "50 partition keys": (f"pk IN {values(50)}", None),
    "51 partition keys": (f"pk IN {values(51)}", TOO_MANY_READS),
    "51 partition keys, one by one": (" OR ".join(f"pk = '{n}'" for n in range(51)), TOO_MANY_READS),
    "26 partition keys, two sort keys": (f"pk IN {values(26)} AND sk IN ['1', '2']", TOO_MANY_READS),
    "more than can be worked out": (f"pk IN {values(50)} AND sk IN {values(50)}", TOO_MANY_READS),
    "100 values of another attribute": (f"z IN {values(100)}", None),
    "51 partition keys, or anything else": (f"pk IN {values(51)} OR z = 1", None),
}


@pytest.mark.parametrize(("where", "expected"), READS.values(), ids=READS)
async def test_a_select_comes_to_fifty_reads_by_key_at_most(
    notes: Any, refused: Any, where: str, expected: tuple[str, str] | None
) -> None:
    call = notes("ExecuteStatement", Statement=f"SELECT * FROM notes WHERE {where}")
    if expected is None:
        assert (await call)["Items"] == []
    else:
        assert await refused(call) == expected


CAPACITY = {
    "a key": ("SELECT * FROM notes WHERE pk = 'a' AND sk = '1'", {}, 0.5),
    "a key, consistently": ("SELECT * FROM notes WHERE pk = 'a' AND sk = '1'", {"ConsistentRead": True}, 1.0),
    "a partition": ("SELECT * FROM notes WHERE pk = 'a'", {}, 0.5),
    "two partitions": ("SELECT * FROM notes WHERE pk IN ['a', 'b']", {}, 1.0),
    "all": ("SELECT * FROM notes", {}, 2.0),
    "a write": ("UPDATE notes SET n = 4 WHERE pk = 'a' AND sk = '1'", {}, 1.0),
}


@pytest.mark.parametrize(("statement", "more", "units"), CAPACITY.values(), ids=CAPACITY)
async def test_capacity(notes: Any, run: Any, statement: str, more: dict[str, Any], units: float) -> None:
    answer = await notes("ExecuteStatement", Statement=statement, ReturnConsumedCapacity="TOTAL", **more)
    assert answer["ConsumedCapacity"] == {"TableName": "notes", "CapacityUnits": units}


KEY = "WHERE pk = 'a' AND sk = '1'"
UPDATES = {
    "nothing": (f"UPDATE notes SET n = 5 {KEY}", []),
    "all old": (f"UPDATE notes SET n = 5 REMOVE m, s {KEY} RETURNING ALL OLD *", None),
    "modified old": (f"UPDATE notes SET n = n + 4 {KEY} RETURNING MODIFIED OLD *", [{"n": {"N": "1"}}]),
    "modified new": (f"UPDATE notes SET n = n + 4 {KEY} RETURNING MODIFIED NEW *", [{"n": {"N": "5"}}]),
    "modified in a map": (
        f"UPDATE notes SET m.y = true {KEY} RETURNING MODIFIED NEW *",
        [{"m": {"M": {"y": {"BOOL": True}}}}],
    ),
    "modified in a list": (
        f"UPDATE notes SET m.x[1] = 'r' {KEY} RETURNING MODIFIED NEW *",
        [{"m": {"M": {"x": {"L": [{"S": "r"}]}}}}],
    ),
    "removed": (f"UPDATE notes REMOVE n {KEY} RETURNING MODIFIED NEW *", []),
    "appended": (
        f"UPDATE notes SET m.x = list_append(m.x, ['r']) {KEY} RETURNING MODIFIED NEW *",
        [{"m": {"M": {"x": {"L": [{"S": "p"}, {"S": "q"}, {"S": "r"}]}}}}],
    ),
    "added to a set": (
        f"UPDATE notes SET s = set_add(s, <<'w'>>) {KEY} RETURNING MODIFIED NEW *",
        [{"s": {"SS": ["u", "v", "w"]}}],
    ),
    "taken from a set": (
        f"UPDATE notes SET s = SET_DELETE(s, <<'u'>>) {KEY} RETURNING MODIFIED NEW *",
        [{"s": {"SS": ["v"]}}],
    ),
    "FROM first": (f"FROM notes {KEY} SET n = 7 RETURNING MODIFIED NEW *", [{"n": {"N": "7"}}]),
    "a condition that holds": (
        f"UPDATE notes SET n = 8 {KEY} AND attribute_exists(m) RETURNING MODIFIED NEW *",
        [{"n": {"N": "8"}}],
    ),
}


@pytest.mark.parametrize(("statement", "expected"), UPDATES.values(), ids=UPDATES)
async def test_updates(run: Any, statement: str, expected: Any) -> None:
    before = await run(f"SELECT * FROM notes {KEY}")
    assert await run(statement) == (before if expected is None else expected)


async def test_parameters(run: Any) -> None:
    item = {"k": {"M": {"deep": {"BS": ["AQ=="]}}}}
    await run("INSERT INTO notes VALUE {'pk': ?, 'sk': 'x', 'v': [?, 1.0]}", {"S": "b"}, {"M": item})
    assert await run("SELECT * FROM notes WHERE pk = ? AND v[0].k = ?", {"S": "b"}, item["k"]) == [
        {"pk": {"S": "b"}, "sk": {"S": "x"}, "v": {"L": [{"M": item}, {"N": "1"}]}}
    ]
    assert await run("INSERT INTO notes VALUE ?", {"M": {"pk": {"S": "c"}, "sk": {"S": "d"}}}) == []


async def test_a_delete_returns_what_it_found(run: Any) -> None:
    assert sort_keys(await run(f"DELETE FROM notes {KEY} RETURNING ALL OLD *")) == ["1"]
    assert await run(f"DELETE FROM notes {KEY} RETURNING ALL OLD *") == []
    assert await run(f"DELETE FROM notes {KEY} AND n = 9") == []


OPERAND = "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL"
REFUSED = {
    "an operand that does not fit, before the table is missed": (
        "SELECT * FROM nowhere WHERE pk = 'a' AND n < true",
        ("ValidationException", OPERAND),
    ),
    "the same of an update": (
        "UPDATE nowhere SET n = 1 WHERE pk = 'a' AND n < true",
        ("ValidationException", OPERAND),
    ),
    "a table without a name": (
        "SELECT * FROM \"\" WHERE pk = 'a'",
        ("ValidationException", "Path component cannot be an empty string"),
    ),
    "an index without a name": (
        "SELECT * FROM notes.\"\" WHERE pk = 'a'",
        ("ValidationException", "Path component cannot be an empty string"),
    ),
    "a key twice": (
        "INSERT INTO notes VALUE {'pk': 'a', 'sk': '1'}",
        ("DuplicateItemException", "Duplicate primary key exists in table"),
    ),
    "an item without its key": (
        "INSERT INTO notes VALUE {'pk': 'a'}",
        ("ValidationException", "One or more parameter values were invalid: Missing the key sk in the item"),
    ),
    "an update of nothing": ("UPDATE notes SET n = 1 WHERE pk = 'a' AND sk = '9'", CONDITION),
    "an update whose condition fails": (f"UPDATE notes SET n = 1 {KEY} AND n = 9", CONDITION),
    "a delete whose condition fails": (f"DELETE FROM notes {KEY} AND NOT attribute_exists(n)", CONDITION),
    "an update by half a key": ("UPDATE notes SET n = 1 WHERE pk = 'a'", NO_KEY),
    "a delete by no key": ("DELETE FROM notes WHERE n = 1", NO_KEY),
    "an update without WHERE": ("UPDATE notes SET n = 1", NO_KEY),
    "a delete by either key": (f"DELETE FROM notes {KEY} OR pk = 'b'", NO_KEY),
    "an update of the key": (
        f"UPDATE notes SET sk = '2' {KEY}",
        (
            "ValidationException",
            "One or more parameter values were invalid: Cannot update attribute sk. This attribute is part of the key",
        ),
    ),
    "a set of numbers into one of texts": (
        f"UPDATE notes SET s = set_add(s, <<1>>) {KEY}",
        ("ValidationException", "An operand in the update expression has an incorrect data type"),
    ),
    "an element of a list that is not there": (
        f"UPDATE notes SET nothing[0] = 1 {KEY}",
        ("ValidationException", "The document path provided in the update expression is invalid for update"),
    ),
    "no such table": (
        "SELECT * FROM nowhere WHERE pk = 'a'",
        ("ResourceNotFoundException", "Requested resource not found"),
    ),
    "a key of another type": (
        "SELECT * FROM notes WHERE pk = 5",
        ("ValidationException", "Key attribute's data type should match its data type in table's schema"),
    ),
    "branches that overlap": (
        "SELECT * FROM notes WHERE pk = 'a' AND n = 1 OR pk = 'a' AND sk = '2'",
        ("ValidationException", "Overlapping conditions with range keys are not supported in where clause"),
    ),
    "a partition twice": (
        "SELECT * FROM notes WHERE pk IN ['a', 'a']",
        ("ValidationException", "Overlapping conditions with range keys are not supported in where clause"),
    ),
    "an order without a key": (
        "SELECT * FROM notes WHERE n = 1 ORDER BY sk",
        (
            "ValidationException",
            "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.",
        ),
    ),
    "an order without WHERE": (
        "SELECT * FROM notes ORDER BY sk",
        ("ValidationException", "Must have WHERE clause in the statement when using ORDER BY clause."),
    ),
    "an order of several partitions": (
        "SELECT * FROM notes WHERE pk IN ['a', 'b'] ORDER BY sk",
        (
            "ValidationException",
            "Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE clause.",
        ),
    ),
    "an order by what is no key": (
        "SELECT * FROM notes WHERE pk = 'a' ORDER BY n",
        ("ValidationException", "Variable reference n in ORDER BY clause must be part of the primary key"),
    ),
    "an unordered operand": (
        "SELECT * FROM notes WHERE n < true",
        (
            "ValidationException",
            "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL",
        ),
    ),
    "a function of a text": (
        "SELECT * FROM notes WHERE attribute_exists('n')",
        (
            "ValidationException",
            "Operator or function requires a document path; operator or function: attribute_exists",
        ),
    ),
    "a function of nothing": (
        "SELECT * FROM notes WHERE attribute_exists()",
        (
            "ValidationException",
            "Incorrect number of operands for operator or function; operator or function: attribute_exists, "
            "number of operands: 0",
        ),
    ),
    "too few parameters": (
        "SELECT * FROM notes WHERE pk = ?",
        ("ValidationException", "Number of parameters in request and statement don't match."),
    ),
    "EXISTS alone": (
        f"EXISTS(SELECT * FROM notes {KEY} AND n = 1)",
        ("ValidationException", "EXISTS can only be used in ExecuteTransaction write requests."),
    ),
}


@pytest.mark.parametrize(("statement", "expected"), REFUSED.values(), ids=REFUSED)
async def test_what_is_refused(run: Any, refused: Any, statement: str, expected: tuple[str, str]) -> None:
    before = await run("SELECT * FROM notes")
    assert await refused(run(statement)) == expected
    assert await run("SELECT * FROM notes") == before


async def test_a_failed_condition_shows_the_item_if_asked(notes: Any, run: Any) -> None:
    statement = f"UPDATE notes SET n = 1 {KEY} AND n = 9"
    with pytest.raises(Exception, match="ConditionalCheckFailed") as failed:
        await notes("ExecuteStatement", Statement=statement, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert "Item" in failed.value.fields  # type: ignore[attr-defined]


async def test_a_batch_of_reads(notes: Any, run: Any) -> None:
    answer = await notes(
        "BatchExecuteStatement",
        ReturnConsumedCapacity="TOTAL",
        Statements=[
            {"Statement": f"SELECT n FROM notes {KEY}", "ConsistentRead": True},
            {"Statement": "SLECT n"},
            {"Statement": "SELECT n FROM notes WHERE pk = ? AND sk = '9'", "Parameters": [{"S": "a"}]},
            {"Statement": "SELECT n FROM notes WHERE pk = 'a'"},
            {"Statement": "SELECT n FROM nowhere WHERE pk = 'a'"},
        ],
    )
    assert answer["Responses"] == [
        {"TableName": "notes", "Item": {"n": {"N": "1"}}},
        {
            "Error": {
                "Code": "ValidationError",
                "Message": "Statement wasn't well formed, can't be processed: Expected data manipulation",
            }
        },
        {"TableName": "notes"},
        {"Error": {"Code": "ValidationError", "Message": BATCH_NEEDS_KEY}},
        {"Error": {"Code": "ResourceNotFound", "Message": "Requested resource not found"}},
    ]
    assert [one["CapacityUnits"] for one in answer["ConsumedCapacity"]] == [1.0, 0.5]


async def test_a_batch_of_writes(notes: Any, run: Any) -> None:
    answer = await notes(
        "BatchExecuteStatement",
        Statements=[
            {"Statement": "INSERT INTO notes VALUE {'pk': 'a', 'sk': '1'}"},
            {"Statement": "INSERT INTO notes VALUE {'pk': 'a', 'sk': '4'}"},
            {"Statement": f"UPDATE notes SET n = 1 {KEY} AND n = 9", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"},
            {"Statement": f"UPDATE notes SET n = 5 {KEY} RETURNING MODIFIED NEW *"},
        ],
    )
    assert answer["Responses"] == [
        {
            "TableName": "notes",
            "Error": {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"},
        },
        {"TableName": "notes"},
        {
            "TableName": "notes",
            "Error": {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"},
        },
        {"TableName": "notes", "Item": {"n": {"N": "5"}}},
    ]
    assert sort_keys(await run("SELECT * FROM notes")) == ["1", "2", "3", "4"]


async def test_a_batch_reads_or_writes(notes: Any, run: Any, refused: Any) -> None:
    mixed = [{"Statement": f"SELECT * FROM notes {KEY}"}, {"Statement": f"DELETE FROM notes {KEY}"}]
    assert await refused(notes("BatchExecuteStatement", Statements=mixed)) == (
        "ValidationException",
        "BatchExecuteStatement API does not support both read and write operations in the same request.",
    )


async def test_a_table_without_capacity_left_refuses_statements(ddb: Any, refused: Any) -> None:
    await ddb(
        "CreateTable",
        TableName="small",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 300},
    )
    value = {"S": "x" * 300_000}
    await ddb("ExecuteStatement", Statement="INSERT INTO small VALUE {'pk': 'a', 'v': ?}", Parameters=[value])
    statement = "SELECT * FROM small WHERE pk = 'a'"
    code = ""
    for _ in range(12):
        if (
            code := (await ddb("BatchExecuteStatement", Statements=[{"Statement": statement, "ConsistentRead": True}]))[
                "Responses"
            ][0]
            .get("Error", {})
            .get("Code", "")
        ):
            break
    assert code == "ProvisionedThroughputExceeded"
    code, _ = await refused(ddb("ExecuteStatement", Statement=statement))
    assert code == "ProvisionedThroughputExceededException"
