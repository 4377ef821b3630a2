"""Models as JSON Schema, draft 4: checked when they are kept, compiled once per text (pure).

References lead to another part of the same model, or to another model of the API by its URL; a schema that is held
against bodies has been flattened.

A body comes from a stranger, so none costs more than its length allows: patterns and uniqueItems take linear time, and
references that lead to each other are followed so often and no more.
"""

import re
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any

import msgspec

from cumulet.errors import NotImplementedHere
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.mapping import patterns, schema_errors

_MODEL_URL = re.compile(r"^https://apigateway\.amazonaws\.com/restapis/[^/]+/models/([A-Za-z0-9]+)$")


_references_left: ContextVar[list[int]] = ContextVar("references_left")


class BadSchema(ValueError):
    """A text that is no schema."""


class TooManyReferences(Exception):
    """A value for which a schema leads to itself again and again."""


def check(text: str) -> None:
    """Raise BadSchema unless the text is a schema, NotImplementedHere for what it asks and is not here."""
    _compile(text)


def allows(text: str, value: Any, length: int) -> bool:
    """Tell whether a value is what the schema describes; `length` is that of the value's JSON.

    Nothing is if the schema is too deep here: a newer Python, or a shallower stack, may have accepted it.
    """
    _references_left.set([_references_for(length)])
    try:
        return bool(_compile(text).is_valid(value))
    except (BadSchema, RecursionError, TooManyReferences):
        return False


def errors(text: str, value: Any, length: int) -> str:
    """Return what is wrong with a value that the schema does not allow, in AWS's words."""
    _references_left.set([_references_for(length)])
    try:
        return schema_errors.describe(_compile(text).iter_errors(value))
    except (BadSchema, RecursionError, TooManyReferences):
        return "[]"


def _references_for(length: int) -> int:
    return limits.SCHEMA_REFERENCES_FREE + limits.SCHEMA_REFERENCES_PER_BYTE * length


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
        schema = _without_dialect(schema)
    except SchemaError as error:
        raise BadSchema(error.message) from None
    except RecursionError:
        raise BadSchema("The schema is nested too deeply") from None
    own = {
        "multipleOf": partial(_multiple_of, Draft4Validator.VALIDATORS["multipleOf"]),
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "uniqueItems": _unique_items,
        "$ref": partial(_reference, schema),
    }
    return extend(Draft4Validator, own)(schema)


def _without_dialect(node: Any) -> Any:
    """Return a schema in which no part names its dialect: jsonschema would go on with keywords that are not our own."""
    if isinstance(node, list):
        return [_without_dialect(member) for member in node]
    if not isinstance(node, dict):
        return node
    return {
        # What is enumerated is no schema, but a property may have that name.
        name: value if name == "enum" and isinstance(value, list) else _without_dialect(value)
        for name, value in node.items()
        if name != "$schema" or not isinstance(value, str)
    }


def _check_references(schema: dict[str, Any]) -> None:
    stack: list[Any] = [schema]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            reference = part.get("$ref")
            if isinstance(reference, str) and not _MODEL_URL.match(reference):
                if not reference.startswith("#"):
                    raise NotImplementedHere(f"The reference {reference} of a model")
                _resolve(schema, reference)
            named = part.get("patternProperties")
            for pattern in (part.get("pattern"), *(named if isinstance(named, dict) else ())):
                if isinstance(pattern, str):
                    _check_pattern(pattern)
            stack.extend(part.values())
        elif isinstance(part, list):
            stack.extend(part)


def _check_pattern(pattern: str) -> None:
    try:
        patterns.compile_pattern(pattern)
    except ValueError as error:
        raise BadSchema(str(error)) from None


def model_url(api_id: str, name: str) -> str:
    """Return how a schema refers to another model of its API."""
    return f"https://apigateway.amazonaws.com/restapis/{api_id}/models/{name}"


def model_name(reference: object) -> str | None:
    """Return the model that a reference leads to, or None if it leads elsewhere."""
    found = _MODEL_URL.match(reference) if isinstance(reference, str) else None
    return None if found is None else found[1]


def models_in(text: str) -> list[str]:
    """Return the names of the other models that a schema refers to; none if the text is no JSON."""
    names: dict[str, None] = {}

    def note(reference: str) -> str:
        if (name := model_name(reference)) is not None:
            names[name] = None
        return reference

    if "https://apigateway.amazonaws.com/" in text:
        rewritten(text, note)
    return list(names)


def flattened(text: str, find: Callable[[str], str]) -> str:
    """Return a schema that has the models it refers to, directly or not, among its definitions."""
    waiting = models_in(text)
    if not waiting:
        return text
    found: dict[str, Any] = {}
    while waiting:
        name = waiting.pop()
        if name not in found:
            other = find(name)
            found[name] = rewritten(other, partial(_inner, name))
            waiting += models_in(other)
    schema = rewritten(text, partial(_inner, None))
    schema["definitions"] = {**found, **schema.get("definitions", {})}
    return msgspec.json.encode(schema).decode()


def _inner(model: str | None, reference: str) -> str:
    if (name := model_name(reference)) is not None:
        return f"#/definitions/{name}"
    return reference if model is None else f"#/definitions/{model}{reference.removeprefix('#')}"


def rewritten(text: str, change: Callable[[str], str]) -> Any:
    """Return a schema's value with its references changed; of what is no JSON, an empty one."""
    try:
        return _rewritten(msgspec.json.decode(text), change)
    except (msgspec.DecodeError, RecursionError):
        return {}


def _rewritten(node: Any, change: Callable[[str], str]) -> Any:
    if isinstance(node, list):
        return [_rewritten(member, change) for member in node]
    if not isinstance(node, dict):
        return node
    changed = {name: _rewritten(member, change) for name, member in node.items()}
    if isinstance(changed.get("$ref"), str):
        changed["$ref"] = change(changed["$ref"])
    return changed


def _resolve(schema: dict[str, Any], reference: str) -> dict[str, Any]:
    found: Any = schema
    for name in reference[1:].split("/")[1:]:
        found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    if not isinstance(found, dict) or (found is not schema and found.get("$ref") == reference):
        raise BadSchema(f"The reference {reference} leads nowhere")
    return found


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if isinstance(instance, str) and not patterns.finds(instance, pattern):
        yield ValidationError("the pattern is not found")


def _pattern_properties(validator: Any, schemas: dict[str, Any], instance: Any, schema: Any) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    for pattern, inner in schemas.items():
        for name, value in instance.items():
            if patterns.finds(name, pattern):
                yield from validator.descend(value, inner, path=name, schema_path=pattern)


def _additional_properties(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if allowed is True or not isinstance(instance, dict):
        return
    foreign = schema_errors.foreign_properties(schema, instance)
    if allowed is False and foreign:
        yield ValidationError("a property is foreign")
    elif allowed is not False:
        for name in foreign:
            yield from validator.descend(instance[name], allowed, path=name)


def _multiple_of(usual: Any, validator: Any, divisor: Any, instance: Any, schema: Any) -> Iterator[Any]:
    try:
        yield from usual(validator, divisor, instance, schema)
    except OverflowError:  # an integer that no float can hold
        from jsonschema import ValidationError

        if Fraction(instance) % Fraction(divisor):
            yield ValidationError("it is no multiple")


def _unique_items(validator: Any, wanted: bool, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if wanted and isinstance(instance, list) and len({_identity(member) for member in instance}) < len(instance):
        yield ValidationError("an item stands there twice")


def _identity(value: Any) -> Any:
    """Return what two JSON values have in common if and only if they are equal: 1 is 1.0, but not true."""
    if isinstance(value, list):
        return ("[", *[_identity(member) for member in value])
    if isinstance(value, dict):
        return frozenset([(name, _identity(member)) for name, member in value.items()])
    if isinstance(value, bool):
        return (value,)
    # As bytes, whose hashes nobody can foresee: numbers are easily chosen so that all of them have one.
    if isinstance(value, int):
        return b"%x" % value
    if isinstance(value, float):
        return b"%x" % int(value) if value.is_integer() else value.hex().encode()
    return value


def _reference(whole: dict[str, Any], validator: Any, reference: str, instance: Any, schema: Any) -> Iterator[Any]:
    # Not jsonschema's own: what that looks references up with panics where a body is nested too deeply for the stack.
    left = _references_left.get()
    left[0] -= 1
    if left[0] < 0:
        raise TooManyReferences
    yield from validator.descend(instance, _resolve(whole, reference))
