"""uvicorn's HTTP connection with bounds: on the head's size, on slow senders, slow readers and silent connections.

uvicorn bounds only the time between two requests. A client that drips its headers, or never reads its answer, would
hold its connection (and a task) for ever.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cumulet.edge import limits


class HeldTransport:
    """A transport that sends an answer's head together with the first piece of its body.

    uvicorn writes them apart, which costs a second system call and wakes the client twice. Measured: a tenth of what a
    small answer costs.
    """

    __slots__ = ("_at_head", "_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self._at_head = True

    def write(self, data: bytes) -> None:
        if self._at_head and not data.startswith(b"HTTP/1.1 100 "):
            self._head = data
            self._at_head = False
            return
        if self._head:
            data, self._head = self._head + data, b""
        self._transport.write(data)

    def flush(self) -> None:
        """End an answer: send its head if its body had no bytes."""
        self._at_head = True
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class BoundedConnection(HttpToolsProtocol):
    """One client connection. Raises nothing: what breaks a bound is answered (431, 400) or cut."""

    head_seconds_max = limits.HEAD_SECONDS_MAX
    body_silence_seconds_max = limits.BODY_SILENCE_SECONDS_MAX
    unread_seconds_max = limits.UNREAD_SECONDS_MAX

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._in_body = False
        self._heads_begun = 0
        self._unparsed_bytes = 0
        self._too_large = False
        self._refused = False
        self._sender_done = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._body_timer: asyncio.TimerHandle | None = None
        self._silence_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._held = HeldTransport(transport)
        super().connection_made(self._held)  # type: ignore[arg-type]
        self._head_timer = self.loop.call_later(self.head_seconds_max, self._cut)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head_timer, self._body_timer, self._silence_timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        # A client that has said all may still be listening: what it asked for is answered first.
        self._sender_done = True
        if self._in_body and not self.pipeline:
            return False  # the rest of its only request will never come
        return bool(self.pipeline) or (self.cycle is not None and not self.cycle.response_complete)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        head = self._heads_begun if self._in_head else None
        super().data_received(data)
        if self._in_head:
            # Headers that never end are not reported by the parser, so what it holds back is counted here.
            # Of the read in which a head begins it is not known how much is its own; that is less than one read.
            self._unparsed_bytes = self._unparsed_bytes + len(data) if head == self._heads_begun else 0
            if self._unparsed_bytes > limits.HEAD_BYTES_MAX:
                self._too_large = True
                self.send_400_response("")
            elif self._head_timer is None:
                self._head_timer = self.loop.call_later(self.head_seconds_max, self._cut)
        elif self._in_body:
            if self._body_timer is None:
                self._body_timer = self.loop.call_later(limits.BODY_SECONDS_MAX, self._cut)
            if self._silence_timer is not None:
                self._silence_timer.cancel()
            self._silence_timer = self.loop.call_later(self.body_silence_seconds_max, self._cut)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._heads_begun += 1
        self._unparsed_bytes = 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._in_body = True
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        # Each field costs its colon, its space and its line's end too.
        head_bytes = len(self.url) + sum([len(name) + len(value) + 4 for name, value in self.headers])
        if head_bytes > limits.HEAD_BYTES_MAX or len(self.headers) > limits.HEADERS_MAX:
            self._too_large = True
            raise ValueError("the head is too large")  # the parser stops and send_400_response follows
        if self.parser.get_http_version() not in ("1.0", "1.1"):
            raise ValueError("the parser takes HTTP/0.9 too, which has no headers")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None
        if self._silence_timer is not None:
            self._silence_timer.cancel()
            self._silence_timer = None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._held.flush()
        last = not self.pipeline
        super().on_response_complete()
        if last and self._sender_done:
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread_timer is None:
            self._unread_timer = self.loop.call_later(self.unread_seconds_max, self._cut)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def send_400_response(self, msg: str) -> None:
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        if self._too_large:
            reason = f"The request line and headers are larger than {limits.HEAD_BYTES_MAX} bytes or too many."
            status = b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
        else:
            reason, status = msg, b"HTTP/1.1 400 Bad Request\r\n"
        body = reason.encode()
        self.transport.write(
            status
            + b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: "
            + str(len(body)).encode()
            + b"\r\n\r\n"
            + body
        )
        self._held.flush()
        # Closed at once, with bytes unread, the kernel would take the answer back.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._body_timer = self.loop.call_later(limits.REFUSAL_SECONDS_MAX, self._cut)

    def _cut(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()
