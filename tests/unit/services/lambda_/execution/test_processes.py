"""Real processes: what a function sees, what its caller gets, and what its log says."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.lambda_.execution.environment import State
from cumulet.services.lambda_.records import InvocationResult
from patience import until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def lines_of(result: InvocationResult) -> list[str]:
    """Return the log lines, with everything that differs from run to run replaced."""
    text = re.sub(UUID, "ID", result.log_tail.decode())
    text = re.sub(r"\d+\.\d\d ms", "# ms", text)
    text = re.sub(r"Billed Duration: \d+ ms", "Billed Duration: # ms", text)
    text = re.sub(r"Max Memory Used: \d+ MB", "Max Memory Used: # MB", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "NOW", text)
    return text.splitlines()


REPORT = "REPORT RequestId: ID\tDuration: # ms\tBilled Duration: # ms\tMemory Size: 128 MB\tMax Memory Used: # MB\t"


async def test_an_event_goes_in_and_a_result_comes_out(rig: Any) -> None:
    version = await rig.function(
        "print('loading')\ndef lambda_handler(event, context):\n    print('got', event)\n    return {'echo': event}\n"
    )
    first = await rig.invoke(version, b'{"n": 1}')
    assert first.payload == b'{"echo": {"n": 1}}'
    assert first.function_error is None
    assert first.executed_version == "$LATEST"
    assert lines_of(first) == [
        "loading",
        "START RequestId: ID Version: $LATEST",
        "got {'n': 1}",
        "END RequestId: ID",
        REPORT + "Init Duration: # ms\t",
    ]
    unread = await rig.invoke(version, b"0", wants_tail=False)
    assert (unread.payload, unread.log_tail) == (b'{"echo": 0}', b"")
    second = await rig.invoke(version, b"[]")
    assert lines_of(second) == ["START RequestId: ID Version: $LATEST", "got []", "END RequestId: ID", REPORT]


CONTEXT = """
import os, sys
def lambda_handler(event, context):
    left = context.get_remaining_time_in_millis()
    return {
        "names": sorted(name for name in vars(context) if not name.startswith("_")),
        "arn": context.invoked_function_arn,
        "name": context.function_name,
        "version": context.function_version,
        "memory": context.memory_limit_in_mb,
        "group": context.log_group_name,
        "stream": context.log_stream_name == os.environ["AWS_LAMBDA_LOG_STREAM_NAME"],
        "left": 0 < left <= 3000,
        "title": context.client_context.client.app_title,
        "custom": context.client_context.custom,
        "identity": context.identity.cognito_identity_id,
        "trace": os.environ["_X_AMZN_TRACE_ID"],
        "path": sys.path[:3],
        "cwd": os.getcwd(),
    }
"""


async def test_the_context_object(rig: Any) -> None:
    version = await rig.function(CONTEXT)
    result = await rig.invoke(
        version,
        client_context='{"client": {"app_title": "t\u00fc"},\n "custom": {"k": "v"}}',
        trace_header="Root=1-2-3",
        invoked_arn=version.arn + ":$LATEST",
    )
    seen = json.loads(result.payload)
    root = seen.pop("cwd")
    assert seen == {
        "names": [
            "aws_request_id",
            "client_context",
            "function_name",
            "function_version",
            "identity",
            "invoked_function_arn",
            "log_group_name",
            "log_stream_name",
            "memory_limit_in_mb",
            "tenant_id",
        ],
        "arn": version.arn + ":$LATEST",
        "name": version.function_name,
        "version": "$LATEST",
        "memory": "128",
        "group": f"/aws/lambda/{version.function_name}",
        "stream": True,
        "left": True,
        "title": "t\u00fc",
        "custom": {"k": "v"},
        "identity": None,
        "trace": "Root=1-2-3",
        "path": [root, f"/opt/python/lib/{version.runtime}/site-packages", "/opt/python"],
    }


async def test_the_environment_is_the_functions_and_nothing_of_the_servers(rig: Any) -> None:
    version = await rig.function(
        "import os\ndef lambda_handler(event, context):\n    return dict(os.environ)\n",
        environment={"TABLE": "notes", "AWS_ENDPOINT_URL": "http://elsewhere"},
    )
    seen = json.loads((await rig.invoke(version)).payload)
    root = seen["LAMBDA_TASK_ROOT"]
    assert {name: seen[name] for name in seen if name.startswith("AWS_") and "STREAM" not in name} == {
        "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "http://elsewhere",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{version.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": version.function_name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{version.function_name}",
        "AWS_LAMBDA_RUNTIME_API": seen["AWS_LAMBDA_RUNTIME_API"],
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
    }
    others = {name for name in seen if not name.startswith("AWS_")}
    assert others == {
        *("TABLE", "LANG", "TZ", "PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "SHLVL", "PWD", "_HANDLER"),
        *("LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", "_X_AMZN_TRACE_ID"),
        *("_AWS_XRAY_DAEMON_ADDRESS", "_AWS_XRAY_DAEMON_PORT"),
    }
    assert seen["PWD"] == root
    assert re.fullmatch(r"127\.0\.0\.1:\d+", seen["AWS_LAMBDA_RUNTIME_API"])
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", seen["AWS_LAMBDA_LOG_STREAM_NAME"])


async def test_the_credentials_are_those_of_the_role_assumed_by_lambda(rig: Any) -> None:
    version = await rig.function("def lambda_handler(event, context): pass\n")
    await rig.invoke(version)
    principal, _, _, params = next(
        call for call in rig.neighbours.calls if call[3].get("RoleSessionName") == version.function_name
    )
    assert (principal.kind, principal.arn, principal.source_arn) == ("service", "lambda.amazonaws.com", version.arn)
    assert params == {
        "RoleArn": version.role,
        "RoleSessionName": version.function_name,
        "DurationSeconds": 43200,
    }


async def test_a_role_that_lambda_may_not_assume(rig: Any) -> None:
    version = await rig.function("def lambda_handler(e, c): pass\n", role="arn:aws:iam::123456789012:role/stranger")
    with pytest.raises(ServiceError) as raised:
        await rig.invoke(version)
    assert raised.value.code == "AccessDeniedException"
    assert raised.value.message == "The role defined for the function cannot be assumed by Lambda."


HANDLED = "def lambda_handler(event, context):\n"

ERRORS: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    (
        "an exception of the handler",
        {"code": "def help_me():\n    raise ValueError('no \u00fc')\n" + HANDLED + "    help_me()\n"},
        "[ERROR] ValueError: no \u00fc\nTraceback (most recent call last):\n"
        '\u00a0\u00a0File "ROOT/lambda_function.py", line 4, in lambda_handler\n\u00a0\u00a0\u00a0\u00a0help_me()\n'
        '\u00a0\u00a0File "ROOT/lambda_function.py", line 2, in help_me\n'
        "\u00a0\u00a0\u00a0\u00a0raise ValueError('no \u00fc')",
        {
            "errorMessage": "no \u00fc",
            "errorType": "ValueError",
            "requestId": "ID",
            "stackTrace": [
                '  File "ROOT/lambda_function.py", line 4, in lambda_handler\n    help_me()\n',
                "  File \"ROOT/lambda_function.py\", line 2, in help_me\n    raise ValueError('no \u00fc')\n",
            ],
        },
    ),
    (
        "a module that cannot be imported",
        {"code": "import no_such_thing\n"},
        "[ERROR] Runtime.ImportModuleError: Unable to import module 'lambda_function': "
        "No module named 'no_such_thing'\nTraceback (most recent call last):",
        {
            "errorMessage": "Unable to import module 'lambda_function': No module named 'no_such_thing'",
            "errorType": "Runtime.ImportModuleError",
            "requestId": "",
            "stackTrace": [],
        },
    ),
    (
        "a module that is not there",
        {"code": "", "handler": "app.main.handler"},
        "[ERROR] Runtime.ImportModuleError: Unable to import module 'app.main': No module named 'app'",
        {
            "errorMessage": "Unable to import module 'app.main': No module named 'app'",
            "errorType": "Runtime.ImportModuleError",
            "requestId": "",
            "stackTrace": [],
        },
    ),
    (
        "a handler that is not there",
        {"code": "x = 1\n"},
        "[ERROR] Runtime.HandlerNotFound: Handler 'lambda_handler' missing on module 'lambda_function'",
        {
            "errorMessage": "Handler 'lambda_handler' missing on module 'lambda_function'",
            "errorType": "Runtime.HandlerNotFound",
            "requestId": "",
            "stackTrace": [],
        },
    ),
    (
        "a syntax error",
        {"code": "def lambda_handler(:\n"},
        "[ERROR] Runtime.UserCodeSyntaxError: Syntax error in module 'lambda_function': ",
        {
            "errorMessage": "Syntax error in module 'lambda_function': invalid syntax (lambda_function.py, line 1)",
            "errorType": "Runtime.UserCodeSyntaxError",
            "requestId": "",
            "stackTrace": ['  File "ROOT/lambda_function.py" Line 1\n    def lambda_handler(:\n'],
        },
    ),
    (
        "a handler without a module",
        {"code": "", "handler": "lambda_handler"},
        "[ERROR] Runtime.MalformedHandlerName: Bad handler 'lambda_handler': not enough values to unpack",
        {
            "errorMessage": "Bad handler 'lambda_handler': not enough values to unpack (expected 2, got 1)",
            "errorType": "Runtime.MalformedHandlerName",
            "requestId": "",
            "stackTrace": [],
        },
    ),
    (
        "an exception while the module is imported",
        {"code": "raise KeyError('TABLE')\n"},
        "[ERROR] KeyError: 'TABLE'\nTraceback (most recent call last):\n",
        {"errorMessage": "'TABLE'", "errorType": "KeyError", "requestId": "", "stackTrace": None},
    ),
    (
        "a result that is no JSON",
        {"code": HANDLED + "    return {1, 2}\n"},
        "[ERROR] Runtime.MarshalError: Unable to marshal response: Object of type set is not JSON serializable\n"
        "Traceback (most recent call last):",
        {
            "errorMessage": "Unable to marshal response: Object of type set is not JSON serializable",
            "errorType": "Runtime.MarshalError",
            "requestId": "ID",
            "stackTrace": [],
        },
    ),
    (
        "a process that exits",
        {"code": "import sys\n" + HANDLED + "    sys.exit(3)\n"},
        "RequestId: ID Error: Runtime exited with error: exit status 3\nRuntime.ExitError\n",
        {
            "errorType": "Runtime.ExitError",
            "errorMessage": "RequestId: ID Error: Runtime exited with error: exit status 3",
        },
    ),
    (
        "a process that leaves without a word",
        {"code": "import os\n" + HANDLED + "    os._exit(0)\n"},
        "RequestId: ID Error: Runtime exited without providing a reason\nRuntime.ExitError\n",
        {
            "errorType": "Runtime.ExitError",
            "errorMessage": "RequestId: ID Error: Runtime exited without providing a reason",
        },
    ),
    (
        "a process that is killed",
        {"code": "import os\n" + HANDLED + "    os.kill(os.getpid(), 9)\n"},
        "RequestId: ID Error: Runtime exited with error: signal: killed\nRuntime.ExitError\n",
        {
            "errorType": "Runtime.ExitError",
            "errorMessage": "RequestId: ID Error: Runtime exited with error: signal: killed",
        },
    ),
    (
        "an exit while the module is imported",
        {"code": "import sys\nsys.exit(1)\n"},
        "RequestId: ID Error: Runtime exited with error: exit status 1\nRuntime.ExitError\n",
        {
            "errorType": "Runtime.ExitError",
            "errorMessage": "RequestId: ID Error: Runtime exited with error: exit status 1",
        },
    ),
    (
        "an answer that is too large",
        {"code": HANDLED + "    return 'x' * 7_000_000\n"},
        "END RequestId: ID",
        {
            "errorType": "Function.ResponseSizeTooLarge",
            "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        },
    ),
    (
        "more memory than there is",
        {"code": HANDLED + "    kept = []\n    while True: kept.append(bytearray(1_000_000))\n", "timeout_s": 20},
        "Status: error\tError Type: Runtime.OutOfMemory",
        {
            "errorType": "Runtime.ExitError",
            "errorMessage": "RequestId: ID Error: Runtime exited with error: signal: killed",
        },
    ),
    (
        "an invocation that takes too long",
        {"code": "import time\n" + HANDLED + "    print('zzz')\n    time.sleep(9)\n", "timeout_s": 1},
        "Task timed out after 1.00 seconds\n\nEND RequestId: ID\nREPORT",
        {"errorType": "Sandbox.Timedout", "errorMessage": "RequestId: ID Error: Task timed out after 1.00 seconds"},
    ),
]


@pytest.mark.parametrize(
    ("configuration", "logged", "expected"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS]
)
async def test_errors(rig: Any, configuration: dict[str, Any], logged: str, expected: dict[str, Any]) -> None:
    version = await rig.function(**configuration)
    result = await rig.invoke(version)
    root = "/var/task"
    error = json.loads(re.sub(UUID, "ID", result.payload.decode()).replace(root, "ROOT"))
    if expected.get("stackTrace", ()) is None:
        assert error["stackTrace"][-1].startswith('  File "ROOT/lambda_function.py", line 1, in <module>\n')
        expected = {**expected, "stackTrace": error["stackTrace"]}
    assert result.function_error == "Unhandled"
    assert error == expected
    assert logged in re.sub(UUID, "ID", result.log_tail.decode()).replace(root, "ROOT")


async def test_after_a_failure_another_environment_takes_over(rig: Any) -> None:
    version = await rig.function(
        "import os\ncount = 0\ndef lambda_handler(event, context):\n    global count\n    count += 1\n"
        "    if event: os._exit(1)\n    return count\n"
    )
    assert (await rig.invoke(version)).payload == b"1"
    assert (await rig.invoke(version)).payload == b"2"
    assert (await rig.invoke(version, b"1")).function_error == "Unhandled"
    assert (await rig.invoke(version)).payload == b"1"


async def test_an_exception_does_not_cost_the_environment(rig: Any) -> None:
    version = await rig.function(
        "count = 0\ndef lambda_handler(event, context):\n    global count\n    count += 1\n    return 1 / (count - 1)\n"
    )
    assert json.loads((await rig.invoke(version)).payload)["errorMessage"] == "division by zero"
    assert (await rig.invoke(version)).payload == b"1.0"


async def test_a_changed_function_gets_new_environments(rig: Any) -> None:
    import msgspec

    version = await rig.function(
        "import os\ndef lambda_handler(e, c): return os.environ.get('V')\n", environment={"V": "1"}
    )
    assert (await rig.invoke(version)).payload == b'"1"'
    changed = msgspec.structs.replace(version, revision_id="another", environment={"V": "2"})
    assert (await rig.invoke(changed)).payload == b'"2"'


async def test_invocations_at_a_time_have_environments_of_their_own(rig: Any) -> None:
    version = await rig.function(
        "import time, os\ndef lambda_handler(e, c):\n    time.sleep(0.6)\n    return c.log_stream_name\n", timeout_s=10
    )
    streams = await asyncio.gather(*[rig.invoke(version) for _ in range(5)])
    assert len({result.payload for result in streams}) == 5


async def test_a_frozen_environment_wakes_up(rig: Any) -> None:
    version = await rig.function("n = 0\ndef lambda_handler(e, c):\n    global n\n    n += 1\n    return n\n")
    await rig.invoke(version)
    fleet = rig.plane._supervisor._fleets[f"{version.arn}:$LATEST"]
    (environment,) = fleet.members.values()
    await until(lambda: environment.state is State.FROZEN, "the environment is frozen")
    assert (await rig.invoke(version)).payload == b"2"


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes as Linux shows them")
async def test_what_runs_in_environments_steps_back_for_the_server(rig: Any) -> None:
    versions = [await rig.function("def lambda_handler(e, c): return 1\n") for _ in range(2)]
    sessions, groups = set(), set()
    for version in versions:
        await rig.invoke(version)
        [environment] = rig.plane._supervisor._fleets[f"{version.arn}:$LATEST"].members.values()
        guard = environment._sandbox.pid
        [runtime] = map(int, Path(f"/proc/{guard}/task/{guard}/children").read_text().split())
        assert os.getpriority(os.PRIO_PROCESS, runtime) == min(os.getpriority(os.PRIO_PROCESS, 0) + 5, 19)
        sessions |= {os.getsid(guard), os.getsid(runtime)}
        groups |= {os.getpgid(guard), os.getpgid(runtime)}
    assert len(sessions) == 1, "the kernel takes the environments together when it divides a processor among sessions"
    assert os.getsid(0) not in sessions
    assert len(groups) == len(versions)


RESULTS = [
    ("text", "return 'h\u00fc'", "python3.11", b'"h\\u00fc"'),
    ("text from 3.12 on", "return 'h\u00fc'", "python3.12", '"h\u00fc"'.encode()),
    ("bytes", "return b'raw'", "python3.11", b"raw"),
    ("nothing", "return None", "python3.11", b"null"),
    ("decimals", "from decimal import Decimal as D\n    return [D('1.10'), D('12345678901234567890.5')]", "python3.11",
     b"[1.10, 12345678901234567890.5]"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "runtime", "payload"), [row[1:] for row in RESULTS], ids=[row[0] for row in RESULTS])
async def test_results(rig: Any, body: str, runtime: str, payload: bytes) -> None:
    version = await rig.function(f"def lambda_handler(e, c):\n    {body}\n", runtime=runtime)
    assert (await rig.invoke(version)).payload == payload


async def test_log_records_have_the_format_of_aws(rig: Any) -> None:
    version = await rig.function(
        "import logging\nlog = logging.getLogger()\nlog.setLevel('INFO')\n"
        "def lambda_handler(e, c):\n    log.info('one\\ntwo')\n    log.debug('no')\n"
    )
    assert lines_of(await rig.invoke(version))[1:4] == ["[INFO]\tNOW\tID\tone", "two", "END RequestId: ID"]


async def test_logs_are_written_under_the_role_to_a_stream_of_the_environment(rig: Any) -> None:
    version = await rig.function("def lambda_handler(e, c):\n    print('a\\nb')\n    return c.log_stream_name\n")
    stream = json.loads((await rig.invoke(version)).payload)
    await rig.plane._supervisor._shipper.flush()
    events = rig.neighbours.events[stream]
    assert events[0].startswith(f"INIT_START Runtime Version: {version.runtime.replace('python', 'python:')}.v")
    assert events[2:4] == ["a\n", "b\n"]
    assert [event.split(" ")[0] for event in events[1:2] + events[4:]] == ["START", "END", "REPORT"]
    put = next(call for call in rig.neighbours.calls if call[3].get("logStreamName") == stream)
    assert put[0].arn == f"arn:aws:sts::123456789012:assumed-role/worker/{version.function_name}"
    assert put[0].kind == "role"


async def test_a_flood_of_output_harms_nobody(rig: Any) -> None:
    flood = await rig.function(
        "def lambda_handler(e, c):\n    for n in range(60_000): print('x' * 100)\n", timeout_s=30
    )
    calm = await rig.function("def lambda_handler(e, c): return 1\n")
    flooding = asyncio.ensure_future(rig.invoke(flood))
    assert (await rig.invoke(calm)).payload == b"1"
    assert (await flooding).function_error is None


async def test_a_runtime_that_does_not_run_here(rig: Any) -> None:
    version = await rig.function("", runtime="ruby3.4")
    with pytest.raises(NotImplementedHere, match=r"Runtime ruby3\.4"):
        await rig.invoke(version)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs namespaces")
async def test_the_walls(rig: Any) -> None:
    version = await rig.function(
        """
import os, pathlib
def attempt(work):
    try:
        work()
        return "done"
    except OSError as refused:
        return type(refused).__name__
def lambda_handler(path, context):
    return {
        "own code": attempt(lambda: pathlib.Path("/var/task/new").write_text("x")),
        "tmp": attempt(lambda: pathlib.Path("/tmp/new").write_text("x")),
        "root": attempt(lambda: pathlib.Path("/new").write_text("x")),
        "server": attempt(lambda: os.listdir(path)),
        "others": attempt(lambda: os.listdir("/var/.code")),
        "user": os.getuid() > 0,
        "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
        "mount": attempt(lambda: os.chroot("/tmp")),
    }
"""
    )
    data_dir = str(Path(rig.ground.settings.data_dir))
    seen = json.loads((await rig.invoke(version, json.dumps(data_dir).encode())).payload)
    assert seen == {
        "own code": "OSError",
        "tmp": "done",
        "root": "OSError",
        "server": "FileNotFoundError",
        "others": "PermissionError",
        "user": True,
        "processes": 2,
        "mount": "PermissionError",
    }


async def test_boto3_works_after_the_fork(rig: Any) -> None:
    version = await rig.function(
        "import boto3\nclient = boto3.client('dynamodb')\ns3 = boto3.client('s3')\n"
        "def lambda_handler(e, c):\n    signed = s3.generate_presigned_url('get_object', {'Bucket': 'b', 'Key': 'k'})\n"
        "    return [client.meta.endpoint_url, client.meta.region_name, 'ASIAEXAMPLE' in signed]\n",
        memory_mb=512,
        timeout_s=20,
    )
    assert json.loads((await rig.invoke(version)).payload) == ["http://localhost:4566", "eu-west-1", True]


async def test_a_package_of_the_functions_own_wins_over_what_was_imported_before(rig: Any) -> None:
    version = await rig.function(
        "import boto3, botocore\ndef lambda_handler(e, c): return [boto3.own, botocore.__file__.count('/boto')]\n",
        files={"boto3.py": "own = True\n"},
    )
    assert json.loads((await rig.invoke(version)).payload)[0] is True


async def test_chance_differs_between_environments(rig: Any) -> None:
    versions = [
        await rig.function("import random\ndef lambda_handler(e, c): return random.random()\n") for _ in range(2)
    ]
    first, second = [(await rig.invoke(version)).payload for version in versions]
    assert first != second
