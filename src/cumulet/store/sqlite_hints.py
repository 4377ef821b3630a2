"""Hints between the processes over one file: a named pipe for each process that listens, in a folder of their own.

Who hints writes the topics to every pipe that lies there. A pipe that is full loses them, as hints may be lost; one
that nobody reads any more belonged to a process that was killed, and is removed by who finds it so.
"""

import asyncio
import errno
import os
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path

_READ_BYTES = 64 * 1024
_ATOMIC_BYTES = 512
"""POSIX promises that a write of so many bytes to a pipe is not mixed with others'."""

_numbers = count(1)


class Hints:
    """One process's ear, and its voice."""

    def __init__(self, folder: Path, heard: Callable[[str], None]) -> None:
        """`heard` is called on the event loop with each topic that another process hints at, once `listen` is."""
        self._folder = folder
        self._heard = heard
        self._name = f"{os.getpid()}-{next(_numbers)}"
        self._ear: int | None = None
        self._rest = b""
        self._voices: dict[str, int] = {}
        self._loop: asyncio.AbstractEventLoop

    def listen(self) -> None:
        """Hear hints from now on."""
        if self._ear is not None:
            return
        self._loop = asyncio.get_running_loop()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._folder / f".{self._name}"
        os.mkfifo(draft, 0o600)
        self._ear = os.open(draft, os.O_RDWR | os.O_NONBLOCK)  # to write too: it never ends for want of writers
        draft.rename(self._folder / self._name)  # seen now that it is read
        self._loop.add_reader(self._ear, self._read)

    def tell(self, topics: Iterable[str]) -> None:
        """Hint at the topics in all other processes."""
        lines = b"".join([topic.encode() + b"\n" for topic in topics])
        pieces = [lines] if len(lines) <= _ATOMIC_BYTES else lines.splitlines(keepends=True)
        for name in self._others():
            try:
                if (voice := self._voices.get(name)) is None:
                    voice = self._voices[name] = os.open(self._folder / name, os.O_WRONLY | os.O_NONBLOCK)
                for piece in pieces:
                    os.write(voice, piece)
            except BlockingIOError:
                continue
            except OSError as failure:
                if (lost := self._voices.pop(name, None)) is not None:
                    os.close(lost)
                if failure.errno in (errno.ENXIO, errno.EPIPE):
                    (self._folder / name).unlink(missing_ok=True)

    def close(self) -> None:
        """Fall silent, and hear nothing any more."""
        if self._ear is not None:
            self._loop.remove_reader(self._ear)
            (self._folder / self._name).unlink(missing_ok=True)
            os.close(self._ear)
        for voice in self._voices.values():
            os.close(voice)
        self._voices.clear()

    def _others(self) -> list[str]:
        try:
            with os.scandir(self._folder) as entries:
                names = [entry.name for entry in entries if entry.name != self._name and entry.name[0] != "."]
        except FileNotFoundError:
            names = []
        for name in self._voices.keys() - names:
            os.close(self._voices.pop(name))
        return names

    def _read(self) -> None:
        assert self._ear is not None
        try:
            data = self._rest + os.read(self._ear, _READ_BYTES)
        except BlockingIOError:
            return
        *lines, self._rest = data.split(b"\n")
        for topic in dict.fromkeys(lines):
            self._heard(topic.decode("utf-8", "replace"))
