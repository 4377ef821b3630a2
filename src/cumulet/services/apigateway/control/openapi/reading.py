"""A document's text and the values in it: each is what it should be, or a BadRequestException says which is not."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control.openapi import extensions

Object = dict[str, Any]


def parse_document(body: bytes | str, fill: Callable[[str], str] = str) -> Object:
    """Return a document of JSON or YAML; `fill` replaces AWS's variables in its text."""
    if len(body) > limits.DEFINITION_BYTES_MAX:
        raise ServiceError("BadRequestException", "The API definition is larger than 6 MB")
    try:
        text = fill(body if isinstance(body, str) else body.decode())
        document = msgspec.json.decode(text)
    except msgspec.DecodeError:
        document = _parse_yaml(text)
    except (UnicodeDecodeError, RecursionError):
        raise ServiceError("BadRequestException", "Invalid OpenAPI input.") from None
    if not isinstance(document, dict) or not ("swagger" in document or "openapi" in document):
        raise ServiceError("BadRequestException", "Invalid OpenAPI input.")
    return mapping(document, "document")


def _parse_yaml(text: str) -> Any:
    import yaml

    try:
        return _as_json(yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)), [limits.DEFINITION_NODES_MAX])
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ServiceError("BadRequestException", "Invalid OpenAPI input.") from None


def _as_json(node: Any, left: list[int]) -> Any:
    """Return what JSON has for a value of YAML: keys are text, and so are dates. Raises ValueError if it is vast.

    A document is small in YAML and vast once its aliases are written out; `left` counts what may still come.
    """
    left[0] -= 1
    if left[0] < 0:
        raise ValueError("too many nodes")
    if isinstance(node, dict):
        return {_key(name): _as_json(member, left) for name, member in node.items()}
    if isinstance(node, list):
        return [_as_json(member, left) for member in node]
    return node if node is None or isinstance(node, str | int | float) else str(node)


def _key(name: Any) -> str:
    if isinstance(name, bool):
        return "true" if name else "false"
    return "null" if name is None else str(name)


def mapping(value: Any, where: str) -> Object:
    """Return an object of the document, of its own: who gets it may change it."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise malformed(where)
    return dict(value)


def objects(value: Any, where: str) -> list[Object]:
    """Return a list of objects."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise malformed(where)
    return [mapping(member, where) for member in value]


def text(value: Any, where: str) -> str | None:
    """Return a text of the document; YAML reads a version as a number, which is text all the same."""
    if isinstance(value, dict | list):
        raise malformed(where)
    return None if value is None else str(value)


def texts(value: Any, where: str) -> list[str]:
    """Return a list of texts."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(member, str) for member in value):
        raise malformed(where)
    return value


def text_map(value: Any, where: str) -> dict[str, str]:
    """Return an object whose members are texts."""
    members = mapping(value, where)
    if not all(isinstance(member, str) for member in members.values()):
        raise malformed(where)
    return members


def flag(value: Any, where: str) -> bool:
    """Return a boolean, which may be written as text."""
    if value in ("true", "false"):
        return bool(value == "true")
    if value is not None and not isinstance(value, bool):
        raise malformed(where)
    return bool(value)


def number(value: Any, where: str) -> int | None:
    """Return a whole number, which may be written as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise malformed(where)
    return value


def followed(document: Mapping[str, Any], value: Any, where: str) -> Object:
    """Return an object of the document, or what it refers to by $ref within the document."""
    for _ in range(limits.REFERENCES_FOLLOWED_MAX):
        found = mapping(value, where)
        reference = found.get("$ref")
        if not isinstance(reference, str):
            return found
        value = document
        for name in reference.removeprefix("#/").split("/"):
            value = mapping(value, where).get(name.replace("~1", "/").replace("~0", "~"))
        if value is None:
            raise ServiceError("BadRequestException", f"The reference {reference}{where} leads nowhere")
    raise malformed(where)


def malformed(where: str) -> ServiceError:
    """Return the error for a part of a document that is not what it should be."""
    return ServiceError("BadRequestException", f"Unable to parse API definition because of a malformed {where}")


def refuse_extras(section: Mapping[str, Any], where: str, *known: str) -> None:
    """Raise NotImplementedHere for an extension of API Gateway's that is not among the known ones."""
    for name, value in section.items():
        if name.startswith(extensions.PREFIX) and name not in known and value:
            raise NotImplementedHere(f"The extension {name}{where} in an OpenAPI document")
