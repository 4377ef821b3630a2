"""Templates: what is wrong with one before any parameter has a value, and in which order its resources are made."""

from typing import Any

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.cloudformation.core.diff import Picture, make_picture, refuse_elsewhere
from cumulet.services.cloudformation.core.elsewhere import is_elsewhere
from cumulet.services.cloudformation.core.order import find_dependencies, plan_order
from cumulet.services.cloudformation.core.template import read_template
from cumulet.services.cloudformation.resources import TYPES

KNOWN = frozenset({"T::A"})
A = {"Type": "T::A"}


def refused(raw: Any) -> str:
    with pytest.raises(ServiceError) as refusal:
        template = read_template(raw, KNOWN)
        plan_order(find_dependencies(template, dict.fromkeys(template.conditions, True)))
    assert refusal.value.code == "ValidationError"
    return refusal.value.message


def resources(**declared: Any) -> dict[str, Any]:
    return {"Resources": {name: {"Type": "T::A", **value} for name, value in declared.items()}}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "Template format error: At least one Resources member must be defined."),
        ({"Resources": {}}, "Template format error: At least one Resources member must be defined."),
        ({"Resources": {"A": A}, "Nope": 1, "Foo": 2}, "Invalid template property or properties [Foo, Nope]"),
        (
            {"Resources": {"A": A}, "AWSTemplateFormatVersion": "1"},
            "Template format error: Invalid template version [1]",
        ),
        ({"Resources": {"a-b": A}}, "Template format error: Resource name a-b is non alphanumeric."),
        ({"Resources": {"A": 1}}, "Template format error: Every Resources member must be an object."),
        (
            {"Resources": {"A": {}}},
            "Template format error: [/Resources/A] Every Resources object must contain a Type member.",
        ),
        (
            {"Resources": {"A": {"Type": "T::B"}, "B": {"Type": "T::C"}, "C": {"Type": "T::B"}}},
            "Template format error: Unrecognized resource types: [T::B, T::C]",
        ),
        (resources(A={"Nope": 1}), "Invalid template resource property 'Nope'"),
        (resources(A={"Properties": {"Fn::If": ["C", {}, {}]}}), "Encountered unsupported property Fn::If"),
        (resources(A={"Properties": {"Ref": "B"}, "DependsOn": "B"}, B={}), "Encountered unsupported property Ref"),
        (
            resources(A={"DeletionPolicy": "Maybe"}),
            "Template format error: Unrecognized DeletionPolicy Maybe for resource",
        ),
        (
            resources(A={"Properties": {"x": {"Ref": "B"}, "y": {"Fn::Sub": "${C.Arn}"}}, "DependsOn": "D"}),
            "Template format error: Unresolved resource dependencies [D, B, C] in the Resources block of the template",
        ),
        (
            resources(A={"Properties": {"x": {"Fn::GetAtt": ["B", "Arn"]}}}),
            "Template error: instance of Fn::GetAtt references undefined resource B",
        ),
        (
            resources(A={"Condition": "C"}),
            "Template format error: Unresolved condition dependency C in resource A",
        ),
        (
            resources(A={"Properties": {"x": {"Fn::If": ["C", 1, 2]}}}),
            "Template format error: Unresolved condition dependency C in Fn::If",
        ),
        (
            {**resources(A={}), "Outputs": {"O": {"Value": {"Ref": "B"}}}},
            "Template format error: Unresolved resource dependencies [B] in the Outputs block of the template",
        ),
        (
            {**resources(A={}), "Outputs": {"O": {}}},
            "Template format error: [/Outputs/O] Every Outputs member must contain a Value object",
        ),
        (
            {**resources(A={}), "Conditions": {"C": {"Fn::Equals": [{"Ref": "A"}, 1]}}},
            "Template format error: Unresolved dependencies [A]. Cannot reference resources in the Conditions block of"
            " the template",
        ),
        (
            resources(A={"Properties": {"x": {"Ref": "B"}}}, B={"DependsOn": ["A"]}, C={"DependsOn": "A"}),
            "Circular dependency between resources: [A, B]",
        ),
        (resources(A={"Properties": {"x": {"Ref": "A"}}}), "Circular dependency between resources: [A]"),
    ],
)
def test_a_wrong_template_is_refused_in_the_words_of_aws(raw: Any, message: str) -> None:
    assert refused(raw) == message


@pytest.mark.parametrize(
    "raw",
    [
        {"Rules": {}, **resources(A={})},
        resources(A={"UpdatePolicy": {}}),
    ],
)
def test_what_is_not_built_is_refused_by_name(raw: Any) -> None:
    with pytest.raises(NotImplementedHere):
        read_template(raw, KNOWN)


def test_resources_come_behind_what_they_refer_to() -> None:
    raw = resources(
        Late={"DependsOn": "Middle"},
        Middle={"Properties": {"x": {"Fn::Sub": "${Early.Arn}"}}},
        Early={},
        Free={},
        Absent={"Condition": "Never", "DependsOn": "Late"},
    )
    raw["Resources"]["Early"]["DependsOn"] = ["Absent"]
    raw["Conditions"] = {"Never": {"Fn::Equals": [1, 2]}}
    template = read_template(raw, KNOWN)
    assert plan_order(find_dependencies(template, {"Never": False})) == ["Early", "Free", "Middle", "Late"]


@pytest.mark.parametrize(
    "kind",
    ["AWS::ApiGateway::VpcLink", "AWS::Lambda::EventSourceMapping", "AWS::SQS::Queue", "AWS::EC2::VPC"],
)
def test_types_that_nobody_here_makes_are_refused_by_name(kind: str) -> None:
    with pytest.raises(NotImplementedHere) as refusal:
        refuse_elsewhere(picture_of({"A": {"Type": kind}}))
    assert refusal.value.message.startswith(f"The resource type {kind} is not implemented")


def picture_of(resources: dict[str, Any], conditions: dict[str, Any] | None = None) -> Picture:
    template = read_template({"Resources": resources, "Conditions": conditions or {}}, KNOWN)
    return make_picture(template, {}, {}, lambda name: None, {})


def test_types_that_nobody_here_makes_do_not_matter_where_their_condition_spares_them() -> None:
    queue = {"Type": "AWS::SQS::Queue", "Condition": "InAws"}
    refuse_elsewhere(picture_of({"Queue": queue}, {"InAws": {"Fn::Equals": ["a", "b"]}}))
    with pytest.raises(NotImplementedHere):
        refuse_elsewhere(picture_of({"Queue": queue}, {"InAws": {"Fn::Equals": ["a", "a"]}}))


def test_custom_resources_have_names_of_their_own() -> None:
    template = read_template({"Resources": {"A": {"Type": "Custom::My_1@thing-x", "Version": 1.0}}}, KNOWN)
    assert template.resources["A"].type == "Custom::My_1@thing-x"
    for name in ("Custom::", "Custom::a b", "Custom::" + "a" * 61):
        with pytest.raises(ServiceError, match="Unrecognized resource types"):
            read_template({"Resources": {"A": {"Type": name}}}, KNOWN)
    with pytest.raises(ServiceError, match="Invalid template resource property 'Version'"):
        read_template({"Resources": {"A": {"Type": "AWS::Logs::LogGroup", "Version": 1.0}}}, KNOWN)


def test_what_is_refused_is_not_built() -> None:
    assert [name for name in TYPES if is_elsewhere(name)] == []
    assert not any(map(is_elsewhere, ["AWS::Lambda::Funtion", "AWS::Serverless::Function", "AWS::Foo::Bar", "Custom"]))
