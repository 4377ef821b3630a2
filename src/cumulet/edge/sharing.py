"""One queue of new connections for several processes, which take from it in turn.

All processes accept from the same listening socket, so a connection waits for whoever has time, and is not lost when a
process dies. But who is awake would take all that come at once, and a connection that is kept alive stays where it is.
So a process leaves a new one for a moment to others that have fewer, and takes it if none of them does.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger("cumulet.edge")

LEAVE_TO_OTHERS_S = 0.002
"""How long a connection is left to those that have fewer."""

ALONE_MAX = 64
"""When none of them comes one is taken, two the next time, up to so many, before they are waited for again."""

FULL_S = 0.1
"""How long to wait when this process can open no more files."""

NOT_ACCEPTING = 2**32 - 1


class Load:
    """How many connections each process has, for all to see."""

    def __init__(self, counts: memoryview, mine: int) -> None:
        """`counts` has a place for each process, NOT_ACCEPTING if there is none; `mine` is this one's."""
        self._counts = counts
        self._mine = mine

    def tell(self, connections: int) -> None:
        """Say how many connections this process has (or NOT_ACCEPTING)."""
        self._counts[self._mine] = connections

    def others_have_fewer(self) -> bool:
        """Return whether a process that accepts has fewer connections than this one."""
        return min(self._counts) < self._counts[self._mine]

    def others(self) -> bytes:
        """Return something that changes when another process has taken a connection, or lost one."""
        return self._counts[: self._mine].tobytes() + self._counts[self._mine + 1 :].tobytes()


class CountedConnections(set[Any]):
    """The connections of this process; adding one and discarding it tell the others."""

    def __init__(self, load: Load) -> None:
        super().__init__()
        self._load = load
        self.accepted = 0
        """Those that are not yet added."""
        self.counts = True

    def add(self, connection: Any) -> None:
        super().add(connection)
        self.accepted = max(self.accepted - 1, 0)  # counted twice, it would send the next one elsewhere
        self.tell()

    def discard(self, connection: Any) -> None:
        super().discard(connection)
        self.tell()

    def tell(self) -> None:
        """Tell the others."""
        if self.counts:
            self._load.tell(len(self) + self.accepted)


class AcceptQueue:
    """This process's end of the queue."""

    def __init__(
        self,
        listener: socket.socket,
        load: Load,
        connections: CountedConnections,
        make: Callable[[], asyncio.Protocol],
    ) -> None:
        self._listener = listener
        self._load = load
        self._connections = connections
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._left_at = 0.0
        self._others_then = b""
        self._alone = 1
        self._alone_for = 0
        self._connections.tell()
        self._loop.add_reader(listener, self._come)

    def stop(self) -> None:
        """Accept nothing more; what waits in the queue is for the others."""
        self._loop.remove_reader(self._listener)
        if self._timer is not None:
            self._timer.cancel()
        self._connections.counts = False
        self._load.tell(NOT_ACCEPTING)

    @property
    def is_empty(self) -> bool:
        """Whether no accepted connection is still on its way."""
        return not self._tasks

    def _come(self) -> None:
        if self._leave_it():
            self._rest(LEAVE_TO_OTHERS_S)
            return
        try:
            connected, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as failure:
            log.error("no connection can be accepted", extra={"reason": failure.strerror})
            self._rest(FULL_S)
            return
        connected.setblocking(False)
        self._connections.accepted += 1
        self._connections.tell()
        self._spawn(self._connect(connected))

    def _leave_it(self) -> bool:
        if not self._load.others_have_fewer():
            return False
        if self._alone_for > 0:
            self._alone_for -= 1
            return False
        others, now = self._load.others(), self._loop.time()
        if others == self._others_then and now - self._left_at < 5 * LEAVE_TO_OTHERS_S:
            # We have just left it to them, and none of them moved: they are busy, or hang.
            self._others_then = b""
            self._alone_for = self._alone - 1
            self._alone = min(2 * self._alone, ALONE_MAX)
            return False
        if self._others_then:
            self._alone = 1
        self._others_then, self._left_at = others, now
        return True

    async def _connect(self, connected: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, connected)
        except OSError:
            connected.close()  # it has gone already
            self._connections.accepted -= 1
            self._connections.tell()

    def _rest(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._timer = self._loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._timer = None
        self._loop.add_reader(self._listener, self._come)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
