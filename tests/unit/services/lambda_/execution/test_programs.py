"""Functions that bring their own program: provided.al2 and provided.al2023."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.lambda_.execution.report import init_start_line
from cumulet.services.lambda_.execution.runtime_names import runtime_version
from cumulet.services.lambda_.execution.sandbox.isolation import make_links
from cumulet.services.lambda_.execution.sandbox.programs import (
    NODE_MODULES_SEEN_AS,
    Libraries,
    left_out_of_node,
    see_programs,
    substitution_note,
)

running = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

SHELL = """#!/bin/sh
set -eu
echo loading
while true; do
  EVENT=$(curl -sS -D /tmp/headers "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next")
  ID=$(grep -Fi lambda-runtime-aws-request-id /tmp/headers | tr -d '[:space:]' | cut -d: -f2)
  echo "got $EVENT"
  case "$EVENT" in
    '"leave"') exit 7 ;;
    '"sleep"') sleep 30 ;;
    '"fail"') WHAT=error; ANSWER='{"errorType":"Own.Kind","errorMessage":"no"}' ;;
    '"look"') WHAT=response
      WHERE="\\"$LAMBDA_TASK_ROOT\\",\\"$(pwd)\\""
      ANSWER="[\\"$_HANDLER\\",$WHERE,\\"${AWS_EXECUTION_ENV-none}\\",\\"$(ulimit -n)\\"]" ;;
    *) WHAT=response; ANSWER="{\\"echo\\":$EVENT}" ;;
  esac
  curl -sS -o /dev/null -d "$ANSWER" "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$ID/$WHAT"
done
"""

COMPILED = r"""
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[65536];

static size_t receive(int line) {
    size_t size = 0;
    char *body = 0;
    long length = -1;
    while (!body || size < (size_t)(body - buffer) + length) {
        ssize_t more = recv(line, buffer + size, sizeof buffer - 1 - size, 0);
        if (more <= 0) exit(0);
        size += more;
        buffer[size] = 0;
        if (!body && (body = strstr(buffer, "\r\n\r\n"))) {
            body += 4;
            length = atol(strcasestr(buffer, "content-length:") + 15);
        }
    }
    return body - buffer;
}

int main(void) {
    char host[64], answer[66000], id[64];
    int port, count = 0;
    sscanf(getenv("AWS_LAMBDA_RUNTIME_API"), "%63[^:]:%d", host, &port);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, host, &to.sin_addr);
    int line = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(line, (struct sockaddr *)&to, sizeof to)) return 1;
    for (;;) {
        const char *next = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n";
        send(line, next, strlen(next), 0);
        receive(line);
        sscanf(strcasestr(buffer, "lambda-runtime-aws-request-id:") + 30, " %63[^\r]", id);
        char body[16];
        sprintf(body, "%d", ++count);
        sprintf(answer, "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: runtime\r\n"
                        "Content-Length: %zu\r\n\r\n%s", id, strlen(body), body);
        send(line, answer, strlen(answer), 0);
        receive(line);
    }
}
"""


def told(result: Any) -> str:
    return re.sub(UUID, "ID", result.log_tail.decode())


async def provided(rig: Any, bootstrap: bytes | str, *, executable: bool = True, **fields: Any) -> Any:
    """Return a function whose archive has this bootstrap."""
    return await rig.function(
        "", files={"bootstrap": bootstrap}, executable=("bootstrap",) if executable else (),
        **{"runtime": "provided.al2023", "timeout_s": 10, **fields},
    )  # fmt: skip


class TestShell:
    """A bootstrap of a few lines of shell, as AWS's tutorial has it."""

    pytestmark = running

    async def test_events_answers_and_logs(self, rig: Any) -> None:
        version = await provided(rig, SHELL, runtime="provided.al2", handler="any.thing")
        result = await rig.invoke(version, b'{"n": 1}')
        assert result.payload == b'{"echo":{"n": 1}}'
        assert told(result).startswith(
            'loading\nSTART RequestId: ID Version: $LATEST\ngot {"n": 1}\nEND RequestId: ID\n'
        )
        seen = json.loads((await rig.invoke(version, b'"look"')).payload)
        assert seen == ["any.thing", seen[1], seen[1], "none", "1024"]
        failed = await rig.invoke(version, b'"fail"')
        assert (failed.function_error, failed.payload) == (
            "Unhandled",
            b'{"errorType":"Own.Kind","errorMessage":"no"}',
        )

    async def test_its_end_is_told(self, rig: Any) -> None:
        version = await provided(rig, SHELL)
        left = await rig.invoke(version, b'"leave"')
        error = json.loads(re.sub(UUID, "ID", left.payload.decode()))
        assert error == {
            "errorType": "Runtime.ExitError",
            "errorMessage": "RequestId: ID Error: Runtime exited with error: exit status 7",
        }

    async def test_its_time_is_bounded(self, rig: Any) -> None:
        version = await provided(rig, SHELL, timeout_s=1)
        late = await rig.invoke(version, b'"sleep"')
        assert json.loads(late.payload)["errorType"] == "Sandbox.Timedout"
        assert (await rig.invoke(version, b"1")).payload == b'{"echo":1}'


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A bootstrap in machine code."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    folder: Path = tmp_path_factory.mktemp("compiled")
    (folder / "bootstrap.c").write_text(COMPILED)
    subprocess.run(
        [compiler, "-D_GNU_SOURCE", "-o", str(folder / "bootstrap"), str(folder / "bootstrap.c")],
        check=True,
        timeout=60,
    )
    return (folder / "bootstrap").read_bytes()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.slow
async def test_a_compiled_program(rig: Any, compiled: bytes) -> None:
    version = await provided(rig, compiled)
    assert [(await rig.invoke(version)).payload for _ in range(3)] == [b"1", b"2", b"3"]


REFUSED = [
    (
        "no executable bit",
        {"bootstrap": SHELL, "executable": False},
        "fork/exec /var/task/bootstrap: permission denied",
    ),
    ("no shebang", {"bootstrap": "echo"}, "fork/exec /var/task/bootstrap: exec format error"),
    (
        "an interpreter that is not there",
        {"bootstrap": "#!/no/such/shell\n"},
        "fork/exec /var/task/bootstrap: no such file or directory",
    ),
    (
        "no bootstrap at all",
        {"bootstrap": None},
        "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]",
    ),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.slow
@pytest.mark.parametrize(("given", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_a_bootstrap_that_cannot_be_started(rig: Any, given: dict[str, Any], words: str) -> None:
    if given["bootstrap"] is None:
        version = await rig.function("", runtime="provided.al2023")
    else:
        version = await provided(rig, **given)
    result = await rig.invoke(version)
    root = str(rig.plane._supervisor._code.folder / version.code_blob)
    error = json.loads(re.sub(UUID, "ID", result.payload.decode()).replace(root, "/var/task"))
    assert result.function_error == "Unhandled"
    assert error == {"errorType": "Runtime.InvalidEntrypoint", "errorMessage": f"RequestId: ID Error: {words}"}
    log = told(result).replace(root, "/var/task")
    assert f"RequestId: ID Error: {words}\nRuntime.InvalidEntrypoint\n" in log
    assert "Phase: invoke\tStatus: error\tError Type: Runtime.InvalidEntrypoint" in log


LINES = [
    ("python3.12", "3.12.7", "python:3.12.v7"),
    ("nodejs20.x", "20.20.2", "nodejs:20.v2"),
    ("provided.al2023", "3.11.2", "provided:al2023.v2"),
]


@pytest.mark.parametrize(("runtime", "patch", "told_as"), LINES)
def test_the_first_line_of_a_log(runtime: str, patch: str, told_as: str) -> None:
    line = init_start_line(runtime, "eu-west-1", patch)
    assert line.startswith(f"INIT_START Runtime Version: {told_as}\tRuntime Version ARN: arn:aws:lambda:eu-west-1::")


def test_what_runs_a_runtime_makes_its_version() -> None:
    told = [runtime_version("python3.12", "eu-west-1", interpreter) for interpreter in ("3.12.7", "3.11.7", "3.12.7")]
    assert told[0] == told[2] != told[1]
    assert runtime_version("python3.13", "eu-west-1", "3.12.7")[1] != told[0][1]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.slow
async def test_a_function_runs_on_the_version_of_its_runtime_that_it_keeps(rig: Any) -> None:
    version = await rig.function("def lambda_handler(e, c): return 1\n")
    arn = runtime_version(version.runtime, rig.scope.region, await rig.plane.interpreter_of(version.runtime))[1]
    gone = msgspec.structs.replace(version, revision_id="gone", runtime_version_arn=arn[:-1])
    with pytest.raises(ServiceError, match="The runtime or runtime version specified is not supported") as refused:
        await rig.invoke(gone)
    assert refused.value.code == "InvalidRuntimeException"
    kept = msgspec.structs.replace(version, runtime_version_arn=arn)
    assert (await rig.invoke(kept)).payload == b"1"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.slow
async def test_a_machine_without_nodejs(rig: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = await rig.function("", files={"index.mjs": "export const handler = async () => 1;"}, runtime="nodejs18.x")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        NotImplementedHere, match=r"Runtime nodejs18\.x on a machine without Node\.js is not implemented"
    ):
        await rig.invoke(version)


NOTES = [
    ("python3.11", "3.11.2", ""),
    ("python3.1", "3.11.2", "cumulet: python3.1 does not run on this machine; this environment runs on python3.11.2\n"),
    ("nodejs20.x", "20.20.2", ""),
    (
        "nodejs22.x",
        "20.20.2",
        "cumulet: nodejs22.x does not run on this machine; this environment runs on nodejs20.20.2\n",
    ),
    ("provided.al2", "3.11.2", ""),
]


@pytest.mark.parametrize(("runtime", "version", "note"), NOTES)
def test_another_version_than_the_one_named_is_told(runtime: str, version: str, note: str) -> None:
    assert substitution_note(runtime, version) == note


def test_the_sdk_is_seen_where_aws_has_it() -> None:
    assert see_programs(Libraries(nodejs="/its/node_modules"))[NODE_MODULES_SEEN_AS] == "/its/node_modules"
    assert NODE_MODULES_SEEN_AS not in see_programs(Libraries())


def test_of_a_nodejs_no_more_is_seen_than_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [tmp_path / "home" / "bin", tmp_path / "opt" / "node18" / "bin", tmp_path / "bin"]
    for folder in folders:
        folder.mkdir(parents=True)
    for executable in (folders[0] / "node", folders[1] / "node"):
        executable.write_text("")
        executable.chmod(0o755)
    (folders[2] / "node18").symlink_to(folders[1] / "node")
    monkeypatch.setenv("PATH", f"{folders[2]}:{folders[0]}")
    seen = {path for path in see_programs(Libraries()) if path.startswith(str(tmp_path))}
    home, beside = tmp_path / "home", tmp_path / "opt" / "node18"
    assert seen == {f"{home}/bin/node", f"{home}/lib", f"{beside}/bin/node", f"{beside}/lib"}


def test_links_do_not_touch_folders_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "var" / "own").mkdir(parents=True)
    make_links(str(tmp_path), {"/var/own/python": "/a", "/var/lang/bin/python": "/b", "/var/lang/bin/node": "/c"})
    assert not list((tmp_path / "var" / "own").iterdir())
    assert (tmp_path / "var" / "lang" / "bin" / "python").readlink() == Path("/b")
    assert (tmp_path / "var" / "lang" / "bin" / "node").readlink() == Path("/c")


def test_which_features_a_runtime_has_not() -> None:
    both = ("experimental-require-module", "experimental-detect-module")
    cases = [(16, "18.20.1"), (20, "20.18.3"), (24, "22.23.3"), (22, "21.7.0"), (20, "20.20.2"), (22, "22.0.0")]
    told = [left_out_of_node(wanted, version) for wanted, version in [*cases, (18, "20.20.2"), (20, "24.1.0")]]
    assert told == [(), (), (), (), both[:1], both, both, both[:1]]
