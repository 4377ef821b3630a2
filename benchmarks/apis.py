"""What an API adds: matching among ten and a thousand routes, and a request through API, function and table beside the
same handler run in a bare process against the same table."""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from furnish import HANDLER, ROOT, connect, deploy_notes, zipped
from load import http_bytes, latencies, load
from rich.table import Table

ROUTES = (10, 1000)
ROUNDS = 7
ROUND_SECONDS = 0.6
MATCHES = 20_000

BARE = """
import io, json, sys, time
sys.path.insert(0, sys.argv[1])
out, sys.stdout = sys.stdout, io.StringIO()  # the handler logs what it does
import app
event = json.loads(sys.stdin.readline())
for line in sys.stdin:
    times, until = [], time.perf_counter() + float(line)
    while time.perf_counter() < until:
        began = time.perf_counter()
        answer = app.handler(event, None)
        times.append((time.perf_counter() - began) * 1000)
    assert answer["statusCode"] == 200, answer
    sys.stdout = io.StringIO()
    print(json.dumps(times), file=out, flush=True)
"""


def show_apis(durability: str) -> list[Table]:
    """Return the figures of route tables, and of the paths through an API."""
    from running import start_server

    with tempfile.TemporaryDirectory(prefix="cumulet-bench-") as folder:
        server = start_server(Path(folder) / "data", "--durability", durability)
        try:
            return [_matching(server), _paths(server)]
        finally:
            server.stop()


def _matching(server: Any) -> Table:
    """Compare route tables by themselves, and whole requests to REST APIs that answer from a template."""
    table = Table("routes", "us per match", "requests/s", f"of {ROUTES[0]} routes")
    requests: dict[int, Callable[[], bytes]] = {}
    for count in ROUTES:
        apis = connect(server, "apigateway")
        api_id = apis.import_rest_api(body=json.dumps(_document(count)).encode())["id"]
        apis.create_deployment(restApiId=api_id, stageName="dev")
        path = f"/_aws/execute-api/{api_id}/dev{_path(count - 1, '7')}"
        request = http_bytes("GET", path, {"Host": f"127.0.0.1:{server.port}"}, b"")
        requests[count] = lambda request=request: request
    rates: dict[int, list[float]] = {count: [] for count in ROUTES}
    for count in ROUTES:
        asyncio.run(load(server.port, requests[count], 8, ROUND_SECONDS))
    for _ in range(ROUNDS):
        for count in ROUTES:
            rates[count].append(asyncio.run(load(server.port, requests[count], 8, ROUND_SECONDS))[0])
    for count in ROUTES:
        share = statistics.median(rate / base for rate, base in zip(rates[count], rates[ROUTES[0]], strict=True))
        matched = f"{_match_us(count):.2f}"
        table.add_row(f"{count:,}", matched, f"{statistics.median(rates[count]):,.0f}", f"{share:.2f}")
    return table


def _path(number: int, variable: str) -> str:
    return f"/v{number % 7}/things{number}/{variable}"


def _document(count: int) -> dict[str, Any]:
    answer = {"statusCode": "200", "responseTemplates": {"application/json": "{}"}}
    integration = {
        "type": "mock",
        "requestTemplates": {"application/json": '{"statusCode": 200}'},
        "responses": {"default": answer},
    }
    method = {"x-amazon-apigateway-integration": integration, "responses": {"200": {"description": "fine"}}}
    paths = {_path(number, "{id}"): {"get": method} for number in range(count)}
    return {"swagger": "2.0", "info": {"title": "bench", "version": "1"}, "paths": paths}


def _match_us(count: int) -> float:
    """Return the microseconds of one look into a route table, over all of its routes in turn."""
    from cumulet.services.apigateway.pipeline.routes import RouteTable, split_path

    routes = [("GET", _path(number, "{id}"), number) for number in range(count)]
    table = RouteTable(routes, full_match_first=True)
    wanted = [split_path(_path(number * 7919 % count, "x")) for number in range(MATCHES)]
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for segments in wanted:
            table.find("GET", segments)
        rounds.append((time.perf_counter() - began) / MATCHES * 1e6)
    return statistics.median(rounds)


def _paths(server: Any) -> Table:
    """Measure an HTTP API with a trivial function, and the notes' read beside its handler in a process of its own."""
    read, note_id = deploy_notes(server)
    host = {"Host": f"127.0.0.1:{server.port}"}
    trivial = http_bytes("GET", f"/_aws/execute-api/{_trivial_api(server)}/$default/", host, b"")
    requests: dict[str, Callable[[], bytes]] = {
        "HTTP API -> function": lambda: trivial,
        "notes read: API -> function -> table": lambda: read,
    }
    event = {"resource": "/notes/{id}", "path": "/", "httpMethod": "GET", "pathParameters": {"id": note_id}}
    with _Bare(server, event) as bare:
        handler, times = "the notes' handler, bare", dict[str, list[list[float]]]()
        for name, request in requests.items():
            asyncio.run(load(server.port, request, 8, 2.0))
            times[name] = []
        bare.run(1.0)
        times[handler] = []
        for _ in range(ROUNDS):
            times[handler].append(bare.run(ROUND_SECONDS))
            for name, request in requests.items():
                times[name].append(latencies(server.port, request, ROUND_SECONDS))
    loaded = {name: _load_heavily(server, request) for name, request in requests.items()}
    table = Table("path", "p50 ms (1 conn.)", "p99 ms", "of the bare", "requests/s at 8", "CPU ms at 8")
    for name, rounds in times.items():
        share = statistics.median(
            statistics.median(own) / statistics.median(base) for own, base in zip(rounds, times[handler], strict=True)
        )
        ordered = sorted(time for one in rounds for time in one)
        table.add_row(
            name,
            f"{ordered[len(ordered) // 2]:.2f}",
            f"{ordered[int(len(ordered) * 0.99)]:.2f}",
            f"{share:.2f}" if "notes" in name else "",
            *loaded.get(name, ("", "")),
        )
    return table


def _load_heavily(server: Any, request: Callable[[], bytes]) -> tuple[str, str]:
    """Return the requests per second of 8 connections, and what each took of a processor: in the server, in all
    functions, and in this process."""
    rates, answered = [], 0
    before = (*_cpu_ms(server.process.pid), time.process_time() * 1000)
    for _ in range(ROUNDS):
        rate, times = asyncio.run(load(server.port, request, 8, ROUND_SECONDS))
        rates.append(rate)
        answered += len(times)
    after = (*_cpu_ms(server.process.pid), time.process_time() * 1000)
    shares = [(later - earlier) / answered for earlier, later in zip(before, after, strict=True)]
    return f"{statistics.median(rates):,.0f}", " + ".join([f"{share:.2f}" for share in shares])


def _cpu_ms(server: int) -> tuple[float, float]:
    """Return the processor time that a process and those below it have used; 0 where the machine does not tell."""
    parents, used = dict[int, int](), dict[int, float]()
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        pid = int(file.parent.name)
        parents[pid] = int(fields[1])
        used[pid] = (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")
    below = {server}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    return used.get(server, 0.0), sum([used.get(pid, 0.0) for pid in below - {server}])


def _trivial_api(server: Any) -> str:
    """Return the id of an HTTP API over a function that only answers."""
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = connect(server, "iam").create_role(
        RoleName="bench", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    function = connect(server, "lambda").create_function(
        FunctionName="trivial",
        Runtime=f"python3.{sys.version_info.minor}",
        Role=role["Role"]["Arn"],
        Handler="index.handler",
        Code={"ZipFile": zipped(HANDLER)},
        MemorySize=256,
    )
    connect(server, "lambda").add_permission(
        FunctionName="trivial", StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
    )
    apis = connect(server, "apigatewayv2")
    return str(apis.create_api(Name="bench", ProtocolType="HTTP", Target=function["FunctionArn"])["ApiId"])


class _Bare:
    """The notes' handler in a process of its own, with the table of the server."""

    def __init__(self, server: Any, event: Any) -> None:
        (name,) = connect(server, "dynamodb").list_tables()["TableNames"]
        source = str(ROOT / "examples/notes/src")
        self._process = subprocess.Popen(
            [sys.executable, "-c", BARE, source],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **server.environ(), "TABLE_NAME": name},
        )
        self._tell(json.dumps(event))

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def run(self, seconds: float) -> list[float]:
        """Return the milliseconds of each call within so many seconds."""
        self._tell(str(seconds))
        assert self._process.stdout is not None
        times: list[float] = json.loads(self._process.stdout.readline())
        return times

    def __enter__(self) -> "_Bare":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait()
