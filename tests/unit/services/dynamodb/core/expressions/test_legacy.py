"""The parameters that expressions replaced: what they mean, and AWS's words for what they cannot be."""

from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.expressions.key_conditions import KeyCondition
from cumulet.services.dynamodb.core.expressions.legacy import (
    bind_attribute_updates,
    bind_attributes_to_get,
    bind_expected,
    bind_legacy_filter,
    bind_legacy_key_conditions,
    check_not_mixed,
    check_operator_used,
)

ITEM: dict[str, Any] = {
    "s": {"S": "hello"},
    "n": {"N": "5"},
    "b": {"B": "gA=="},
    "l": {"L": [{"N": "1"}, {"BOOL": True}]},
    "ns": {"NS": ["2", "1"]},
    "dotted.name": {"S": "x"},
}
ONE, FIVE, NINE = {"N": "1"}, {"N": "5"}, {"N": "9"}


def asks(operator: str, *values: Any) -> dict[str, Any]:
    return {"ComparisonOperator": operator, "AttributeValueList": list(values)}


HOLDS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "EQ": ("n", asks("EQ", {"N": "5.0"}), True),
    "EQ of sets has no order": ("ns", asks("EQ", {"NS": ["1", "2"]}), True),
    "EQ of another type": ("n", asks("EQ", {"S": "5"}), False),
    "EQ of what is not there": ("nope", asks("EQ", FIVE), False),
    "NE": ("n", asks("NE", ONE), True),
    "NE of another type": ("n", asks("NE", {"S": "5"}), True),
    "NE of what is not there": ("nope", asks("NE", FIVE), True),
    "NE of the same": ("n", asks("NE", FIVE), False),
    "LT": ("n", asks("LT", NINE), True),
    "LE": ("n", asks("LE", FIVE), True),
    "GT": ("n", asks("GT", FIVE), False),
    "GE": ("n", asks("GE", FIVE), True),
    "GT of binaries has no sign": ("b", asks("GT", {"B": "fw=="}), True),
    "LT of a type without order": ("l", asks("LT", FIVE), False),
    "BETWEEN": ("n", asks("BETWEEN", ONE, FIVE), True),
    "BETWEEN of another type": ("n", asks("BETWEEN", {"S": "0"}, {"S": "9"}), False),
    "IN": ("n", asks("IN", ONE, FIVE), True),
    "IN does not look into sets": ("ns", asks("IN", ONE), False),
    "BEGINS_WITH": ("s", asks("BEGINS_WITH", {"S": "he"}), True),
    "BEGINS_WITH of a number": ("n", asks("BEGINS_WITH", {"S": "5"}), False),
    "CONTAINS in a text": ("s", asks("CONTAINS", {"S": "ell"}), True),
    "CONTAINS in a set": ("ns", asks("CONTAINS", ONE), True),
    "CONTAINS in a list": ("l", asks("CONTAINS", ONE), True),
    "NOT_CONTAINS": ("ns", asks("NOT_CONTAINS", NINE), True),
    "NOT_CONTAINS of what is not there": ("nope", asks("NOT_CONTAINS", NINE), False),
    "NULL": ("nope", asks("NULL"), True),
    "NULL of what is there": ("n", {"ComparisonOperator": "NULL"}, False),
    "NOT_NULL": ("n", asks("NOT_NULL"), True),
    "a name is one attribute": ("dotted.name", asks("EQ", {"S": "x"}), True),
}


@pytest.mark.parametrize("case", HOLDS)
def test_operators(case: str) -> None:
    name, condition, holds = HOLDS[case]
    filtered, mentioned = bind_legacy_filter({name: condition}, None)
    expected = bind_expected({name: condition}, None)
    assert filtered is not None
    assert expected is not None
    assert (filtered(ITEM), expected(ITEM), mentioned) == (holds, holds, {name})


@pytest.mark.parametrize(
    ("expected", "operator", "holds"),
    [
        ({"n": {"Value": FIVE}}, None, True),
        ({"n": {"Value": FIVE, "Exists": True}}, None, True),
        ({"n": {"Value": ONE}}, None, False),
        ({"nope": {"Exists": False}}, None, True),
        ({"n": {"Exists": False}}, None, False),
        ({"n": {"Value": FIVE}, "s": {"Value": ONE}}, None, False),
        ({"n": {"Value": FIVE}, "s": {"Value": ONE}}, "AND", False),
        ({"n": {"Value": FIVE}, "s": {"Value": ONE}}, "OR", True),
        ({"n": {"ComparisonOperator": "GE", "Value": ONE}}, None, True),
    ],
)
def test_expected(expected: Any, operator: str | None, holds: bool) -> None:
    test = bind_expected(expected, operator)
    assert test is not None
    assert test(ITEM) is holds


def test_nothing_asked_is_nothing_to_test() -> None:
    assert bind_expected({}, None) is None
    assert bind_legacy_filter({}, None) == (None, set())
    assert bind_legacy_filter(None, None) == (None, set())


def test_a_thousand_conditions_are_as_good_as_one() -> None:
    many = {f"a{number}": asks("NULL") for number in range(5000)}
    test, mentioned = bind_legacy_filter(many, "AND")
    assert test is not None
    assert test(ITEM)
    assert len(mentioned) == 5000


P = "One or more parameter values were invalid: "
REFUSED_CONDITIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no arguments": (asks("EQ"), P + "Invalid number of argument(s) for the EQ ComparisonOperator"),
    "two for one": (asks("LT", ONE, ONE), P + "Invalid number of argument(s) for the LT ComparisonOperator"),
    "none for IN": (asks("IN"), P + "Invalid number of argument(s) for the IN ComparisonOperator"),
    "one for NULL": (asks("NULL", ONE), P + "Invalid number of argument(s) for the NULL ComparisonOperator"),
    "one for BETWEEN": (asks("BETWEEN", ONE), P + "Invalid number of argument(s) for the BETWEEN ComparisonOperator"),
    "two types": (
        asks("IN", ONE, {"S": "a"}),
        P + "AttributeValues inside AttributeValueList must be of same type",
    ),
    "a type without order": (
        asks("GE", {"L": []}),
        P + "ComparisonOperator GE is not valid for L AttributeValue type",
    ),
    "a number begins with nothing": (
        asks("BEGINS_WITH", ONE),
        P + "ComparisonOperator BEGINS_WITH is not valid for N AttributeValue type",
    ),
    "contains looks for scalars": (
        asks("CONTAINS", {"L": []}),
        P + "ComparisonOperator CONTAINS is not valid for L AttributeValue type",
    ),
    "bounds the wrong way round": (
        asks("BETWEEN", NINE, ONE),
        "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound",
    ),
    "a value that is none": (
        asks("EQ", {}),
        "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
    ),
}


@pytest.mark.parametrize("case", REFUSED_CONDITIONS)
def test_refused_conditions(case: str) -> None:
    condition, message = REFUSED_CONDITIONS[case]
    for bind in (bind_legacy_filter, bind_expected):
        with pytest.raises(ServiceError) as error:
            bind({"a": condition}, None)
        assert (error.value.code, error.value.message) == ("ValidationException", message)


REFUSED_EXPECTED: dict[str, tuple[dict[str, Any], str]] = {
    "value and list": (
        {"Value": ONE, "AttributeValueList": [ONE], "ComparisonOperator": "EQ"},
        "Value and AttributeValueList cannot be used together for Attribute: a",
    ),
    "operator and exists": (
        {"Exists": True, "ComparisonOperator": "EQ", "AttributeValueList": [ONE]},
        "Exists and ComparisonOperator cannot be used together for Attribute: a",
    ),
    "operator alone": (
        {"ComparisonOperator": "EQ"},
        "Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: a",
    ),
    "list alone": (
        {"AttributeValueList": [ONE]},
        "AttributeValueList can only be used with a ComparisonOperator for Attribute: a",
    ),
    "exists alone": ({"Exists": True}, "Value must be provided when Exists is true for Attribute: a"),
    "nothing": ({}, "Value must be provided when Exists is null for Attribute: a"),
    "absent with a value": (
        {"Exists": False, "Value": ONE},
        "Value cannot be used when Exists is false for Attribute: a",
    ),
}


@pytest.mark.parametrize("case", REFUSED_EXPECTED)
def test_refused_expected(case: str) -> None:
    expected, message = REFUSED_EXPECTED[case]
    with pytest.raises(ServiceError) as error:
        bind_expected({"a": expected}, None)
    assert (error.value.code, error.value.message) == ("ValidationException", P + message)


def test_key_conditions() -> None:
    found = bind_legacy_key_conditions({"pk": asks("EQ", {"S": "a"}), "sk": asks("BETWEEN", {"N": "1.0"}, NINE)})
    assert found == {"pk": KeyCondition("=", ({"S": "a"},)), "sk": KeyCondition("BETWEEN", (ONE, NINE))}


@pytest.mark.parametrize("operator", ["NE", "IN", "CONTAINS", "NOT_CONTAINS", "NULL", "NOT_NULL"])
def test_conditions_that_no_range_expresses(operator: str) -> None:
    values = [] if "NULL" in operator else [{"S": "a"}]
    with pytest.raises(ServiceError, match="Attempted conditional constraint is not an indexable operation"):
        bind_legacy_key_conditions({"pk": asks(operator, *values)})


@pytest.mark.parametrize(
    ("name", "update", "after"),
    [
        ("n", {"Value": ONE}, ONE),
        ("n", {"Action": "PUT", "Value": {"S": "a"}}, {"S": "a"}),
        ("n", {"Action": "DELETE"}, None),
        ("nope", {"Action": "DELETE"}, None),
        ("n", {"Action": "ADD", "Value": ONE}, {"N": "6"}),
        ("nope", {"Action": "ADD", "Value": ONE}, ONE),
        ("ns", {"Action": "ADD", "Value": {"NS": ["9"]}}, {"NS": ["1", "2", "9"]}),
        ("ns", {"Action": "DELETE", "Value": {"NS": ["2", "7"]}}, {"NS": ["1"]}),
        ("ns", {"Action": "DELETE", "Value": {"NS": ["2", "1"]}}, None),
        ("l", {"Action": "ADD", "Value": {"L": [NINE]}}, {"L": [{"N": "1"}, {"BOOL": True}, NINE]}),
        ("nope", {"Action": "ADD", "Value": {"L": [NINE]}}, {"L": [NINE]}),
        ("dotted.name", {"Value": ONE}, ONE),
    ],
)
def test_attribute_updates(name: str, update: Any, after: Any) -> None:
    item = dict(ITEM)
    bind_attribute_updates({name: update}).apply(item)
    assert item.get(name) == after
    assert {**item, name: None} == {**ITEM, name: None}


@pytest.mark.parametrize(
    ("update", "creates"),
    [({"Value": ONE}, True), ({"Action": "ADD", "Value": ONE}, True), ({"Action": "DELETE"}, False)],
)
def test_a_deletion_alone_brings_nothing_into_being(update: Any, creates: bool) -> None:
    assert bind_attribute_updates({"a": update}).creates is creates


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"Action": "PUT"}, P + "Only DELETE action is allowed when no attribute value is specified"),
        ({}, P + "Only DELETE action is allowed when no attribute value is specified"),
        ({"Action": "ADD", "Value": {"S": "a"}}, P + "ADD action is not supported for the type S"),
        ({"Action": "DELETE", "Value": ONE}, P + "DELETE action with value is not supported for the type N"),
    ],
)
def test_refused_attribute_updates(update: Any, message: str) -> None:
    with pytest.raises(ServiceError) as error:
        bind_attribute_updates({"a": update})
    assert (error.value.code, error.value.message) == ("ValidationException", message)


@pytest.mark.parametrize(
    ("name", "update"),
    [
        ("s", {"Action": "ADD", "Value": ONE}),
        ("s", {"Action": "DELETE", "Value": {"SS": ["a"]}}),
        ("s", {"Action": "ADD", "Value": {"L": []}}),
    ],
)
def test_an_item_with_another_type(name: str, update: Any) -> None:
    with pytest.raises(ServiceError, match="Type mismatch for attribute to update"):
        bind_attribute_updates({name: update}).apply(dict(ITEM))


def test_attributes_to_get() -> None:
    assert bind_attributes_to_get(["n", "nope", "dotted.name"])(ITEM) == {"n": FIVE, "dotted.name": {"S": "x"}}
    with pytest.raises(ServiceError, match="Duplicate value in attribute name: n"):
        bind_attributes_to_get(["n", "s", "n"])


def test_both_kinds_do_not_mix() -> None:
    legacy, expressions = ("AttributeUpdates", "Expected"), ("UpdateExpression", "ConditionExpression")
    check_not_mixed({"Expected": {}, "UpdateExpression": None}, legacy, expressions)
    check_not_mixed({"UpdateExpression": "x"}, legacy, expressions)
    with pytest.raises(ServiceError) as error:
        check_not_mixed({"Expected": {}, "ConditionExpression": "x", "UpdateExpression": "x"}, legacy, expressions)
    assert error.value.message == (
        "Can not use both expression and non-expression parameters in the same request: "
        "Non-expression parameters: {Expected} Expression parameters: {UpdateExpression, ConditionExpression}"
    )


@pytest.mark.parametrize("params", [{"ConditionalOperator": "OR"}, {"ConditionalOperator": "OR", "Expected": {}}])
def test_an_operator_needs_something_to_join(params: Any) -> None:
    with pytest.raises(ServiceError, match="ConditionalOperator can only be used when Filter or Expected"):
        check_operator_used(params, "Expected")


@pytest.mark.parametrize(
    ("name", "message"),
    [("", "Empty attribute name"), ("x" * 65_536, "Attribute name is too large, must be less than 65536 bytes")],
)
def test_names_that_cannot_be(name: str, message: str) -> None:
    for bind in (
        lambda: bind_attributes_to_get([name]),
        lambda: bind_attribute_updates({name: {"Value": ONE}}),
        lambda: bind_expected({name: {"Value": ONE}}, None),
        lambda: bind_legacy_filter({name: asks("NULL")}, None),
    ):
        with pytest.raises(ServiceError) as error:
            bind()
        assert error.value.message == P + message
