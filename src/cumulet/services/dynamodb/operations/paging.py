"""Query and Scan share this: what a request may ask of a table or an index, and reading one page of it.

A page ends after `Limit` items or with the item that takes it past 1 MB, whichever comes first. Both count what was
read, before the filter. A page that ended so has a LastEvaluatedKey, even if nothing lies behind it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.capacity import Units, read_units
from cumulet.services.dynamodb.core.expressions.conditions import Test
from cumulet.services.dynamodb.core.expressions.grammar import parse_projection
from cumulet.services.dynamodb.core.expressions.legacy import bind_attributes_to_get
from cumulet.services.dynamodb.core.expressions.placeholders import Placeholders
from cumulet.services.dynamodb.core.expressions.projections import Projector, bind_projection
from cumulet.services.dynamodb.core.index_diff import IndexKeys
from cumulet.services.dynamodb.core.item_codec import decode_item, stored_bytes, stored_json
from cumulet.services.dynamodb.core.limits import PAGE_BYTES_MAX, READ_UNIT_BYTES
from cumulet.services.dynamodb.core.values import Item, Value, canonical_item, invalid, invalid_parameter
from cumulet.services.dynamodb.items import key_attributes, locate
from cumulet.services.dynamodb.tables import OpenTable, Source
from cumulet.services.kit import Call, Params
from cumulet.store.api import ReadTx

Fetch = Callable[[Mapping[str, Value]], bytes | None]
"""From an index's entry to the whole stored item, which lies in the table."""


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
    fetched: Sequence[int] = ()
    """Bytes of each item that was fetched from the table for an entry of a local index."""


class Wanted(NamedTuple):
    """Which part of what it reads a request wants to see."""

    project: Projector | None
    attributes: Sequence[str]
    """The top-level attributes of the projection; empty without one."""
    counts_only: bool
    everything: bool
    """Whether it insists on all attributes, as far as they are from an index."""


def read_wanted(params: Params, placeholders: Placeholders) -> Wanted:
    """Return what a request wants to see. Raises ValidationException for what does not go together."""
    select, names, text = params.get("Select"), params.get("AttributesToGet"), params.get("ProjectionExpression")
    given = "AttributesToGet" if names is not None else "ProjectionExpression" if text is not None else None
    if given is not None and select is not None and select != "SPECIFIC_ATTRIBUTES":
        chosen = "only the Count" if select == "COUNT" else select
        invalid(f"Cannot specify the {given} when choosing to get {chosen}")
    if select == "SPECIFIC_ATTRIBUTES" and given is None:
        invalid("Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")
    if select == "ALL_PROJECTED_ATTRIBUTES" and params.get("IndexName") is None:
        invalid("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
    attributes: Sequence[str] = ()
    if names is not None:
        project: Projector | None = bind_attributes_to_get(names)
        attributes = names
    else:
        project = bind_projection(text, placeholders)
        if text is not None:
            paths = parse_projection(text).paths
            attributes = [str(placeholders.elements(path, "ProjectionExpression")[0]) for path in paths]
    return Wanted(project, attributes, select == "COUNT", select == "ALL_ATTRIBUTES")


def find_index(table: OpenTable, call: Call, params: Params) -> IndexKeys | None:
    """Return the index that a request names, or None for the table. Raises if it cannot be read (so)."""
    name = params.get("IndexName")
    if name is None:
        return None
    index = table.indexes.get(name)
    if index is None:
        invalid(f"The table does not have the specified index: {name}")
    if index.is_local:
        return index
    if any(one.name == name and one.status(call.now_ms) == "CREATING" for one in table.record.global_indexes):
        invalid(f"Cannot read from backfilling global secondary index: {name}")
    if params.get("ConsistentRead"):
        invalid("Consistent reads are not supported on global secondary indexes")
    return index


def make_fetch(
    tx: ReadTx, table: OpenTable, index: IndexKeys | None, wanted: Wanted, filtered: Iterable[str]
) -> Fetch | None:
    """Return how to get the whole item where an index's entries do not have what is wanted, or None where they do.

    Only local indexes reach back into their table; for a global one the request is refused.
    """
    if index is None or index.kept is None:
        return None
    missed = index.misses([*wanted.attributes, *filtered])
    if not missed and not wanted.everything:
        return None
    if not index.is_local:
        if wanted.everything:
            invalid_parameter(
                f"Select type ALL_ATTRIBUTES is not supported for global secondary index {index.name} because its "
                "projection type is not ALL"
            )
        invalid_parameter(f"Global secondary index {index.name} does not project [{', '.join(dict.fromkeys(missed))}]")
    return lambda entry: tx.get(locate(table, {name: entry[name] for name in table.key_names}))


def read_page(
    pairs: Iterable[tuple[bytes, bytes]],
    limit: int | None,
    test: Test | None,
    project: Projector | None,
    counts_only: bool,
    partition_ends: tuple[bytes, ...] = (),
    fetch: Fetch | None = None,
) -> Page:
    """Return the next page of these stored items.

    `partition_ends` are the keys that divide the range, in the order of reading, where it spans several partitions.
    """
    decodes = test is not None or project is not None or fetch is not None
    if not decodes and not partition_ends:
        return _read_plain_page(pairs, limit, counts_only)
    items: list[Any] = []
    matched = scanned = total = 0
    sizes = [0]
    fetched: list[int] = []
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
            item, whole = decode_item(stored), stored
            if fetch is not None and (found := fetch(item)) is not None:
                item, whole = decode_item(found), found
                fetched.append(stored_bytes(found))
                # In whole blocks: "Local secondary indexes", read capacity units, developer guide.
                total += -(-fetched[-1] // READ_UNIT_BYTES) * READ_UNIT_BYTES
            if test is None or test(item):
                matched += 1
                if not counts_only:
                    items.append(stored_json(whole) if project is None else project(item))
        if scanned == limit or total > PAGE_BYTES_MAX:
            last = stored
            break
    else:
        sizes.extend([0] * (len(partition_ends) + 1 - len(sizes)))
    return Page(items, matched, scanned, sizes, last, fetched)


def _read_plain_page(pairs: Iterable[tuple[bytes, bytes]], limit: int | None, counts_only: bool) -> Page:
    """Return the next page of one partition's items, or of one range's, as they lie there: most pages are such."""
    read: list[bytes] = []
    total = 0
    last: bytes | None = None
    for _, stored in pairs:
        read.append(stored)
        total += stored_bytes(stored)
        if total > PAGE_BYTES_MAX or len(read) == limit:
            last = stored
            break
    return Page([] if counts_only else list(map(stored_json, read)), len(read), len(read), [total], last)


def render_page(page: Page, source: Source, counts_only: bool) -> dict[str, Any]:
    """Return the output of Query or Scan, without its capacity."""
    output: dict[str, Any] = {"Count": page.matched, "ScannedCount": page.scanned}
    if not counts_only:
        output["Items"] = page.items
    if page.last is not None:
        output["LastEvaluatedKey"] = key_attributes(source, decode_item(page.last))
    return output


def units_of(page: Page, index: IndexKeys | None, consistent: bool) -> Units:
    """Return what reading a page consumed.

    What an index's entries lack is fetched item by item, and billed so, to the table ("Local secondary indexes", "Read
    capacity units", developer guide).
    """
    units = sum(read_units(size, consistent) for size in page.sizes)
    if index is None:
        return Units(units)
    if not index.is_local:
        return Units(0.0, global_indexes={index.name: units})
    return Units(sum(read_units(size, consistent) for size in page.fetched), {index.name: units})


def read_start_key(given: object) -> Item:
    """Return an ExclusiveStartKey in canonical form. Raises ValidationException for values that are not ones."""
    try:
        return canonical_item(given)[0]
    except ServiceError as error:
        if error.code != "ValidationException":
            raise
        invalid(f"The provided starting key is invalid: {error.message}")
