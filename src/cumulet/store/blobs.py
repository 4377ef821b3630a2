"""Large immutable bytes (code archives, object bodies) in chunks, named by their SHA-256 and counted by reference.

Equal bytes are stored once, whoever saved them. A record that keeps a digest owns one reference: it is taken by `save`
and given back by `release` in the very transaction that writes or deletes the record, so the count is always right.
"""

import hashlib

import msgspec

from cumulet.errors import InvariantViolated
from cumulet.scope import SYSTEM
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import BLOB_CHUNK, BLOB_REFS
from cumulet.store.records import Records

CHUNK_BYTES = 1024 * 1024


class BlobRefs(msgspec.Struct, array_like=True):
    """How large a blob is, and how many records refer to it."""

    size: int
    references: int


_REFS = Records(BLOB_REFS, BlobRefs)


def save(tx: WriteTx, data: bytes) -> str:
    """Return the digest (hex) under which `data` is kept, with one reference more than before."""
    digest = hashlib.sha256(data).hexdigest()
    refs = _REFS.find(tx, SYSTEM, digest)
    if refs is None:
        refs = BlobRefs(len(data), 0)
        view = memoryview(data)
        for index in range(-(-len(data) // CHUNK_BYTES)):
            tx.put(BLOB_CHUNK.key(SYSTEM, digest, index), bytes(view[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]))
    refs.references += 1
    _REFS.save(tx, SYSTEM, digest, record=refs)
    return digest


def load(tx: ReadTx, digest: str) -> bytes:
    """Return the bytes of a blob that a record refers to. Raises InvariantViolated if they are not there."""
    size = find_size(tx, digest)
    data = b"".join([chunk for _, chunk in tx.scan(*BLOB_CHUNK.range(SYSTEM, digest))])
    if size is None or len(data) != size:
        raise InvariantViolated(f"blob {digest} has {len(data)} bytes in its chunks instead of {size}")
    return data


def load_range(tx: ReadTx, digest: str, start: int, end: int) -> bytes:
    """Return the bytes from `start` to `end` (exclusive) of a blob; only the chunks that they lie in are read."""
    first, last = start // CHUNK_BYTES, (end - 1) // CHUNK_BYTES
    behind = BLOB_CHUNK.range(SYSTEM, digest, last)[1]
    data = b"".join([chunk for _, chunk in tx.scan(BLOB_CHUNK.key(SYSTEM, digest, first), behind)])
    offset = first * CHUNK_BYTES
    if len(data) < end - offset:
        raise InvariantViolated(f"blob {digest} lacks bytes between {start} and {end}")
    return data[start - offset : end - offset]


def find_size(tx: ReadTx, digest: str) -> int | None:
    """Return how many bytes a blob has, or None if nobody refers to it any more."""
    refs = _REFS.find(tx, SYSTEM, digest)
    return None if refs is None else refs.size


def keep(tx: WriteTx, digest: str) -> None:
    """Add one reference to a blob that a record refers to already."""
    refs = _REFS.find(tx, SYSTEM, digest)
    if refs is None:
        raise InvariantViolated(f"blob {digest} is to be kept, but nobody refers to it")
    refs.references += 1
    _REFS.save(tx, SYSTEM, digest, record=refs)


def release(tx: WriteTx, digest: str) -> None:
    """Give one reference back; the last one takes the bytes with it."""
    refs = _REFS.find(tx, SYSTEM, digest)
    if refs is None:
        raise InvariantViolated(f"blob {digest} is released, but nobody refers to it")
    refs.references -= 1
    if refs.references > 0:
        _REFS.save(tx, SYSTEM, digest, record=refs)
        return
    _REFS.delete(tx, SYSTEM, digest)
    tx.delete_range(*BLOB_CHUNK.range(SYSTEM, digest))
