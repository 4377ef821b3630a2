"""Group commit: what transactions leave to be written together, and how SQLite is told.

A batch is a buffer like that of one transaction. The next transaction reads through it, so it sees what its batch mates
have done, and SQLite hears of nothing before the batch is committed.
"""

import asyncio
import sqlite3
from functools import lru_cache

from cumulet.store.api import ReadTx, StoreWriteFailed
from cumulet.store.overlay import OverlayTx
from cumulet.store.sqlite_file import DELETE, DELETE_RANGE, PAGE_BYTES, PUT

ROWS_MAX = 64
"""So many are put by one statement. Each statement takes the interpreter's lock, which the event loop uses too."""


class Batch:
    """Transactions that are committed together, or not at all."""

    __slots__ = ("buffer", "bytes", "hints", "waiting")

    def __init__(self, base: ReadTx) -> None:
        self.buffer = OverlayTx(base)
        self.bytes = 0
        """About how much a commit adds to the log."""
        self.hints: set[str] = set()
        self.waiting: list[asyncio.Future[None]] = []
        """Those who are answered when the batch is committed."""

    def take_in(self, tx: OverlayTx) -> None:
        """Add what a transaction has changed."""
        self.buffer.absorb(tx)
        for value in tx.changes.values():
            self.bytes += PAGE_BYTES if value is None else PAGE_BYTES + len(value)

    def apply(self, writer: sqlite3.Connection) -> None:
        """Make the changes in an open transaction of SQLite's. Raises sqlite3.Error."""
        execute = writer.execute
        for start_end in self.buffer.deleted_ranges:
            self.bytes += PAGE_BYTES * (1 + execute(DELETE_RANGE, start_end).rowcount)
        puts: list[bytes] = []
        # In the order of the keys neighbours find their pages at hand.
        for key, value in sorted(self.buffer.changes.items()):
            if value is None:
                execute(DELETE, (key,))
            else:
                puts += (key, value)
        at = 0
        while rows := min(ROWS_MAX, (len(puts) - at) // 2):
            rows = 1 << (rows.bit_length() - 1)  # powers of two, so that there are few statements to keep prepared
            execute(_put_rows(rows), puts[at : at + 2 * rows])
            at += 2 * rows

    def answer(self, failure: sqlite3.Error | None) -> None:
        """Tell those who wait what became of their transactions."""
        for committed in self.waiting:
            if committed.done():
                continue  # the caller was cancelled; what it wrote is committed all the same
            if failure is None:
                committed.set_result(None)
            else:
                committed.set_exception(
                    StoreWriteFailed(
                        f"The store could not be written, and nothing of this transaction was kept: {failure}."
                    )
                )


@lru_cache
def _put_rows(rows: int) -> str:
    return PUT.replace("(?, ?)", ", ".join(["(?, ?)"] * rows))
