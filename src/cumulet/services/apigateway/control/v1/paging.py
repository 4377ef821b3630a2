"""Pages of the REST control plane: `limit` items behind `position`, the token of the last one shown."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.kit import Params
from cumulet.services.tokens import decode_token, encode_token

R = TypeVar("R")


def page(
    params: Params,
    scan: Callable[[str | None, int], Iterator[R]],
    key: Callable[[R], str],
    render: Callable[[R], Any],
) -> dict[str, Any]:
    """Return `items`, and `position` if there are more. `scan(behind, limit)` yields records in key order."""
    limit = params.get("limit") or limits.PAGE_ITEMS
    if limit < 1:
        raise ServiceError("BadRequestException", "Limit must be a positive number")
    limit = min(limit, limits.PAGE_ITEMS_MAX)
    behind = decode_token(params.get("position") or None, str, _invalid_token)
    records = list(scan(behind, limit + 1))
    output: dict[str, Any] = {"items": [render(record) for record in records[:limit]]}
    if len(records) > limit:
        output["position"] = encode_token(key(records[limit - 1]))
    return output


def _invalid_token() -> ServiceError:
    # The code is the model's; AWS documents no words.
    return ServiceError("BadRequestException", "Invalid position parameter")
