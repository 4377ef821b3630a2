"""IAM's paging: Marker in, IsTruncated and Marker out."""

from collections.abc import Callable, Iterable
from itertools import dropwhile, islice
from typing import Any, TypeVar

from cumulet.errors import ServiceError
from cumulet.services.iam.limits import PAGE_ITEMS_DEFAULT
from cumulet.services.kit import Params
from cumulet.services.tokens import decode_token, encode_token

T = TypeVar("T")

PAGED = " Marker MaxItems"
"""The parameters of every operation that pages."""


def page(params: Params, items: Iterable[T], name_of: Callable[[T], str]) -> tuple[list[T], dict[str, Any]]:
    """Return the page that `params` asks for, and the members of the answer that tell whether there is more.

    A marker is the last name that the caller has seen; `items` come in the order of their names.
    """
    marker = params.get("Marker")
    behind = decode_token(marker, str, lambda: ServiceError("ValidationError", f"Invalid Marker: {marker}", status=400))
    if behind is not None:
        items = dropwhile(lambda item: name_of(item) <= behind, items)
    size = params.get("MaxItems") or PAGE_ITEMS_DEFAULT
    found = list(islice(items, size + 1))
    if len(found) <= size:
        return found, {"IsTruncated": False}
    found.pop()
    return found, {"IsTruncated": True, "Marker": encode_token(name_of(found[-1]))}
