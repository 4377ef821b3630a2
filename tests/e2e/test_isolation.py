"""What a function can reach of the server, of other functions and of other environments, tried from inside of it.

These are the walls of decision 0007; where the machine permits none, there is nothing to try.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from functions import Functions
from patience import join
from running import Server, start_server

SECRET = "a-secret-of-the-server"


def has_walls() -> bool:
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    return subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False, timeout=60).returncode == 0


pytestmark = [pytest.mark.slow, pytest.mark.skipif(not has_walls(), reason="the machine permits no namespaces")]

# Runs what it is told, and returns what came of it: code is the shortest way to say what a function tries.
INTRUDER = """
import os, socket, subprocess, time, pathlib
def walk():
    for at, folders, names in os.walk('/'):
        if at == '/':
            folders[:] = set(folders) - {'proc', 'usr', 'lib', 'lib64', 'bin', 'sbin'}
        yield at, names
def handler(event, context):
    names = {**globals(), **event}
    try:
        exec(event['tries'], names)
    except Exception as refused:
        return type(refused).__name__
    return names.get('result')
"""
Try = Callable[..., Any]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with a secret in its environment variables, whose data lie where everybody may look."""
    with tempfile.TemporaryDirectory(prefix="cumulet-isolation-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        running = start_server(Path(folder) / "data", environ={"CUMULET_TEST_SECRET": SECRET})
        try:
            yield running
        finally:
            assert running.stop() == 0


@pytest.fixture(scope="module")
def functions(server: Server) -> Iterator[Functions]:
    with Functions(server, "isolation") as made:
        yield made


@pytest.fixture(scope="module")
def victim(functions: Functions) -> str:
    """Another function, with a file of its own, a secret in its variables, and something in its /tmp."""
    name = functions.make(
        {"app.py": INTRUDER, "treasure.txt": "gold"}, Environment={"Variables": {"SECRET": "of-the-victim"}}
    )
    assert functions.invoke(name, {"tries": "pathlib.Path('/tmp/mine').write_text('x')"}) is None
    return name


@pytest.fixture(scope="module")
def intruder(functions: Functions) -> str:
    return functions.make({"app.py": INTRUDER})


@pytest.fixture(scope="module")
def attempt(functions: Functions, intruder: str) -> Try:
    def run(tries: str, **more: Any) -> Any:
        return functions.invoke(intruder, {"tries": tries, **more})

    return run


def test_the_servers_data_cannot_be_seen(server: Server, attempt: Try, victim: str) -> None:
    for folder in (server.data_dir, server.data_dir.parent, Path.cwd()):
        assert attempt("result = os.listdir(path)", path=str(folder)) == "FileNotFoundError"
    seen = attempt("result = [os.path.join(at, name) for at, names in walk() for name in names]")
    assert "/var/task/app.py" in seen
    endings = (".db", ".sqlite", ".sqlite-wal", "treasure.txt")
    assert [name for name in seen if name.endswith(endings)] == []


def test_nor_can_anything_be_written_but_in_tmp(attempt: Try) -> None:
    assert attempt("result = [at for at, _ in walk() if os.access(at, os.W_OK)]") == ["/tmp"]
    assert attempt("open('/var/task/app.py', 'a')") == "PermissionError"


def test_tmp_is_each_environments_own(functions: Functions, attempt: Try, victim: str) -> None:
    assert attempt("result = os.listdir('/tmp')") == []
    holds: list[Any] = []
    code = {"tries": "pathlib.Path('/tmp/' + str(number)).touch(); time.sleep(0.5); result = os.listdir('/tmp')"}
    threads = [
        threading.Thread(
            target=lambda number=number: holds.append(functions.invoke(victim, {**code, "number": number}))
        )
        for number in range(2)
    ]
    for thread in threads:
        thread.start()
    join(*threads)
    assert sorted(len(set(held) - {"mine"}) for held in holds) == [1, 1]


def test_other_processes_cannot_be_seen_or_signalled(server: Server, attempt: Try, victim: str) -> None:
    pids = attempt("result = [int(name) for name in os.listdir('/proc') if name.isdigit()]")
    assert len(pids) <= 3
    assert attempt("os.kill(pid, 0)", pid=server.process.pid) == "ProcessLookupError"
    assert attempt("result = open('/proc/1/environ').read()") == "PermissionError"


def test_variables_and_credentials_are_its_own(
    server: Server, functions: Functions, intruder: str, attempt: Try
) -> None:
    variables = attempt("result = dict(os.environ)")
    assert SECRET not in json.dumps(variables)
    assert not [name for name in variables if name.startswith("CUMULET")]
    assert "of-the-victim" not in json.dumps(variables)
    who = "import boto3; result = boto3.client('sts').get_caller_identity()['Arn']"
    assert attempt(who) == f"arn:aws:sts::000000000000:assumed-role/isolation/{intruder}"
    denied = "import boto3; boto3.client('lambda').list_functions()"
    assert attempt(denied) == "ClientError"
    assert attempt("result = [os.getuid() > 0, os.getgroups()]") == [True, []]
    assert attempt("os.setuid(0)") == "PermissionError"
    assert attempt("result = subprocess.run(['su', '-c', 'true'], capture_output=True).returncode != 0") is True


ASKS = """
host, port = address.split(':')
with socket.create_connection((host, int(port)), 2) as connection:
    connection.settimeout(2)
    connection.sendall(request.encode())
    result = connection.recv(4096).decode()
"""


def test_another_environments_runtime_api_is_closed(functions: Functions, attempt: Try, victim: str) -> None:
    """A function that could speak to it could steal events, or answer them."""
    address = functions.invoke(victim, {"tries": "result = os.environ['AWS_LAMBDA_RUNTIME_API']"})
    for request in (
        "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /2020-01-01/extension/register HTTP/1.1\r\nHost: x\r\nLambda-Extension-Name: thief\r\n"
        'Content-Length: 13\r\n\r\n{"events":[]}',
    ):
        assert attempt(ASKS, address=address, request=request) in ("", "ConnectionResetError")
    own = attempt("result = os.environ['AWS_LAMBDA_RUNTIME_API']")
    assert attempt(ASKS, address=own, request="GET / HTTP/1.1\r\nHost: x\r\n\r\n").startswith("HTTP/1.1 404")
    assert functions.invoke(victim, {"tries": "result = 'unharmed'"}) == "unharmed"


def test_what_a_function_leaves_behind_ends_with_its_environment(
    server: Server, functions: Functions, victim: str
) -> None:
    name = functions.make({"app.py": INTRUDER})
    spawn = "result = subprocess.Popen(['sleep', '86399'], start_new_session=True).pid"
    assert functions.invoke(name, {"tries": spawn}) > 1
    assert functions.client.invoke(FunctionName=name, Payload=b'{"tries": "os._exit(1)"}')["FunctionError"]
    assert functions.invoke(name, {"tries": "result = 'again'"}) == "again"
    assert functions.invoke(victim, {"tries": "result = 'unharmed'"}) == "unharmed"
    assert not [pid for pid in Path("/proc").iterdir() if pid.name.isdigit() and is_sleeper(pid)]


def is_sleeper(process: Path) -> bool:
    try:
        return b"86399" in (process / "cmdline").read_bytes()
    except OSError:
        return False
