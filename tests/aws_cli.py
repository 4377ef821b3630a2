"""The aws cli, as a shell session would have it.

with aws_shell(server) as shell:
    made = shell.aws("lambda create-alias --function-name notes --name live --function-version 1")
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from patience import killed_if_silent
from running import Server

# The cli takes most of a second to begin: one process of it answers a line for each line of arguments.
_SESSION = """
import contextlib, io, json, sys
from awscli.clidriver import create_clidriver
driver = create_clidriver()
for line in sys.stdin:
    out, err = io.StringIO(), io.StringIO()
    out.buffer = io.BytesIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = driver.main(json.loads(line))
    print(json.dumps([status, out.getvalue(), err.getvalue()]), flush=True)
"""


class Shell:
    """`aws`, again and again."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, line: str, *more: str) -> tuple[int, str, str]:
        """Return status, output and error of `aws` with the words of a line, and arguments that are not split."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([*line.split(), *more]) + "\n")
        self._process.stdin.flush()
        with killed_if_silent(self._process):
            answer = self._process.stdout.readline()
        assert answer, f"aws {line} was not answered"
        status, out, err = json.loads(answer)
        return status, out, err

    def aws(self, line: str, *more: str) -> Any:
        """Return what `aws` printed, which is JSON or nothing."""
        status, out, err = self.run(line, *more)
        assert status == 0, f"aws {line}: {err}"
        return json.loads(out) if out.strip() else None


@contextmanager
def aws_shell(server: Server) -> Iterator[Shell]:
    """Start an `aws` that speaks to the server."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _SESSION],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=server.environ(),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Shell(process)
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()
