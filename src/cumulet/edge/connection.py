"""One client connection: bytes -> Requests -> their answers, in order. HTTP/1.1 over httptools' parser, with bounds.

    HEAD --(headers complete)--> BODY --(message complete)--> HEAD ...      what the parser is in
    IDLE --(a request is whole)--> ANSWERING --(the last answer is out)--> IDLE

Requests that come while one is answered wait in line, and the socket is not read meanwhile. An answer goes out in one
write, or in one for each piece of it: then the next is asked for when the client has taken the last, and whoever makes
them is told when the client has gone. What breaks a bound is answered after what came before it (400, 413, 431, then
nothing more is heard), or cut: heads that do not end, bodies that drip or fall silent, answers that nobody reads,
connections that say nothing.

Why this and not uvicorn's connection with an ASGI application behind it: docs/decisions/0005-uvicorn-with-bounds.md.
"""

import asyncio
import contextlib
import logging
import re
from collections import deque
from collections.abc import AsyncIterator
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Protocol, TypeAlias, cast

import httptools
import msgspec

from cumulet.edge import limits
from cumulet.wire.message import BrokeOff, Headers, Request, Response, field_text

log = logging.getLogger("cumulet.edge")

BODY_BYTES_ALWAYS_FINE = 1024 * 1024
"""No limit is lower, so nobody asks which one applies."""

HEAD_BYTES_ALWAYS_FINE = 8 * 1024
"""No limit is lower, so a head in so few bytes is not counted."""

HEAD_BYTES_KEPT_MAX = 4 * 1024
"""An idle connection keeps no longer head than this."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSE = ("connection", "close")
_BODILESS = (204, 304)
_SERVER_FULL = Response(503, (("content-type", "text/plain; charset=utf-8"), _CLOSE), b"Service Unavailable")
_FAILED = Response(500, (("content-type", "text/plain; charset=utf-8"), _CLOSE), b"Internal Server Error")

# Functions choose headers too: a line break in one would let them write headers, or answers, of their own.
_find_control = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]").search
_replace_controls = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]").sub
_is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch


class Answerer(Protocol):
    """What stands behind the sockets."""

    async def answer(self, request: Request) -> Response:
        """Return the answer; never raises."""
        ...

    def body_limit(self, head: Request) -> int:
        """Return how many bytes the body of a request with this head may have."""
        ...

    def too_large(self, head: Request) -> Response:
        """Return the answer to a request whose body is over its limit."""
        ...


class _Unanswerable(Exception):
    """The parser stops here: `answer` is the last one on this connection."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status)
        self.answer = answer


_Fields: TypeAlias = list[tuple[bytes, bytes]]

_Head: TypeAlias = tuple[str, str, str, Headers, str, int]
"""Method, path, query, headers, version, and how long all that is."""


class _Waiting(msgspec.Struct, frozen=True):
    """A request in line, or an answer that only waits for those before it."""

    request: Request | None
    answer: Response | None
    keeps_alive: bool


class Connection(asyncio.Protocol):
    """Made by uvicorn's server, which accepts connections and ends them when it stops (`shutdown`)."""

    head_seconds_max = limits.HEAD_SECONDS_MAX
    body_silence_seconds_max = limits.BODY_SILENCE_SECONDS_MAX
    unread_seconds_max = limits.UNREAD_SECONDS_MAX

    def __init__(
        self, config: Any, server_state: Any, app_state: Any = None, _loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self._answerer: Answerer = config.loaded_app
        self._server = server_state
        self._loop = _loop or asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._client_ip = "127.0.0.1"
        self._scheme = "http"
        # What is being read
        self._in_head = False
        self._in_body = False
        self._heads_begun = 0
        self._unparsed_bytes = 0
        self._read_bytes = 0
        """What has been read since before the head began."""
        self._url = b""
        self._fields: _Fields = []
        self._last_headers = Headers()
        """Of the head before: a client's next head is mostly its last one."""
        self._head: _Head | None = None
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._body_limit = BODY_BYTES_ALWAYS_FINE
        self._body_ends_at = 0.0
        # What is being answered
        self._line: deque[_Waiting] = deque()
        self._answering = False
        self._task: asyncio.Task[None] | None = None
        """What answers, one request after the other, and rests in between: a task for each would cost more."""
        self._rest: asyncio.Future[None]
        self._streaming = False
        self._reading = True
        self._heard_all = False
        """Nothing more is read: the client said that this was its last request, or broke a bound."""
        self._sender_done = False
        self._ending = False
        """The server stops: after the answer under way the connection is closed."""
        self._drained: asyncio.Event | None = None
        # When the client must have done what it is waited for
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None

    # The socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server.connections.add(self)
        if peer := transport.get_extra_info("peername"):
            self._client_ip = peer[0]
        if transport.get_extra_info("sslcontext") is not None:
            self._scheme = "https"
        self._expect_within(self.head_seconds_max)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        for timer in (self._timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
        if self._drained is not None:
            self._drained.set()
        # It knows this connection too: together they would stay until the collector looks, which is seldom.
        del self._parser
        if self._streaming and self._task is not None:
            self._task.cancel()
        elif not self._answering:
            self._line.clear()
            if self._task is not None and not self._rest.done():
                self._rest.set_result(None)  # the task finds nothing to answer, and ends

    def eof_received(self) -> bool:
        # A client that has said all may still be listening: what it asked for is answered first.
        self._sender_done = True
        return self._answering

    def data_received(self, data: bytes) -> None:
        if self._heard_all:
            return
        if self._in_head:
            head: int | None = self._heads_begun
            self._read_bytes += len(data)
        else:
            head = None
            self._read_bytes = len(data)
        rest = data
        while rest:
            try:
                self._parser.feed_data(rest)
                break
            except httptools.HttpParserUpgrade as upgrade:
                # Nothing is upgraded here, so the request is answered as it stands (Java's client asks for h2c).
                rest = rest[upgrade.args[0] :]
            except httptools.HttpParserError as error:
                self._refuse(error.__context__ if isinstance(error.__context__, _Unanswerable) else None)
                return
        if self._in_head:
            # Headers that never end are not reported by the parser, so what it holds back is counted here.
            # Of the read in which a head begins it is not known how much is its own; that is less than one read.
            self._unparsed_bytes = self._unparsed_bytes + len(data) if head == self._heads_begun else 0
            if self._unparsed_bytes > limits.HEAD_BYTES_MAX:
                self._refuse(_Unanswerable(_head_too_large()))
            elif head != self._heads_begun and self._reading:
                self._expect_within(self.head_seconds_max)
        elif self._in_body and self._reading:
            self._expect_within(min(self.body_silence_seconds_max, self._body_ends_at - self._loop.time()))

    def pause_writing(self) -> None:
        if self._drained is None or self._drained.is_set():
            self._drained = asyncio.Event()
        if self._unread_timer is None:
            self._unread_timer = self._loop.call_later(self.unread_seconds_max, self._transport.abort)

    def resume_writing(self) -> None:
        if self._drained is not None:
            self._drained.set()
            self._drained = None
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def shutdown(self) -> None:
        """Close the connection, after the answer that is under way."""
        self._ending = True
        if not self._answering:
            self._transport.close()

    def drain(self) -> None:
        """Close the connection after its next answer. Until then a request may still come: none is turned away."""
        self._ending = True

    @property
    def is_idle(self) -> bool:
        """Whether nothing has come that is not answered."""
        return not (self._answering or self._in_head or self._in_body)

    # What the parser finds

    def on_message_begin(self) -> None:
        self._in_head = True
        self._heads_begun += 1
        self._unparsed_bytes = 0
        self._url = b""
        self._fields = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))
        if self._in_body:
            # What follows a chunked body is no header of the request: it is counted, and dropped.
            self._check_head_bytes()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._in_body = True
        fields = self._fields
        head_bytes = self._read_bytes
        if head_bytes > HEAD_BYTES_ALWAYS_FINE or len(fields) > limits.HEADERS_MAX:
            head_bytes = self._check_head_bytes()
        version = self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise ValueError("the parser takes HTTP/0.9 too, which has no headers")
        is_short = head_bytes <= HEAD_BYTES_ALWAYS_FINE  # or what is remembered of it would fill the memory
        path, query = _split_url(self._url) if is_short else _split_url.__wrapped__(self._url)
        may_keep = head_bytes <= HEAD_BYTES_KEPT_MAX
        headers = self._last_headers.followed_by(fields) or _read_fields(fields, may_keep)
        if may_keep:
            self._last_headers = headers
        self._fields = []
        # Whoever stands in front may have understood these otherwise than what follows here.
        header = headers.get
        coding = header("transfer-encoding")
        if (headers.repeats and headers.has_several("host")) or (coding and coding.lower() != "chunked"):
            raise ValueError("two hosts, or a body in a coding that nobody here reads")
        self._head = (_method(self._parser.get_method()), path, query, headers, version, head_bytes)
        self._body_bytes = 0
        self._body_limit = BODY_BYTES_ALWAYS_FINE
        declared = header("content-length")
        length = int(declared) if declared is not None else 0
        if length > BODY_BYTES_ALWAYS_FINE or coding is not None:
            head = self._request(self._head, b"")
            self._body_limit = self._answerer.body_limit(head)
            if length > self._body_limit:
                # Before the body is read, so that a refused upload is not carried through first.
                raise _Unanswerable(self._answerer.too_large(head))
        self._body_ends_at = self._loop.time() + limits.BODY_SECONDS_MAX
        if (expected := header("expect")) is not None and not self._answering and expected.lower() == "100-continue":
            self._transport.write(_CONTINUE)

    def _check_head_bytes(self) -> int:
        """Return how long the URL and the headers are together. Raises _Unanswerable if that is too much."""
        fields = self._fields
        # Counted, since a read may hold more than the head. Each field costs its colon, space and line end too.
        head_bytes = len(self._url) + 4 * len(fields) + sum([len(name) + len(value) for name, value in fields])
        if head_bytes > limits.HEAD_BYTES_MAX or len(fields) > limits.HEADERS_MAX:
            raise _Unanswerable(_head_too_large())
        return head_bytes

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._body_limit:
            assert self._head is not None
            raise _Unanswerable(self._answerer.too_large(self._request(self._head, b"")))
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        head, self._head = self._head, None
        assert head is not None
        body = self._body
        if body:
            self._body = []
        request = self._request(head, body[0] if len(body) == 1 else b"".join(body))
        keeps_alive = request.http_version == "1.1" and self._parser.should_keep_alive()
        if not keeps_alive:
            self._heard_all = True
        self._line_up(_Waiting(request, None, keeps_alive))

    def _request(self, head: _Head, body: bytes) -> Request:
        method, path, query, headers, version, head_bytes = head
        return Request(method, path, query, headers, body, self._scheme, self._client_ip, version, head_bytes)

    def _refuse(self, why: _Unanswerable | None) -> None:
        """Hear nothing more, and say why when what came before is answered."""
        self._heard_all = True
        self._in_head = self._in_body = False
        self._body = []
        answer = why.answer if why is not None else _refusal(400, "Invalid HTTP request received.")
        self._line_up(_Waiting(None, answer, False))

    # Answers

    def _line_up(self, waiting: _Waiting) -> None:
        self._deadline = None
        self._line.append(waiting)
        if not self._answering:
            self._answering = True
            if self._task is None:
                self._task = self._loop.create_task(self._answer_lines())
            else:
                self._rest.set_result(None)
            self._server.tasks.add(self._task)
        elif self._reading:
            self._reading = False
            self._transport.pause_reading()

    async def _answer_lines(self) -> None:
        """Answer what waits, in order, whenever something does, until the connection is over."""
        task = self._task
        try:
            while await self._answer_line():
                self._answering = False
                self._server.tasks.discard(task)
                self._rest = self._loop.create_future()
                await self._rest
        except Exception:
            # Nobody has set a time for what comes now, so a client would wait for ever.
            log.exception("an answer could not be sent")
            self._line.clear()
            self._transport.abort()
        finally:
            self._answering = False
            self._task = None
            self._server.tasks.discard(task)

    async def _answer_line(self) -> bool:
        """Answer what waits, in order; return whether more can come."""
        while self._line:
            if self._drained is not None:
                await self._drained.wait()
            if self._transport.is_closing():
                break
            waiting = self._line.popleft()
            if waiting.request is None:
                assert waiting.answer is not None
                self._send_refusal(waiting.answer)
                return False
            if len(self._server.connections) > limits.CONNECTIONS_MAX:
                log.warning("too many connections", extra={"connections": len(self._server.connections)})
                response = _SERVER_FULL
            else:
                try:
                    response = await self._answerer.answer(waiting.request)
                except Exception:
                    log.exception("a request failed inside Cumulet", extra={"path": waiting.request.path})
                    response = _FAILED
            if self._transport.is_closing():
                await _let_go(response.body)
                break
            goes_on = waiting.keeps_alive and not self._ending
            if isinstance(response.body, bytes):
                goes_on = self._send_whole(waiting.request, response, response.body, goes_on)
            else:
                goes_on = await self._send(waiting.request, response, response.body, goes_on)
            self._server.total_requests += 1
            if not goes_on:
                self._line.clear()
                self._transport.close()
                return False
        if self._transport.is_closing():
            self._line.clear()
            return False
        if self._sender_done or self._ending:
            self._transport.close()
            return False
        if not self._reading:
            # The beginning of a next request may lie here already; its time begins to count now.
            self._read_on()
            self._expect_within(self.head_seconds_max)
        elif not (self._in_head or self._in_body):
            self._expect_within(limits.IDLE_SECONDS_MAX)
        return True

    def _send_whole(self, request: Request, response: Response, body: bytes, keeps_alive: bool) -> bool:
        """Send an answer in one write; return whether the connection can go on."""
        length: int | None = len(body)
        if response.status in _BODILESS:
            body, length = b"", None
        elif request.method == "HEAD":
            # A body that was left out by whoever answers has its length among the headers.
            body, length = b"", length or None
        head, closes = _render_head(response, self._server.default_headers, length, keeps_alive)
        self._transport.write(head + body)
        return keeps_alive and not closes

    async def _send(self, request: Request, response: Response, body: AsyncIterator[bytes], keeps_alive: bool) -> bool:
        """Send an answer piece by piece; return whether the connection can go on."""
        declared = next((int(value) for name, value in response.headers if name.lower() == "content-length"), None)
        bodiless = response.status in _BODILESS
        chunked = declared is None and request.http_version == "1.1" and not bodiless
        if chunked:
            response = response.with_headers(("transfer-encoding", "chunked"))
        keeps_alive = keeps_alive and (chunked or declared is not None or bodiless)
        head, closes = _render_head(response, self._server.default_headers, None, keeps_alive)
        self._transport.write(head)
        if bodiless or request.method == "HEAD":
            await _let_go(body)
            return keeps_alive and not closes
        sent = await self._send_stream(body, chunked)
        if declared is not None and sent is not None and sent != declared:
            log.error("an answer is not as long as it said", extra={"path": request.path})
            self._transport.abort()
        return keeps_alive and not closes and sent is not None

    async def _send_stream(self, chunks: AsyncIterator[bytes], chunked: bool) -> int | None:
        """Send a body as it is made; return its bytes, or None if it broke off, which cuts the connection."""
        sent = 0
        self._streaming = True
        try:
            async for chunk in chunks:
                if self._transport.is_closing():
                    return None
                if chunk:
                    sent += len(chunk)
                    self._transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
                if self._drained is not None:
                    await self._drained.wait()
        except BrokeOff:
            if not chunked:
                self._transport.abort()  # the end of such a body is the connection's: in order, it would say complete
            return None
        except Exception:
            log.exception("an answer broke off")
            self._transport.abort()
            return None
        finally:
            self._streaming = False
            if (aclose := getattr(chunks, "aclose", None)) is not None:
                await aclose()
        if chunked:
            self._transport.write(b"0\r\n\r\n")
        return sent

    def _send_refusal(self, answer: Response) -> None:
        body = answer.body
        assert isinstance(body, bytes)
        head, _ = _render_head(answer, self._server.default_headers, len(body), False)
        self._transport.write(head + body)
        # Closed at once, with bytes unread, the kernel would take the answer back.
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._read_on()
        self._expect_within(limits.REFUSAL_SECONDS_MAX)

    def _read_on(self) -> None:
        if not self._reading and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()

    # Time

    def _expect_within(self, seconds: float) -> None:
        """Cut the connection unless something is complete, or this is called again, within so many seconds."""
        # One timer that looks again is cheaper than one that is cancelled and set anew at every request.
        self._deadline = deadline = self._loop.time() + seconds
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._look_at_deadline)
        elif deadline < self._timer.when():
            self._timer.cancel()
            self._timer = self._loop.call_at(deadline, self._look_at_deadline)

    def _look_at_deadline(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        if self._loop.time() < self._deadline - 0.002:
            self._timer = self._loop.call_at(self._deadline, self._look_at_deadline)
        elif not self._transport.is_closing():
            self._transport.abort()


async def _let_go(body: bytes | AsyncIterator[bytes]) -> None:
    """Tell whoever makes a body that nobody reads it."""
    if isinstance(body, bytes) or (aclose := getattr(body, "aclose", None)) is None:
        return
    try:
        with contextlib.suppress(BrokeOff):
            await anext(body, None)  # a generator that has not begun is not told of its end
        await aclose()
    except Exception:
        log.exception("an answer broke off")


def _read_fields(fields: _Fields, may_keep: bool) -> Headers:
    """Return the headers of a head. Of a long one not even the names are remembered: it could fill the memory."""
    name_of = _field_name if may_keep else _field_name.__wrapped__
    return Headers.of_lower_case(tuple([(name_of(name), field_text(value)) for name, value in fields]), fields)


@lru_cache(maxsize=512)
def _field_name(name: bytes) -> str:
    return name.decode("latin-1").lower()


@lru_cache(maxsize=64)
def _method(name: bytes) -> str:
    return name.decode("ascii")


@lru_cache(maxsize=256)
def _split_url(url: bytes) -> tuple[str, str]:
    """Return path and query as they were sent. Raises httptools' error for what is no URL."""
    if url.startswith(b"/") and b"#" not in url:
        path, _, query = url.partition(b"?")
        return path.decode("latin-1"), query.decode("latin-1")
    parsed = httptools.parse_url(url)
    return (parsed.path or b"/").decode("latin-1"), (parsed.query or b"").decode("latin-1")


def _refusal(status: int, reason: str) -> Response:
    return Response(status, (("content-type", "text/plain; charset=utf-8"), _CLOSE), reason.encode())


def _head_too_large() -> Response:
    return _refusal(431, f"The request line and headers are larger than {limits.HEAD_BYTES_MAX} bytes or too many.")


def _status_line(status: int) -> str:
    try:
        return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
    except ValueError:
        return f"HTTP/1.1 {status} \r\n"


_STATUS_LINES = {status: _status_line(status) for status in range(100, 1000)}


class _Defaults:
    """What uvicorn says in every answer, as text: it makes a new list of it every second."""

    __slots__ = ("_of", "text")

    def __init__(self) -> None:
        self._of: object = None
        self.text = ""

    def render(self, headers: list[tuple[bytes, bytes]]) -> str:
        if headers is not self._of:
            self._of = headers
            self.text = "".join([f"{name.decode()}: {value.decode()}\r\n" for name, value in headers])
        return self.text


_DEFAULTS = _Defaults()

_ALIKE = frozenset({"server", "content-type"})
"""Headers that have few values."""
_KNOWN_FIELDS_MAX = 256
_KNOWN_CHARACTERS_MAX = 128
_known_fields: dict[tuple[str, str], str] = {}
"""Those as they are written."""


@lru_cache(maxsize=512)
def _is_plain_name(name: str) -> bool:
    """Return whether this names a header that an answer may have, and that has no meaning to the connection itself."""
    return _is_token(name) is not None and name.lower() not in ("connection", "content-length")


def _render_head(
    response: Response, defaults: list[tuple[bytes, bytes]], length: int | None, keeps_alive: bool
) -> tuple[bytes, bool]:
    """Return an answer's head, and whether its own headers close the connection.

    With a `length` that is the content length, whatever the headers say.
    """
    text = _STATUS_LINES[response.status] + _DEFAULTS.render(defaults)
    closes = False
    for field in response.headers:
        if (known := _known_fields.get(field)) is not None:
            text += known
            continue
        name, value = field
        if not _is_plain_name(name):
            if _is_token(name) is None:
                log.warning("a header was left out of an answer: its name is not one", extra={"header": name})
                continue
            if name.lower() == "connection":
                closes = closes or "close" in value.lower()
            elif length is not None:
                continue
        if not value.isprintable() and _find_control(value):
            value = _replace_controls(" ", value)
        written = f"{name}: {value}\r\n"
        if name in _ALIKE and len(_known_fields) < _KNOWN_FIELDS_MAX and len(value) <= _KNOWN_CHARACTERS_MAX:
            _known_fields[field] = written
        text += written
    if length is not None:
        text += f"content-length: {length}\r\n"
    text += "\r\n" if keeps_alive or closes else "connection: close\r\n\r\n"
    return text.encode(errors="replace"), closes  # a function's JSON can name half a character
