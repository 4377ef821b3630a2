"""Large immutable bytes: stored once, counted by reference."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from cumulet.errors import InvariantViolated
from cumulet.scope import SYSTEM
from cumulet.store import blobs
from cumulet.store.api import ReadTx, Store
from cumulet.store.blobs import CHUNK_BYTES
from cumulet.store.keyspace import BLOB_CHUNK, BLOB_REFS
from cumulet.store.memory import MemoryStore
from cumulet.store.sqlite import open_sqlite


def records(tx: ReadTx) -> int:
    return len(list(tx.scan(*BLOB_CHUNK.range(SYSTEM)))) + len(list(tx.scan(*BLOB_REFS.range(SYSTEM))))


@pytest.mark.parametrize(
    ("data", "chunks"),
    [
        (b"", 0),
        (b"small", 1),
        (b"x" * CHUNK_BYTES, 1),
        (b"x" * CHUNK_BYTES + b"y", 2),
        (bytes(range(256)) * 4096 * 12, 12),
    ],
    ids=["empty", "small", "a chunk", "a chunk and a byte", "twelve chunks"],
)
async def test_bytes_come_back_under_their_digest(data: bytes, chunks: int) -> None:
    store = MemoryStore()

    digest = await store.write(lambda tx: blobs.save(tx, data))

    assert digest == hashlib.sha256(data).hexdigest()
    assert await store.read(lambda tx: blobs.load(tx, digest)) == data
    assert await store.read(lambda tx: blobs.find_size(tx, digest)) == len(data)
    assert await store.read(records) == chunks + 1


async def test_equal_bytes_are_stored_once_and_go_with_the_last_reference(tmp_path: Path) -> None:
    store: Store = open_sqlite(tmp_path, "memory")
    digest = await store.write(lambda tx: blobs.save(tx, b"x" * (CHUNK_BYTES + 1)))
    await store.write(lambda tx: blobs.save(tx, b"x" * (CHUNK_BYTES + 1)))
    other = await store.write(lambda tx: blobs.save(tx, b"other"))
    stored_once = await store.read(records)

    await store.write(lambda tx: blobs.release(tx, digest))
    still_there = await store.read(lambda tx: blobs.find_size(tx, digest))
    await store.write(lambda tx: blobs.release(tx, digest))

    assert stored_once == 5
    assert still_there == CHUNK_BYTES + 1
    assert await store.read(lambda tx: blobs.find_size(tx, digest)) is None
    assert await store.read(lambda tx: blobs.load(tx, other)) == b"other"
    assert await store.read(records) == 2
    await store.close()


async def test_a_release_and_a_save_in_one_transaction_keep_the_bytes() -> None:
    store = MemoryStore()
    digest = await store.write(lambda tx: blobs.save(tx, b"code"))

    await store.write(lambda tx: (blobs.release(tx, digest), blobs.save(tx, b"code")))

    assert await store.read(lambda tx: blobs.load(tx, digest)) == b"code"


async def test_a_blob_that_nobody_saved_is_a_bug_of_ours() -> None:
    store = MemoryStore()

    with pytest.raises(InvariantViolated):
        await store.read(lambda tx: blobs.load(tx, "0" * 64))
    with pytest.raises(InvariantViolated):
        await store.write(lambda tx: blobs.release(tx, "0" * 64))


@pytest.mark.parametrize(
    ("start", "end", "chunks"),
    [
        (0, 1, 1),
        (5, CHUNK_BYTES, 1),
        (5, CHUNK_BYTES + 1, 2),
        (CHUNK_BYTES, 2 * CHUNK_BYTES, 1),
        (CHUNK_BYTES - 1, 2 * CHUNK_BYTES + 1, 3),
        (3 * CHUNK_BYTES, 3 * CHUNK_BYTES + 8, 1),
        (0, 3 * CHUNK_BYTES + 8, 4),
    ],
)
async def test_a_range_reads_the_chunks_that_it_lies_in(start: int, end: int, chunks: int) -> None:
    store = MemoryStore()
    data = b"".join(number.to_bytes(8, "big") for number in range(3 * CHUNK_BYTES // 8 + 1))
    digest = await store.write(lambda tx: blobs.save(tx, data))

    def read(tx: ReadTx) -> tuple[bytes, int]:
        counting = CountingReads(tx)
        return blobs.load_range(counting, digest, start, end), counting.pairs

    assert await store.read(read) == (data[start:end], chunks)


async def test_a_range_of_a_blob_that_is_gone() -> None:
    with pytest.raises(InvariantViolated, match="lacks bytes"):
        await MemoryStore().read(lambda tx: blobs.load_range(tx, "gone", 0, 1))


class CountingReads:
    """A transaction that counts the pairs it gives out."""

    def __init__(self, tx: ReadTx) -> None:
        self._tx = tx
        self.pairs = 0

    def get(self, key: bytes) -> bytes | None:
        return self._tx.get(key)

    def scan(
        self, start: bytes, end: bytes, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        for pair in self._tx.scan(start, end, limit=limit, reverse=reverse):
            self.pairs += 1
            yield pair
