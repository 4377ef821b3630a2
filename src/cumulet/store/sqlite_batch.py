"""Group commit: what transactions leave to be written together, and how SQLite is told.

A batch is a buffer like that of one transaction. The next transaction reads through it, so it sees what its batch mates
have done, and SQLite hears of nothing before the batch is committed.
"""

import asyncio
import sqlite3
from functools import lru_cache

from cumulet.store.api import ReadTx, StoreOutcomeUnknown, StoreWriteFailed
from cumulet.store.overlay import OverlayTx
from cumulet.store.sqlite_file import DELETE, DELETE_RANGE, PAGE_BYTES, PUT

ROWS_MAX = 64
"""So many are put by one statement. Around each the thread asks for the interpreter's lock, which the loop has."""


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

    def commit(self, writer: sqlite3.Connection) -> None:
        """Make the changes, in the open transaction of SQLite's or in one of their own. Raises sqlite3.Error."""
        ranges = self.buffer.deleted_ranges
        deletions: list[bytes] = []
        puts: list[bytearray] = []
        changes = sorted(self.buffer.changes.items())  # so neighbours find their pages at hand
        self.bytes = PAGE_BYTES * len(changes)  # what several have changed is written once
        for key, value in changes:
            if value is None:
                deletions.append(key)
            else:
                puts += (bytearray(key), bytearray(value))  # see `sqlite_file.PUT`
                self.bytes += len(value)
        execute = writer.execute
        if not (ranges or deletions or writer.in_transaction) and len(puts) <= 2 * ROWS_MAX:
            execute(_put_rows(len(puts) // 2), puts)  # a statement alone is a transaction
            return
        if not writer.in_transaction:
            execute("BEGIN IMMEDIATE")
        for start_end in ranges:
            self.bytes += PAGE_BYTES * (1 + execute(DELETE_RANGE, start_end).rowcount)
        for at in range(0, len(deletions), ROWS_MAX):
            keys = deletions[at : at + ROWS_MAX]
            execute(_delete_rows(len(keys)), keys)
        for at in range(0, len(puts), 2 * ROWS_MAX):
            pairs = puts[at : at + 2 * ROWS_MAX]
            execute(_put_rows(len(pairs) // 2), pairs)
        execute("COMMIT")

    def answer(self, failure: sqlite3.Error | OSError | None) -> None:
        """Tell those who wait what became of their transactions. An OSError is the disk's, after SQLite's commit."""
        for committed in self.waiting:
            if committed.done():
                continue  # the caller was cancelled; what it wrote is committed all the same
            if failure is None:
                committed.set_result(None)
            elif isinstance(failure, OSError):
                committed.set_exception(
                    StoreOutcomeUnknown(f"The disk did not say that this transaction is safe: {failure}.")
                )
            else:
                committed.set_exception(
                    StoreWriteFailed(
                        f"The store could not be written, and nothing of this transaction was kept: {failure}."
                    )
                )


@lru_cache
def _put_rows(rows: int) -> str:
    return PUT.replace("(?, ?)", ", ".join(["(?, ?)"] * rows))


@lru_cache
def _delete_rows(rows: int) -> str:
    return DELETE.replace("= ?", f"IN ({', '.join('?' * rows)})")
