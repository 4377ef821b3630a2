"""SELECT: a plan over ranges of keys, read page by page.

A page ends as a Query's does, after `Limit` items or past 1 MB, and after ten reads by key: AWS says of IN that its
pages have up to ten items and that more values need the NextToken ("PartiQL arithmetic, comparison, and logical
operators"). A NextToken is the range in which its page ended and the place of the last item read there; it belongs to
its statement and no other.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

from cumulet.errors import InvariantViolated, ServiceError
from cumulet.services.dynamodb.core.capacity import Units
from cumulet.services.dynamodb.core.expressions.conditions import find
from cumulet.services.dynamodb.core.index_diff import IndexKeys
from cumulet.services.dynamodb.core.item_codec import decode_item
from cumulet.services.dynamodb.core.limits import PAGE_BYTES_MAX, STATEMENT_READS_PER_PAGE
from cumulet.services.dynamodb.core.partiql.ast import Select
from cumulet.services.dynamodb.core.partiql.grammar import result_name
from cumulet.services.dynamodb.core.partiql.plan import Access, ReadPlan, plan_read
from cumulet.services.dynamodb.core.values import Item, Value, comparable, invalid
from cumulet.services.dynamodb.items import key_attributes, key_range
from cumulet.services.dynamodb.operations.paging import Wanted, find_index, make_fetch, read_page, units_of
from cumulet.services.dynamodb.operations.scan import partition_ends, segment_range
from cumulet.services.dynamodb.operations.statements import Prepared, bind_where, check_kind
from cumulet.services.dynamodb.tables import OpenTable, Source, open_table
from cumulet.services.dynamodb.throttle import charge
from cumulet.services.kit import Call
from cumulet.services.tokens import decode_token, encode_token
from cumulet.store.api import ReadTx


class SelectPage(NamedTuple):
    """What one page of a SELECT came to."""

    items: list[Any]
    last_key: Item | None
    """The key of the last item read, if the page ended before the statement was answered and there was one."""
    token: str | None
    units: Units
    size: int
    """Bytes that were read."""


class _Span(NamedTuple):
    """A range of stored keys, and how much reading some bytes of it costs."""

    start: bytes
    end: bytes
    ends: tuple[bytes, ...] = ()
    """Where partitions that bill for themselves end in it."""

    @property
    def is_one_key(self) -> bool:
        """Whether it can hold one item only."""
        return self.end == self.start + b"\x00"


def find_source(table: OpenTable, call: Call, select: Select, consistent: bool) -> IndexKeys | None:
    """Return the index that a SELECT reads, or None for the table. Raises if it cannot be read.

    Some words are others than those of Query (Parity Suite, recorded on AWS).
    """
    if select.index is not None and select.index not in table.indexes:
        invalid("The table does not have the specified index")
    index = find_index(table, call, {"IndexName": select.index})
    if index is not None and consistent and not index.is_local:
        invalid("Strongly consistent read is not supported on Global Secondary Indexes")
    if index is not None and (len(index.hash_keys) > 1 or len(index.range_keys) > 1):
        invalid(
            "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE "
            "keys."
        )
    return index


def read_select(
    tx: ReadTx,
    call: Call,
    prepared: Prepared,
    *,
    consistent: bool,
    limit: int | None,
    token: str | None,
    thing: bytes = b"",
) -> SelectPage:
    """Return a page of what a SELECT asks for. `thing` is for requests of several: see `throttle.charge`."""
    select = prepared.select
    if select is None:
        raise InvariantViolated("a SELECT that is none")
    test, mentioned = bind_where(select.where, prepared.values)
    table = open_table(tx, call, select.table)
    index = find_source(table, call, select, consistent)
    source: Source = table if index is None else index
    plan = plan_read(select.where, prepared.values, source.hash_name, source.range_name)
    descending = _check_order(select, plan, source.hash_name, source.range_name)
    spans = _spans(table, index, plan, *descending)
    first, behind = _read_token(token, prepared, spans)
    project = None if select.paths is None else make_selector(select)
    attributes = [str(path.elements[0]) for path in select.paths or ()]
    fetch = make_fetch(tx, table, index, Wanted(project, attributes, False, False), sorted(mentioned))
    items: list[Any] = []
    units = Units()
    scanned = size = 0
    reverse = descending[1]
    for number in range(first, len(spans)):
        span = _narrow(spans[number], behind if number == first else None, reverse)
        left = None if limit is None else limit - scanned
        places = _Places(_pairs(tx, span, reverse, left))
        page = read_page(places, left, test if plan.filtered else None, project, False, span.ends, fetch=fetch)
        items += page.items
        scanned += page.scanned
        size += sum(page.sizes)
        units.add(units_of(page, index, consistent))
        is_last = number == len(spans) - 1
        is_full = page.last is not None or (not is_last and (scanned == limit or size > PAGE_BYTES_MAX))
        if is_full and places.value is not None and not (is_last and span.is_one_key):
            position = (_digest(prepared), number, places.place)
        elif number - first == STATEMENT_READS_PER_PAGE - 1 and not is_last:
            position = (_digest(prepared), number + 1, b"")
        else:
            continue
        charge(call, table, units, writes=False, thing=thing)
        last_key = None if places.value is None else key_attributes(source, decode_item(places.value))
        return SelectPage(items, last_key, encode_token(position), units, size)
    charge(call, table, units, writes=False, thing=thing)
    return SelectPage(items, None, None, units, size)


def make_selector(select: Select) -> Callable[[Mapping[str, Value]], Item]:
    """Return the function from an item to the attributes and parts of it that were selected, by their result names."""
    wanted = [(result_name(path), path.elements) for path in select.paths or ()]

    def selected(item: Mapping[str, Value]) -> Item:
        return {name: value for name, elements in wanted if (value := find(item, elements)) is not None}

    return selected


class _Places:
    """Stored items on their way through, remembering the last."""

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._pairs = pairs
        self.place = b""
        self.value: bytes | None = None

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        for pair in self._pairs:
            self.place, self.value = pair
            yield pair


def _pairs(tx: ReadTx, span: _Span, reverse: bool, limit: int | None) -> Iterable[tuple[bytes, bytes]]:
    if span.is_one_key:
        value = tx.get(span.start)
        return () if value is None else ((span.start, value),)
    return tx.scan(span.start, span.end, limit=limit, reverse=reverse) if span.start < span.end else ()


def _spans(
    table: OpenTable, index: IndexKeys | None, plan: ReadPlan, hash_descending: bool, range_descending: bool
) -> list[_Span]:
    """Return the ranges to read, in the order of the partition keys, then of the sort keys."""
    source: Source = table if index is None else index
    if plan.accesses is None:
        start, end = segment_range(source, 0, 1)
        return [_Span(start, end, partition_ends(table, start, end, index))]
    spans = [_span(source, access) for access in plan.accesses]
    by_partition: dict[bytes, tuple[Any, list[_Span]]] = {}
    for access, (partition, span) in zip(plan.accesses, spans, strict=True):
        by_partition.setdefault(partition, (comparable(access.partition), []))[1].append(span)
    for _, same in by_partition.values():
        same.sort()
        if any(one.end > other.start for one, other in pairwise(same) if other.start < other.end):
            invalid("Overlapping conditions with range keys are not supported in where clause")
        if range_descending:
            same.reverse()
    ordered = sorted(by_partition.values(), key=lambda group: group[0], reverse=hash_descending)
    return [span for _, same in ordered for span in same]


def _span(source: Source, access: Access) -> tuple[bytes, _Span]:
    """Return where a partition begins, and the range of it that meets all conditions on the sort key."""
    check_kind(source.hash_kind, access.partition)
    found = key_range(source, access.partition, None)
    start, end = found.start, found.end
    for sort in access.sorts:
        for value in sort.values:
            check_kind(source.range_kind or "", value)
        more = key_range(source, access.partition, sort)
        start, end = max(start, more.start), min(end, more.end)
    return found.partition, _Span(start, max(start, end))


def _narrow(span: _Span, behind: bytes | None, reverse: bool) -> _Span:
    if behind is None:
        return span
    return span._replace(end=behind) if reverse else span._replace(start=behind + b"\x00")


def _check_order(select: Select, plan: ReadPlan, hash_name: str, range_name: str | None) -> tuple[bool, bool]:
    """Return whether partitions, and items in them, come in descending order. Raises where AWS cannot sort."""
    if not select.order:
        return False, False
    if select.where is None:
        invalid("Must have WHERE clause in the statement when using ORDER BY clause.")
    if plan.accesses is None:
        invalid("Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.")
    descending = {hash_name: False, range_name: False}
    named = set()
    for key in select.order:
        name = key.path.elements[0]
        if len(key.path.elements) > 1 or name not in descending or name in named:
            invalid(f"Variable reference {name} in ORDER BY clause must be part of the primary key")
        named.add(name)
        descending[str(name)] = key.descending
    partitions = {tuple(access.partition.items()) for access in plan.accesses}
    if len(partitions) > 1 and hash_name not in named:
        invalid(
            "Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE clause."
        )
    return descending[hash_name], descending[range_name]


def _digest(prepared: Prepared) -> bytes:
    """Return what tells a statement with its parameters from others."""
    statement = msgspec.json.encode((prepared.text, prepared.parameters))
    return blake2b(statement, digest_size=_DIGEST_BYTES).digest()


def _read_token(token: str | None, prepared: Prepared, spans: list[_Span]) -> tuple[int, bytes | None]:
    """Return the range to go on with, and the place behind which; None is its beginning."""
    position = decode_token(
        token, tuple[bytes, int, bytes], lambda: ServiceError("ValidationException", "Invalid NextToken")
    )
    if position is None:
        return 0, None
    digest, number, place = position
    if digest != _digest(prepared) or not 0 <= number < len(spans):
        invalid("The provided starting key is invalid")
    if place and not spans[number].start <= place < spans[number].end:
        invalid("The provided starting key is invalid")
    return number, place or None


_DIGEST_BYTES = 16
