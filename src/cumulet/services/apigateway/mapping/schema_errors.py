"""What is wrong with a body, in the words of the validator that AWS uses: $context.error.validationErrorString (pure).

The words are those of com.github.fge's json-schema-validator, as API Gateway lets them through.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec

from cumulet.services.apigateway import limits
from cumulet.services.apigateway.mapping import patterns


def describe(errors: Iterator[Any]) -> str:
    """Return the errors that jsonschema found as one text: [object has missing required properties (["name"])]."""
    # jsonschema has an error for each property that is missing or foreign, AWS one for all of an object.
    told: dict[tuple[Any, ...], str] = {}
    for error in islice(errors, limits.SCHEMA_ERRORS_TOLD_MAX):
        words = _WORDS.get(error.validator)
        text = error.message if words is None else words(error.validator_value, error.instance, error.schema)
        told[(*error.absolute_path, "#", *error.absolute_schema_path)] = text
    return f"[{', '.join(told.values())}]"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int | float):
        return "integer" if isinstance(value, int) else "number"
    return "array" if isinstance(value, list) else "object"


def _type(wanted: Any, found: Any, schema: Any) -> str:
    kinds = {wanted} if isinstance(wanted, str) else set(wanted)
    allowed = sorted(kinds | {"integer"} if "number" in kinds else kinds)
    return f"instance type ({_kind(found)}) does not match any allowed primitive type (allowed: {_json(allowed)})"


def _required(wanted: Any, found: Any, schema: Any) -> str:
    missing = sorted([name for name in wanted if name not in found])
    return f"object has missing required properties ({_json(missing)})"


def foreign_properties(schema: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return the names of an object's properties of which a schema says nothing, sorted."""
    named = schema.get("patternProperties") or ()
    foreign = sorted(found.keys() - (schema.get("properties") or {}).keys())
    return [name for name in foreign if not any(patterns.finds(name, pattern) for pattern in named)]


def _additional(wanted: Any, found: Any, schema: Any) -> str:
    foreign = foreign_properties(schema, found)
    return f"object instance has properties which are not allowed by the schema: {_json(foreign)}"


def _minimum(wanted: Any, found: Any, schema: Any) -> str:
    if schema.get("exclusiveMinimum"):
        return f"numeric instance is not strictly greater than the required minimum {_json(wanted)}"
    return f"numeric instance is lower than the required minimum (minimum: {_json(wanted)}, found: {_json(found)})"


def _maximum(wanted: Any, found: Any, schema: Any) -> str:
    if schema.get("exclusiveMaximum"):
        return f"numeric instance is not strictly lower than the required maximum {_json(wanted)}"
    return f"numeric instance is greater than the required maximum (maximum: {_json(wanted)}, found: {_json(found)})"


_WORDS: dict[str, Callable[[Any, Any, Any], str]] = {
    "type": _type,
    "required": _required,
    "additionalProperties": _additional,
    "minimum": _minimum,
    "maximum": _maximum,
    "enum": lambda wanted, found, _: (
        f"instance value ({_json(found)}) not found in enum (possible values: {_json(wanted)})"
    ),
    "pattern": lambda wanted, found, _: f"ECMA 262 regex {_json(wanted)} does not match input string {_json(found)}",
    "minLength": lambda wanted, found, _: (
        f"string {_json(found)} is too short (length: {len(found)}, required minimum: {wanted})"
    ),
    "maxLength": lambda wanted, found, _: (
        f"string {_json(found)} is too long (length: {len(found)}, maximum allowed: {wanted})"
    ),
    "minItems": lambda wanted, found, _: (
        f"array is too short: must have at least {wanted} elements but instance has {len(found)} elements"
    ),
    "maxItems": lambda wanted, found, _: (
        f"array is too long: must have at most {wanted} elements but instance has {len(found)} elements"
    ),
    "uniqueItems": lambda *_: "array must not contain duplicate elements",
    "minProperties": lambda wanted, found, _: (
        f"object has too few properties (found {len(found)} but schema requires at least {wanted})"
    ),
    "maxProperties": lambda wanted, found, _: (
        f"object has too many properties (found {len(found)} but schema requires at most {wanted})"
    ),
    "multipleOf": lambda wanted, found, _: f"remainder of division is not zero ({_json(found)} / {_json(wanted)})",
    "anyOf": lambda wanted, *_: f"instance failed to match at least one required schema among {len(wanted)}",
    "oneOf": lambda wanted, *_: f"instance failed to match exactly one schema among {len(wanted)}",
    "not": lambda *_: "instance matched a schema which it should not have",
}
