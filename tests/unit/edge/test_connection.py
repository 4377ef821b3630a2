"""Connections over real sockets: slow and silent clients (with less patience than the real one), order, bodies."""

import asyncio
import contextlib
import gc
import re
import socket
import struct
import weakref
from collections.abc import AsyncIterator

import pytest
import uvicorn

from cumulet.edge.connection import HEAD_BYTES_KEPT_MAX, Connection
from cumulet.wire.message import BrokeOff, Request, Response
from patience import until

ANSWER = b"x" * (8 * 1024 * 1024)


class ImpatientConnection(Connection):
    head_seconds_max = 0.1
    body_silence_seconds_max = 0.1
    unread_seconds_max = 0.1
    lost: asyncio.Event
    made: list["ImpatientConnection"]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.made.append(self)

    @classmethod
    def end_all(cls) -> None:
        for connection in cls.made:
            connection.shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.lost.set()


class Echo:
    """Answers at once, with a body by its path; `gate` holds answers back."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.let_go = asyncio.Event()
        self.flooded = 0
        self.seen: list[Request] = []

    async def answer(self, request: Request) -> Response:
        self.seen.append(request)
        if request.path == "/held":
            await self.gate.wait()
        if request.path in ("/stream", "/broken", "/failed"):
            return Response(200, (), self.pieces(request.path))
        if request.path == "/none-streamed":
            return Response(304, (), self.pieces(request.path))
        if request.path == "/flood":
            return Response(200, (), self.flood())
        if request.path == "/late":
            await self.gate.wait()
            return Response(200, (), self.flood())
        if request.path == "/injected":
            return Response(200, (("x-a", "1\r\nx-b: 2"), ("no name", "3"), ("Content-Length", "99")), b"ok")
        if request.path == "/typed":
            return Response(200, (("content-type", "a/b\r\nx-b: 2"),), b"ok")
        if request.path == "/halved":
            return Response(200, (("x-a", "\ud83d"),), b"ok")
        if request.path == "/unsayable":
            return Response(1000, (), b"ok")
        if request.path == "/nothing":
            return Response(204, ())
        if request.path == "/fails":
            raise RuntimeError("broken")
        return Response(200, (), {"/large": ANSWER, "/echo": request.body}.get(request.path, b"ok"))

    async def pieces(self, path: str) -> AsyncIterator[bytes]:
        yield b"one"
        if path == "/broken":
            raise RuntimeError("broken")
        if path == "/failed":
            raise BrokeOff
        yield b""
        yield b"two"

    async def flood(self) -> AsyncIterator[bytes]:
        """Give more than anybody wants, and then nothing for as long as it takes to be told of the end."""
        try:
            for self.flooded in range(1, 65):
                yield ANSWER[: 1024 * 1024]
            await asyncio.Event().wait()
        finally:
            self.let_go.set()

    def body_limit(self, head: Request) -> int:
        return 2 * 1024 * 1024

    def too_large(self, head: Request) -> Response:
        return Response(413, (), b"too large")


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def port(echo: Echo) -> AsyncIterator[int]:
    ImpatientConnection.lost = asyncio.Event()
    ImpatientConnection.made = []
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        echo,  # type: ignore[arg-type]
        interface="asgi3",
        http=ImpatientConnection,
        ws="none",
        lifespan="off",
        log_config=None,
        proxy_headers=False,
    )
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
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
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


def request_line(path: str, *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
    fields = ["Host: x", *headers, *([f"Content-Length: {len(body)}"] if body else [])]
    return f"{method} {path} HTTP/1.1\r\n{''.join(field + chr(13) + chr(10) for field in fields)}\r\n".encode() + body


LAST = "Connection: close"


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    ("sent", "statuses", "ends_with"),
    [
        (request_line("/stream", LAST), [b"200"], b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"),
        (request_line("/stream", LAST, method="HEAD"), [b"200"], b"\r\n\r\n"),
        (b"GET /stream HTTP/1.0\r\nHost: x\r\n\r\n", [b"200"], b"\r\n\r\nonetwo"),
        (request_line("/none-streamed") + request_line("/", LAST), [b"304", b"200"], b"ok"),
        (request_line("/failed"), [b"200"], b"\r\n\r\n3\r\none\r\n"),
        (b"GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", [b"200"], b"\r\n\r\nok"),
        (request_line("/", LAST, method="HEAD"), [b"200"], b"content-length: 2\r\nconnection: close\r\n\r\n"),
        (request_line("/nothing", LAST), [b"204"], b"connection: close\r\n\r\n"),
        (request_line("/fails"), [b"500"], b"Internal Server Error"),
        (request_line("/", "Upgrade: h2c", "Connection: Upgrade") + request_line("/", LAST), [b"200", b"200"], b"ok"),
        (request_line("/", LAST) + request_line("/again"), [b"200"], b"ok"),
        (request_line("http://elsewhere/?a=1#b", LAST), [b"200"], b"ok"),
        (request_line("/", "Host: b", LAST), [b"400"], b"."),
        (request_line("/echo", "Transfer-Encoding: gzip, chunked", method="POST", body=b"0\r\n\r\n"), [b"400"], b"."),
        (
            request_line("/held") + request_line("/", method="POST", body=b"x") + b"!\r\n\r\n",
            [b"200", b"200", b"400"],
            b".",
        ),
    ],
)
async def test_answers(port: int, sent: bytes, statuses: list[bytes], ends_with: bytes) -> None:
    received = await say(port, sent)
    assert re.findall(rb"HTTP/1\.1 (\d+) ", received) == statuses
    assert received.endswith(ends_with)


async def test_requests_in_line_are_answered_in_order_and_not_read_ahead(port: int, echo: Echo) -> None:
    echo.gate.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        request_line("/held") + request_line("/echo", method="POST", body=b"second") + b"GET /third HTTP/1.1\r\n"
    )
    for _ in range(5):
        await asyncio.sleep(0.05)  # real time: longer than a head may take, which the third has not yet begun to cost
    assert [request.path for request in echo.seen] == ["/held"]
    echo.gate.set()
    writer.write(b"Host: x\r\nConnection: close\r\n\r\n")
    received = await asyncio.wait_for(reader.read(), 5)
    assert re.findall(rb"\r\n\r\n(ok|second)", received) == [b"ok", b"second", b"ok"]
    assert [request.path for request in echo.seen] == ["/held", "/echo", "/third"]
    writer.close()


async def test_each_head_is_read_for_itself(port: int, echo: Echo) -> None:
    heads = [
        [("x-a", "1"), ("x-b", "2")],
        [("x-a", "1"), ("x-b", "3")],
        [("x-b", "3"), ("x-a", "1")],
        [("x-b", "3")],
        [("x-b", "3"), ("x-long", "y" * HEAD_BYTES_KEPT_MAX)],
        [("x-b", "3"), ("x-long", "z" * HEAD_BYTES_KEPT_MAX)],
        [("x-b", "\xe4"), ("X-B", "3")],
        [("X-B", "\xe4"), ("x-b", "3")],
    ]
    lines = [[f"{name}: {value}" for name, value in head] for head in heads]
    for head in lines:
        head.insert(0, "Host: x")
    lines[-1].append("Connection: close")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number, head in enumerate(lines):  # a read each, as from a client that waits for its answers
        writer.write("\r\n".join([f"GET /{number} HTTP/1.1", *head, "", ""]).encode("latin-1"))
        await reader.readuntil(b"\r\n\r\nok")
    assert [[pair for pair in request.headers if pair[0][:2] == "x-"] for request in echo.seen] == [
        [(name.lower(), value) for name, value in head] for head in heads
    ]
    assert echo.seen[-1].headers.spellings()["x-b"] == "X-B"
    writer.close()


async def test_blanks_around_a_value_are_none_of_it(port: int, echo: Echo) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for value in (b"", b"a ", b"  a \t", b"b c \t "):  # the first is read as a new head, the others after one
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + value + b"\r\n\r\n")
        await reader.readuntil(b"\r\n\r\nok")
    assert [request.headers.get("x-a") for request in echo.seen] == ["", "a", "a", "b c"]
    writer.close()


async def test_headers_cannot_be_written_through_headers(port: int) -> None:
    received = await say(port, request_line("/injected", LAST))
    assert b"\r\nx-a: 1  x-b: 2\r\n" in received
    assert b"no name" not in received
    assert received.lower().count(b"content-length") == 1
    assert received.endswith(b"\r\n\r\nok")


async def test_a_type_that_is_kept_as_it_is_written_is_one_line_too(port: int) -> None:
    answered = await say(port, request_line("/typed") + request_line("/typed", LAST))
    assert answered.count(b"\r\ncontent-type: a/b  x-b: 2\r\n") == 2
    assert b"\nx-b" not in answered


async def test_half_a_character_in_a_header_is_sent_as_a_question_mark(port: int) -> None:
    # A function that cuts a text may cut a surrogate pair, and its JSON tells of the half.
    received = await say(port, request_line("/halved", LAST))
    assert b"\r\nx-a: ?\r\n" in received
    assert received.endswith(b"\r\n\r\nok")


@pytest.mark.usefixtures("patient")
async def test_an_answer_that_cannot_be_sent_cuts_the_connection(port: int) -> None:
    assert await say(port, request_line("/unsayable") + request_line("/")) == b""


async def test_a_stream_that_breaks_off_is_not_ended_properly(port: int) -> None:
    assert not (await say(port, request_line("/broken"))).endswith(b"0\r\n\r\n")


async def test_what_nobody_reads_is_not_made(port: int, echo: Echo) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request_line("/flood"))
        await asyncio.wait_for(ImpatientConnection.lost.wait(), 5)
    await asyncio.wait_for(echo.let_go.wait(), 5)
    assert 0 < echo.flooded < 32  # what the kernel took, and one piece more


@pytest.mark.usefixtures("patient")
async def test_who_makes_a_stream_is_told_that_its_reader_has_gone(port: int, echo: Echo) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_line("/flood"))
    taken = 0
    while taken < 64 * 1024 * 1024:
        piece = await asyncio.wait_for(reader.read(1024 * 1024), 5)
        assert piece, "the stream has ended"
        taken += len(piece)
    assert not echo.let_go.is_set()
    # Nothing is being sent to it, so its end alone, which says no more than that it has no more to say, would not do.
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    await asyncio.wait_for(echo.let_go.wait(), 5)


@pytest.mark.usefixtures("patient")
async def test_a_stream_whose_reader_has_gone_before_it_began(port: int, echo: Echo) -> None:
    echo.gate.clear()
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_line("/late"))
    await until(lambda: echo.seen, "the request has come")
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    await asyncio.wait_for(ImpatientConnection.lost.wait(), 5)
    echo.gate.set()
    await asyncio.wait_for(echo.let_go.wait(), 5)
    assert echo.flooded == 1


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    ("sent", "ends_with"),
    [
        (b"", b""),
        (request_line("/"), b"ok"),
        (request_line("/") + b"GET / HTTP/1.1\r\nHo", b"ok"),
        (request_line("/stream"), b"0\r\n\r\n"),
        (request_line("/", LAST), b"ok"),
        (b"no request\r\n\r\n", b"."),
    ],
)
async def test_nothing_stays_of_a_connection_that_is_over(port: int, sent: bytes, ends_with: bytes) -> None:
    # Neither in a task nor in a circle, which only the garbage collector would find.
    gc.disable()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        received = b""
        while sent and not received.endswith(ends_with):
            received += await asyncio.wait_for(reader.read(4096), 5)
        async with asyncio.timeout(5):
            while not ImpatientConnection.made:
                await asyncio.sleep(0)
            over = weakref.ref(ImpatientConnection.made.pop())
            writer.close()
            while over() is not None:
                await asyncio.sleep(0)
    finally:
        gc.enable()


@pytest.mark.usefixtures("patient")
async def test_who_asks_before_sending_a_body_is_told_to_go_on(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = request_line("/echo", "Expect: 100-continue", "Content-Length: 5", LAST, method="POST")
    writer.write(head)
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"hello")
    assert (await reader.read()).endswith(b"\r\n\r\nhello")
    writer.close()


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("framing", ["Content-Length: 3000000", "Transfer-Encoding: chunked"])
async def test_a_body_over_its_limit_is_refused_after_what_came_before(port: int, framing: str) -> None:
    body = b"2dc6c0\r\n" + b"x" * 3_000_000 if "chunked" in framing else b""
    received = await say(port, request_line("/held") + request_line("/", framing, method="POST") + body)
    assert re.findall(rb"HTTP/1\.1 (\d+) ", received) == [b"200", b"413"]


async def test_a_body_that_comes_in_pieces_is_one(port: int, echo: Echo) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_line("/echo?q=%20", "Transfer-Encoding: chunked", LAST, method="POST"))
    for piece in (b"3\r\nab", b"c\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n"):
        writer.write(piece)
        await writer.drain()
    assert (await reader.read()).endswith(b"abcde")
    request = echo.seen[0]
    assert (request.path, request.query, request.body) == ("/echo", "q=%20", b"abcde")
    assert "x-trailer" not in request.headers
    assert request.headers.spellings()["transfer-encoding"] == "Transfer-Encoding"
    writer.close()


@pytest.mark.usefixtures("patient")
async def test_a_server_that_stops_finishes_what_is_under_way(port: int, echo: Echo) -> None:
    echo.gate.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_line("/held"))
    await until(lambda: echo.seen, "the request has come")
    idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", port)
    idle_writer.write(request_line("/"))
    await idle_reader.readuntil(b"ok")
    ImpatientConnection.end_all()
    assert await idle_reader.read() == b""
    echo.gate.set()
    received = await reader.read()
    assert b"connection: close" in received
    writer.close()
    idle_writer.close()
