"""Pages of the HTTP control plane: `MaxResults` (text, in AWS's model) items behind `NextToken`."""

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.kit import Call, Params
from cumulet.services.tokens import decode_token, encode_token
from cumulet.store.api import ReadTx
from cumulet.store.records import Records

_WHOLE = re.compile(r"[0-9]{1,18}\Z")

R = TypeVar("R", bound=msgspec.Struct)


def page(
    params: Params,
    scan: Callable[[str | None, int | None], Iterator[R]],
    key: Callable[[R], str],
    render: Callable[[R], Any],
) -> dict[str, Any]:
    """Return `Items`, and `NextToken` if there are more. `scan(behind, limit)` yields records in key order."""
    limit = limits.PAGE_ITEMS_MAX
    if given := params.get("MaxResults"):
        if not _WHOLE.match(str(given)) or int(given) == 0:
            raise ServiceError("BadRequestException", "Invalid value for maxResults")
        limit = min(int(given), limit)
    behind = decode_token(params.get("NextToken") or None, str, _invalid_token)
    records = list(scan(behind, limit + 1))
    output: dict[str, Any] = {"Items": [render(record) for record in records[:limit]]}
    if len(records) > limit:
        output["NextToken"] = encode_token(key(records[limit - 1]))
    return output


def page_of_api(
    tx: ReadTx,
    call: Call,
    params: Params,
    api_id: str,
    records: Records[R],
    key: Callable[[R], str],
    render: Callable[[R], Any],
) -> dict[str, Any]:
    """Return a page of what belongs to an API; `key` is the last part of a record's key, after the API's id."""

    def scan(behind: str | None, limit: int | None) -> Iterator[R]:
        return records.scan(tx, call.scope, api_id, behind=(api_id, behind) if behind else None, limit=limit)

    return page(params, scan, key, render)


def _invalid_token() -> ServiceError:
    # The code is the model's; AWS documents no words.
    return ServiceError("BadRequestException", "Invalid value for nextToken")
