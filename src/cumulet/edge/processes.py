"""A group of processes that serve together: a parent that forks the workers, and replaces those that end.

The parent has the listening socket and the lock on the data folder, imports everything once, and serves nothing. What
it forks shares all that. A worker that ends by itself is replaced, and so is each, one after the other, when the parent
is told to renew them (SIGHUP):

    starting --(it serves)--> serving --(another serves in its place)--> draining --(no client is left)--> gone

The parent ends its workers when it is told to end, and a second signal cuts that short. If it is killed itself the
kernel kills the workers; where the kernel cannot do that, they see the end of a pipe that only the parent could write
to. So nothing of a group outlives its parent.
"""

import contextlib
import ctypes
import gc
import logging
import mmap
import os
import select
import signal
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from cumulet.clock import Clock
from cumulet.edge import limits
from cumulet.edge.sharing import NOT_ACCEPTING, Load

log = logging.getLogger("cumulet.processes")

END, DRAIN = signal.SIGTERM, signal.SIGUSR1
"""What the parent tells a worker: to finish what is in flight and end; to end when no client is left."""

EARLY_S = 10.0
"""A worker that ends before has ended early; one that follows waits the longer, the more did so in a row."""

BACK_OFF_S = 0.2
BACK_OFF_S_MAX = 10.0

END_SECONDS_MAX = limits.SHUTDOWN_SECONDS_MAX + 20
"""Then workers are killed."""

_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
_PR_SET_PDEATHSIG = 1
_READY = b"ready"


class WorkersFailed(Exception):
    """The workers cannot be started, in words for the person who started them."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A worker's place in its group."""

    number: int
    """From 1. A worker that is replaced keeps its number to the end, so there may be more than workers."""
    load: Load
    ready: Callable[[], None]
    """Tells the parent that this worker serves."""
    parent: int
    """A descriptor that becomes readable when the parent has gone."""


@dataclass(slots=True, eq=False)
class _Worker:
    number: int
    pid: int
    line: int
    """Where it tells that it is ready, or why it cannot be; -1 when it has."""
    began_s: float
    state: str = "starting"
    replaces: "_Worker | None" = None
    said: bytes = b""


class ProcessGroup:
    """The parent's side. `run` returns when the group has ended."""

    def __init__(self, workers: int, work: Callable[[Seat], None], clock: Clock, ready: Callable[[], None]) -> None:
        """`work` serves in a forked process; `ready` is called once all of the first serve."""
        self._wanted = workers
        self._work = work
        self._clock = clock
        self._ready = ready
        self._workers: list[_Worker] = []
        self._to_renew: deque[_Worker] = deque()
        self._all_ready = False
        self._ending = 0
        self._kill_at_s = 0.0
        self._early_ends = 0
        self._start_at_s = 0.0
        self._counts = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("I")[: 2 * workers + 1]
        for number in range(len(self._counts)):
            self._counts[number] = NOT_ACCEPTING
        self._life = os.pipe()
        self._signals = os.pipe()
        self._caught: list[int] = []

    def run(self) -> None:
        """Keep the workers running until a signal ends them. Raises WorkersFailed if the first do not start."""
        for end in self._signals:
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._signals[1])
        for number in _HANDLED:
            signal.signal(number, lambda number, _: self._caught.append(number))
        gc.collect()
        gc.freeze()  # what is imported is shared with the workers; the collector's marks would copy it
        try:
            while self._workers or not self._ending:
                self._start_missing()
                self._renew_next()
                self._wait()
        finally:
            for worker in self._workers:
                self._send(worker, signal.SIGKILL)
                os.waitpid(worker.pid, 0)
            signal.set_wakeup_fd(-1)

    # What there is to do

    def _start_missing(self) -> None:
        if self._ending:
            return
        here = sum(worker.state != "draining" and worker.replaces is None for worker in self._workers)
        for _ in range(self._wanted - here):
            if self._clock.outside_s() < self._start_at_s:
                return
            self._start(None)

    def _renew_next(self) -> None:
        if self._ending or any(worker.state == "starting" for worker in self._workers):
            return
        if len(self._workers) >= 2 * self._wanted:
            return  # of those replaced before, too many are not yet done
        while self._to_renew:
            old = self._to_renew.popleft()
            if old in self._workers and old.state == "serving":
                self._start(old)
                return

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._signals[0], select.POLLIN)
        lines = {worker.line: worker for worker in self._workers if worker.line >= 0}
        for line in lines:
            poll.register(line, select.POLLIN)
        now = self._clock.outside_s()
        moments = [moment for moment in (self._start_at_s, self._kill_at_s) if moment > now]
        for descriptor, _ in poll.poll((min(moments) - now) * 1000 + 1 if moments else None):
            if descriptor == self._signals[0]:
                os.read(self._signals[0], 4096)
            else:
                self._hear(lines[descriptor])
        caught, self._caught = self._caught, []
        for number in caught:
            if number in (signal.SIGINT, signal.SIGTERM):
                self._end()
            elif number == signal.SIGHUP:
                self._renew()
        self._reap()
        if self._ending and self._clock.outside_s() >= self._kill_at_s:
            self._kill_at_s = self._clock.outside_s() + END_SECONDS_MAX
            for worker in self._workers:
                log.error("a worker process does not end, and is killed", extra={"worker_pid": worker.pid})
                self._send(worker, signal.SIGKILL)

    def _renew(self) -> None:
        log.info("the worker processes are replaced, one after the other")
        self._to_renew = deque(worker for worker in self._workers if worker.state == "serving")

    def _end(self) -> None:
        self._ending += 1
        self._kill_at_s = self._clock.outside_s() + (END_SECONDS_MAX if self._ending < 3 else 0)
        for worker in self._workers:
            self._send(worker, END)

    @staticmethod
    def _send(worker: _Worker, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid, number)

    # What workers tell

    def _hear(self, worker: _Worker) -> None:
        data = os.read(worker.line, 4096)
        worker.said += data
        if data and worker.said != _READY:
            return
        os.close(worker.line)
        worker.line = -1
        if worker.said == _READY:
            self._serves(worker)

    def _serves(self, worker: _Worker) -> None:
        worker.state = "serving"
        if worker.replaces is not None:
            worker.replaces.state = "draining"
            self._send(worker.replaces, DRAIN)
            worker.replaces = None
        serving = [worker for worker in self._workers if worker.state == "serving"]
        if len(serving) >= self._wanted and not self._all_ready:
            self._all_ready = True
            self._ready()

    def _reap(self) -> None:
        while self._workers:
            # Whoever it is: as the first process of a container this one is also given what killed workers leave.
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            for worker in [worker for worker in self._workers if worker.pid == pid]:
                self._workers.remove(worker)
                self._ended(worker, os.waitstatus_to_exitcode(status))

    def _ended(self, worker: _Worker, status: int) -> None:
        self._counts[worker.number] = NOT_ACCEPTING
        for other in self._workers:
            if other.replaces is worker:
                other.replaces = None  # it takes the place of a dead one, and nobody else need
        if worker.line >= 0:
            while data := os.read(worker.line, 4096):
                worker.said += data
            os.close(worker.line)
        if self._ending or worker.state == "draining":
            return
        said = worker.said.removeprefix(_READY).decode()
        if not self._all_ready:
            raise WorkersFailed(said or f"A worker process ended with status {status} before all of them were ready")
        if self._clock.outside_s() - worker.began_s >= EARLY_S:
            self._early_ends = 0
            pause_s = 0.0
        else:
            pause_s = self._wait_longer()
        how = said or (f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}")
        if worker.replaces is not None:
            self._to_renew.clear()  # what cannot replace one cannot replace the others
            log.error("a new worker process did not start; the old ones stay", extra={"how": how})
            return
        log.error(
            "a worker process has ended by itself; another takes its place",
            extra={"worker_pid": worker.pid, "how": how, "after_s": round(pause_s, 1)},
        )

    def _wait_longer(self) -> float:
        """Put off the next start; return by how many seconds. The first early end in a row puts off nothing."""
        self._early_ends += 1
        pause_s = min(BACK_OFF_S * 2 ** (self._early_ends - 2), BACK_OFF_S_MAX) if self._early_ends > 1 else 0.0
        self._start_at_s = self._clock.outside_s() + pause_s
        return pause_s

    # Starting one

    def _start(self, replaces: _Worker | None) -> None:
        taken = {worker.number for worker in self._workers}
        number = next(number for number in range(1, len(self._counts)) if number not in taken)
        parent = os.getpid()
        _flush()
        try:
            line, theirs = os.pipe()
        except OSError as failure:
            self._not_started(failure)
            return
        signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)  # what comes before the worker can heed it waits
        try:
            pid = os.fork()
        except OSError as failure:
            os.close(line)
            self._not_started(failure)
            return
        else:
            if pid == 0:
                _die_with(parent)
                self._be_worker(number, theirs, [line, *(worker.line for worker in self._workers if worker.line >= 0)])
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
            os.close(theirs)
        self._workers.append(_Worker(number, pid, line, self._clock.outside_s(), replaces=replaces))

    def _not_started(self, failure: OSError) -> None:
        """Go on with those that there are: the machine may have processes and files to spare again later."""
        if not self._all_ready:
            raise WorkersFailed(f"No worker process can be started: {failure.strerror}")
        self._to_renew.clear()
        self._early_ends = max(self._early_ends, 1)
        pause_s = self._wait_longer()
        log.error(
            "no worker process can be started; it is tried again",
            extra={"reason": failure.strerror, "after_s": round(pause_s, 1)},
        )

    def _be_worker(self, number: int, line: int, others: list[int]) -> None:
        status, serves = 1, False

        def ready() -> None:
            nonlocal serves
            serves = True
            self._say(line, _READY)

        try:
            signal.set_wakeup_fd(-1)
            for ignored in (signal.SIGINT, signal.SIGHUP):  # a terminal sends them to all; the parent says what is done
                signal.signal(ignored, signal.SIG_IGN)
            for default in (signal.SIGTERM, signal.SIGCHLD):
                signal.signal(default, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
            for descriptor in (self._life[1], *self._signals, *others):
                os.close(descriptor)
            self._work(Seat(number, Load(self._counts, number), ready, self._life[0]))
            status = 0
        except WorkersFailed as failure:
            if serves:  # the line is closed, and its number is another file's by now
                log.error("a worker process failed", extra={"said": str(failure)})
            else:
                self._say(line, str(failure).encode())
        except Exception:
            log.exception("a worker process failed")
        finally:
            _flush()
            os._exit(status)  # what the parent would do at its end is not the worker's

    @staticmethod
    def _say(line: int, what: bytes) -> None:
        os.write(line, what)
        os.close(line)


def _flush() -> None:
    """Write out what was said, if anybody listens: a worker must not become a second parent for want of a reader."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, where it can do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
