"""The keywords of JSON Schema, draft 4: models have no others (pure).

AWS refuses what else a schema says, wherever in it that stands:
https://github.com/amazon-archives/aws-apigateway-importer/issues/200
"""

from collections.abc import Iterator
from typing import Any

_PLAIN = frozenset(
    (
        *("$ref", "$schema", "default", "description", "enum", "format", "id", "required", "title", "type"),
        *("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"),
        *("maxItems", "maxLength", "maxProperties", "minItems", "minLength", "minProperties"),
        *("pattern", "uniqueItems"),
    )
)
_BY_NAME = frozenset(("definitions", "dependencies", "patternProperties", "properties"))
"""Those that hold schemas by names of the model's own."""
_WITHIN = frozenset(("additionalItems", "additionalProperties", "allOf", "anyOf", "items", "not", "oneOf"))
"""Those that hold a schema, or several."""


def unknown_keywords(schema: Any) -> set[str]:
    """Return the keywords of a schema, and of those within it, that are none of draft 4."""
    unknown: set[str] = set()
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            unknown |= part.keys() - _PLAIN - _BY_NAME - _WITHIN
            waiting += _schemas_in(part)
        elif isinstance(part, list):
            waiting += part
    return unknown


def _schemas_in(part: dict[str, Any]) -> Iterator[Any]:
    for keyword, value in part.items():
        if keyword in _WITHIN:
            yield value
        elif keyword in _BY_NAME and isinstance(value, dict):
            yield from [schema for schema in value.values() if isinstance(schema, dict)]
