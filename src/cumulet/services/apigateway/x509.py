"""A key on the curve P-256, and a certificate of it that it signs itself (pure).

Just enough of SEC 1, ECDSA (FIPS 186-4) and X.509 (RFC 5280) for a certificate by which backends know an API; nothing
here reads what others made. Chance is the caller's: the same secrets make the same bytes.
"""

import base64
import hashlib
import textwrap
from datetime import UTC, datetime

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
"""The curve y² = x³ - 3x + b: its prime, the order of its base point, and that point."""

_EC_PUBLIC_KEY = "1.2.840.10045.2.1"
_PRIME256V1 = "1.2.840.10045.3.1.7"
_ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2"
_COMMON_NAME = "2.5.4.3"

SECRET_BYTES = 40
"""Eight more than the order has, so that no number is noticeably more likely than another."""

Point = tuple[int, int]


def make(secret: bytes, nonce: bytes, serial: int, name: str, begins_s: int, ends_s: int) -> tuple[str, str]:
    """Return a certificate of that common name and its key, both as PEM.

    `secret` becomes the key and `nonce` is used once, to sign; both are SECRET_BYTES that nobody can guess.
    """
    private = _number(secret)
    public = _octets(_times(private, _G))
    algorithm = _sequence(_oid(_EC_PUBLIC_KEY), _oid(_PRIME256V1))
    signed_with = _sequence(_oid(_ECDSA_WITH_SHA256))
    named = _sequence(_tagged(0x31, _sequence(_oid(_COMMON_NAME), _tagged(0x0C, name.encode()))))
    body = _sequence(
        _tagged(0xA0, _integer(2)),  # version 3
        _integer(serial),
        signed_with,
        named,
        _sequence(_time(begins_s), _time(ends_s)),
        named,
        _sequence(algorithm, _bits(public)),
    )
    certificate = _sequence(body, signed_with, _bits(_sign(private, _number(nonce), body)))
    key = _sequence(
        _integer(1),
        _tagged(0x04, private.to_bytes(32)),
        _tagged(0xA0, _oid(_PRIME256V1)),
        _tagged(0xA1, _bits(public)),
    )
    return _pem("CERTIFICATE", certificate), _pem("EC PRIVATE KEY", key)


def _number(secret: bytes) -> int:
    return int.from_bytes(secret) % (_N - 1) + 1


def _plus(one: Point | None, other: Point | None) -> Point | None:
    if one is None or other is None:
        return one or other
    if one[0] == other[0]:
        if (one[1] + other[1]) % _P == 0:
            return None
        slope = (3 * one[0] * one[0] - 3) * pow(2 * one[1], -1, _P)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, _P)
    x = (slope * slope - one[0] - other[0]) % _P
    return x, (slope * (one[0] - x) - one[1]) % _P


def _times(number: int, point: Point) -> Point:
    total: Point | None = None
    doubled: Point | None = point
    while number:
        if number & 1:
            total = _plus(total, doubled)
        doubled = _plus(doubled, doubled)
        number >>= 1
    assert total is not None  # only a multiple of the order leads to nowhere
    return total


def _sign(private: int, nonce: int, message: bytes) -> bytes:
    digest = int.from_bytes(hashlib.sha256(message).digest())
    r = _times(nonce, _G)[0] % _N
    s = pow(nonce, -1, _N) * (digest + r * private) % _N
    return _sequence(_integer(r), _integer(s))


def _octets(point: Point) -> bytes:
    return b"\x04" + point[0].to_bytes(32) + point[1].to_bytes(32)


def _tagged(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size) + content


def _sequence(*parts: bytes) -> bytes:
    return _tagged(0x30, b"".join(parts))


def _integer(number: int) -> bytes:
    return _tagged(0x02, number.to_bytes(number.bit_length() // 8 + 1))


def _bits(content: bytes) -> bytes:
    return _tagged(0x03, b"\x00" + content)


def _oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    content = bytearray([first * 40 + second])
    for number in rest:
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(0x80 | number & 0x7F)
        content += bytes(reversed(groups))
    return _tagged(0x06, bytes(content))


def _time(epoch_s: int) -> bytes:
    at = datetime.fromtimestamp(epoch_s, UTC)
    # Two digits tell the years to 2049.
    if at.year < 2050:
        return _tagged(0x17, at.strftime("%y%m%d%H%M%SZ").encode())
    return _tagged(0x18, at.strftime("%Y%m%d%H%M%SZ").encode())


def _pem(kind: str, content: bytes) -> str:
    lines = textwrap.wrap(base64.b64encode(content).decode(), 64)
    return "\n".join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----", ""])
