"""ASGI on one side, `wire.message` on the other. What a request means is not known here."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from cumulet.wire.message import Headers, Request, Response

AsgiScope: TypeAlias = Mapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]

Answer: TypeAlias = Callable[[Request], Awaitable[Response]]
BodyLimit: TypeAlias = Callable[[Request], int]
TooLarge: TypeAlias = Callable[[Request], Response]


BODY_BYTES_ALWAYS_FINE = 1024 * 1024
"""No limit is lower, so nobody asks which one applies."""


class ClientGone(Exception):
    """The client closed its connection before its request was complete."""


class AsgiApp:
    """Read a request whole, have it answered, send the answer."""

    def __init__(self, answer: Answer, body_limit: BodyLimit, too_large: TooLarge) -> None:
        self._answer = answer
        self._body_limit = body_limit
        self._too_large = too_large

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"the edge serves http, not {scope['type']}")
        head = _head_of(scope)
        try:
            request = await self._read_body(head, receive)
        except ClientGone:
            return
        if request is None:
            # The rest of the body is not read, so the connection cannot be used again.
            await _send_response(send, self._too_large(head).with_headers(("connection", "close")))
            return
        await _send_response(send, await self._answer(request))

    async def _read_body(self, head: Request, receive: Receive) -> Request | None:
        """Return the request with its body, or None if that is larger than its limit."""
        declared = head.headers.get("content-length")
        length = int(declared) if declared is not None and declared.isdigit() else None
        limit = BODY_BYTES_ALWAYS_FINE
        if length is None or length > limit:
            limit = self._body_limit(head)
            # Before the body is read, so that a refused upload is not carried through first.
            if length is not None and length > limit:
                return None
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            pieces, total = [body], len(body)
            while message.get("more_body"):
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                piece = message.get("body", b"")
                pieces.append(piece)
                total += len(piece)
                if total > limit:
                    return None
            body = b"".join(pieces)
        if len(body) > limit:
            return None
        return Request(
            head.method, head.path, head.query, head.headers, body, head.scheme, head.client_ip, head.http_version
        )


def _head_of(scope: AsgiScope) -> Request:
    client = scope.get("client")
    return Request(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=Headers.of_lower_case(
            tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]])
        ),
        scheme=scope["scheme"],
        client_ip=client[0] if client else "127.0.0.1",
        http_version=scope["http_version"],
    )


async def _send_response(send: Send, response: Response) -> None:
    headers = [(_name_bytes(name), _value_bytes(value)) for name, value in response.headers]
    body = response.body
    if isinstance(body, bytes):
        if response.status not in (204, 304) and b"content-length" not in [name.lower() for name, _ in headers]:
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await _send_stream(send, body)


@lru_cache(maxsize=512)
def _name_bytes(text: str) -> bytes:
    return _value_bytes(text)


def _value_bytes(text: str) -> bytes:
    # Functions choose headers too: a line break in one would let them write headers, or answers, of their own.
    encoded = text.encode()
    if b"\n" in encoded or b"\r" in encoded:
        return encoded.replace(b"\r", b" ").replace(b"\n", b" ")
    return encoded


async def _send_stream(send: Send, chunks: AsyncIterator[bytes]) -> None:
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
