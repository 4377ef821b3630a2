"""The HTTP answer of a function URL that streams: its head is in the stream's prelude, or nowhere.

    {"statusCode": 201, "headers": {...}, "cookies": [...]} 00 00 00 00 00 00 00 00 body ...

https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html. A prelude is expected where the
runtime says so by the content type; other streams are the body of a 200. The answer begins with the stream's first
byte, so that a function that fails before it gets the 502 of any other; after it the answer can only break off.
"""

import json
from collections.abc import AsyncIterator

from cumulet.services.lambda_ import limits
from cumulet.services.lambda_.url_payload import MalformedAnswer, make_head
from cumulet.wire.message import BegunBody, Response, close_body

PRELUDE_TYPE = "application/vnd.awslambda.http-integration-response"
_DEFAULT_TYPE = "application/octet-stream"
_PRELUDE_END = bytes(8)


async def begin_response(content_type: str, pieces: AsyncIterator[bytes]) -> Response:
    """Return an answer whose body goes on with `pieces`. Raises MalformedAnswer, and what `pieces` raises."""
    try:
        if content_type.partition(";")[0].strip().lower() != PRELUDE_TYPE:
            first = await anext(pieces, b"")
            return Response(200, (("content-type", content_type or _DEFAULT_TYPE),), BegunBody(first, pieces))
        received = b""
        async for piece in pieces:
            received += piece
            prelude, end, first = received.partition(_PRELUDE_END)
            if len(prelude) > limits.PRELUDE_BYTES_MAX:
                raise MalformedAnswer
            if end:
                return Response(*_parse_prelude(prelude), BegunBody(first, pieces))
        raise MalformedAnswer
    except BaseException:
        await close_body(pieces)
        raise


def _parse_prelude(prelude: bytes) -> tuple[int, tuple[tuple[str, str], ...]]:
    try:
        metadata = json.loads(prelude)
    except ValueError:
        raise MalformedAnswer from None
    if not isinstance(metadata, dict):
        raise MalformedAnswer
    status, fields = make_head(metadata, _DEFAULT_TYPE)
    return status, tuple(field for field in fields if field[0] != "content-length")  # it comes in chunks
