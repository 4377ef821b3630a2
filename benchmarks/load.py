"""Load from this process over raw sockets: prepared requests, one after the other on each of some connections."""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

PATIENCE_S = 60
RECEIVED_BYTES = 256 * 1024


class Connection(asyncio.Protocol):
    """A keep-alive connection that sends one prepared request after the other until its time is up."""

    def __init__(self, requests: Callable[[], bytes], until: float, done: asyncio.Future[list[float]]) -> None:
        self._next = requests
        self._until = until
        self._done = done
        self._times: list[float] = []
        self._buffer = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            if not is_whole(self._buffer):
                return
        except RuntimeError as refused:
            self._done.set_exception(refused)
            self._transport.close()
            return
        self._buffer = b""
        now = time.perf_counter()
        self._times.append((now - self._sent_at) * 1000)
        if now >= self._until:
            self._done.set_result(self._times)
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError("the server closed the connection"))

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._next())


async def load(port: int, requests: Callable[[], bytes], connections: int, seconds: float) -> tuple[float, list[float]]:
    """Return requests per second and the latencies in ms."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    futures = []
    for _ in range(connections):
        done: asyncio.Future[list[float]] = loop.create_future()
        futures.append(done)
        await loop.create_connection(lambda done=done: Connection(requests, began + seconds, done), "127.0.0.1", port)
    times = [t for result in await asyncio.gather(*futures) for t in result]
    return len(times) / (time.perf_counter() - began), times


def latencies(port: int, requests: Callable[[], bytes], seconds: float) -> list[float]:
    """Return the milliseconds of each request, one after the other on one connection: at least one.

    Without an event loop, which has 0.1 ms of its own on the way.
    """
    times: list[float] = []
    until = time.perf_counter() + seconds
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not times or time.perf_counter() < until:
            request, answer = requests(), b""
            began = time.perf_counter()
            line.sendall(request)
            while not is_whole(answer):
                if not (data := line.recv(RECEIVED_BYTES)):
                    raise ConnectionError("the server closed the connection")
                answer += data
            times.append((time.perf_counter() - began) * 1000)
    return times


def is_whole(answer: bytes) -> bool:
    """Tell whether all of an answer is there. Raises RuntimeError if it is an error."""
    head, blank_line, body = answer.partition(b"\r\n\r\n")
    if not blank_line:
        return False
    if len(body) < int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]):
        return False
    if int(head[9:12]) >= 300:
        raise RuntimeError(answer.decode("utf-8", "replace"))
    return True


def http_bytes(method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return a request as it goes over the socket."""
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def signed(port: int, service: str, target: str | None, path: str, body: Any) -> bytes:
    """Return a signed request as an SDK would send it."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Host": f"127.0.0.1:{port}", "Content-Type": "application/x-amz-json-1.0"}
    if target:
        headers["X-Amz-Target"] = target
    request = AWSRequest("POST", f"http://127.0.0.1:{port}{path}", data=raw, headers=headers)
    SigV4Auth(Credentials("test", "test"), service, "us-east-1").add_auth(request)
    return http_bytes("POST", path, dict(request.headers.items()), raw)


def always(request: bytes) -> Callable[[], bytes]:
    return lambda: request
