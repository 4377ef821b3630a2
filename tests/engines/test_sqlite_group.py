"""Several SQLite stores over one file: turns, views of one generation, hints, the log, the lock."""

import asyncio
import fcntl
import os
import random
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import get_args

import pytest

from cumulet.settings import Durability
from cumulet.store import sqlite as engine
from cumulet.store.api import ReadTx, StoreInUse, StoreUnreadable, StoreWriteFailed, WriteTx
from cumulet.store.sqlite import SqliteStore, open_sqlite
from cumulet.store.sqlite_batch import Batch
from cumulet.store.sqlite_file import FILE_NAME, LOCK_NAME, hold_folder
from cumulet.store.sqlite_turns import Turns, _try_lock
from patience import join

OpenStore = Callable[..., SqliteStore]


@pytest.fixture
async def open_store(tmp_path: Path) -> AsyncIterator[OpenStore]:
    """Opens stores of one group, in this process; they are closed in the end."""
    held = hold_folder(tmp_path, "memory")
    stores: list[SqliteStore] = []

    def another(durability: Durability = "fsync") -> SqliteStore:
        stores.append(open_sqlite(tmp_path, durability, held=held))
        return stores[-1]

    yield another
    for store in stores:
        await store.close()
    os.close(held)


async def get(store: SqliteStore, key: bytes) -> bytes | None:
    return await store.read(lambda tx: tx.get(key))


async def put(store: SqliteStore, key: bytes, value: bytes = b"") -> None:
    await store.write(lambda tx: tx.put(key, value))


def increment(tx: WriteTx) -> int:
    count = int(tx.get(b"count") or b"0") + 1
    tx.put(b"count", b"%d" % count)
    return count


def hint_and_put(tx: WriteTx) -> None:
    tx.hint("topic")
    tx.put(b"k", b"v")


def put_and_raise(tx: WriteTx) -> None:
    tx.put(b"half", b"done")
    raise LookupError("no")


@pytest.mark.parametrize("durability", get_args(Durability))
async def test_counters_are_exact(open_store: OpenStore, durability: Durability) -> None:
    stores = [open_store(durability) for _ in range(3)]

    results = await asyncio.gather(*[store.write(increment) for _ in range(40) for store in stores])

    assert sorted(results) == list(range(1, 121))
    assert [await get(store, b"count") for store in stores] == [b"120"] * 3


async def test_what_one_acknowledges_the_others_see_at_once(open_store: OpenStore) -> None:
    stores = [open_store("memory"), open_store("os"), open_store("memory")]
    chance = random.Random(11)
    expected: dict[bytes, bytes] = {}
    keys = [b"k%02d" % number for number in range(12)]

    def everything(tx: ReadTx) -> dict[bytes, bytes]:
        found = {key: value for key in keys if (value := tx.get(key)) is not None}
        assert found == dict(tx.scan(b"k", b"l"))
        return found

    for step in range(1500):
        writer, key = chance.choice(stores), chance.choice(keys)
        match chance.randrange(8):
            case 0:
                start, end = sorted(chance.sample(keys, 2))
                await writer.write(lambda tx: tx.delete_range(start, end))  # noqa: B023  awaited before it changes
                expected = {key: value for key, value in expected.items() if not start <= key < end}
            case 1:
                await writer.write(lambda tx: tx.delete(key))  # noqa: B023
                expected.pop(key, None)
            case 2:
                with pytest.raises(LookupError):
                    await writer.write(put_and_raise)
            case _:
                value = b"%d" % step
                await put(writer, key, value)
                expected[key] = value
        reader = chance.choice(stores)
        assert await reader.read(everything) == expected
        assert await get(chance.choice(stores), b"half") is None


async def test_a_body_never_mixes_what_it_has_in_memory_with_what_came_later(open_store: OpenStore) -> None:
    ours, other = open_store(), open_store("memory")
    await ours.write(lambda tx: [tx.put(key, b"1") for key in (b"hot", b"cold")] and None)
    assert await get(ours, b"hot") == b"1"
    runs = 0

    def look(tx: ReadTx) -> tuple[bytes | None, bytes | None]:
        nonlocal runs
        runs += 1
        hot = tx.get(b"hot")
        if runs == 1:  # as if the other process committed at this very moment
            commit_at_once(other, {b"hot": b"2", b"cold": b"2"})
        return hot, tx.get(b"cold")

    def look_with_a_scan(tx: ReadTx) -> tuple[bytes | None, list[tuple[bytes, bytes]]]:
        nonlocal runs
        runs += 1
        hot = tx.get(b"hot")
        if runs == 1:
            commit_at_once(other, {b"hot": b"3", b"cold": b"3"})
        return hot, list(tx.scan(b"cold", b"d"))

    assert await ours.read(look) == (b"2", b"2")
    assert runs == 2
    assert await get(ours, b"hot") == b"2"
    runs = 0
    assert await ours.read(look_with_a_scan) == (b"3", [(b"cold", b"3")])
    assert runs == 2


def commit_at_once(store: SqliteStore, values: dict[bytes, bytes]) -> None:
    """Commit without leaving this turn of the loop, as only another process can."""
    assert store._turns is not None
    assert store._take_turn(store._turns)
    batch = Batch(store._base_reads)
    batch.buffer.changes.update(values)
    assert store._commit(batch) is None
    store._hot.forget(batch.buffer)


async def test_a_snapshot_outlasts_the_commits_that_follow(open_store: OpenStore) -> None:
    ours, other = open_store(), open_store("memory")
    await put(ours, b"a", b"1")
    await put(ours, b"b", b"1")

    def look(tx: ReadTx) -> list[bytes | None]:
        seen = [tx.get(b"a")]  # cold: the other store has changed everything since
        commit_at_once(other, {b"a": b"3", b"b": b"3"})
        return [*seen, tx.get(b"b"), *(value for _, value in tx.scan(b"a", b"c"))]

    commit_at_once(other, {b"a": b"2", b"b": b"2"})
    assert await ours.read(look) == [b"2"] * 4
    assert await ours.read(lambda tx: [tx.get(b"a"), tx.get(b"b")]) == [b"3", b"3"]


async def test_bodies_read_what_was_committed_before_their_turn(open_store: OpenStore) -> None:
    ours, other = open_store(), open_store()
    assert await get(ours, b"count") is None
    await other.write(increment)
    writing = [asyncio.ensure_future(store.write(increment)) for store in (other, ours, other, ours)]

    assert sorted(await asyncio.gather(*writing)) == [2, 3, 4, 5]


async def test_a_process_that_waits_gathers_a_batch(open_store: OpenStore) -> None:
    ours, other = open_store(), open_store()
    await asyncio.gather(ours.write(increment), other.write(increment))
    commits: list[str] = []
    ours._writer.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    turns = other._turns
    assert turns is not None
    assert turns.try_take()

    waiting = [asyncio.ensure_future(ours.write(increment)) for _ in range(20)]
    await asyncio.sleep(0.02)  # real time: a thread waits for a lock
    still_waiting = not any(one.done() for one in waiting)
    readable = await get(ours, b"count")
    turns.release()
    await asyncio.gather(*waiting)

    assert still_waiting
    assert readable == b"2"
    assert commits == ["COMMIT"]


def test_who_gives_the_turn_away_does_not_take_it_before_who_waits(tmp_path: Path) -> None:
    ours, other = Turns(tmp_path), Turns(tmp_path)
    for _ in range(200):
        assert ours.try_take()
        waiting = threading.Thread(target=other.take)
        waiting.start()
        deadline = time.monotonic() + 10
        while _try_lock(ours._door):  # until it waits
            fcntl.flock(ours._door, fcntl.LOCK_UN)
            assert time.monotonic() < deadline
        ours.release()
        barged = ours.try_take()
        join(waiting)
        other.release()
        assert not barged
    ours.close()
    other.close()


async def test_no_process_is_kept_from_writing(open_store: OpenStore) -> None:
    stores = [open_store() for _ in range(3)]
    done = [0, 0, 0]

    async def write_on(number: int) -> None:
        while sum(done) < 600:
            await stores[number].write(increment)
            done[number] += 1

    await asyncio.gather(*[write_on(number) for number in (0, 0, 0, 0, 0, 0, 1, 2)])

    assert min(done) >= 30


async def test_a_write_that_changes_nothing_gives_its_turn_back(open_store: OpenStore) -> None:
    ours, other = open_store(), open_store()

    assert await ours.write(lambda tx: tx.get(b"count")) is None
    with pytest.raises(LookupError):
        await ours.write(put_and_raise)

    assert await asyncio.wait_for(other.write(increment), 5) == 1
    assert await asyncio.wait_for(ours.write(increment), 5) == 2


async def test_changes_that_cannot_be_applied_give_the_turn_back(open_store: OpenStore) -> None:
    ours, other = open_store(), open_store()
    [pages] = ours._writer.execute("PRAGMA page_count").fetchone()
    ours._writer.execute(f"PRAGMA max_page_count = {pages}")

    outcomes = await asyncio.gather(
        ours.write(increment), put(ours, b"large", b"v" * 1_000_000), ours.write(increment), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes] == [StoreWriteFailed] * 3
    assert await asyncio.wait_for(other.write(increment), 5) == 1
    assert await get(ours, b"count") == b"1"


async def test_a_process_that_died_within_its_commit_leaves_nothing_stale(
    open_store: OpenStore, tmp_path: Path
) -> None:
    ours, other = open_store("memory"), open_store("memory")
    await put(ours, b"k", b"1")
    assert [await get(store, b"k") for store in (ours, other)] == [b"1", b"1"]
    # What a kill between SQLite's commit and the end of ours leaves behind.
    dying = Turns(tmp_path)
    assert dying.try_take()
    dying.begin_commit()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("UPDATE kv SET v = '2' WHERE k = ?", (b"k",))
    connection.close()
    dying.close()

    assert [await get(store, b"k") for store in (ours, other)] == ["2", "2"]
    assert ours._turns is not None
    assert ours._turns.generation() is None
    open_store("memory")  # whoever comes into the dead one's place mends it
    assert ours._turns.generation() is not None
    assert [await get(store, b"k") for store in (ours, other)] == ["2", "2"]
    await put(other, b"k", b"3")
    assert [await get(store, b"k") for store in (ours, other)] == [b"3", b"3"]


async def test_values_stay_hot_across_ones_own_commits(open_store: OpenStore) -> None:
    store = open_store("memory")
    await put(store, b"hot", b"1")
    assert await get(store, b"hot") == b"1"
    await put(store, b"else", b"1")
    statements: list[str] = []
    store._reader.set_trace_callback(statements.append)

    assert await get(store, b"hot") == b"1"

    assert statements == []


async def test_hints_reach_the_other_processes(open_store: OpenStore) -> None:
    ours, other, deaf = open_store("memory"), open_store("memory"), open_store("memory")
    heard = {name: asyncio.Event() for name in ("ours", "other", "else")}
    ours.listen("topic", heard["ours"].set)
    stop = other.listen("topic", heard["other"].set)
    other.listen("else", heard["else"].set)

    await deaf.write(lambda tx: tx.hint("topic"))
    await asyncio.wait_for(asyncio.gather(heard["ours"].wait(), heard["other"].wait()), 5)
    for event in heard.values():
        event.clear()
    stop()
    await ours.write(hint_and_put)
    await deaf.write(lambda tx: tx.hint("else"))
    await asyncio.wait_for(asyncio.gather(heard["ours"].wait(), heard["else"].wait()), 5)

    assert not heard["other"].is_set()


async def test_a_killed_process_pipe_is_removed(open_store: OpenStore, tmp_path: Path) -> None:
    ours, other = open_store("memory"), open_store("memory")
    heard = asyncio.Event()
    other.listen("topic", heard.set)
    folder = tmp_path / "run" / "hints"
    os.mkfifo(folder / "999999-1")

    await ours.write(lambda tx: tx.hint("topic"))
    await asyncio.wait_for(heard.wait(), 5)

    assert len(list(folder.iterdir())) == 1


async def test_the_log_starts_anew_though_there_are_always_readers(
    open_store: OpenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CHECKPOINT_BYTES", 400_000)
    monkeypatch.setattr(engine, "LOG_BYTES_MAX", 1_000_000)
    stores = [open_store("memory") for _ in range(3)]
    done = False

    async def read_on(store: SqliteStore) -> None:
        while not done:
            await store.read(lambda tx: list(tx.scan(b"k", b"l", limit=5)))
            await asyncio.sleep(0)

    reading = [asyncio.ensure_future(read_on(store)) for store in stores]
    for index in range(40):
        await asyncio.gather(*[put(store, b"k%d" % n, b"v%d" % index * 2000) for n, store in enumerate(stores)])
    done = True
    await asyncio.gather(*reading)

    assert (tmp_path / f"{FILE_NAME}-wal").stat().st_size < 3_000_000  # of some 5 MB written


async def test_the_folder_is_held_as_long_as_one_of_the_group_has_it(tmp_path: Path) -> None:
    held = hold_folder(tmp_path, "memory")
    first, second = [open_sqlite(tmp_path, "memory", held=held) for _ in range(2)]
    os.close(held)
    await first.close()

    with pytest.raises(StoreInUse, match=rf"\(process {os.getpid()}\)"):
        open_sqlite(tmp_path, "memory")
    await second.close()

    await open_sqlite(tmp_path, "memory").close()
    assert (tmp_path / LOCK_NAME).exists()
    assert not (tmp_path / f"{FILE_NAME}-wal").exists()


def test_a_folder_is_not_held_for_a_store_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is not a database, and longer than a header of SQLite is" * 3)

    for _ in range(2):
        with pytest.raises(StoreUnreadable, match=FILE_NAME):
            hold_folder(tmp_path, "fsync")
