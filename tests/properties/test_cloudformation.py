"""CloudFormation's pure cores: orders, circles, and functions that undo each other."""

import itertools
import json

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.errors import ServiceError
from cumulet.services.cloudformation.core.intrinsics import Values
from cumulet.services.cloudformation.core.order import plan_order
from cumulet.services.cloudformation.core.text import parse_text

NAMES = "ABCDEFG"
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
            for place in itertools.islice(orders, 5040)
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
