"""When an environment's output is read: as it comes, when the function answers, or before it is frozen."""

import asyncio
import os
import sys
from typing import Any

import pytest

from cumulet.scope import Scope
from cumulet.services.lambda_.execution.environment import State
from cumulet.services.lambda_.execution.logs import LogStream, Output
from cumulet.services.lambda_.records import VersionRecord
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

LATE = """
import threading

def lambda_handler(event, context):
    threading.Timer(0.005, print, ["after the answer"]).start()
"""


TALKATIVE = f"""#!{sys.base_prefix}/bin/python{sys.version_info.major}.{sys.version_info.minor} -IS
import http.client, os
line = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def ask(method, path, body=None):
    line.request(method, "/2018-06-01/runtime/invocation/" + path, body)
    answer = line.getresponse()
    answer.read()
    return answer.headers["Lambda-Runtime-Aws-Request-Id"]
while True:
    ask("POST", ask("GET", "next") + "/response", "1")
    print("answered", flush=True)
"""


def lines_of(rig: Any) -> list[str]:
    return [line for events in rig.neighbours.events.values() for line in events]


def kinds_of(rig: Any) -> list[str]:
    return [line.split()[0] for line in lines_of(rig)]


def only_environment(rig: Any, version: VersionRecord) -> Any:
    (environment,) = rig.plane._supervisor._fleets[f"{version.arn}:$LATEST"].members.values()
    return environment


def numbers_of(rig: Any) -> list[str]:
    return [line for line in lines_of(rig) if line[0].isdigit()]


async def test_what_is_left_alone_waits_to_be_drained() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    heard: list[str] = []
    output = Output(reading, LogStream(Scope("1", "r"), "group", "stream"), heard.append)
    os.write(writing, b"one\n")
    await until(lambda: heard == ["one\n"], "it is listened to from the beginning")
    output.leave()
    os.write(writing, b"two\n")
    output.resume()  # as when there is room again
    other_reading, other_writing = os.pipe()
    os.set_blocking(other_reading, False)
    other: list[str] = []
    beside = Output(other_reading, LogStream(Scope("1", "r"), "group", "stream"), other.append)
    os.write(other_writing, b"beside\n")
    await until(lambda: other, "the loop has looked at all that is listened to")
    assert heard == ["one\n"]
    output.drain()
    assert heard == ["one\n", "two\n"]
    os.write(writing, b"three\n")
    output.listen()
    await until(lambda: heard[2:] == ["three\n"], "it is listened to again")
    for closed in (output, beside):
        closed.close()
    for descriptor in (writing, other_writing):
        os.close(descriptor)


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


@pytest.mark.slow
async def test_what_comes_after_the_answer_is_in_the_log_before_the_next_invocation(rig: Any) -> None:
    for _ in range(10):  # a thread that is slow to wake is frozen before it writes, and writes in the next invocation
        version = await rig.function(LATE)
        rig.neighbours.events.clear()
        await rig.invoke(version)
        environment = only_environment(rig, version)
        await until(lambda: environment.state is State.FROZEN, "the environment is frozen")  # noqa: B023
        await rig.invoke(version)
        await until(lambda: kinds_of(rig).count("REPORT") >= 2, "both invocations are reported")
        first = kinds_of(rig)[: kinds_of(rig).index("REPORT") + 2]
        if "after" in first:
            return
    raise AssertionError(f"it never was: {lines_of(rig)}")


@pytest.mark.slow
async def test_what_a_runtime_writes_before_it_asks_for_more_belongs_to_what_it_has_answered(rig: Any) -> None:
    files = {"bootstrap": TALKATIVE}
    version = await rig.function("", files=files, executable=("bootstrap",), runtime="provided.al2023")
    rig.neighbours.events.clear()
    for _ in range(3):
        await rig.invoke(version)
        environment = only_environment(rig, version)
        await until(lambda: environment.state in (State.READY, State.FROZEN), "it wants more")  # noqa: B023
    told = lambda: [line.split()[0] for line in rig.neighbours.events.get(environment.stream.name, [])]  # noqa: E731
    await until(lambda: told().count("REPORT") == 3, "all are reported")
    first = told().index("START")
    assert told()[first : first + 11] == [*["START", "END", "REPORT", "answered"] * 2, "START", "END", "REPORT"]
