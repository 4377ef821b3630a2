"""The listening server: uvicorn with bounded connections, ended cleanly by a signal."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn

from cumulet.edge import limits
from cumulet.edge.connection import Answerer, Connection

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

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: Callable[[], contextlib.AbstractAsyncContextManager[Answerer]],
    listener: socket.socket,
    *,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve until a signal comes, finish what is in flight (bounded), leave `app`. A second signal cuts it short."""
    loop = asyncio.get_running_loop()
    async with app() as answerer:
        server = _Server(_config(answerer), ready)

        def end() -> None:
            if server.should_exit:
                server.force_exit = True
            server.should_exit = True

        for number in SIGNALS:
            loop.add_signal_handler(number, end)
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
