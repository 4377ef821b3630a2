"""Parameters: chosen, checked, typed, and hidden."""

from typing import Any

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.cloudformation.core.parameters import choose_parameters, mask, typed_values


def given(**values: str) -> list[dict[str, Any]]:
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]


def test_given_wins_over_default_and_previous_over_both_when_asked_for() -> None:
    declared = {name: {"Type": "String", "Default": "d"} for name in "ABC"}
    entries = [*given(A="x"), {"ParameterKey": "B", "UsePreviousValue": True}]
    assert choose_parameters(declared, entries, {"B": "before"}) == {"A": "x", "B": "before", "C": "d"}


def test_lists_are_split_and_numbers_stay_text() -> None:
    declared = {"L": {"Type": "CommaDelimitedList"}, "N": {"Type": "Number"}, "M": {"Type": "List<Number>"}}
    chosen = choose_parameters(declared, given(L="a, b", N="5", M="1,2"), {})
    assert typed_values(declared, chosen) == {"L": ["a", "b"], "N": "5", "M": ["1", "2"]}


def test_a_secret_is_hidden() -> None:
    assert mask({"P": {"Type": "String", "NoEcho": True}}, {"P": "secret"}) == [
        {"ParameterKey": "P", "ParameterValue": "****"}
    ]


@pytest.mark.parametrize(
    ("declaration", "value", "message"),
    [
        ({}, None, "Parameters: [P] must have values"),
        ({"Type": "Number"}, "x", "Parameter 'P' must be a number"),
        ({"AllowedValues": ["a", "b"]}, "c", "Parameter 'P' must be one of AllowedValues: [a, b]"),
        ({"AllowedPattern": "[a-z]+"}, "A", "Parameter 'P' must match pattern [a-z]+"),
        (
            {"AllowedPattern": "[a-z]+", "ConstraintDescription": "small letters"},
            "A",
            "Parameter 'P' failed to satisfy constraint: small letters",
        ),
        ({"MinLength": 2}, "a", "Parameter 'P' must contain at least 2 characters"),
        ({"MaxLength": "2"}, "abc", "Parameter 'P' must contain at most 2 characters"),
        ({"Type": "Number", "MinValue": 2}, "1", "Parameter 'P' must be a number not less than 2"),
        ({"Type": "Number", "MaxValue": 2}, "3", "Parameter 'P' must be a number not greater than 2"),
        ({"Type": "Nope"}, "x", "Template format error: Unrecognized parameter type: Nope"),
        ({"AllowedPattern": "("}, "x", "Template format error: AllowedPattern of parameter P is not a valid pattern"),
    ],
)
def test_values_against_their_declaration(declaration: dict[str, Any], value: str | None, message: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        choose_parameters({"P": {"Type": "String", **declaration}}, given(P=value) if value else [], {})
    assert (refusal.value.code, refusal.value.message) == ("ValidationError", message)


def test_an_unknown_parameter_is_named() -> None:
    with pytest.raises(ServiceError, match=r"Parameters: \[X, Y\] do not exist in the template"):
        choose_parameters({}, given(X="1", Y="2"), {})


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        ("AWS::SSM::Parameter::Value<String>", "there is no Systems Manager here: declare String, and give the value"),
        (
            "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>",
            "there is no Systems Manager here: declare String, and give the value",
        ),
        (
            "AWS::SSM::Parameter::Value<List<String>>",
            "there is no Systems Manager here: declare CommaDelimitedList, and give the value",
        ),
        ("AWS::EC2::VPC::Id", "there is none of these here: declare String, and give the value"),
        (
            "List<AWS::EC2::SecurityGroup::Id>",
            "there is none of these here: declare CommaDelimitedList, and give the value",
        ),
    ],
)
def test_types_that_look_something_up_are_refused_by_name(kind: str, advice: str) -> None:
    with pytest.raises(NotImplementedHere) as refusal:
        choose_parameters({"P": {"Type": kind}}, given(P="x"), {})
    assert refusal.value.message.startswith(f"The parameter type {kind} ({advice}) is not implemented")


@pytest.mark.parametrize("kind", ["AWS::EC2::Nothing::Id", "List<String>", "AWS::SSM::Parameter::Value<Number>"])
def test_types_that_aws_does_not_have_are_not_recognized(kind: str) -> None:
    with pytest.raises(ServiceError, match=f"Template format error: Unrecognized parameter type: {kind}"):
        choose_parameters({"P": {"Type": kind}}, given(P="x"), {})
