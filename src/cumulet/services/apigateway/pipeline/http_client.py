"""One HTTP/1.1 exchange with a server that somebody named: HTTP integrations, and issuers of tokens.

No redirect is followed and no cookie kept, as API Gateway has it. One connection serves one exchange: what lies between
two requests of an API's clients is no time to keep a stranger's socket open. Time-outs are the caller's.
"""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cumulet.services.apigateway import limits
from cumulet.services.apigateway.pipeline.exchange import Relayed

if TYPE_CHECKING:
    import ssl

    import h11

_CHUNK_BYTES = 65_536

_awaited: set[object] = set()
"""One for each server whose answer has not begun."""


class Unreachable(Exception):
    """There is no answer: no such host, no connection, no HTTP, or more than anybody reads (see `TooLarge`)."""


class TooLarge(Unreachable):
    """There is more than anybody reads: `length` is what the server told of it, or what came."""

    def __init__(self, length: int) -> None:
        super().__init__("the answer is larger than 10 MB")
        self.length = length


class BadUrl(ValueError):
    """No URL that a request can go to."""


@dataclass(frozen=True, slots=True)
class _Address:
    host: str
    port: int
    secure: bool
    authority: str
    target: str


class Conversation:
    """A server's answer whose body is still coming, piece by piece."""

    def __init__(
        self, connection: "h11.Connection", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.status = 0
        self.headers: tuple[tuple[str, str], ...] = ()
        self._connection = connection
        self._reader = reader
        self._writer = writer

    async def read_head(self) -> None:
        """Wait for status and headers. Raises Unreachable if they do not come."""
        import h11

        event = await self._next()
        while isinstance(event, h11.InformationalResponse):
            event = await self._next()
        if not isinstance(event, h11.Response):
            raise Unreachable("the connection ended before the answer")
        self.status = event.status_code
        self.headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers)

    def __aiter__(self) -> "Conversation":
        return self

    async def __anext__(self) -> bytes:
        import h11

        event = await self._next()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        if isinstance(event, h11.EndOfMessage):
            raise StopAsyncIteration
        raise Unreachable("the connection ended before the answer")

    async def _next(self) -> Any:
        import h11

        try:
            while (event := self._connection.next_event()) is h11.NEED_DATA:
                self._connection.receive_data(await self._reader.read(_CHUNK_BYTES))
        except (OSError, h11.ProtocolError) as error:
            raise Unreachable(str(error)) from error
        return event

    async def aclose(self) -> None:
        """Read no more."""
        self._writer.close()


async def exchange(
    method: str,
    url: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    *,
    gate: tuple[str, int] | None = None,
    insecure: bool = False,
    identity: str | None = None,
) -> Relayed:
    """Return a server's answer. `headers` has neither Host (unless another is meant) nor Content-Length.

    Raises BadUrl before anything is sent, Unreachable for whatever goes wrong on the way.
    """
    conversation = await begin(method, url, headers, body, gate=gate, insecure=insecure, identity=identity)
    try:
        parts: list[bytes] = []
        size = 0
        async for piece in conversation:
            size += len(piece)
            if size > limits.PAYLOAD_BYTES_MAX:
                raise TooLarge(size)
            parts.append(piece)
        return Relayed(conversation.status, conversation.headers, b"".join(parts))
    finally:
        await conversation.aclose()


async def begin(
    method: str,
    url: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    *,
    gate: tuple[str, int] | None = None,
    insecure: bool = False,
    identity: str | None = None,
) -> Conversation:
    """Return a server's answer once its head is there; raises as `exchange` does.

    `gate` is where to connect, without TLS, instead of to the URL's host, which is the Host then, whatever `headers`
    mean. `insecure` takes any certificate of the server's; `identity` is the client's own with its key, as PEM.
    """
    import h11

    address = _parse(url)
    own = ("content-length",) if gate is None else ("content-length", "host")
    sent = [(name, value) for name, value in headers if name.lower() not in own]
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
            headers=[(name.encode("ascii"), _encode(value)) for name, value in sent],
        )
    except (h11.LocalProtocolError, UnicodeEncodeError) as error:
        raise BadUrl(str(error)) from error
    tls = _tls(insecure, identity) if address.secure and gate is None else None
    host, port = gate or (address.host, address.port)
    with _one_more_awaited():
        try:
            reader, writer = await asyncio.open_connection(host, port, ssl=tls, limit=_CHUNK_BYTES)
        except (OSError, UnicodeError) as error:
            raise Unreachable(str(error)) from error
        try:
            writer.write(connection.send(head) or b"")
            if body:
                writer.write(connection.send(h11.Data(data=body)) or b"")
            writer.write(connection.send(h11.EndOfMessage()) or b"")
            await writer.drain()
            conversation = Conversation(connection, reader, writer)
            await conversation.read_head()
            return conversation
        except (OSError, h11.ProtocolError) as error:
            writer.close()
            raise Unreachable(str(error)) from error
        except BaseException:
            writer.close()
            raise


@contextmanager
def _one_more_awaited() -> Iterator[None]:
    # An API that leads to itself would otherwise take every connection that this server has for its clients.
    if len(_awaited) >= limits.ANSWERS_AWAITED_MAX:
        raise Unreachable("too many servers have not answered yet")
    answer = object()
    _awaited.add(answer)
    try:
        yield
    finally:
        _awaited.discard(answer)


def _encode(value: str) -> bytes:
    # What came in a header goes out as it came; a query or a body can hold more, and text is UTF-8 everywhere else.
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace")


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


@lru_cache(maxsize=limits.CERTIFICATES_MAX)
def _tls(insecure: bool, identity: str | None) -> "ssl.SSLContext":
    import ssl

    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if identity is not None:
        # The library reads keys from files only.
        with tempfile.TemporaryDirectory(prefix="cumulet-") as folder:
            file = Path(folder) / "identity.pem"
            file.write_text(identity)
            context.load_cert_chain(file)
    return context
