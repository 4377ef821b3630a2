"""Stores are the same after any journey between SQLite, PostgreSQL and files, and copies are of one moment."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cumulet.app import open_app
from cumulet.cli.backup import make_backup, migrate, restore_backup
from cumulet.cli.console import CliError
from cumulet.scope import SYSTEM, Scope
from cumulet.settings import Settings
from cumulet.store import transfer
from cumulet.store.api import KEY_BYTES_MAX, VALUE_BYTES_MAX, WriteTx
from cumulet.store.dump import Pair, read_blocks, read_header
from cumulet.store.keyspace import BLOB_CHUNK, DDB_ITEM, STORE_META
from cumulet.store.places import Place, open_alone
from cumulet.store.sqlite_file import FILE_NAME
from patience import join
from postgres import Cluster

pytestmark = pytest.mark.slow

HERE = Scope("000000000000", "us-east-1")


def item_key(*parts: Any) -> bytes:
    return DDB_ITEM.key(HERE, *parts)


def records() -> list[Pair]:
    """Return what may be hard for an engine: long keys that begin alike, zero bytes, empty and large values."""
    long = [item_key("t", b"\x00" * 1200 + bytes([last])) for last in range(3)]
    return [
        (STORE_META.key(SYSTEM, "signing secret"), os.urandom(32)),
        (BLOB_CHUNK.key(SYSTEM, "sha", 0), os.urandom(1024 * 1024)),
        (item_key("a", -1), b""),
        (item_key("a", 0), b"\x00\xff\\x00'\x00"),
        *[(key, b"value of %d" % number) for number, key in enumerate(long)],
        (long[0] + b"\x00", b"longer still"),
        (b"\x02" + b"k" * (KEY_BYTES_MAX - 1), b"the longest key"),
        (item_key("large"), bytes(VALUE_BYTES_MAX)),
        *[(item_key("many", number), b"%d" % number * 40) for number in range(600)],
    ]


def write(place: Place, body: Callable[[WriteTx], Any]) -> None:
    async def run() -> None:
        async with open_alone(place) as store:
            await store.write(body)

    asyncio.run(run())


def put_all(pairs: list[Pair]) -> Callable[[WriteTx], None]:
    def put(tx: WriteTx) -> None:
        for key, value in pairs:
            tx.put(key, value)

    return put


def rows(folder: Path) -> list[Any]:
    connection = sqlite3.connect(folder / FILE_NAME)
    found = connection.execute("SELECT k, v FROM kv ORDER BY k").fetchall()
    connection.close()
    return found


def pairs_in(file: Path) -> list[Pair]:
    with file.open("rb") as opened:
        read_header(opened)
        return [pair for block in read_blocks(opened) for pair in block]


def test_there_and_back_again_by_every_way(postgres: Cluster, tmp_path: Path) -> None:
    source = tmp_path / "source"
    first, second = [postgres.url(postgres.new_database()) for _ in range(2)]
    write(source, put_all(records()))
    migrate(source, first)
    make_backup(tmp_path / "b.dump", first)
    restore_backup(tmp_path / "b.dump", second)
    migrate(second, tmp_path / "target")
    assert rows(tmp_path / "target") == rows(source)


def test_a_backup_of_a_database_in_use_is_one_moment(postgres: Cluster, tmp_path: Path) -> None:
    """Each transaction writes its number at both ends of the keyspace; a copy that mixes moments would differ."""
    url, ended, ready = postgres.url(postgres.new_database()), threading.Event(), threading.Event()
    ends = [item_key("a"), item_key("z")]

    def count_up(tx: WriteTx) -> None:
        number = int(tx.get(ends[0]) or b"0") + 1
        for key in ends:
            tx.put(key, b"%d" % number)

    async def write_until_told() -> None:
        async with open_alone(url) as store:
            await store.write(put_all([(item_key("m", number), b"v" * 3000) for number in range(1000)]))
            while not ended.is_set():
                await store.write(count_up)
                ready.set()

    writer = threading.Thread(target=lambda: asyncio.run(write_until_told()))
    writer.start()
    try:
        assert ready.wait(30)
        seen = []
        for number in range(4):
            make_backup(tmp_path / f"{number}.dump", url)
            pairs = dict(pairs_in(tmp_path / f"{number}.dump"))
            assert pairs[ends[0]] == pairs[ends[1]]
            seen.append(int(pairs[ends[0]]))
    finally:
        ended.set()
        join(writer)
    assert seen == sorted(set(seen)), "the writer went on between the copies"


class Interrupted(Exception):
    """What ends a copy in the middle."""


def test_an_interrupted_restore_is_not_served_and_can_be_run_again(
    postgres: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, url = tmp_path / "source", postgres.url(postgres.new_database())
    write(source, put_all(records()))
    make_backup(tmp_path / "b.dump", source)
    put = transfer._put_all
    calls: list[int] = []

    def break_off(tx: WriteTx, block: list[Pair]) -> None:
        calls.append(len(block))
        if len(calls) == 3:
            raise Interrupted
        put(tx, block)

    with monkeypatch.context() as changed:
        changed.setattr("cumulet.store.transfer._put_all", break_off)
        with pytest.raises(Interrupted):
            restore_backup(tmp_path / "b.dump", url)

    async def serve() -> None:
        async with open_app(Settings(data_dir=tmp_path / "node", store=url)):
            raise AssertionError("it is served")

    with pytest.raises(transfer.StoreUnfinished):
        asyncio.run(serve())
    with pytest.raises(CliError, match="holds a part of a restore or a migration that was interrupted"):
        migrate(url, tmp_path / "elsewhere")
    restore_backup(tmp_path / "b.dump", url)
    migrate(url, tmp_path / "target")
    assert rows(tmp_path / "target") == rows(source)


def test_what_cannot_be_done_is_said_without_a_password(postgres: Cluster, tmp_path: Path) -> None:
    database = postgres.new_database()
    url, wrong = postgres.url(database), postgres.url(database, password="a-wrong-one")
    cases: list[tuple[Callable[[], None], str]] = [
        (lambda: make_backup(tmp_path / "b.dump", url), f"There is no store in {database} at 127.0.0.1:"),
        (lambda: make_backup(tmp_path / "b.dump", wrong), "refuses the login"),
        (lambda: migrate(tmp_path / "none", url), "There is no store in "),
        (lambda: migrate(url, url), f"{database} at 127.0.0.1:"),
        (lambda: migrate("postgresql://a b", url), "The store's URL cannot be read"),
    ]
    for work, words in cases:
        with pytest.raises(CliError) as refused:
            work()
        assert words in str(refused.value)
        assert "secret" not in str(refused.value)
        assert "a-wrong-one" not in str(refused.value)
    assert not (tmp_path / "b.dump").exists()
    write(url, put_all([(item_key("mine"), b"1")]))
    write(tmp_path / "source", put_all([(item_key("other"), b"1")]))
    with pytest.raises(CliError, match="is not empty, and a copy is never written over anything"):
        migrate(tmp_path / "source", url)
