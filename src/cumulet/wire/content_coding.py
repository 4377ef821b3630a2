"""Compressed bodies, as DynamoDB takes and gives them: gzip and deflate (RFC 9110, section 8.4.1).

A request says with Content-Encoding that its body is compressed; an answer of 4 KB and more is, if Accept-Encoding asks
for it. How AWS reads that header where it bends the grammar is what ScyllaDB Alternator's tests have recorded: a
quality that is no number counts as 1, `identity` never wins, of several headers the first counts.
"""

import re
import zlib

from cumulet.errors import ServiceError
from cumulet.wire.message import Response

BODY_BYTES_MAX = 16 * 1024 * 1024
"""Of a request, when it is decompressed: DynamoDB's limit."""
COMPRESSED_BYTES_MIN = 4096
"""Shorter answers are sent as they are."""
_LEVEL = 6

_PLAIN = frozenset(("", "identity", "amz-1.0"))
"""Content-Encodings that say nothing. The last one comes from the first SDKs."""
_GZIP, _ZLIB = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS
_FORMATS = {"gzip": _GZIP, "deflate": _ZLIB}
_QUALITY = re.compile(r"q=([^;]*)")
_NUMBER = re.compile(r"\d+\.?\d*|\.\d+")


def decode_body(body: bytes, content_encoding: str) -> bytes:
    """Return a request's body as it was before it was compressed.

    Raises InternalServerError, as AWS does, for a coding that there is not, a body that is not what it says, and one
    that is too long.
    """
    coding = content_encoding.strip().lower()
    if coding in _PLAIN:
        return body
    if coding not in _FORMATS or not body:
        raise _undecodable()
    parts: list[bytes] = []
    left = BODY_BYTES_MAX
    while body:
        decompress = zlib.decompressobj(_FORMATS[coding])
        try:
            part = decompress.decompress(body, left + 1)
        except zlib.error:
            if parts:
                break  # something behind the body: AWS does not look at it
            raise _undecodable() from None
        left -= len(part)
        if left < 0 or not decompress.eof:
            raise _undecodable()
        parts.append(part)
        # Several gzip members are one body; deflate knows no such thing.
        body = decompress.unused_data if coding == "gzip" else b""
    return b"".join(parts)


def compress_answer(response: Response, accept_encoding: str) -> Response:
    """Return the answer compressed, if it is worth it and the client takes it. Its checksum is that of what is sent."""
    body = response.body
    if not isinstance(body, bytes) or len(body) < COMPRESSED_BYTES_MIN:
        return response
    coding = choose_coding(accept_encoding)
    if coding is None:
        return response
    compress = zlib.compressobj(_LEVEL, zlib.DEFLATED, _FORMATS[coding])
    packed = compress.compress(body) + compress.flush()
    headers = [(name, str(zlib.crc32(packed)) if name == "x-amz-crc32" else value) for name, value in response.headers]
    return Response(response.status, (*headers, ("content-encoding", coding)), packed)


def choose_coding(accept_encoding: str) -> str | None:
    """Return the coding that a client likes best, or None for none."""
    qualities: dict[str, float] = {}
    for entry in accept_encoding.lower().split(","):
        name, _, parameters = entry.partition(";")
        if (name := name.strip()) in ("gzip", "deflate", "*"):
            qualities[name] = max(qualities.get(name, 0.0), _quality(parameters))
    others = qualities.pop("*", 0.0)
    # What is named goes before what a star stands for.
    for name in _FORMATS:
        qualities.setdefault(name, others)
    best = max(qualities, key=lambda name: qualities[name])
    return best if qualities[best] > 0 else None


def _quality(parameters: str) -> float:
    found = _QUALITY.search(parameters)
    if found is None:
        return 1.0
    value = found[1].strip()
    if value.startswith("-"):
        return 0.0
    return min(float(value), 1.0) if _NUMBER.fullmatch(value) else 1.0


def _undecodable() -> ServiceError:
    return ServiceError("InternalServerError", "Internal server error", status=500)
