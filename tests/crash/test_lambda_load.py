"""kill -9 at moments spread over a load of asynchronous invocations: each accepted event runs, and no process stays.

One server, one of two workers, one of two nodes over PostgreSQL. An event has run when the function's item is there:
a log may lose what a killed server had not yet sent. The seed is printed.
"""

import json
import os
import random
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from functions import LOGS, TRUST, packed
from lifecycle import processes_below, that_stay
from patience import PATIENCE_S
from postgres import Cluster
from running import Server, start_server

KILLS = max(1, int(os.environ.get("CUMULET_CRASH_ROUNDS", "0")) // 10)
SENDERS = 3
SECONDS_MAX = 120
HANDLER = """
import boto3
dynamodb = boto3.client("dynamodb")
def heard(event, context):
    dynamodb.put_item(TableName="heard", Item={"id": {"N": str(event["id"])}})
"""
WRITE = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": "*"}],
}
pytestmark = pytest.mark.slow


class Sender(threading.Thread):
    """Sends events with numbers of its own to whichever server answers, and remembers which were accepted."""

    def __init__(self, endpoints: Callable[[], list[str]], number: int) -> None:
        super().__init__(daemon=True)
        self._endpoints = endpoints
        self._number = number
        self.accepted: list[int] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        number = self._number
        while not self.stopped.is_set():
            for endpoint in self._endpoints():
                functions = boto3.client(
                    "lambda",
                    endpoint_url=endpoint,
                    region_name="us-east-1",
                    aws_access_key_id="test",
                    aws_secret_access_key="test",
                    config=Config(retries={"max_attempts": 0}, connect_timeout=2, read_timeout=5),
                )
                try:
                    while not self.stopped.is_set():
                        payload = json.dumps({"id": number})
                        functions.invoke(FunctionName="hears", InvocationType="Event", Payload=payload)
                        self.accepted.append(number)
                        number += SENDERS
                        time.sleep(0.01)  # a load, not a flood
                except (BotoCoreError, ClientError):
                    number += SENDERS  # perhaps accepted, perhaps not
                    time.sleep(0.02)


def deploy(server: Server) -> None:
    iam, functions = server.client("iam"), server.client("lambda")
    role = iam.create_role(RoleName="hears", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.attach_role_policy(RoleName="hears", PolicyArn=LOGS)
    iam.put_role_policy(RoleName="hears", PolicyName="write", PolicyDocument=json.dumps(WRITE))
    server.client("dynamodb").create_table(
        TableName="heard",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
        BillingMode="PAY_PER_REQUEST",
    )
    code = {"ZipFile": packed({"app.py": HANDLER})}
    functions.create_function(
        FunctionName="hears", Runtime="python3.12", Role=role, Handler="app.heard", Code=code, Timeout=20
    )
    functions.invoke(FunctionName="hears", Payload=b'{"id": -1}')["Payload"].read()


def heard(server: Server) -> set[int]:
    pages = server.client("dynamodb").get_paginator("scan").paginate(TableName="heard", ConsistentRead=True)
    return {int(item["id"]["N"]) for page in pages for item in page["Items"]}


def advance(server: Server, seconds: int) -> None:
    """Move the clock, so that what failed once, since a server went from under it, is tried again."""
    move = urllib.request.Request(
        f"{server.endpoint}/_cumulet/clock",
        json.dumps({"advance_seconds": seconds}).encode(),
        {"Content-Type": "application/json"},
    )
    urllib.request.urlopen(move, timeout=10).close()


def put_under_load(endpoints: Callable[[], list[str]], kill: Callable[[random.Random], None]) -> set[int]:
    """Send events while servers are killed, and return which were accepted."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    senders = [Sender(endpoints, number) for number in range(SENDERS)]
    for sender in senders:
        sender.start()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.2, 0.9))  # real time: servers die at real moments
        kill(chance)
    time.sleep(0.2)
    for sender in senders:
        sender.stopped.set()
    for sender in senders:
        sender.join(20)
        assert not sender.is_alive()
    accepted = {number for sender in senders for number in sender.accepted}
    assert accepted
    return accepted


def check_all_ran(server: Server, accepted: set[int]) -> None:
    until = time.monotonic() + SECONDS_MAX
    rounds = 0
    while missing := accepted - heard(server):
        assert time.monotonic() < until, f"{len(missing)} of {len(accepted)} events were lost: {sorted(missing)[:9]}"
        rounds += 1
        if rounds % 20 == 0:
            advance(server, 300)
        time.sleep(0.1)


def test_one_server(tmp_path: Path) -> None:
    servers = [start_server(tmp_path / "data")]

    def kill(chance: random.Random) -> None:
        below = processes_below(servers[0].process.pid)
        servers[0].kill()
        assert that_stay(below) == set()
        servers[0] = start_server(tmp_path / "data")

    deploy(servers[0])
    accepted = put_under_load(lambda: [servers[0].endpoint], kill)
    check_all_ran(servers[0], accepted)
    below = processes_below(servers[0].process.pid)
    assert servers[0].stop() == 0
    assert that_stay(below) == set()


def test_one_of_two_workers(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data", "--workers", "2")

    def kill(chance: random.Random) -> None:
        pid = server.process.pid
        until = time.monotonic() + PATIENCE_S
        while len(workers := Path(f"/proc/{pid}/task/{pid}/children").read_text().split()) < 2:
            assert time.monotonic() < until, "a worker that was killed is replaced"
            time.sleep(0.02)
        worker = int(chance.choice(workers))
        below = processes_below(worker)
        os.kill(worker, 9)
        assert that_stay({worker, *below}) == set()

    deploy(server)
    accepted = put_under_load(lambda: [server.endpoint], kill)
    check_all_ran(server, accepted)
    assert server.stop() == 0


def test_two_nodes(tmp_path: Path, postgres: Cluster) -> None:
    url = postgres.url(postgres.new_database())
    nodes = [start_server(tmp_path / f"node-{number}", "--store", url) for number in range(2)]

    def kill(chance: random.Random) -> None:
        number = chance.randrange(2)
        below = processes_below(nodes[number].process.pid)
        nodes[number].kill()
        assert that_stay(below) == set()
        nodes[number] = start_server(tmp_path / f"node-{number}", "--store", url, port=nodes[number].port)

    deploy(nodes[0])
    accepted = put_under_load(lambda: [node.endpoint for node in nodes], kill)
    check_all_ran(nodes[0], accepted)
    for node in nodes:
        assert node.stop() == 0
