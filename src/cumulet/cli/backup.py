"""`cumulet backup`, `restore` and `migrate`: whole stores into a file, out of it, and from one place to another."""

import asyncio
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from cumulet import __version__
from cumulet.cli.console import CliError, err, out
from cumulet.clock import SystemClock
from cumulet.settings import SettingsError, make_settings
from cumulet.store.api import StoreError, StoreInUse
from cumulet.store.dump import (
    FORMAT_VERSION,
    MAGIC,
    BackupUnreadable,
    Block,
    Header,
    Totals,
    read_blocks,
    read_header,
    write_dump,
)
from cumulet.store.keyspace import STORE_VERSION
from cumulet.store.places import Place, open_alone, open_snapshot, where
from cumulet.store.transfer import blocks_in, check_version, fill, require_copyable, require_unserved, tally

_PART = ".part"


def find_place(data_dir: Path | None, store: str | None) -> Place:
    """Return where the store is that the flags mean, or else the environment. Raises CliError for bad settings."""
    try:
        settings = make_settings(data_dir=data_dir, store=store)
    except SettingsError as error:
        raise CliError(str(error)) from error
    if data_dir is not None and store is None:
        # Also where the environment names a database: what somebody typed is meant.
        return settings.data_dir
    return settings.store or settings.data_dir


def make_backup(file: Path, place: Place) -> None:
    """Write a copy of the store to `file`, which appears there when it is complete and has been read again."""
    with _in_words(file), _bars() as bars:
        _require_no_other_file(file)
        with open_snapshot(place) as snapshot, _new_file(file) as (written, path):
            require_copyable(snapshot)
            header = Header(FORMAT_VERSION, STORE_VERSION, SystemClock().now_ms(), snapshot.engine, __version__)
            totals = write_dump(written, header, bars.through("Copying", blocks_in(snapshot), snapshot.size_bytes))
            written.flush()
            os.fsync(written.fileno())
            with path.open("rb") as again:
                read_header(again)
                if tally(bars.through("Checking", read_blocks(again), totals.bytes)) != totals:
                    raise BackupUnreadable("does not hold what was written to it")
            size = path.stat().st_size
    out.print(
        f"Backed up {_words(totals)} of {where(place)} to {file} ({_size(size)}); it was read again and is whole.",
        markup=False,
    )


def restore_backup(file: Path, place: Place) -> None:
    """Fill an empty store from a backup, which is read through first: what is damaged leaves no trace."""
    with _in_words(file), _bars() as bars, file.open("rb") as opened:
        check_version(read_header(opened).store_version, str(file))
        totals = tally(bars.through("Checking the backup", read_blocks(opened), None))
        opened.seek(0)
        read_header(opened)
        asyncio.run(_fill(place, bars.through("Restoring", read_blocks(opened), totals.bytes), bars))
    out.print(f"Restored {_words(totals)} to {where(place)}; they were read back and are the same.", markup=False)
    out.print(f"Start it with: cumulet up {_flag(place)}", markup=False)


def migrate(source: Place, target: Place) -> None:
    """Copy a store that nobody serves to an empty one, of the same engine or another."""
    with _in_words(), _bars() as bars:
        if where(source) == where(target):
            raise CliError(f"{where(source)} is both the old place and the new one")
        totals = asyncio.run(_migrate(source, target, bars))
    out.print(
        f"Copied {_words(totals)} of {where(source)} to {where(target)}; they were read back and are the same.",
        markup=False,
    )
    out.print(f"Start it with: cumulet up {_flag(target)}", markup=False)
    out.print(f"What lies in {where(source)} is as it was. Do not serve both.", markup=False)


async def _migrate(source: Place, target: Place, bars: "_Bars") -> Totals:
    with open_snapshot(source) as snapshot:
        require_copyable(snapshot)  # before the source is opened as a server would open it
    async with open_alone(source) as store:
        with open_snapshot(source) as snapshot:
            totals = await _fill(target, bars.through("Copying", blocks_in(snapshot), snapshot.size_bytes), bars)
        try:
            await require_unserved(store, where(source), SystemClock())
        except StoreInUse as error:
            raise CliError(
                f"{error} It began while this copied: what it has written is not in the new place."
            ) from error
    return totals


async def _fill(place: Place, blocks: Iterable[Block], bars: "_Bars") -> Totals:
    async with open_alone(place) as store:

        def read_back() -> Totals:
            with open_snapshot(place) as snapshot:
                return tally(bars.through("Checking", blocks_in(snapshot), snapshot.size_bytes))

        return await fill(store, where(place), blocks, read_back)


def _require_no_other_file(file: Path) -> None:
    """Raise CliError if `file` is there and is no backup: a wrong name must not cost a store."""
    with suppress(FileNotFoundError), file.open("rb") as found:
        if found.read(len(MAGIC)) != MAGIC:
            raise CliError(f"{file} is there and is not a backup; it is left alone")


@contextmanager
def _new_file(file: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Yield a file that takes the place of `file` at the end, and a path to it; if the body raises, it is gone."""
    path = file.with_name(f".{file.name}.{os.getpid()}{_PART}")
    # Nobody else may read it: there are secrets in every store.
    written = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    try:
        with written:
            yield written, path
        path.replace(file)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    folder = os.open(file.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name must outlive a crash too
    finally:
        os.close(folder)


class _Bars:
    """Bars of progress on standard error; none where nobody watches."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def through(self, what: str, blocks: Iterable[Block], bytes_total: int | None) -> Iterator[Block]:
        """Yield the blocks and show how far that is."""
        task, done = self._progress.add_task(what, total=bytes_total), 0
        for block in blocks:
            yield block
            done += sum(len(key) + len(value) for key, value in block)
            self._progress.update(task, completed=done)
        self._progress.update(task, total=done)  # what was expected was a guess


@contextmanager
def _bars() -> Iterator[_Bars]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    progress = Progress(*columns, TimeRemainingColumn(), console=err, transient=True, disable=not err.is_terminal)
    with progress:
        yield _Bars(progress)


@contextmanager
def _in_words(file: Path | None = None) -> Iterator[None]:
    """Turn what a person can mend into words for that person. `file` is the backup that is read or written."""
    try:
        yield
    except BackupUnreadable as error:
        raise CliError(f"{file} {error}") from error
    except StoreError as error:
        raise CliError(str(error)) from error
    except OSError as error:
        which = error.filename
        if file is not None and (which is None or str(which).endswith(_PART)):
            which = file  # a full disk names no file, and what is being written has a name of its own
        raise CliError(f"{which}: {error.strerror}" if which and error.strerror else str(error)) from error


def _flag(place: Place) -> str:
    return f"--data-dir {place}" if isinstance(place, Path) else "--store URL (the same as here)"


def _words(totals: Totals) -> str:
    return f"{totals.records:,} records ({_size(totals.bytes)})"


def _size(size_bytes: int) -> str:
    size, unit = float(size_bytes), "bytes"
    for larger in ("KB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
