"""What becomes of environments when functions change, initialisations fail, and processes multiply."""

import asyncio
import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.execution.environment import State
from cumulet.services.lambda_.execution.plane import FunctionChanged
from cumulet.services.lambda_.execution.sandbox import zygote as zygotes
from cumulet.services.lambda_.execution.sandbox.interpreters import Interpreter
from cumulet.services.lambda_.execution.sandbox.zygote import Zygote
from cumulet.services.lambda_.records import FUNCTION_CHANGED, FUNCTIONS, FunctionRecord, VersionRecord

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

COUNT = "n = 0\ndef lambda_handler(e, c):\n    global n\n    n += 1\n    return n\n"


def members_of(rig: Any, version: VersionRecord) -> list[Any]:
    fleet = rig.plane._supervisor._fleets.get(f"{version.arn}:$LATEST")
    return [] if fleet is None else list(fleet.members.values())


async def until(condition: Any) -> None:
    """Wait, at most some seconds, for what happens in other processes."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def commit(rig: Any, version: VersionRecord | None, name: str) -> None:
    """Make a function's record what it is to be, with the hint that the control plane gives."""
    scope = rig.scope

    def write(tx: Any) -> None:
        if version is None:
            FUNCTIONS.delete(tx, scope, name)
        else:
            FUNCTIONS.save(tx, scope, name, record=FunctionRecord(latest=version, code_url_secret=b""))
        tx.hint(FUNCTION_CHANGED)

    await rig.store.write(write)


async def test_environments_of_a_deleted_function_end_at_once(rig: Any) -> None:
    version, other = await rig.function(COUNT), await rig.function(COUNT)
    for one in (version, other):
        await commit(rig, one, one.function_name)
        await rig.invoke(one)
    await commit(rig, None, version.function_name)
    await until(lambda: not members_of(rig, version))
    assert (await rig.invoke(other)).payload == b"2"


async def test_environments_of_an_updated_function_end_when_they_are_idle(rig: Any) -> None:
    version = await rig.function(
        "import time\ndef lambda_handler(e, c):\n    print('up', flush=True)\n    time.sleep(0.3)\n    return 'old'\n"
    )
    await commit(rig, version, version.function_name)
    running = asyncio.ensure_future(rig.invoke(version))
    await until(lambda: any(member.state is State.BUSY for member in members_of(rig, version)))
    changed = msgspec.structs.replace(version, revision_id="new")
    await commit(rig, changed, version.function_name)
    assert (await running).payload == b'"old"'
    await until(lambda: not members_of(rig, version))


async def test_a_caller_who_read_an_older_record_is_served_all_the_same(rig: Any) -> None:
    version = await rig.function(COUNT)
    await rig.invoke(version)
    await commit(rig, msgspec.structs.replace(version, revision_id="new"), version.function_name)
    await until(lambda: not members_of(rig, version))
    assert (await rig.invoke(version)).payload == b"1"


async def test_a_function_whose_code_is_gone_was_changed(rig: Any) -> None:
    version = await rig.function(COUNT)
    with pytest.raises(FunctionChanged):
        await rig.invoke(msgspec.structs.replace(version, code_blob="0" * 64))


def phases(lines: list[str]) -> list[str]:
    return [re.sub(r"\d+\.\d\d", "#", line).strip() for line in lines if line.startswith(("INIT_REPORT", "START"))]


async def log_of(rig: Any, version: VersionRecord) -> list[list[str]]:
    await rig.plane._supervisor._shipper.flush()
    group = f"/aws/lambda/{version.function_name}"
    return [rig.neighbours.events.get(name, []) for of, name in rig.neighbours.streams if of == group]


async def test_an_initialisation_that_fails_is_tried_again_inside_the_invocation(rig: Any) -> None:
    version = await rig.function("import sys\nsys.exit(3)\n")
    result = await rig.invoke(version)
    assert json.loads(result.payload)["errorType"] == "Runtime.ExitError"
    (stream,) = await log_of(rig, version)
    assert phases(stream) == [
        "INIT_REPORT Init Duration: # ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError",
        "INIT_REPORT Init Duration: # ms\tPhase: invoke\tStatus: error\tError Type: Runtime.ExitError",
        next(line.strip() for line in stream if line.startswith("START")),
    ]


async def test_an_initialisation_that_takes_too_long_has_the_functions_timeout_the_second_time(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "INIT_TIMEOUT_S", 0.2)
    slow = "import time\ntime.sleep({})\ndef lambda_handler(e, c): return c.get_remaining_time_in_millis()\n"
    version = await rig.function(slow.format(0.5), timeout_s=2)
    result = await rig.invoke(version)
    assert result.function_error is None
    assert 0 < int(result.payload) <= 1500  # of its 2 s the initialisation has taken a part
    failed, _, report = result.log_tail.decode().partition("START")
    assert failed.startswith("INIT_REPORT Init Duration: ")
    assert "Init Duration" not in report
    assert float(re.search(r"Duration: ([\d.]+) ms", report)[1]) >= 500  # type: ignore[index]
    (stream,) = await log_of(rig, version)
    assert phases(stream)[0] == "INIT_REPORT Init Duration: # ms\tPhase: init\tStatus: timeout"

    never = await rig.function(slow.format(60), timeout_s=1)
    error = json.loads((await rig.invoke(never)).payload)
    assert error["errorType"] == "Sandbox.Timedout"
    assert error["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")
    (stream,) = await log_of(rig, never)
    assert phases(stream)[:2] == [
        "INIT_REPORT Init Duration: # ms\tPhase: init\tStatus: timeout",
        "INIT_REPORT Init Duration: # ms\tPhase: invoke\tStatus: timeout",
    ]
    assert any(line.endswith("Task timed out after 1.00 seconds\n\n") for line in stream)


def status_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def test_a_frozen_environment_is_frozen_whole(rig: Any) -> None:
    version = await rig.function(
        "import os, subprocess, time\n"
        "def lambda_handler(e, c):\n"
        "    if e:\n"
        "        subprocess.Popen(['/bin/sleep', '611'], start_new_session=True)\n"
        "        if os.fork() == 0:\n"
        "            os.setsid()\n"
        "            if os.fork() == 0: time.sleep(611)\n"
        "            os._exit(0)\n"
        "    return 1\n"
    )
    await rig.invoke(version, b"1")
    (environment,) = members_of(rig, version)
    await until(lambda: environment.state is State.FROZEN)
    below = [pid for pid in zygote_processes(environment) if status_of(pid) != "Z"]
    assert len(below) == 3  # the runtime, sleep, the fork that got away
    await until(lambda: {status_of(pid) for pid in below} == {"T"})
    assert (await rig.invoke(version, b"0")).payload == b"1"
    assert "T" not in {status_of(pid) for pid in zygote_processes(environment)}


def zygote_processes(environment: Any) -> list[int]:
    from cumulet.services.lambda_.execution.sandbox.process import _descendants

    return _descendants(environment._sandbox.pid)


async def test_forks_do_not_count_the_memory_that_they_share(rig: Any) -> None:
    version = await rig.function(
        "import os, time\nkept = bytearray(30_000_000)\n"
        "def lambda_handler(e, c):\n"
        "    for _ in range(5):\n"
        "        if os.fork() == 0: time.sleep(611)\n"
        "    time.sleep(0.3)\n"
        "    return 1\n",
        timeout_s=10,
    )
    assert (await rig.invoke(version)).payload == b"1"


async def test_memory_of_forks_counts(rig: Any) -> None:
    version = await rig.function(
        "import os, time\n"
        "def lambda_handler(e, c):\n"
        "    for _ in range(2):\n"
        "        if os.fork() == 0:\n"
        "            kept = bytearray(b'x') * 60_000_000\n"
        "            time.sleep(611)\n"
        "    time.sleep(9)\n",
        timeout_s=10,
    )
    assert json.loads((await rig.invoke(version)).payload)["errorType"] == "Runtime.ExitError"


async def test_the_memory_of_a_process_that_dies_at_once_is_known(rig: Any) -> None:
    version = await rig.function("import os\ndef lambda_handler(e, c): os._exit(1)\n")
    used = re.search(r"Max Memory Used: (\d+) MB", (await rig.invoke(version)).log_tail.decode())
    assert used is not None
    assert int(used[1]) > 5


@pytest.mark.skipif(os.geteuid() != 0, reason="needs namespaces")
async def test_an_interpreter_that_fails_costs_no_walls(tmp_path: Path) -> None:
    broken = tmp_path / "bin" / "python3.99"
    broken.parent.mkdir()
    shutil.copy("/bin/false", broken)
    code = tmp_path / "code"
    code.mkdir()
    with pytest.raises(OSError, match=r"ended|Broken pipe"):
        await Zygote(Interpreter(str(broken), str(tmp_path)), tmp_path / "run", code).start(lambda: None)
    assert zygotes._isolation_refused == ""


@pytest.mark.parametrize("plain", [False, True], ids=["namespaces", "without namespaces"])
async def test_a_fork_server_that_is_killed_costs_what_it_had_and_nothing_more(
    rig: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: bool
) -> None:
    monkeypatch.setattr(zygotes, "_isolation_refused", "a test" if plain else zygotes._isolation_refused)
    rig = type(rig)(tmp_path)
    await rig.plane.start()
    version = await rig.function(COUNT)
    await rig.invoke(version)
    (frozen,) = members_of(rig, version)
    await until(lambda: frozen.state is State.FROZEN)
    (started,) = rig.plane._supervisor._fork_servers._zygotes.values()
    (await started)._process.send_signal(signal.SIGKILL)
    await until(lambda: not members_of(rig, version))
    assert (await rig.invoke(version)).payload == b"1"
    await rig.plane.stop()
