"""The embedded engine: one SQLite file in WAL mode, one writer, group commit.

All Python work of transactions runs on the event loop's thread. A read runs at once on the reading connection: a point
read costs microseconds, a thread hop would cost more. A write runs at once too, over an overlay on the writing
connection; its changes are applied to the open SQLite transaction, the *batch*, so that the next write sees them. The
batch is committed at the end of the loop's turn: with durability `fsync` in a thread of its own, so that the loop goes
on serving reads while the disk works and while the next writes gather. Nobody is answered before the commit, not even a
write that raised, since what it saw may be a batch mate's change.

    open --(a write applies its changes)--> gathering --(end of the loop's turn)--> settling --(committed)--> open

While settling, writes wait in line and reads see the last commit. With durability `os` the commit leaves the data with
the operating system (a crash of Cumulet loses nothing, a crash of the machine may lose the last moments); with `memory`
nothing is ever synced, and a crash of the machine may lose the whole store. Both commit on the loop's thread.
"""

import asyncio
import contextlib
import fcntl
import os
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from cumulet.scope import SYSTEM
from cumulet.settings import Durability
from cumulet.store.api import (
    ReadTx,
    StoreClosed,
    StoreInUse,
    StoreOverloaded,
    StoreTooNew,
    StoreUnreadable,
    StoreWriteFailed,
    WriteTx,
)
from cumulet.store.keyspace import STORE_META, STORE_VERSION
from cumulet.store.overlay import OverlayTx

T = TypeVar("T")

FILE_NAME = "cumulet.db"
LOCK_NAME = "cumulet.lock"

BATCH_TRANSACTIONS_MAX = 512
"""Bounds how long the last of a batch waits for the first, and how long the loop is busy with bodies alone."""

BATCH_BYTES_MAX = 32 * 1024 * 1024
"""Bounds what one commit writes. A single transaction may be larger."""

WAITING_MAX = 16_384
"""More writes than this in line are refused: they would time out at their clients anyway."""

CHECKPOINT_BYTES = 16 * 1024 * 1024
"""After about so many bytes the log is written back to the file. Larger logs make reads slower."""

HOT_VALUES_MAX = 4096
HOT_VALUE_BYTES_MAX = 4096
"""Together they bound the memory that values read lately may take to 16 MiB, and their keys."""

_PAGE_BYTES = 8192
"""Why, and why a table without row ids and no memory map: docs/decisions/0006-sqlite-file-layout.md."""

_CACHE_KIB = 16 * 1024
_GET = "SELECT v FROM kv WHERE k = ?"
_SCAN = "SELECT k, v FROM kv WHERE k >= ? AND k < ? ORDER BY k LIMIT ?"
_SCAN_BACK = "SELECT k, v FROM kv WHERE k >= ? AND k < ? ORDER BY k DESC LIMIT ?"
_PUT = "INSERT INTO kv VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v"
_DELETE = "DELETE FROM kv WHERE k = ?"
_DELETE_RANGE = "DELETE FROM kv WHERE k >= ? AND k < ?"
_SYNCHRONOUS: dict[Durability, str] = {"fsync": "FULL", "os": "NORMAL", "memory": "OFF"}


def open_sqlite(data_dir: Path, durability: Durability = "fsync") -> "SqliteStore":
    """Return the store of `data_dir`, which is made if it is not there and held against other processes.

    Raises StoreInUse, StoreTooNew or StoreUnreadable, with words for the person who chose the folder.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # it will hold secrets
        lock = _take_lock(data_dir)
    except OSError as failure:
        raise StoreUnreadable(f"The data folder {data_dir} cannot be used: {failure.strerror}.") from failure
    path = data_dir / FILE_NAME
    writer: sqlite3.Connection | None = None
    try:
        writer = _connect(path, durability)
        _prepare(writer, path)
        return SqliteStore(durability, lock, writer, _connect(path, durability))
    except BaseException as failure:
        if writer is not None:
            writer.close()
        os.close(lock)
        if isinstance(failure, sqlite3.Error):
            raise StoreUnreadable(f"{path} is not a store of Cumulet, or is damaged: {failure}.") from failure
        raise


def _take_lock(data_dir: Path) -> int:
    lock = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Not a lock file's presence but a lock on it, which the system drops however the process ends.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise StoreInUse(
            f"The data folder {data_dir} is in use by another Cumulet server (process {holder}). "
            "Stop that server, or choose another folder with --data-dir."
        ) from None
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock


def _connect(path: Path, durability: Durability) -> sqlite3.Connection:
    # The commit thread and the loop's thread take turns on the writing connection, never both at once.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=16)
    try:
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")  # heeded when the file is made
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
        connection.execute("PRAGMA fullfsync = ON")  # macOS: a plain fsync stops at the drive's cache
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # `_settled` says when, so that nobody waits for it
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    version_key = STORE_META.key(SYSTEM, "version")
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    if not tables:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID")
        connection.execute(_PUT, (version_key, b"%d" % STORE_VERSION))
        connection.execute("COMMIT")
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the file's name must outlive a crash too
        finally:
            os.close(folder)
        return
    row = connection.execute(_GET, (version_key,)).fetchone() if tables == ["kv"] else None
    if row is None or not row[0].isdigit():
        raise StoreUnreadable(f"{path} is an SQLite file, but not a store of Cumulet.")
    if (found := int(row[0])) > STORE_VERSION:
        raise StoreTooNew(
            f"{path} was written by a newer Cumulet: it has store version {found}, "
            f"this program knows versions up to {STORE_VERSION}."
        )


class _View:
    """What a connection sees. Scans are lazy; `end_scans` ends those that a body left open."""

    __slots__ = ("_connection", "_point", "open_scans")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._point = connection.cursor()
        self.open_scans: list[sqlite3.Cursor] = []

    def get(self, key: bytes) -> bytes | None:
        row = self._point.execute(_GET, (key,)).fetchone()
        return None if row is None else row[0]

    def scan(
        self, start: bytes, end: bytes, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        rows = self._connection.execute(
            _SCAN_BACK if reverse else _SCAN, (start, end, -1 if limit is None else max(limit, 0))
        )
        self.open_scans.append(rows)
        return rows

    def end_scans(self) -> None:
        # An open cursor would pin its snapshot: later reads would be stale, and the log could not be written back.
        for rows in self.open_scans:
            rows.close()
        self.open_scans.clear()


class _HotValues:
    """Values as last committed, of keys that were read lately: a table's description is read at every request.

    One server holds the file, so nobody else changes them. Whoever makes commits calls `forget`; while a commit is
    under way nobody asks here, since one body would then see some keys before and some after it.
    """

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[bytes, bytes | None] = {}

    def get(self, key: bytes, view: "_View") -> bytes | None:
        """Return the value of `key`, read through `view` if it is not known."""
        values = self._values
        if key in values:
            return values[key]
        value = view.get(key)
        if value is None or len(value) <= HOT_VALUE_BYTES_MAX:
            if len(values) >= HOT_VALUES_MAX:
                del values[next(iter(values))]  # the oldest; what is read all the time comes back at once
            values[key] = value
        return value

    def forget(self, keys: set[bytes], everything: bool) -> None:
        """Drop what a commit has changed."""
        if everything:
            self._values.clear()
        else:
            for key in keys:
                self._values.pop(key, None)


class _CommittedReads:
    """What reads see while no commit is under way."""

    __slots__ = ("_hot", "_view", "scan")

    def __init__(self, view: _View, hot: _HotValues) -> None:
        self._view = view
        self._hot = hot
        self.scan = view.scan

    def get(self, key: bytes) -> bytes | None:
        return self._hot.get(key, self._view)


class _PendingReads:
    """What the next write sees: the last commit, and the changes of the batch."""

    __slots__ = ("_hot", "_view", "changed_keys", "ranges_changed", "scan")

    def __init__(self, view: _View, hot: _HotValues) -> None:
        self._view = view
        self._hot = hot
        self.scan = view.scan
        self.changed_keys: set[bytes] = set()
        self.ranges_changed = False

    def get(self, key: bytes) -> bytes | None:
        if key in self.changed_keys or self.ranges_changed:
            return self._view.get(key)
        return self._hot.get(key, self._view)

    def end_batch(self) -> None:
        """Forget what the batch changed: it is committed, or gone."""
        self._hot.forget(self.changed_keys, self.ranges_changed)
        self.changed_keys = set()
        self.ranges_changed = False


class SqliteStore:
    """A store in one SQLite file. Made by `open_sqlite`; used from one event loop."""

    def __init__(
        self, durability: Durability, lock: int, writer: sqlite3.Connection, reader: sqlite3.Connection
    ) -> None:
        self._commits_in_thread = durability == "fsync"
        self._lock = lock
        self._writer = writer
        self._reader = reader
        self._committed = _View(reader)
        self._pending = _View(writer)
        hot = _HotValues()
        self._committed_reads = _CommittedReads(self._committed, hot)
        self._pending_reads = _PendingReads(self._pending, hot)
        self._apply_change = writer.cursor().execute
        self._listeners: dict[str, list[Callable[[], None]]] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._batch: list[asyncio.Future[None]] = []
        self._batch_bytes = 0
        self._batch_hints: set[str] = set()
        self._settling = False
        self._log_bytes = 0
        self._disk: _DiskThread | None = None
        self._closing = False
        self._idle: asyncio.Event | None = None

    async def read(self, fn: Callable[[ReadTx], T]) -> T:
        if self._closing:
            raise StoreClosed("The store is closed.")
        view = self._committed
        if not (self._settling and self._commits_in_thread):
            # Nothing is committed while `fn` has the loop's thread: every statement sees the same.
            try:
                return fn(self._committed_reads)
            finally:
                if view.open_scans:
                    view.end_scans()
        self._reader.execute("BEGIN")
        try:
            return fn(view)
        finally:
            view.end_scans()
            self._reader.execute("COMMIT")

    async def write(self, fn: Callable[[WriteTx], T]) -> T:
        if self._closing:
            raise StoreClosed("The store is closed.")
        while self._settling or self._batch_is_full():
            await self._wait_in_line()
        tx = OverlayTx(self._pending_reads)
        try:
            result = fn(tx)
        except Exception:
            self._pending.end_scans()
            if self._batch:
                await self._join_batch()
            raise
        self._pending.end_scans()
        if tx.changes or tx.deleted_ranges:
            self._apply(tx)
        elif not self._batch:
            self._wake_listeners(tx.hints)
            return result
        self._batch_hints |= tx.hints
        await self._join_batch()
        return result

    def listen(self, topic: str, wake: Callable[[], None]) -> Callable[[], None]:
        self._listeners.setdefault(topic, []).append(wake)
        return lambda: self._listeners[topic].remove(wake)

    async def close(self) -> None:
        """Finish the writes that have begun or wait, write the log back, and let go of the folder."""
        if self._closing:
            return
        self._closing = True
        self._idle = asyncio.Event()
        # Not at once: writes that were just called up have yet to run.
        asyncio.get_running_loop().call_soon(self._tell_if_idle)
        await self._idle.wait()
        if self._disk is not None:
            self._disk.stop()
        self._reader.close()
        with contextlib.suppress(sqlite3.Error):  # what is not written back now is read from the log next time
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._writer.close()
        os.close(self._lock)

    # The line of waiting writes

    def _batch_is_full(self) -> bool:
        return len(self._batch) >= BATCH_TRANSACTIONS_MAX or self._batch_bytes >= BATCH_BYTES_MAX

    async def _wait_in_line(self) -> None:
        if len(self._waiting) >= WAITING_MAX:
            raise StoreOverloaded(f"{WAITING_MAX} transactions are waiting to be written.")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn

    def _call_up(self) -> None:
        """Wake as many waiting writes as fit a batch. They run before the commit that the first of them schedules."""
        for _ in range(min(BATCH_TRANSACTIONS_MAX, len(self._waiting))):
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
        if self._waiting:
            # Behind those just woken: if none of them left anything to commit, nobody else would call up the rest.
            asyncio.get_running_loop().call_soon(self._call_up_if_open)
        elif self._idle is not None:
            asyncio.get_running_loop().call_soon(self._tell_if_idle)

    def _call_up_if_open(self) -> None:
        if not self._batch and not self._settling:
            self._call_up()

    def _tell_if_idle(self) -> None:
        if self._idle is not None and not (self._batch or self._settling or self._waiting):
            self._idle.set()

    # The batch

    def _apply(self, tx: OverlayTx) -> None:
        """Add a transaction's changes to the batch. If SQLite cannot, the whole batch is gone."""
        execute, size = self._apply_change, 0
        self._pending_reads.changed_keys.update(tx.changes)
        self._pending_reads.ranges_changed |= bool(tx.deleted_ranges)
        try:
            if not self._writer.in_transaction:
                execute("BEGIN IMMEDIATE")
            for start_end in tx.deleted_ranges:
                size += _PAGE_BYTES * (1 + execute(_DELETE_RANGE, start_end).rowcount)
            for key, value in tx.changes.items():
                if value is None:
                    execute(_DELETE, (key,))
                    size += _PAGE_BYTES
                else:
                    execute(_PUT, (key, value))
                    size += _PAGE_BYTES + len(value)
        except sqlite3.Error as failure:
            self._roll_back()
            self._pending_reads.end_batch()
            mates, self._batch, self._batch_bytes = self._batch, [], 0
            self._batch_hints = set()
            _answer(mates, failure)
            raise _write_failed(failure) from failure
        self._batch_bytes += size

    async def _join_batch(self) -> None:
        """Return when the batch is committed. Raises StoreWriteFailed if that fails."""
        loop = asyncio.get_running_loop()
        if not self._batch:
            loop.call_soon(self._settle)
        committed: asyncio.Future[None] = loop.create_future()
        self._batch.append(committed)
        await committed

    def _settle(self) -> None:
        if self._settling:
            return  # called for a batch that failed while it gathered; the next one has come before
        if not self._batch:
            self._call_up()
            return
        self._settling = True
        if self._commits_in_thread:
            self._on_disk_thread(self._commit, self._settled)
        else:
            self._settled(self._commit())

    def _commit(self) -> sqlite3.Error | None:
        try:
            self._writer.execute("COMMIT")
        except sqlite3.Error as failure:
            self._roll_back()
            return failure
        return None

    def _roll_back(self) -> None:
        if self._writer.in_transaction:  # SQLite has done it itself after most failures
            with contextlib.suppress(sqlite3.Error):
                self._writer.execute("ROLLBACK")

    def _settled(self, failure: sqlite3.Error | None) -> None:
        self._pending_reads.end_batch()
        batch, self._batch = self._batch, []
        hints, self._batch_hints = self._batch_hints, set()
        self._log_bytes += self._batch_bytes
        self._batch_bytes = 0
        _answer(batch, failure)
        if failure is None:
            self._wake_listeners(hints)
        if self._log_bytes >= CHECKPOINT_BYTES:
            self._log_bytes = 0
            self._on_disk_thread(self._checkpoint, self._checkpointed)
            return
        self._settling = False
        self._call_up()

    def _checkpoint(self) -> sqlite3.Error | None:
        try:
            self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as failure:
            return failure
        return None

    def _checkpointed(self, failure: sqlite3.Error | None) -> None:
        # A failure loses nothing, the log still has it all; the next commit or checkpoint meets the cause again.
        self._settling = False
        self._call_up()

    def _on_disk_thread(
        self, work: Callable[[], sqlite3.Error | None], done: Callable[[sqlite3.Error | None], None]
    ) -> None:
        if self._disk is None:
            self._disk = _DiskThread(asyncio.get_running_loop())
        self._disk.submit(work, done)

    def _wake_listeners(self, topics: set[str]) -> None:
        for topic in topics:
            for wake in self._listeners.get(topic, ()):
                asyncio.get_running_loop().call_soon(wake)


def _write_failed(failure: sqlite3.Error) -> StoreWriteFailed:
    return StoreWriteFailed(f"The store could not be written, and nothing of this transaction was kept: {failure}.")


def _answer(batch: list[asyncio.Future[None]], failure: sqlite3.Error | None) -> None:
    for committed in batch:
        if committed.done():
            continue  # the caller was cancelled; what it wrote is committed all the same
        if failure is None:
            committed.set_result(None)
        else:
            committed.set_exception(_write_failed(failure))


class _DiskThread:
    """The one thread that waits for the disk: runs one piece of work at a time and reports on the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="cumulet-disk", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], T], done: Callable[[T], None]) -> None:
        def job() -> None:
            self._loop.call_soon_threadsafe(done, work())

        self._work.put(job)

    def stop(self) -> None:
        self._work.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._work.get()) is not None:
            job()
