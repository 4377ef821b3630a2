"""The embedded engine: one SQLite file in WAL mode, one writer at a time, group commit.

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

Several processes may share the file (`held`). Then a process gathers a batch only in its turn (`sqlite_turns`), for
which it waits, if it must, in the thread; while it waits it is settling too, and a larger batch gathers in line:

    open --(a write comes)--> the turn is free --> gathering ...
                              it is another's  --> settling --(the turn has come)--> gathering ...

Reads never wait. They read hot values while those are of the last commit of all, and a snapshot where they are not.
docs/decisions/0011-several-processes-one-file.md has the reasons and the figures.
"""

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Set
from pathlib import Path
from typing import TypeVar

from cumulet.settings import Durability
from cumulet.store.api import ReadTx, StoreClosed, StoreOverloaded, StoreWriteFailed, WriteTx
from cumulet.store.overlay import OverlayTx
from cumulet.store.sqlite_file import BUSY_MS, DELETE, DELETE_RANGE, PAGE_BYTES, PUT, connect, take_lock
from cumulet.store.sqlite_hints import Hints
from cumulet.store.sqlite_turns import Turns
from cumulet.store.sqlite_views import CommittedReads, HotValues, Overtaken, PendingReads, SnapshotReads, View

T = TypeVar("T")

BATCH_TRANSACTIONS_MAX = 512
"""Bounds how long the last of a batch waits for the first, and how long the loop is busy with bodies alone."""

BATCH_BYTES_MAX = 32 * 1024 * 1024
"""Bounds what one commit writes. A single transaction may be larger."""

WAITING_MAX = 16_384
"""More writes than this in line are refused: they would time out at their clients anyway."""

CHECKPOINT_BYTES = 16 * 1024 * 1024
"""After about so many bytes the log is written back to the file. Larger logs make reads slower."""

LOG_BYTES_MAX = 4 * CHECKPOINT_BYTES
"""A log that readers have kept from starting anew for so long starts anew once they are through."""

LOG_PATIENCE_MS = 100
"""How long it waits for them. If they take longer, it is tried again at the next occasion."""


def open_sqlite(data_dir: Path, durability: Durability = "fsync", *, held: int | None = None) -> "SqliteStore":
    """Return the store of `data_dir`, which is made if it is not there and held against other processes.

    With `held`, the descriptor that `hold_folder` gave, the store is one of several of a group over that folder. Raises
    StoreInUse, StoreTooNew or StoreUnreadable, with words for the person who chose the folder.
    """
    lock = take_lock(data_dir) if held is None else os.dup(held)
    writer: sqlite3.Connection | None = None
    try:
        writer = connect(data_dir, durability)
        reader = connect(data_dir, durability)
    except BaseException:
        if writer is not None:
            writer.close()
        os.close(lock)
        raise
    return SqliteStore(data_dir, durability, lock, writer, reader, shared=held is not None)


class SqliteStore:
    """A store in one SQLite file. Made by `open_sqlite`; used from one event loop."""

    engine = "sqlite"

    def __init__(
        self,
        data_dir: Path,
        durability: Durability,
        lock: int,
        writer: sqlite3.Connection,
        reader: sqlite3.Connection,
        *,
        shared: bool,
    ) -> None:
        self._commits_in_thread = durability == "fsync"
        self._lock = lock
        self._writer = writer
        self._reader = reader
        self._committed = View(reader)
        self._pending = View(writer)
        self._hot = hot = HotValues()
        self._committed_reads = CommittedReads(self._committed, hot)
        self._pending_reads = PendingReads(self._pending, hot)
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
        # Where other processes share the file
        self._turns: Turns | None = None
        self._has_turn = False
        self._generation_to_be = -1
        if shared:
            self._turns = Turns(data_dir)
            self._snapshot_reads = SnapshotReads(reader, self._committed, hot, self._turns.begun)
            self._hints = Hints(data_dir / "run" / "hints", self._wake_listeners)

    @property
    def is_shared(self) -> bool:
        return self._turns is not None

    async def read(self, fn: Callable[[ReadTx], T]) -> T:
        if self._closing:
            raise StoreClosed("The store is closed.")
        if self._turns is not None:
            return self._read_shared(self._turns, fn)
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
        while (
            self._settling
            or len(self._batch) >= BATCH_TRANSACTIONS_MAX
            or self._batch_bytes >= BATCH_BYTES_MAX
            or (self._turns is not None and not self._gather(self._turns))
        ):
            await self._wait_in_line()
        tx = OverlayTx(self._pending_reads)
        view = self._pending
        try:
            result = fn(tx)
        except Exception:
            view.end_scans()
            if self._batch:
                await self._join_batch()
            raise
        if view.open_scans:
            view.end_scans()
        if tx.changes or tx.deleted_ranges:
            self._apply(tx)
        elif not self._batch:
            self._hint(tx.hints)
            return result
        if tx.hints:
            self._batch_hints |= tx.hints
        await self._join_batch()
        return result

    def listen(self, topic: str, wake: Callable[[], None]) -> Callable[[], None]:
        self._listeners.setdefault(topic, []).append(wake)
        if self._turns is not None:
            self._hints.listen()
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
        if self._turns is None:
            with contextlib.suppress(sqlite3.Error):  # what is not written back now is read from the log next time
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            self._hints.close()
            self._turns.close()
        self._writer.close()  # the last connection of all writes the log back
        os.close(self._lock)

    # Several processes

    def _read_shared(self, turns: Turns, fn: Callable[[ReadTx], T]) -> T:
        generation = turns.generation()
        if generation is not None:
            if generation != self._hot.generation:
                self._move_hot_to(generation)
            reads = self._snapshot_reads
            try:
                return fn(reads)
            except Overtaken:
                pass
            finally:
                reads.end()
        # A commit is under way, or came between: nothing in memory is known to be true.
        self._reader.execute("BEGIN")
        try:
            return fn(self._committed)
        finally:
            self._committed.end_scans()
            self._reader.execute("COMMIT")

    def _move_hot_to(self, generation: int) -> None:
        """Keep of the hot values what is true in the generation that the store has now."""
        if generation == self._generation_to_be == self._hot.generation + 1:
            self._pending_reads.end_batch()  # nothing but our own batch came between
        else:
            self._hot.forget_all()
        self._hot.generation = generation

    def _gather(self, turns: Turns) -> bool:
        """Return whether a write may run now: this process has the turn, or has just taken it."""
        if self._has_turn:
            return True
        if self._take_turn(turns):
            asyncio.get_running_loop().call_soon(self._settle)
        return self._has_turn

    def _take_turn(self, turns: Turns) -> bool:
        """Take the turn if it is free; otherwise close the line until it has come. Who takes it sees to `_settle`."""
        if turns.try_take():
            self._begin_turn()
            self._turn_taken(turns)
            return True
        self._settling = True

        def wait() -> None:
            turns.take()
            self._begin_turn()

        def taken(_: None) -> None:
            self._settling = False
            self._turn_taken(turns)
            self._call_up()

        self._on_disk_thread(wait, taken)
        return False

    def _begin_turn(self) -> None:
        # Now and not at the first change, since bodies read. If SQLite refuses, the first change will tell.
        with contextlib.suppress(sqlite3.Error):
            self._writer.execute("BEGIN IMMEDIATE")

    def _turn_taken(self, turns: Turns) -> None:
        self._has_turn = True
        generation = turns.begun()
        if generation != self._hot.generation:
            self._move_hot_to(generation)

    def _release_turn(self) -> None:
        if self._turns is not None:
            self._has_turn = False
            self._turns.release()

    # The line of waiting writes

    async def _wait_in_line(self) -> None:
        if len(self._waiting) >= WAITING_MAX:
            raise StoreOverloaded(f"{WAITING_MAX} transactions are waiting to be written.")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn

    def _call_up(self) -> None:
        """Wake as many waiting writes as fit a batch. They run before the commit that the first of them schedules."""
        if self._turns is not None and self._waiting and not self._has_turn and not self._take_turn(self._turns):
            return  # they are called up when the turn has come
        for _ in range(min(BATCH_TRANSACTIONS_MAX, len(self._waiting))):
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
        if self._has_turn:
            asyncio.get_running_loop().call_soon(self._settle)
        elif self._waiting:
            # Behind those just woken: if none of them left anything to commit, nobody else would call up the rest.
            asyncio.get_running_loop().call_soon(self._call_up_if_open)
        elif self._idle is not None:
            asyncio.get_running_loop().call_soon(self._tell_if_idle)

    def _call_up_if_open(self) -> None:
        if not self._batch and not self._settling:
            self._call_up()

    def _tell_if_idle(self) -> None:
        if self._idle is not None and not (self._batch or self._settling or self._waiting or self._has_turn):
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
                size += PAGE_BYTES * (1 + execute(DELETE_RANGE, start_end).rowcount)
            for key, value in tx.changes.items():
                if value is None:
                    execute(DELETE, (key,))
                    size += PAGE_BYTES
                else:
                    execute(PUT, (key, value))
                    size += PAGE_BYTES + len(value)
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
        if not self._batch and not self._has_turn:
            loop.call_soon(self._settle)
        committed: asyncio.Future[None] = loop.create_future()
        self._batch.append(committed)
        await committed

    def _settle(self) -> None:
        if self._settling:
            return  # called for a batch that failed while it gathered; the next one has come before
        if not self._batch:
            self._roll_back()
            self._release_turn()
            self._call_up()
            return
        self._settling = True
        self._generation_to_be = self._hot.generation + 1
        if self._commits_in_thread:
            self._on_disk_thread(self._commit, self._settled)
        else:
            self._settled(self._commit())

    def _commit(self) -> sqlite3.Error | None:
        turns = self._turns
        if turns is None:
            return self._commit_batch()
        turns.begin_commit()
        failure = self._commit_batch()
        turns.end_commit(self._batch_bytes)
        if turns.log_bytes < CHECKPOINT_BYTES:
            self._release_turn()  # here and not on the loop: others wait for it
        return failure

    def _commit_batch(self) -> sqlite3.Error | None:
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
        if self._hot.generation + 1 == self._generation_to_be:
            self._hot.generation += 1
        batch, self._batch = self._batch, []
        hints, self._batch_hints = self._batch_hints, set()
        self._log_bytes += self._batch_bytes
        self._batch_bytes = 0
        _answer(batch, failure)
        if failure is None:
            self._hint(hints)
        if self._has_turn or (self._turns is None and self._log_bytes >= CHECKPOINT_BYTES):
            self._log_bytes = 0
            self._on_disk_thread(self._checkpoint, self._checkpointed)
            return
        self._settling = False
        self._call_up()

    def _checkpoint(self) -> sqlite3.Error | None:
        try:
            [(_, log_pages, _)] = self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            if log_pages * PAGE_BYTES > LOG_BYTES_MAX:
                self._restart_log()
        except sqlite3.Error as failure:
            return failure
        finally:
            if self._turns is not None:
                self._turns.log_is_written_back()
                self._release_turn()
        return None

    def _restart_log(self) -> None:
        # Whoever writes waits behind this, and a backup reads for minutes. SQLite would wait for it for seconds.
        self._writer.execute(f"PRAGMA busy_timeout = {LOG_PATIENCE_MS}")
        try:
            self._writer.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        finally:
            self._writer.execute(f"PRAGMA busy_timeout = {BUSY_MS}")

    def _checkpointed(self, failure: sqlite3.Error | None) -> None:
        # A failure loses nothing, the log still has it all; the next commit or checkpoint meets the cause again.
        self._settling = False
        self._call_up()

    def _on_disk_thread(self, work: Callable[[], T], done: Callable[[T], None]) -> None:
        if self._disk is None:
            self._disk = _DiskThread(asyncio.get_running_loop())
        self._disk.submit(work, done)

    def _hint(self, topics: Set[str]) -> None:
        for topic in topics:
            self._wake_listeners(topic)
        if topics and self._turns is not None:
            self._hints.tell(topics)

    def _wake_listeners(self, topic: str) -> None:
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
