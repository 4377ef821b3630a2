"""How items were before they changed: what makes a table readable as it was at any moment since the log began.

While a table's log is kept, the first write of an item in each millisecond leaves the image that it replaces, in its
own transaction. An item at a moment is then what the first later change replaced; if none did, it is what lies there
now. So a copy of a moment can be made in small steps while writes go on, and what an item costs does not depend on how
long ago it was written.

Entries lie by day, so that days behind the recovery window go as ranges.
"""

from typing import NamedTuple

import msgspec

from cumulet.scope import Scope
from cumulet.services.dynamodb.core.limits import COPY_STEP_BYTES_MAX, COPY_STEP_ITEMS_MAX
from cumulet.services.dynamodb.remains import erase, erase_step
from cumulet.services.dynamodb.tables import OpenTable, Table
from cumulet.services.kit import Call
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import DDB_CHANGE
from cumulet.store.tuples import after, pack

_DAY_MS = 24 * 60 * 60 * 1000


def log_change(tx: WriteTx, call: Call, table: OpenTable, place: bytes, before: bytes | None) -> None:
    """Keep the image that a write replaces; of an item that was not there, that it was not."""
    key = _day_key(table, call.now_ms // _DAY_MS) + place[len(table.prefix) :] + pack((call.now_ms,))
    if tx.get(key) is None:
        tx.put(key, before or b"")


class Piece(NamedTuple):
    """A part of a table as it was."""

    items: list[tuple[bytes, bytes]]
    """Stored keys without their table's prefix, and stored items, in key order."""
    behind: bytes | None
    """Behind which key the next piece begins; None at the end."""


def read_as_of(
    tx: ReadTx, table: OpenTable, at_ms: int, now_ms: int, position: bytes, limit: int = COPY_STEP_ITEMS_MAX
) -> Piece:
    """Return the next items behind `position` as they were once everything up to `at_ms` had happened."""
    rows, behind = _take(tx, table.prefix, position, limit)
    current = dict(rows)
    replaced: dict[bytes, bytes] = {}
    for day in range(at_ms // _DAY_MS, now_ms // _DAY_MS + 1):
        head = _day_key(table, day)
        entries, last = _take(tx, head, position, limit)
        for suffix, image in _first_later(entries, at_ms):
            replaced.setdefault(suffix, image)
        if last is not None:
            item_key, _ = _split(last)
            # The page may have ended before the change that counts.
            later = tx.scan(head + item_key + pack((at_ms + 1,)), after(head + item_key), limit=1)
            for _, image in later:
                replaced.setdefault(item_key, image)
            behind = item_key if behind is None else min(behind, item_key)
    keys = sorted(key for key in current.keys() | replaced.keys() if behind is None or key <= behind)
    images = [(key, replaced[key] if key in replaced else current[key]) for key in keys]
    return Piece([(key, image) for key, image in images if image], behind)


class Changed(NamedTuple):
    """What a stretch of time did to an item: how it was before, how it was after, and when it changed last."""

    key: bytes
    """The stored key without its table's prefix."""
    before: bytes
    after: bytes
    """Stored items; empty where there was none."""
    changed_ms: int


class Changes(NamedTuple):
    """Some of the items that a stretch of time changed."""

    items: list[Changed]
    """In key order. An item that came and went again is not among them."""
    behind: bytes | None
    """Behind which key the next ones begin; None at the end."""


def read_changes(
    tx: ReadTx,
    table: OpenTable,
    since_ms: int,
    until_ms: int,
    now_ms: int,
    position: bytes,
    limit: int = COPY_STEP_ITEMS_MAX,
) -> Changes:
    """Return the next items behind `position` that changed from `since_ms` on and before `until_ms`."""
    first: dict[bytes, bytes] = {}
    last_ms: dict[bytes, int] = {}
    behind: bytes | None = None

    def note(item_key: bytes, changed_ms: int, image: bytes) -> None:
        first.setdefault(item_key, image)
        last_ms[item_key] = changed_ms

    for day in range(since_ms // _DAY_MS, (until_ms - 1) // _DAY_MS + 1):
        head = _day_key(table, day)
        entries, last = _take(tx, head, position, limit)
        cut = None if last is None else _split(last)[0]
        for key, image in entries:
            item_key, changed_ms = _split(key)
            if item_key != cut and since_ms <= changed_ms < until_ms:
                note(item_key, changed_ms, image)
        if cut is not None:
            # Of the item at which the page ended, however often it changed, the ends are enough.
            behind = cut if behind is None else min(behind, cut)
            start, end = head + cut + pack((since_ms,)), head + cut + pack((until_ms,))
            for reverse in (False, True):
                for key, image in tx.scan(start, end, limit=1, reverse=reverse):
                    note(cut, _split(key[len(head) :])[1], image)
    keys = sorted(key for key in first if behind is None or key <= behind)
    changed = [Changed(key, first[key], _image_at(tx, table, key, until_ms, now_ms), last_ms[key]) for key in keys]
    return Changes([one for one in changed if one.before or one.after], behind)


def _image_at(tx: ReadTx, table: OpenTable, item_key: bytes, at_ms: int, now_ms: int) -> bytes:
    """Return an item as it was just before a time: what the first change from then on replaced, or what is there."""
    for day in range(at_ms // _DAY_MS, now_ms // _DAY_MS + 1):
        head = _day_key(table, day) + item_key
        for _, image in tx.scan(head + pack((at_ms,)), after(head), limit=1):
            return image
    return tx.get(table.prefix + item_key) or b""


def has_trimmable(tx: ReadTx, table: OpenTable, since_ms: int) -> bool:
    """Return whether there are days that no moment from `since_ms` on needs."""
    start, _ = DDB_CHANGE.range(table.scope, table.record.log_id)
    return next(iter(tx.scan(start, _day_key(table, since_ms // _DAY_MS), limit=1)), None) is not None


def trim_log(tx: WriteTx, table: OpenTable, since_ms: int) -> None:
    """Remove some of the days that no moment from `since_ms` on needs."""
    start, _ = DDB_CHANGE.range(table.scope, table.record.log_id)
    erase_step(tx, start, _day_key(table, since_ms // _DAY_MS))


def end_log(tx: WriteTx, scope: Scope, record: Table) -> Table:
    """Remove the whole log; return the record of the table, whose next log lies elsewhere."""
    erase(tx, scope, [(DDB_CHANGE, (record.log_id,))])
    return msgspec.structs.replace(record, logs=record.logs + 1)


def _take(tx: ReadTx, head: bytes, position: bytes, limit: int) -> tuple[list[tuple[bytes, bytes]], bytes | None]:
    """Return rows behind `position`, up to a number and a size, and the key of the last one unless it is the end."""
    rows: list[tuple[bytes, bytes]] = []
    size = 0
    # What begins with the position belongs to it: the entries of one item.
    start = after(head + position) if position else head
    for key, value in tx.scan(start, after(head), limit=limit):
        rows.append((key[len(head) :], value))
        size += len(value)
        if size >= COPY_STEP_BYTES_MAX:
            break
    is_full = len(rows) == limit or size >= COPY_STEP_BYTES_MAX
    return rows, rows[-1][0] if is_full else None


def _first_later(entries: list[tuple[bytes, bytes]], at_ms: int) -> list[tuple[bytes, bytes]]:
    later = []
    for key, image in entries:
        item_key, changed_ms = _split(key)
        if changed_ms > at_ms:
            later.append((item_key, image))
    return later


def _split(key: bytes) -> tuple[bytes, int]:
    """Return an entry's item key and time, given its key without the day's head."""
    at = len(key) - _TIME_BYTES
    return key[:at], int.from_bytes(key[at + 1 :], "big")


def _day_key(table: OpenTable, day: int) -> bytes:
    return DDB_CHANGE.key(table.scope, table.record.log_id, day)


_TIME_BYTES = len(pack((1_700_000_000_000,)))
"""Milliseconds take six bytes from 2004 to the year 10889."""
