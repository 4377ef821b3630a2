"""aws-chunked bodies: the framing that SDKs put around an S3 upload, with signatures or trailing checksums inside it.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and .../sigv4-streaming-trailers.html. The chunk
signatures are not verified here: the request's own signature covers the seed, and a body reaches Cumulet whole.
"""

import re
from typing import NamedTuple

from cumulet.errors import ServiceError
from cumulet.wire.message import Headers, Request

CHUNK_HEADER_BYTES_MAX = 1024
"""Room for a length and a signature; anything longer is no chunk header."""

_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")
"""Python's own reading would take a sign too, and a chunk of negative length leads back to where it stands."""


class Unwrapped(NamedTuple):
    """The bytes that a client meant, and the trailing headers (checksums) after them."""

    body: bytes
    trailers: Headers


def is_chunked(headers: Headers) -> bool:
    """Return whether a request's body is framed by aws-chunked."""
    return (headers.get("x-amz-content-sha256") or "").startswith("STREAMING-")


def unwrap(request: Request) -> Unwrapped:
    """Return the body without its framing. Raises S3's IncompleteBody if the framing is broken or cut off."""
    body = request.body
    parts: list[bytes] = []
    position = 0
    while True:
        end = body.find(b"\r\n", position, position + CHUNK_HEADER_BYTES_MAX)
        if end < 0:
            raise _incomplete()
        size = _chunk_size(body[position:end])
        start = end + 2
        if size == 0:
            break
        if body[start + size : start + size + 2] != b"\r\n":
            raise _incomplete()
        parts.append(body[start : start + size])
        position = start + size + 2
    whole = b"".join(parts)
    declared = request.headers.get("x-amz-decoded-content-length")
    if declared is not None and declared != str(len(whole)):
        raise _incomplete()
    return Unwrapped(whole, _trailers(body[start:]))


def _chunk_size(header: bytes) -> int:
    size = header.partition(b";")[0]
    if not _SIZE.fullmatch(size):
        raise _incomplete()
    return int(size, 16)


def _trailers(rest: bytes) -> Headers:
    lines = [line.partition(":") for line in rest.decode("latin-1").split("\r\n") if line]
    return Headers((name.strip(), value.strip()) for name, _, value in lines)


def _incomplete() -> ServiceError:
    return ServiceError(
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP header",
        status=400,
    )
