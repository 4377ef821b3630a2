"""The file of a backup: what is written is read, and nothing else is taken for it."""

import io
import struct
import zlib

import msgspec
import pytest

from cumulet.store import dump
from cumulet.store.api import KEY_BYTES_MAX, VALUE_BYTES_MAX, StoreError
from cumulet.store.dump import BackupUnreadable, Block, Header, blocks_of, read_blocks, read_header, write_dump

HEADER = Header(format=1, store_version=1, created_ms=1_760_000_000_000, engine="memory", program="0.1.0")
BLOCKS: list[Block] = [[(b"a", b"1"), (b"b", b"")], [(b"c", b"3" * 40)]]


def written(blocks: list[Block] = BLOCKS, header: Header = HEADER) -> bytes:
    file = io.BytesIO()
    write_dump(file, header, blocks)
    return file.getvalue()


def read(data: bytes) -> tuple[Header, list[Block]]:
    file = io.BytesIO(data)
    return read_header(file), list(read_blocks(file))


def frame(kind: bytes, payload: bytes) -> bytes:
    """Return a frame as the format's description has it, so that what is wrong in one lies behind its checksum."""
    return struct.pack(">BII", kind[0], len(payload), zlib.crc32(payload, kind[0])) + payload


def file_of(*frames: bytes) -> bytes:
    return dump.MAGIC + b"".join(frames)


def test_what_is_written_is_read() -> None:
    assert read(written()) == (HEADER, BLOCKS)


def test_an_empty_store_has_a_backup_too() -> None:
    assert read(written([])) == (HEADER, [])


def test_the_totals_are_those_of_the_records_however_they_lie_in_blocks() -> None:
    together = write_dump(io.BytesIO(), HEADER, BLOCKS)
    assert together == write_dump(io.BytesIO(), HEADER, [[pair] for block in BLOCKS for pair in block])
    assert (together.records, together.bytes) == (3, 44)
    assert together != write_dump(io.BytesIO(), HEADER, [[(b"ab", b"1"), (b"b", b"")], [(b"c", b"3" * 39)]])


def test_where_a_key_ends_is_part_of_the_digest() -> None:
    assert write_dump(io.BytesIO(), HEADER, [[(b"ab", b"c")]]) != write_dump(io.BytesIO(), HEADER, [[(b"a", b"bc")]])


def test_blocks_end_when_they_are_large_enough() -> None:
    pairs = [(b"%04d" % number, b"v" * 100_000) for number in range(25)]
    blocks = list(blocks_of(pairs))
    assert [len(block) for block in blocks] == [11, 11, 3]
    assert [pair for block in blocks for pair in block] == pairs


def test_the_largest_record_fits() -> None:
    largest = [(b"a", b"v" * (dump.BLOCK_BYTES - 20)), (b"k" * KEY_BYTES_MAX, bytes(VALUE_BYTES_MAX))]
    assert read(written(list(blocks_of(largest))))[1] == [largest]


def test_a_file_that_is_cut_short_anywhere_is_refused() -> None:
    whole = written()
    for length in range(len(whole)):
        with pytest.raises(BackupUnreadable):
            read(whole[:length])


def test_a_file_that_ends_behind_a_whole_block_says_so() -> None:
    whole = written()
    last = whole.rindex(frame(b"T", msgspec.json.encode(write_dump(io.BytesIO(), HEADER, BLOCKS))))
    with pytest.raises(BackupUnreadable, match=r"^ends in the middle: it was cut short, or is still being written$"):
        read(whole[:last])


def test_a_flipped_bit_anywhere_is_found() -> None:
    whole = written()
    for at in range(len(whole)):
        for bit in (1, 128):
            with pytest.raises(BackupUnreadable):
                read(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])


TRAILER = frame(b"T", msgspec.json.encode(write_dump(io.BytesIO(), HEADER, BLOCKS)))
START = frame(b"H", msgspec.json.encode(HEADER))
BOMB = zlib.compress(bytes(64 * 1024 * 1024))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is not a backup that Cumulet made"),
        (b"SQLite format 3\x00 and so on", "is not a backup that Cumulet made"),
        (written().replace(b"\r\n", b"\n"), "is not a backup that Cumulet made"),
        (written() + b"\n", "is damaged: something follows its end"),
        (file_of(TRAILER), "is damaged: it has no header"),
        (file_of(frame(b"H", b"{")), "is damaged: Input data was truncated"),
        (file_of(frame(b"H", b'{"format": 1}')), "is damaged: Object missing required field `store_version`"),
        (
            file_of(frame(b"H", b'{"format": 2, "lz": true}')),
            "was written by another Cumulet: it has format 2, this program reads format 1",
        ),
        (file_of(START, START, TRAILER), "is damaged: something else stands where a block should be"),
        (file_of(START, TRAILER), "is damaged: its records are not those that were written"),
        (file_of(START, frame(b"B", b"plain")), "is damaged: a block cannot be inflated"),
        (file_of(START, frame(b"B", BOMB)), "is damaged: a block is not one run of records"),
        (file_of(START, frame(b"B", zlib.compress(b"abc") + b"d")), "is damaged: a block is not one run of records"),
        (file_of(START, frame(b"B", zlib.compress(b"abc"))), "is damaged: a block ends inside a record"),
        (file_of(START, frame(b"B", zlib.compress(bytes(7) + b"\x09v"))), "is damaged: a block ends inside a record"),
        (file_of(START, struct.pack(">BII", 66, 1 << 31, 0)), "is damaged: it tells of a block that is larger than"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_is_no_backup_is_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(BackupUnreadable) as refused:
        read(data)
    assert str(refused.value).startswith(words)
    assert isinstance(refused.value, StoreError)


def test_blocks_that_changed_places_are_found() -> None:
    first, second = [frame(b"B", zlib.compress(dump.Tally().add(block))) for block in BLOCKS]
    assert read(file_of(START, first, second, TRAILER))[1] == BLOCKS
    with pytest.raises(BackupUnreadable, match="its records are not those that were written"):
        read(file_of(START, second, first, TRAILER))
