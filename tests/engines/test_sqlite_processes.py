"""Several real processes over one SQLite file: exact counters, nothing stale, hints, a death that holds nobody up."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cumulet.store.sqlite import SqliteStore, open_sqlite
from cumulet.store.sqlite_file import hold_folder
from patience import PATIENCE_S

MEMBER = Path(__file__).with_name("group_member.py")

pytestmark = pytest.mark.slow


class Group:
    """A store of this process, and others' over the same file."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._held = hold_folder(data_dir, "memory")
        self.store: SqliteStore = open_sqlite(data_dir, "memory", held=self._held)
        self.members: list[asyncio.subprocess.Process] = []

    async def start(self, durability: str = "memory") -> asyncio.subprocess.Process:
        member = await asyncio.create_subprocess_exec(
            *(sys.executable, str(MEMBER), str(self._data_dir), str(self._held), durability),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(self._held,),
        )
        self.members.append(member)
        return member

    async def end(self) -> None:
        for member in self.members:
            assert member.stdin is not None
            if member.returncode is None:
                member.stdin.close()
                async with asyncio.timeout(PATIENCE_S):
                    assert await member.wait() in (0, -signal.SIGKILL)
        await self.store.close()
        os.close(self._held)


@pytest.fixture
async def group(tmp_path: Path) -> AsyncIterator[Group]:
    group = Group(tmp_path)
    yield group
    await group.end()


async def tell(member: asyncio.subprocess.Process, command: str) -> str:
    assert member.stdin is not None
    assert member.stdout is not None
    member.stdin.write(command.encode() + b"\n")
    async with asyncio.timeout(PATIENCE_S):
        return (await member.stdout.readline()).decode().strip()


async def test_counters_of_four_processes_are_exact(group: Group) -> None:
    members = [await group.start(durability) for durability in ("fsync", "fsync", "os", "memory")]

    answers = await asyncio.gather(*[tell(member, "count total 320") for member in members])

    assert answers == ["done"] * 4
    assert await group.store.read(lambda tx: tx.get(b"total")) == b"1280"
    assert [await tell(member, "get total") for member in members] == ["1280"] * 4


async def test_what_was_acknowledged_elsewhere_is_seen_by_the_next_read(group: Group) -> None:
    member, bystander = [await group.start() for _ in range(2)]
    chance = random.Random(5)
    store, expected = group.store, dict[str, str]()
    keys = [f"k{number}" for number in range(6)]
    for step in range(2500):
        key, value = chance.choice(keys), f"v{step}"
        match chance.randrange(10):
            case 0:
                start, end = sorted(chance.sample(keys, 2))
                await tell(member, f"clear {start} {end}")
                expected = {key: value for key, value in expected.items() if not start <= key < end}
            case 1:
                await tell(member, f"undo {key} {value}")
            case 2 | 3 | 4:
                await store.write(lambda tx: tx.put(key.encode(), value.encode()))  # noqa: B023  awaited at once
                expected[key] = value
                assert await tell(chance.choice([member, bystander]), f"get {key}") == value
            case _:
                await tell(member, f"put {key} {value}")
                expected[key] = value
        for key in keys:
            found = await store.read(lambda tx: tx.get(key.encode()))  # noqa: B023
            assert (found.decode() if found else None) == expected.get(key), f"step {step}"


async def test_a_hint_of_another_process_comes_soon(group: Group) -> None:
    member = await group.start()
    heard = asyncio.Event()
    group.store.listen("topic", heard.set)
    for _ in range(20):
        await tell(member, "hint topic")
        await asyncio.wait_for(heard.wait(), 1)
        heard.clear()


async def test_a_process_that_dies_with_the_turn_gives_it_back(group: Group) -> None:
    for _ in range(5):
        member = await group.start("fsync")
        counting = asyncio.ensure_future(tell(member, "count total 8000000"))
        async with asyncio.timeout(PATIENCE_S):
            while await group.store.read(lambda tx: tx.get(b"total")) is None:
                await asyncio.sleep(0.005)
        for _ in range(3):  # takes part in the turns
            await asyncio.wait_for(group.store.write(lambda tx: tx.put(b"other", b"v")), 10)
        member.kill()
        await member.wait()
        await counting
        before = await asyncio.wait_for(group.store.write(lambda tx: tx.get(b"total")), 10)
        assert await group.store.read(lambda tx: tx.get(b"total")) == before
        await group.store.write(lambda tx: tx.delete(b"total"))
