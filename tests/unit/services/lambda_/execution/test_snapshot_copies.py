"""Environments with SnapStart: one process is initialised for a version, and each environment is a copy of it."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cumulet.services.lambda_.execution.environment import State
from cumulet.services.lambda_.execution.occupancy import Environment
from cumulet.services.lambda_.execution.sandbox.interpreters import Interpreter
from cumulet.services.lambda_.execution.sandbox.process import Sandbox
from cumulet.services.lambda_.execution.sandbox.zygote import Zygote
from cumulet.services.lambda_.execution.supervisor import Fleet, fleet_key


def can_make_user_namespaces() -> bool:
    """Tell whether this machine lets a user without rights have a namespace, as copies of snapshots need it."""
    switches = [Path("/proc/sys/user/max_user_namespaces"), Path("/proc/sys/kernel/unprivileged_userns_clone")]
    forbidden = [path for path in switches if path.exists() and int(path.read_text()) == 0]
    return os.geteuid() == 0 and Path("/proc/self/ns/user").exists() and not forbidden


pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.slow,
    pytest.mark.skipif(not can_make_user_namespaces(), reason="needs user namespaces"),
]

CODE = """
import os, random, socket, time, uuid
from snapshot_restore_py import register_after_restore, register_before_snapshot
print("initialised")
hooks = []
register_before_snapshot(hooks.append, "before")
register_after_restore(hooks.append, "after")
with open("/tmp/made", "w") as made:
    made.write("at initialisation")
os.mkdir("/tmp/folder")
os.symlink("made", "/tmp/link")
opened = open("/tmp/made", "rb", buffering=0)
opened.read(3)
connection = socket.create_connection(("127.0.0.1", int(os.environ["PORT"])))

def lambda_handler(event, context):
    open("/tmp/own", "x").close()
    time.sleep(event.get("sleep", 0))
    try:
        connection.send(b"?")
        broken = False
    except OSError:
        broken = True
    return {
        "hooks": hooks,
        "random": [random.random(), str(uuid.uuid4())],
        "tmp": sorted(os.listdir("/tmp")),
        "rest": opened.read().decode(),
        "link": open("/tmp/link").read(),
        "broken": broken,
        "stream": context.log_stream_name,
        "user": os.getuid(),
        "folder": os.getcwd(),
        "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
        "rights": [line.split()[1] for line in open("/proc/self/status") if line[:6] in ("CapPrm", "CapEff", "CapInh")],
    }
"""
ENDING = "import os\ndef lambda_handler(event, context):\n    if event: os._exit(3)\n    return os.getpid()\n"
LARGE = """
kept = [bytearray(4096) for _ in range(15_000)]
def lambda_handler(event, context):
    return len([bytearray(4096) for _ in range(event["pages"])])
"""
TWO_WORDS = """
import os, socket
for descriptor in range(3, 64):
    try:
        with socket.socket(fileno=os.dup(descriptor)) as line:
            if line.family == socket.AF_UNIX:
                line.send(b"-")
                line.send(b"I cannot be copied")
    except OSError:
        pass
def lambda_handler(event, context):
    return os.getppid()
"""
OWN_LOOP = """
import http.client, os
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
path = "/2018-06-01/runtime/invocation/"
while True:
    api.request("GET", path + "next")
    event = api.getresponse()
    event.read()
    api.request("POST", path + event.headers["Lambda-Runtime-Aws-Request-Id"] + "/response", b"own")
    api.getresponse().read()
"""
MOODY = """
import os, socket
try:
    socket.create_connection(("127.0.0.1", int(os.environ["PORT"]))).close()
except OSError:
    ends = os.pipe()
def lambda_handler(event, context):
    return 1
"""
OBSTACLES = {
    "threads": "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    "processes": "import subprocess; child = subprocess.Popen(['/bin/sleep', '60'])",
    "a timer": "import signal; signal.setitimer(signal.ITIMER_REAL, 60)",
    "shares memory": "import mmap; shared = mmap.mmap(-1, 4096)",
    "opened pipe": "import os; ends = os.pipe()",
    "a socket of this machine": "import socket; ends = socket.socketpair()",
    "anon_inode": "import select; poll = select.epoll()",
    "listens": "import socket; door = socket.create_server(('127.0.0.1', 0))",
    "has no name": "import tempfile; kept = tempfile.TemporaryFile()",
    "locked": "import fcntl; kept = open('/tmp/lock', 'w'); fcntl.flock(kept, fcntl.LOCK_EX)",
    "socket in /tmp": "import os; os.mkfifo('/tmp/pipe')",
    "hard link": "import os; open('/tmp/one', 'w').close(); os.link('/tmp/one', '/tmp/two')",
    "holes": "with open('/tmp/large', 'wb') as large: large.truncate(3 * 1024 ** 3)",
    "opened again": "import os; kept = os.open('/tmp/x', os.O_CREAT | os.O_WRONLY, 0o400)",
}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def publish(rig: Any, code: str, **configuration: Any) -> Any:
    version = await rig.function(code, version="1", runtime="python3.12", snap_start=True, **configuration)
    assert await rig.plane._supervisor.try_out(rig.scope, version) is None
    return version


def fleet_of(rig: Any, version: Any) -> Fleet:
    fleet: Fleet = rig.plane._supervisor._fleets[fleet_key(version)]
    return fleet


def serving(rig: Any, version: Any) -> list[Environment]:
    return [one for one in fleet_of(rig, version).members.values() if not one.is_snapshot]


def events_of(rig: Any, version: Any) -> list[list[str]]:
    streams = {one.stream.name for one in fleet_of(rig, version).members.values()}
    return [events for name, events in rig.neighbours.events.items() if name in streams]


async def test_an_initialisation_runs_once_for_many_environments_with_nothing_in_common(rig: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        version = await publish(rig, CODE, environment={"PORT": str(door.getsockname()[1])})
        answers = await asyncio.gather(*(rig.invoke(version, b'{"sleep": 0.5}') for _ in range(3)))
    told = [json.loads(answer.payload) for answer in answers]
    for one in told:
        assert one["hooks"] == ["before", "after"]
        assert one["tmp"] == ["folder", "link", "made", "own"]
        assert (one["rest"], one["link"]) == ("initialisation", "at initialisation")
        assert one["broken"]
        assert one["folder"] == "/var/task"
        assert one["processes"] == 2
        assert set(one["rights"]) == {"0" * 16}
    assert len({value for one in told for value in one["random"]}) == 6
    assert len({one["user"] for one in told}) == 3
    assert {one["stream"] for one in told} == {one.stream.name for one in serving(rig, version)}
    await rig.plane._supervisor._shipper.flush()
    logged = events_of(rig, version)
    assert sum(event == "initialised\n" for events in logged for event in events) == 1
    kinds = sorted([event.split()[0] for event in events] for events in logged)
    restored = ["RESTORE_START", "RESTORE_REPORT", "START", "END", "REPORT"]
    assert kinds == [["INIT_START", "initialised"], restored, restored, restored]
    assert all("\tRestore Duration: " in answer.log_tail.decode() for answer in answers)


async def test_what_ends_one_copy_ends_no_other(rig: Any) -> None:
    version = await publish(rig, ENDING)
    assert json.loads((await rig.invoke(version)).payload) > 1
    ended = await rig.invoke(version, b'{"end": 1}')
    assert json.loads(ended.payload)["errorMessage"].endswith("Runtime exited with error: exit status 3")
    [snapshot] = fleet_of(rig, version).members.values()
    assert snapshot.is_copied
    assert json.loads((await rig.invoke(version)).payload) > 1


async def test_a_snapshot_that_ends_leaves_its_copies_and_is_replaced_when_another_is_needed(rig: Any) -> None:
    version = await publish(rig, ENDING)
    await rig.invoke(version)
    first = fleet_of(rig, version).snapshot
    assert first is not None
    assert first._sandbox is not None
    first._sandbox.signal_runtime(signal.SIGKILL)
    await until(lambda: first.state is State.STOPPING)
    assert (await rig.invoke(version)).function_error is None
    assert [one.state in (State.READY, State.FROZEN) for one in serving(rig, version)] == [True]
    await rig.invoke(version, b'{"end": 1}')
    await until(lambda: first.state is State.DEAD)
    assert (await rig.invoke(version)).function_error is None
    second = fleet_of(rig, version).snapshot
    assert second is not None
    assert second is not first
    assert second.is_copied


async def test_one_that_ends_over_an_order_takes_no_copy_along(rig: Any) -> None:
    version = await publish(rig, ENDING)
    await rig.invoke(version)
    snapshot = fleet_of(rig, version).snapshot
    assert snapshot is not None
    assert snapshot._sandbox is not None
    busy = asyncio.ensure_future(rig.invoke(version, b'{"end": 1}'))
    snapshot._sandbox.signal_runtime(signal.SIGSTOP)
    waiting = [asyncio.ensure_future(rig.invoke(version)) for _ in range(2)]
    await until(lambda: any(one.state is State.STARTING and one._sandbox for one in serving(rig, version)))
    snapshot._sandbox.signal_runtime(signal.SIGKILL)
    await busy
    assert [(await one).function_error for one in waiting] == [None, None]
    assert snapshot.state is not State.STARTING


async def test_with_the_guard_of_a_snapshot_all_that_was_restored_from_it_ends(rig: Any) -> None:
    version = await publish(rig, ENDING)
    await rig.invoke(version)
    snapshot, [copy] = fleet_of(rig, version).snapshot, serving(rig, version)
    assert snapshot is not None
    assert snapshot._sandbox is not None
    os.kill(snapshot._sandbox.pid, signal.SIGKILL)
    await until(lambda: snapshot.state is State.DEAD and copy.state is State.DEAD)
    assert (await rig.invoke(version)).function_error is None


async def test_memory_of_the_initialisation_counts(rig: Any) -> None:
    version = await publish(rig, LARGE, memory_mb=128)
    answer = await rig.invoke(version, b'{"pages": 1}')
    used = int(answer.log_tail.decode().partition("Max Memory Used: ")[2].split()[0])
    assert 60 < used < 128
    [copy] = serving(rig, version)
    assert copy._sandbox is not None
    assert copy._sandbox.used_kb(0) > 60_000


async def test_a_snapshot_that_nobody_needs_ends(rig: Any) -> None:
    version = await publish(rig, ENDING)
    snapshot = fleet_of(rig, version).snapshot
    assert snapshot is not None
    snapshot.last_used_s -= 10_000
    rig.plane._supervisor._sweep()
    await until(lambda: snapshot.state is State.DEAD)


@pytest.mark.parametrize("obstacle", OBSTACLES)
async def test_what_cannot_be_copied_is_initialised_for_each(rig: Any, obstacle: str) -> None:
    version = await publish(rig, f"{OBSTACLES[obstacle]}\ndef lambda_handler(event, context): return 1\n")

    def is_told() -> bool:
        events = [event for events in events_of(rig, version) for event in events]
        return any(event.startswith("cumulet: the initialisation code") and obstacle in event for event in events)

    await until(is_told)
    assert (await rig.invoke(version)).payload == b"1"


async def test_what_could_not_be_copied_is_tried_again_after_a_while(rig: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    version = await publish(rig, MOODY, environment={"PORT": f"{port}"})
    fleet, clock = fleet_of(rig, version), rig.ground.clock

    async def was_tried() -> bool:
        before = next(rig.plane._supervisor._numbers)
        found = await rig.plane._supervisor._find_snapshot(fleet, rig.scope, version)
        assert found is None or found.is_copied
        return next(rig.plane._supervisor._numbers) > before + 1

    tries = []
    for seconds in (0, 20, 60, 0, 60):  # by then it was tried twice: the pause is now of two minutes
        clock.move_to(clock.ahead_ms + seconds * 1000)
        tries.append(await was_tried())
    assert tries == [False, False, True, False, False]
    with socket.create_server(("127.0.0.1", port)):
        assert not await was_tried()
        clock.move_to(clock.ahead_ms + 60_000)
        assert await was_tried()
    for one in serving(rig, version):
        one.stop()
    await until(lambda: not serving(rig, version))
    answer = await rig.invoke(version)
    assert (answer.payload, fleet.setback) == (b"1", None)
    assert [one.is_copied for one in fleet.members.values()] == [True, False]


async def test_a_snapshot_says_one_word_to_its_guard(rig: Any) -> None:
    version = await publish(rig, TWO_WORDS)
    async with asyncio.timeout(60):
        answers = await asyncio.gather(*(rig.invoke(version, b"{}") for _ in range(3)))
    assert [answer.payload for answer in answers] == [b"1"] * 3
    assert fleet_of(rig, version).snapshot is not None


async def test_code_that_asks_for_events_while_it_is_initialised_keeps_nobody_waiting(rig: Any) -> None:
    version = await publish(rig, OWN_LOOP)
    async with asyncio.timeout(60):
        answers = await asyncio.gather(*(rig.invoke(version, b"{}") for _ in range(3)))
    assert [answer.payload for answer in answers] == [b"own"] * 3


async def test_a_copy_that_is_refused_after_its_snapshot_is_gone_has_ended_with_it(tmp_path: Path) -> None:
    zygote = Zygote(Interpreter("python3", "/usr"), tmp_path, tmp_path)
    zygote._sandboxes |= {"1": Sandbox(isolated=True), "2": (copy := Sandbox(isolated=True, snapshot="1"))}
    started = zygote._starting["2"] = asyncio.get_running_loop().create_future()
    zygote._told({"gone": "1"})
    zygote._told({"failed": "the snapshot has ended", "start": "2"})
    assert copy.has_ended
    assert isinstance(started.exception(), OSError)


async def test_nothing_is_copied_from_a_snapshot_whose_credentials_run_out(rig: Any) -> None:
    version = await publish(rig, ENDING)
    first = fleet_of(rig, version).snapshot
    assert first is not None
    first._expires_s = 0.0
    started = next(rig.plane._supervisor._numbers)
    assert (await rig.invoke(version)).function_error is None
    second = fleet_of(rig, version).snapshot
    assert second is not first
    assert next(rig.plane._supervisor._numbers) - started < 5
    rig.plane._supervisor._sweep()
    await until(lambda: first.state is State.DEAD)
    assert fleet_of(rig, version).snapshot is second


async def test_the_guard_of_a_copy_cannot_be_traced(rig: Any) -> None:
    version = await publish(rig, ENDING)
    await rig.invoke(version, b"{}")
    (copy,) = [one for one in serving(rig, version) if one.state is not State.STARTING]
    # It has the user of its snapshot, for the kernel's sake; what can be traced, or read, has files of its user's.
    assert copy._sandbox is not None
    assert Path(f"/proc/{copy._sandbox.pid}/fd").stat().st_uid == 0
