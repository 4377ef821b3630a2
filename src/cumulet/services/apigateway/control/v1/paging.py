"""Pages of the REST control plane: `limit` items behind `position`, the token of the last one shown."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.kit import Call, Params
from cumulet.services.tokens import decode_token, encode_token
from cumulet.store.api import ReadTx
from cumulet.store.records import Records

R = TypeVar("R")
S = TypeVar("S", bound=msgspec.Struct)


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


def page_of_api(
    tx: ReadTx,
    call: Call,
    params: Params,
    api_id: str,
    records: Records[S],
    key: Callable[[S], str],
    render: Callable[[S], Any],
) -> dict[str, Any]:
    """Return a page of what belongs to one API, in the order of its own ids."""
    return page(
        params,
        lambda behind, limit: records.scan(
            tx, call.scope, api_id, behind=(api_id, behind) if behind else None, limit=limit
        ),
        key,
        render,
    )


def _invalid_token() -> ServiceError:
    # The code is the model's; AWS documents no words.
    return ServiceError("BadRequestException", "Invalid position parameter")
