"""A server that a test plays itself, for HTTP integrations and issuers of tokens."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any


class Backend:
    """Keeps the raw requests, and answers with `answer`: bytes to write, or a function of the request's head."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: bytes | Callable[[str], bytes] = plain(200, b"hello")
        self.hold: asyncio.Event | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests.append((line, headers, body))
        if self.hold is not None:
            await self.hold.wait()
        writer.write(self.answer if isinstance(self.answer, bytes) else self.answer(line))
        await writer.drain()
        writer.close()


def plain(status: int, body: bytes, *headers: str) -> bytes:
    """Return an answer in bytes."""
    lines = [f"HTTP/1.1 {status} Said", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def as_json(value: Any) -> bytes:
    """Return an answer with a JSON body."""
    return plain(200, json.dumps(value).encode(), "content-type: application/json")


@asynccontextmanager
async def backend() -> AsyncIterator[Backend]:
    """Serve until the block ends."""
    served = Backend()
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        await server.wait_closed()
