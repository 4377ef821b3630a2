"""The file of a backup: every record of a store in key order, the same for all engines. Pure but for the file given.

    magic    cumulet CR LF 1A LF            (what passed through a text mode is recognised by it)
    frames   kind, length, CRC-32, payload  H, then any number of B, then T, then the end of the file
      H      JSON: the format's version, the store's version, when, by which program, from which engine
      B      a block, deflated: up to about 1 MiB of records, each as its lengths, its key and its value
      T      JSON: how many records and bytes there are, and the SHA-256 of all of them

A block is what is held in memory at once, written to a store in one transaction, and checked before any of it is
believed. A file without a T is a copy that was interrupted; whatever is not as it was written is refused. The digest is
over the records and not over the file, so that two stores, or a store and a file, are compared by it.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO, TypeAlias, TypeVar

import msgspec

from cumulet.store.api import KEY_BYTES_MAX, VALUE_BYTES_MAX, StoreError

Pair: TypeAlias = tuple[bytes, bytes]
Block: TypeAlias = list[Pair]
T = TypeVar("T")

FORMAT_VERSION = 1
MAGIC = b"cumulet\r\n\x1a\n"

BLOCK_BYTES = 1024 * 1024
"""A block ends with the record that makes it as large as this. It decides the memory that a copy takes."""

_BLOCK_BYTES_MAX = BLOCK_BYTES + KEY_BYTES_MAX + VALUE_BYTES_MAX + 8
_LEVEL = 3
"""Of deflate; what others cost and save: docs/decisions/0013-backup-files.md."""

_HEADER, _BLOCK, _TRAILER = b"HBT"
_FRAME = struct.Struct(">BII")
_LENGTHS = struct.Struct(">II")


class BackupUnreadable(StoreError):
    """A file is no backup, not a whole one, or of another format: what is wrong with it, to be read behind its name."""


class Header(msgspec.Struct, frozen=True):
    """What a backup says about itself before its records."""

    format: int
    store_version: int
    created_ms: int
    engine: str
    program: str


class Totals(msgspec.Struct, frozen=True):
    """What a copy is compared by: equal totals, equal records."""

    records: int
    bytes: int
    sha256: str


class Tally:
    """Counts and digests records, block by block."""

    def __init__(self) -> None:
        self._records = 0
        self._bytes = 0
        self._digest = hashlib.sha256()

    def add(self, block: Block) -> bytes:
        """Count a block in; return its records as one run of bytes."""
        run = b"".join([part for key, value in block for part in (_LENGTHS.pack(len(key), len(value)), key, value)])
        self.add_run(run, len(block))
        return run

    def add_run(self, run: bytes, records: int) -> None:
        """Count in a block that is a run of bytes already."""
        self._records += records
        self._bytes += len(run) - _LENGTHS.size * records
        self._digest.update(run)

    def totals(self) -> Totals:
        """Return what has been counted in so far."""
        return Totals(self._records, self._bytes, self._digest.hexdigest())


def blocks_of(pairs: Iterable[Pair]) -> Iterator[Block]:
    """Yield the pairs in blocks."""
    block: Block = []
    size = 0
    for pair in pairs:
        block.append(pair)
        size += _LENGTHS.size + len(pair[0]) + len(pair[1])
        if size >= BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def write_dump(file: BinaryIO, header: Header, blocks: Iterable[Block]) -> Totals:
    """Write a whole backup; return what is in it."""
    tally = Tally()
    file.write(MAGIC + _frame(_HEADER, msgspec.json.encode(header)))
    for block in blocks:
        file.write(_frame(_BLOCK, zlib.compress(tally.add(block), _LEVEL)))
    totals = tally.totals()
    file.write(_frame(_TRAILER, msgspec.json.encode(totals)))
    return totals


def read_header(file: BinaryIO) -> Header:
    """Return the header of the backup that begins here. Raises BackupUnreadable if this program cannot read it."""
    if file.read(len(MAGIC)) != MAGIC:
        raise BackupUnreadable("is not a backup that Cumulet made")
    kind, payload = _read_frame(file)
    if kind != _HEADER:
        raise _damaged("it has no header")
    # First the version alone: a newer header may have anything beside it.
    found = _decode(payload, dict[str, object]).get("format")
    if found != FORMAT_VERSION:
        raise BackupUnreadable(
            f"was written by another Cumulet: it has format {found}, this program reads format {FORMAT_VERSION}"
        )
    return _decode(payload, Header)


def read_blocks(file: BinaryIO) -> Iterator[Block]:
    """Yield the blocks behind the header. Raises BackupUnreadable at the first thing that is not as it was written.

    So what has been yielded may turn out to be a part only: nobody relies on it before the end.
    """
    tally = Tally()
    while True:
        kind, payload = _read_frame(file)
        if kind == _TRAILER:
            break
        if kind != _BLOCK:
            raise _damaged("something else stands where a block should be")
        run = _inflate(payload)
        block = _pairs_of(run)
        tally.add_run(run, len(block))
        yield block
    if _decode(payload, Totals) != tally.totals():
        raise _damaged("its records are not those that were written")
    if file.read(1):
        raise _damaged("something follows its end")


def _frame(kind: int, payload: bytes) -> bytes:
    return _FRAME.pack(kind, len(payload), _checksum(kind, payload)) + payload


def _checksum(kind: int, payload: bytes) -> int:
    return zlib.crc32(payload, kind)


def _read_frame(file: BinaryIO) -> tuple[int, bytes]:
    head = file.read(_FRAME.size)
    if len(head) < _FRAME.size:
        raise _cut_short()
    kind, length, checksum = _FRAME.unpack(head)
    # A block that deflate cannot make smaller becomes a little larger.
    if length > 2 * _BLOCK_BYTES_MAX:
        raise _damaged("it tells of a block that is larger than any")
    payload = file.read(length)
    if len(payload) < length:
        raise _cut_short()
    if _checksum(kind, payload) != checksum:
        raise _damaged("the checksum of a block is wrong")
    return kind, payload


def _decode(payload: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(payload, type=kind)
    except msgspec.DecodeError as failure:
        raise _damaged(f"{failure}") from failure


def _cut_short() -> BackupUnreadable:
    return BackupUnreadable("ends in the middle: it was cut short, or is still being written")


def _damaged(how: str) -> BackupUnreadable:
    return BackupUnreadable(f"is damaged: {how}")


def _inflate(payload: bytes) -> bytes:
    inflating = zlib.decompressobj()
    try:
        run = inflating.decompress(payload, _BLOCK_BYTES_MAX)
    except zlib.error as failure:
        raise _damaged(f"a block cannot be inflated ({failure})") from failure
    if not inflating.eof or inflating.unused_data:
        raise _damaged("a block is not one run of records")
    return run


def _pairs_of(run: bytes) -> Block:
    pairs: Block = []
    at = 0
    while at < len(run):
        if at + _LENGTHS.size > len(run):
            raise _damaged("a block ends inside a record")
        key_bytes, value_bytes = _LENGTHS.unpack_from(run, at)
        key_at = at + _LENGTHS.size
        value_at = key_at + key_bytes
        at = value_at + value_bytes
        if at > len(run):
            raise _damaged("a block ends inside a record")
        pairs.append((run[key_at:value_at], run[value_at:at]))
    return pairs
