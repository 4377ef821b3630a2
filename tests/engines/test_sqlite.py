"""What the SQLite engine promises beside being a store: group commit, isolation of bodies, the lock, refusals."""

import asyncio
import os
import platform
import resource
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import get_args

import pytest

from cumulet.scope import SYSTEM
from cumulet.settings import Durability
from cumulet.store import sqlite as engine
from cumulet.store import sqlite_views
from cumulet.store.api import (
    KEY_BYTES_MAX,
    VALUE_BYTES_MAX,
    ReadTx,
    Store,
    StoreClosed,
    StoreInUse,
    StoreOutcomeUnknown,
    StoreOverloaded,
    StoreTooNew,
    StoreUnreadable,
    StoreWriteFailed,
    WriteTx,
)
from cumulet.store.disk_sync import DiskSync
from cumulet.store.keyspace import STORE_META, STORE_VERSION
from cumulet.store.memory import MemoryStore
from cumulet.store.sqlite import SqliteStore, open_sqlite
from cumulet.store.sqlite_file import FILE_NAME, LOCK_NAME, LOG_NAME, PAGE_BYTES
from patience import until

synced_by_the_kernel = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"),
    reason="only Linux syncs beside the loop",
)


@pytest.fixture(params=[pytest.param("synced by the kernel", marks=synced_by_the_kernel), "synced in a thread"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SqliteStore]:
    if request.param == "synced in a thread":
        monkeypatch.setattr(engine, "DiskSync", refuse)
    store = open_sqlite(tmp_path, "fsync")
    assert (store._sync is None) == (request.param == "synced in a thread")
    yield store
    await store.close()


def refuse(descriptor: int) -> DiskSync:
    """Stand for a kernel that cannot sync beside the loop."""
    os.close(descriptor)
    raise OSError


@pytest.fixture(params=["memory engine", *get_args(Durability)])
async def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store: Store = MemoryStore() if request.param == "memory engine" else open_sqlite(tmp_path, request.param)
    yield store
    await store.close()


async def get(store: Store, key: bytes) -> bytes | None:
    return await store.read(lambda tx: tx.get(key))


async def put(store: Store, key: bytes, value: bytes = b"") -> None:
    await store.write(lambda tx: tx.put(key, value))


def increment(tx: WriteTx) -> int:
    count = int(tx.get(b"count") or b"0") + 1
    tx.put(b"count", b"%d" % count)
    return count


def put_and_raise(tx: WriteTx) -> None:
    tx.put(b"half", b"done")
    raise LookupError("no")


def hold_disk(store: SqliteStore) -> Callable[[], None]:
    """Have commits wait; return how to let them go on."""
    if (sync := store._sync) is None:
        held = threading.Event()
        store._on_disk_thread(held.wait, lambda _: None)
        return held.set
    waiting: list[Callable[[OSError | None], None]] = []
    begin = sync.begin
    sync.begin = waiting.append  # type: ignore[method-assign]

    def let_go() -> None:
        sync.begin = begin  # type: ignore[method-assign]
        for done in waiting:
            begin(done)

    return let_go


async def test_every_writer_sees_the_one_before(any_store: Store) -> None:
    results = await asyncio.gather(*[any_store.write(increment) for _ in range(100)])

    assert sorted(results) == list(range(1, 101))
    assert await get(any_store, b"count") == b"100"


async def test_a_body_that_raises_takes_nothing_with_it_but_its_own(any_store: Store) -> None:
    outcomes = await asyncio.gather(
        any_store.write(increment), any_store.write(put_and_raise), any_store.write(increment), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes] == [int, LookupError, int]
    assert await get(any_store, b"half") is None
    assert await get(any_store, b"count") == b"2"


async def test_hints_arrive_after_the_commit_and_only_then(any_store: Store) -> None:
    seen: list[bytes | None] = []
    woken = asyncio.Event()

    async def look() -> None:
        await woken.wait()
        seen.append(await get(any_store, b"k"))

    looking = asyncio.ensure_future(look())
    stop = any_store.listen("topic", woken.set)
    any_store.listen("other", lambda: seen.append(b"other"))

    def hinting(tx: WriteTx) -> None:
        tx.put(b"k", b"v")
        tx.hint("topic")

    def hinting_and_raising(tx: WriteTx) -> None:
        tx.hint("other")
        raise LookupError

    with pytest.raises(LookupError):
        await any_store.write(hinting_and_raising)
    assert not woken.is_set()
    await any_store.write(hinting)
    await asyncio.wait_for(looking, 5)
    stop()
    woken.clear()
    await any_store.write(hinting)
    await asyncio.sleep(0)

    assert seen == [b"v"]
    assert not woken.is_set()


@pytest.mark.parametrize(
    ("key", "value"),
    [(b"k" * (KEY_BYTES_MAX + 1), b""), (b"k", b"v" * (VALUE_BYTES_MAX + 1))],
    ids=["key", "value"],
)
async def test_what_is_too_large_is_refused(any_store: Store, key: bytes, value: bytes) -> None:
    with pytest.raises(ValueError, match="at most"):
        await put(any_store, key, value)

    await put(any_store, key[:KEY_BYTES_MAX], value[:VALUE_BYTES_MAX])


async def test_writes_that_wait_share_one_commit(store: SqliteStore) -> None:
    statements: list[str] = []
    store._writer.set_trace_callback(statements.append)

    await asyncio.gather(*[store.write(increment) for _ in range(50)])

    assert [sql.split()[0] for sql in statements] == ["INSERT"]  # alone, it is its own transaction


async def test_reads_during_a_commit_see_the_state_before_it(store: SqliteStore) -> None:
    await put(store, b"k", b"before")
    writing = asyncio.ensure_future(put(store, b"k", b"after"))
    await asyncio.sleep(0)
    gathering = await get(store, b"k")
    await asyncio.sleep(0)
    settling = store._settling

    def twice(tx: ReadTx) -> tuple[bytes | None, bytes | None]:
        return tx.get(b"k"), tx.get(b"k")

    one, two = await store.read(twice)
    await writing

    assert gathering == b"before"
    assert settling
    assert one == two
    assert await get(store, b"k") == b"after"


async def test_writes_go_on_over_the_batch_that_settles(store: SqliteStore) -> None:
    await put(store, b"hot", b"1")
    assert await get(store, b"hot") == b"1"
    let_go = hold_disk(store)
    first = asyncio.ensure_future(store.write(increment))
    await until(lambda: store._settling is not None, "a batch settles", every_s=0)
    seen: list[object] = []

    def look_and_put(tx: WriteTx) -> None:
        seen.extend([tx.get(b"count"), list(tx.scan(b"a", b"d")), tx.get(b"hot")])
        tx.put(b"hot", b"2")
        tx.delete_range(b"count", b"d")

    second = asyncio.ensure_future(store.write(look_and_put))
    third = asyncio.ensure_future(store.write(lambda tx: seen.extend([tx.get(b"count"), tx.get(b"hot")])))
    await asyncio.sleep(0)
    meanwhile = await get(store, b"count"), await get(store, b"hot")
    answered = first.done() or second.done() or third.done()
    let_go()
    await asyncio.gather(first, second, third)

    assert seen == [b"1", [(b"count", b"1")], b"1", None, b"2"]
    assert meanwhile == (None, b"1")
    assert not answered
    assert [await get(store, b"count"), await get(store, b"hot")] == [None, b"2"]


async def test_what_gathered_over_a_batch_that_fails_fails_too(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LOOP_COMMIT_BYTES_MAX", 0)
    await put(store, b"hot", b"1")
    assert await get(store, b"hot") == b"1"
    [pages] = store._writer.execute("PRAGMA page_count").fetchone()
    store._writer.execute(f"PRAGMA max_page_count = {pages}")
    held = threading.Event()
    store._on_disk_thread(held.wait, lambda _: None)
    writes = [asyncio.ensure_future(put(store, key, b"v" * 300_000)) for key in (b"hot", b"large")]
    await until(lambda: store._settling is not None, "a batch settles", every_s=0)
    writes += [asyncio.ensure_future(store.write(body)) for body in (increment, put_and_raise, lambda tx: None)]
    await asyncio.sleep(0)
    held.set()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [StoreWriteFailed] * 5
    assert await get(store, b"hot") == b"1"
    assert await store.write(increment) == 1


@synced_by_the_kernel
async def test_a_disk_that_fails_is_not_written_to_again(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    await put(store, b"kept", b"v")
    assert await get(store, b"kept") == b"v"
    assert store._sync is not None
    let_go = hold_disk(store)
    first = asyncio.ensure_future(put(store, b"kept", b"w"))
    await until(lambda: store._settling is not None, "a batch settles", every_s=0)
    second = asyncio.ensure_future(store.write(increment))
    await asyncio.sleep(0)
    ours, theirs = os.pipe()
    os.dup2(ours, store._sync._descriptor)  # a pipe cannot be synced
    let_go()
    outcomes = await asyncio.gather(first, second, return_exceptions=True)
    with pytest.raises(StoreWriteFailed, match="until the server is started anew") as refused:
        await store.write(increment)

    assert store.trouble == str(refused.value)
    assert [type(outcome) for outcome in outcomes] == [StoreOutcomeUnknown, StoreWriteFailed]
    assert await get(store, b"kept") == b"w"
    await store.close()
    os.close(ours)
    os.close(theirs)
    store = open_sqlite(tmp_path)
    assert store.trouble is None
    assert await get(store, b"kept") == b"w"
    assert await store.write(increment) == 1
    await store.close()


@synced_by_the_kernel
async def test_a_log_that_the_disk_may_not_have_is_not_written_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CHECKPOINT_BYTES", 1)
    store = open_sqlite(tmp_path)
    assert store._sync is not None
    ours, theirs = os.pipe()
    os.dup2(ours, store._sync._descriptor)  # a pipe cannot be synced
    statements: list[str] = []
    store._writer.set_trace_callback(statements.append)

    with pytest.raises(StoreOutcomeUnknown):
        await put(store, b"k", b"v")
    await store.close()
    os.close(ours)
    os.close(theirs)

    assert [sql.split()[0] for sql in statements] == ["INSERT"]
    assert (tmp_path / LOG_NAME).stat().st_size
    store = open_sqlite(tmp_path)  # what could be read of it is in the file before anything else is written
    assert in_the_file_alone(tmp_path, b"k") == b"v"
    await store.close()


def in_the_file_alone(folder: Path, key: bytes) -> bytes | None:
    (alone := folder / "alone").mkdir()
    (alone / FILE_NAME).write_bytes((folder / FILE_NAME).read_bytes())
    connection = sqlite3.connect(alone / FILE_NAME)
    row = connection.execute("SELECT v FROM kv WHERE k = ?", (key,)).fetchone()
    connection.close()
    return None if row is None else row[0]


@synced_by_the_kernel
async def test_a_kernel_that_takes_no_order_says_nothing_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_sqlite(tmp_path)
    assert store._sync is not None
    ask, submit, refused = store._sync._ask, store._sync._submit, 0

    def short(number: int, *arguments: object) -> None:
        nonlocal refused
        if number == submit:
            refused += 1
            raise BlockingIOError
        ask(number, *arguments)

    with monkeypatch.context() as now:
        now.setattr(store._sync, "_ask", short)
        await put(store, b"k", b"1")
    await put(store, b"k", b"2")

    assert refused == 1
    await store.close()


async def test_where_there_is_no_thread_to_spare_the_loop_waits_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(engine, "CHECKPOINT_BYTES", 1)
    monkeypatch.setattr(engine, "LOOP_COMMIT_BYTES_MAX", 0)
    store = open_sqlite(tmp_path)
    with monkeypatch.context() as now:
        now.setattr(threading.Thread, "start", no_thread)
        results = await asyncio.wait_for(asyncio.gather(*[store.write(increment) for _ in range(3)]), 5)

    assert results == [1, 2, 3]
    assert await asyncio.wait_for(store.write(increment), 5) == 4
    await store.close()


async def test_a_store_of_which_a_page_is_damaged_opens_for_the_rest(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    for number in range(20):
        await put(store, b"\0%02d" % number, b"v" * 4000)
    await store.close()
    data = bytearray((tmp_path / FILE_NAME).read_bytes())
    page = data.index(b"\x0000") // PAGE_BYTES * PAGE_BYTES
    data[page : page + 100] = b"\xff" * 100
    (tmp_path / FILE_NAME).write_bytes(data)

    store = open_sqlite(tmp_path)

    assert await get(store, b"\x0019") == b"v" * 4000
    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        await get(store, b"\x0000")
    await store.close()


async def test_a_large_batch_is_committed_beside_the_loop(store: SqliteStore) -> None:
    threads: set[int] = set()
    store._writer.set_trace_callback(lambda sql: threads.add(threading.get_ident()))

    await asyncio.gather(*[put(store, b"k%d" % index, b"v" * 600_000) for index in range(4)])
    await store.write(lambda tx: tx.delete_range(b"k", b"k3"))

    assert threading.get_ident() not in threads
    assert await store.read(lambda tx: [key for key, _ in tx.scan(b"k", b"l")]) == [b"k3"]


async def test_a_write_that_changes_nothing_commits_nothing(store: SqliteStore) -> None:
    statements: list[str] = []
    store._writer.set_trace_callback(statements.append)

    assert await store.write(lambda tx: tx.get(b"k")) is None

    assert not [sql for sql in statements if sql.startswith(("BEGIN", "COMMIT"))]


async def test_what_was_read_before_is_never_stale_once_a_write_is_acknowledged(any_store: Store) -> None:
    async def look(key: bytes) -> bytes | None:
        assert await get(any_store, key) == await get(any_store, key)
        return await get(any_store, key)

    assert await look(b"a") is None
    await put(any_store, b"a", b"1")
    assert await look(b"a") == b"1"
    # Two writes of one batch: the second sees the first, though the key was read before either.
    seen = await asyncio.gather(
        any_store.write(lambda tx: tx.put(b"a", b"2")), any_store.write(lambda tx: tx.get(b"a")), get(any_store, b"a")
    )
    assert seen[1] == b"2"
    assert seen[2] in (b"1", b"2")
    assert await look(b"a") == b"2"
    await any_store.write(lambda tx: tx.delete_range(b"a", b"b"))
    assert await look(b"a") is None
    await put(any_store, b"a", b"3")
    assert await look(b"a") == b"3"
    await any_store.write(lambda tx: tx.delete(b"a"))
    assert await look(b"a") is None


async def test_no_more_than_so_many_values_are_kept_in_memory(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_views, "HOT_VALUES_MAX", 2)
    for number in range(5):
        await put(store, b"%d" % number, b"v%d" % number)
    for _ in range(2):
        assert [await get(store, b"%d" % number) for number in range(5)] == [b"v%d" % number for number in range(5)]
    assert len(store._committed_reads._hot.values) == 2


async def test_a_scan_left_open_pins_nothing(store: SqliteStore) -> None:
    for index in range(3):
        await put(store, b"k%d" % index)

    def stop_early(tx: ReadTx) -> None:
        next(tx.scan(b"k", b"l"))
        raise LookupError

    with pytest.raises(LookupError) as kept:  # its traceback keeps the body's frame alive
        await store.read(stop_early)
    await put(store, b"k3")

    assert await store.read(lambda tx: len(list(tx.scan(b"k", b"l")))) == 4
    assert kept.value is not None


async def test_a_cancelled_caller_harms_nobody(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BATCH_TRANSACTIONS_MAX", 2)
    let_go = hold_disk(store)
    cancelled = asyncio.ensure_future(store.write(increment))
    others = [asyncio.ensure_future(store.write(increment)) for _ in range(3)]
    await until(
        lambda: len(store._gathering.waiting) == 2 and store._settling is not None,
        "one batch settles and the next one is full",
        every_s=0,
    )
    waiting = asyncio.ensure_future(store.write(increment))
    await asyncio.sleep(0)
    cancelled.cancel()
    waiting.cancel()
    let_go()

    await asyncio.gather(*others)

    assert await store.write(increment) == 5


async def test_full_batches_follow_one_another(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BATCH_TRANSACTIONS_MAX", 4)

    results = await asyncio.gather(*[store.write(increment) for _ in range(30)])

    assert sorted(results) == list(range(1, 31))


async def test_waiting_writes_are_called_up_though_those_before_them_change_nothing(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BATCH_TRANSACTIONS_MAX", 2)
    bodies = [increment, increment, put_and_raise, put_and_raise, put_and_raise, lambda tx: None, lambda tx: None]

    outcomes = await asyncio.gather(*[store.write(body) for body in [*bodies, increment]], return_exceptions=True)

    assert outcomes[-1] == 3


async def test_the_line_has_an_end(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BATCH_TRANSACTIONS_MAX", 1)
    monkeypatch.setattr(engine, "WAITING_MAX", 2)

    outcomes = await asyncio.gather(*[store.write(increment) for _ in range(5)], return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [int, int, int, StoreOverloaded, StoreOverloaded]
    assert await get(store, b"count") == b"3"


@pytest.mark.parametrize("durability", get_args(Durability))
async def test_the_log_is_written_back_while_writes_go_on(
    tmp_path: Path, durability: Durability, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CHECKPOINT_BYTES", 100_000)
    store = open_sqlite(tmp_path, durability)
    for index in range(12):
        await asyncio.gather(*[put(store, b"k%d-%d" % (index, n), b"v" * 5000) for n in range(20)])

    log_bytes = (tmp_path / f"{FILE_NAME}-wal").stat().st_size
    await store.close()

    assert log_bytes < 1_200_000  # of 2.4 MB and more written
    assert not (tmp_path / f"{FILE_NAME}-wal").exists()


async def test_what_waits_at_the_end_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BATCH_TRANSACTIONS_MAX", 2)
    store = open_sqlite(tmp_path)
    writes = [asyncio.ensure_future(store.write(increment)) for _ in range(7)]
    await asyncio.sleep(0)
    await store.close()

    assert sorted(await asyncio.gather(*writes)) == list(range(1, 8))
    with pytest.raises(StoreClosed):
        await put(store, b"late")
    with pytest.raises(StoreClosed):
        await get(store, b"late")
    store = open_sqlite(tmp_path)
    assert await get(store, b"count") == b"7"
    await store.close()


@pytest.mark.parametrize("durability", get_args(Durability))
async def test_a_commit_that_fails_fails_its_whole_batch_and_nothing_else(
    tmp_path: Path, durability: Durability
) -> None:
    store = open_sqlite(tmp_path, durability)
    await put(store, b"kept", b"v")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
    try:
        outcomes = await asyncio.gather(
            store.write(increment),
            put(store, b"large", b"v" * 1_000_000),
            store.write(put_and_raise),
            return_exceptions=True,
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert [type(outcome) for outcome in outcomes] == [StoreWriteFailed] * 3
    assert await get(store, b"count") is None
    assert await store.write(increment) == 1
    await store.close()
    store = open_sqlite(tmp_path, durability)
    assert await get(store, b"kept") == b"v"
    assert await get(store, b"count") == b"1"
    assert await get(store, b"large") is None
    await store.close()


async def test_changes_that_cannot_be_applied_fail_their_whole_batch(store: SqliteStore) -> None:
    await put(store, b"kept", b"v")
    [pages] = store._writer.execute("PRAGMA page_count").fetchone()
    store._writer.execute(f"PRAGMA max_page_count = {pages}")

    outcomes = await asyncio.gather(
        store.write(increment),
        put(store, b"large", b"v" * 1_000_000),
        store.write(increment),
        put(store, b"after"),
        return_exceptions=True,
    )
    gathered = await asyncio.gather(*[store.write(increment) for _ in range(3)])
    store._writer.execute("PRAGMA max_page_count = 1000000")

    assert [type(outcome) for outcome in outcomes] == [StoreWriteFailed] * 4
    assert gathered == [1, 2, 3]
    assert await get(store, b"kept") == b"v"
    assert "full" in str(outcomes[0])


async def test_waiting_writes_outlive_a_batch_that_cannot_be_applied(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BATCH_TRANSACTIONS_MAX", 2)
    [pages] = store._writer.execute("PRAGMA page_count").fetchone()
    store._writer.execute(f"PRAGMA max_page_count = {pages}")
    too_large = [put(store, b"large%d" % index, b"v" * 1_000_000) for index in range(4)]

    outcomes = await asyncio.gather(
        store.write(increment), store.write(increment), *too_large, store.write(increment), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes] == [int, int, *[StoreWriteFailed] * 4, int]


async def test_a_folder_has_one_holder(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path, "memory")

    with pytest.raises(StoreInUse) as raised:
        open_sqlite(tmp_path, "memory")
    await store.close()

    assert str(tmp_path) in str(raised.value)
    assert f"(process {os.getpid()})" in str(raised.value)
    await open_sqlite(tmp_path, "memory").close()  # the lock ends with its holder, the file stays
    assert (tmp_path / LOCK_NAME).exists()


async def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    await store.write(lambda tx: tx.put(STORE_META.key(SYSTEM, "version"), b"%d" % (STORE_VERSION + 1)))
    await store.close()

    with pytest.raises(StoreTooNew, match=rf"version {STORE_VERSION + 1}.* up to {STORE_VERSION}\."):
        open_sqlite(tmp_path)


def test_a_file_that_is_no_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is not a database, and longer than a header of SQLite is" * 3)
    before = (tmp_path / FILE_NAME).read_bytes()

    for _ in range(2):  # the lock was let go of
        with pytest.raises(StoreUnreadable, match=FILE_NAME):
            open_sqlite(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("CREATE TABLE recipes (title TEXT)")
    connection.close()

    with pytest.raises(StoreUnreadable, match="not a store of Cumulet"):
        open_sqlite(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreUnreadable, match="cannot be used"):
        open_sqlite(tmp_path / "file" / "below")
