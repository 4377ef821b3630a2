"""Compressed objects: several members, any pieces, bombs in bounded pieces, and what is not compressed."""

import gzip
from collections.abc import Callable

import pytest
from backports import zstd

from cumulet.services.dynamodb.core.limits import IMPORT_READ_BYTES
from cumulet.services.dynamodb.core.unpacking import UNPACKERS, NotPacked

PACK: dict[str, Callable[[bytes], bytes]] = {"NONE": bytes, "GZIP": gzip.compress, "ZSTD": zstd.compress}


def unpack(kind: str, data: bytes, piece_bytes: int) -> list[bytes]:
    unpacker = UNPACKERS[kind]()
    found = []
    for start in range(0, len(data), piece_bytes):
        found += list(unpacker.feed(data[start : start + piece_bytes]))
    unpacker.finish()
    return found


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("piece_bytes", [1, 13, 1000])
def test_members_one_after_the_other(kind: str, piece_bytes: int) -> None:
    pack = PACK[kind]
    assert b"".join(unpack(kind, pack(b"one ") + pack(b"") + pack(b"two"), piece_bytes)) == b"one two"


@pytest.mark.parametrize("kind", ["GZIP", "ZSTD"])
def test_a_bomb_comes_in_pieces(kind: str) -> None:
    found = unpack(kind, PACK[kind](bytes(10 * IMPORT_READ_BYTES)), 1 << 20)
    assert sum(map(len, found)) == 10 * IMPORT_READ_BYTES
    assert max(map(len, found)) <= IMPORT_READ_BYTES


@pytest.mark.parametrize("kind", ["GZIP", "ZSTD"])
@pytest.mark.parametrize("damage", ["nonsense", "cut short", "nonsense behind"])
def test_what_is_not_compressed(kind: str, damage: str) -> None:
    packed = PACK[kind](b"text" * 100)
    data = {"nonsense": b"plain text", "cut short": packed[:-3], "nonsense behind": packed + b"plain text"}[damage]
    with pytest.raises(NotPacked, match=f"not compressed with {kind}"):
        unpack(kind, data, 1000)
