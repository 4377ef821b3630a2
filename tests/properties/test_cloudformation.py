"""CloudFormation's pure cores: orders, circles, and functions that undo each other."""

import copy
import itertools
import json
from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.errors import ServiceError
from cumulet.services.cloudformation.core.diff import make_picture
from cumulet.services.cloudformation.core.intrinsics import Values
from cumulet.services.cloudformation.core.order import plan_order
from cumulet.services.cloudformation.core.parameters import choose_parameters
from cumulet.services.cloudformation.core.template import read_template
from cumulet.services.cloudformation.core.text import parse_text
from cumulet.services.cloudformation.resolution import KNOWN_TYPES, check_attributes, pseudo_parameters
from harness import SCOPE

TEMPLATE = """
Description: d
Parameters: {P: {Type: String, Default: x, AllowedValues: [x, y], MinLength: 1}, N: {Type: Number, Default: 3}}
Mappings: {M: {a: {b: c}}}
Conditions: {C: !Equals [!Ref P, x], D: !Not [!Condition C]}
Resources:
  A:
    Type: AWS::Logs::LogGroup
    Properties: {LogGroupName: !Sub "/${P}/${B}", RetentionInDays: !Ref N}
    DependsOn: [B]
    DeletionPolicy: Retain
  B:
    Type: AWS::S3::Bucket
    Condition: C
    Properties: {BucketName: !If [C, !Join ["-", [a, !Ref P]], !Ref "AWS::NoValue"]}
  R:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Statement: [{Effect: Allow, Action: x, Resource: !GetAtt B.Arn}]}
      Path: !FindInMap [M, a, b]
      Description: !Select [0, !Split [",", "a,b"]]
Outputs: {O: {Value: !GetAtt A.Arn, Description: x, Export: {Name: !Sub "${AWS::StackName}-x"}, Condition: C}}
"""
ODD = [
    None,
    True,
    -1,
    1.5,
    "",
    "x",
    [],
    [1],
    {},
    {"a": 1},
    {"Ref": "A"},
    {"Ref": []},
    {"Fn::Sub": 1},
    {"Fn::If": ["C", 1, 2]},
]
NAMES = "ABCDE"
VALUES = Values({}, {}, lambda logical_id, attribute: "", {}.get)
graphs = st.dictionaries(st.sampled_from(NAMES), st.sets(st.sampled_from(NAMES), max_size=3), min_size=1)
scalars = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=20)
plain = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcXYZ", min_size=1), inner, max_size=3),
)


@given(graphs)
@settings(max_examples=200, deadline=None)
def test_an_order_respects_every_dependency_and_only_circles_have_none(graph: dict[str, set[str]]) -> None:
    try:
        order = plan_order(graph)
    except ServiceError:
        orders = (
            dict(zip(names, itertools.count(), strict=False)) for names in itertools.permutations(graph, len(graph))
        )
        assert not any(
            all(place[name] > place[other] for name in graph for other in graph[name] if other in graph)
            for place in itertools.islice(orders, 120)
        )
        return
    assert sorted(order) == sorted(graph)
    assert all(order.index(other) < order.index(name) for name in graph for other in graph[name] if other in graph)


@given(st.lists(st.text("abc-", max_size=5), min_size=1), st.sampled_from([",", "|", "::"]))
@settings(max_examples=100, deadline=None)
def test_split_undoes_join(parts: list[str], delimiter: str) -> None:
    joined = {"Fn::Join": [delimiter, parts]}
    assert VALUES.resolve({"Fn::Split": [delimiter, joined]}) == parts


@given(plain)
@settings(max_examples=100, deadline=None)
def test_a_value_without_functions_is_itself(value: object) -> None:
    assert VALUES.resolve(value) == value


@given(st.dictionaries(st.text("abcXYZ", min_size=1), plain, min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_json_and_yaml_say_the_same(template: dict[str, object]) -> None:
    assert parse_text(json.dumps(template)) == template
    assert parse_text(yaml.safe_dump(template)) == template


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_template_or_a_validation_error(text: str) -> None:
    try:
        assert isinstance(parse_text(text), dict)
    except ServiceError as error:
        assert error.code == "ValidationError"


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


GOOD = parse_text(TEMPLATE)
PLACES = list(places(GOOD))


@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(ODD)), min_size=1, max_size=2))
@settings(max_examples=200, deadline=None)
def test_a_mangled_template_is_planned_or_refused(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    raw = copy.deepcopy(GOOD)
    for path, odd in changes:
        holder: Any = raw
        for key in path[:-1]:
            holder = holder[key] if isinstance(holder, dict) and key in holder else {}
        if isinstance(holder, dict):
            holder[path[-1]] = copy.deepcopy(odd)  # a second change may lie inside the first
    try:
        template = read_template(raw, KNOWN_TYPES)
        check_attributes(template)
        chosen = choose_parameters(template.parameters, [], {})
        make_picture(template, chosen, pseudo_parameters(SCOPE, "s", "id"), {}.get, {})
    except ServiceError as error:
        assert error.code in ("ValidationError", "NotImplementedException")
