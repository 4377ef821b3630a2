"""What each path costs beside the bare echo, in rounds that alternate with rounds of it."""

import asyncio
import json
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

from furnish import HANDLER, connect, deploy_notes, make_table, resident_mb, zipped
from load import always, http_bytes, latencies, load, signed
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent

CONNECTIONS = 16
WARM_UP_SECONDS = 2.0
ROUND_SECONDS = 0.6
ROUNDS = 5
HANDLER_BOTO3 = (
    "import boto3\nclient = boto3.client('dynamodb')\ndef handler(event, context):\n"
    "    return {'statusCode': 200, 'body': 'ok'}\n"
)
HANDLER_NODE = "exports.handler = async () => ({statusCode: 200, body: 'ok'});\n"
IDLE_FUNCTIONS = 200


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
        self.results.append(Measured(name, rates, ratios, latencies(port, requests, 1.0)))

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
        latencies(port, always(invoke), 0)
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
        port, times = self.server.port, list[float]()
        for number in range(12):
            fresh = f"{name}-{number}"
            self.create_function(fresh, f"{source}# {number}\n")
            request = signed(port, "lambda", None, f"/2015-03-31/functions/{fresh}/invocations", b"{}")
            times += latencies(port, always(request), 0)
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
