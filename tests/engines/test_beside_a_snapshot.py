"""A store that is being copied goes on: a long look at it makes nobody wait."""

import asyncio
from pathlib import Path

import pytest

from cumulet.store import sqlite
from cumulet.store.sqlite import open_sqlite
from cumulet.store.sqlite_snapshot import open_sqlite_snapshot

pytestmark = pytest.mark.slow


async def test_writes_do_not_wait_for_a_copy_that_holds_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "CHECKPOINT_BYTES", 1)
    monkeypatch.setattr(sqlite, "LOG_BYTES_MAX", 1)
    store = open_sqlite(tmp_path, "os")
    await store.write(lambda tx: tx.put(b"k", b"before"))
    with open_sqlite_snapshot(tmp_path) as snapshot:
        assert snapshot.get(b"k") == b"before"
        # Each of them would like the log to start anew. SQLite's patience with readers is five seconds.
        async with asyncio.timeout(25):
            for number in range(20):
                await store.write(lambda tx, number=number: tx.put(b"k", b"%d" % number))  # type: ignore[misc]
        assert snapshot.get(b"k") == b"before"
    assert await store.read(lambda tx: tx.get(b"k")) == b"19"
    await store.close()
