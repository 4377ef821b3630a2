"""IAM's paging: Marker in, IsTruncated and Marker out."""

import base64
from collections.abc import Callable, Iterable
from itertools import dropwhile, islice
from typing import Any, TypeVar

from cumulet.errors import ServiceError
from cumulet.services.iam.limits import PAGE_ITEMS_DEFAULT
from cumulet.services.kit import Params

T = TypeVar("T")

PAGED = " Marker MaxItems"
"""The parameters of every operation that pages."""


def page(params: Params, items: Iterable[T], name_of: Callable[[T], str]) -> tuple[list[T], dict[str, Any]]:
    """Return the page that `params` asks for, and the members of the answer that tell whether there is more.

    A marker is the last name that the caller has seen; `items` come in the order of their names.
    """
    if marker := params.get("Marker"):
        behind = _read_marker(marker)
        items = dropwhile(lambda item: name_of(item) <= behind, items)
    size = params.get("MaxItems") or PAGE_ITEMS_DEFAULT
    found = list(islice(items, size + 1))
    if len(found) <= size:
        return found, {"IsTruncated": False}
    found.pop()
    return found, {"IsTruncated": True, "Marker": base64.b64encode(name_of(found[-1]).encode()).decode()}


def _read_marker(marker: str) -> str:
    try:
        return base64.b64decode(marker, validate=True).decode()
    except ValueError:
        raise ServiceError("ValidationError", f"Invalid Marker: {marker}", status=400) from None
