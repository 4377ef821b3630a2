"""The references between a document's models, as API Gateway has them (pure).

A reference to a model becomes its URL, one to a part of the same model stays within it. To parts of other models API
Gateway has no references: such a part is copied.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.mapping.schemas import model_url

_INDEX = re.compile(r"[0-9]{1,9}\Z")
_REFERENCE = re.compile(r"^#/(?:definitions|components/schemas)/([^/]+)(/.*)?\Z")


@dataclass
class References:
    """The models of one document, on their way into an API."""

    api_id: str
    models: Mapping[str, Any]
    warnings: list[str]
    """Gets those of references that lead nowhere; what had one is any value."""
    _copied_values: int = 0
    _depth: int = 0

    def rewritten(self, own: str, node: Any) -> Any:
        """Return a schema, or what stands in one, as it is in the API's model `own`."""
        if self._depth:
            self._copied_values += 1
        if isinstance(node, list):
            return [self.rewritten(own, member) for member in node]
        if not isinstance(node, dict):
            return node
        written = {name: self.rewritten(own, member) for name, member in node.items()}
        reference = written.get("$ref")
        found = _REFERENCE.match(reference) if isinstance(reference, str) else None
        if found is None:
            return written
        name, pointer = found[1], found[2] or ""
        if pointer and name == own:
            return {**written, "$ref": f"#{pointer}"}
        part = _part_of(self.models.get(name), pointer)
        if part is None:
            self.warnings.append(f"Unable to resolve model reference: {found[0]}")
            return {}
        return self._copied(own, part, found[0]) if pointer else {**written, "$ref": model_url(self.api_id, name)}

    def _copied(self, own: str, part: Any, reference: str) -> Any:
        if self._copied_values > limits.VALUES_COPIED_MAX or self._depth >= limits.REFERENCES_FOLLOWED_MAX:
            raise ServiceError("BadRequestException", f"The reference {reference} leads to too many others")
        self._depth += 1
        copied = self.rewritten(own, part)
        self._depth -= 1
        return copied


def _part_of(model: Any, pointer: str) -> Any:
    """Return what a JSON Pointer leads to in a model, or None."""
    for name in pointer.split("/")[1:]:
        name = name.replace("~1", "/").replace("~0", "~")
        if isinstance(model, list):
            model = model[int(name)] if _INDEX.match(name) and int(name) < len(model) else None
        else:
            model = model.get(name) if isinstance(model, dict) else None
    return model
