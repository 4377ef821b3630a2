"""Whatever happens to the server, none of its functions' processes is left."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from patience import killed_if_silent

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")]

HOST = """
import asyncio, os, sys
from pathlib import Path
sys.path[:0] = [{folder!r}, {tests!r}]
import conftest
from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.execution.environment import State
from cumulet.services.lambda_.execution.sandbox import zygote
from cumulet.services.lambda_.records import LayerUse
from cumulet.store import blobs

zygote._isolation_refused = "a test" if {plain} else ""

async def main():
    rig = conftest.Rig(Path({data!r}))
    await rig.plane.start()
    idle = await rig.function("def lambda_handler(e, c): return 1")
    await rig.invoke(idle)
    restored = await rig.function("def lambda_handler(e, c): return 1", version="1", snap_start=True)
    assert await rig.plane._supervisor.try_out(rig.scope, restored) is None
    await rig.invoke(restored)
    busy = await rig.function(
        "import os, subprocess, time\\n"
        "def lambda_handler(e, c):\\n"
        "    subprocess.Popen(['/bin/sleep', {mark!r}], start_new_session=True)\\n"
        "    if os.fork() == 0:\\n"
        "        os.setsid()\\n"
        "        if os.fork() == 0: time.sleep(600)\\n"
        "        os._exit(0)\\n"
        "    print('up', flush=True)\\n"
        "    time.sleep(600)\\n", timeout_s=900)
    files = {{"extensions/lasting": "#!{python} -IS\\n" + {extension!r}}}
    archive = rig.make_archive(files, tuple(files))
    digest = await rig.store.write(lambda tx: blobs.save(tx, archive))
    layer = LayerUse("arn:aws:lambda:eu-west-1:123456789012:layer:l:1", 1, 1, digest)
    await rig.invoke(await rig.function("def lambda_handler(e, c): return 1", layers=(layer,)))
    # What is frozen cannot see for itself that nobody is left who asks.
    copies = rig.plane._supervisor._fleets[f"{{restored.arn}}:1"].members.values()
    async with asyncio.timeout(60):
        while not any(copy.state is State.FROZEN for copy in copies):
            await asyncio.sleep(0.02)
    running = asyncio.ensure_future(rig.invoke(busy))
    while not any("up" in event for events in rig.neighbours.events.values() for event in events):
        await asyncio.sleep(0.02)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    limits.STOP_GRACE_S = 0.1
    await rig.plane.stop()
    print("stopped", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""

# It registers, hears of nothing but its end, and does not end then.
EXTENSION = """
import http.client, json, os, time
line = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
named = {"Lambda-Extension-Name": "lasting"}
line.request("POST", "/2020-01-01/extension/register", b'{"events": ["SHUTDOWN"]}', named)
answer = line.getresponse()
answer.read()
me = answer.headers["Lambda-Extension-Identifier"]
if os.fork() == 0:
    os.setsid()
    time.sleep(600)
line.request("GET", "/2020-01-01/extension/event/next", headers={"Lambda-Extension-Identifier": me})
line.getresponse().read()
time.sleep(600)
"""


def parents() -> dict[int, int]:
    """Return the parent of every process, now."""
    found: dict[int, int] = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                fields = (process / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            found[int(process.name)] = int(fields[1])
    return found


def words(pid: int) -> bytes:
    """Return the command line of a process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def descendants(root: int) -> set[int]:
    """Return the process ids below `root`, now."""
    above = parents()
    found = {root}
    while more := {pid for pid, parent in above.items() if parent in found} - found:
        found |= more
    return found - {root}


def identity(pid: int) -> str:
    """Return when a process was started, which tells it from another of the same number; empty once it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def alive(processes: dict[int, str]) -> list[int]:
    """Return those of `processes` (process id: identity) that have not ended."""
    return [pid for pid, started in processes.items() if started and identity(pid) == started]


def wait_until_ended(processes: dict[int, str]) -> None:
    """Return once none of `processes` is left; fail after 5 s."""
    deadline = time.monotonic() + 5
    while left := alive(processes):
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def wait_until_at_rest(pid: int) -> None:
    """Return once a process waits for something; fail after 5 s."""
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("plain", [False, True], ids=["namespaces", "without namespaces"])
@pytest.mark.parametrize(
    "end",
    [
        "killed",
        "killed, its fork server late",
        "killed, its fork server before it",
        "killed, with words unread",
        "stopped",
    ],
)
def test_nothing_is_left(tmp_path: Path, plain: bool, end: str) -> None:
    here = Path(__file__).parent
    script = HOST.format(
        folder=str(here),
        tests=str(here.parents[3]),
        data=str(tmp_path),
        mark="613.7",
        plain=plain,
        python=Path(sys.executable).resolve(),
        extension=EXTENSION,
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as host:
        assert host.stdin is not None
        assert host.stdout is not None
        try:
            with killed_if_silent(host):
                assert host.stdout.readline() == "ready\n"
            below = {pid: identity(pid) for pid in descendants(host.pid)}
            # The fork server, five guards, five runtimes (of a snapshot and what was restored from it, or of two that
            # were initialised by themselves), sleep, the fork that got away, an extension and its own.
            assert len(below) >= 15
            above = parents()
            fork_server = next(pid for pid in below if above[pid] == host.pid)
            guards = [pid for pid in below if above[pid] == fork_server]
            guard = next(pid for pid in guards if any(b"lasting" in words(child) for child in descendants(pid)))
            if end == "stopped":
                host.stdin.write("\n")
                host.stdin.flush()
                with killed_if_silent(host):
                    assert host.stdout.readline() == "stopped\n"
                assert alive(below) == []
            if end == "killed, its fork server late":
                os.kill(fork_server, signal.SIGSTOP)
            if end == "killed, with words unread":
                os.kill(host.pid, signal.SIGSTOP)
                os.kill(guard, signal.SIGTERM if plain else signal.SIGKILL)  # as the server ends it; that is told
                wait_until_ended({guard: below[guard]})
                wait_until_at_rest(fork_server)
            if end == "killed, its fork server before it":
                os.kill(host.pid, signal.SIGSTOP)
                os.kill(fork_server, signal.SIGKILL)
                wait_until_ended({fork_server: below[fork_server]})
        finally:
            host.kill()
    if end == "killed, its fork server late":
        # The guard of what ends by itself, as the extension does without its Runtime API, has nobody to tell it to.
        try:
            for pid in descendants(guard):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)  # it was frozen, as nothing was asked of it
            wait_until_ended({guard: below[guard]})
        finally:
            os.kill(fork_server, signal.SIGCONT)
    wait_until_ended(below)
