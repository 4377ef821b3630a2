"""Compressed bodies: what is taken, what is given, and what is refused."""

import gzip
import zlib

import pytest

from cumulet.errors import ServiceError
from cumulet.wire.content_coding import BODY_BYTES_MAX, choose_coding, compress_answer, decode_body
from cumulet.wire.message import Response

BODY = b'{"a":"b"}'


def zipped(data: bytes) -> bytes:
    # Without the time, which would give each process that collects these tests other names for them.
    return gzip.compress(data, mtime=0)


@pytest.mark.parametrize(
    ("coding", "sent"),
    [
        ("gzip", zipped(BODY)),
        ("GZIP", zipped(BODY)),
        ("gzip", zipped(BODY[:4]) + zipped(BODY[4:])),
        ("gzip", zipped(BODY) + b"behind it"),
        ("deflate", zlib.compress(BODY)),
        ("identity", BODY),
        ("amz-1.0", BODY),
        ("", BODY),
    ],
)
def test_what_is_taken(coding: str, sent: bytes) -> None:
    assert decode_body(sent, coding) == BODY


@pytest.mark.parametrize(
    ("coding", "sent"),
    [
        ("garbage", BODY),
        ("br", BODY),
        ("gzip, gzip", zipped(BODY)),
        ("gzip", BODY),
        ("gzip", b""),
        ("gzip", zipped(BODY)[:-1]),
        ("gzip", zipped(BODY)[:12]),
        ("deflate", BODY),
        ("deflate", b""),
        ("gzip", zipped(b" " * (BODY_BYTES_MAX + 1))),
        ("gzip", zipped(b" " * (BODY_BYTES_MAX // 2)) * 3),
    ],
)
def test_what_is_refused(coding: str, sent: bytes) -> None:
    with pytest.raises(ServiceError) as error:
        decode_body(sent, coding)
    assert (error.value.code, error.value.status) == ("InternalServerError", 500)


def test_the_largest_body_is_taken() -> None:
    assert len(decode_body(zipped(b" " * BODY_BYTES_MAX), "gzip")) == BODY_BYTES_MAX


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("gzip", "gzip"),
        (" DEFLATE ", "deflate"),
        ("br, deflate, gzip", "deflate"),
        ("gzip;q=0.2, deflate;q=0.7", "deflate"),
        ("gzip;q=7, deflate;q=9", "gzip"),
        ("gzip;q=one, deflate;q=0.9", "gzip"),
        ("gzip;q=-1, deflate;q=0.1", "deflate"),
        ("gzip;q=0., deflate;q=.5", "deflate"),
        ("identity, *;q=0.1", "gzip"),
        ("gzip;q=0.1, *", "deflate"),
        ("*, deflate", "deflate"),
        ("gzip;q=0, gzip", "gzip"),
        ("gzip;q=0.00001, identity", "gzip"),
        ("", None),
        ("identity", None),
        ("zstd, x-gzip", None),
        ("gzip;q=0", None),
        ("gzip; q=0;q=1", None),
        ("*;q=0", None),
        ("gzip br", None),
        ('"gzip"', None),
    ],
)
def test_what_a_client_likes_best(accepted: str, chosen: str | None) -> None:
    assert choose_coding(accepted) == chosen


def test_answers() -> None:
    body = b"x" * 4096
    response = Response(200, (("a", "b"), ("x-amz-crc32", str(zlib.crc32(body)))), body)
    packed = compress_answer(response, "gzip")
    assert isinstance(packed.body, bytes)
    assert gzip.decompress(packed.body) == body
    assert packed.headers == (("a", "b"), ("x-amz-crc32", str(zlib.crc32(packed.body))), ("content-encoding", "gzip"))
    assert compress_answer(response, "identity") is response
    short = Response(200, (), body[:-1])
    assert compress_answer(short, "gzip") is short
