"""Telemetry over real sockets: batches, what is lost, what is sent again, and nothing while frozen."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.execution.platform_events import Event
from cumulet.services.lambda_.execution.subscription import Destination, Subscription
from cumulet.services.lambda_.execution.telemetry import FELL_BEHIND, Telemetry
from patience import until


class Listener:
    """An extension's receiver."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.batches: list[list[Any]] = []
        self.lines: list[str] = []
        self.refusals = 0
        self.port = 0
        self.open: asyncio.StreamWriter | None = None
        self.news = asyncio.Event()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        size = int(next(line for line in head.split("\r\n") if line.startswith("Content-Length")).split()[1])
        body = json.loads(await reader.readexactly(size))
        if self.refusals:
            self.refusals -= 1
            writer.write(b"HTTP/1.1 503 No\r\n\r\n")
        else:
            self.heads.append(head)
            self.batches.append(body)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        self.news.set()
        writer.close()

    async def accept_lines(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open = writer
        while line := await reader.readline():
            self.lines.append(line.decode())
            self.news.set()

    async def wait_for(self, batches: int) -> None:
        await until(lambda: len(self.batches) >= batches, f"{batches} batches have come", every_s=0)


@asynccontextmanager
async def listening(*, lines: bool = False) -> AsyncIterator[Listener]:
    listener = Listener()
    server = await asyncio.start_server(listener.accept_lines if lines else listener.accept, "127.0.0.1", 0)
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()
        if listener.open is not None:
            listener.open.close()
            await listener.open.wait_closed()


def subscribe(port: int, method: str = "POST", *, items_max: int = 1_000, bytes_max: int = 262_144) -> Subscription:
    return Subscription(("function",), Destination("", port, method, "/x"), "2025-01-29", items_max, bytes_max, 25)


class Bench:
    def __init__(self) -> None:
        self.dropped: list[tuple[int, int, str]] = []
        self.telemetry = Telemetry("127.0.0.1", lambda *told: self.dropped.append(told))

    def tell(self, *words: str) -> None:
        for word in words:
            self.telemetry.tell(Event("function", word, 1_700_000_000_123))


async def test_events_arrive_in_batches_and_in_order() -> None:
    bench = Bench()
    async with listening() as listener:
        early = [Event("function", "early", 0), Event("platform.start", {}, 0)]
        bench.telemetry.add("agent", subscribe(listener.port, items_max=2), early)
        bench.tell("one", "two")
        await listener.wait_for(2)
        assert [[event["record"] for event in batch] for batch in listener.batches] == [["early", "one"], ["two"]]
        assert listener.batches[1][0] == {"time": "2023-11-14T22:13:20.123Z", "type": "function", "record": "two"}
        assert listener.heads[0].startswith("POST /x HTTP/1.1\r\nHost: sandbox.localdomain:")
        bench.telemetry.close()


async def test_who_answers_with_an_error_gets_the_same_again() -> None:
    bench = Bench()
    async with listening() as listener:
        listener.refusals = 1
        bench.telemetry.add("agent", subscribe(listener.port, "PUT"), [])
        bench.tell("one")
        await listener.wait_for(1)
        assert [event["record"] for event in listener.batches[0]] == ["one"]
        bench.telemetry.close()


async def test_who_is_too_slow_loses_events_and_is_told() -> None:
    bench = Bench()
    async with listening() as listener:
        bench.telemetry.add("agent", subscribe(listener.port, items_max=5), [])
        bench.telemetry.freeze()
        bench.tell(*"abcdefghijklm")
        await asyncio.sleep(0)
        assert listener.batches == []
        bench.telemetry.thaw()
        await listener.wait_for(2)
        assert limits.TELEMETRY_BACKLOG_BATCHES == 2
        assert "".join(event["record"] for batch in listener.batches for event in batch) == "abcdefghij"
        await until(lambda: bench.dropped, "something is dropped", every_s=0)
        ((records, size, reason),) = bench.dropped
        assert (records, reason) == (3, FELL_BEHIND)
        assert size == 3 * len('{"time":"2023-11-14T22:13:20.123Z","type":"function","record":"k"}')
        bench.telemetry.close()


async def test_a_port_gets_lines() -> None:
    bench = Bench()
    async with listening(lines=True) as listener:
        bench.telemetry.add("agent", subscribe(listener.port, ""), [])
        bench.tell("one", "two")
        await bench.telemetry.flush(5)
        await until(lambda: len(listener.lines) == 2, "two lines have come", every_s=0)
        assert [json.loads(line)["record"] for line in listener.lines] == ["one", "two"]
        bench.telemetry.close()


async def test_flushing_waits_for_nobody_for_ever() -> None:
    bench = Bench()
    async with listening() as listener:
        gone = listener.port
    bench.telemetry.add("agent", subscribe(gone), [])
    bench.tell("one")
    await bench.telemetry.flush(0.01)
    bench.telemetry.close()
    await Bench().telemetry.flush(5)


async def test_one_extension_has_one_subscription() -> None:
    bench = Bench()
    async with listening() as listener:
        bench.telemetry.add("agent", subscribe(listener.port), [])
        bench.telemetry.add("agent", subscribe(listener.port, items_max=1), [])
        bench.tell("one")
        await listener.wait_for(1)
        await bench.telemetry.flush(5)
        assert len(listener.batches) == 1
        bench.telemetry.close()


pytestmark = pytest.mark.asyncio
