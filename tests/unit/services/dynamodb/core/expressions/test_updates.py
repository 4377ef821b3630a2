"""Updates: the item before, the expression, the item after; and the words for what cannot be."""

import copy
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.expressions import updates
from cumulet.services.dynamodb.core.expressions.placeholders import Placeholders
from cumulet.services.dynamodb.core.expressions.updates import bind_update

VALUES: dict[str, Any] = {
    ":1": {"N": "1"},
    ":2": {"N": "2"},
    ":s": {"S": "text"},
    ":l": {"L": [{"N": "9"}]},
    ":m": {"M": {"x": {"N": "1"}}},
    ":ab": {"SS": ["a", "b"]},
    ":bc": {"SS": ["b", "c"]},
    ":n12": {"NS": ["1", "2"]},
}


def numbers(*values: int) -> dict[str, Any]:
    return {"L": [{"N": str(value)} for value in values]}


def apply(expression: str, item: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(item)
    bind_update(expression, Placeholders({"#dot": "a.b"}, VALUES)).apply(changed)
    return changed


@pytest.mark.parametrize(
    ("before", "expression", "after"),
    [
        ({}, "SET a = :1", {"a": {"N": "1"}}),
        ({"a": {"N": "1"}}, "set a = :s, b = a", {"a": {"S": "text"}, "b": {"N": "1"}}),
        ({}, "SET #dot = :1", {"a.b": {"N": "1"}}),
        ({"a": {"N": "1"}}, "SET a = a + :2", {"a": {"N": "3"}}),
        ({"a": {"N": "1"}}, "SET a = :2 - a", {"a": {"N": "1"}}),
        ({}, "SET a = if_not_exists(a, :1) + :2", {"a": {"N": "3"}}),
        ({}, "SET a = if_not_exists(b, if_not_exists(c, :1))", {"a": {"N": "1"}}),
        ({"a": {"N": "7"}}, "SET a = if_not_exists(a, :1)", {"a": {"N": "7"}}),
        ({"a": numbers(1)}, "SET a = list_append(a, :l)", {"a": numbers(1, 9)}),
        ({"a": numbers(1)}, "SET a = list_append(:l, a)", {"a": numbers(9, 1)}),
        ({}, "SET a = list_append(if_not_exists(a, :l), :l)", {"a": numbers(9, 9)}),
        ({"a": numbers(1, 2, 3)}, "SET a[1] = :s", {"a": {"L": [{"N": "1"}, {"S": "text"}, {"N": "3"}]}}),
        ({"a": numbers(5)}, "SET a[84] = :2, a[37] = :1", {"a": numbers(5, 1, 2)}),
        ({"a": {"M": {}}}, "SET a.b = :1", {"a": {"M": {"b": {"N": "1"}}}}),
        ({"a": {"N": "1"}, "b": {"N": "2"}}, "REMOVE a, absent", {"b": {"N": "2"}}),
        ({"a": numbers(0, 1, 2, 3)}, "REMOVE a[0], a[2], a[9]", {"a": numbers(1, 3)}),
        (
            {"a": numbers(2, 3, 4, 5, 6, 7)},
            "REMOVE a[1] SET a[3] = :1",
            {"a": numbers(2, 4, 1, 6, 7)},
        ),
        ({"a": numbers(1, 2)}, "SET a[7] = :2 REMOVE a[2]", {"a": numbers(1, 2, 2)}),
        ({"a": {"N": "1"}}, "ADD a :2, b :1", {"a": {"N": "3"}, "b": {"N": "1"}}),
        ({"a": {"SS": ["a", "b"]}}, "ADD a :bc", {"a": {"SS": ["a", "b", "c"]}}),
        ({"a": {"SS": ["a", "d"]}}, "ADD a :bc", {"a": {"SS": ["a", "b", "c", "d"]}}),
        ({"a": {"SS": ["a", "b"]}}, "DELETE a :bc", {"a": {"SS": ["a"]}}),
        ({"a": {"SS": ["a", "b"]}}, "DELETE a :ab", {}),
        ({}, "DELETE a :ab", {}),
        (
            {"a": {"M": {"x": {"N": "1"}}}, "b": {"N": "0"}},
            "SET b = a, a.x = :2",
            {"a": {"M": {"x": {"N": "2"}}}, "b": {"M": {"x": {"N": "1"}}}},
        ),
        ({"a": {"N": "1"}, "b": {"N": "2"}}, "SET a = b, b = a", {"a": {"N": "2"}, "b": {"N": "1"}}),
    ],
)
def test_update(before: dict[str, Any], expression: str, after: dict[str, Any]) -> None:
    assert apply(expression, before) == after


OVERLAP = "Two document paths overlap with each other; must remove or rewrite one of these paths; "
CONFLICT = "Two document paths conflict with each other; must remove or rewrite one of these paths; "
OPERAND = "Incorrect operand type for operator or function; "


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("INVALID SYNTAX HERE", 'Syntax error; token: "INVALID", near: "INVALID SYNTAX"'),
        ("ADD hits : incr", 'Syntax error; token: ":", near: "hits : incr"'),
        ("SET a = :1,", 'Syntax error; token: "<EOF>", near: ","'),
        ("SET a = if_not_exists(a, :1+:2)", 'Syntax error; token: "+", near: ":1+:2"'),
        ("SET a = :1 SET b = :2", 'The "SET" section can only be used once in an update expression;'),
        ("SET a = size(b)", "The function is not allowed in an update expression; function: size"),
        ("SET a = f(b)", "Invalid function name; function: f"),
        ("SET date = :1", "Attribute name is a reserved keyword; reserved keyword: date"),
        (
            "SET a = list_append(list_append(:l, :l), :l)",
            "The function is not allowed to be used this way in an expression; function: list_append",
        ),
        (
            "SET a = if_not_exists(:1, :2)",
            "Operator or function requires a document path; operator or function: if_not_exists",
        ),
        ("SET a = :s + :1", OPERAND + "operator or function: +, operand type: S"),
        ("SET a = list_append(:s, :l)", OPERAND + "operator or function: list_append, operand type: S"),
        ("ADD a :s", OPERAND + "operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND"),
        ("DELETE a :1", OPERAND + "operator: DELETE, operand type: NUMBER, typeSet: ALLOWED_FOR_DELETE_OPERAND"),
        ("SET a = :1 REMOVE a", OVERLAP + "path one: [a], path two: [a]"),
        ("SET a.b.c = :1, a.b = :2", OVERLAP + "path one: [a, b, c], path two: [a, b]"),
        ("SET a[1] = :1, a[1][1] = :2", OVERLAP + "path one: [a, [1]], path two: [a, [1], [1]]"),
        ("SET a.b = :1, a[1] = :2", CONFLICT + "path one: [a, b], path two: [a, [1]]"),
    ],
)
def test_wrong_expression(expression: str, problem: str) -> None:
    with pytest.raises(ServiceError) as error:
        apply(expression, {})
    assert error.value.message == f"Invalid UpdateExpression: {problem}"


@pytest.mark.parametrize(
    ("item", "expression", "message"),
    [
        ({}, "SET a = b", "The provided expression refers to an attribute that does not exist in the item"),
        ({}, "SET a = a + :1", "The provided expression refers to an attribute that does not exist in the item"),
        ({"a": {"S": "x"}}, "SET a = a + :1", "An operand in the update expression has an incorrect data type"),
        ({"a": {"S": "x"}}, "ADD a :1", "An operand in the update expression has an incorrect data type"),
        ({"a": {"NS": ["1"]}}, "DELETE a :ab", "An operand in the update expression has an incorrect data type"),
        (
            {"a": {"S": "x"}},
            "SET a.b = :1",
            "The document path provided in the update expression is invalid for update",
        ),
        ({}, "SET a[0] = :1", "The document path provided in the update expression is invalid for update"),
        ({}, "REMOVE a.b", "The document path provided in the update expression is invalid for update"),
        ({"a": {"L": []}}, "REMOVE a.b", "The document path provided in the update expression is invalid for update"),
    ],
)
def test_an_item_that_does_not_fit(item: dict[str, Any], expression: str, message: str) -> None:
    with pytest.raises(ServiceError) as error:
        apply(expression, item)
    assert error.value.message == message


def test_only_setting_and_adding_create_items() -> None:
    assert bind_update("SET a = :1 REMOVE b", Placeholders(None, VALUES)).creates
    assert bind_update("ADD a :1", Placeholders(None, VALUES)).creates
    assert not bind_update("REMOVE a DELETE b :ab", Placeholders(None, VALUES)).creates


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        (
            "SET a = :nothing, #nothing = :1",
            "An expression attribute value used in expression is not defined; attribute value: :nothing",
        ),
        (
            "SET #nothing = :1, a = :nothing",
            "An expression attribute name used in the document path is not defined; attribute name: #nothing",
        ),
        ("SET a = :s + :1, a = :2", OPERAND + "operator or function: +, operand type: S"),
        ("ADD a :s REMOVE #nothing", OPERAND + "operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND"),
    ],
)
def test_of_several_problems_the_first_in_the_text_is_told(expression: str, problem: str) -> None:
    with pytest.raises(ServiceError) as error:
        bind_update(expression, Placeholders({"#dot": "a.b"}, VALUES))
    assert error.value.message == f"Invalid UpdateExpression: {problem}"


def test_one_text_with_other_names_and_values_is_another_update() -> None:
    for name, number in (("a", "1"), ("b", "2"), ("a", "3")):
        item: dict[str, Any] = {}
        bind_update("SET #n = :n", Placeholders({"#n": name}, {":n": {"N": number}})).apply(item)
        assert item == {name: {"N": number}}


def test_names_and_values_count_as_used_each_time() -> None:
    for _ in range(2):
        placeholders = Placeholders({"#n": "a"}, {":n": {"N": "1"}})
        bind_update("SET #n = :n", placeholders)
        placeholders.check_all_used()
    placeholders = Placeholders({"#n": "a", "#m": "b"}, {":n": {"N": "1"}})
    bind_update("SET #n = :n", placeholders)
    with pytest.raises(ServiceError, match=r"unused in expressions: keys: \{#m\}"):
        placeholders.check_all_used()


@pytest.mark.parametrize(
    "names",
    [
        {"#n": "a" * 2000},
        {f"#{number:0>200}": "a" for number in range(10)},
        {f"#{number}": "a" for number in range(600)},
    ],
    ids=["a long name", "long placeholders", "many placeholders"],
)
def test_an_update_is_remembered_with_short_names_only(names: dict[str, str]) -> None:
    # Clients choose them, and could fill the memory.
    updates._plan_of.cache_clear()
    bind_update("REMOVE #n", Placeholders({"#n": "a"}, None))
    bind_update("REMOVE a", Placeholders(names, None))
    assert updates._plan_of.cache_info().currsize == 1


def test_what_is_remembered_of_an_update_has_no_values_of_a_request() -> None:
    for content in ([], [{"N": "1"}]):
        item: dict[str, Any] = {"c": numbers(5)}
        placeholders = Placeholders({"#a": "a"}, {":v": {"L": content}})
        bind_update("SET #a = if_not_exists(#a, :v), b = list_append(c, :v)", placeholders).apply(item)
        placeholders.check_all_used()
        assert item == {"a": {"L": content}, "b": {"L": [{"N": "5"}, *content]}, "c": numbers(5)}
        bind_update("SET a[9] = :1, b[9] = :1, c[0] = :1", Placeholders(None, {":1": {"N": "7"}})).apply(item)
