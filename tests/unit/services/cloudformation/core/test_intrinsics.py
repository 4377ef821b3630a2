"""Intrinsic functions: what each comes to, and AWS's words when it makes no sense."""

from typing import Any

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.cloudformation.core.intrinsics import (
    NO_VALUE,
    Reference,
    Values,
    evaluate_conditions,
    find_references,
)
from cumulet.services.cloudformation.core.text import parse_text

RESOURCES = {("Table", None): "notes-Table-1", ("Table", "Arn"): "arn:aws:dynamodb:::table/t", ("A", "B.C"): "deep"}
VALUES = Values(
    parameters={
        "Stage": "prod",
        "Zones": ["a", "b"],
        "AWS::Region": "eu-west-1",
        "AWS::NoValue": NO_VALUE,
    },
    mappings={"Sizes": {"prod": {"Memory": 512, "Names": ["x", "y"]}}},
    resource=lambda logical_id, attribute: RESOURCES[logical_id, attribute],
    find_export={"shared": "exported"}.get,
    conditions={"IsProd": True, "IsTest": False},
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ({"Ref": "Stage"}, "prod"),
        ({"Ref": "Zones"}, ["a", "b"]),
        ({"Ref": "Table"}, "notes-Table-1"),
        ({"Fn::GetAtt": ["Table", "Arn"]}, "arn:aws:dynamodb:::table/t"),
        ({"Fn::GetAtt": "Table.Arn"}, "arn:aws:dynamodb:::table/t"),
        ({"Fn::GetAtt": ["A", "B.C"]}, "deep"),
        (
            {"Fn::Sub": "${Stage}-${Table}-${Table.Arn}-${AWS::Region}"},
            "prod-notes-Table-1-arn:aws:dynamodb:::table/t-eu-west-1",
        ),
        ({"Fn::Sub": "${A.B.C}"}, "deep"),
        ({"Fn::Sub": "keep ${!Literal} and $x {y}"}, "keep ${Literal} and $x {y}"),
        ({"Fn::Sub": ["${x}/${Stage}", {"x": {"Ref": "Table"}}]}, "notes-Table-1/prod"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Stage"}, 1, True]]}, "a-prod-1-true"),
        ({"Fn::Join": [",", {"Ref": "Zones"}]}, "a,b"),
        ({"Fn::Select": [1, {"Ref": "Zones"}]}, "b"),
        ({"Fn::Select": ["0", ["x", "y"]]}, "x"),
        ({"Fn::Split": ["|", "a|b||c"]}, ["a", "b", "", "c"]),
        ({"Fn::Select": [5, {"Fn::Split": [":", {"Fn::GetAtt": ["Table", "Arn"]}]}]}, "table/t"),
        ({"Fn::If": ["IsProd", "yes", "no"]}, "yes"),
        ({"Fn::If": ["IsTest", "yes", {"Ref": "Stage"}]}, "prod"),
        ({"a": {"Fn::If": ["IsTest", 1, {"Ref": "AWS::NoValue"}]}, "b": [{"Ref": "AWS::NoValue"}, 2]}, {"b": [2]}),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "Stage"}, "Memory"]}, 512),
        ({"Fn::FindInMap": ["Sizes", "prod", "Names"]}, ["x", "y"]),
        ({"Fn::Base64": {"Ref": "Stage"}}, "cHJvZA=="),
        ({"Fn::ImportValue": {"Fn::Sub": "shared"}}, "exported"),
        ({"Fn::GetAZs": ""}, ["eu-west-1a", "eu-west-1b", "eu-west-1c"]),
        ({"Condition": {"StringEquals": {"x": {"Ref": "Stage"}}}}, {"Condition": {"StringEquals": {"x": "prod"}}}),
        ({"Ref": "Stage", "Other": 1}, {"Ref": "Stage", "Other": 1}),
    ],
)
def test_what_a_function_comes_to(value: Any, expected: Any) -> None:
    assert VALUES.resolve(value) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"Fn::Select": [2, ["a", "b"]]}, "Template error: Fn::Select cannot select nonexistent value at index 2"),
        ({"Fn::Join": ["-", "text"]}, "Template error: every Fn::Join object requires two parameters"),
        ({"Fn::Join": ["-"]}, "Template error: every Fn::Join object requires two parameters"),
        ({"Fn::Split": [",", ["a"]]}, "Template error: every Fn::Split object requires two parameters"),
        ({"Fn::Split": ["", "a"]}, "Template error: every Fn::Split object requires two parameters"),
        ({"Fn::If": ["Nope", 1, 2]}, "Template error: unresolved condition dependency Nope in Fn::If"),
        ({"Fn::If": ["IsProd", 1]}, "Template error: Fn::If requires a list argument with three elements"),
        ({"Fn::FindInMap": ["Nope", "a", "b"]}, "Template error: Mapping named 'Nope' is not present in the"),
        ({"Fn::FindInMap": ["Sizes", "dev", "Memory"]}, "Template error: Unable to get mapping for Sizes::dev::Memory"),
        ({"Fn::ImportValue": "gone"}, "No export named gone found."),
        ({"Fn::Sub": "${a b}"}, "Template error: variable names in Fn::Sub syntax must contain only alphanumeric"),
        ({"Fn::Sub": {"x": 1}}, "Template error: One or more Fn::Sub intrinsic functions don't specify expected"),
        ({"Fn::GetAtt": ["A"]}, "Template error: every Fn::GetAtt object requires two non-empty parameters"),
        ({"Ref": ["A"]}, "Template error: every Ref object must have a single String value."),
        ({"Fn::Nope": 1}, "Template format error: Unrecognized intrinsic function Fn::Nope"),
        ({"Fn::Equals": [1, 1]}, "Template error: Fn::Equals, Fn::And, Fn::Or, Fn::Not and Condition can only be used"),
    ],
)
def test_what_makes_no_sense_is_refused(value: Any, message: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        VALUES.resolve(value)
    assert refusal.value.code == "ValidationError"
    assert refusal.value.message.startswith(message)


def test_a_function_that_is_not_built_is_refused_by_name() -> None:
    with pytest.raises(NotImplementedHere, match="Fn::ForEach is not implemented"):
        VALUES.resolve({"Fn::ForEach": []})


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"Fn::Equals": [{"Ref": "Stage"}, "prod"]}, True),
        ({"Fn::Equals": [1, "1"]}, True),
        ({"Fn::Equals": [True, "true"]}, True),
        ({"Fn::Not": [{"Fn::Equals": ["a", "b"]}]}, True),
        ({"Fn::And": [{"Condition": "Yes"}, {"Condition": "No"}]}, False),
        ({"Fn::Or": [{"Condition": "Yes"}, {"Condition": "No"}]}, True),
        ({"Fn::Equals": [{"Fn::Join": ["", ["p", "rod"]]}, {"Ref": "Stage"}]}, True),
    ],
)
def test_conditions(condition: Any, expected: bool) -> None:
    declared = {"Asked": condition, "Yes": {"Fn::Equals": [1, 1]}, "No": {"Fn::Equals": [1, 2]}}
    assert evaluate_conditions(declared, VALUES)["Asked"] is expected


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"A": {"Condition": "B"}, "B": {"Condition": "A"}}, "Circular dependency between conditions: [A, B]"),
        ({"A": {"Condition": "B"}}, "Template format error: Unresolved condition dependency B"),
        ({"A": {"Fn::Not": []}}, "Template error: every Fn::Not object requires one boolean parameter."),
        ({"A": {"Fn::And": [{"Fn::Equals": [1, 1]}]}}, "Template error: every Fn::And object requires a list"),
        ({"A": {"Ref": "Stage"}}, "Template format error: Every Conditions member must be"),
    ],
)
def test_conditions_that_make_no_sense(declared: Any, message: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        evaluate_conditions(declared, VALUES)
    assert refusal.value.message.startswith(message)


def test_references_are_found_wherever_they_are() -> None:
    value = {
        "a": [{"Ref": "One"}, {"Fn::GetAtt": ["Two", "Arn"]}],
        "b": {"Fn::Sub": ["${Three} ${Four.Arn} ${local}", {"local": {"Ref": "Five"}}]},
        "c": {"Fn::If": ["Cond", {"Ref": "Six"}, {"Ref": "Seven"}]},
    }
    found = list(find_references(value))
    assert [reference.logical_id for reference in found if reference.condition is None] == [
        *["One", "Two", "Three", "Four", "Five", "Six", "Seven"]
    ]
    assert Reference("Four", "Arn", in_sub=True) in found
    taken = [reference.logical_id for reference in find_references(value, {"Cond": False})]
    assert "Seven" in taken
    assert "Six" not in taken


def test_short_forms_are_long_forms() -> None:
    text = """
Resources:
  A:
    When: 2010-09-09
    B: !Ref C
    D: !GetAtt E.F.G
    H: !Sub ["${x}", {x: !Ref C}]
    I: !If [Cond, !Ref "AWS::NoValue", !Join [",", [a, !Select [0, !Split ["/", "b/c"]]]]]
    J: !Condition K
    L: !Base64
      Fn::Sub: x
"""
    assert parse_text(text)["Resources"]["A"] == {
        "When": "2010-09-09",
        "B": {"Ref": "C"},
        "D": {"Fn::GetAtt": ["E", "F.G"]},
        "H": {"Fn::Sub": ["${x}", {"x": {"Ref": "C"}}]},
        "I": {
            "Fn::If": [
                "Cond",
                {"Ref": "AWS::NoValue"},
                {"Fn::Join": [",", ["a", {"Fn::Select": [0, {"Fn::Split": ["/", "b/c"]}]}]]},
            ]
        },
        "J": {"Condition": "K"},
        "L": {"Fn::Base64": {"Fn::Sub": "x"}},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": }', "Template format error: JSON not well-formed. (line 1, column 7)"),
        ("a: [1", "Template format error: YAML not well-formed. (line 1, column 6)"),
        ("just text", "Template format error: unsupported structure."),
        ("", "Template format error: unsupported structure."),
        ("a: &x 1\nb: *x", "Template error: YAML aliases are not allowed in CloudFormation templates"),
        ("[" * 500, "Template format error: unsupported structure."),
        ('{"a":' * 5000 + "1" + "}" * 5000, "Template format error: unsupported structure."),
        ("a: " + "[" * 100 + "]" * 100, "Template format error: unsupported structure."),
        ("a: \x00", "Template format error: YAML not well-formed."),
        ("? [a, b]\n: c", "Template format error: YAML not well-formed. (line 1, column 3)"),
        ("a: !!python/object:os.system x", "Template format error: YAML not well-formed. (line 1, column 4)"),
    ],
)
def test_text_that_is_no_template(text: str, message: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        parse_text(text)
    assert (refusal.value.code, refusal.value.message) == ("ValidationError", message)


@pytest.mark.parametrize("short_tags", [True, False])
def test_whole_numbers_that_are_too_long_for_64_bits_are_text(short_tags: bool) -> None:
    numbers = {"a": str(2**63 - 1), "b": str(-(2**63)), "c": str(2**63), "d": "-1" + "0" * 5000}
    wanted = {"a": 2**63 - 1, "b": -(2**63), "c": numbers["c"], "d": numbers["d"]}
    members = [f'"{name}": {number}' for name, number in numbers.items()]
    assert parse_text(f"{{{', '.join(members)}}}", short_tags=short_tags) == wanted
    assert parse_text("\n".join(members) + "\ne: 0x10\nf: 017", short_tags=short_tags) == {**wanted, "e": 16, "f": 15}
