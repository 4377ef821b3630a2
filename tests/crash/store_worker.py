"""Writes to a store until it is killed, and prints a line for each transaction that was acknowledged.

    python store_worker.py DATA_DIR

Each of several writers counts up; a transaction puts a record at either end of the keyspace, replaces the counter, and
now and then removes a range. All of it or nothing must be there after the kill.
"""

import asyncio
import sys
from pathlib import Path

from cumulet.store import sqlite
from cumulet.store.api import WriteTx

WRITERS = 8
KEPT = 40
"""How many records of a writer are kept; older ones are removed with `delete_range`."""

VALUE = b"v" * 1500


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
    tx.put(front_key(writer, number), VALUE)
    tx.put(counter_key(writer), b"%d" % number)
    tx.put(back_key(writer, number), VALUE)
    if number % 10 == 0:
        for key in (front_key, back_key):
            tx.delete_range(key(writer, 0), key(writer, number - KEPT + 1))
    return number


async def write_for_ever(store: sqlite.SqliteStore, writer: int) -> None:
    while True:
        number = await store.write(lambda tx: count_up(tx, writer))
        sys.stdout.write(f"{writer} {number}\n")
        sys.stdout.flush()


async def main() -> None:
    sqlite.CHECKPOINT_BYTES = 500_000  # often enough to be hit by the kill
    store = sqlite.open_sqlite(Path(sys.argv[1]), "fsync")
    await asyncio.gather(*[write_for_ever(store, writer) for writer in range(WRITERS)])


if __name__ == "__main__":
    asyncio.run(main())
