"""A store in a data folder as it is at one moment, read beside the server that may be using it.

In WAL mode readers and writers do not wait for each other. The price of a long look: what is committed meanwhile stays
in the log, which is written back to the file when the look is over.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cumulet.store.api import StoreUnreadable
from cumulet.store.dump import Pair
from cumulet.store.sqlite_file import FILE_NAME


class SqliteSnapshot:
    """What one read transaction sees."""

    engine = "sqlite"

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.where = str(path)

    @property
    def size_bytes(self) -> int:
        page_count, free_count, page_bytes = [
            int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        ]
        return (page_count - free_count) * page_bytes

    def get(self, key: bytes) -> bytes | None:
        row = self._connection.execute("SELECT v FROM kv WHERE k = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def pairs(self) -> Iterator[Pair]:
        return self._connection.execute("SELECT k, v FROM kv ORDER BY k")


@contextmanager
def open_sqlite_snapshot(data_dir: Path) -> Iterator[SqliteSnapshot]:
    """Yield the store of `data_dir` as it is now. Raises StoreUnreadable if there is none, or it cannot be read."""
    path = data_dir / FILE_NAME
    if not path.is_file():
        raise StoreUnreadable(f"There is no store in {data_dir}.")
    try:
        # Read-only: whatever goes wrong here, it does not go wrong in the store.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as opened:
            opened.execute("BEGIN")
            if opened.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall() != [("kv",)]:
                raise StoreUnreadable(f"{path} is an SQLite file, but not a store of Cumulet.")
            yield SqliteSnapshot(opened, path)
    except sqlite3.Error as failure:
        raise StoreUnreadable(f"{path} cannot be read, or is damaged: {failure}.") from failure
