"""Keys that are too long for an index of PostgreSQL: they share rows (pure).

An index entry has at most 2,704 bytes there, a key of ours up to 8 KiB: DynamoDB's partition and sort key together have
3 KiB, and zero bytes in them are escaped. A key of ROW_KEY_BYTES or more is kept in the row of its first ROW_KEY_BYTES
bytes, whose value is a list of (rest of the key, value), in order. Shorter keys are rows of their own, so the two never
meet. Since a shorter key never equals the beginning of such a row's, the order of the rows, and inside them of the
rests, is the order of the keys.
"""

from collections.abc import Iterable, Iterator

import msgspec

ROW_KEY_BYTES = 2_560

Pair = tuple[bytes, bytes]


def is_long(key: bytes) -> bool:
    """Return whether a key shares its row."""
    return len(key) >= ROW_KEY_BYTES


def split(key: bytes) -> Pair:
    """Return the key of a long key's row, and the rest."""
    return key[:ROW_KEY_BYTES], key[ROW_KEY_BYTES:]


def decode(row_value: bytes | None) -> dict[bytes, bytes]:
    """Return the rests and their values that a shared row holds, in order."""
    return {} if row_value is None else dict(msgspec.msgpack.decode(row_value, type=list[Pair]))


def encode(rests: dict[bytes, bytes]) -> bytes | None:
    """Return the value of a shared row, None if nothing is left of it."""
    return msgspec.msgpack.encode(sorted(rests.items())) if rests else None


def row_range(start: bytes, end: bytes) -> Pair:
    """Return the half-open range of rows in which the keys with `start` <= key < `end` lie."""
    return start[:ROW_KEY_BYTES], end if len(end) < ROW_KEY_BYTES else end[:ROW_KEY_BYTES] + b"\x00"


def pairs(rows: Iterable[Pair], start: bytes, end: bytes, reverse: bool) -> Iterator[Pair]:
    """Yield the keys and values with `start` <= key < `end` that rows hold, in the order of the rows."""
    for row_key, value in rows:
        if len(row_key) < ROW_KEY_BYTES:
            yield row_key, value
            continue
        shared = decode(value)
        for rest in reversed(shared) if reverse else shared:
            if start <= row_key + rest < end:
                yield row_key + rest, shared[rest]
