"""Streamed answers of function URLs: the prelude and what comes without one."""

from collections.abc import AsyncGenerator

import pytest

from cumulet.services.lambda_.limits import PRELUDE_BYTES_MAX
from cumulet.services.lambda_.url_payload import MalformedAnswer
from cumulet.services.lambda_.url_streaming import PRELUDE_TYPE, begin_response
from cumulet.wire.message import BrokeOff, Response

END = bytes(8)


class Pieces:
    """What a function streams; `closed` tells that whoever reads has let go of it."""

    def __init__(self, *pieces: bytes, fails: bool = False) -> None:
        self.closed = False
        self.stream = self._make(pieces, fails)

    async def _make(self, pieces: tuple[bytes, ...], fails: bool) -> AsyncGenerator[bytes, None]:
        try:
            for piece in pieces:
                yield piece
            if fails:
                raise BrokeOff
        finally:
            self.closed = True


async def read(response: Response) -> list[bytes]:
    assert not isinstance(response.body, bytes)
    return [piece async for piece in response.body]


@pytest.mark.parametrize(
    ("content_type", "pieces", "status", "headers", "body"),
    [
        ("text/html", [b"a", b"b"], 200, {"content-type": "text/html"}, [b"a", b"b"]),
        ("", [b"a"], 200, {"content-type": "application/octet-stream"}, [b"a"]),
        ("text/plain", [], 200, {"content-type": "text/plain"}, []),
        (
            PRELUDE_TYPE,
            [b'{"statusCode":201,"headers":{"Content-Type":"text/plain","X-N":1}}' + END + b"a", b"b"],
            201,
            {"content-type": "text/plain", "x-n": "1"},
            [b"a", b"b"],
        ),
        (
            PRELUDE_TYPE,
            [b'{"cookies":["a=1"]}' + END[:5], END[5:], b"a"],
            200,
            {"content-type": "application/octet-stream", "set-cookie": "a=1"},
            [b"a"],
        ),
        (
            PRELUDE_TYPE,
            [b'{"statusCode":204,"headers":{"content-length":"0","transfer-encoding":"chunked"}}' + END],
            204,
            {"content-type": "application/octet-stream"},
            [],
        ),
    ],
)
async def test_answers(
    content_type: str, pieces: list[bytes], status: int, headers: dict[str, str], body: list[bytes]
) -> None:
    response = await begin_response(content_type, Pieces(*pieces).stream)
    assert (response.status, dict(response.headers), await read(response)) == (status, headers, body)


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b'{"statusCode":200}'],
        [b"no json" + END],
        [b"[]" + END],
        [b'{"statusCode":"many"}' + END],
        [b'{"cookies":"a=1"}' + END],
        [b'{"headers":{"a":"' + b"x" * PRELUDE_BYTES_MAX + b'"}}' + END],
        [b"x" * PRELUDE_BYTES_MAX, b"x" * 10, b"endless"],
    ],
)
async def test_what_is_no_prelude(pieces: list[bytes]) -> None:
    made = Pieces(*pieces)
    with pytest.raises(MalformedAnswer):
        await begin_response(PRELUDE_TYPE, made.stream)
    assert made.closed


@pytest.mark.parametrize("content_type", ["text/plain", PRELUDE_TYPE])
async def test_a_function_that_fails_before_its_first_byte(content_type: str) -> None:
    with pytest.raises(BrokeOff):
        await begin_response(content_type, Pieces(fails=True).stream)


async def test_a_function_that_fails_later_breaks_off() -> None:
    response = await begin_response("text/plain", Pieces(b"a", fails=True).stream)
    with pytest.raises(BrokeOff):
        await read(response)


async def test_a_body_that_nobody_reads_is_let_go_of() -> None:
    made = Pieces(b"a", b"b")
    response = await begin_response("text/plain", made.stream)
    await response.body.aclose()  # type: ignore[union-attr]
    assert made.closed
