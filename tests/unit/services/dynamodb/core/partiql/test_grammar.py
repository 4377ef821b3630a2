"""What statements are read as, and in which words others are refused."""

import pytest

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.expressions.ast import (
    AddAction,
    And,
    Arithmetic,
    Between,
    Comparison,
    Function,
    In,
    Not,
    Or,
    Path,
    RemoveAction,
    SetAction,
    ValueRef,
)
from cumulet.services.dynamodb.core.partiql.ast import (
    Delete,
    Exists,
    Insert,
    ListOf,
    Literal,
    MapOf,
    OrderKey,
    Parameter,
    Select,
    Update,
)
from cumulet.services.dynamodb.core.partiql.grammar import parse_statement

NOT_WELL_FORMED = "Statement wasn't well formed, can't be processed: "
LEFTOVER = NOT_WELL_FORMED + "Unexpected token after expression"
TERM = NOT_WELL_FORMED + "Unexpected term"
OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"

WORDS = {
    "no statement": ("SLECT * FROM t", NOT_WELL_FORMED + "Expected data manipulation"),
    "nothing": ("   ", NOT_WELL_FORMED + "Expected data manipulation"),
    "an expression": ("x IS INT4", "Unsupported operation: IsType"),
    "an expression of a type of two words": ("x IS DOUBLE PRECISION", "Unsupported operation: IsType"),
    "more behind a SELECT": ("SELECT * FROM t WHERE a = 1 foo", LEFTOVER),
    "a number and its exponent apart": ("SELECT * FROM t WHERE a = 1 e5", LEFTOVER),
    "more behind an INSERT": ("INSERT INTO t VALUE {'a': 1} foo", LEFTOVER),
    "more behind an UPDATE": ("UPDATE t SET a = 9 WHERE b = 1 foo", LEFTOVER),
    "more behind a DELETE": ("DELETE FROM t WHERE a = 1 foo", LEFTOVER),
    "a stray parenthesis": ("SELECT * FROM t WHERE a = 1)", LEFTOVER),
    "two statements": ("SELECT * FROM t; SELECT * FROM t", LEFTOVER),
    "a DELETE in order": ("DELETE FROM t WHERE a = 1 ORDER BY a", LEFTOVER),
    "ORDER BY before WHERE": ("SELECT * FROM t ORDER BY a WHERE a = 1", LEFTOVER),
    "FROM first, WHERE last": ("FROM t SET a = 1 WHERE b = 1", LEFTOVER),
    "an exponent that is no integer of 32 bits": ("SELECT * FROM t WHERE a = 1e2147483648", NOT_WELL_FORMED),
    "an endless exponent": (f"SELECT * FROM t WHERE a = 1e{'9' * 5000}", NOT_WELL_FORMED),
    "a scale that is none": ("SELECT * FROM t WHERE a = 1.5e-2147483647", NOT_WELL_FORMED),
    "a comment of another language": ("SELECT * FROM t # note", NOT_WELL_FORMED),
    "a comment without end": ("SELECT * FROM t /* note", NOT_WELL_FORMED),
    "a text without end": ("SELECT * FROM t WHERE a = 'x", NOT_WELL_FORMED),
    "an alias": ("SELECT * FROM t u WHERE a = 1", "Aliasing is not supported"),
    "an alias with AS": ("SELECT * FROM t AS u WHERE a = 1", "Aliasing is not supported"),
    "an alias of an UPDATE": ("UPDATE t u SET a = 3 WHERE b = 1", "Aliasing is not supported"),
    "an alias of an INSERT": ("INSERT INTO t u VALUE {'a': 1}", LEFTOVER),
    "too large a number": ("SELECT * FROM t WHERE a = 1e126", OVERFLOW + " under root"),
    "too small a number": ("UPDATE t SET a = 1e-131 WHERE b = 1", UNDERFLOW + " under root"),
    "too large a number in an item": ("INSERT INTO t VALUE {'a': 1e126}", OVERFLOW + " under root"),
    "too large a number in a map": ("INSERT INTO t VALUE {'a': {'x': 1e126}}", OVERFLOW + " under root.x"),
    "too large a number in a list": ("INSERT INTO t VALUE {'a': [1, 1e126]}", OVERFLOW + " under root[1]"),
    "too large a number in a map that is set": (
        "UPDATE t SET a = {'x': 1e126} WHERE b = 1",
        OVERFLOW + " under root.x",
    ),
    "no condition": ("SELECT * FROM t WHERE", TERM),
    "no condition but a semicolon": ("SELECT * FROM t WHERE;", TERM),
    "NOT what": ("SELECT * FROM t WHERE NOT", TERM),
    "an open parenthesis": ("SELECT * FROM t WHERE (", TERM),
    "an unclosed parenthesis": ("SELECT * FROM t WHERE (a = 1", NOT_WELL_FORMED + "Expected RIGHT_PAREN"),
    "no table": ("SELECT * FROM", TERM),
    "no table to delete from": ("DELETE FROM;", NOT_WELL_FORMED + "Expected identifier for simple path"),
    "no table but WHERE": ("DELETE FROM WHERE a = 1", NOT_WELL_FORMED + "Expected identifier for simple path"),
    "AND what": (
        "SELECT * FROM t WHERE a = 1 AND",
        NOT_WELL_FORMED + "Missing right-hand side expression of infix operator",
    ),
    "a keyword for a condition": ("SELECT * FROM t WHERE ORDER BY a", NOT_WELL_FORMED + "Unexpected keyword"),
    "a keyword for a name": ("SELECT * FROM t WHERE pad = 'none'", NOT_WELL_FORMED + "Unexpected keyword"),
    "a keyword in a path": ("SELECT * FROM t WHERE size(a.inner) = 1", NOT_WELL_FORMED + "Invalid path dot component"),
    "an operator for a condition": ("SELECT * FROM t WHERE IS NULL", NOT_WELL_FORMED + "Unexpected operator"),
    "an operator for a value": ("SELECT * FROM t WHERE a = LIKE", NOT_WELL_FORMED + "Unexpected operator"),
    "a type that is none": ("SELECT * FROM t WHERE a IS FOO", NOT_WELL_FORMED + "Expected type name"),
    "a type that DynamoDB has not": (
        "SELECT * FROM t WHERE a IS INT4",
        "Unsupported data type for IS operator: INT4. Supported data types are [MISSING, NULL, BOOLEAN, BLOB, STRING, "
        "NUMERIC, STRUCT, TUPLE, LIST]",
    ),
    "a function for an attribute": ("SELECT size(a) FROM t", "Unexpected path component at 1:8:4"),
    "a count": ("SELECT COUNT(*) FROM t", "Unexpected path component at 1:8:5"),
    "one name twice": ("SELECT a.z, b.z FROM t", "Duplicate identifiers in select clause: z"),
    "all and more": (
        "SELECT *, a FROM t",
        "Other attributes should not be present in the projection when '*' is used.",
    ),
    "a limit": ("SELECT * FROM t LIMIT 5", "Unsupported clause: LIMIT at 1:23:1"),
    "a position on another line": ("SELECT *\nFROM t\n LIMIT 12", "Unsupported clause: LIMIT at 3:8:2"),
    "EXISTS of a path": ("SELECT * FROM t WHERE EXISTS(a)", "Unrecognized function: exists at 1:23:6"),
    "a sum in a condition": (
        "SELECT * FROM t WHERE a + 1 = 2",
        "Unsupported operator in Condition Expression. Operator: +",
    ),
    "a sum in a function of a condition": (
        "SELECT * FROM t WHERE contains(a, 'x') - b IN [size(c - 1)]",
        "Unsupported operator in Condition Expression. Operator: -",
    ),
    "LIKE": ("SELECT * FROM t WHERE a LIKE 'x%'", "Unsupported operator in Condition Expression. Operator: LIKE"),
    "a condition's function in a sum": (
        "UPDATE t SET a = 1 + size(b) WHERE b = 1",
        "Unsupported data type: size under key root at 1:22:4",
    ),
    "set_add for another attribute": (
        "UPDATE t SET a = set_add(ss, <<'x'>>) WHERE b = 1",
        "The first argument to SET_ADD must equal the assignment value at 1:18:7",
    ),
    "set_delete of a text": (
        "UPDATE t SET ss = set_delete(ss, 'x') WHERE b = 1",
        "The second argument to SET_DELETE must be a value with type SET at 1:30:2",
    ),
    "set_add of nothing": (
        "UPDATE t SET ss = set_add(ss) WHERE b = 1",
        "SET_ADD must have exactly two arguments at 1:19:7",
    ),
    "set_add in a condition": (
        "SELECT * FROM t WHERE set_add(ss, <<'x'>>) = ss",
        "Unrecognized function: set_add at 1:23:7",
    ),
    "a function in an item": (
        "INSERT INTO t VALUE {'ss': set_add(<<'a'>>, <<'b'>>)}",
        "Unsupported data type: set_add under key root at 1:28:7",
    ),
    "an unknown function in SET": (
        "UPDATE t SET a = if_not_exists(a, 0) WHERE b = 1",
        "Unrecognized function: if_not_exists at 1:18:13",
    ),
    "an empty set": ("INSERT INTO t VALUE {'a': <<>>}", "Empty bags are not supported"),
    "a mixed set": (
        "INSERT INTO t VALUE {'a': <<1, 'a'>>}",
        "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags",
    ),
    "a parameter in a set": (
        "INSERT INTO t VALUE {'a': <<?>>}",
        "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags",
    ),
    "a set with duplicates": (
        "INSERT INTO t VALUE {'a': <<'x', 'x'>>}",
        "One or more parameter values were invalid: Input collection [x, x] contains duplicates.",
    ),
    "an INSERT that returns": (
        "INSERT INTO t VALUE {'a': 1} RETURNING ALL OLD *",
        "RETURNING is not supported in INSERT",
    ),
    "a DELETE that returns what changed": (
        "DELETE FROM t WHERE a = 1 RETURNING MODIFIED OLD *",
        "Invalid returning clause: RETURNING MODIFIED OLD *. Only RETURNING ALL OLD * is allowed in DELETE statements.",
    ),
    "a write to an index": ('UPDATE "t"."i" SET a = 1 WHERE b = 1', "This operation is not supported on an index"),
    "a problem, and no statement": ("SELECT COUNT(*) FROM t WHERE", TERM),
    "many parentheses": (f"SELECT * FROM t WHERE {'(' * 4000}a = 1", NOT_WELL_FORMED),
    "many NOT": (f"SELECT * FROM t WHERE {'NOT ' * 101}a = 1", NOT_WELL_FORMED),
    "a deep value": (
        f"INSERT INTO t VALUE {{'a': {'[' * 4000}",
        "Nesting Levels have exceeded supported limits: "
        "Attributes in the item have nested levels beyond supported limit",
    ),
    "many operators": (
        f"SELECT * FROM t WHERE {' AND '.join(['a = 1'] * 151)}",
        "The expression contains too many operators; operator count: 301",
    ),
}


@pytest.mark.parametrize(("text", "message"), WORDS.values(), ids=WORDS)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(ServiceError) as refused:
        parse_statement(text)
    assert (refused.value.code, refused.value.message) == ("ValidationException", message)


def values(*values: object) -> tuple[Literal, ...]:
    return tuple(Literal(value) for value in values)  # type: ignore[arg-type]


A, B, C = Path(("a",)), Path(("b",)), Path(("c",))
FIRST, SECOND = ValueRef("0"), ValueRef("1")


def test_a_select() -> None:
    parsed = parse_statement(
        """select "a b"."c""d", l[0].x FROM "ta-ble"."index" WHERE a = 'it''s' ORDER BY b DESC, c;"""
    )
    assert parsed == Select(
        (Path(("a b", 'c"d')), Path(("l", 0, "x"))),
        "ta-ble",
        "index",
        Comparison("=", A, FIRST),
        (OrderKey(B, True), OrderKey(C, False)),
        parsed.values,  # type: ignore[union-attr]
    )
    assert parsed.values.nodes == values({"S": "it's"})


CONDITIONS = {
    "precedence": ("a = 1 OR NOT b = 2 AND c < 3", Or, "Or(=, And(Not(=), <))"),
    "parentheses": ("(a = 1 OR b = 2) AND c < 3", And, "And(Or(=, =), <)"),
    "BETWEEN and AND": ("a BETWEEN 1 AND 2 AND b = 3", And, "And(between, =)"),
    "NOT IN": ("a NOT IN (1, 2)", Not, "Not(in)"),
    "IN a list": ("a IN [1, 2]", In, "in"),
    "NOT BETWEEN": ("a NOT BETWEEN 1 AND 2", Not, "Not(between)"),
    "IS MISSING": ("a IS MISSING", Function, "attribute_not_exists"),
    "IS NOT MISSING": ("a IS NOT MISSING", Not, "Not(attribute_not_exists)"),
    "IS NULL": ("a IS NULL", Function, "attribute_type"),
    "another sign for unequal": ("a != 1", Comparison, "<>"),
    "a function in capitals": ("BEGINS_WITH(a, 'x')", Function, "begins_with"),
    "a function that is true": ("contains(a, 'x') = true", Function, "contains"),
    "a function that is not": ("false = contains(a, 'x')", Not, "Not(contains)"),
    "comments": ("a = 1 -- no\n /* AND b = 2 */ AND c <= 3", And, "And(=, <=)"),
}


def outline(node: object) -> str:
    match node:
        case And(left, right) | Or(left, right):
            return f"{type(node).__name__}({outline(left)}, {outline(right)})"
        case Not(condition):
            return f"Not({outline(condition)})"
        case Comparison(operator, _, _):
            return operator
        case Function(name, _):
            return name
        case Between():
            return "between"
        case In():
            return "in"
    raise AssertionError(node)


@pytest.mark.parametrize(("text", "kind", "shape"), CONDITIONS.values(), ids=CONDITIONS)
def test_conditions(text: str, kind: type, shape: str) -> None:
    parsed = parse_statement(f"SELECT * FROM t WHERE {text}")
    assert isinstance(parsed, Select)
    assert isinstance(parsed.where, kind)
    assert outline(parsed.where) == shape


LITERALS = {
    "1.50": {"N": "1.5"},
    "-.5e1": {"N": "-5"},
    "1E2": {"N": "100"},
    "'?'": {"S": "?"},
    "TRUE": {"BOOL": True},
    "null": {"NULL": True},
    "[1, 'a', []]": {"L": [{"N": "1"}, {"S": "a"}, {"L": []}]},
    "{'k': {'l': false}}": {"M": {"k": {"M": {"l": {"BOOL": False}}}}},
    "<<'a', 'b'>>": {"SS": ["a", "b"]},
    "<<1.0, -2>>": {"NS": ["-2", "1"]},
}


@pytest.mark.parametrize(("text", "value"), LITERALS.items(), ids=LITERALS)
def test_literals(text: str, value: object) -> None:
    parsed = parse_statement(f"SELECT * FROM t WHERE a = {text}")
    assert isinstance(parsed, Select)
    assert parsed.values.nodes == values(value)


def test_an_update() -> None:
    parsed = parse_statement(
        "UPDATE t SET a = b - 1, c = list_append(c, [?]) SET s = set_add(s, ?) REMOVE a[1] WHERE b = ? "
        "RETURNING modified NEW *"
    )
    assert isinstance(parsed, Update)
    assert parsed.actions == (
        SetAction(A, Arithmetic("-", B, FIRST)),
        SetAction(C, Function("list_append", (C, SECOND))),
        AddAction(Path(("s",)), ValueRef("2")),
        RemoveAction(Path(("a", 1))),
    )
    assert parsed.values.nodes == (Literal({"N": "1"}), ListOf((Parameter(0),)), Parameter(1), Parameter(2))
    assert (parsed.returning, parsed.values.parameters) == ("MODIFIED NEW", 3)


def test_an_update_that_begins_with_from() -> None:
    assert parse_statement("FROM t WHERE a = 1 SET b = 2") == parse_statement("FROM t where a = 1 set b = 2")
    parsed = parse_statement("FROM t WHERE a = 1 SET b = 2 REMOVE c")
    assert isinstance(parsed, Update)
    assert parsed.actions == (SetAction(B, SECOND), RemoveAction(C))


def test_other_statements() -> None:
    inserted = parse_statement("INSERT INTO t VALUE {'a': ?, 'b': {'c': [?]}}")
    assert isinstance(inserted, Insert)
    assert inserted.item == MapOf((("a", Parameter(0)), ("b", MapOf((("c", ListOf((Parameter(1),))),)))))
    deleted = parse_statement("DELETE FROM t WHERE a = 1 RETURNING ALL OLD *")
    assert isinstance(deleted, Delete)
    assert deleted.returning == "ALL OLD"
    exists = parse_statement("EXISTS(SELECT * FROM t WHERE a = 1 AND b = 2)")
    assert isinstance(exists, Exists)
    assert exists.select.table == "t"
