"""Conditions: what holds for which item, and what AWS says of expressions that are wrong."""

from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.expressions.ast import ValueRef
from cumulet.services.dynamodb.core.expressions.conditions import bind_condition
from cumulet.services.dynamodb.core.expressions.grammar import parse_update
from cumulet.services.dynamodb.core.expressions.placeholders import Placeholders

ITEM: dict[str, Any] = {
    "s": {"S": "hello"},
    "u": {"S": "h\u00e9"},
    "n": {"N": "5"},
    "m": {"N": "10"},
    "b": {"B": "aGk="},
    "t": {"BOOL": True},
    "z": {"NULL": True},
    "ss": {"SS": ["a", "b"]},
    "ns": {"NS": ["1", "2"]},
    "l": {"L": [{"S": "x"}, {"N": "1"}, {"M": {"deep": {"S": "y"}}}]},
    "doc": {"M": {"k": {"S": "v"}, "a.b": {"N": "7"}}},
}
VALUES: dict[str, Any] = {
    ":five": {"N": "5"},
    ":ten": {"N": "10"},
    ":two": {"N": "2"},
    ":h": {"S": "h"},
    ":hello": {"S": "hello"},
    ":a": {"S": "a"},
    ":x": {"S": "x"},
    ":v": {"S": "v"},
    ":y": {"S": "y"},
    ":hi": {"B": "aGk="},
    ":true": {"BOOL": True},
    ":null": {"NULL": True},
    ":ba": {"SS": ["b", "a"]},
    ":S": {"S": "S"},
    ":L": {"S": "L"},
    ":Q": {"S": "Q"},
    ":list": {"L": []},
}
NAMES = {"#s": "s", "#dot": "a.b", "#doc": "doc"}


def holds(expression: str, item: dict[str, Any] = ITEM) -> bool:
    return bind_condition(expression, "ConditionExpression", Placeholders(NAMES, VALUES))(item)


@pytest.mark.parametrize(
    "expression",
    [
        "n = :five",
        ":five = n",
        "n <> :ten",
        "n < m",
        "n <= :five",
        "m > :five",
        "n >= :five",
        "s < :x",
        "b = :hi",
        "t = :true",
        "z = :null",
        "ss = :ba",
        "#s = :hello",
        "doc.k = :v",
        "#doc.#dot < :ten",
        "l[0] = :x",
        "l[2].deep = :y",
        "n BETWEEN :two AND :ten",
        "n BETWEEN :five AND :five",
        "n IN (:two, :five)",
        "attribute_exists(l[1])",
        "attribute_not_exists(l[3])",
        "attribute_not_exists(s.k)",
        "attribute_type(s, :S)",
        "attribute_type(l, :L)",
        "begins_with(s, :h)",
        "contains(s, :h)",
        "contains(ss, :a)",
        "contains(ns, :two)",
        "contains(l, :x)",
        "contains(b, :hi)",
        "size(s) = :five",
        "size(u) = :two",
        "size(ss) = :two",
        "size(b) = :two",
        "size(l) < :ten",
        "size(:hello) = n",
        "NOT n = :ten",
        "NOT NOT n = :five",
        "NOT (n = :ten OR n = :two)",
        "n = :ten OR n = :five",
        "n = :five AND m = :ten",
        "n = :five OR n = :ten AND n = :two",
        "NOT n = :ten AND m = :ten",
        "(n = :five)",
        "(n) = (:five)",
        "((n = :five) AND m = :ten)",
        "absent <> :five",
        "NOT absent = :five",
        "N = :five OR attribute_not_exists(N)",
    ],
)
def test_holds(expression: str) -> None:
    assert holds(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "n = :hello",
        "absent = :five",
        "absent < :five",
        "n < s",
        "t IN (:null)",
        "absent IN (:five)",
        "absent BETWEEN :two AND :ten",
        "attribute_exists(absent)",
        "attribute_exists(l[9])",
        "attribute_exists(s[0])",
        "begins_with(n, :h)",
        "contains(ss, :x)",
        "contains(n, :five)",
        "size(n) = :five",
        "size(absent) = :five",
        "(n = :five OR n = :ten) AND n = :two",
    ],
)
def test_does_not_hold(expression: str) -> None:
    assert not holds(expression)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("", "The expression can not be empty;"),
        (" \n", "The expression can not be empty;"),
        ("n", 'Syntax error; token: "<EOF>", near: "n"'),
        ("n = ", 'Syntax error; token: "<EOF>", near: "="'),
        ("n == :five", 'Syntax error; token: "=", near: "== :five"'),
        ("n != :five", 'Syntax error; token: "!", near: "n !="'),
        ("n = 5", 'Syntax error; token: "5", near: "= 5"'),
        ("n : five", 'Syntax error; token: ":", near: "n : five"'),
        ("_n = :five", 'Syntax error; token: "_", near: "_n"'),
        ("n = :five)", 'Syntax error; token: ")", near: ":five)"'),
        ("(n = :five", 'Syntax error; token: "<EOF>", near: ":five"'),
        ("n = :five AND", 'Syntax error; token: "<EOF>", near: "AND"'),
        ("n = :five = :five", 'Syntax error; token: "=", near: ":five = :five"'),
        ("l[s] = :x", 'Syntax error; token: "s", near: "[s]"'),
        ("((n = :five))", "The expression has redundant parentheses;"),
        ("((n)) = :five", "The expression has redundant parentheses;"),
        ("n = ((:five))", "The expression has redundant parentheses;"),
        ("name = :five", "Attribute name is a reserved keyword; reserved keyword: name"),
        ("doc.Status = :five", "Attribute name is a reserved keyword; reserved keyword: Status"),
        ("dog(n)", "Invalid function name; function: dog"),
        ("SIZE(n) = :five", "Invalid function name; function: SIZE"),
        ("list_append(n, m) = :five", "The function is not allowed in a condition expression; function: list_append"),
        ("size(n)", "The function is not allowed to be used this way in an expression; function: size"),
        (
            "attribute_exists(n) = :true",
            "The function is not allowed to be used this way in an expression; function: attribute_exists",
        ),
        (
            "contains(begins_with(n, m), :a)",
            "The function is not allowed to be used this way in an expression; function: begins_with",
        ),
        (
            "#nope = :five",
            "An expression attribute name used in the document path is not defined; attribute name: #nope",
        ),
        (
            "n = :nope",
            "An expression attribute value used in expression is not defined; attribute value: :nope",
        ),
        (
            "size(n, m) = :five",
            "Incorrect number of operands for operator or function; operator or function: size, number of operands: 2",
        ),
        (
            "begins_with(n)",
            "Incorrect number of operands for operator or function; "
            "operator or function: begins_with, number of operands: 1",
        ),
        (
            "begins_with(s, :five)",
            "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
        ),
        (
            "size(:five) = n",
            "Incorrect operand type for operator or function; operator or function: size, operand type: N",
        ),
        ("t < :true", "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL"),
        (
            "attribute_type(n, :Q)",
            "Invalid attribute type name found; type: Q, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
        ),
        (
            "attribute_exists(:five)",
            "Operator or function requires a document path; operator or function: attribute_exists",
        ),
        (
            "n = n",
            "The first operand must be distinct from the remaining operands for this operator or function; "
            "operator: =, first operand: [n]",
        ),
        (
            "contains(l[0], l[0])",
            "The first operand must be distinct from the remaining operands for this operator or function; "
            "operator: contains, first operand: [l, [0]]",
        ),
        (
            "n BETWEEN :ten AND :two",
            "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
            "lower bound operand: AttributeValue: {N:10}, upper bound operand: AttributeValue: {N:2}",
        ),
        (
            "n BETWEEN :ten AND :hello",
            "The BETWEEN operator requires same data type for lower and upper bounds; "
            "lower bound operand: AttributeValue: {N:10}, upper bound operand: AttributeValue: {S:hello}",
        ),
        (
            "n BETWEEN :list AND :ten",
            "Incorrect operand type for operator or function; operator or function: BETWEEN, operand type: L",
        ),
        ("x" * 4097, "Expression size has exceeded the maximum allowed size; expression size: 4097"),
        ("n<m " + "or n<m " * 150, "The expression contains too many operators; operator count: 301"),
        ("(" * 4096, 'Syntax error; token: "<EOF>", near: "("'),
        ("n < " + "f(" * 400 + "m" + ")" * 400, "The expression contains too many operators; operator count: 301"),
    ],
)
def test_wrong_expression(expression: str, problem: str) -> None:
    with pytest.raises(ServiceError) as error:
        holds(expression)
    assert error.value.code == "ValidationException"
    assert error.value.message == f"Invalid ConditionExpression: {problem}"


def test_299_operators_may_nest() -> None:
    assert holds("n<m " + "or (n<m " * 149 + ")" * 149)


def test_300_times_not() -> None:
    assert holds("NOT " * 298 + "n<m")


@pytest.mark.parametrize(
    ("names", "values", "message"),
    [
        ({}, None, "ExpressionAttributeNames must not be empty"),
        ({"s": "s"}, None, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "s"'),
        (
            {"": "s"},
            None,
            "ExpressionAttributeNames contains invalid key: The expression attribute map contains an empty key;",
        ),
        (
            {"#" + "s" * 255: "s"},
            None,
            "ExpressionAttributeNames contains invalid key: The expression attribute map contains a key that is too "
            "long; key size: 256",
        ),
        (None, {}, "ExpressionAttributeValues must not be empty"),
        (None, {"v": {"S": "a"}}, 'ExpressionAttributeValues contains invalid key: Syntax error; key: "v"'),
        (
            None,
            {":" + "v" * 255: {"S": "a"}},
            "ExpressionAttributeValues contains invalid key: The expression attribute map contains a key that is too "
            "long; key size: 256",
        ),
        (
            None,
            {":v": {"S": "x" * (400 * 1024 + 1)}},
            "ExpressionAttributeValues contains invalid value: Item size has exceeded the maximum allowed size "
            "for key :v",
        ),
        (
            None,
            {":v": {"SS": []}},
            "ExpressionAttributeValues contains invalid value: One or more parameter values were invalid: "
            "An string set  may not be empty for key :v",
        ),
    ],
)
def test_bad_placeholders(names: Any, values: Any, message: str) -> None:
    with pytest.raises(ServiceError) as error:
        Placeholders(names, values)
    assert error.value.message == message


def test_placeholders_have_two_megabytes_together() -> None:
    values = {f":{number}": {"S": "x" * 400 * 1024} for number in range(5)}
    left = 2 * 1024 * 1024 - 5 * 400 * 1024
    Placeholders({"#a": "n" * 1024, "#b": "n"}, {**values, ":v": {"S": "x" * (left - 1025)}})
    with pytest.raises(ServiceError) as error:
        Placeholders({"#a": "n" * 1024, "#b": "nn"}, {**values, ":v": {"S": "x" * (left - 1025)}})
    assert error.value.message == (
        "Aggregated size of all expression attribute names and values has exceeded the size limit of 2097152 bytes"
    )
    with pytest.raises(ServiceError, match="Aggregated size"):
        Placeholders({f"#{number}": "n" * 65_535 for number in range(33)}, None)


def test_the_size_of_an_update_expression_is_not_told() -> None:
    with pytest.raises(ServiceError) as error:
        parse_update("SET a = :v" + " " * 4096)
    assert error.value.message == "Invalid UpdateExpression: Expression size has exceeded the maximum allowed size;"


def test_placeholders_may_have_255_bytes() -> None:
    name, value = "#" + "n" * 254, ":" + "v" * 254
    assert Placeholders({name: "a"}, {value: {"S": "x"}}).value(ValueRef(value), "ConditionExpression") == {"S": "x"}


def test_in_takes_a_hundred_values() -> None:
    values = Placeholders(None, {":v": {"N": "1"}})
    bind_condition("n IN (" + ", ".join([":v"] * 100) + ")", "FilterExpression", values)
    with pytest.raises(ServiceError) as error:
        bind_condition("n IN (" + ", ".join([":v"] * 101) + ")", "FilterExpression", values)
    words = "The IN operator is provided with too many operands; number of operands: 101"
    assert error.value.message == f"Invalid FilterExpression: {words}"


def test_every_placeholder_must_be_used() -> None:
    placeholders = Placeholders({"#a": "a", "#b": "b"}, {":v": {"S": "x"}, ":w": {"S": "y"}})
    bind_condition("#a = :v", "ConditionExpression", placeholders)
    with pytest.raises(ServiceError) as error:
        placeholders.check_all_used()
    assert error.value.message == "Value provided in ExpressionAttributeNames unused in expressions: keys: {#b}"
    bind_condition("#b = :v", "ConditionExpression", placeholders)
    with pytest.raises(ServiceError) as error:
        placeholders.check_all_used()
    assert error.value.message == "Value provided in ExpressionAttributeValues unused in expressions: keys: {:w}"
