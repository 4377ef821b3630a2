"""Answers that a REST API passes on as they come. Of a function, the stream's prelude is the head, the rest the body:

    {"statusCode": 201, "headers": {...}, "multiValueHeaders": {...}, "cookies": [...]} 00 00 00 00 00 00 00 00 body ...

Until the prelude is whole a failure is a 502; behind it the answer can only break off.
https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import msgspec

from cumulet.services.apigateway import limits
from cumulet.services.apigateway.pipeline.exchange import Streamed
from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.services.apigateway.pipeline.http_client import Conversation, Unreachable
from cumulet.wire.message import BegunBody, BrokeOff

_PRELUDE_END = bytes(8)


async def begin(events: AsyncIterator[Mapping[str, Any]]) -> Streamed:
    """Return a function's answer once its head is there. Raises Refused if there is none within the bound."""
    pieces = _pieces(events)
    received = b""
    try:
        async for piece in pieces:
            received += piece
            prelude, end, first = received.partition(_PRELUDE_END)
            if len(prelude) > limits.PRELUDE_BYTES_MAX:
                break
            if end:
                return Streamed(_parse(prelude), BegunBody(first, pieces))
        raise Refused("bad_answer")
    except BrokeOff:
        raise Refused("bad_answer") from None
    except BaseException:
        await pieces.aclose()
        raise


async def _pieces(events: AsyncIterator[Mapping[str, Any]]) -> AsyncGenerator[bytes, None]:
    """Yield a function's payload. Raises BrokeOff if the function failed."""
    try:
        async for event in events:
            if "PayloadChunk" in event:
                yield event["PayloadChunk"]["Payload"]
            elif event["InvokeComplete"].get("ErrorCode"):
                raise BrokeOff
    finally:
        if (aclose := getattr(events, "aclose", None)) is not None:
            await aclose()


async def unbroken(pieces: Conversation) -> AsyncGenerator[bytes, None]:
    """Yield a server's body. Raises BrokeOff if the server does not end it, or says nothing for too long."""
    try:
        while True:
            async with asyncio.timeout(limits.STREAM_IDLE_SECONDS):
                piece = await anext(pieces, None)
            if piece is None:
                return
            yield piece
    except (Unreachable, TimeoutError):
        raise BrokeOff from None
    finally:
        await pieces.aclose()


def _parse(prelude: bytes) -> dict[str, Any]:
    try:
        head = msgspec.json.decode(prelude)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        head = None
    if not isinstance(head, dict):
        raise Refused("bad_answer")
    return head
