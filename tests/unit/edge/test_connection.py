"""Slow and silent clients: real sockets against uvicorn with the bounded connection, less patient than it is."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvicorn

from cumulet.edge.connection import BoundedConnection

ANSWER = b"x" * (8 * 1024 * 1024)


class ImpatientConnection(BoundedConnection):
    head_seconds_max = 0.1
    body_silence_seconds_max = 0.1
    unread_seconds_max = 0.1
    lost: asyncio.Event

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.lost.set()


async def app(scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    while (message := await receive()).get("more_body"):
        pass
    if message["type"] == "http.disconnect":
        return
    body = ANSWER if scope["path"] == "/large" else b"ok"
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    ImpatientConnection.lost = asyncio.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=ImpatientConnection, ws="none", lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server._serve([listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await serving


async def say(port: int, *pieces: bytes) -> bytes:
    """Send the pieces, then nothing more; return all that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
    received = b""
    with contextlib.suppress(ConnectionResetError):
        received = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return received


async def test_a_connection_that_says_nothing_is_cut(port: int) -> None:
    assert await say(port) == b""


async def test_headers_that_stop_half_way_are_cut(port: int) -> None:
    assert await say(port, b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ") == b""


async def test_a_body_that_stops_half_way_is_cut(port: int) -> None:
    assert await say(port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345") == b""


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("head_seconds_max", "body_silence_seconds_max"):
        monkeypatch.setattr(ImpatientConnection, name, 60)


@pytest.mark.usefixtures("patient")
async def test_a_body_whose_sender_has_gone_is_not_waited_for(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 5) == b""
    await asyncio.wait_for(ImpatientConnection.lost.wait(), 5)
    writer.close()


@pytest.mark.usefixtures("patient")
async def test_who_has_said_all_is_answered(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345")
    writer.write_eof()
    assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"ok")
    writer.close()


async def test_a_second_request_that_stops_half_way_is_cut(port: int) -> None:
    whole = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    assert (await say(port, whole, b"GET / HTTP/1.1\r\nHo")).endswith(b"\r\n\r\nok")


async def test_an_answer_that_nobody_reads_is_given_up(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(ImpatientConnection.lost.wait(), 5)


async def test_a_client_that_takes_its_time_within_bounds_is_served(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\n")
    for _ in range(4):
        await asyncio.sleep(0.05)  # real time, as above
        writer.write(b"1")
    assert (await reader.read()).endswith(b"ok")
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
