"""A mapping template to begin with, from a model's schema (pure): each member has a value of its type."""

from collections.abc import Iterator
from typing import Any

import msgspec

from cumulet.services.apigateway import limits

_VALUES = {"string": '"foo"', "integer": "42", "number": "3.14", "boolean": "true", "null": "null"}
_FOREACH = "##TODO: Update this foreach loop to reference array from input json"


def sample_template(text: str) -> str:
    """Return a template that makes a payload of the schema's shape."""
    try:
        schema = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        schema = {}
    root = schema if isinstance(schema, dict) else {}
    return "#set($inputRoot = $input.path('$'))\n" + "".join(_lines(root, root, ""))


def _lines(root: dict[str, Any], schema: Any, indent: str) -> Iterator[str]:
    schema = _followed(root, schema)
    kind = schema.get("type")
    if kind == "array" and len(indent) < 2 * limits.TEMPLATE_DEPTH_MAX:
        yield f"[\n{_FOREACH}\n#foreach($elem in $inputRoot)\n{indent}  "
        yield from _lines(root, schema.get("items"), indent + "  ")
        yield f"#if($foreach.hasNext),#end\n\n#end\n{indent}]"
    elif isinstance(kind, str) and kind in _VALUES:
        yield _VALUES[kind]
    elif isinstance(members := schema.get("properties"), dict) and len(indent) < 2 * limits.TEMPLATE_DEPTH_MAX:
        yield "{"
        for number, (name, member) in enumerate(members.items()):
            yield f"{',' if number else ''}\n{indent}  {msgspec.json.encode(name).decode()} : "
            yield from _lines(root, member, indent + "  ")
        yield f"\n{indent}}}"
    else:
        yield "{}"


def _followed(root: dict[str, Any], schema: Any) -> dict[str, Any]:
    reference = schema.get("$ref") if isinstance(schema, dict) else None
    if isinstance(reference, str):
        schema = root
        for name in reference.split("/")[1:]:
            schema = schema.get(name) if isinstance(schema, dict) else None
    return schema if isinstance(schema, dict) and "$ref" not in schema else {}
