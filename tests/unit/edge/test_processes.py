"""The parent of a group, with real processes that serve nothing. tests/e2e/test_workers.py has those that do."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from patience import killed_if_silent

SCRIPT = Path(__file__).with_name("group.py")

Start = Callable[[int, str], "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts groups, and ends what is left of them."""
    started: list[subprocess.Popen[str]] = []

    def group(workers: int, behaviour: str) -> "subprocess.Popen[str]":
        started.append(
            subprocess.Popen(
                [sys.executable, str(SCRIPT), str(workers), behaviour],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
            )
        )
        return started[-1]

    yield group
    for process in started:
        process.kill()
        process.communicate(timeout=20)


def lines_until(process: "subprocess.Popen[str]", last: str) -> list[str]:
    """Return what the group says up to a line that begins so."""
    assert process.stdout is not None
    lines: list[str] = []
    with killed_if_silent(process):
        for line in process.stdout:
            lines.append(line.strip())
            if line.startswith(last):
                return lines
    raise AssertionError(f"the group ended: {lines}")


def errors_until(process: "subprocess.Popen[str]", last: str) -> str:
    """Return what the group logs up to a line that begins so."""
    assert process.stderr is not None
    lines: list[str] = []
    with killed_if_silent(process):
        for line in process.stderr:
            lines.append(line)
            if line.startswith(last):
                return "".join(lines)
    raise AssertionError(f"the group ended: {lines}")


def children(process: "subprocess.Popen[str]") -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def serving(lines: list[str]) -> list[int]:
    return sorted(int(line.split()[1]) for line in lines if line.startswith("serves"))


pytestmark = pytest.mark.slow


def test_all_serve_before_the_group_is_ready_and_a_signal_ends_it(start: Start) -> None:
    group = start(3, "serves")
    assert serving(lines_until(group, "ready")) == [1, 2, 3]

    group.terminate()

    assert group.communicate(timeout=10)[0] == "over\n"
    assert group.returncode == 0


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("refuses", "there is no store"),
        ("ends", "A worker process ended with status 3 before all of them were ready"),
        ("raises", "A worker process ended with status 1 before all of them were ready"),
    ],
)
def test_a_group_whose_workers_cannot_start_says_why(start: Start, behaviour: str, reason: str) -> None:
    group = start(2, behaviour)
    said, errors = group.communicate(timeout=10)

    assert said == f"failed {reason}\n"
    assert group.returncode == 1
    assert ("LookupError: a bug" in errors) == (behaviour == "raises")


def test_workers_that_end_early_again_and_again_are_started_later_and_later(start: Start) -> None:
    group = start(1, "ends early")
    lines_until(group, "ready")
    began = time.monotonic()
    for _ in range(4):  # at once, then after 0.2, 0.4 and 0.8 s
        lines_until(group, "serves")
    took = time.monotonic() - began
    group.terminate()
    _, errors = group.communicate(timeout=10)

    assert took > 1.3
    assert errors.count("another takes its place") >= 4
    assert group.returncode == 0


def test_a_hangup_replaces_each_worker_by_one_that_serves_first(start: Start) -> None:
    group = start(2, "serves")
    before = {line.split()[2] for line in lines_until(group, "ready") if line.startswith("serves")}

    group.send_signal(signal.SIGHUP)
    after = [lines_until(group, "serves")[-1].split()[2] for _ in before]
    group.terminate()

    assert group.communicate(timeout=10)[0] == "over\n"
    assert not before & set(after)


def test_a_worker_that_cannot_be_replaced_stays(start: Start) -> None:
    group = start(2, "ends once renewed")
    lines_until(group, "ready")
    group.send_signal(signal.SIGHUP)
    errors = errors_until(group, "a new worker process did not start; the old ones stay")
    group.terminate()
    said, more_errors = group.communicate(timeout=10)

    assert said == "over\n"
    assert "the old ones stay" not in more_errors
    assert "another takes its place" not in errors + more_errors


def test_a_third_signal_kills_what_does_not_end(start: Start) -> None:
    group = start(2, "stubborn")
    lines_until(group, "ready")
    for _ in range(2):
        time.sleep(0.1)  # real time: signals that come together count once
        group.terminate()
    time.sleep(0.1)
    assert group.poll() is None

    group.terminate()
    said, errors = group.communicate(timeout=10)

    assert said.endswith("over\n")
    assert errors.count("a worker process does not end, and is killed") == 2
    assert group.returncode == 0


def test_who_dies_while_it_is_replaced_is_replaced_once(start: Start) -> None:
    group = start(2, "starts slowly once renewed")
    before = [int(line.split()[2]) for line in lines_until(group, "ready") if line.startswith("serves")]
    group.send_signal(signal.SIGHUP)
    lines_until(group, "starts")
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    time.sleep(1)
    left = children(group)
    group.terminate()
    group.communicate(timeout=10)

    assert len(left) == 2


def test_a_worker_that_fails_while_nobody_reads_its_words_takes_no_other_with_it(start: Start) -> None:
    group = start(2, "fails")
    first, second = (int(line.split()[2]) for line in sorted(lines_until(group, "ready")) if line.startswith("serves"))
    assert group.stderr is not None
    group.stderr.close()

    os.kill(second, signal.SIGTERM)
    third = int(lines_until(group, "serves 2")[-1].split()[2])
    left = children(group)
    group.terminate()
    group.wait(timeout=10)

    assert left == [first, third]


def test_a_parent_that_can_open_no_file_goes_on_with_the_workers_that_it_has(start: Start) -> None:
    group = start(2, "serves")
    first, second = (int(line.split()[2]) for line in sorted(lines_until(group, "ready")) if line.startswith("serves"))
    limits = resource.prlimit(group.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(group.pid, resource.RLIMIT_NOFILE, (3, limits[1]))

    os.kill(second, signal.SIGKILL)
    errors_until(group, "no worker process can be started; it is tried again")
    left = children(group)
    resource.prlimit(group.pid, resource.RLIMIT_NOFILE, limits)
    lines_until(group, "serves 2")
    group.terminate()

    assert left == [first]
    assert group.communicate(timeout=10)[0] == "over\n"
    assert group.returncode == 0
