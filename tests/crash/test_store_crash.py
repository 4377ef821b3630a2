"""A store whose process, or one of whose processes, is killed with -9 has all that was acknowledged, and nothing half.

CUMULET_CRASH_ROUNDS sets how many times (the long form), CUMULET_CRASH_SEED repeats a run.
"""

import asyncio
import importlib.util
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cumulet.store.api import ReadTx
from cumulet.store.sqlite import open_sqlite
from cumulet.store.sqlite_file import FILE_NAME, hold_folder
from patience import PATIENCE_S, join, killed_if_silent

WORKER = Path(__file__).with_name("store_worker.py")
ROUNDS = int(os.environ.get("CUMULET_CRASH_ROUNDS", "15"))
SEED = int(os.environ.get("CUMULET_CRASH_SEED", random.SystemRandom().randrange(10**9)))

_spec = importlib.util.spec_from_file_location("store_worker", WORKER)
assert _spec is not None
assert _spec.loader is not None
worker = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(worker)


def run_and_kill(data_dir: Path, after_lines: int) -> dict[int, int]:
    """Return the last number that each writer was told is written, by a worker killed after so many lines."""
    with subprocess.Popen([sys.executable, str(WORKER), str(data_dir)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with killed_if_silent(process):
            lines = [process.stdout.readline() for _ in range(after_lines)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()  # what it had said before it died
    assert process.returncode == -signal.SIGKILL
    acknowledged: dict[int, int] = {}
    for line in lines:
        if line.endswith("\n"):
            writer, number = map(int, line.split())
            acknowledged[writer] = number
    return acknowledged


def check(tx: ReadTx, acknowledged: dict[int, int]) -> None:
    assert worker.is_whole(tx)
    for writer in range(max([worker.WRITERS, *[one + 1 for one in acknowledged]])):
        counter = int(tx.get(worker.counter_key(writer)) or b"0")
        assert counter >= acknowledged.get(writer, 0), f"writer {writer} lost what was acknowledged"
        newest_removal = counter - counter % 10
        expected = range(max(1, newest_removal - worker.KEPT + 1) if newest_removal else 1, counter + 1)
        for key in (worker.front_key, worker.back_key):
            found = list(tx.scan(key(writer, 0), key(writer, 10**9 - 1)))
            assert found == [(key(writer, number), worker.VALUE) for number in expected], f"writer {writer}"


async def reopen_and_check(data_dir: Path, acknowledged: dict[int, int]) -> None:
    store = open_sqlite(data_dir, "fsync")
    await store.read(lambda tx: check(tx, acknowledged))
    await store.close()


@pytest.mark.slow
def test_kill_at_any_moment(tmp_path: Path) -> None:
    print(f"CUMULET_CRASH_SEED={SEED}")
    chance = random.Random(SEED)
    acknowledged: dict[int, int] = {}
    for _ in range(ROUNDS):
        acknowledged |= run_and_kill(tmp_path, chance.randrange(1, 600))
        asyncio.run(reopen_and_check(tmp_path, acknowledged))
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


class Member:
    """One of several processes over a folder, with writers of its own; what it was told is read as it comes."""

    def __init__(self, data_dir: Path, held: int, number: int) -> None:
        self.acknowledged: dict[int, int] = {}
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), str(data_dir), str(held), str(number * worker.WRITERS)],
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=(held,),
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith("\n"):
                writer, number = map(int, line.split())
                self.acknowledged[writer] = number

    def kill(self) -> dict[int, int]:
        """Return the last number that each of its writers was told is written."""
        assert self.process.poll() is None, "a process saw a total that is not the sum of the counters, or failed"
        self.process.kill()
        self.process.wait(PATIENCE_S)
        join(self._reading)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.acknowledged


@pytest.mark.slow
def test_kill_one_of_four_processes_at_any_moment(tmp_path: Path) -> None:
    print(f"CUMULET_CRASH_SEED={SEED}")
    chance = random.Random(SEED)
    held = hold_folder(tmp_path, "fsync")
    acknowledged: dict[int, int] = {}
    members = [Member(tmp_path, held, number) for number in range(4)]
    for _ in range(ROUNDS):
        victim = chance.randrange(4)
        before = dict(members[victim].acknowledged)
        time.sleep(chance.uniform(0.05, 0.3))  # real time: the others must be well into their turns
        acknowledged |= members[victim].kill()
        assert all(acknowledged[writer] >= number for writer, number in before.items())
        members[victim] = Member(tmp_path, held, victim)
    deadline = time.monotonic() + 20
    while any(len(member.acknowledged) < worker.WRITERS for member in members):  # nobody is kept from its turn
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for member in members:
        acknowledged |= member.kill()
    os.close(held)

    asyncio.run(reopen_and_check(tmp_path, acknowledged))
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
