"""Unpacks an image's files into a folder that becomes the root of environments.

What comes is foreign, so nothing is written outside the folder, and no link of the image is ever followed here: links
are made last, when everything else is there. In a root of its own a link may lead wherever it wants. Devices, pipes,
set-id bits, owners and extended attributes are left out; modes and times stay, since Python's bytecode goes by them.

The folder is made ready to be a root: what the walls mount something on is there, and is no link.
"""

import errno
import os
import shutil
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.execution.images.engine import EngineError, ImageUnfit
from cumulet.services.lambda_.execution.sandbox.isolation import name_users

MOUNT_FOLDERS = ("dev", "etc", "proc", "tmp")
MOUNT_FILES = ("etc/hosts", "etc/resolv.conf")
"""Where `sandbox/isolation.py` mounts what is an environment's own."""
USERS = "etc/passwd"

_CHUNK_BYTES = 1024 * 1024
_USERS_BYTES_MAX = 1024 * 1024
"""A larger file of users stays as it is."""
_CONTRADICTIONS = (
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.EINVAL,
    errno.ENOENT,
    errno.EPERM,
)
"""What the members of no filesystem lead to."""


def unpack_tree(source: BinaryIO, folder: Path, working_directory: str) -> None:
    """Unpack a tar of a whole filesystem into an empty folder.

    Raises ImageUnfit for what no filesystem is, EngineError for what is no tar, or OSError, and leaves a part then.
    """
    try:
        with tarfile.open(fileobj=source, mode="r|") as opened:
            _Tree(folder).unpack(opened)
        while source.read(_CHUNK_BYTES):
            pass  # what is behind the end, so that whoever writes it is not cut off
        _make_root(folder)
        _name_users(folder / USERS)
        _make_working_directory(folder, working_directory)
    except (tarfile.TarError, EOFError, ValueError) as wrong:
        # The tar is the engine's work, which may do better the next time.
        raise EngineError(f"its files do not come whole: {wrong}") from None
    except OSError as refused:
        if refused.errno in _CONTRADICTIONS:
            raise ImageUnfit(f"its files cannot be unpacked: {refused.strerror}") from None
        raise


def _make_root(folder: Path) -> None:
    """Let be there, as folders and files and not as links, what environments mount something on."""
    for name in MOUNT_FOLDERS:
        path = folder / name
        if not _is(path, stat.S_ISDIR):
            path.unlink(missing_ok=True)
            _make_folder(path)
    for name in (*MOUNT_FILES, USERS):
        path = folder / name
        if _is(path, stat.S_ISDIR):
            shutil.rmtree(path)
        elif not _is(path, stat.S_ISREG):
            path.unlink(missing_ok=True)
        path.touch()
    folder.chmod(0o755)


def _name_users(path: Path) -> None:
    """Let a file name environments' users, too."""
    if path.stat().st_size > _USERS_BYTES_MAX:
        return
    known = path.read_bytes().rstrip(b"\n")
    path.unlink()  # it may have other names
    path.write_bytes(known + b"\n" * bool(known) + name_users().encode())
    path.chmod(0o644)


def _make_working_directory(folder: Path, path: str) -> None:
    """Make the folder in which an image's program begins: engines make it only when they run the image."""
    for name in path.split("/"):
        if name in ("", ".", ".."):
            continue
        folder /= name
        if not _is_there(folder):
            _make_folder(folder)
        elif not _is(folder, stat.S_ISDIR):
            return  # a link: it is not for us to follow, or a file, with which the function fails


def _make_folder(path: Path) -> None:
    path.mkdir()
    path.chmod(0o755)


class _Tree:
    """A folder that is being filled."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bytes_left = limits.IMAGE_BYTES_MAX
        self._links: dict[Path, str] = {}
        self._folders: dict[Path, tarfile.TarInfo] = {}

    def unpack(self, opened: tarfile.TarFile) -> None:
        """Take every member; then make the links, and give folders their modes, which may forbid to fill them."""
        files_left = limits.IMAGE_FILES_MAX
        while (member := opened.next()) is not None:
            opened.members.clear()  # type: ignore[attr-defined]  # or it remembers all of them
            files_left -= 1
            if files_left < 0:
                raise ImageUnfit(f"it has more than {limits.IMAGE_FILES_MAX} files")
            path = self._path_of(member.name)
            if path != self._folder:
                self._take(opened, member, path)
        for path, destination in self._links.items():
            if not _is_there(path):
                path.symlink_to(destination)
        for path, member in reversed(self._folders.items()):
            path.chmod(member.mode & 0o777)
            os.utime(path, (member.mtime, member.mtime))

    def _path_of(self, name: str) -> Path:
        """Return where a member belongs. Raises ImageUnfit if that is not in the folder."""
        if ".." in name.split("/") or "\0" in name:
            raise ImageUnfit(f"its member {name!r} would leave it")
        return self._folder / name.lstrip("/")

    def _take(self, opened: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
            self._folders[path] = member
            return
        if not (member.isreg() or member.issym() or member.islnk()):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._links.pop(path, None)
        if _is_there(path):
            path.unlink()  # nothing is written through what may be a file with other names
        if member.issym():
            self._links[path] = member.linkname
        elif member.islnk():
            known = self._path_of(member.linkname)
            if known in self._links:
                self._links[path] = self._links[known]
            else:
                path.hardlink_to(known)
        else:
            self._write(opened, member, path)

    def _write(self, opened: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
        source = opened.extractfile(member)
        assert source is not None
        with path.open("xb") as target:
            while chunk := source.read(_CHUNK_BYTES):
                self._bytes_left -= len(chunk)
                if self._bytes_left < 0:
                    raise ImageUnfit(f"it is larger than {limits.IMAGE_BYTES_MAX} bytes")
                target.write(chunk)
            os.fchmod(target.fileno(), member.mode & 0o777)
        os.utime(path, (member.mtime, member.mtime))


def _is_there(path: Path) -> bool:
    return _is(path, lambda mode: True)


def _is(path: Path, kind: Callable[[int], bool]) -> bool:
    try:
        return kind(path.lstat().st_mode)
    except FileNotFoundError:
        return False
