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

    def __init__(self, *, isolated: bool, snapshot: str = "") -> None:
        """`snapshot`: what it is restored from."""
        self.snapshot = snapshot
        self._on_snapshot: Callable[[str], None] | None = None
        self._obstacle: str | None = None
        self.pid = 0
        """The guard's; 0 until it runs."""
        self.status: int | None = None
        """The wait status of the runtime, if it ended by itself."""
        self.refused: dict[str, str] = {}
        """Why programs could not be started: of extensions by name, of the runtime under the empty one."""
        self.on_end: Callable[[], None] = lambda: None
        self._on_part_end: Callable[[str, int], None] | None = None
        self._ended_parts: list[tuple[str, int]] = []
        self._isolated = isolated
        self.has_ended = False
        self.last_peak_kb = 0
        """The largest resident size that the runtime had, told when it has ended."""
        self._runtime_status: int | None = None
        self._stopped: set[int] = set()

    def watch_parts(self, on_part_end: Callable[[str, int], None]) -> None:
        """Have `on_part_end` called when the runtime (an empty name) or an extension has ended, with its wait status.

        Needed only where the end of one is not the end of all: where there are extensions.
        """
        self._on_part_end = on_part_end
        for part in self._ended_parts:
            on_part_end(*part)

    def watch_snapshot(self, on_snapshot: Callable[[str], None]) -> None:
        """Have `on_snapshot` called when others can be restored from this, or with why they cannot."""
        self._on_snapshot = on_snapshot
        if self._obstacle is not None:
            on_snapshot(self._obstacle)

    def snapshot_told(self, obstacle: str) -> None:
        """Others can be restored from this, unless there is an obstacle."""
        self._obstacle = obstacle
        if self._on_snapshot is not None:
            self._on_snapshot(obstacle)

    def runtime_ended(self, status: int, peak_kb: int) -> None:
        """The runtime has ended by itself."""
        self.status, self.last_peak_kb = status, peak_kb
        self.part_ended("", status)

    def part_ended(self, name: str, status: int) -> None:
        """The runtime or an extension has ended by itself."""
        if self._on_part_end is None:
            self._ended_parts.append((name, status))
        else:
            self._on_part_end(name, status)

    def signal_runtime(self, number: signal.Signals) -> None:
        """Send a signal to the runtime, if it has not ended."""
        if self.status is None and not self.has_ended and (children := _children(self.pid)):
            _send(children[0], number)

    def freeze(self) -> None:
        """Stop every process, whatever group or session it has made for itself."""
        if self.has_ended or not self.pid:
            return
        # All but the guard, which only waits, and must hear when the fork server ends.
        while found := [pid for pid in _descendants(self.pid) if pid not in self._stopped]:
            for pid in found:  # what was forked while we looked is found by the next look: the stopped do not fork
                _send(pid, signal.SIGSTOP)
            self._stopped.update(found)

    def thaw(self) -> None:
        """Let every process run on. An invocation waits for this, so nothing is looked up again."""
        if not self.has_ended:
            for pid in self._stopped:
                _send(pid, signal.SIGCONT)
        self._stopped.clear()

    def kill(self) -> None:
        """End everything. `on_end` is called when nothing is left."""
        if self.has_ended or not self.pid:
            return
        with contextlib.suppress(ProcessLookupError):
            # Without namespaces the guard itself hunts its descendants down, so it must be able to run.
            os.kill(self.pid, signal.SIGKILL if self._isolated else signal.SIGTERM)

    def end(self) -> None:
        """Nothing is left: say so, once."""
        if not self.has_ended:
            self.has_ended = True
            self._forget()
            self.on_end()

    def peak_kb(self) -> int:
        """Return the largest resident size that the runtime has had, in KB; 0 where the machine does not tell."""
        if self._runtime_status is None and not self._open_status():
            return self.last_peak_kb
        assert self._runtime_status is not None
        try:
            text = os.pread(self._runtime_status, 4096, 0)
        except ProcessLookupError:
            return self.last_peak_kb
        at = text.find(b"VmHWM:")
        return int(text[at + 6 : text.index(b"kB", at)]) if at >= 0 else self.last_peak_kb

    def used_kb(self, enough_kb: int) -> int:
        """Return the memory of the runtime and everything below it, in KB; 0 where the machine does not tell.

        A page that processes share counts once, as in a control group. That is dear to find out, so a sum of resident
        sizes up to `enough_kb` will do: it is never too small.
        """
        below = _descendants(self.pid)
        total = sum(map(_resident_kb, below))
        if total <= enough_kb or len(below) < 2:
            return total
        return _resident_kb(below[0]) + sum(map(_share_kb, below[1:]))

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


def find_inside(guard: int, number: int) -> int:
    """Return which child of a guard has this process id in the guard's own namespace; 0 if it has ended."""
    for pid in _children(guard):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/status").read_text()
            at = text.index("NSpid:")
            if int(text[at : text.index("\n", at)].split()[2]) == number:
                return pid
    return 0


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _resident_kb(pid: int) -> int:
    try:
        return int(_read(f"/proc/{pid}/statm").split(None, 2)[1]) * PAGE_KB
    except (OSError, IndexError):
        return 0


def _share_kb(pid: int) -> int:
    """Return a process's memory in KB, of each shared page only its share."""
    try:
        text = _read(f"/proc/{pid}/smaps_rollup")
    except OSError:
        return 0
    at = text.find(b"Pss:")
    return int(text[at + 4 : text.index(b"kB", at)]) if at >= 0 else 0


def _descendants(pid: int) -> list[int]:
    """Return every process below `pid`; its own children come first, in the order in which they were forked."""
    found = _children(pid)
    for one in found:  # grows as we go
        found += _children(one)
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208  see `_read`
            found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    except OSError:
        pass  # it ended while we looked, or this is not Linux
    return found


def _read(path: str) -> bytes:
    """Return a file of the kernel's. Those of busy environments are read all the time: `Path` takes thrice as long."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 65_536)
    finally:
        os.close(descriptor)
