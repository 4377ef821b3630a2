"""One HTTP/1.1 exchange with a server that somebody named: HTTP integrations, and issuers of tokens.

No redirect is followed and no cookie kept, as API Gateway has it. One connection serves one exchange: what lies between
two requests of an API's clients is no time to keep a stranger's socket open. Time-outs are the caller's.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cumulet.services.apigateway import limits
from cumulet.services.apigateway.pipeline.exchange import Relayed

if TYPE_CHECKING:
    import ssl

    import h11

_CHUNK_BYTES = 65_536


class Unreachable(Exception):
    """There is no answer: no such host, no connection, no HTTP, or more than anybody reads."""


class BadUrl(ValueError):
    """No URL that a request can go to."""


@dataclass(frozen=True, slots=True)
class _Address:
    host: str
    port: int
    secure: bool
    authority: str
    target: str


async def exchange(method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Relayed:
    """Return a server's answer. `headers` has neither Host (unless another is meant) nor Content-Length.

    Raises BadUrl before anything is sent, Unreachable for whatever goes wrong on the way.
    """
    import h11

    address = _parse(url)
    sent = [(name, value) for name, value in headers if name.lower() != "content-length"]
    if not any(name.lower() == "host" for name, _ in sent):
        sent.insert(0, ("host", address.authority))
    if body or method not in ("GET", "HEAD", "DELETE", "OPTIONS"):
        sent.append(("content-length", str(len(body))))
    sent.append(("connection", "close"))
    connection = h11.Connection(h11.CLIENT)
    try:
        head = h11.Request(
            method=method,
            target=address.target,
            headers=[(name.encode("ascii"), value.encode("latin-1")) for name, value in sent],
        )
    except (h11.LocalProtocolError, UnicodeEncodeError) as error:
        raise BadUrl(str(error)) from error
    try:
        reader, writer = await asyncio.open_connection(
            address.host, address.port, ssl=_tls() if address.secure else None, limit=_CHUNK_BYTES
        )
    except (OSError, UnicodeError) as error:
        raise Unreachable(str(error)) from error
    try:
        writer.write(connection.send(head) or b"")
        if body:
            writer.write(connection.send(h11.Data(data=body)) or b"")
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        await writer.drain()
        return await _read(connection, reader)
    except (OSError, h11.ProtocolError) as error:
        raise Unreachable(str(error)) from error
    finally:
        writer.close()


async def _read(connection: "h11.Connection", reader: asyncio.StreamReader) -> Relayed:
    import h11

    status, headers = 0, tuple[tuple[str, str], ...]()
    parts: list[bytes] = []
    left = limits.PAYLOAD_BYTES_MAX
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_CHUNK_BYTES))
        elif isinstance(event, h11.Response):
            status = event.status_code
            headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers)
        elif isinstance(event, h11.Data):
            left -= len(event.data)
            if left < 0:
                raise Unreachable("the answer is larger than 10 MB")
            parts.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            return Relayed(status, headers, b"".join(parts))
        elif not isinstance(event, h11.InformationalResponse):
            raise Unreachable("the connection ended before the answer")


def _parse(url: str) -> _Address:
    if any(char <= " " or char >= "\x7f" for char in url):
        raise BadUrl(url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise BadUrl(url) from None
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        raise BadUrl(url)
    secure = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Address(host, port or (443 if secure else 80), secure, parts.netloc, target)


def _tls() -> "ssl.SSLContext":
    import ssl

    global _context
    if _context is None:
        _context = ssl.create_default_context()
    return _context


_context: "ssl.SSLContext | None" = None
