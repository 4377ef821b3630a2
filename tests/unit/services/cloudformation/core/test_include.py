"""AWS::Include: what lies in files of their own, in its place in a template."""

from typing import Any

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.cloudformation.core.include import location_of, parse_included, parse_location, splice
from cumulet.services.cloudformation.core.template import find_transforms


def include(location: Any, name: str = "AWS::Include") -> dict[str, Any]:
    return {"Fn::Transform": {"Name": name, "Parameters": {"Location": location}}}


def test_what_is_included_stands_beside_what_is_there() -> None:
    both = {"Fn::Transform": [include("a")["Fn::Transform"], include("b")["Fn::Transform"]]}
    template = {"A": [include("a")], "B": {"own": 1, **include("b")}, "C": {"deep": include("a")}, "D": both}
    texts = {"a": {"x": 1}, "b": {"y": [2]}}
    spliced = splice(template, lambda argument: texts[argument["Parameters"]["Location"]])
    assert spliced == {"A": [{"x": 1}], "B": {"own": 1, "y": [2]}, "C": {"deep": {"x": 1}}, "D": {"x": 1, "y": [2]}}
    assert template["A"] == [include("a")]


@pytest.mark.parametrize(
    ("text", "members"),
    [
        (b'{"a": [1]}', {"a": [1]}),
        (b"a: 2026-01-01\nb: {'Fn::Sub': '${C}'}", {"a": "2026-01-01", "b": {"Fn::Sub": "${C}"}}),
    ],
)
def test_included_text(text: bytes, members: Any) -> None:
    assert parse_included(text) == members


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"- a list",
        b"{",
        b"a: !Ref B",
        b"\xff",
        b"a: &x 1\nb: *x",
        b"a: {'Fn::Transform': {Name: 'AWS::Include'}}",
        b"a: !!binary aGVsbG8=",
        b"a: !!set {b}",
        b"a: !!timestamp 2026-01-01",
    ],
)
def test_text_that_cannot_be_included(text: bytes) -> None:
    with pytest.raises(ServiceError) as refused:
        parse_included(text)
    assert refused.value.message == (
        "Transform AWS::Include failed with: The specified S3 object's content should be valid Yaml/JSON."
    )


@pytest.mark.parametrize("location", [None, "", "api.yaml", "s3://bucket", "s3://bucket/", "https://b/k", {"Ref": "A"}])
def test_locations_that_are_none(location: Any) -> None:
    with pytest.raises(ServiceError) as refused:
        parse_location(location)
    assert refused.value.message == (
        "Transform AWS::Include failed with: The location parameter is not a valid S3 uri."
    )


def test_other_macros_are_refused_by_name() -> None:
    with pytest.raises(NotImplementedHere, match="The transform Shout"):
        location_of({"Name": "Shout"})
    with pytest.raises(ServiceError, match="every Fn::Transform object requires a Name and Parameters"):
        location_of("AWS::Include")


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ({}, ()),
        ({"Transform": "AWS::Serverless-2016-10-31"}, ("AWS::Serverless-2016-10-31",)),
        ({"Transform": ["A", {"Name": "B"}], "X": include("l")}, ("AWS::Include", "A", "B")),
    ],
)
def test_transforms_in_their_order(template: Any, names: Any) -> None:
    assert find_transforms(template) == names
