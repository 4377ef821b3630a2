"""The Lambda Runtime API of one environment: HTTP on a loopback port of its own.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. Its errors are those of AWS's own implementation
(aws/aws-lambda-runtime-interface-emulator): 403 for what the runtime's state does not allow, 400 for the id of another
event, 413 for an answer that is too large. Every invocation passes through here, so there is no framework: a protocol,
a parser, and bytes.
"""

import asyncio
import binascii
import logging
from base64 import b64decode
from collections.abc import Mapping
from enum import Enum
from typing import Any, Protocol

import httptools
import msgspec

from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.execution.peers import find_owner
from cumulet.services.lambda_.execution.responses import (
    ACCEPTED,
    BAD_REQUEST,
    INVALID_REQUEST_ID,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    RESTORED,
    TOO_LARGE,
    render_failure,
)
from cumulet.services.lambda_.records import Reader

_log = logging.getLogger(__name__)

PREFIX = b"/2018-06-01/runtime/"
CONNECTIONS_MAX = 64
HEADER_BYTES_MAX = 1024 * 1024
"""An X-Ray cause may travel in a header."""
_ALWAYS_THERE = frozenset({b"host", b"content-length", b"user-agent", b"accept"})
"""Headers of nearly every request, which say nothing here."""


class Phase(Enum):
    """What the runtime has last said, in the words that AWS's errors use."""

    STARTED = "Started"
    READY = "Ready"
    RUNNING = "Running"
    STREAMING = "InvocationResponse"
    RESPONSE_SENT = "ResponseSent"
    INIT_ERROR = "InitError"


class Listener(Protocol):
    """Who is told what the runtime says."""

    def on_poll(self) -> None:
        """The runtime wants its next event."""

    def on_restore_poll(self) -> None:
        """The runtime is initialised, and waits to be restored."""

    def on_response(self, body: bytes) -> None:
        """The event in hand is answered."""

    def on_error(self, body: bytes, error_type: str) -> None:
        """The event in hand is answered with an error; the body is the error object."""

    def on_response_too_large(self) -> None:
        """The event in hand has an answer that nobody may have."""

    def on_stream(self, content_type: str, reader: Reader) -> None:
        """The event in hand is being answered piece by piece; `reader` can be made to wait."""

    def on_piece(self, body: bytes) -> None:
        """The next piece of that answer."""

    def on_stream_end(self, error_type: str, error: bytes) -> None:
        """That answer is complete, or breaks off: then `error_type` is not empty, and `error` is the error object."""

    def on_init_error(self, body: bytes, error_type: str) -> None:
        """The runtime cannot start."""

    def on_other_request(
        self, connection: "_Connection", method: bytes, path: bytes, body: bytes | None, headers: Mapping[bytes, str]
    ) -> bytes:
        """An extension asks for something; return the response, or nothing if it comes later."""

    def on_other_gone(self, connection: "_Connection") -> None:
        """A connection is gone that may have been an extension's."""


class Delivery(msgspec.Struct, frozen=True):
    """One event on its way to the runtime."""

    request_id: str
    deadline_ms: int
    invoked_arn: str
    trace_header: str
    client_context: str | None
    payload: bytes
    tenant_id: str = ""

    def render(self) -> bytes:
        """Return the HTTP response that carries the event."""
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            f"Lambda-Runtime-Aws-Request-Id: {self.request_id}\r\n"
            f"Lambda-Runtime-Deadline-Ms: {self.deadline_ms}\r\n"
            f"Lambda-Runtime-Invoked-Function-Arn: {self.invoked_arn}\r\n"
            f"Lambda-Runtime-Trace-Id: {one_line(self.trace_header)}\r\n"
        )
        if self.client_context:
            head += f"Lambda-Runtime-Client-Context: {one_line(self.client_context)}\r\n"
        if self.tenant_id:
            head += f"Lambda-Runtime-Aws-Tenant-Id: {one_line(self.tenant_id)}\r\n"
        return f"{head}Content-Length: {len(self.payload)}\r\n\r\n".encode() + self.payload


def one_line(text: str) -> str:
    """Return `text` fit for a header. Line breaks in JSON stand only between tokens, where a space means the same."""
    return text.replace("\r", " ").replace("\n", " ")


class RuntimeApi:
    """The Runtime API of one environment."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.phase = Phase.STARTED
        self.request_id = ""
        self.connections: set[_Connection] = set()
        self._waiting: _Connection | None = None
        self._suspended: _Connection | None = None
        self._undelivered: bytes | None = None
        self._server: asyncio.Server | None = None
        self._user: int | None = None

    async def open(self, user: int | None = None) -> str:
        """Begin to listen, and return the address as AWS_LAMBDA_RUNTIME_API has it.

        The port can be reached from every environment: with a `user`, only that one's connections are taken.
        """
        self._user = user
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    def close(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self.connections):
            connection.drop()

    def deliver(self, delivery: Delivery) -> None:
        """Send an event to the runtime that polls, or to its next poll if its connection broke."""
        self.request_id = delivery.request_id
        self.phase = Phase.RUNNING
        if self._waiting is not None:
            self._waiting.send(delivery.render())
            self._waiting = None
        else:
            self._undelivered = delivery.render()

    def _poll_restore(self, connection: "_Connection") -> bytes:
        if self.phase is not Phase.STARTED or self._suspended is not None:
            return self._not_allowed("Restoring")
        self._suspended = connection
        self.listener.on_restore_poll()
        return b""

    def restore(self) -> None:
        """Let the runtime go on that waits to be restored."""
        connection, self._suspended = self._suspended, None
        if connection is not None:
            connection.send(RESTORED)

    def forget(self, connection: "_Connection") -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        if self._waiting is connection:
            self._waiting = None
        if self._suspended is connection:
            self._suspended = None
        self.listener.on_other_gone(connection)

    def takes(self, connection: Any) -> bool:
        """Tell whether a connection, by its transport, is one more of the environment's own."""
        if len(self.connections) >= CONNECTIONS_MAX:
            return False
        ends = (connection.get_extra_info("peername"), connection.get_extra_info("sockname"))
        return self._user is None or find_owner(*ends) == self._user

    def is_waiting(self, connection: "_Connection") -> bool:
        """Tell whether this connection's poll waits for an event."""
        return self._waiting is connection

    def handle(
        self,
        connection: "_Connection",
        method: bytes,
        path: bytes,
        body: bytes | None,
        error_type: str,
        of_extension: Mapping[bytes, str],
    ) -> bytes:
        """Return the response to one request; empty if it comes later. `body` is None if it was too large to keep."""
        if not path.startswith(PREFIX):
            return self.listener.on_other_request(connection, method, path, body, of_extension)
        action = path[len(PREFIX) :]
        if action == b"invocation/next":
            return self._poll(connection) if method == b"GET" else METHOD_NOT_ALLOWED
        if action == b"restore/next":
            if method != b"GET":
                return METHOD_NOT_ALLOWED
            return self._poll_restore(connection)
        if method != b"POST":
            return METHOD_NOT_ALLOWED
        if action == b"init/error":
            return self._init_error(body, error_type)
        kind, _, rest = action.partition(b"/")
        request_id, _, outcome = rest.partition(b"/")
        if kind != b"invocation" or outcome not in (b"response", b"error"):
            return NOT_FOUND
        return self._answer(request_id.decode("latin-1"), outcome == b"error", body, error_type)

    def _poll(self, connection: "_Connection") -> bytes:
        if self._undelivered is not None:
            event, self._undelivered = self._undelivered, None
            return event
        if self.phase not in (Phase.STARTED, Phase.READY, Phase.RESPONSE_SENT) or self._waiting is not None:
            return self._not_allowed("Ready")
        first_of_its_kind = self.phase is not Phase.READY
        self.phase = Phase.READY
        self._waiting = connection
        if first_of_its_kind:
            self.listener.on_poll()
        return b""

    def _answer(self, request_id: str, is_error: bool, body: bytes | None, error_type: str) -> bytes:
        if self.phase is not Phase.RUNNING:
            return self._not_allowed("InvocationErrorResponse" if is_error else "InvocationResponse")
        if request_id != self.request_id:
            return INVALID_REQUEST_ID
        self.phase = Phase.RESPONSE_SENT
        if body is None:
            self.listener.on_response_too_large()
            return TOO_LARGE
        if is_error:
            self.listener.on_error(body, error_type)
        else:
            self.listener.on_response(body)
        return ACCEPTED

    def begin_stream(self, connection: "_Connection", path: bytes, content_type: str) -> bool:
        """Tell whether the answer that begins on this connection is taken piece by piece."""
        kind, _, rest = path.removeprefix(PREFIX).partition(b"/")
        request_id, _, outcome = rest.partition(b"/")
        if kind != b"invocation" or outcome != b"response" or self.phase is not Phase.RUNNING:
            return False
        if request_id.decode("latin-1") != self.request_id:
            return False
        self.phase = Phase.STREAMING
        self.listener.on_stream(content_type, connection)
        return True

    def end_stream(self, error_type: str, error: bytes) -> bytes:
        """Take the end of a streamed answer, and return the response to it."""
        self.phase = Phase.RESPONSE_SENT
        self.listener.on_stream_end(error_type, error)
        return ACCEPTED

    def _init_error(self, body: bytes | None, error_type: str) -> bytes:
        if self.phase is not Phase.STARTED:
            return self._not_allowed("InitError")
        if body is None:
            return TOO_LARGE
        self.phase = Phase.INIT_ERROR
        self.listener.on_init_error(body, error_type)
        return ACCEPTED

    def _not_allowed(self, wanted: str) -> bytes:
        return render_failure(
            "InvalidStateTransition",
            f"State transition from {self.phase.value} to {wanted} failed for runtime. "
            "Error: State transition is not allowed",
        )


class _HeadersTooLarge(Exception):
    """A request has more of them than is kept."""


class _Connection(asyncio.Protocol):
    """One connection of a runtime. Requests may be pipelined."""

    def __init__(self, api: RuntimeApi) -> None:
        self._api = api
        self._transport: Any = None
        self._parser = httptools.HttpRequestParser(self)
        self._outgoing: list[bytes] = []
        self._parsing = False
        self._reset()

    def _reset(self) -> None:
        self._url = b""
        self._error_type = ""
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._header_bytes = 0
        self._expects_continue = False
        self._content_type = ""
        self._error_body = b""
        self._wants_to_stream = self._streams = False
        self._of_extension: dict[bytes, str] = {}

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        if not self._api.takes(transport):
            transport.abort()
            return
        self._api.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._api.forget(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as wrong:
            if isinstance(wrong, httptools.HttpParserCallbackError) and not isinstance(
                wrong.__context__, _HeadersTooLarge
            ):
                _log.error("a request of an environment could not be answered", exc_info=wrong.__context__)
            self._outgoing.append(BAD_REQUEST)
            self._flush()
            self._transport.close()
            return
        # A client that pipelines its next poll reads nothing before the next event: what it was answered waits with it.
        if not self._api.is_waiting(self):
            self._flush()

    def send(self, data: bytes) -> None:
        """Send a response, after those that wait for it."""
        self._outgoing.append(data)
        if not self._parsing:
            self._flush()

    def drop(self) -> None:
        """Break the connection."""
        self._transport.abort()

    def pause(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _flush(self) -> None:
        if self._outgoing and not self._transport.is_closing():
            self._transport.write(self._outgoing[0] if len(self._outgoing) == 1 else b"".join(self._outgoing))
        self._outgoing.clear()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > HEADER_BYTES_MAX:
            raise _HeadersTooLarge
        lowered = name.lower()
        if lowered in _ALWAYS_THERE:
            return
        if lowered == b"lambda-runtime-function-error-type":
            self._error_type = value.decode("latin-1")
        elif lowered == b"expect":
            self._expects_continue = value.lower() == b"100-continue"
        elif lowered == b"lambda-runtime-function-response-mode":
            self._wants_to_stream = value.lower() == b"streaming"
        elif lowered == b"content-type":
            self._content_type = value.decode("latin-1")
        elif lowered == b"lambda-runtime-function-error-body":  # a trailer
            self._error_body = value
        elif lowered.startswith(b"lambda-extension-"):
            self._of_extension[lowered] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._expects_continue:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._wants_to_stream and self._parser.get_method() == b"POST":
            self._streams = self._api.begin_stream(self, self._url, self._content_type)

    def on_body(self, body: bytes) -> None:
        if self._streams:
            self._api.listener.on_piece(body)
            return
        self._body_bytes += len(body)
        if self._body_bytes <= limits.RESPONSE_BYTES_MAX:
            self._body.append(body)
        else:
            self._body.clear()

    def on_message_complete(self) -> None:
        body = b"".join(self._body) if self._body_bytes <= limits.RESPONSE_BYTES_MAX else None
        method, url, error_type = self._parser.get_method(), self._url, self._error_type
        streamed, error_body, of_extension = self._streams, self._error_body, self._of_extension
        self._reset()
        self._parsing = True
        if streamed:
            response = self._api.end_stream(error_type, decode_error(error_body))
        else:
            response = self._api.handle(self, method, url, body, error_type, of_extension)
        self._parsing = False
        if response:
            self._outgoing.append(response)


def decode_error(body: bytes) -> bytes:
    """Return the error object in a trailer's base64; nothing if it is none."""
    try:
        return b64decode(body, validate=True)
    except binascii.Error:
        return b""
