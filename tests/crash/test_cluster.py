"""Many nodes over one store under a mixed load, while nodes are killed and the database is taken away, at random.

Three nodes over one PostgreSQL, and four processes over one SQLite file. What the clients were told is held against
what is there at the end (`ledger.check`). `CUMULET_CRASH_ROUNDS` kills (`make crash`), a few in the ordinary run; the
seed is printed, and `CUMULET_CRASH_SEED` gives it again.
"""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

import ledger
from postgres import Cluster
from running import Server, start_server

KILLS = int(os.environ.get("CUMULET_CRASH_ROUNDS", "6"))
CLIENTS = 6
PROGRESS_SECONDS_MAX = 40
"""How long nobody may be answered at all before the nodes count as not recovering by themselves."""

pytestmark = pytest.mark.slow


class House(Protocol):
    """What is put under load: where clients find it, and what can be done to it."""

    endpoints: list[str]

    def disturb(self, chance: random.Random) -> str:
        """Do something bad; return what, in a word."""
        ...


class Nodes:
    """Servers of their own over one PostgreSQL."""

    def __init__(self, folder: Path, cluster: Cluster, count: int) -> None:
        self._cluster = cluster
        self._database = cluster.new_database()
        self._folder = folder
        self._servers = [self._start(number, 0) for number in range(count)]
        self.endpoints = [server.endpoint for server in self._servers]

    def disturb(self, chance: random.Random) -> str:
        kinds: list[Callable[[random.Random], str]] = [self._kill] * 6 + [self._cut] * 2 + [self._restart, self._hang]
        return chance.choice(kinds)(chance)

    def stop(self) -> None:
        for server in self._servers:
            assert server.stop() == 0

    def _start(self, number: int, port: int) -> Server:
        url = self._cluster.url(self._database)
        return start_server(self._folder / f"node-{number}", "--store", url, port=port)

    def _kill(self, chance: random.Random) -> str:
        number = chance.randrange(len(self._servers))
        self._servers[number].kill()
        self._servers[number] = self._start(number, self._servers[number].port)
        return "kill"

    def _cut(self, chance: random.Random) -> str:
        self._cluster.cut_connections(self._database)
        return "cut connections"

    def _restart(self, chance: random.Random) -> str:
        self._cluster.restart(at_once=chance.random() < 0.5)
        return "restart the database"

    def _hang(self, chance: random.Random) -> str:
        self._cluster.hang()
        time.sleep(chance.uniform(0.2, 2))  # real time: the nodes' patience is real too
        self._cluster.resume()
        return "hang the database"


class Processes:
    """One server of several processes over one SQLite file."""

    def __init__(self, folder: Path, count: int) -> None:
        self._server = start_server(folder / "data", "--workers", str(count))
        self._count = count
        self.endpoints = [self._server.endpoint]

    def disturb(self, chance: random.Random) -> str:
        if chance.random() < 0.15:
            self._server.process.send_signal(signal.SIGHUP)
            return "rolling restart"
        workers = self._workers()
        if not workers:
            return "nobody to kill"
        with contextlib.suppress(ProcessLookupError):
            os.kill(chance.choice(workers), signal.SIGKILL)
        return "kill"

    def stop(self) -> None:
        assert self._server.stop() == 0

    def _workers(self) -> list[int]:
        pid = self._server.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    # What was acknowledged must outlive a PostgreSQL that ends at once; only a crash of the machine is left out.
    with Cluster.started(synchronous_commit="on", full_page_writes="on") as cluster:
        nodes = Nodes(tmp_path, cluster, 3)
        yield nodes
        nodes.stop()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    processes = Processes(tmp_path, 4)
    yield processes
    processes.stop()


def test_three_nodes_over_one_postgresql(nodes: Nodes) -> None:
    run(nodes)


def test_four_processes_over_one_sqlite_file(processes: Processes) -> None:
    run(processes)


def run(house: House) -> None:
    """Put load on, disturb until enough were killed, and hold what is there against what clients were told."""
    seed = int(os.environ.get("CUMULET_CRASH_SEED", "0")) or random.randrange(2**32)
    print(f"CUMULET_CRASH_SEED={seed}")
    chance = random.Random(seed)
    ledger.make_table(ledger.connect(house.endpoints[0]))
    clients = [ledger.Client(house.endpoints[number % len(house.endpoints)], number, seed) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    done: dict[str, int] = {}
    try:
        while done.get("kill", 0) < KILLS:
            await_progress(clients)
            time.sleep(chance.uniform(0, 0.3))  # real time: at a moment that nobody knows
            kind = house.disturb(chance)
            done[kind] = done.get(kind, 0) + 1
        await_progress(clients)
    finally:
        for client in clients:
            client.stop()
        for client in clients:
            client.join(60)
    print(f"{done}; {sum(client.done for client in clients)} calls were acknowledged")
    assert not any(client.is_alive() for client in clients)
    ledger.check(house.endpoints[-1], clients)


def await_progress(clients: list[ledger.Client]) -> None:
    """Return when every client was answered again: the nodes recover by themselves."""
    before = [client.done for client in clients]
    deadline = time.monotonic() + PROGRESS_SECONDS_MAX
    while any(client.done <= seen for client, seen in zip(clients, before, strict=True)):
        assert time.monotonic() < deadline, f"after {PROGRESS_SECONDS_MAX} s some client is still not answered"
        assert all(client.is_alive() for client in clients), "a client broke down"
        time.sleep(0.02)
