"""An environment's output is read as it comes, however long an invocation takes and however much it writes."""

import asyncio
from typing import Any

import pytest

from patience import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAITING = """
import socket

def lambda_handler(event, context):
    print("begun")
    with socket.create_connection(("127.0.0.1", event["port"])) as line:
        return line.recv(100).decode()
"""

FLOOD = """
def lambda_handler(event, context):
    print("\\n".join(f"{number:09}" for number in range(30_000)))
"""


def lines_of(rig: Any) -> list[str]:
    return [line for events in rig.neighbours.events.values() for line in events]


def numbers_of(rig: Any) -> list[str]:
    return [line for line in lines_of(rig) if line[0].isdigit()]


@pytest.mark.slow
async def test_who_waits_long_is_heard_meanwhile(rig: Any) -> None:
    version = await rig.function(WAITING)
    callers: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    server = await asyncio.start_server(lambda reader, writer: callers.put_nowait(writer), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        for _ in range(2):  # the environment is started, and it is there already
            before = lines_of(rig).count("begun\n")
            running = asyncio.create_task(rig.invoke(version, b'{"port": %d}' % port))
            async with asyncio.timeout(60):
                caller = await callers.get()
            await until(lambda: lines_of(rig).count("begun\n") == before + 1, "its line is in the log")  # noqa: B023
            assert not running.done()
            caller.write(b"go on")
            caller.close()
            assert (await running).payload == b'"go on"'


@pytest.mark.slow
async def test_more_than_a_pipe_holds_comes_whole(rig: Any) -> None:
    version = await rig.function(FLOOD)
    for _ in range(2):
        rig.neighbours.events.clear()
        result = await rig.invoke(version)
        assert result.payload == b"null"
        await until(lambda: len(numbers_of(rig)) >= 30_000, "all of it is in the log")
        assert numbers_of(rig) == [f"{number:09}\n" for number in range(30_000)]
