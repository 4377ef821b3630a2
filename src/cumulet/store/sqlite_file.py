"""The data folder of the SQLite engine: who holds it, and the file in it with its one table.

The folder is held through a lock on a file, which the system drops however the holder ends. Processes of one group
share one lock (they inherit the open file that it is on), so the folder is held for as long as any of them lives.
"""

import fcntl
import os
import sqlite3
from pathlib import Path

from cumulet.scope import SYSTEM
from cumulet.settings import Durability
from cumulet.store.api import StoreInUse, StoreTooNew, StoreUnreadable
from cumulet.store.keyspace import STORE_META, STORE_VERSION

FILE_NAME = "cumulet.db"
LOG_NAME = f"{FILE_NAME}-wal"
LOCK_NAME = "cumulet.lock"

BUSY_MS = 5000
"""How long a connection waits for another's lock."""

PAGE_BYTES = 8192
"""Why, and why a table without row ids and no memory map: docs/decisions/0006-sqlite-file-layout.md."""

# Parameters of what runs all the time are bytearrays: the sqlite3 module takes them as they are. For each that is bytes
# it looks for an adapter, and where there is none it looks on, through two errors that it makes and drops.
GET = "SELECT v FROM kv WHERE k = ?"
LOOK = "SELECT 1 FROM kv"
SCAN = "SELECT k, v FROM kv WHERE k >= ? AND k < ? ORDER BY k LIMIT ?"
SCAN_BACK = "SELECT k, v FROM kv WHERE k >= ? AND k < ? ORDER BY k DESC LIMIT ?"
PUT = "INSERT INTO kv VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v"
DELETE = "DELETE FROM kv WHERE k = ?"
DELETE_RANGE = "DELETE FROM kv WHERE k >= ? AND k < ?"

_CACHE_KIB = 16 * 1024
_SYNCHRONOUS: dict[Durability, str] = {"fsync": "FULL", "os": "NORMAL", "memory": "OFF"}


def hold_folder(data_dir: Path, durability: Durability) -> int:
    """Return the descriptor that holds `data_dir`, which is made if it is not there, with a sound store in it.

    Raises StoreInUse, StoreTooNew or StoreUnreadable, with words for the person who chose the folder.
    """
    lock = take_lock(data_dir)
    try:
        connect(data_dir, durability).close()
    except BaseException:
        os.close(lock)
        raise
    return lock


def take_lock(data_dir: Path) -> int:
    """Return the descriptor that holds `data_dir`, which is made if it is not there."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # it will hold secrets
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
    except OSError as failure:
        raise StoreUnreadable(f"The data folder {data_dir} cannot be used: {failure.strerror}.") from failure
    return lock


def connect(data_dir: Path, durability: Durability) -> sqlite3.Connection:
    """Return a connection to the store of a folder, which is made if it is not there.

    Raises StoreTooNew or StoreUnreadable.
    """
    path = data_dir / FILE_NAME
    connection: sqlite3.Connection | None = None
    try:
        # The disk thread and the loop's thread take turns on the writing connection, never both at once.
        connection = sqlite3.connect(
            path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False, cached_statements=128
        )
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # heeded when the file is made
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
        connection.execute("PRAGMA fullfsync = ON")  # macOS: a plain fsync stops at the drive's cache
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # the store says when, so that nobody waits for it
        _check(connection, path)
    except BaseException as failure:
        if connection is not None:
            connection.close()
        if isinstance(failure, sqlite3.Error):
            raise StoreUnreadable(f"{path} is not a store of Cumulet, or is damaged: {failure}.") from failure
        raise
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    version_key = STORE_META.key(SYSTEM, "version")
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    if not tables:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID")
        connection.execute(PUT, (version_key, b"%d" % STORE_VERSION))
        connection.execute("COMMIT")
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the file's name must outlive a crash too
        finally:
            os.close(folder)
        return
    row = connection.execute(GET, (version_key,)).fetchone() if tables == ["kv"] else None
    if row is None or not row[0].isdigit():
        raise StoreUnreadable(f"{path} is an SQLite file, but not a store of Cumulet.")
    if (found := int(row[0])) > STORE_VERSION:
        raise StoreTooNew(
            f"{path} was written by a newer Cumulet: it has store version {found}, "
            f"this program knows versions up to {STORE_VERSION}."
        )
