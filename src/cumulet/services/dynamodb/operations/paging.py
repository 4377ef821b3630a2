"""Query and Scan share this: reading one page of items, and what a request may ask of it.

A page ends after `Limit` items or with the item that takes it past 1 MB, whichever comes first. Both count what was
read, before the filter. A page that ended so has a LastEvaluatedKey, even if nothing lies behind it.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.expressions.conditions import Test
from cumulet.services.dynamodb.core.expressions.projections import Projector
from cumulet.services.dynamodb.core.item_codec import decode_item, stored_bytes, stored_json
from cumulet.services.dynamodb.core.limits import PAGE_BYTES_MAX
from cumulet.services.dynamodb.core.values import Item, canonical_item, invalid
from cumulet.services.dynamodb.items import key_attributes
from cumulet.services.dynamodb.tables import OpenTable
from cumulet.services.kit import Params


class Page(NamedTuple):
    """What one page came to."""

    items: list[Any]
    """Projected items, or the stored JSON where nothing needed decoding; empty for COUNT."""
    matched: int
    scanned: int
    sizes: list[int]
    """Bytes read in each partition that was touched."""
    last: bytes | None
    """The stored form of the last item read, if the page ended before its range did."""


def read_page(
    pairs: Iterable[tuple[bytes, bytes]],
    limit: int | None,
    test: Test | None,
    project: Projector | None,
    counts_only: bool,
    partition_ends: tuple[bytes, ...] = (),
) -> Page:
    """Return the next page of these stored items.

    `partition_ends` are the keys that divide the range, in the order of reading, where it spans several partitions.
    """
    items: list[Any] = []
    matched = scanned = total = 0
    sizes = [0]
    decodes = test is not None or project is not None
    last: bytes | None = None
    for key, stored in pairs:
        while len(sizes) <= len(partition_ends) and key >= partition_ends[len(sizes) - 1]:
            sizes.append(0)
        scanned += 1
        size = stored_bytes(stored)
        sizes[-1] += size
        total += size
        if not decodes:
            matched += 1
            if not counts_only:
                items.append(stored_json(stored))
        else:
            item = decode_item(stored)
            if test is None or test(item):
                matched += 1
                if not counts_only:
                    items.append(stored_json(stored) if project is None else project(item))
        if scanned == limit or total > PAGE_BYTES_MAX:
            last = stored
            break
    else:
        sizes.extend([0] * (len(partition_ends) + 1 - len(sizes)))
    return Page(items, matched, scanned, sizes, last)


def render_page(page: Page, table: OpenTable, counts_only: bool) -> dict[str, Any]:
    """Return the output of Query or Scan, without its capacity."""
    output: dict[str, Any] = {"Count": page.matched, "ScannedCount": page.scanned}
    if not counts_only:
        output["Items"] = page.items
    if page.last is not None:
        output["LastEvaluatedKey"] = key_attributes(table, decode_item(page.last))
    return output


def check_select(params: Params) -> bool:
    """Return whether only counts are wanted. Raises ValidationException for what does not go together."""
    select = params.get("Select")
    projected = params.get("ProjectionExpression") is not None
    if projected and select is not None and select != "SPECIFIC_ATTRIBUTES":
        chosen = "only the Count" if select == "COUNT" else select
        invalid(f"Cannot specify the ProjectionExpression when choosing to get {chosen}")
    if select == "SPECIFIC_ATTRIBUTES" and not projected:
        invalid("Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")
    if select == "ALL_PROJECTED_ATTRIBUTES" and params.get("IndexName") is None:
        invalid("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
    return select == "COUNT"


def check_index(params: Params) -> None:
    """Raise ValidationException if the request names an index: no table has one yet."""
    if (index := params.get("IndexName")) is not None:
        invalid(f"The table does not have the specified index: {index}")


def read_start_key(given: object) -> Item:
    """Return an ExclusiveStartKey in canonical form. Raises ValidationException for values that are not ones."""
    try:
        return canonical_item(given)[0]
    except ServiceError as error:
        if error.code != "ValidationException":
            raise
        invalid(f"The provided starting key is invalid: {error.message}")
