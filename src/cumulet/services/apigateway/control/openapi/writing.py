"""What documents of both dialects have in common when they are written."""

from typing import Any

import msgspec

from cumulet.services.apigateway.control.openapi import extensions
from cumulet.services.apigateway.control.openapi.reading import Object
from cumulet.services.apigateway.model import ANY

YAML = "application/yaml"


def written(document: Object, media_type: str) -> bytes:
    """Return a document's text."""
    if media_type != YAML:
        return msgspec.json.format(msgspec.json.encode(document), indent=2)
    import yaml

    text: Any = yaml.dump(
        document, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False, allow_unicode=True
    )
    return str(text).encode()


def operation_key(method: str) -> str:
    """Return the name of a method's operation in its path."""
    return extensions.ANY_METHOD if method == ANY else method.lower()


def server(origin: str, base_path: str) -> Object:
    """Return an OpenAPI 3 server, as API Gateway writes it."""
    return {"url": f"{origin}/{{basePath}}", "variables": {"basePath": {"default": base_path}}}


def tags(given: dict[str, str]) -> list[Object]:
    """Return an API's tags, as documents have them."""
    return [{"name": name, extensions.TAG_VALUE: value} for name, value in given.items()]


def given_only(members: Object) -> Object:
    """Return the members that have a value."""
    return {name: value for name, value in members.items() if value not in (None, "", [], {})}
