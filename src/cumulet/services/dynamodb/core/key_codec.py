"""From key attributes to bytes whose order is the order in which DynamoDB answers.

Inside one table a key attribute has one type, so no type is written: text as UTF-8, binaries as they are, numbers as
`numbers.encode_number` has them.
"""

import binascii
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from cumulet.services.dynamodb.core.numbers import encode_number

HASH_BITS = 32
_HASH_BYTES = HASH_BITS // 8
_REMEMBERED_BYTES_MAX = 128


def encode_key(kind: str, content: Any) -> bytes:
    """Return the order-preserving bytes of a canonical key value of type S, N or B."""
    if kind == "S":
        return content.encode()  # type: ignore[no-any-return]
    if kind == "N":
        return encode_number(content)
    return binascii.a2b_base64(content)


def hash_of(partition_key: bytes) -> bytes:
    """Return the hash by which a scan is ordered. Stored keys hold it: it can never change."""
    return (
        _hash_of(partition_key) if len(partition_key) <= _REMEMBERED_BYTES_MAX else _hash_of.__wrapped__(partition_key)
    )


@lru_cache(maxsize=4096)  # programs ask for the same partitions again and again
def _hash_of(partition_key: bytes) -> bytes:
    return blake2b(partition_key, digest_size=_HASH_BYTES).digest()


def segment_hashes(segment: int, total: int) -> tuple[bytes, bytes | None]:
    """Return the half-open range of hashes that a segment of a parallel scan covers; None is the end."""
    start = (segment << HASH_BITS) // total
    end = (segment + 1 << HASH_BITS) // total
    return start.to_bytes(_HASH_BYTES, "big"), None if segment + 1 == total else end.to_bytes(_HASH_BYTES, "big")
