"""`cumulet backup`, `restore` and `migrate` between data folders, in this process."""

import asyncio
import os
import sqlite3
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cumulet.app import open_app
from cumulet.cli.backup import find_place, make_backup, migrate, restore_backup
from cumulet.cli.console import CliError
from cumulet.scope import SYSTEM, Scope
from cumulet.settings import Settings
from cumulet.store.api import WriteTx
from cumulet.store.dump import read_blocks, read_header
from cumulet.store.keyspace import DDB_ITEM, NODE, STORE_META
from cumulet.store.sqlite import open_sqlite
from cumulet.store.sqlite_file import FILE_NAME
from cumulet.store.transfer import UNFINISHED_KEY, VERSION_KEY, StoreUnfinished
from patience import join

HERE = Scope("000000000000", "us-east-1")
NODE_KEY = NODE.key(SYSTEM, "n1")


def item_key(number: int, table: str = "t1") -> bytes:
    return DDB_ITEM.key(HERE, table, number)


def stock(tx: WriteTx) -> None:
    tx.put(STORE_META.key(SYSTEM, "signing secret"), b"secret")
    tx.put(NODE_KEY, b"alive")
    for number in range(40):
        tx.put(item_key(number), b"%d" % number * 60_000)


def write(folder: Path, body: Callable[[WriteTx], Any]) -> None:
    async def run() -> None:
        store = open_sqlite(folder, "os")
        await store.write(body)
        await store.close()

    asyncio.run(run())


def content(folder: Path) -> dict[bytes, bytes]:
    with sqlite3.connect(folder / FILE_NAME) as connection:
        found = dict(connection.execute("SELECT k, v FROM kv"))
    connection.close()
    return found


URL, OTHER_URL = "postgresql://one/cumulet", "postgresql://other/cumulet"


@pytest.mark.parametrize(
    ("data_dir", "store", "environ", "place"),
    [
        (None, None, {}, Path(".cumulet")),
        (None, None, {"CUMULET_DATA_DIR": "/data"}, Path("/data")),
        (None, None, {"CUMULET_DATA_DIR": "/data", "CUMULET_STORE": URL}, URL),
        (None, OTHER_URL, {"CUMULET_STORE": URL}, OTHER_URL),
        (Path("/mine"), None, {"CUMULET_STORE": URL}, Path("/mine")),
        (Path("/mine"), OTHER_URL, {}, OTHER_URL),
    ],
    ids=["nothing", "a folder's variable", "both variables", "a URL", "a folder", "both, as for a node"],
)
def test_what_was_typed_counts_before_the_environment(
    data_dir: Path | None, store: str | None, environ: dict[str, str], place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CUMULET_DATA_DIR", "CUMULET_STORE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert find_place(data_dir, store) == place


def test_a_store_that_is_no_url_is_refused() -> None:
    with pytest.raises(CliError, match=r"a store is a URL that begins with postgresql://"):
        find_place(None, "mysql://one/cumulet")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with a store of several blocks."""
    write(tmp_path / "source", stock)
    return tmp_path / "source"


def test_every_record_but_those_of_nodes_comes_back(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_backup(tmp_path / "b.dump", source)
    restore_backup(tmp_path / "b.dump", tmp_path / "target")
    before = content(source)
    del before[NODE_KEY]
    assert content(tmp_path / "target") == before
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"Backed up 41 records (4.2 MB) of {source} to {tmp_path / 'b.dump'} (")
    assert said[0].endswith("); it was read again and is whole.")
    assert said[1:] == [
        f"Restored 41 records (4.2 MB) to {tmp_path / 'target'}; they were read back and are the same.",
        f"Start it with: cumulet up --data-dir {tmp_path / 'target'}",
    ]


def test_only_its_owner_may_read_a_backup(source: Path, tmp_path: Path) -> None:
    make_backup(tmp_path / "b.dump", source)
    assert stat.S_IMODE((tmp_path / "b.dump").stat().st_mode) == 0o600


def test_a_backup_tells_where_it_comes_from(source: Path, tmp_path: Path) -> None:
    make_backup(tmp_path / "b.dump", source)
    with (tmp_path / "b.dump").open("rb") as file:
        header = read_header(file)
    assert (header.engine, header.store_version) == ("sqlite", 1)
    assert header.created_ms > 1_760_000_000_000


def test_a_backup_takes_the_place_of_an_earlier_one_and_of_nothing_else(source: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.dump"
    make_backup(file, source)
    write(source, lambda tx: tx.put(item_key(99), b"new"))
    make_backup(file, source)
    with file.open("rb") as opened:
        read_header(opened)
        assert item_key(99) in {key for block in read_blocks(opened) for key, _ in block}
    before = (source / FILE_NAME).read_bytes()
    with pytest.raises(CliError, match=r"cumulet\.db is there and is not a backup; it is left alone"):
        make_backup(source / FILE_NAME, source)
    assert (source / FILE_NAME).read_bytes() == before


def test_a_backup_that_cannot_be_written_is_called_by_its_own_name(source: Path, tmp_path: Path) -> None:
    file = tmp_path / "none" / "b.dump"
    with pytest.raises(CliError) as refused:
        make_backup(file, source)
    assert str(refused.value) == f"{file}: No such file or directory"


def test_a_backup_that_fails_leaves_what_was_there(source: Path, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    file = tmp_path / "to" / "b.dump"
    make_backup(file, source)
    before = file.read_bytes()
    write(source, lambda tx: tx.put(UNFINISHED_KEY, b""))
    with pytest.raises(CliError, match="holds a part of a restore or a migration that was interrupted"):
        make_backup(file, source)
    assert file.read_bytes() == before
    assert list((tmp_path / "to").iterdir()) == [file]


def test_a_backup_that_cannot_be_read_again_is_none(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cumulet.cli.backup.tally", lambda blocks: None)
    (tmp_path / "to").mkdir()
    with pytest.raises(CliError, match=r"b\.dump does not hold what was written to it$"):
        make_backup(tmp_path / "to" / "b.dump", source)
    assert list((tmp_path / "to").iterdir()) == []


@pytest.mark.slow
def test_a_backup_beside_a_writer_is_one_moment(tmp_path: Path) -> None:
    """Each transaction writes its number at both ends of the keyspace; a copy that mixes moments would differ."""
    folder, ended, ready = tmp_path / "data", threading.Event(), threading.Event()
    ends = [item_key(0, "a"), item_key(0, "z")]

    def count_up(tx: WriteTx) -> None:
        number = int(tx.get(ends[0]) or b"0") + 1
        for key in ends:
            tx.put(key, b"%d" % number)
        tx.put(item_key(number % 50, "m"), os.urandom(20_000))

    async def write_until_told() -> None:
        store = open_sqlite(folder, "os")
        while not ended.is_set():
            for _ in range(10):
                await store.write(count_up)
            ready.set()
        await store.close()

    writer = threading.Thread(target=lambda: asyncio.run(write_until_told()))
    writer.start()
    try:
        assert ready.wait(30)
        seen = []
        for number in range(5):
            make_backup(tmp_path / f"{number}.dump", folder)
            with (tmp_path / f"{number}.dump").open("rb") as file:
                read_header(file)
                pairs = dict(pair for block in read_blocks(file) for pair in block)
            assert pairs[ends[0]] == pairs[ends[1]]
            seen.append(int(pairs[ends[0]]))
    finally:
        ended.set()
        join(writer)
    assert seen == sorted(set(seen)), "the writer went on between the copies"


def test_what_was_committed_and_not_written_back_is_copied(tmp_path: Path) -> None:
    """After kill -9 the last commits are in the log only, and nobody has the files open."""
    folder, copy = tmp_path / "data", tmp_path / "copy"
    copy.mkdir()

    async def copy_files_while_open() -> None:
        store = open_sqlite(folder, "os")
        await store.write(lambda tx: tx.put(item_key(1), b"in the log"))
        for name in (FILE_NAME, f"{FILE_NAME}-wal"):
            (copy / name).write_bytes((folder / name).read_bytes())
        await store.close()

    asyncio.run(copy_files_while_open())
    make_backup(tmp_path / "b.dump", copy)
    restore_backup(tmp_path / "b.dump", tmp_path / "target")
    assert content(tmp_path / "target")[item_key(1)] == b"in the log"


def test_a_store_that_holds_something_is_not_restored_over(source: Path, tmp_path: Path) -> None:
    make_backup(tmp_path / "b.dump", source)
    write(tmp_path / "target", lambda tx: tx.put(item_key(7), b"mine"))
    before = content(tmp_path / "target")
    with pytest.raises(CliError, match="target is not empty, and a copy is never written over anything"):
        restore_backup(tmp_path / "b.dump", tmp_path / "target")
    assert content(tmp_path / "target") == before


def test_a_store_in_use_is_not_restored_to(source: Path, tmp_path: Path) -> None:
    make_backup(tmp_path / "b.dump", source)

    async def hold() -> None:
        store = open_sqlite(tmp_path / "target", "os")
        with pytest.raises(CliError, match="target is in use by another Cumulet server"):
            await asyncio.to_thread(restore_backup, tmp_path / "b.dump", tmp_path / "target")
        await store.close()

    asyncio.run(hold())


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda whole: whole[:-1], r"b\.dump ends in the middle"),
        (lambda whole: whole[: len(whole) // 2], r"b\.dump ends in the middle"),
        (
            lambda whole: whole[:900] + b"\x00\x00" + whole[902:],
            r"b\.dump is damaged: the checksum of a block is wrong",
        ),
        (lambda whole: b"PK" + whole, r"b\.dump is not a backup that Cumulet made"),
        (lambda whole: b"", r"b\.dump is not a backup that Cumulet made"),
    ],
    ids=["cut short by a byte", "cut short by half", "damaged", "something else", "empty"],
)
def test_a_file_that_is_no_whole_backup_touches_nothing(
    damage: Callable[[bytes], bytes], words: str, source: Path, tmp_path: Path
) -> None:
    file = tmp_path / "b.dump"
    make_backup(file, source)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(CliError, match=words):
        restore_backup(file, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_a_backup_of_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "source", stock)
    for version, words in ((2, "comes from a newer Cumulet"), (0, "comes from an older Cumulet")):
        with monkeypatch.context() as changed:
            changed.setattr("cumulet.cli.backup.STORE_VERSION", version)
            make_backup(tmp_path / "b.dump", tmp_path / "source")
        with pytest.raises(CliError, match=rf"b\.dump {words}"):
            restore_backup(tmp_path / "b.dump", tmp_path / "target")
    assert not (tmp_path / "target").exists()


@pytest.mark.slow
def test_an_interrupted_restore_is_not_served_and_can_be_run_again(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_backup(tmp_path / "b.dump", source)
    target = tmp_path / "target"

    def interrupt(tx: WriteTx, block: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as changed:
        changed.setattr("cumulet.store.transfer._put_all", interrupt)
        with pytest.raises(KeyboardInterrupt):
            restore_backup(tmp_path / "b.dump", target)

    async def serve() -> None:
        async with open_app(Settings(data_dir=target)):
            raise AssertionError("it is served")

    with pytest.raises(StoreUnfinished, match="holds a part of a restore or a migration that was interrupted"):
        asyncio.run(serve())
    restore_backup(tmp_path / "b.dump", target)
    assert item_key(39) in content(target)


def test_a_store_moves_to_another_folder(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    migrate(source, tmp_path / "target")
    before = content(source)
    assert {**content(tmp_path / "target"), NODE_KEY: before[NODE_KEY]} == before
    assert VERSION_KEY in before
    assert capsys.readouterr().out.splitlines() == [
        f"Copied 41 records (4.2 MB) of {source} to {tmp_path / 'target'}; they were read back and are the same.",
        f"Start it with: cumulet up --data-dir {tmp_path / 'target'}",
        f"What lies in {source} is as it was. Do not serve both.",
    ]


def test_a_store_in_use_is_not_moved(source: Path, tmp_path: Path) -> None:
    async def hold() -> None:
        store = open_sqlite(source, "os")
        with pytest.raises(CliError, match="source is in use by another Cumulet server"):
            await asyncio.to_thread(migrate, source, tmp_path / "target")
        await store.close()

    asyncio.run(hold())
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (lambda folder: migrate(folder / "none", folder / "target"), "There is no store in .*none"),
        (lambda folder: migrate(folder / "source", folder / "." / "source"), "is both the old place and the new one"),
        (lambda folder: make_backup(folder / "b.dump", folder / "none"), "There is no store in .*none"),
        (lambda folder: make_backup(folder / "no" / "b.dump", folder / "source"), "no/.*: No such file or directory"),
        (lambda folder: make_backup(folder, folder / "source"), "Is a directory"),
        (lambda folder: restore_backup(folder / "none.dump", folder / "target"), "none.dump: No such file"),
    ],
    ids=["migrate nothing", "migrate to itself", "back up nothing", "to no folder", "to a folder", "restore nothing"],
)
def test_what_is_not_there_is_named(work: Callable[[Path], None], words: str, source: Path, tmp_path: Path) -> None:
    with pytest.raises(CliError, match=words):
        work(tmp_path)
    assert not (tmp_path / "target").exists()
    assert not (tmp_path / "none").exists()


def test_another_sqlite_file_is_no_store(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
    connection.close()
    with pytest.raises(CliError, match="is an SQLite file, but not a store of Cumulet"):
        make_backup(tmp_path / "b.dump", tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"no database at all" * 100)
    with pytest.raises(CliError, match="cannot be read, or is damaged: file is not a database"):
        make_backup(tmp_path / "b.dump", tmp_path)
