"""Pages of Lambda's lists: how many on each, and from where."""

from collections.abc import Mapping
from typing import Any, TypeVar

from cumulet.errors import ServiceError
from cumulet.services.kit import Params
from cumulet.services.lambda_ import limits
from cumulet.services.tokens import decode_token

P = TypeVar("P")


def page_size(params: Params) -> int:
    """Return how many entries a page has: AWS gives no more than 50 of anything, whatever is asked for."""
    return min(params.get("MaxItems") or limits.PAGE_ITEMS_MAX, limits.PAGE_ITEMS_MAX)


def marker(params: Params, kind: type[P]) -> P | None:
    """Return the position behind which the page begins, None for the first one."""
    return decode_token(params.get("Marker") or None, kind, _invalid_marker)


def _invalid_marker() -> ServiceError:
    # The code is the model's; AWS documents no words.
    return ServiceError("InvalidParameterValueException", "Invalid marker")


def with_marker(output: Mapping[str, Any], next_marker: str | None) -> dict[str, Any]:
    """Return a page with the marker of the next one, if there is one."""
    return dict(output) if next_marker is None else {**output, "NextMarker": next_marker}
