"""Writes to a store until it is killed, and prints a line for each transaction that was acknowledged.

    python store_worker.py DATA_DIR [DESCRIPTOR FIRST_WRITER]

Each of several writers counts up; a transaction puts a record at either end of the keyspace, replaces the counter, adds
to the total, and now and then removes a range. All of it or nothing must be there after the kill.

With a descriptor the process is one of several over that folder, each with writers of its own. It looks, again and
again, whether the total is the sum of all counters; if it ever is not, it ends with status 1.
"""

import asyncio
import sys
from pathlib import Path

from cumulet.store import sqlite
from cumulet.store.api import ReadTx, WriteTx

WRITERS = 8
KEPT = 40
"""How many records of a writer are kept; older ones are removed with `delete_range`."""

VALUE = b"v" * 1500
TOTAL_KEY = b"total"
WRITERS_MAX = 64


def front_key(writer: int, number: int) -> bytes:
    """Return the key of a transaction's record at the front of the keyspace."""
    return b"a%03d-%09d" % (writer, number)


def back_key(writer: int, number: int) -> bytes:
    """Return the key of its record at the back."""
    return b"z%03d-%09d" % (writer, number)


def counter_key(writer: int) -> bytes:
    """Return the key of a writer's counter."""
    return b"counter%03d" % writer


def count_up(tx: WriteTx, writer: int) -> int:
    """Make the next transaction of a writer; return its number."""
    number = int(tx.get(counter_key(writer)) or b"0") + 1
    tx.put(TOTAL_KEY, b"%d" % (int(tx.get(TOTAL_KEY) or b"0") + 1))
    tx.put(front_key(writer, number), VALUE)
    tx.put(counter_key(writer), b"%d" % number)
    tx.put(back_key(writer, number), VALUE)
    if number % 10 == 0:
        for key in (front_key, back_key):
            tx.delete_range(key(writer, 0), key(writer, number - KEPT + 1))
    return number


def is_whole(tx: ReadTx) -> bool:
    """Return whether the total is the sum of the counters, read one by one and in a scan."""
    counters = [int(tx.get(counter_key(writer)) or b"0") for writer in range(WRITERS_MAX)]
    scanned = [int(value) for _, value in tx.scan(counter_key(0), counter_key(WRITERS_MAX))]
    return sum(counters) == sum(scanned) == int(tx.get(TOTAL_KEY) or b"0")


async def look_for_ever(store: sqlite.SqliteStore) -> None:
    while True:
        if not await store.read(is_whole):
            raise SystemExit(1)
        await asyncio.sleep(0)


async def write_for_ever(store: sqlite.SqliteStore, writer: int) -> None:
    while True:
        number = await store.write(lambda tx: count_up(tx, writer))
        sys.stdout.write(f"{writer} {number}\n")
        sys.stdout.flush()


async def main() -> None:
    sqlite.CHECKPOINT_BYTES = 500_000  # often enough to be hit by the kill
    held, first = (int(sys.argv[2]), int(sys.argv[3])) if len(sys.argv) > 2 else (None, 0)
    store = sqlite.open_sqlite(Path(sys.argv[1]), "fsync", held=held)
    looking = [] if held is None else [look_for_ever(store)]
    await asyncio.gather(*looking, *[write_for_ever(store, first + writer) for writer in range(WRITERS)])


if __name__ == "__main__":
    asyncio.run(main())
