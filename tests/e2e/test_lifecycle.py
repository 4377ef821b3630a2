"""A server's life: it starts once per folder and port, ends cleanly, and leaves nothing behind however it ends."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lifecycle import TRUST, create_sleeper, invoke, processes_below, that_stay, up
from running import Server, start_server

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of this test's own, which the test may end."""
    running = start_server(tmp_path / "data")
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.kill()


def test_a_second_server_on_the_same_folder_is_refused_with_the_first_ones_process(server: Server) -> None:
    second = up("--port", "0", "--data-dir", str(server.data_dir))
    assert second.returncode == 1
    assert f"process {server.process.pid}" in second.stderr
    assert "--data-dir" in second.stderr


def test_a_second_server_on_the_same_port_is_refused(server: Server, tmp_path: Path) -> None:
    second = up("--port", str(server.port), "--data-dir", str(tmp_path / "other"))
    assert second.returncode == 1
    assert f"cannot listen on 127.0.0.1:{server.port}: Address already in use" in second.stderr


def test_an_address_beyond_loopback_needs_strict_mode(tmp_path: Path) -> None:
    refused = up("--host", "0.0.0.0", "--port", "0", "--data-dir", str(tmp_path / "data"))
    assert refused.returncode == 1
    assert "add --strict" in refused.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_what_is_in_flight_finish(server: Server, number: int) -> None:
    create_sleeper(server)
    answers: list[Any] = []
    client = threading.Thread(target=lambda: answers.append(invoke(server, {"seconds": 1.5})))
    client.start()
    deadline = time.monotonic() + 20
    while not processes_below(server.process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.7)  # real time: the invocation is under way in a real process
    below = processes_below(server.process.pid)
    assert below
    server.process.send_signal(number)
    client.join(20)
    assert answers == ["done"]
    assert server.ended() == 0
    assert that_stay(below) == set()


def test_kill_9_leaves_no_process_behind(server: Server) -> None:
    create_sleeper(server)
    assert invoke(server, {"fork": True}) == "done"
    below = processes_below(server.process.pid)
    assert len(below) >= 2
    os.kill(server.process.pid, signal.SIGKILL)
    server.ended()
    assert that_stay(below) == set()


def test_everything_is_there_after_a_restart(server: Server) -> None:
    create_sleeper(server)
    server.kill()
    again = start_server(server.data_dir)
    try:
        assert invoke(again, {}) == "done"
        assert again.client("iam").get_role(RoleName="sleeper")["Role"]["AssumeRolePolicyDocument"] == TRUST
    finally:
        assert again.stop() == 0
