"""What an archive may do to the disk."""

import io
import os
import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from cumulet.clock import SystemClock
from cumulet.errors import ServiceError
from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.execution.code import CodeCache, look_through, unpack
from cumulet.services.lambda_.execution.plane import FunctionChanged
from cumulet.store import blobs
from cumulet.store.memory import MemoryStore
from harness import make_ground


def archive(*members: tuple[str, str, int]) -> bytes:
    """Return a zip of (name, text, Unix mode)."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, text, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            opened.writestr(info, text)
    return made.getvalue()


def test_files_are_readable_by_the_functions_own_user(tmp_path: Path) -> None:
    target = tmp_path / "code"
    unpack(archive(("a/b.py", "x", 0o600), ("run", "x", 0o100700), ("plain", "x", 0)), target)
    modes = {str(path.relative_to(target)): stat.S_IMODE(path.stat().st_mode) for path in target.rglob("*")}
    assert modes == {"a": 0o755, "a/b.py": 0o644, "run": 0o755, "plain": 0o644}


LINK = stat.S_IFLNK | 0o777


def test_links_inside_the_package_are_kept_and_others_left_out(tmp_path: Path) -> None:
    target = tmp_path / "code"
    unpack(
        archive(
            ("lib/real.so.1", "x", 0o644),
            ("lib/real.so", "real.so.1", LINK),
            ("up", "../outside", LINK),
            ("absolute", "/etc/passwd", LINK),
        ),
        target,
    )
    assert (target / "lib/real.so").read_text() == "x"
    assert sorted(path.name for path in target.iterdir()) == ["lib"]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    unpack(archive(("d", "../outside", LINK), ("d/evil", "x", 0o644)), tmp_path / "code")
    assert list((tmp_path / "outside").iterdir()) == []
    assert (tmp_path / "code/d/evil").read_text() == "x"


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "..\\evil"])
def test_names_that_leave_the_package(tmp_path: Path, name: str) -> None:
    with pytest.raises(ServiceError) as raised:
        unpack(archive((name, "x", 0o644)), tmp_path / "in" / "code")
    assert raised.value.code == "InvalidZipFileException"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("data", [b"", b"no zip", archive(("a", "x", 0o644))[:-30]])
def test_what_is_no_archive(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ServiceError) as raised:
        unpack(data, tmp_path / "code")
    assert raised.value.code == "InvalidZipFileException"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_archive_that_grows_beyond_the_limit(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="Unzipped size must be smaller than 262144000 bytes"):
        unpack(archive(("bomb", "\0" * 262_144_001, 0o644)), tmp_path / "code")
    assert list(tmp_path.iterdir()) == []


def test_an_archive_that_was_unpacked_meanwhile(tmp_path: Path) -> None:
    target = tmp_path / "code"
    unpack(archive(("a", "1", 0o644)), target)
    unpack(archive(("a", "1", 0o644)), target)
    assert (target / "a").read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["code"]


class Shelf:
    """A code cache over a store, with archives of a known size."""

    def __init__(self, folder: Path, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.used: set[str] = set()
        self.cache = CodeCache(make_ground(self.store, SystemClock(), None, folder), folder, lambda: self.used)

    async def add(self, name: str) -> str:
        """Return the digest of a new archive that takes 100 KB on disk, unpacked."""
        packed = archive((name, "x" * 100_000, 0o644))
        digest = await self.store.write(lambda tx: blobs.save(tx, packed))
        await self.cache.ensure(digest)
        return digest


async def test_what_another_process_unpacks_is_left_alone(tmp_path: Path) -> None:
    gone, own, others = (tmp_path / f"abc.{pid}.draft" for pid in (999_999_999, os.getpid(), os.getppid()))
    for draft in (gone, own, others):
        draft.mkdir()
    assert look_through(tmp_path) == {}
    assert list(tmp_path.iterdir()) == [others]


async def test_the_code_on_disk_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CODE_CACHE_BYTES_MAX", 350_000)
    (tmp_path / "abc.999999999.draft").mkdir()
    shelf = Shelf(tmp_path)
    used = await shelf.add("used")
    shelf.used.add(used)
    old, wanted = await shelf.add("old"), await shelf.add("wanted")
    await shelf.cache.ensure(wanted)
    await shelf.cache.ensure(old)
    assert not (tmp_path / "abc.999999999.draft").exists()
    new = await shelf.add("new")
    assert {path.name for path in tmp_path.iterdir()} == {used, old, new}
    # What an earlier server left counts too.
    again = Shelf(tmp_path, shelf.store)
    newest = await again.add("newest")
    assert len(list(tmp_path.iterdir())) == 3
    assert (tmp_path / newest / "newest").exists()


async def test_code_goes_again_while_what_was_removed_before_is_still_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CODE_CACHE_BYTES_MAX", 1)
    monkeypatch.setattr(shutil, "rmtree", lambda *folder, **options: None)  # a slow disk
    shelf = Shelf(tmp_path)
    one = await shelf.add("one")
    for other in ("two", "three"):
        await shelf.add(other)
        await shelf.cache.ensure(one)
    assert await shelf.cache.ensure(one) == tmp_path / one
    assert len(list(tmp_path.glob(f"{one}.*.doomed"))) == 2


async def test_code_that_nobody_has_any_more_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(FunctionChanged):
        await Shelf(tmp_path).cache.ensure("0" * 64)
    assert list(tmp_path.iterdir()) == []
