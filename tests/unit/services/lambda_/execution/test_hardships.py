"""What real processes do to an environment, and what it does to them: limits, hangs, and ends."""

import asyncio
import json
import os
import re
from typing import Any

import pytest

from cumulet.services.lambda_.execution import limits
from patience import until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
WALLS = pytest.mark.skipif(os.geteuid() != 0, reason="needs namespaces")


def told(result: Any) -> str:
    return re.sub(UUID, "ID", result.log_tail.decode())


def error_of(result: Any) -> tuple[str, str]:
    error = json.loads(re.sub(UUID, "ID", result.payload.decode()))
    return error["errorType"], error["errorMessage"]


def environment_of(rig: Any, version: Any) -> Any:
    (environment,) = rig.plane._supervisor._fleets[f"{version.arn}:$LATEST"].members.values()
    return environment


async def test_the_json_format_tells_the_same(rig: Any) -> None:
    version = await rig.function(
        "import time\ndef lambda_handler(e, c):\n    time.sleep(9)\n",
        timeout_s=1,
        log_format="JSON",
        system_log_level="WARN",
        application_log_level="INFO",
    )
    events = [json.loads(line) for line in told(await rig.invoke(version)).splitlines() if line.startswith("{")]
    assert [(event["type"], event["record"]["status"]) for event in events] == [
        ("platform.runtimeDone", "timeout"),
        ("platform.report", "timeout"),
    ]
    assert events[1]["record"]["metrics"]["durationMs"] >= 1000


ENDS = [
    (
        "it closes its connection to the Runtime API",
        "import os\ndef lambda_handler(e, c):\n    os.closerange(3, 1024)\n    return 1\n",
        "Runtime exited with error: exit status 1",
    ),
    (
        "it never answers and ends its thread",
        "import os, threading, time\ndef lambda_handler(e, c):\n"
        "    threading.Timer(0.1, lambda: os._exit(0)).start()\n    time.sleep(9)\n",
        "Runtime exited without providing a reason",
    ),
    (
        "it is broken by the interpreter",
        "import ctypes\ndef lambda_handler(e, c):\n    ctypes.string_at(0)\n",
        "Runtime exited with error: signal: segmentation fault",
    ),
]


@pytest.mark.parametrize(("code", "words"), [row[1:] for row in ENDS], ids=[row[0] for row in ENDS])
async def test_how_runtimes_end(rig: Any, code: str, words: str) -> None:
    version = await rig.function(code)
    result = await rig.invoke(version)
    assert error_of(result) == ("Runtime.ExitError", f"RequestId: ID Error: {words}")
    assert f"RequestId: ID Error: {words}\nRuntime.ExitError\n" in told(result)


async def test_a_runtime_that_ends_between_invocations_harms_none(rig: Any) -> None:
    version = await rig.function(
        "import os, threading\nn = 0\ndef lambda_handler(e, c):\n    global n\n    n += 1\n"
        "    threading.Timer(0.02, lambda: os._exit(1)).start()\n    return n\n"
    )
    assert (await rig.invoke(version)).payload == b"1"
    await until(lambda: f"{version.arn}:$LATEST" not in rig.plane._supervisor._fleets, "nothing of the fleet is left")
    assert (await rig.invoke(version)).payload == b"1"


async def test_no_more_open_files_than_aws_has(rig: Any) -> None:
    version = await rig.function(
        "import os, resource\ndef lambda_handler(e, c):\n    held = []\n    try:\n"
        "        while True: held.append(os.open('/dev/null', os.O_RDONLY))\n"
        "    except OSError as refused:\n"
        "        return [max(held), refused.errno, resource.getrlimit(resource.RLIMIT_NPROC)]\n"
        "    finally:\n        for one in held: os.close(one)\n"
    )
    highest, number, processes = json.loads((await rig.invoke(version)).payload)
    assert (highest, number) == (1023, 24)
    if os.geteuid() == 0:
        assert processes == [1024, 1024]


@WALLS
async def test_a_bomb_of_forks_harms_only_itself(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PROCESSES_MAX", 50)
    bomb = await rig.function(
        "import os, time\ndef lambda_handler(e, c):\n    n = 0\n    try:\n        while True:\n"
        "            if os.fork() == 0:\n                time.sleep(60)\n                os._exit(0)\n"
        "            n += 1\n    except OSError as refused:\n        return [n < 50, refused.errno]\n",
        memory_mb=10_240,
    )
    calm = await rig.function("import os\ndef lambda_handler(e, c):\n    return os.system('true')\n")
    bombing = asyncio.ensure_future(rig.invoke(bomb))
    assert (await rig.invoke(calm)).payload == b"0"
    assert json.loads((await bombing).payload) == [True, 11]
    environment_of(rig, bomb).stop()


@WALLS
async def test_tmp_is_as_large_as_the_function_says(rig: Any) -> None:
    version = await rig.function(
        "def lambda_handler(size, c):\n    try:\n        with open('/tmp/x', 'wb') as file: file.write(b'x' * size)\n"
        "    except OSError as refused:\n        return refused.errno\n    return 0\n",
        ephemeral_storage_mb=2,
    )
    assert (await rig.invoke(version, b"2000000")).payload == b"0"
    assert (await rig.invoke(version, b"3000000")).payload == b"28"
