"""An image's files on disk: nothing of it gets outside, nothing of it is followed, and it can be a root."""

import contextlib
import io
import stat
import tarfile
from pathlib import Path

import pytest

from cumulet.services.lambda_.execution.images.engine import EngineError, ImageUnfit
from cumulet.services.lambda_.execution.images.tree import unpack_tree


def member(name: str, kind: bytes = tarfile.REGTYPE, *, mode: int = 0o644, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.mode, made.linkname, made.mtime, made.uid = kind, mode, link, 1_600_000_000, 1001
    return made


def folder(name: str, mode: int = 0o755) -> tarfile.TarInfo:
    return member(name, tarfile.DIRTYPE, mode=mode)


def link(name: str, to: str) -> tarfile.TarInfo:
    return member(name, tarfile.SYMTYPE, link=to)


def pack(*members: tarfile.TarInfo, text: bytes = b"text") -> bytes:
    """Return a tar of these members; each file has the same text."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for one in members:
            one.size = len(text) if one.isreg() else 0
            archive.addfile(one, io.BytesIO(text))
    return packed.getvalue()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "outer" / "root"
    made.mkdir(parents=True)
    return made


def unpack(root: Path, *members: tarfile.TarInfo, working_directory: str = "/") -> None:
    unpack_tree(io.BytesIO(pack(*members)), root, working_directory)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_files_folders_and_links_are_as_they_were(root: Path) -> None:
    unpack(
        root,
        folder("./usr"),
        folder("usr/lib", 0o511),
        member("usr/lib/one.py"),
        member("usr/lib/run", mode=0o750),
        member("usr/lib/same", tarfile.LNKTYPE, link="usr/lib/run"),
        link("lib", "usr/lib"),
        link("absolute", "/etc/passwd"),
        member("lib2", tarfile.LNKTYPE, link="./lib"),
    )
    assert (root / "usr/lib/one.py").read_bytes() == b"text"
    # Python takes bytecode only if its source has the time that it had.
    assert (root / "usr/lib/one.py").stat().st_mtime == (root / "usr/lib").stat().st_mtime == 1_600_000_000
    assert [mode_of(root / path) for path in ("usr/lib", "usr/lib/one.py", "usr/lib/run")] == [0o511, 0o644, 0o750]
    assert (root / "usr/lib/same").samefile(root / "usr/lib/run")
    assert [str((root / path).readlink()) for path in ("lib", "lib2", "absolute")] == [
        "usr/lib",
        "usr/lib",
        "/etc/passwd",
    ]


def test_set_id_bits_devices_and_pipes_are_left_out(root: Path) -> None:
    unpack(
        root,
        folder("bin", 0o7777),
        member("bin/su", mode=0o6755),
        member("bin/disk", tarfile.BLKTYPE),
        member("bin/memory", tarfile.CHRTYPE),
        member("bin/pipe", tarfile.FIFOTYPE),
    )
    assert [path.name for path in (root / "bin").iterdir()] == ["su"]
    assert (mode_of(root / "bin"), mode_of(root / "bin/su")) == (0o777, 0o755)


ESCAPES = [
    ("a name above", [member("../out")]),
    ("a name that turns back", [folder("a"), member("a/../../out")]),
    ("a hard link to what is above", [member("in", tarfile.LNKTYPE, link="../secret")]),
    ("a hard link to what is not there", [member("in", tarfile.LNKTYPE, link="/secret")]),
]


@pytest.mark.parametrize("members", [row[1] for row in ESCAPES], ids=[row[0] for row in ESCAPES])
def test_what_would_leave_is_refused(root: Path, members: list[tarfile.TarInfo]) -> None:
    (root.parent / "secret").write_text("secret")
    with pytest.raises(ImageUnfit):
        unpack(root, *members)
    assert sorted(path.name for path in root.parent.iterdir()) == ["root", "secret"]
    assert not (root / "in").exists()


THROUGH = [
    ("a folder's link", [link("way", ".."), member("way/out")]),
    ("an absolute link", [link("way", "/"), member("way/cumulet-out")]),
    ("a file's link", [link("file", "../out"), member("file")]),
    ("a link that comes later", [folder("way"), member("way/out"), link("way", "..")]),
]


@pytest.mark.parametrize("members", [row[1] for row in THROUGH], ids=[row[0] for row in THROUGH])
def test_nothing_is_written_through_a_link(root: Path, members: list[tarfile.TarInfo]) -> None:
    with contextlib.suppress(ImageUnfit):  # where members contradict each other
        unpack(root, *members)
    assert [path.name for path in root.parent.iterdir()] == ["root"]
    assert not Path("/cumulet-out").exists()


def test_a_file_that_comes_again_changes_no_other_name_of_it(root: Path) -> None:
    again = member("one")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for one, text in ((member("one"), b"old"), (member("two", tarfile.LNKTYPE, link="one"), b""), (again, b"new")):
            one.size = len(text)
            archive.addfile(one, io.BytesIO(text))
    packed.seek(0)
    unpack_tree(packed, root, "/")
    assert ((root / "one").read_bytes(), (root / "two").read_bytes()) == (b"new", b"old")


def test_what_walls_are_mounted_on_is_there_and_is_no_link(root: Path) -> None:
    (root.parent / "victim").mkdir()
    unpack(
        root,
        link("proc", "../victim"),
        member("dev"),
        link("tmp", "/tmp"),
        folder("etc"),
        link("etc/resolv.conf", "../../victim"),
        folder("etc/hosts"),
        member("etc/hosts/file"),
    )
    assert all(stat.S_ISDIR((root / name).lstat().st_mode) for name in ("proc", "dev", "tmp", "etc"))
    assert all(stat.S_ISREG((root / name).lstat().st_mode) for name in ("etc/hosts", "etc/resolv.conf"))
    assert list((root.parent / "victim").iterdir()) == []


def test_functions_users_have_their_name(root: Path) -> None:
    unpack(root, member("etc/passwd"), member("users", tarfile.LNKTYPE, link="etc/passwd"))
    first, second, *_ = (root / "etc/passwd").read_text().splitlines()
    assert (first, second) == ("text", "sbx_user1051:x:60001:60001::/home/sbx_user1051:/sbin/nologin")
    assert (root / "users").read_text() == "text"
    assert mode_of(root / "etc/passwd") == 0o644
    other = root.parent / "other"
    other.mkdir()
    unpack(other, link("etc/passwd", "/etc/shadow"))
    assert (other / "etc/passwd").read_text().startswith("sbx_user1051:x:60001:")


def test_the_working_directory_is_made_but_not_through_a_link(root: Path) -> None:
    unpack(root, link("way", ".."), working_directory="/a/b")
    assert (root / "a/b").is_dir()
    other = root.parent / "other"
    other.mkdir()
    unpack(other, link("way", ".."), working_directory="/way/out")
    assert sorted(path.name for path in root.parent.iterdir()) == ["other", "root"]


def test_a_working_directory_that_no_filesystem_has_is_refused(root: Path) -> None:
    with pytest.raises(ImageUnfit, match="File name too long"):
        unpack(root, working_directory="/" + "x" * 256)


@pytest.mark.parametrize("length", [0, 100, 5_000, 12_000])
def test_half_a_tar_is_the_engines_fault(root: Path, length: int) -> None:
    packed = pack(member("one"), member("two"), text=b"x" * 10_000)
    with pytest.raises(EngineError) as caught:
        unpack_tree(io.BytesIO(packed[:length]), root, "/")
    assert type(caught.value) is EngineError


def test_what_is_no_tar_is_refused(root: Path) -> None:
    with pytest.raises(EngineError, match="do not come whole"):
        unpack_tree(io.BytesIO(b"no tar at all" * 100), root, "/")
