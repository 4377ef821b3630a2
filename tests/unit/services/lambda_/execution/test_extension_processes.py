"""Extensions as real processes, and inside the runtime: what they see, and how they hold an invocation."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.lambda_.execution.environment import State
from cumulet.services.lambda_.records import LayerUse
from cumulet.store import blobs
from patience import PATIENCE_S, until

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs namespaces"),
]

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

# What an extension of AWS's samples does, without their words: register, then ask for events until the last.
AGENT = """
import http.client, json, os, signal, sys, time
line = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def ask(method, path, body=None, **headers):
    names = {"Lambda-Extension-" + name.replace("_", "-"): value for name, value in headers.items()}
    line.request(method, "/2020-01-01/extension/" + path, body, names)
    answer = line.getresponse()
    return answer, json.loads(answer.read() or b"null")
def register(events):
    answer, body = ask("POST", "register", json.dumps({"events": events}), Name=os.path.basename(sys.argv[0]))
    return answer.headers["Lambda-Extension-Identifier"], body
def say(*words):
    print(*words, flush=True)
"""
FAITHFUL = """
me, function = register(["INVOKE", "SHUTDOWN"])
say("agent of", function["functionName"])
while True:
    _, event = ask("GET", "event/next", Identifier=me)
    say(event["eventType"], event.get("shutdownReason") or event["invokedFunctionArn"].rpartition(":")[2])
    if event["eventType"] == "SHUTDOWN":
        open("/tmp/heard", "w").write("x")
        break
"""
HANDLER = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print("terminated", flush=True), sys.exit(0)))
def lambda_handler(event, context):
    return event
"""


def script(body: str) -> str:
    return f"#!{sys.base_prefix}/bin/python{sys.version_info.major}.{sys.version_info.minor} -IS\n{AGENT}{body}"


async def with_extensions(rig: Any, extensions: dict[str, str], code: str = HANDLER, **fields: Any) -> Any:
    """Return a function above a layer with these extensions."""
    files = {f"extensions/{name}": text for name, text in extensions.items()}
    archive = rig.make_archive(files, () if fields.pop("unexecutable", False) else tuple(files))
    digest = await rig.store.write(lambda tx: blobs.save(tx, archive))
    layer = LayerUse("arn:aws:lambda:eu-west-1:123456789012:layer:agent:1", len(archive), 1, digest)
    return await rig.function(code, layers=(layer,), **{"timeout_s": 10, **fields})


async def log_of(rig: Any, environment: Any) -> list[str]:
    await rig.plane._supervisor._shipper.flush()
    return [re.sub(UUID, "ID", line) for line in rig.neighbours.events.get(environment.stream.name, [])]


def environment_of(rig: Any, version: Any) -> Any:
    (environment,) = rig.plane._supervisor._fleets[f"{version.arn}:$LATEST"].members.values()
    return environment


async def gone(rig: Any, version: Any) -> None:
    await until(lambda: f"{version.arn}:$LATEST" not in rig.plane._supervisor._fleets, "nothing of the fleet is left")


async def log_with(rig: Any, environment: Any, word: str) -> list[str]:
    """Return the log when a line begins with `word`."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            lines = await log_of(rig, environment)
            if any(line.startswith(word) for line in lines):
                return lines
            await asyncio.sleep(0.01)


async def test_an_extension_lives_beside_the_function(rig: Any) -> None:
    version = await with_extensions(rig, {"agent": script(FAITHFUL)})
    first = await rig.invoke(version, b"1")
    assert (first.payload, first.function_error) == (b"1", None)
    environment = environment_of(rig, version)
    lines = await log_with(rig, environment, "REPORT")
    assert lines[0].startswith("INIT_START")
    assert lines[1:3] == [
        f"agent of {version.function_name}\n",
        "EXTENSION\tName: agent\tState: Ready\tEvents: [INVOKE,SHUTDOWN]\n",
    ]
    assert sorted(lines[3:6]) == sorted(
        ["START RequestId: ID Version: $LATEST\n", f"INVOKE {version.function_name}\n", "END RequestId: ID\n"]
    )
    assert lines[-1].startswith("REPORT")
    assert (await rig.invoke(version, b"2")).payload == b"2"
    await until(lambda: environment.state is State.FROZEN, "the environment is frozen")
    environment.stop()
    assert environment.state is State.LEAVING
    await gone(rig, version)
    assert (await log_of(rig, environment))[-2:] == ["terminated\n", "SHUTDOWN spindown\n"]


SLOW = """
me, _ = register(["INVOKE"])
while True:
    ask("GET", "event/next", Identifier=me)
    time.sleep(0.3)
"""


async def test_an_invocation_lasts_until_extensions_are_done_but_its_answer_does_not_wait(rig: Any) -> None:
    version = await with_extensions(rig, {"slow": script(SLOW)})
    result = await rig.invoke(version, b"1")
    environment = environment_of(rig, version)
    assert environment.state is State.BUSY
    assert "REPORT" not in result.log_tail.decode()
    (report,) = [line for line in await log_with(rig, environment, "REPORT") if line.startswith("REPORT")]
    assert float(re.findall(r"\tDuration: ([\d.]+) ms", report)[0]) >= 300
    environment.stop()
    await gone(rig, version)


async def test_a_report_tells_how_long_extensions_went_on_and_in_which_span(rig: Any) -> None:
    levels = {"system_log_level": "INFO", "application_log_level": "INFO"}
    version = await with_extensions(rig, {"slow": script(SLOW)}, log_format="JSON", **levels)
    await rig.invoke(version, b"1", trace_header="Root=1-2-3;Parent=4;Sampled=1")
    environment = environment_of(rig, version)
    reports: list[dict[str, Any]] = []
    async with asyncio.timeout(PATIENCE_S):
        while not reports:
            events = [json.loads(line) for line in await log_of(rig, environment) if line.startswith("{")]
            reports = [event["record"] for event in events if event["type"] == "platform.report"]
            await asyncio.sleep(0.01)
    ((span,), metrics) = reports[0]["spans"], reports[0]["metrics"]
    assert span["name"] == "extensionOverhead"
    assert 0 < span["durationMs"] < metrics["durationMs"]
    assert reports[0]["tracing"]["spanId"] == "4"
    environment.stop()
    await gone(rig, version)


async def test_an_extension_that_is_too_slow_costs_the_time_of_the_function(rig: Any) -> None:
    stuck = """
me, _ = register(["INVOKE", "SHUTDOWN"])
ask("GET", "event/next", Identifier=me)
time.sleep(1.2)
_, event = ask("GET", "event/next", Identifier=me)
say("at last:", event["eventType"], event["shutdownReason"])
"""
    version = await with_extensions(rig, {"stuck": script(stuck)}, timeout_s=1)
    assert (await rig.invoke(version, b"1")).payload == b"1"
    environment = environment_of(rig, version)
    await gone(rig, version)
    lines = await log_of(rig, environment)
    assert any("Task timed out after 1.00 seconds" in line for line in lines)
    assert any(line.startswith("REPORT") and "Status: timeout" in line for line in lines)
    assert lines[-1] == "at last: SHUTDOWN timeout\n"


FAILURES = [
    (
        "it ends in the initialisation",
        "sys.exit(3)",
        "exit status 3",
        "Extension.Crash",
        "EXTENSION\tName: agent\tState: Exited\tEvents: []\n",
    ),
    (
        "it says that it cannot start",
        "me, _ = register([])\nask('POST', 'init/error', Identifier=me, Function_Error_Type='agent.NoKey')\n"
        "sys.exit(1)",
        "exit status 1",
        "Extension.InitError",
        "EXTENSION\tName: agent\tState: Exited\tEvents: []\tError Type: agent.NoKey\n",
    ),
    (
        "it ends while the function works",
        "me, _ = register(['INVOKE'])\nask('GET', 'event/next', Identifier=me)\nos.kill(os.getpid(), 9)",
        "signal: killed",
        "Extension.Crash",
        "EXTENSION\tName: agent\tState: Ready\tEvents: [INVOKE]\n",
    ),
    (
        "it says that it ends while the function works",
        "me, _ = register(['INVOKE'])\nask('GET', 'event/next', Identifier=me)\n"
        "ask('POST', 'exit/error', Identifier=me, Function_Error_Type='agent.Lost')\nsys.exit(0)",
        "exit code 0",
        "Extension.ExitError",
        "EXTENSION\tName: agent\tState: Ready\tEvents: [INVOKE]\n",
    ),
]


@pytest.mark.parametrize(
    ("body", "words", "error_type", "logged"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES]
)
async def test_extensions_that_fail(rig: Any, body: str, words: str, error_type: str, logged: str) -> None:
    version = await with_extensions(
        rig, {"agent": script(body)}, "import time\ndef lambda_handler(e, c):\n    time.sleep(5)\n"
    )
    result = await rig.invoke(version)
    error = json.loads(re.sub(UUID, "ID", result.payload.decode()))
    assert result.function_error == "Unhandled"
    assert error == {"errorType": error_type, "errorMessage": f"RequestId: ID Error: {words}"}
    tail = re.sub(UUID, "ID", result.log_tail.decode())
    assert logged in tail
    assert f"RequestId: ID Error: {words}\n{error_type}\n" in tail
    assert f"Status: error\tError Type: {error_type}" in tail


async def test_a_file_that_is_no_program(rig: Any) -> None:
    version = await with_extensions(rig, {"agent": "x"}, unexecutable=True)
    result = await rig.invoke(version)
    words = "fork/exec /opt/extensions/agent: permission denied"
    assert json.loads(re.sub(UUID, "ID", result.payload.decode())) == {
        "errorType": "Extension.LaunchError",
        "errorMessage": f"RequestId: ID Error: {words}",
    }
    assert "EXTENSION\tName: agent\tState: LaunchError\tEvents: []\tError Type: PermissionDenied\n" in (
        result.log_tail.decode()
    )


async def test_more_extensions_than_there_may_be(rig: Any) -> None:
    version = await with_extensions(rig, {f"agent-{n}": "x" for n in range(11)}, unexecutable=True)
    result = await rig.invoke(version)
    assert json.loads(result.payload)["errorType"] == "Extension.LaunchError"


async def test_a_runtime_that_ends_leaves_its_extensions_time(rig: Any) -> None:
    version = await with_extensions(
        rig, {"agent": script(FAITHFUL)}, "import os\ndef lambda_handler(e, c):\n    os._exit(9)\n"
    )
    result = await rig.invoke(version)
    assert json.loads(result.payload)["errorMessage"].endswith("Runtime exited with error: exit status 9")
    environment = environment_of(rig, version)
    await gone(rig, version)
    assert (await log_of(rig, environment))[-1] == "SHUTDOWN failure\n"


async def test_interpreters_are_found_by_their_names(rig: Any) -> None:
    """As on AWS, `python` is the function's own. Another one may be the machine's."""
    agent = f"#!/usr/bin/env -S python -IS\n{AGENT}import sys\nsay('runs on', sys.base_prefix)\n{FAITHFUL}"
    code = (
        "import shutil, sys\ndef lambda_handler(e, c):\n"
        "    return sys.base_prefix, [shutil.which(name) for name in ('python', 'python3')]\n"
    )
    version = await with_extensions(rig, {"agent": agent}, code)
    prefix, found = json.loads((await rig.invoke(version)).payload)
    assert found == ["/var/lang/bin/python", "/var/lang/bin/python3"]
    assert f"runs on {prefix}\n" in await log_with(rig, environment_of(rig, version), "runs on")


async def test_what_an_extension_sees(rig: Any) -> None:
    look = """
me, _ = register([])
say(json.dumps([sorted(os.environ), os.getuid(), os.listdir("/var/task"), os.getcwd()]))
ask("GET", "event/next", Identifier=me)
"""
    version = await with_extensions(
        rig,
        {"look": script(look)},
        "import os\ndef lambda_handler(e, c):\n    return [sorted(os.environ), os.getuid()]\n",
        environment={"TABLE": "notes"},
    )
    names, uid = json.loads((await rig.invoke(version)).payload)
    environment = environment_of(rig, version)
    lines = await log_with(rig, environment, "REPORT")
    seen, its_uid, task, cwd = json.loads(next(line for line in lines if line.startswith("[[")))
    hidden = {"AWS_EXECUTION_ENV", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME"}
    hidden |= {"AWS_XRAY_CONTEXT_MISSING", "AWS_XRAY_DAEMON_ADDRESS"}
    hidden |= {
        "_AWS_XRAY_DAEMON_ADDRESS",
        "_AWS_XRAY_DAEMON_PORT",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
        "_HANDLER",
    }
    assert set(names) - set(seen) == hidden | {"_X_AMZN_TRACE_ID"}
    assert (its_uid, task, cwd) == (uid, ["lambda_function.py"], "/")
    environment.stop()
    await gone(rig, version)


LISTENER = """
import http.server, threading
port = 0
heard = []
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        heard.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("sandbox.localdomain", 8080), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
me, _ = register(["INVOKE", "SHUTDOWN"])
line.request("PUT", "/2022-07-01/telemetry", json.dumps({
    "schemaVersion": "2025-01-29", "types": ["platform", "function", "extension"], "buffering": {"timeoutMs": 25},
    "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080"},
}), {"Lambda-Extension-Identifier": me})
say(line.getresponse().read().decode())
while True:
    _, event = ask("GET", "event/next", Identifier=me)
    if event["eventType"] == "SHUTDOWN":
        break
time.sleep(0.05)
say("heard " + json.dumps(heard))
"""


async def test_telemetry_of_two_environments_at_once(rig: Any) -> None:
    version = await with_extensions(
        rig,
        {"ear": script(LISTENER)},
        "import time\ndef lambda_handler(e, c):\n    print('of', e)\n    time.sleep(0.2)\n    return e\n",
    )
    await asyncio.gather(rig.invoke(version, b"1"), rig.invoke(version, b"2"))
    environments = list(rig.plane._supervisor._fleets[f"{version.arn}:$LATEST"].members.values())
    assert len(environments) == 2
    for environment in environments:
        await log_with(rig, environment, "REPORT")
        environment.stop()
    await gone(rig, version)
    said = set()
    for environment in environments:
        lines = await log_of(rig, environment)
        assert "TELEMETRY\tName: ear\tState: Subscribed\tTypes: [Platform, Function, Extension]\n" in lines
        heard = json.loads(next(line for line in lines if line.startswith("heard ")).removeprefix("heard "))
        kinds = [event["type"].removeprefix("platform.") for event in heard]
        assert kinds[:2] == ["initStart", "telemetrySubscription"]
        assert [event["type"].removeprefix("platform.") for event in heard if "." in event["type"]][2:] == [
            *("extension", "initRuntimeDone", "initReport", "start", "runtimeDone", "report"),
        ]
        (done,) = [event["record"] for event in heard if event["type"] == "platform.runtimeDone"]
        assert [span["name"] for span in done["spans"]] == ["responseLatency", "responseDuration", "runtimeOverhead"]
        assert done["spans"][0]["durationMs"] >= 200
        assert done["metrics"]["producedBytes"] == 1
        (words,) = [event["record"] for event in heard if event["type"] == "function"]
        said.add(words)
    assert said == {"of 1\n", "of 2\n"}


INTERNAL = """
import http.client, json, os, threading
def ask(method, path, body=None, **headers):
    line = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    line.request(method, "/2020-01-01/extension/" + path, body,
                 {"Lambda-Extension-" + name: value for name, value in headers.items()})
    answer = line.getresponse()
    return answer, answer.read()
answer, _ = ask("POST", "register", '{"events": ["INVOKE"]}', Name="inner")
me = answer.headers["Lambda-Extension-Identifier"]
seen = []
def follow():
    while True:
        seen.append(json.loads(ask("GET", "event/next", Identifier=me)[1])["eventType"])
threading.Thread(target=follow, daemon=True).start()
def lambda_handler(event, context):
    return [len(seen), json.loads(ask("POST", "register", "{}", Name="late")[1])["errorType"]]
"""


async def test_an_internal_extension(rig: Any) -> None:
    version = await rig.function(INTERNAL)
    assert json.loads((await rig.invoke(version)).payload)[1] == "Extension.RegistrationClosed"
    environment = environment_of(rig, version)
    await log_with(rig, environment, "REPORT")
    seen, _ = json.loads((await rig.invoke(version)).payload)
    assert seen >= 1
    lines = await log_with(rig, environment, "REPORT")
    assert "EXTENSION\tName: inner\tState: Ready\tEvents: [INVOKE]\n" in lines
    environment.stop()
    assert environment.state is State.LEAVING
    await gone(rig, version)


async def test_nothing_stays_behind_when_the_plane_stops(rig: Any, tmp_path: Path) -> None:
    stubborn = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
me, _ = register(["SHUTDOWN"])
while True:
    ask("GET", "event/next", Identifier=me)
    time.sleep(60)
"""
    other = type(rig)(tmp_path)
    await other.plane.start()
    version = await with_extensions(other, {"stubborn": script(stubborn)})
    await other.invoke(version)
    pid = environment_of(other, version)._sandbox.pid
    await other.plane.stop()
    assert not Path(f"/proc/{pid}").exists()


async def test_what_extensions_work_on_still_counts(rig: Any) -> None:
    slow = """
me, _ = register(["INVOKE"])
while True:
    ask("GET", "event/next", Identifier=me)
    time.sleep(0.3)
"""
    version = await with_extensions(rig, {"slow": script(slow)})
    await rig.invoke(version, b"1", reserved_concurrency=1)
    with pytest.raises(ServiceError) as raised:
        await rig.invoke(version, b"2", reserved_concurrency=1)
    assert raised.value.code == "TooManyRequestsException"
    environment = environment_of(rig, version)
    await log_with(rig, environment, "REPORT")
    assert (await rig.invoke(version, b"3", reserved_concurrency=1)).payload == b"3"
    environment.stop()
    await gone(rig, version)


async def test_what_nobody_waits_for_any_more_still_counts(rig: Any) -> None:
    version = await rig.function("import time\ndef lambda_handler(e, c):\n    time.sleep(0.3)\n    return e\n")
    caller = asyncio.ensure_future(rig.invoke(version, b"1", reserved_concurrency=1))
    await until(lambda: version.arn in str(list(rig.plane._supervisor._fleets)), "there is a fleet", every_s=0)
    await until(lambda: environment_of(rig, version).state is State.BUSY, "the environment is busy")
    caller.cancel()
    await asyncio.wait([caller])
    with pytest.raises(ServiceError):
        await rig.invoke(version, b"2", reserved_concurrency=1)
    await until(lambda: environment_of(rig, version).state is not State.BUSY, "the environment is idle")
    assert (await rig.invoke(version, b"3", reserved_concurrency=1)).payload == b"3"
