"""One of several processes over one store. It does what it is told on standard input, and says when that is done.

python group_member.py DATA_DIR DESCRIPTOR DURABILITY

put KEY VALUE       done once it is acknowledged
clear START END     remove a range
undo KEY VALUE      put, and raise
get KEY             the value, or -
count KEY N         increment a counter N times, from several writers at once
hint TOPIC          hint at it
"""

import asyncio
import contextlib
import sys
from pathlib import Path

import uvloop

from cumulet.store.api import WriteTx
from cumulet.store.sqlite import SqliteStore, open_sqlite

WRITERS = 8


async def perform(store: SqliteStore, command: str, words: list[bytes]) -> str:
    match command, words:
        case "put", [key, value]:
            await store.write(lambda tx: tx.put(key, value))
        case "clear", [start, end]:
            await store.write(lambda tx: tx.delete_range(start, end))
        case "undo", [key, value]:

            def undo(tx: WriteTx) -> None:
                tx.put(key, value)
                raise LookupError

            with contextlib.suppress(LookupError):
                await store.write(undo)
        case "get", [key]:
            value = await store.read(lambda tx: tx.get(key))
            return "-" if value is None else value.decode()
        case "count", [key, times]:

            def increment(tx: WriteTx) -> None:
                tx.put(key, b"%d" % (int(tx.get(key) or b"0") + 1))

            async def increments() -> None:
                for _ in range(int(times) // WRITERS):
                    await store.write(increment)

            await asyncio.gather(*[increments() for _ in range(WRITERS)])
        case "hint", [topic]:
            await store.write(lambda tx: tx.hint(topic.decode()))
    return "done"


async def main() -> None:
    data_dir, descriptor, durability = sys.argv[1:]
    store = open_sqlite(Path(data_dir), durability, held=int(descriptor))  # type: ignore[arg-type]
    loop = asyncio.get_running_loop()
    lines: asyncio.StreamReader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        command, *words = line.split()
        print(await perform(store, command.decode(), words), flush=True)
    await store.close()


if __name__ == "__main__":
    uvloop.run(main())
