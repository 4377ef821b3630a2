"""Models held against bodies that strangers send: none takes longer than it is long."""

import json
from typing import Any

import pytest

from cumulet.services.apigateway.mapping import schemas

UNIQUE = json.dumps({"uniqueItems": True})
BRANCH = {"properties": {"a": {"$ref": "#"}}}
BRANCHING = json.dumps({"anyOf": [{**BRANCH, "required": ["b"]}, {**BRANCH, "required": ["c"]}]})
TREE = json.dumps({"type": "object", "properties": {"a": {"$ref": "#"}, "n": {"$ref": "#/definitions/n~1m"}}})
DEFINED = json.dumps({**json.loads(TREE), "definitions": {"n/m": {"type": "integer"}}})


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def allows(schema: str, value: Any) -> bool:
    return schemas.allows(schema, value, len(json.dumps(value)))


@pytest.mark.parametrize(
    ("value", "unique"),
    [
        ([], True),
        ([1, 2, "1", "2", True, None, [1], {"a": 1}], True),
        ([1, 1.0], False),
        ([1, True, 0, False], True),
        ([True, True], False),
        ([[1, 2], [2, 1]], True),
        ([[1, [2]], [1, [2.0]]], False),
        ([{"a": 1, "b": [True]}, {"b": [True], "a": 1}], False),
        ([{"a": 1, "b": [True]}, {"b": [1], "a": 1}], True),
        ([["a"], "a", {"a": None}, {"a": False}, {}, []], True),
        ([None, None], False),
        ("aa", True),
    ],
)
def test_items_that_stand_there_twice(value: Any, unique: bool) -> None:
    assert allows(UNIQUE, value) is unique
    assert schemas.errors(UNIQUE, value, 0) == ("[]" if unique else "[array must not contain duplicate elements]")
    assert allows(json.dumps({"uniqueItems": False}), value)


def test_many_items_are_not_compared_with_each_other() -> None:
    items: list[Any] = [{"a": number} for number in range(5_000)]  # comparing each with each would take a minute
    assert allows(UNIQUE, items)
    assert not allows(UNIQUE, [*items, items[0]])


def test_numbers_that_were_chosen_to_have_one_hash_take_no_longer() -> None:
    items = [number * (2**61 - 1) for number in range(10, 20_000)]  # Python has 0 for all of them: 20 seconds
    assert allows(UNIQUE, items)
    assert not allows(UNIQUE, [*items, items[0]])
    assert not allows(UNIQUE, [2**70, 2.0**70])
    assert allows(UNIQUE, [0.5, 1.5, -0.5, 0])
    assert not allows(UNIQUE, [0, -0.0])


@pytest.mark.parametrize(("divisor", "allowed"), [(0.5, True), (1.5, False), (3, False)])
def test_an_integer_that_no_float_can_hold_is_a_multiple_or_not(divisor: float, allowed: bool) -> None:
    schema, number = json.dumps({"multipleOf": divisor}), 10**400
    assert allows(schema, number) is allowed
    assert (schemas.errors(schema, number, 400) == "[]") is allowed


def test_a_model_that_leads_to_itself_is_followed_so_often_and_no_more() -> None:
    assert allows(DEFINED, {"a": {"a": {"n": 1}}})
    assert not allows(DEFINED, {"a": {"a": {"n": "1"}}})
    assert not allows(BRANCHING, nested(60))  # twice as long for each level: longer than the world is old
    assert schemas.errors(BRANCHING, nested(60), 500) == "[]"
    node = {"properties": {"a": {"$ref": "#/definitions/node"}, "n": {"type": "integer"}}}
    array = {"type": "array", "items": {"$ref": "#/definitions/node"}, "definitions": {"node": node}}
    assert allows(json.dumps(array), [{"a": {"n": number}} for number in range(1_000)])


def test_a_part_that_names_its_dialect_is_held_against_bodies_like_any_other() -> None:
    draft = "http://json-schema.org/draft-04/schema#"
    part = {"$schema": draft, "properties": {"s": {"pattern": "^(a+)+$"}}, "uniqueItems": True}
    schema = json.dumps({"$schema": draft, "items": {"$ref": "#/definitions/part"}, "definitions": {"part": part}})
    assert allows(schema, [{"s": "a" * 5_000}])
    assert not allows(schema, [{"s": "a" * 5_000 + "b"}])  # where patterns backtrack this would take years
    assert allows(schema, [[{"n": number} for number in range(5_000)]])
    named = json.dumps({"properties": {"$schema": {"enum": [{"$schema": "x"}]}}})
    assert allows(named, {"$schema": {"$schema": "x"}})
    assert not allows(named, {"$schema": "x"})


@pytest.mark.parametrize("name", ["enum", "default"])
def test_a_property_with_the_name_of_a_keyword_is_no_way_to_another_dialect(name: str) -> None:
    part = {"$schema": "http://json-schema.org/draft-07/schema#", "pattern": "^(a+)+$"}
    schema = json.dumps({"properties": {name: part}})
    assert allows(schema, {name: "a" * 5_000})
    assert not allows(schema, {name: "a" * 5_000 + "b"})


@pytest.mark.parametrize("depth", [50, 150, 400, 900])
def test_a_body_that_is_nested_too_deeply_is_not_allowed_and_nothing_else_happens(depth: int) -> None:
    # Deep below, the library that jsonschema looks references up with would panic, which no caller expects.
    assert allows(DEFINED, nested(depth)) is (depth < 200)


@pytest.mark.parametrize("depth", [300, 450, 600, 900, 5_000, 20_000])
@pytest.mark.parametrize(("opens", "closes"), [('{"default":', "}"), ("[", "]")], ids=["objects", "lists"])
def test_a_schema_that_is_nested_too_deeply_is_refused_whatever_the_parser_takes(
    opens: str, closes: str, depth: int
) -> None:
    # How deep it may be is Python's affair, and differs from one to the next; no other error may come of it.
    schema = '{"default": ' + opens * depth + "1" + closes * depth + "}"
    try:
        schemas.check(schema)
    except schemas.BadSchema:
        assert depth > 300
        assert not allows(schema, 1)
        assert schemas.errors(schema, 1, 1) == "[]"
    else:
        assert depth < 20_000
        assert allows(schema, 1)


NAMED = {
    "properties": {"id": {"type": "string"}, "x-id": {}},
    "patternProperties": {"^x-": {"type": "integer"}, "n$": {"minimum": 3}},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "changes", "words"),
    [
        ({"id": "a", "x-a": 1, "an": 3}, {}, ""),
        ({"x-n": 3}, {}, ""),
        ({"x-n": 2}, {}, "numeric instance is lower than the required minimum (minimum: 3, found: 2)"),
        (
            {"x-id": "both say what it is"},
            {},
            'instance type (string) does not match any allowed primitive type (allowed: ["integer"])',
        ),
        (
            {"a-x": 1, "y": 1, "x-a": 1},
            {},
            'object instance has properties which are not allowed by the schema: ["a-x","y"]',
        ),
        ({"y": "a"}, {"additionalProperties": {"type": "string"}}, ""),
        (
            {"y": 1, "x-a": 1},
            {"additionalProperties": {"type": "string"}},
            'instance type (integer) does not match any allowed primitive type (allowed: ["string"])',
        ),
        ({"y": 1}, {"additionalProperties": True}, ""),
        (["y"], {}, ""),
    ],
)
def test_properties_whose_names_fit_a_pattern(value: Any, changes: dict[str, Any], words: str) -> None:
    schema = json.dumps({**NAMED, **changes})
    assert allows(schema, value) is (not words)
    assert schemas.errors(schema, value, 1_000) == f"[{words}]"


def test_a_name_takes_no_longer_than_it_is_long() -> None:
    schema = json.dumps({"patternProperties": {"^(a+)+$": {"type": "integer"}}, "additionalProperties": False})
    assert allows(schema, {"a" * 20_000: 1})
    assert not allows(schema, {"a" * 20_000 + "b": 1})  # where patterns backtrack this would take years
    with pytest.raises(schemas.BadSchema):
        schemas.check(json.dumps({"patternProperties": {"(": {}}}))
