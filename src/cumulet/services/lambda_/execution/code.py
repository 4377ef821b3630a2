"""Code on disk: each archive is unpacked once, into a folder that its digest names, and never changed. Bytecode of it
lies beside it (`bytecode.py`), and goes with it.

The folders together have a limit; beyond it those go that were needed longest ago, and are in no environment's use.
An archive comes from outside, so no member is written outside its folder: names are checked, links are made last (so
nothing is written through one), and what is unpacked is counted as it comes, not as the archive's directory claims.
"""

import asyncio
import hashlib
import io
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Awaitable, Callable, Container, Sequence
from functools import partial
from itertools import count
from pathlib import Path, PurePosixPath

from cumulet.errors import ServiceError
from cumulet.services.kit import Ground
from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.execution.plane import FunctionChanged
from cumulet.services.lambda_.limits import UNZIPPED_CODE_BYTES_MAX
from cumulet.services.lambda_.records import VersionRecord
from cumulet.store import blobs
from cumulet.store.api import ReadTx

_CHUNK_BYTES = 1024 * 1024
_DRAFT, _DOOMED, _BYTECODE = ".draft", ".doomed", ".pyc"
"""How the names of folders end that are not yet whole, no longer, and bytecode of others."""


class CodeCache:
    """The unpacked archives under one folder."""

    def __init__(self, ground: Ground, folder: Path, in_use: Callable[[], Container[str]]) -> None:
        """`in_use` returns the digests whose folders must stay."""
        self._ground = ground
        self.folder = folder
        self._in_use = in_use
        self._unpacking: dict[str, asyncio.Future[Path]] = {}
        self._sizes: dict[str, int] | None = None
        """Bytes by digest, the one needed longest ago first; None until the folder has been looked through."""
        self._looking_through = asyncio.Lock()
        self._removals = count()

    async def ensure(self, digest: str) -> Path:
        """Return the folder of the archive with this blob digest, unpacking it if it is not there.

        Raises FunctionChanged if nobody has that archive any more.
        """
        return await self.ensure_made(digest, partial(self._fetch, (digest,)))

    async def ensure_layers(self, digests: Sequence[str]) -> Path:
        """Return a folder with these archives one over the other, the last one covering the others.

        Raises FunctionChanged if nobody has one of them any more.
        """
        return await self.ensure_made(layers_key(digests), partial(self._fetch, digests))

    async def ensure_made(self, digest: str, make: Callable[[Path], Awaitable[None]]) -> Path:
        """Return the folder of that name; `make` makes it, whole or not at all, if it is not there."""
        target = self.folder / digest
        if target.exists():
            if self._sizes is not None and digest in self._sizes:
                self._sizes[digest] = self._sizes.pop(digest)
            return target
        if (waiting := self._unpacking.get(digest)) is None:
            waiting = self._unpacking[digest] = asyncio.ensure_future(self._make(target, make))
            waiting.add_done_callback(lambda done: self._unpacking.pop(digest))
        return await asyncio.shield(waiting)

    async def _make(self, target: Path, make: Callable[[Path], Awaitable[None]]) -> Path:
        await self.look_through()
        await make(target)
        await self.measure_again(target.name)
        return target

    async def _fetch(self, archives: Sequence[str], target: Path) -> None:
        def load(tx: ReadTx) -> list[bytes] | None:
            if any(blobs.find_size(tx, archive) is None for archive in archives):
                return None
            return [blobs.load(tx, archive) for archive in archives]

        loaded = await self._ground.store.read(load)
        if loaded is None:
            raise FunctionChanged
        await asyncio.to_thread(unpack, loaded[0], target, *loaded[1:])

    async def close(self) -> None:
        """Unpack no more; what is half done the next server removes."""
        for waiting in list(self._unpacking.values()):
            waiting.cancel()
        await asyncio.gather(*self._unpacking.values(), return_exceptions=True)

    async def look_through(self) -> dict[str, int]:
        """Count what there is, and remove what an earlier server left half done: before this one begins anything."""
        async with self._looking_through:
            if self._sizes is None:
                self._sizes = await asyncio.to_thread(look_through, self.folder)
            return self._sizes

    async def has_room(self, size: int) -> bool:
        """Tell whether code of this size can be unpacked ahead of need: no other has to go, the disk is not full."""
        taken = sum((await self.look_through()).values())
        return taken + size <= limits.CODE_CACHE_BYTES_MAX and self.leaves_disk(size)

    def leaves_disk(self, size: int = 0) -> bool:
        """Tell whether the disk has enough left for what cannot do without."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.folder).free - size >= limits.AHEAD_DISK_BYTES_MIN

    async def measure_again(self, digest: str) -> None:
        """Count a folder that is new, or has got bytecode, and make room for it."""
        sizes = await self.look_through()
        size = await asyncio.to_thread(measure, self.folder / digest, *self._bytecode(digest))
        if (self.folder / digest).exists():  # its place may have been needed meanwhile
            sizes.pop(digest, None)
            sizes[digest] = size
            await self._evict(sizes, digest)

    def _bytecode(self, digest: str) -> list[Path]:
        return list(self.folder.glob(f"{digest}.*{_BYTECODE}"))

    async def _evict(self, sizes: dict[str, int], newest: str) -> None:
        excess = sum(sizes.values()) - limits.CODE_CACHE_BYTES_MAX
        if excess <= 0:
            return
        kept, doomed = self._in_use(), []
        for digest in list(sizes):
            if excess <= 0:
                break
            if digest != newest and digest not in kept:
                # Renamed at once, so that nobody who looks for it from now on finds it half gone; it may come back, and
                # have to go again, before what it was called the last time is gone.
                folders = (self.folder / digest, *self._bytecode(digest))
                number = next(self._removals)
                doomed += [folder.rename(folder.with_name(f"{folder.name}.{number}{_DOOMED}")) for folder in folders]
                excess -= sizes.pop(digest)
        for folder in doomed:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def code_key(version: VersionRecord) -> str:
    """Return the name of the folder of a version's code, or of its image's files."""
    return version.code_blob if version.image is None else version.image.digest


def layers_key(digests: Sequence[str]) -> str:
    """Return the name of the folder for these layers in this order."""
    return digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()


def bytecode_of(folder: Path, version: str) -> Path:
    """Return where the bytecode of unpacked code is, for a version of Python."""
    return folder.with_name(f"{folder.name}.{version}{_BYTECODE}")


def draft_of(target: Path) -> Path:
    """Return the folder that becomes `target` when it is whole."""
    return target.with_name(f"{target.name}.{os.getpid()}{_DRAFT}")


def find_extensions(layers: Path) -> list[str]:
    """Return the names of the external extensions that layers bring."""
    folder = layers / "extensions"
    return sorted(entry.name for entry in folder.iterdir() if not entry.is_dir()) if folder.is_dir() else []


def look_through(folder: Path) -> dict[str, int]:
    """Return the sizes of the unpacked archives, oldest first, and remove what none that lives is at work on."""
    found: dict[str, tuple[float, int]] = {}
    for entry in sorted(folder.iterdir()) if folder.exists() else ():  # bytecode comes behind its code
        digest = entry.name.partition(".")[0]
        if entry.name == digest:
            found[digest] = entry.stat().st_mtime, measure(entry)
        elif entry.name.endswith(_BYTECODE) and digest in found:
            found[digest] = found[digest][0], found[digest][1] + measure(entry)
        elif not _is_anothers_draft(entry):
            shutil.rmtree(entry, ignore_errors=True)
    return {digest: size for digest, (_, size) in sorted(found.items(), key=lambda one: one[1])}


def _is_anothers_draft(entry: Path) -> bool:
    """Tell whether another process that lives is at work on it: two nodes of one database may share the folder."""
    owner = entry.name.removesuffix(_DRAFT).rpartition(".")[2]
    if not entry.name.endswith(_DRAFT) or not owner.isdecimal() or int(owner) in (0, os.getpid()):
        return False
    try:
        os.kill(int(owner), 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def measure(*folders: Path) -> int:
    """Return how many bytes the files below these folders take on disk."""
    return sum(
        Path(parent, name).lstat().st_blocks * 512
        for folder in folders
        for parent, _, names in os.walk(folder)
        for name in (*names, ".")
    )


def unpack(archive: bytes, target: Path, *above: bytes) -> None:
    """Unpack `archive`, and others above it, into the new folder `target`.

    Raises ServiceError, and leaves nothing, if it cannot be.
    """
    draft = draft_of(target)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        for one in (archive, *above):
            with zipfile.ZipFile(io.BytesIO(one)) as opened:
                _unpack_members(opened, draft)
        draft.chmod(0o755)
        draft.rename(target)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, OSError, RuntimeError, EOFError) as wrong:
        shutil.rmtree(draft, ignore_errors=True)
        if target.exists():
            return  # another process was first
        raise ServiceError(
            "InvalidZipFileException",
            f"Lambda could not unzip the deployment package: {wrong}",
            status=502,
            Type="User",
        ) from None
    except ServiceError:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _unpack_members(opened: zipfile.ZipFile, folder: Path) -> None:
    left = UNZIPPED_CODE_BYTES_MAX
    links: list[tuple[Path, str]] = []
    for member in opened.infolist():
        path = folder / _safe_name(member.filename)
        mode = member.external_attr >> 16
        if member.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            path.unlink()  # of an archive beneath: nothing is written through it
        if stat.S_ISLNK(mode):
            links.append((path, opened.read(member).decode("utf-8", "surrogateescape")))
            continue
        with opened.open(member) as source, path.open("wb") as target:
            while chunk := source.read(_CHUNK_BYTES):
                left -= len(chunk)
                if left < 0:
                    raise ServiceError(
                        "InvalidZipFileException",
                        f"Unzipped size must be smaller than {UNZIPPED_CODE_BYTES_MAX} bytes",
                        status=502,
                        Type="User",
                    )
                target.write(chunk)
        # Readable by the function's own user, whatever the archive says; many tools write archives without modes.
        path.chmod(0o755 if mode & 0o111 else 0o644)
    for path, destination in links:
        if _stays_inside(path, destination, folder) and not path.exists():
            path.symlink_to(destination)
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            Path(parent, name).chmod(0o755, follow_symlinks=True)


def _safe_name(name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        raise zipfile.BadZipFile(f"the member '{name}' would leave the package")
    return path


def _stays_inside(path: Path, destination: str, folder: Path) -> bool:
    if PurePosixPath(destination).is_absolute():
        return False
    return Path(os.path.normpath(path.parent / destination)).is_relative_to(folder)
