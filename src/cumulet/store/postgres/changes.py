"""From what a body changed to the statements that apply it, in an order in which no two bodies block each other.

Long keys share rows (`long_keys`), so a change to one of them is a change to what is left of its row.
"""

from collections.abc import Callable

from cumulet.store.keyspace import is_settled
from cumulet.store.overlay import OverlayTx
from cumulet.store.postgres import long_keys
from cumulet.store.postgres.session import Statement


def plan_statements(tx: OverlayTx, get_row: Callable[[bytes], bytes | None]) -> list[Statement]:
    """Return the statements that apply a transaction. `get_row` reads the rows that long keys share."""
    shared = _SharedRows(get_row)
    statements: list[Statement] = []
    for start, end in tx.deleted_ranges:
        if start < end:
            statements += shared.delete_range(start, end)
    rows: dict[bytes, bytes | None] = {}
    for key, value in tx.changes.items():
        if long_keys.is_long(key):
            shared.change(key, value)
        else:
            rows[key] = value
    rows.update(shared.rows())
    # In the order of the keys: who locks rows in the same order as everybody else waits, but never in a circle.
    for key in sorted(rows):
        row = rows[key]
        statements.append((b"delete", (key,)) if row is None else (b"put", (key, row)))
    return statements


def touches_settled(tx: OverlayTx) -> bool:
    """Return whether a transaction changes a settled family, or may."""
    return any(map(is_settled, tx.changes)) or any(
        is_settled(start) or not _within_a_family(start, end) for start, end in tx.deleted_ranges
    )


def _within_a_family(start: bytes, end: bytes) -> bool:
    # A key begins with two texts and a number of one byte behind its length.
    at = start.find(b"\x00", start.find(b"\x00") + 1) + 1
    return at > 0 and len(start) >= at + 2 and start[: at + 2] == end[: at + 2]


class _SharedRows:
    """The rows of long keys as a transaction leaves them."""

    def __init__(self, get_row: Callable[[bytes], bytes | None]) -> None:
        self._get_row = get_row
        self._rests: dict[bytes, dict[bytes, bytes]] = {}
        self._deleted: list[tuple[bytes, bytes]] = []

    def change(self, key: bytes, value: bytes | None) -> None:
        """Give a long key a value, or none."""
        row, rest = long_keys.split(key)
        if value is None:
            self._load(row).pop(rest, None)
        else:
            self._load(row)[rest] = value

    def delete_range(self, start: bytes, end: bytes) -> list[Statement]:
        """Return the statement that deletes whole rows; rows of which a part stays are among `rows`."""
        for bound in (start, end):
            if long_keys.is_long(bound):
                row, _ = long_keys.split(bound)
                rests = self._load(row)
                for rest in [rest for rest in rests if start <= row + rest < end]:
                    del rests[rest]
        first = long_keys.split(start)[0] + b"\x00" if long_keys.is_long(start) else start
        behind = long_keys.split(end)[0] if long_keys.is_long(end) else end
        if first >= behind:
            return []
        self._deleted.append((first, behind))
        for row, rests in self._rests.items():
            if first <= row < behind:
                rests.clear()
        return [(b"delete range", (first, behind))]

    def rows(self) -> dict[bytes, bytes | None]:
        """Return the value of each row that was changed, None if nothing is left of it."""
        return {row: long_keys.encode(rests) for row, rests in self._rests.items()}

    def _load(self, row: bytes) -> dict[bytes, bytes]:
        rests = self._rests.get(row)
        if rests is None:
            is_deleted = any(first <= row < behind for first, behind in self._deleted)
            rests = self._rests[row] = {} if is_deleted else long_keys.decode(self._get_row(row))
        return rests
