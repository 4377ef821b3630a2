"""Several processes over one file: whose turn it is to write, and which commit was the last.

A process writes while it holds the *turn*, a lock on a file. SQLite's own lock would do, but who waits for that one
sleeps and looks again; here the system wakes the next at once. Who wants the turn stands in the *door* first, a second
lock, and leaves it when it has the turn. So who has just given the turn away finds the next one in the door, and does
not take it again before him.

The file of the turn also holds numbers that all processes see (it is mapped to memory):

    begun       the generation that the last commit that was begun makes
    committed   the generation that the last finished commit has made
    log bytes   about how much has been written to the log since it was last written back to the file

They are equal but for the length of a commit. Values read from the store are true for as long as `begun` is their
generation. Only who holds the turn changes them. A process that dies within a commit leaves them unequal, and the next
one that has the turn mends that: nobody knows what became of the commit, but a new generation is right in any case.
Nothing in them needs to survive the machine.
"""

import fcntl
import mmap
import os
from pathlib import Path

TURN_NAME = "cumulet.turn"
DOOR_NAME = "cumulet.door"

_BYTES = 4096
_BEGUN, _COMMITTED, _LOG_BYTES = range(3)


class Turns:
    """One process's part in taking turns. `take` blocks its thread; all else is a matter of microseconds."""

    def __init__(self, data_dir: Path) -> None:
        self._turn = os.open(data_dir / TURN_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        self._door = os.open(data_dir / DOOR_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self._turn, _BYTES)
        self._mapped = mmap.mmap(self._turn, _BYTES)
        self._numbers = memoryview(self._mapped).cast("Q")
        if self.try_take():  # a process of this group may have died within a commit; whoever has the turn mends that
            self.release()

    def try_take(self) -> bool:
        """Take the turn if nobody has it or waits for it; return whether it was."""
        if not _try_lock(self._door):
            return False
        try:
            if not _try_lock(self._turn):
                return False
        finally:
            fcntl.flock(self._door, fcntl.LOCK_UN)
        self._mend()
        return True

    def take(self) -> None:
        """Take the turn when it comes. Blocks."""
        fcntl.flock(self._door, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._turn, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._door, fcntl.LOCK_UN)
        self._mend()

    def release(self) -> None:
        """Give the turn away."""
        fcntl.flock(self._turn, fcntl.LOCK_UN)

    def begun(self) -> int:
        """Return the generation of the last commit that was begun."""
        return self._numbers[_BEGUN]

    def generation(self) -> int | None:
        """Return the generation of the store, or None while a commit is under way."""
        committed = self._numbers[_COMMITTED]  # read first: if none has begun since, it is still the last
        return committed if self._numbers[_BEGUN] == committed else None

    def begin_commit(self) -> None:
        """Say, before anyone could see it, that the store changes. Needs the turn."""
        self._numbers[_BEGUN] += 1

    def end_commit(self, log_bytes: int) -> None:
        """Say that the commit is done, or has failed. Needs the turn."""
        self._numbers[_LOG_BYTES] += log_bytes
        self._numbers[_COMMITTED] = self._numbers[_BEGUN]

    @property
    def log_bytes(self) -> int:
        """About how many bytes have been written to the log, by any process, since it was last written back."""
        return self._numbers[_LOG_BYTES]

    def log_is_written_back(self) -> None:
        """Begin to count anew. Needs the turn."""
        self._numbers[_LOG_BYTES] = 0

    def close(self) -> None:
        """Let go of both locks."""
        self._numbers.release()
        self._mapped.close()
        os.close(self._turn)
        os.close(self._door)

    def _mend(self) -> None:
        if self._numbers[_BEGUN] != self._numbers[_COMMITTED]:
            self._numbers[_COMMITTED] = self._numbers[_BEGUN]


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
