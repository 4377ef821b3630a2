"""Answers on their way: what is kept of them, who waits, and how long they may be."""

import asyncio

import pytest

from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.execution.streaming import AnswerStream

BACKLOG = limits.STREAM_BACKLOG_BYTES_MAX


class Runtime:
    """What an answer is read from; `paused` tells whether it may go on."""

    def __init__(self) -> None:
        self.paused = False

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False


@pytest.fixture
async def runtime() -> Runtime:
    return Runtime()


@pytest.fixture
async def stream(runtime: Runtime) -> AnswerStream:
    made = AnswerStream()
    made.begin("text/plain", "7", runtime)
    assert made.began.result() == ("text/plain", "7")
    return made


async def test_pieces_come_as_they_were_sent_until_the_end(stream: AnswerStream) -> None:
    async def read() -> list[bytes]:
        return [piece async for piece in stream.pieces()]

    reading = asyncio.ensure_future(read())
    for piece in (b"one", b"two"):
        assert stream.feed(piece)
        await asyncio.sleep(0)
    stream.end()
    assert await reading == [b"one", b"two"]


async def test_a_runtime_waits_while_too_much_is_unread(stream: AnswerStream, runtime: Runtime) -> None:
    pieces = stream.pieces()
    stream.feed(b"x" * BACKLOG)
    assert not runtime.paused
    stream.feed(b"y")
    assert runtime.paused
    assert len(await anext(pieces)) == BACKLOG
    assert not runtime.paused


async def test_nobody_waits_for_a_reader_who_has_gone(stream: AnswerStream, runtime: Runtime) -> None:
    stream.feed(b"x" * (BACKLOG + 1))
    stream.leave()
    assert not runtime.paused
    for _ in range(3):
        assert stream.feed(b"x" * BACKLOG)
    assert not runtime.paused


async def test_no_answer_is_longer_than_aws_allows(
    stream: AnswerStream, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STREAMED_RESPONSE_BYTES_MAX", 10)
    assert stream.feed(b"x" * 10)
    assert not stream.feed(b"x")
