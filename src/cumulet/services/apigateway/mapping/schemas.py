"""Models as JSON Schema, draft 4: checked when they are kept, compiled once per text (pure).

References lead to another part of the same model; those to other models are refused by name, as patternProperties are.
Patterns run in linear time.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec

from cumulet.errors import NotImplementedHere
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.mapping import patterns


class BadSchema(ValueError):
    """A text that is no schema."""


def check(text: str) -> None:
    """Raise BadSchema unless the text is a schema, NotImplementedHere for what it asks and is not here."""
    _compile(text)


def allows(text: str, value: Any) -> bool:
    """Tell whether a value is what the schema describes."""
    from referencing.exceptions import Unresolvable

    try:
        return bool(_compile(text).is_valid(value))
    except (RecursionError, Unresolvable):
        return False


@lru_cache(maxsize=limits.COMPILED_MAX)
def _compile(text: str) -> Any:
    from jsonschema import Draft4Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import extend

    try:
        schema = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise BadSchema("The schema is no JSON") from None
    if not isinstance(schema, dict):
        raise BadSchema("The schema is no object")
    _check_references(schema)
    try:
        Draft4Validator.check_schema(schema)
    except SchemaError as error:
        raise BadSchema(error.message) from None
    except RecursionError:
        raise BadSchema("The schema is nested too deeply") from None
    return extend(Draft4Validator, {"pattern": _pattern})(schema)


def _check_references(schema: dict[str, Any]) -> None:
    stack: list[Any] = [schema]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            reference = part.get("$ref")
            if isinstance(reference, str):
                if not reference.startswith("#"):
                    raise NotImplementedHere(f"The reference {reference} of a model")
                _resolve(schema, reference)
            if isinstance(part.get("patternProperties"), dict):
                raise NotImplementedHere("The keyword patternProperties of a model")
            if isinstance(pattern := part.get("pattern"), str):
                try:
                    patterns.compile_pattern(pattern)
                except ValueError as error:
                    raise BadSchema(str(error)) from None
            stack.extend(part.values())
        elif isinstance(part, list):
            stack.extend(part)


def _resolve(schema: dict[str, Any], reference: str) -> None:
    found: Any = schema
    for name in reference[1:].split("/")[1:]:
        found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    if not isinstance(found, dict) or (found is not schema and found.get("$ref") == reference):
        raise BadSchema(f"The reference {reference} leads nowhere")


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if isinstance(instance, str) and not patterns.finds(instance, pattern):
        yield ValidationError("the pattern is not found")
