"""What an archive may do to the disk."""

import io
import stat
import zipfile
from pathlib import Path

import pytest

from cumulet.errors import ServiceError
from cumulet.services.lambda_.execution.code import unpack


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
