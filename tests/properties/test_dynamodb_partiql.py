"""Statements: what is written out is read as it was, and a SELECT finds what a filter over all items finds."""

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.dynamodb.core.expressions.ast import (
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
from cumulet.services.dynamodb.core.expressions.conditions import bind_condition_tree
from cumulet.services.dynamodb.core.expressions.placeholders import Placeholders
from cumulet.services.dynamodb.core.partiql.ast import (
    Delete,
    Insert,
    ListOf,
    Literal,
    MapOf,
    Node,
    OrderKey,
    Parameter,
    Select,
    Statement,
    Update,
    Values,
)
from cumulet.services.dynamodb.core.partiql.grammar import parse_statement
from cumulet.services.dynamodb.core.values import in_order
from harness import House

# --- writing statements out


def write_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def write_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def write_value(value: Any) -> str:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return write_text(content)
        case "N":
            return str(content)
        case "BOOL":
            return "true" if content else "false"
        case "NULL":
            return "null"
        case "L":
            return "[" + ", ".join(map(write_value, content)) + "]"
        case "M":
            return "{" + ", ".join(f"{write_text(name)}: {write_value(v)}" for name, v in content.items()) + "}"
        case "SS":
            return "<<" + ", ".join(map(write_text, content)) + ">>"
    return "<<" + ", ".join(content) + ">>"


def write_node(node: Node) -> str:
    match node:
        case Literal(value):
            return write_value(value)
        case Parameter(_):
            return "?"
        case ListOf(elements):
            return "[" + ", ".join(map(write_node, elements)) + "]"
        case MapOf(entries):
            return "{" + ", ".join(f"{write_text(name)}: {write_node(below)}" for name, below in entries) + "}"


def write_path(path: Path) -> str:
    first, *more = path.elements
    return write_name(str(first)) + "".join(f"[{e}]" if isinstance(e, int) else "." + write_name(e) for e in more)


class Writer:
    """Writes the conditions and actions of one statement, whose values it has."""

    def __init__(self, values: Values) -> None:
        self.values = values

    def term(self, node: Any) -> str:
        match node:
            case Path():
                return write_path(node)
            case ValueRef(name):
                return write_node(self.values.nodes[int(name)])
            case And(left, right):
                return f"({self.term(left)}) AND ({self.term(right)})"
            case Or(left, right):
                return f"({self.term(left)}) OR ({self.term(right)})"
            case Not(condition):
                return f"NOT ({self.term(condition)})"
            case Arithmetic(operator, left, right) | Comparison(operator, left, right):
                return f"{self.term(left)} {operator} {self.term(right)}"
            case Between(operand, low, high):
                return f"{self.term(operand)} BETWEEN {self.term(low)} AND {self.term(high)}"
            case In(operand, options):
                return f"{self.term(operand)} IN [{', '.join(map(self.term, options))}]"
            case Function(name, operands):
                return f"{name}({', '.join(map(self.term, operands))})"
            case SetAction(path, value):
                return f" SET {write_path(path)} = {self.term(value)}"
            case RemoveAction(path):
                return f" REMOVE {write_path(path)}"
        raise AssertionError(node)

    def where(self, where: Any) -> str:
        return "" if where is None else f" WHERE {self.term(where)}"


def write_statement(statement: Statement) -> str:
    if isinstance(statement, Insert):
        return f"INSERT INTO {write_name(statement.table)} VALUE {write_node(statement.item)}"
    assert isinstance(statement, (Select, Update, Delete))
    writer = Writer(statement.values)
    where = writer.where(statement.where)
    if isinstance(statement, Select):
        paths = "*" if statement.paths is None else ", ".join(map(write_path, statement.paths))
        index = "" if statement.index is None else "." + write_name(statement.index)
        order = ", ".join(write_path(key.path) + (" DESC" if key.descending else " ASC") for key in statement.order)
        return f"SELECT {paths} FROM {write_name(statement.table)}{index}{where}" + (order and f" ORDER BY {order}")
    returning = "" if statement.returning is None else f" RETURNING {statement.returning} *"
    if isinstance(statement, Delete):
        return f"DELETE FROM {write_name(statement.table)}{where}{returning}"
    return f"UPDATE {write_name(statement.table)}{''.join(map(writer.term, statement.actions))}{where}{returning}"


# --- making statements up

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=6)
names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=6)
numbers = st.integers(-(10**9), 10**9).map(str)
scalars = st.one_of(
    texts.map(lambda text: {"S": text}),
    numbers.map(lambda number: {"N": number}),
    st.booleans().map(lambda truth: {"BOOL": truth}),
    st.just({"NULL": True}),
    st.lists(texts, min_size=1, max_size=3, unique=True).map(lambda members: {"SS": in_order("SS", members)}),
    st.lists(numbers, min_size=1, max_size=3, unique=True).map(lambda members: {"NS": in_order("NS", members)}),
)
values = st.recursive(
    scalars,
    lambda below: st.one_of(
        st.lists(below, max_size=3).map(lambda elements: {"L": elements}),
        st.dictionaries(texts, below, max_size=3).map(lambda entries: {"M": entries}),
    ),
    max_leaves=5,
)
paths = st.builds(
    lambda first, more: Path((first, *more)),
    names,
    st.lists(st.one_of(names, st.integers(0, 99)), max_size=3),
)


@st.composite
def statements(draw: st.DrawFn) -> Statement:
    """Return a statement as the parser would number its values: in the order in which they are written."""
    nodes: list[Node] = []
    parameters = 0

    def node() -> Node:
        nonlocal parameters
        if draw(st.booleans()):
            return Literal(draw(values))
        parameters += 1
        parameter = Parameter(parameters - 1)
        shape = draw(st.integers(0, 3))
        if shape == 0:
            return ListOf((Literal(draw(scalars)), parameter))
        return MapOf(((draw(texts), parameter),)) if shape == 1 else parameter

    def ref() -> ValueRef:
        nodes.append(node())
        return ValueRef(str(len(nodes) - 1))

    def operand() -> Any:
        return draw(paths) if draw(st.booleans()) else ref()

    def condition(depth: int) -> Any:
        match draw(st.integers(0, 7 if depth else 4)):
            case 0:
                return Comparison(draw(st.sampled_from(["=", "<>", "<", "<=", ">", ">="])), operand(), operand())
            case 1:
                return Between(operand(), operand(), operand())
            case 2:
                return In(operand(), tuple([operand() for _ in range(draw(st.integers(1, 3)))]))
            case 3:
                return Function(draw(st.sampled_from(["begins_with", "contains"])), (draw(paths), operand()))
            case 4:
                return Comparison("<", Function("size", (draw(paths),)), operand())
            case 5:
                return Not(condition(depth - 1))
            case 6:
                return And(condition(depth - 1), condition(depth - 1))
        return Or(condition(depth - 1), condition(depth - 1))

    def where() -> Any:
        return condition(3) if draw(st.booleans()) else None

    def action() -> Any:
        if draw(st.booleans()):
            return RemoveAction(draw(paths))
        value = operand()
        return SetAction(draw(paths), Arithmetic("+", value, operand()) if draw(st.booleans()) else value)

    def finished() -> Values:
        return Values(tuple(nodes), parameters)

    table = draw(names)
    match draw(st.integers(0, 3)):
        case 0:
            selected = draw(st.one_of(st.none(), st.lists(names, min_size=1, max_size=3, unique=True)))
            projection = None if selected is None else tuple([Path((name,)) for name in selected])
            found = where()
            order = tuple(draw(st.lists(st.builds(OrderKey, paths, st.booleans()), max_size=2)))
            return Select(projection, table, draw(st.one_of(st.none(), names)), found, order, finished())
        case 1:
            entries = [(name, node()) for name in draw(st.lists(texts, max_size=3, unique=True))]
            item: Node = MapOf(tuple(entries))
            if all(isinstance(below, Literal) for _, below in entries):
                item = Literal({"M": {name: below.value for name, below in entries if isinstance(below, Literal)}})
            return Insert(table, item, finished())
        case 2:
            actions = tuple([action() for _ in range(draw(st.integers(1, 3)))])
            found = where()
            returning = draw(st.sampled_from([None, "ALL OLD", "ALL NEW", "MODIFIED OLD", "MODIFIED NEW"]))
            return Update(table, actions, found, returning, finished())
    found = where()
    return Delete(table, found, draw(st.sampled_from([None, "ALL OLD"])), finished())


@settings(max_examples=150, deadline=None)
@given(statements())
def test_a_statement_is_read_as_it_was_written(statement: Statement) -> None:
    assert parse_statement(write_statement(statement)) == statement


# --- what a SELECT finds

TABLE = {
    "TableName": "rows",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "N"},
    ],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
}
PARTITIONS = ["p", "q", "r"]
sort_keys = st.integers(-3, 3).map(str)
items = st.dictionaries(
    st.tuples(st.sampled_from(PARTITIONS), sort_keys), st.sampled_from(["x", "y"]), min_size=1, max_size=12
)
partition_clauses = st.one_of(
    st.sampled_from(PARTITIONS).map(lambda value: f"pk = '{value}'"),
    st.lists(st.sampled_from(PARTITIONS), min_size=1, max_size=3, unique=True).map(
        lambda found: f"pk IN [{', '.join(map(write_text, found))}]"
    ),
)
sort_clauses = st.one_of(
    st.builds(lambda operator, n: f"sk {operator} {n}", st.sampled_from(["=", "<", "<=", ">", ">=", "<>"]), sort_keys),
    st.builds(lambda operator, n: f"{n} {operator} sk", st.sampled_from(["=", "<", "<=", ">", ">="]), sort_keys),
    st.lists(sort_keys, min_size=2, max_size=2).map(lambda pair: "sk BETWEEN {} AND {}".format(*sorted(pair, key=int))),
    st.lists(sort_keys, min_size=1, max_size=3, unique=True).map(lambda found: f"NOT sk IN [{', '.join(found)}]"),
)
other_clauses = st.sampled_from(["a = 'x'", "NOT a = 'x'", "attribute_exists(a)", "a IS MISSING", "pk > 'p'"])
clauses = st.one_of(
    partition_clauses,
    st.builds("{} AND {}".format, partition_clauses, sort_clauses),
    st.builds("{} AND {} AND {}".format, sort_clauses, partition_clauses, sort_clauses),
    st.builds("{} AND ({} OR {})".format, partition_clauses, other_clauses, other_clauses),
    st.builds("{} AND {}".format, sort_clauses, other_clauses),
    other_clauses,
)


async def load(stored: dict[tuple[str, str], str]) -> tuple[House, list[dict[str, Any]]]:
    house = House("dynamodb")
    await house.call("dynamodb", "CreateTable", TABLE)
    loaded = [{"pk": {"S": pk}, "sk": {"N": sk}, "a": {"S": a}} for (pk, sk), a in stored.items()]
    for item in loaded:
        await house.call("dynamodb", "PutItem", {"TableName": "rows", "Item": item})
    return house, loaded


async def select(house: House, statement: str, **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        answer = await house.call("dynamodb", "ExecuteStatement", {"Statement": statement, **more})
        page = msgspec.json.decode(msgspec.json.encode(answer))
        found += page["Items"]
        if "NextToken" not in page:
            return found
        more["NextToken"] = page["NextToken"]


def matching(statement: str, loaded: list[dict[str, Any]]) -> list[dict[str, Any]]:
    parsed = parse_statement(statement)
    assert isinstance(parsed, Select)
    assert parsed.where is not None
    bound = {str(n): node.value for n, node in enumerate(parsed.values.nodes) if isinstance(node, Literal)}
    test, _ = bind_condition_tree(parsed.where, "WHERE", Placeholders.of_canonical(bound))
    return [item for item in loaded if test(item)]


def by_key(item: dict[str, Any]) -> tuple[str, int]:
    return item["pk"]["S"], int(item["sk"]["N"])


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(items, clauses, st.integers(1, 4))
def test_a_select_finds_what_a_filter_finds_and_pages_make_a_whole(
    stored: dict[tuple[str, str], str], clause: str, limit: int
) -> None:
    async def run() -> None:
        house, loaded = await load(stored)
        statement = f'SELECT * FROM "rows" WHERE {clause}'
        whole = await select(house, statement)
        assert sorted(whole, key=by_key) == sorted(matching(statement, loaded), key=by_key)
        assert await select(house, statement, Limit=limit) == whole

    asyncio.run(run())


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(items, partition_clauses, st.booleans(), st.booleans(), st.integers(1, 4))
def test_order_by_sorts(
    stored: dict[tuple[str, str], str], clause: str, hash_descending: bool, sort_descending: bool, limit: int
) -> None:
    async def run() -> None:
        house, loaded = await load(stored)
        ways = {False: "ASC", True: "DESC"}
        statement = f'SELECT * FROM "rows" WHERE {clause}'
        ordered = f"{statement} ORDER BY pk {ways[hash_descending]}, sk {ways[sort_descending]}"
        expected = sorted(matching(statement, loaded), key=lambda i: by_key(i)[1], reverse=sort_descending)
        expected.sort(key=lambda i: by_key(i)[0], reverse=hash_descending)
        assert await select(house, ordered, Limit=limit) == expected

    asyncio.run(run())
