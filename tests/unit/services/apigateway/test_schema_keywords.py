"""Which keywords of a schema a model cannot have."""

from typing import Any

import pytest

from cumulet.services.apigateway.control.v1.schema_keywords import unknown_keywords


@pytest.mark.parametrize(
    ("schema", "unknown"),
    [
        ({"$schema": "x", "type": "object", "properties": {"nullable": {"type": "string"}}}, set()),
        ({"nullable": True, "example": 1}, {"nullable", "example"}),
        ({"properties": {"a": {"items": [{"const": 1}]}}}, {"const"}),
        ({"items": {"$id": "x"}}, {"$id"}),
        ({"allOf": [{"anyOf": [{"oneOf": [{"not": {"if": {}}}]}]}]}, {"if"}),
        ({"additionalProperties": {"readOnly": True}, "additionalItems": False}, {"readOnly"}),
        ({"patternProperties": {"^x-": {"xml": {}}}, "definitions": {"A": {"contains": {}}}}, {"xml", "contains"}),
        ({"dependencies": {"a": ["b"], "c": {"else": {}}}}, {"else"}),
        ({"enum": [{"foo": 1}], "default": {"bar": 2}}, set()),
    ],
)
def test_keywords_that_draft_4_does_not_have(schema: dict[str, Any], unknown: set[str]) -> None:
    assert unknown_keywords(schema) == unknown
