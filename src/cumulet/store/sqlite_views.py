"""What transaction bodies read through: a connection's view, and in front of it the values that were read lately."""

import sqlite3
from collections.abc import Callable, Iterator

from cumulet.store.overlay import OverlayTx
from cumulet.store.sqlite_file import GET, LOOK, SCAN, SCAN_BACK

HOT_VALUES_MAX = 4096
HOT_VALUE_BYTES_MAX = 4096
"""Together they bound the memory that values read lately may take to 16 MiB, and their keys."""


class View:
    """What a connection sees. Scans are lazy; `end_scans` ends those that a body left open.

    Between `stand_still` and `move_on` it sees one and the same state, whatever is committed meanwhile.
    """

    __slots__ = ("_connection", "_point", "_standing", "open_scans")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._point = connection.cursor()
        self._standing = connection.cursor()
        self.open_scans: list[sqlite3.Cursor] = []

    def get(self, key: bytes) -> bytes | None:
        row = self._point.execute(GET, (bytearray(key),)).fetchone()
        return None if row is None else row[0]

    def scan(
        self, start: bytes, end: bytes, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        rows = self._connection.execute(
            SCAN_BACK if reverse else SCAN, (bytearray(start), bytearray(end), -1 if limit is None else max(limit, 0))
        )
        self.open_scans.append(rows)
        return rows

    def stand_still(self) -> None:
        self._standing.execute(LOOK)  # a statement that is not at its end keeps the snapshot, for all others too

    def move_on(self) -> None:
        self._standing.close()
        self._standing = self._connection.cursor()

    def end_scans(self) -> None:
        # An open cursor would pin its snapshot: later reads would be stale, and the log could not be written back.
        for rows in self.open_scans:
            rows.close()
        self.open_scans.clear()


class HotValues:
    """Values as last committed, of keys that were read lately: a table's description is read at every request.

    Whoever makes commits calls `renew` or `forget`. While the only process commits, who asks here reads a snapshot of
    before it; where there are several, `generation` says of which state the values are, and who asks makes sure that it
    is the one that it reads.
    """

    __slots__ = ("generation", "values")

    def __init__(self) -> None:
        self.values: dict[bytes, bytes | None] = {}
        self.generation = -1

    def get(self, key: bytes, read: Callable[[bytes], bytes | None]) -> bytes | None:
        """Return the value of `key`, from `read` if it is not known."""
        values = self.values
        if key in values:
            return values[key]
        value = read(key)
        if value is None or len(value) <= HOT_VALUE_BYTES_MAX:
            if len(values) >= HOT_VALUES_MAX:
                del values[next(iter(values))]  # the oldest; what is read all the time comes back at once
            values[key] = value
        return value

    def forget(self, buffer: OverlayTx) -> None:
        """Drop the values that a batch has changed."""
        if buffer.deleted_ranges:
            self.forget_all()
            return
        for key in buffer.changes:
            self.values.pop(key, None)

    def renew(self, buffer: OverlayTx) -> None:
        """Keep the values that a batch has made of those that were known: it is committed."""
        if buffer.deleted_ranges:
            self.forget_all()
            return
        values = self.values
        for key, value in buffer.changes.items():
            if key in values:
                if value is None or len(value) <= HOT_VALUE_BYTES_MAX:
                    values[key] = value
                else:
                    del values[key]

    def forget_all(self) -> None:
        """Drop every value."""
        self.values.clear()


class CommittedReads:
    """The last commit, as a connection sees it: what reads see in the only process, and what lies under every batch."""

    __slots__ = ("_hot", "_known", "_read", "scan")

    def __init__(self, view: View, hot: HotValues) -> None:
        self._hot = hot
        self._known = hot.values
        self._read = view.get
        self.scan = view.scan

    def get(self, key: bytes) -> bytes | None:
        # Every body asks for several values, and nearly all are known: that is not worth a call.
        return self._known[key] if key in self._known else self._hot.get(key, self._read)


class Overtaken(Exception):
    """Another commit came between what a body read from memory and what it went on to read: it runs again."""


class SnapshotReads:
    """What reads see where several processes commit: hot values and a snapshot of one and the same generation.

    The snapshot is only taken for what is not known, so a body that finds everything hot executes no statement at all.
    """

    __slots__ = ("_begun", "_connection", "_hot", "_taken", "_view")

    def __init__(self, connection: sqlite3.Connection, view: View, hot: HotValues, begun: Callable[[], int]) -> None:
        """`begun` returns the generation of the last commit that any process has begun."""
        self._connection = connection
        self._view = view
        self._hot = hot
        self._begun = begun
        self._taken = False

    def get(self, key: bytes) -> bytes | None:
        return self._hot.get(key, self._get_cold)

    def scan(
        self, start: bytes, end: bytes, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        if self._taken:
            return self._view.scan(start, end, limit=limit, reverse=reverse)
        self._connection.execute("BEGIN")
        self._taken = True
        rows = self._view.scan(start, end, limit=limit, reverse=reverse)
        self._check()
        return rows

    def end(self) -> None:
        """End what a body has left open."""
        if self._taken:
            self._taken = False
            self._view.end_scans()
            self._connection.execute("COMMIT")

    def _get_cold(self, key: bytes) -> bytes | None:
        if self._taken:
            return self._view.get(key)
        self._connection.execute("BEGIN")
        self._taken = True
        value = self._view.get(key)  # from here on the snapshot stands
        self._check()
        return value

    def _check(self) -> None:
        # When the body began, the hot values were of the last generation, and its commit was done. If no later one has
        # begun by now, the snapshot is of that generation too.
        if self._begun() != self._hot.generation:
            raise Overtaken
