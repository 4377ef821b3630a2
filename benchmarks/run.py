"""`make bench`: what each path costs, as ratios measured side by side in one run.

The bare limit is an ASGI application under the same uvicorn that answers a fixed JSON body: what the front door costs
when nothing is done behind it. Every other figure is given as a share of it, or beside the limit it is held against.
Load comes from this process over raw sockets, on the same machine, so both sides share the processors.
"""

import argparse
import asyncio
import contextlib
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT / "tests"))

CONNECTIONS = 16
WARM_UP_SECONDS = 2.0
ROUND_SECONDS = 0.6
ROUNDS = 5
HANDLER = "def handler(event, context):\n    return {'statusCode': 200, 'body': 'ok'}\n"
HANDLER_BOTO3 = (
    "import boto3\nclient = boto3.client('dynamodb')\ndef handler(event, context):\n"
    "    return {'statusCode': 200, 'body': 'ok'}\n"
)
HANDLER_NODE = "exports.handler = async () => ({statusCode: 200, body: 'ok'});\n"
IDLE_FUNCTIONS = 200
ITEM = {
    "pk": {"S": "bench"},
    "sk": {"S": "0000"},
    "title": {"S": "A note of the usual length"},
    "body": {"S": "x" * 200},
    "version": {"N": "1"},
    "tags": {"SS": ["a", "b", "c"]},
}


@dataclass
class Measured:
    """One path: its throughput per round, and latencies of a single connection."""

    name: str
    per_second: list[float]
    of_echo: list[float]
    latencies_ms: list[float]

    @property
    def rate(self) -> float:
        return statistics.median(self.per_second) if self.per_second else 0.0

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


class Connection(asyncio.Protocol):
    """A keep-alive connection that sends one prepared request after the other until its time is up."""

    def __init__(self, requests: Callable[[], bytes], until: float, done: asyncio.Future[list[float]]) -> None:
        self._next = requests
        self._until = until
        self._done = done
        self._times: list[float] = []
        self._buffer = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end].lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(self._buffer) < head_end + 4 + length:
            return
        status = int(head[9:12])
        if status >= 300:
            self._done.set_exception(RuntimeError(self._buffer.decode("utf-8", "replace")))
            self._transport.close()
            return
        self._buffer = b""
        now = time.perf_counter()
        self._times.append((now - self._sent_at) * 1000)
        if now >= self._until:
            self._done.set_result(self._times)
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError("the server closed the connection"))

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._next())


async def load(port: int, requests: Callable[[], bytes], connections: int, seconds: float) -> tuple[float, list[float]]:
    """Return requests per second and the latencies in ms."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    futures = []
    for _ in range(connections):
        done: asyncio.Future[list[float]] = loop.create_future()
        futures.append(done)
        await loop.create_connection(lambda done=done: Connection(requests, began + seconds, done), "127.0.0.1", port)
    times = [t for result in await asyncio.gather(*futures) for t in result]
    return len(times) / (time.perf_counter() - began), times


def http_bytes(method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return a request as it goes over the socket."""
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def signed(port: int, service: str, target: str | None, path: str, body: Any) -> bytes:
    """Return a signed request as an SDK would send it."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Host": f"127.0.0.1:{port}", "Content-Type": "application/x-amz-json-1.0"}
    if target:
        headers["X-Amz-Target"] = target
    request = AWSRequest("POST", f"http://127.0.0.1:{port}{path}", data=raw, headers=headers)
    SigV4Auth(Credentials("test", "test"), service, "us-east-1").add_auth(request)
    return http_bytes("POST", path, dict(request.headers.items()), raw)


def always(request: bytes) -> Callable[[], bytes]:
    return lambda: request


def zipped(source: str, file: str = "index.py") -> bytes:
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(file, source)
    return buffer.getvalue()


def connect(server: Any, service: str) -> Any:
    """Return a boto3 client of a server."""
    return boto3.client(
        service,
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 0}, read_timeout=60),
    )


def make_table(server: Any) -> dict[str, Callable[[], bytes]]:
    """Make the table with its items, and return the requests of each path over it."""
    connect(server, "dynamodb").create_table(
        TableName="bench",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )

    def request(operation: str, body: dict[str, Any]) -> bytes:
        return signed(server.port, "dynamodb", f"DynamoDB_20120810.{operation}", "/", {"TableName": "bench", **body})

    # Each item in two versions, in turn: SQLite writes nothing, and syncs nothing, when a value does not change.
    puts = [
        request("PutItem", {"Item": {**ITEM, "sk": {"S": f"{n:04}"}, "version": {"N": version}}})
        for version in ("1", "2")
        for n in range(20)
    ]
    for put in puts:
        asyncio.run(load(server.port, always(put), 1, 0))
    key = {"pk": {"S": "bench"}, "sk": {"S": "0007"}}
    numbers = iter(range(10**9))
    update = request(
        "UpdateItem",
        {
            "Key": key,
            "UpdateExpression": "SET version = version + :one",
            "ConditionExpression": "attribute_exists(pk)",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        },
    )
    query = request(
        "Query",
        {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "bench"}}},
    )
    return {
        "GetItem": always(request("GetItem", {"Key": key})),
        "PutItem": lambda: puts[next(numbers) % len(puts)],
        "UpdateItem with condition": always(update),
        "Query of 20": always(query),
    }


STORES: dict[str, tuple[str, tuple[str, ...]]] = {
    "SQLite, 1 process": ("sqlite", ()),
    "SQLite, 2 processes": ("sqlite", ("--workers", "2")),
    "PostgreSQL, 1 node": ("postgres", ()),
    "PostgreSQL, 2 nodes": ("postgres", ("--workers", "2")),
}
"""Each kind of server that is compared with the first: its engine, and how it is started."""

STORE_PATHS = ("GetItem", "PutItem", "UpdateItem with condition")
STORE_ROUNDS = 9


def compare_stores(durability: str) -> Table:
    """Return each path on each kind of server as a share of the first kind's requests per second, measured in turn."""
    from postgres import Cluster
    from running import start_server

    table = Table("path", "store", "requests/s", f"of {next(iter(STORES))}", "p50 ms", "p99 ms")
    with tempfile.TemporaryDirectory(prefix="cumulet-bench-") as folder, contextlib.ExitStack() as running:
        requests, ports = {}, {}
        # As a server is set up, not as the tests do it: with `fsync` its commits wait for the disk too.
        synced = "on" if durability == "fsync" else "off"
        cluster = running.enter_context(Cluster.started(fsync=synced, full_page_writes="on", shared_buffers="128MB"))
        for number, (name, (engine, flags)) in enumerate(STORES.items()):
            if engine == "postgres":
                flags = (*flags, "--store", cluster.local_url(cluster.new_database()))
            server = start_server(Path(folder) / f"data-{number}", "--durability", durability, *flags)
            running.callback(server.stop)
            requests[name], ports[name] = make_table(server), server.port
        for path in STORE_PATHS:
            rates: dict[str, list[float]] = {name: [] for name in STORES}
            times: dict[str, list[float]] = {name: [] for name in STORES}
            for name in STORES:
                asyncio.run(load(ports[name], requests[name][path], CONNECTIONS, WARM_UP_SECONDS))
            for _ in range(STORE_ROUNDS):
                for name in STORES:
                    rate, latencies = asyncio.run(load(ports[name], requests[name][path], CONNECTIONS, ROUND_SECONDS))
                    rates[name].append(rate)
                    times[name] += latencies
            first = rates[next(iter(STORES))]
            for name in STORES:
                share = statistics.median(rate / base for rate, base in zip(rates[name], first, strict=True))
                ordered = sorted(times[name])
                table.add_row(
                    path,
                    name,
                    f"{statistics.median(rates[name]):,.0f}",
                    f"{share:.2f}",
                    f"{ordered[len(ordered) // 2]:.2f}",
                    f"{ordered[int(len(ordered) * 0.99)]:.2f}",
                )
    return table


class Bench:
    """One run: a bare echo server and a Cumulet, side by side."""

    def __init__(self, durability: str) -> None:
        self.durability = durability
        self.results: list[Measured] = []
        self.echo_rates: list[float] = []
        self.idle_functions_mb, self.idle_functions_processes = 0.0, 0
        self.echo_request = always(http_bytes("POST", "/", {"Host": "x"}, b'{"a":1}'))

    def client(self, service: str) -> Any:
        return connect(self.server, service)

    def measure(self, name: str, requests: Callable[[], bytes], connections: int = CONNECTIONS) -> None:
        """Measure throughput in rounds, each beside a round of the bare echo, and latency with one connection."""
        port = self.server.port
        # Python specialises its code as it runs: the first seconds of a path are not its pace.
        asyncio.run(load(port, requests, connections, WARM_UP_SECONDS))
        rates, ratios = [], []
        for _ in range(ROUNDS):
            # In turn, since the machine's speed drifts: only what was measured side by side is compared.
            echo, _ = asyncio.run(load(self.echo_port, self.echo_request, connections, ROUND_SECONDS))
            rate, _ = asyncio.run(load(port, requests, connections, ROUND_SECONDS))
            self.echo_rates.append(echo)
            rates.append(rate)
            ratios.append(rate / echo)
        _, latencies = asyncio.run(load(port, requests, 1, 1.0))
        self.results.append(Measured(name, rates, ratios, latencies))

    def run(self, *, only_functions: bool) -> None:
        from running import start_server

        with tempfile.TemporaryDirectory(prefix="cumulet-bench-") as folder:
            echo = subprocess.Popen([sys.executable, str(HERE / "echo.py")], stdout=subprocess.PIPE, text=True)
            assert echo.stdout is not None
            self.echo_port = int(echo.stdout.readline())
            began = time.perf_counter()
            self.server = start_server(Path(folder) / "data", "--durability", self.durability)
            urllib.request.urlopen(f"{self.server.endpoint}/_cumulet/health").read()
            self.start_seconds = time.perf_counter() - began
            self.idle_mb = resident_mb(self.server.process.pid)
            try:
                if not only_functions:
                    self.dynamodb()
                self.functions()
            finally:
                self.server.stop()
                echo.terminate()
                echo.wait()

    def dynamodb(self) -> None:
        for name, requests in make_table(self.server).items():
            self.measure(name, requests)

    def functions(self) -> None:
        port = self.server.port
        self.client("iam").create_role(
            RoleName="bench",
            AssumeRolePolicyDocument=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "lambda.amazonaws.com"},
                            "Action": "sts:AssumeRole",
                        }
                    ],
                }
            ),
        )
        self.client("iam").attach_role_policy(
            RoleName="bench", PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
        )
        self.create_function("trivial", HANDLER)
        invoke = signed(port, "lambda", None, "/2015-03-31/functions/trivial/invocations", b"{}")
        asyncio.run(load(port, always(invoke), 1, 0))
        self.idle_functions_mb, self.idle_functions_processes = self.deploy_idle_functions()
        self.measure("warm invoke", always(invoke), connections=8)
        if shutil.which("node") is not None:
            self.create_function("trivial-node", HANDLER_NODE, "nodejs20.x", "index.js")
            invoke = signed(port, "lambda", None, "/2015-03-31/functions/trivial-node/invocations", b"{}")
            self.measure("warm invoke, Node.js", always(invoke), connections=8)
        self.cold("cold invoke, trivial", "trivial", HANDLER)
        self.cold("cold invoke, boto3 client", "withboto", HANDLER_BOTO3)
        self.api()
        self.crud()

    def create_function(self, name: str, source: str, runtime: str = "", file: str = "index.py") -> None:
        self.client("lambda").create_function(
            FunctionName=name,
            Runtime=runtime or f"python3.{sys.version_info.minor}",
            Role="arn:aws:iam::000000000000:role/bench",
            Handler="index.handler",
            Code={"ZipFile": zipped(source, file)},
            MemorySize=256,
        )

    def deploy_idle_functions(self) -> tuple[float, int]:
        """Return by how many MB and processes the server has grown when it has functions that nobody invokes."""
        from lifecycle import processes_below

        pid = self.server.process.pid
        before, processes = resident_mb(pid), len(processes_below(pid))
        for number in range(IDLE_FUNCTIONS):
            self.create_function(f"idle-{number}", f"{HANDLER}# {number}\n")
        return resident_mb(pid) - before, len(processes_below(pid)) - processes

    def cold(self, title: str, name: str, source: str) -> None:
        """Measure the first invocation of fresh functions, each with code of its own."""
        port, times = self.server.port, []
        for number in range(12):
            fresh = f"{name}-{number}"
            self.create_function(fresh, f"{source}# {number}\n")
            request = signed(port, "lambda", None, f"/2015-03-31/functions/{fresh}/invocations", b"{}")
            _, latencies = asyncio.run(load(port, always(request), 1, 0))
            times += latencies
        self.results.append(Measured(title, [], [], times))

    def api(self) -> None:
        gateway = self.client("apigatewayv2")
        api = gateway.create_api(
            Name="bench",
            ProtocolType="HTTP",
            Target="arn:aws:lambda:us-east-1:000000000000:function:trivial",
        )
        self.client("lambda").add_permission(
            FunctionName="trivial",
            StatementId="api",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=f"arn:aws:execute-api:us-east-1:000000000000:{api['ApiId']}/*",
        )
        path = f"/_aws/execute-api/{api['ApiId']}/$default/"
        get = http_bytes("GET", path, {"Host": f"127.0.0.1:{self.server.port}"}, b"")
        self.measure("HTTP API -> function", always(get), connections=8)

    def crud(self) -> None:
        """Measure the notes application's read: API -> function -> table."""
        get, _ = deploy_notes(self.server)
        self.measure("notes read: API -> function -> table", always(get), connections=8)


def deploy_notes(server: Any) -> tuple[bytes, str]:
    """Deploy the notes application and make a note. Return the request that reads it, and its id.

    The function runs on the Python that runs this, so that what is compared with it runs on the same.
    """
    command = [sys.executable, "-m", "cumulet", "deploy", str(ROOT / "examples/notes"), "--endpoint", server.endpoint]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    resources = connect(server, "cloudformation").describe_stack_resources(StackName="notes")["StackResources"]
    ids = {resource["ResourceType"]: resource["PhysicalResourceId"] for resource in resources}
    functions, name = connect(server, "lambda"), ids["AWS::Lambda::Function"]
    functions.update_function_configuration(FunctionName=name, Runtime=f"python3.{sys.version_info.minor}")
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)
    base = f"/_aws/execute-api/{ids['AWS::ApiGateway::RestApi']}/Prod/notes"
    body = json.dumps({"title": "bench", "text": "x" * 200}).encode()
    headers = {"content-type": "application/json"}
    made = urllib.request.Request(server.endpoint + base, data=body, method="POST", headers=headers)
    note = json.load(urllib.request.urlopen(made))
    return http_bytes("GET", f"{base}/{note['id']}", {"Host": f"127.0.0.1:{server.port}"}, b""), note["id"]


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB (0 where /proc does not tell)."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--durability", default="fsync", choices=("fsync", "os", "memory"))
    parser.add_argument(
        "--only", choices=("paths", "functions", "stores", "growth", "apis"), help="a part of the whole"
    )
    parser.add_argument("--items", type=int, default=100_000, help="how far the table grows")
    options = parser.parse_args()
    console = Console(width=110)
    console.print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, "
        f"uvicorn {importlib.metadata.version('uvicorn')}; durability {options.durability}; load from the same machine"
    )
    if options.only in (None, "paths", "functions"):
        show_paths(console, options.durability, only_functions=options.only == "functions")
    if options.only in (None, "stores"):
        console.print(compare_stores(options.durability))
    if options.only in (None, "apis"):
        from apis import show_apis

        for table in show_apis(options.durability):
            console.print(table)
    if options.only in (None, "growth"):
        from growth import show_growth

        console.print(show_growth(options.items, options.durability))


def show_paths(console: Console, durability: str, *, only_functions: bool) -> None:
    """Measure each path beside the bare echo, and print the table."""
    bench = Bench(durability)
    bench.run(only_functions=only_functions)
    table = Table("path", "requests/s", "of the bare echo", "p50 ms (1 conn.)", "p99 ms")
    table.add_row("bare echo", f"{statistics.median(bench.echo_rates):,.0f}", "1.00", "", "")
    for measured in bench.results:
        table.add_row(
            measured.name,
            f"{measured.rate:,.0f}" if measured.rate else "-",
            f"{statistics.median(measured.of_echo):.2f}" if measured.of_echo else "-",
            f"{measured.percentile(0.5):.2f}",
            f"{measured.percentile(0.99):.2f}",
        )
    console.print(table)
    console.print(
        f"`cumulet up` until the first answer: {bench.start_seconds:.2f} s; idle memory {bench.idle_mb:.0f} MB; "
        f"{IDLE_FUNCTIONS} functions that nobody invokes: {bench.idle_functions_mb:+.1f} MB, "
        f"{bench.idle_functions_processes:+d} processes"
    )


if __name__ == "__main__":
    main()
