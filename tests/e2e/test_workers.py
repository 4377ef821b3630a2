"""Several processes that serve together: who dies is replaced, who is replaced fails nobody, and all end as one."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lifecycle import create_sleeper, invoke, processes_below, that_stay, up
from running import Server, start_server

pytestmark = pytest.mark.slow

WORKERS = 3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of several processes, which the test may end."""
    running = start_server(tmp_path / "data", "--workers", str(WORKERS), "--durability", "os")
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.kill()


def connect(server: Server) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.connect()
    return connection


def health(connection: http.client.HTTPConnection) -> dict[str, Any]:
    connection.request("GET", "/_cumulet/health")
    answer = connection.getresponse()
    assert answer.status == 200
    return json.load(answer)


def whoever(server: Server) -> int:
    """Return the process that answers on a new connection."""
    connection = connect(server)
    try:
        pid: int = health(connection)["pid"]
        return pid
    finally:
        connection.close()


def workers_of(server: Server) -> set[int]:
    """Return the ids of the processes that serve."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return {int(pid) for pid in children.split()}


def within(seconds: float, reached: Callable[[], bool]) -> bool:
    """Return whether a state is reached in so many (real) seconds."""
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def server_log(server: Server) -> str:
    return (server.data_dir.parent / f"{server.data_dir.name}.log").read_text()


def headers(operation: str) -> dict[str, str]:
    """Return the headers of a developer's request, whose signature nobody checks."""
    now = datetime.now(UTC)
    scope = f"{now:%Y%m%d}/us-east-1/dynamodb/aws4_request"
    return {
        "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}",
        "Content-Type": "application/x-amz-json-1.0",
        "Authorization": f"AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders=host, Signature={'0' * 64}",
    }


class Caller(threading.Thread):
    """Puts items one after the other on one kept-alive connection (a new one when the server closes it)."""

    def __init__(self, server: Server, number: int) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._number = number
        self.done = False
        self.served = 0
        self.failures: list[str] = []

    def run(self) -> None:
        connection = connect(self._server)
        while not self.done:
            body = {"TableName": "calls", "Item": {"pk": {"S": f"{self._number}-{self.served}"}}}
            try:
                connection.request("POST", "/", json.dumps(body), headers("PutItem"))
                answer = connection.getresponse()
                text = answer.read()
                if answer.status != 200:
                    self.failures.append(f"{answer.status} {text!r}")
                self.served += 1
                if answer.getheader("connection") == "close":
                    connection.close()
                    connection = connect(self._server)
            except (OSError, http.client.HTTPException) as failure:
                self.failures.append(repr(failure))
                connection.close()
                connection = connect(self._server)
        connection.close()


def make_table(server: Server) -> None:
    server.client("dynamodb").create_table(
        TableName="calls",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


@contextlib.contextmanager
def calling(server: Server, number: int) -> Iterator[list[Caller]]:
    """Have so many callers put items meanwhile. They end before the server does, whatever becomes of the test."""
    make_table(server)
    callers = [Caller(server, n) for n in range(number)]
    for caller in callers:
        caller.start()
    try:
        yield callers
    finally:
        for caller in callers:
            caller.done = True
        for caller in callers:
            caller.join(30)
    assert all(caller.served for caller in callers)


def failures_of(callers: list[Caller]) -> list[str]:
    return [failure for caller in callers for failure in caller.failures]


def test_connections_spread_over_the_processes_and_health_names_them(server: Server) -> None:
    assert server.process.stdout is not None
    banner = [server.process.stdout.readline() for _ in range(2)]
    with contextlib.ExitStack() as opened:
        connections = [opened.enter_context(contextlib.closing(connect(server))) for _ in range(12)]
        told = [health(connection) for connection in connections]

    assert f"workers     {WORKERS} processes" in banner[1]
    assert {one["workers"] for one in told} == {WORKERS}
    assert {one["server_pid"] for one in told} == {server.process.pid}
    spread = Counter(one["pid"] for one in told)
    assert set(spread) == workers_of(server)
    # Who has to wait for a processor counts as one that hangs. Where nobody has, tests/unit/edge/test_sharing.py looks.
    assert max(spread.values()) <= 9


def test_what_one_process_acknowledges_every_other_knows(server: Server) -> None:
    dynamodb = server.client("dynamodb")
    # Closed in any case: what a failed test leaves open fails another, at whose time it is collected as garbage.
    with calling(server, 1) as callers, contextlib.ExitStack() as opened:
        connections = [opened.enter_context(contextlib.closing(connect(server))) for _ in range(6)]
        for connection in connections:
            health(connection)  # the server waits 10 s for a first head, and a table may take as long on a busy machine
        for number in range(30):
            dynamodb.create_table(
                TableName=f"table-{number}",
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
            for connection in connections:
                body = json.dumps({"TableName": f"table-{number}"})
                connection.request("POST", "/", body, headers("DescribeTable"))
                answer = connection.getresponse()
                assert (answer.status, json.load(answer)["Table"]["TableName"]) == (200, f"table-{number}")
    assert failures_of(callers) == []


def test_counters_are_exact_whoever_increments_them(server: Server) -> None:
    make_table(server)

    def increment() -> None:
        dynamodb = server.client("dynamodb")
        for _ in range(40):
            dynamodb.update_item(
                TableName="calls",
                Key={"pk": {"S": "total"}},
                UpdateExpression="ADD hits :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )

    threads = [threading.Thread(target=increment) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    item = server.client("dynamodb").get_item(TableName="calls", Key={"pk": {"S": "total"}})["Item"]
    assert item["hits"]["N"] == "240"


def test_a_killed_worker_is_replaced_and_the_others_go_on(server: Server) -> None:
    before = workers_of(server)
    victim = whoever(server)
    os.kill(victim, signal.SIGKILL)

    for _ in range(30):
        assert whoever(server) != victim
    assert within(60, lambda: len(workers_of(server) - before) == 1)
    assert within(60, lambda: whoever(server) not in before)
    assert f"another takes its place (worker_pid: {victim}, how: signal SIGKILL" in server_log(server)
    assert server.stop() == 0


def test_a_rolling_restart_fails_no_request(server: Server) -> None:
    create_sleeper(server)
    assert invoke(server, {}) == "done"
    answers: list[Any] = []
    with calling(server, 4) as callers:
        invoking = threading.Thread(target=lambda: answers.append(invoke(server, {"seconds": 2.5})))
        invoking.start()
        time.sleep(0.3)  # real time: the invocation is under way in a real process
        before = workers_of(server)
        server.process.send_signal(signal.SIGHUP)

        replaced = within(90, lambda: not workers_of(server) & before)
        invoking.join(90)

    assert replaced
    assert len(workers_of(server)) == WORKERS
    assert failures_of(callers) == []
    assert answers == ["done"]
    kept = server.client("dynamodb").scan(TableName="calls", Select="COUNT")["Count"]
    assert kept == sum(caller.served for caller in callers)
    assert server.stop() == 0


def test_a_signal_lets_what_is_in_flight_finish(server: Server) -> None:
    create_sleeper(server)
    answers: list[Any] = []
    client = threading.Thread(target=lambda: answers.append(invoke(server, {"seconds": 1.5})))
    client.start()
    assert within(20, lambda: len(processes_below(server.process.pid)) > WORKERS)
    time.sleep(0.7)  # real time: the invocation is under way in a real process
    below = processes_below(server.process.pid)
    os.killpg(server.process.pid, signal.SIGINT)  # as a terminal sends it: to the workers too
    client.join(20)

    assert answers == ["done"]
    assert server.ended() == 0
    assert that_stay(below) == set()


def test_kill_9_of_the_parent_leaves_no_process_behind(server: Server) -> None:
    create_sleeper(server)
    clients = [threading.Thread(target=invoke, args=(server, {"fork": True})) for _ in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(30)
    below = processes_below(server.process.pid)
    assert len(below) >= WORKERS + 2

    server.kill()

    assert that_stay(below) == set()
    again = start_server(server.data_dir)
    assert invoke(again, {}) == "done"
    assert again.stop() == 0


def test_a_second_server_is_refused_and_the_first_is_ended_by_its_parents_process(server: Server) -> None:
    second = up("--port", "0", "--workers", "2", "--data-dir", str(server.data_dir))
    down = subprocess.run(
        [sys.executable, "-m", "cumulet", "down"],
        env=server.environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert second.returncode == 1
    assert f"process {server.process.pid}" in second.stderr
    assert (down.returncode, down.stdout) == (0, "Cumulet has stopped.\n")
    assert server.ended() == 0
