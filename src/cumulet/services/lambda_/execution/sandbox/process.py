"""One environment's processes, seen from the server: freeze, thaw, kill, and how much memory they use."""

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


class Sandbox:
    """A guard, the runtime below it, and whatever the function started.

    The guard leads a process group; where there are namespaces its death is the death of all.
    """

    def __init__(self, *, isolated: bool) -> None:
        self.pid = 0
        """The guard's; 0 until it runs."""
        self.status: int | None = None
        """The wait status of the runtime, if it ended by itself."""
        self.on_end: Callable[[], None] = lambda: None
        self._isolated = isolated
        self.has_ended = False
        self._runtime_status: int | None = None

    def freeze(self) -> None:
        """Stop every process of the group."""
        self._signal_group(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the group run on."""
        self._signal_group(signal.SIGCONT)

    def kill(self) -> None:
        """End everything. `on_end` is called when nothing is left."""
        if self.has_ended or not self.pid:
            return
        with contextlib.suppress(ProcessLookupError):
            # Without namespaces the guard itself hunts its descendants down, so it must be able to run.
            os.kill(self.pid, signal.SIGKILL if self._isolated else signal.SIGTERM)
            os.kill(self.pid, signal.SIGCONT)

    def end(self) -> None:
        """Nothing is left: say so, once."""
        if not self.has_ended:
            self.has_ended = True
            self._forget()
            self.on_end()

    def _signal_group(self, number: signal.Signals) -> None:
        if not self.has_ended and self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def peak_kb(self) -> int:
        """Return the largest resident size that the runtime has had, in KB; 0 where the machine does not tell."""
        if self._runtime_status is None and not self._open_status():
            return 0
        assert self._runtime_status is not None
        try:
            text = os.pread(self._runtime_status, 4096, 0)
        except ProcessLookupError:
            return 0
        at = text.find(b"VmHWM:")
        return int(text[at + 6 : text.index(b"kB", at)]) if at >= 0 else 0

    def resident_kb(self) -> int:
        """Return the resident size of the runtime and everything below it, in KB; 0 where the machine does not tell."""
        total, waiting = 0, _children(self.pid)
        while waiting:
            pid = waiting.pop()
            try:
                total += int(Path(f"/proc/{pid}/statm").read_bytes().split(None, 2)[1]) * PAGE_KB
            except (OSError, IndexError):
                continue
            waiting += _children(pid)
        return total

    def _open_status(self) -> bool:
        children = _children(self.pid)
        if not children or self.has_ended:
            return False
        try:
            self._runtime_status = os.open(f"/proc/{children[0]}/status", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        return True

    def _forget(self) -> None:
        if self._runtime_status is not None:
            os.close(self._runtime_status)
            self._runtime_status = None


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_bytes().split())
    except OSError:
        pass  # it ended while we looked, or this is not Linux
    return found
