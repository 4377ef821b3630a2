"""What a gateway response can tell of a body that a model does not allow."""

import json
from typing import Any

import pytest

from cumulet.services.apigateway.mapping import schemas


@pytest.mark.parametrize(
    ("schema", "value", "words"),
    [
        ({"required": ["b", "a", "c"]}, {"c": 1}, 'object has missing required properties (["a","b"])'),
        (
            {"properties": {"a": {"type": "number"}}},
            {"a": "x"},
            'instance type (string) does not match any allowed primitive type (allowed: ["integer","number"])',
        ),
        (
            {"type": "object"},
            [],
            'instance type (array) does not match any allowed primitive type (allowed: ["object"])',
        ),
        (
            {"properties": {"a": {}}, "additionalProperties": False},
            {"a": 1, "c": 2, "b": 3},
            'object instance has properties which are not allowed by the schema: ["b","c"]',
        ),
        ({"enum": ["a", 1]}, "b", 'instance value ("b") not found in enum (possible values: ["a",1])'),
        ({"minLength": 3}, "x", 'string "x" is too short (length: 1, required minimum: 3)'),
        ({"maxLength": 1}, "xy", 'string "xy" is too long (length: 2, maximum allowed: 1)'),
        ({"minimum": 1}, 0, "numeric instance is lower than the required minimum (minimum: 1, found: 0)"),
        (
            {"maximum": 1, "exclusiveMaximum": True},
            1,
            "numeric instance is not strictly lower than the required maximum 1",
        ),
        ({"pattern": "^a$"}, "b", 'ECMA 262 regex "^a$" does not match input string "b"'),
        ({"minItems": 1}, [], "array is too short: must have at least 1 elements but instance has 0 elements"),
        ({"uniqueItems": True}, [1, 1], "array must not contain duplicate elements"),
        ({"multipleOf": 2}, 5, "remainder of division is not zero (5 / 2)"),
        ({"anyOf": [{"type": "null"}]}, 1, "instance failed to match at least one required schema among 1"),
    ],
)
def test_each_keyword(schema: dict[str, Any], value: Any, words: str) -> None:
    assert schemas.errors(json.dumps(schema), value, 1_000) == f"[{words}]"


def test_several_errors_and_no_end_of_them() -> None:
    schema = json.dumps({"required": ["a"], "properties": {"b": {"required": ["c", "d"]}}})
    told = schemas.errors(schema, {"b": {}}, 1_000)
    for missing in ('["a"]', '["c","d"]'):
        assert f"object has missing required properties ({missing})" in told
    assert told.count("object has") == 2
    many = schemas.errors(json.dumps({"items": {"type": "null"}}), list(range(1000)), 10_000)
    assert many.count("instance type (integer)") == 20
