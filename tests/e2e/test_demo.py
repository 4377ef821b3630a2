"""`make demo`, as the README promises it."""

import socket
import subprocess
import sys

import pytest

from running import ROOT

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_demo_shows_the_life_of_a_note() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples/notes/demo.py"), "--port", str(free_port())],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for expected in (
        "Ready at",
        "CREATE_COMPLETE",
        "201",
        "404",
        "START RequestId",
        "END RequestId",
        "REPORT RequestId",
    ):
        assert expected in done.stdout
    assert "read units" in done.stdout
