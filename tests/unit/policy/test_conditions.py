"""Every operator; absent keys; several values."""

from collections.abc import Mapping
from typing import Any

import pytest

from cumulet.policy.conditions import OPERATORS, compile_conditions
from cumulet.policy.matching import Context


def holds(operator: str, key: str, values: Any, context: Context) -> bool:
    return all(condition.holds(context) for condition in compile_conditions({operator: {key: values}}, variables=True))


ARN = "arn:aws:sns:us-east-1:123456789012:topic"

OF_ONE_VALUE: list[tuple[str, Any, str, bool]] = [
    ("StringEquals", "abc", "abc", True),
    ("StringEquals", "abc", "ABC", False),
    ("StringEquals", ["x", "abc"], "abc", True),
    ("StringNotEquals", "abc", "abc", False),
    ("StringNotEquals", ["x", "abc"], "abc", False),
    ("StringNotEquals", ["x", "y"], "abc", True),
    ("StringEqualsIgnoreCase", "abc", "ABC", True),
    ("StringNotEqualsIgnoreCase", "abc", "ABC", False),
    ("StringLike", "a*c", "abbc", True),
    ("StringLike", "a?c", "abbc", False),
    ("StringNotLike", "a*c", "abbc", False),
    ("ArnEquals", "arn:aws:sns:*:123456789012:t*", ARN, True),
    ("ArnLike", "arn:aws:sns:*:topic", ARN, False),
    ("ArnNotEquals", ARN, ARN, False),
    ("ArnNotLike", "arn:aws:sqs:*:*:*", ARN, True),
    ("NumericEquals", "10", "10.0", True),
    ("NumericEquals", 10, "10", True),
    ("NumericNotEquals", "10", "11", True),
    ("NumericLessThan", "10", "9.99", True),
    ("NumericLessThan", "10", "10", False),
    ("NumericLessThanEquals", "10", "10", True),
    ("NumericGreaterThan", "10", "10", False),
    ("NumericGreaterThanEquals", "10", "10", True),
    ("NumericEquals", "10", "ten", False),
    ("DateEquals", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", True),
    ("DateLessThan", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z", True),
    ("DateLessThan", "1767225600", "2025-12-31T23:59:59Z", True),
    ("DateGreaterThan", "2026-01-01", "2026-01-01T00:00:01Z", True),
    ("DateGreaterThanEquals", "2026-01-01", "2025-12-31T23:59:59Z", False),
    ("DateNotEquals", "2026-01-01", "2026-01-01T00:00:00Z", False),
    ("Bool", "true", "true", True),
    ("Bool", True, "true", True),
    ("Bool", "false", "true", False),
    ("BinaryEquals", "aGVsbG8=", "aGVsbG8=", True),
    ("BinaryEquals", "aGVsbG8=", "b3RoZXI=", False),
    ("IpAddress", "203.0.113.0/24", "203.0.113.7", True),
    ("IpAddress", ["10.0.0.0/8", "203.0.113.7"], "203.0.113.7", True),
    ("IpAddress", "203.0.113.0/24", "203.0.114.7", False),
    ("IpAddress", "2001:db8::/32", "2001:db8::1", True),
    ("IpAddress", "203.0.113.0/24", "2001:db8::1", False),
    ("NotIpAddress", "203.0.113.0/24", "203.0.113.7", False),
]


@pytest.mark.parametrize(("operator", "values", "given", "expected"), OF_ONE_VALUE)
def test_one_value(operator: str, values: Any, given: str, expected: bool) -> None:
    assert holds(operator, "aws:Key", values, {"aws:key": given}) is expected


def test_the_table_above_has_every_operator() -> None:
    assert {row[0] for row in OF_ONE_VALUE} >= set(OPERATORS) - {"DateLessThanEquals"}


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_an_absent_key_fails_what_asserts_and_passes_what_negates(operator: str) -> None:
    value = {"Num": "1", "Dat": "2026-01-01", "Boo": "true", "Bin": "YQ==", "IpA": "::1", "Not": "::1"}.get(
        operator[:3], "x"
    )

    assert holds(operator, "a:b", value, {}) is ("Not" in operator)
    assert holds(operator + "IfExists", "a:b", value, {})
    assert holds("ForAllValues:" + operator, "a:b", value, {})
    assert not holds("ForAnyValue:" + operator, "a:b", value, {})


NULL: list[tuple[Any, Mapping[str, str | list[str]], bool]] = [
    ("true", {}, True),
    ("true", {"a:b": ""}, True),
    ("true", {"a:b": []}, True),
    ("true", {"a:b": "x"}, False),
    ("false", {"a:b": "x"}, True),
    ("false", {}, False),
    (["true", "false"], {}, True),
    (True, {}, True),
]


@pytest.mark.parametrize(("value", "context", "expected"), NULL)
def test_null(value: Any, context: Context, expected: bool) -> None:
    assert holds("Null", "a:b", value, context) is expected


SEVERAL: list[tuple[str, list[str], list[str], bool]] = [
    ("ForAllValues:StringEquals", ["a", "b"], ["a"], True),
    ("ForAllValues:StringEquals", ["a", "b"], ["a", "b", "c"], False),
    ("ForAllValues:StringEquals", ["a", "b"], [], True),
    ("ForAnyValue:StringEquals", ["a", "b"], ["b", "c"], True),
    ("ForAnyValue:StringEquals", ["a", "b"], ["c"], False),
    ("ForAnyValue:StringEquals", ["a", "b"], [], False),
    ("ForAllValues:StringNotEquals", ["a"], ["b", "c"], True),
    ("ForAllValues:StringNotEquals", ["a"], ["a", "c"], False),
    ("ForAnyValue:StringNotEquals", ["a"], ["a", "c"], True),
    ("ForAnyValue:StringNotEquals", ["a"], ["a"], False),
    ("StringEquals", ["a"], ["a", "c"], True),
    ("StringNotEquals", ["a"], ["a", "c"], False),
]


@pytest.mark.parametrize(("operator", "values", "given", "expected"), SEVERAL)
def test_several_values(operator: str, values: list[str], given: list[str], expected: bool) -> None:
    assert holds(operator, "dynamodb:Attributes", values, {"dynamodb:attributes": given}) is expected


def test_all_operators_and_keys_must_hold() -> None:
    element = {"StringEquals": {"a": "1", "b": "2"}, "Bool": {"c": "true"}}
    conditions = compile_conditions(element, variables=True)

    def all_hold(context: Context) -> bool:
        return all(condition.holds(context) for condition in conditions)

    assert all_hold({"a": "1", "b": "2", "c": "true"})
    assert not all_hold({"a": "1", "b": "2", "c": "false"})
    assert not all_hold({"a": "1", "b": "3", "c": "true"})


def test_a_variable_in_a_value() -> None:
    assert holds("StringEquals", "s3:prefix", "${aws:username}", {"s3:prefix": "ann", "aws:username": "ann"})
    assert not holds("StringEquals", "s3:prefix", "${aws:username}", {"s3:prefix": "bob", "aws:username": "ann"})
