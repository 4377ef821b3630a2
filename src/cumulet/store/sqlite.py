"""The embedded engine: one SQLite file in WAL mode, one writer at a time, group commit.

All Python work of transactions runs on the event loop's thread: a point read costs microseconds, a thread hop would
cost more. A read runs at once on the reading connection. A write runs at once too, over a buffer; its changes go into
the *batch* that gathers, where the next write sees them. At the end of the loop's turn it is committed. With durability
`fsync` the disk then works beside the loop (`disk_sync`), which goes on serving reads, and the next batch gathers over
the one that settles. Nobody is answered before the disk has confirmed it, not even a write that raised, since what it
saw may be a batch mate's change. If a batch fails, what has gathered over it fails too. A large batch is committed in a
thread, and where the kernel cannot sync beside the loop every batch is, by SQLite and with its sync.

    gathering --(end of the loop's turn, or the batch before it is safe)--> settling --(safe)--> gone

Reads never wait. While a batch settles they stand on a snapshot of before it. With durability `os` the commit leaves
the data with the operating system (a crash of Cumulet loses nothing, a crash of the machine may lose the last moments);
with `memory` nothing is ever synced, and a crash of the machine may lose the whole store. Both commit on the loop's
thread.

Several processes may share the file (`held`). Then a process gathers a batch only in its turn (`sqlite_turns`), for
which it waits, if it must, in the thread, and while a batch settles, or the turn is another's, writes wait in line:

    a write comes --(the turn is free)--> gathering ...
                  --(it is another's)---> in line --(the turn has come)--> gathering ...

They read hot values while those are of the last commit of all, and a snapshot where they are not.
docs/decisions/0002 and 0011 have the reasons and the figures.
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
from cumulet.store.disk_sync import DiskSync
from cumulet.store.overlay import OverlayTx
from cumulet.store.sqlite_batch import Batch
from cumulet.store.sqlite_file import BUSY_MS, LOG_NAME, PAGE_BYTES, connect, take_lock
from cumulet.store.sqlite_hints import Hints
from cumulet.store.sqlite_turns import Turns
from cumulet.store.sqlite_views import CommittedReads, HotValues, Overtaken, SnapshotReads, View

T = TypeVar("T")

BATCH_TRANSACTIONS_MAX = 512
"""Bounds how long the last of a batch waits for the first, and how long the loop is busy with bodies alone."""

BATCH_BYTES_MAX = 32 * 1024 * 1024
"""Bounds what one commit writes. A single transaction may be larger."""

LOOP_COMMIT_BYTES_MAX = 1024 * 1024
"""A larger batch is committed in a thread: the loop has better things to do for milliseconds."""

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
        self._syncs = durability == "fsync"
        self._sync = _sync_beside(data_dir, writer) if self._syncs and not shared else None
        self._broken: OSError | None = None
        """Why nobody knows what the disk has. Only a restart, which reads it, finds out."""
        self._lock = lock
        self._writer = writer
        self._reader = reader
        self._hot = hot = HotValues()
        self._committed = View(reader)
        self._committed_reads = CommittedReads(self._committed, hot)
        # Where bodies of writes read what no batch has changed. In its turn a process reads what only it can change.
        self._base = View(writer) if shared else self._committed
        self._base_reads = CommittedReads(self._base, hot)
        self._gathering = Batch(self._base_reads)
        self._settling: Batch | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._busy = False
        """Whether the disk thread has the writing connection: for a commit, a checkpoint, or until the turn comes."""
        self._settle_is_due = False
        self._listeners: dict[str, list[Callable[[], None]]] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()
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

    @property
    def trouble(self) -> str | None:
        return None if self._broken is None else _tell_broken(self._broken)

    async def read(self, fn: Callable[[ReadTx], T]) -> T:
        if self._closing:
            raise StoreClosed("The store is closed.")
        if self._turns is not None:
            return self._read_shared(self._turns, fn)
        try:
            return fn(self._committed_reads)
        finally:
            if self._committed.open_scans:
                self._committed.end_scans()

    async def write(self, fn: Callable[[WriteTx], T]) -> T:
        if self._closing:
            raise StoreClosed("The store is closed.")
        while _is_full(self._gathering) or (self._turns is not None and not self._may_gather(self._turns)):
            await self._wait_in_line()
        if self._broken is not None:
            raise StoreWriteFailed(_tell_broken(self._broken))
        batch = self._gathering
        tx = OverlayTx(batch.buffer)
        try:
            result = fn(tx)
        except Exception:
            self._base.end_scans()
            if (seen := self._last_batch()) is not None:
                await self._joined(seen)
            raise
        if self._base.open_scans:
            self._base.end_scans()
        if tx.changes or tx.deleted_ranges:
            batch.take_in(tx)
        elif (seen := self._last_batch()) is not None:
            batch = seen
        else:
            self._hint(tx.hints)
            return result
        if tx.hints:
            batch.hints |= tx.hints
        await self._joined(batch)
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
        if self._sync is not None:
            self._sync.close()
        self._reader.close()
        if self._broken is not None:
            self._writer.interrupt()  # the last connection must not write the log back, see `_settled`
        elif self._turns is None:
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
        if self._settling is not None and generation == self._generation_to_be == self._hot.generation + 1:
            self._hot.forget(self._settling.buffer)  # nothing but our own batch came between
        else:
            self._hot.forget_all()
        self._hot.generation = generation

    def _may_gather(self, turns: Turns) -> bool:
        """Return whether a write may run now: this process has the turn, or has just taken it."""
        if self._busy:
            return False
        if not self._has_turn and self._take_turn(turns):
            self._settle_soon()
        return self._has_turn

    def _take_turn(self, turns: Turns) -> bool:
        """Take the turn if it is free; otherwise close the line until it has come. Who takes it sees to `_settle`."""
        if turns.try_take():
            self._begin_turn()
            self._turn_taken(turns)
            return True
        self._busy = True

        def wait() -> None:
            turns.take()
            self._begin_turn()

        def taken(_: None) -> None:
            self._busy = False
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
        """Wake as many waiting writes as fit the batch. They run before its commit."""
        if self._waiting and self._turns is not None and not self._has_turn and not self._take_turn(self._turns):
            return  # they are called up when the turn has come
        for _ in range(min(BATCH_TRANSACTIONS_MAX - len(self._gathering.waiting), len(self._waiting))):
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
        if self._has_turn:
            self._settle_soon()
        if self._waiting:
            # Behind those just woken: if none of them left anything to commit, nobody else would call up the rest.
            asyncio.get_running_loop().call_soon(self._call_up_if_open)
        elif self._idle is not None:
            asyncio.get_running_loop().call_soon(self._tell_if_idle)

    def _call_up_if_open(self) -> None:
        if not (_is_full(self._gathering) or (self._turns is not None and self._busy)):
            self._call_up()

    def _tell_if_idle(self) -> None:
        if self._idle is not None and not (self._last_batch() or self._busy or self._waiting or self._has_turn):
            self._idle.set()

    # The batches

    def _last_batch(self) -> Batch | None:
        """Return the last batch that is not committed: whoever has seen anything has seen it."""
        return self._gathering if self._gathering.waiting else self._settling

    def _joined(self, batch: Batch) -> asyncio.Future[None]:
        """Return what is done when the batch is committed, and raises StoreWriteFailed if that fails."""
        if (loop := self._loop) is None:
            loop = self._loop = asyncio.get_running_loop()  # which asks the kernel who we are, every time
        committed: asyncio.Future[None] = loop.create_future()
        batch.waiting.append(committed)
        if not self._busy:
            self._settle_soon()
        return committed

    def _settle_soon(self) -> None:
        if not self._settle_is_due:
            self._settle_is_due = True
            asyncio.get_running_loop().call_soon(self._settle)

    def _settle(self) -> None:
        """Have the batch committed that has gathered, unless one settles: then that is done when it has settled."""
        self._settle_is_due = False
        if self._busy:
            return
        batch = self._gathering
        if not batch.waiting:
            if self._has_turn:
                self._roll_back()
                self._release_turn()
            self._call_up()
            return
        self._busy = True
        self._settling = batch
        self._gathering = Batch(batch.buffer)
        self._generation_to_be = self._hot.generation + 1
        if not self._syncs:
            self._settled(self._commit(batch))
            return
        if self._turns is not None:
            self._on_disk_thread(lambda: self._commit(batch), self._settled)
            return
        try:
            self._committed.stand_still()
        except sqlite3.Error as failure:
            self._settled(failure)
            return
        if self._sync is None:
            self._on_disk_thread(lambda: self._commit(batch), self._settled)
        elif batch.bytes <= LOOP_COMMIT_BYTES_MAX and not batch.buffer.deleted_ranges:
            self._have_synced(self._commit(batch))
        else:
            self._on_disk_thread(lambda: self._commit(batch), self._have_synced)
        if self._waiting:
            self._call_up()

    def _have_synced(self, failure: sqlite3.Error | None) -> None:
        if failure is not None or self._sync is None:
            self._settled(failure)
        else:
            self._sync.begin(self._synced)

    def _synced(self, failure: OSError | None) -> None:
        # Who asks the kernel again is told that all is well, though what could not be written is gone.
        self._broken = failure
        self._settled(failure)

    def _commit(self, batch: Batch) -> sqlite3.Error | None:
        turns = self._turns
        if turns is None:
            return self._commit_batch(batch)
        turns.begin_commit()
        failure = self._commit_batch(batch)
        turns.end_commit(batch.bytes)
        if turns.log_bytes < CHECKPOINT_BYTES:
            self._release_turn()  # here and not on the loop: others wait for it
        return failure

    def _commit_batch(self, batch: Batch) -> sqlite3.Error | None:
        try:
            batch.commit(self._writer)
        except sqlite3.Error as failure:
            self._roll_back()
            return failure
        return None

    def _roll_back(self) -> None:
        if self._writer.in_transaction:  # SQLite has done it itself after most failures
            with contextlib.suppress(sqlite3.Error):
                self._writer.execute("ROLLBACK")

    def _settled(self, failure: sqlite3.Error | OSError | None) -> None:
        batch, self._settling = self._settling, None
        assert batch is not None
        self._committed.move_on()
        if self._turns is None and failure is None:
            self._hot.renew(batch.buffer)
        else:
            self._hot.forget(batch.buffer)
        if self._hot.generation + 1 == self._generation_to_be:
            self._hot.generation += 1
        self._log_bytes += batch.bytes
        batch.answer(failure)
        if failure is None:
            self._gathering.buffer.base = self._base_reads
            self._hint(batch.hints)
        else:
            # It has gathered over what never was, or may be gone.
            self._gathering.answer(sqlite3.OperationalError(str(failure)))
            self._gathering = Batch(self._base_reads)
        if self._broken is not None:
            # Written back, a log that the disk may not have would spoil the file; SQLite checks it when it opens it.
            self._go_on(None)
        elif self._has_turn or (self._turns is None and self._log_bytes >= CHECKPOINT_BYTES):
            self._log_bytes = 0
            self._on_disk_thread(self._checkpoint, self._go_on)
        else:
            self._go_on(None)

    def _go_on(self, failure: sqlite3.Error | None) -> None:
        # A checkpoint's failure loses nothing, the log still has it all; the next one or commit meets the cause again.
        self._busy = False
        if self._gathering.waiting:
            self._settle()
        else:
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

    def _on_disk_thread(self, work: Callable[[], T], done: Callable[[T], None]) -> None:
        if self._disk is None:
            loop = asyncio.get_running_loop()
            try:
                self._disk = _DiskThread(loop)
            except (
                RuntimeError
            ):  # the machine has no thread to spare: then the loop waits, rather than writers for ever
                loop.call_soon(done, work())
                return
        self._disk.submit(work, done)

    def _hint(self, topics: Set[str]) -> None:
        for topic in topics:
            self._wake_listeners(topic)
        if topics and self._turns is not None:
            self._hints.tell(topics)

    def _wake_listeners(self, topic: str) -> None:
        for wake in self._listeners.get(topic, ()):
            asyncio.get_running_loop().call_soon(wake)


def _sync_beside(data_dir: Path, writer: sqlite3.Connection) -> DiskSync | None:
    """Return what syncs the log beside the loop, and have SQLite leave that to it; None where the kernel cannot."""
    with contextlib.suppress(sqlite3.Error):
        # What a server has left that did not end well may only be in the kernel's memory, and never come to the disk
        # from there if that has failed before. Copied into the file it does, or it is told that it does not.
        writer.execute("PRAGMA wal_checkpoint(PASSIVE)")
    try:
        folder = os.open(data_dir, os.O_RDONLY)
        try:
            os.fsync(folder)  # and outlives a crash; what is in it SQLite begins with a sync of its own
        finally:
            os.close(folder)
        sync = DiskSync(os.open(data_dir / LOG_NAME, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return None
    writer.execute("PRAGMA synchronous = NORMAL")  # checkpoints are synced all the same
    return sync


def _tell_broken(failure: OSError) -> str:
    return (
        f"The disk failed to keep what was written before ({failure}). Nothing is written until the server is started "
        "anew."
    )


def _is_full(batch: Batch) -> bool:
    return len(batch.waiting) >= BATCH_TRANSACTIONS_MAX or batch.bytes >= BATCH_BYTES_MAX


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
