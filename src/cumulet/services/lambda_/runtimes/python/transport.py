"""Sends boto3's plain calls in fewer steps: the same bytes, over the connections that urllib3 keeps.

A standalone module like its neighbours. What a call costs on AWS is the network and TLS. Here it is Python, and a third
of that was urllib3 and `http.client`, which send a request in two packets and read the head of its answer as if it were
mail. What is plain goes past them: a connection that is open already to an http:// endpoint, no proxy, a body of bytes,
an answer that is wanted whole. Everything else goes the SDK's own way: the first request of each connection, streams,
`Expect`, TLS, debug logs, and all requests once somebody has instrumented urllib3 or `http.client`.
"""

# What is imported here is imported in every environment, and Python 3.9 must be able to read it.
# ruff: noqa: UP041

from __future__ import annotations

import contextlib
import http.client
import io
import logging
import re
import socket
import weakref
from collections.abc import Callable
from functools import lru_cache
from typing import Any

PLAIN_URL = re.compile(r"(http://[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::[0-9]+)?)(/[\w.~/-]*)", re.ASCII)
HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")
STEERING = frozenset({"accept-encoding", "expect", "host", "transfer-encoding"})
"""Headers of requests that say how to send them, or stand where `http.client` would put its own."""
NAMES_REMEMBERED = 256
RECEIVE_BYTES = 65_536
PIECE_BYTES_MAX = 1024 * 1024

Headers = list[tuple[str, str]]
Answer = tuple[int, Headers, bytes, bool]
"""Status, headers, body, and whether the connection can go on."""


def install() -> None:
    """Have botocore's sessions send what is plain this way."""
    try:
        from botocore import awsrequest, exceptions, httpsession
        from urllib3 import connection, connectionpool
    except ImportError:
        return  # functions without an SDK run all the same
    session_class: Any = httpsession.URLLib3Session
    response_class: Any = awsrequest.AWSResponse
    send = session_class.send
    is_instrumented = watch(
        (connectionpool.HTTPConnectionPool, "urlopen"),
        (connection.HTTPConnection, "request"),
        (connection.HTTPConnection, "getresponse"),
        (http.client.HTTPConnection, "send"),
    )
    log = logging.getLogger(connectionpool.__name__)

    def send_shortly(session: Any, request: Any) -> Any:
        url, body = PLAIN_URL.fullmatch(request.url), request.body
        if url is None or request.stream_output or not (body is None or type(body) is bytes):
            return send(session, request)
        if is_instrumented() or log.isEnabledFor(logging.DEBUG) or has_own_timeout(request):
            return send(session, request)
        pool = find_pool(session, url[1])
        head = None if pool is None else render_head(request, url[2], pool.host, pool.port)
        if head is None:
            return send(session, request)
        line = pool._get_conn()
        if line.sock is None:
            pool._put_conn(line)
            return send(session, request)
        goes_on = False
        try:
            status, headers, content, goes_on = exchange(line.sock, request.method, head + (body or b""))
        except socket.timeout as late:
            raise exceptions.ReadTimeoutError(endpoint_url=request.url, error=late) from late
        except (OSError, http.client.HTTPException) as broken:
            raise exceptions.ConnectionClosedError(error=broken, request=request, endpoint_url=request.url) from broken
        finally:
            if not goes_on:
                line.close()
            pool._put_conn(line)
        response = response_class(request.url, status, headers, io.BytesIO())
        response._content = content
        return response

    session_class.send = send_shortly


def watch(*methods: tuple[Any, str]) -> Callable[[], bool]:
    """Return a function that tells whether one of these methods is another than now."""

    def look() -> list[Any]:
        return [getattr(owner, name) for owner, name in methods]

    known = look()
    return lambda: look() != known


def has_own_timeout(request: Any) -> bool:
    """Tell whether a request is to wait for another time than its client's others."""
    context: Any = getattr(request, "context", None)
    return bool(context) and context.get("read_timeout") is not None


def find_pool(session: Any, origin: str) -> Any:
    """Return the connections that a session keeps to an origin; None if a proxy stands in between."""
    known = session.__dict__.get("_cumulet_pool")
    if known is not None and known[0] == origin and (pool := known[1]()) is not None and pool.pool is not None:
        return pool
    if session._proxy_config.proxy_url_for(origin):
        return None
    pool = session._manager.connection_from_url(origin)
    # Weakly: a session that is closed lets go of its connections.
    session._cumulet_pool = origin, weakref.ref(pool)
    return pool


def render_head(request: Any, path: str, host: str, port: int) -> bytes | None:
    """Return the head of a request as urllib3 would send it, or None if that is not plain."""
    where = host if port == http.client.HTTP_PORT else f"{host}:{port}"
    lines = [f"{request.method} {path} HTTP/1.1\r\nHost: {where}\r\nAccept-Encoding: identity".encode()]
    given = set()
    for name, value in request.headers.items():
        field = _field(name)
        if isinstance(value, str):
            value = value.encode("latin-1", "replace")
        if field is None or type(value) is not bytes or b"\n" in value or b"\r" in value:
            return None
        given.add(field)
        lines.append(field + value)
    if b"User-Agent: " not in given or b"Content-Length: " not in given:
        return None
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


@lru_cache(maxsize=NAMES_REMEMBERED)
def _field(name: str) -> bytes | None:
    if HEADER_NAME.fullmatch(name) is None or name.lower() in STEERING:
        return None
    return f"{name}: ".encode()


def exchange(line: socket.socket, method: str, request: bytes) -> Answer:
    """Send a request and return its answer. Raises OSError and HTTPException if there is none."""
    # A server may have answered, and closed, before it had all of the request.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        line.sendall(request)
    received = line.recv(RECEIVE_BYTES)
    if not received:
        raise http.client.RemoteDisconnected("Remote end closed connection without response")
    head, end, content = received.partition(b"\r\n\r\n")
    plain = parse_head(head) if end and method != "HEAD" else None
    if plain is None:
        return read_otherwise(line, method, received)
    status, headers, length = plain
    if len(content) < length:
        content += receive(line, length - len(content))
    # Less than was announced is what urllib3 hands on as well; nobody knows what more would be.
    return status, headers, content[:length], len(content) == length


def receive(line: socket.socket, missing: int) -> bytes:
    """Return so many bytes, or those until the connection ends."""
    pieces = []
    while missing and (piece := line.recv(min(missing, PIECE_BYTES_MAX))):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def parse_head(head: bytes) -> tuple[int, Headers, int] | None:
    """Return status, headers and length of an answer, or None if that is not plain."""
    first, *lines = head.decode("latin-1").split("\r\n")
    if not first.startswith("HTTP/1.1 ") or not first[9:12].isdecimal() or head.count(b"\n") != len(lines):
        return None
    status = int(first[9:12])
    headers = []
    lowered = {}
    for text in lines:
        name, _, value = text.partition(":")
        value = value.lstrip(" \t")
        headers.append((name, value))
        lowered[name.lower()] = value
        if HEADER_NAME.fullmatch(name) is None or "\r" in value:
            return None
    length = lowered.get("content-length", "")
    if status < 200 or status in (204, 304) or len(lowered) != len(lines) or not length.isdecimal():
        return None
    if "transfer-encoding" in lowered or "connection" in lowered:
        return None
    return status, headers, int(length)


def read_otherwise(line: socket.socket, method: str, received: bytes) -> Answer:
    """Return an answer that is not plain, and of which some bytes are here already, as `http.client` reads it."""
    from urllib3._collections import HTTPHeaderDict

    answer = http.client.HTTPResponse(_Line(received, line), method=method)  # type: ignore[arg-type]
    answer.begin()
    pieces = list(iter(lambda: answer.read(RECEIVE_BYTES), b""))
    headers = HTTPHeaderDict(answer.headers.items())  # joins those of one name
    goes_on = not answer.will_close and answer.isclosed()
    answer.close()
    return answer.status, [(name, headers[name]) for name in headers], b"".join(pieces), goes_on


class _Line(io.RawIOBase):
    """A connection, with what was received of it put back."""

    def __init__(self, received: bytes, line: socket.socket) -> None:
        self._received = received
        self._line = line

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._received:
            return self._line.recv_into(buffer)
        count = min(len(buffer), len(self._received))
        buffer[:count] = self._received[:count]
        self._received = self._received[count:]
        return count
