"""The listening server: uvicorn with connections of our own, ended cleanly by a signal."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn

from cumulet.edge import limits
from cumulet.edge.connection import Answerer, Connection
from cumulet.edge.processes import DRAIN, END, Seat
from cumulet.edge.sharing import AcceptQueue, CountedConnections, Load

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class AddressInUse(OSError):
    """Another program listens where this server should."""


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket (port 0: any free one). Raises AddressInUse."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Before the store is opened: an early client waits in the queue instead of being refused.
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise AddressInUse(f"cannot listen on {host}:{port}: {error.strerror}") from error
    listener.setblocking(False)
    return listener


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling, which would end the process by the signal instead of with status 0."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], load: Load | None) -> None:
        super().__init__(config)
        self._ready = ready
        self._load = load
        self._queue: AcceptQueue | None = None
        self._draining: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._load is None:
            await super().startup(sockets)
        else:
            assert sockets is not None
            self.servers = []
            connections = CountedConnections(self._load)
            self.server_state.connections = connections
            self._queue = AcceptQueue(sockets[0], self._load, connections, self._make_connection)
            self.started = True
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._queue is not None:
            self._queue.stop()
        await super().shutdown(sockets)

    def drain(self) -> None:
        """Accept nothing more, and end when no client is left: another process has taken this one's place."""
        if self._draining is None and self._queue is not None:
            self._draining = asyncio.get_running_loop().create_task(self._drain(self._queue))

    async def _drain(self, queue: AcceptQueue) -> None:
        queue.stop()
        loop = asyncio.get_running_loop()
        began = loop.time()
        while loop.time() - began < limits.DRAIN_SECONDS_MAX:
            patient = loop.time() - began < limits.DRAIN_IDLE_SECONDS
            if queue.is_empty and not self.server_state.connections:
                break
            for connection in list(self.server_state.connections):
                assert isinstance(connection, Connection)
                if patient or not connection.is_idle:
                    connection.drain()
                else:
                    connection.shutdown()
            await asyncio.sleep(0.05)
        self.should_exit = True

    def _make_connection(self) -> asyncio.Protocol:
        return Connection(self.config, self.server_state)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: Callable[[], contextlib.AbstractAsyncContextManager[Answerer]],
    listener: socket.socket,
    *,
    ready: Callable[[], None] = lambda: None,
    seat: Seat | None = None,
) -> None:
    """Serve until a signal comes, finish what is in flight (bounded), leave `app`. A second signal cuts it short.

    With a `seat` this process is one of several that accept from the same listener.
    """
    loop = asyncio.get_running_loop()
    async with app() as answerer:
        server = _Server(_config(answerer), ready, None if seat is None else seat.load)

        def end() -> None:
            if server.should_exit:
                server.force_exit = True
            server.should_exit = True

        if seat is None:
            for number in SIGNALS:
                loop.add_signal_handler(number, end)
        else:
            loop.add_reader(seat.parent, os._exit, 1)  # killed, and everything ends with it
            loop.add_signal_handler(END, end)
            loop.add_signal_handler(DRAIN, server.drain)
        await server.serve(sockets=[listener])


def _config(answerer: Answerer) -> uvicorn.Config:
    return uvicorn.Config(
        answerer,  # type: ignore[arg-type]  # what `Connection` hands requests to; no ASGI application
        interface="asgi3",
        http=Connection,
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        # Nobody stands before the server whose word about the caller could be taken.
        proxy_headers=False,
        timeout_graceful_shutdown=limits.SHUTDOWN_SECONDS_MAX,
        backlog=2048,
    )
