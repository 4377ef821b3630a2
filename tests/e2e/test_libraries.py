"""What people build functions with, inside functions: installed from the registry, packaged and deployed by `cumulet`.

Most of the time goes into installing, once for all tests.
"""

import http.client
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from running import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]  # packages are fetched, from near or far
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "libraries"


@dataclass(frozen=True)
class Deployed:
    """The stack, and how its functions are reached."""

    server: Server
    http: str
    rest: str
    web: str
    names: dict[str, str]

    def ask(self, method: str, url: str, body: Any = None, **headers: str) -> tuple[int, http.client.HTTPMessage, Any]:
        """Return status, headers and body; what is JSON is parsed, also on its way there."""
        parts = urlsplit(url)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        try:
            fields = {"Host": parts.netloc, **{name.replace("_", "-"): value for name, value in headers.items()}}
            if body is not None and not isinstance(body, bytes):
                body, fields["Content-Type"] = json.dumps(body).encode(), "application/json"
            connection.request(method, f"{parts.path}?{parts.query}", body, fields)
            answer = connection.getresponse()
            content = answer.read()
            is_json = (answer.headers["content-type"] or "").startswith("application/json")
            return answer.status, answer.headers, json.loads(content) if is_json else content
        finally:
            connection.close()

    def logged(self, group: str, pattern: str) -> str:
        """Return the lines of a log that match."""
        events = self.server.client("logs").filter_log_events(logGroupName=group, filterPattern=pattern)["events"]
        return "".join(event["message"] for event in events)

    def invoke(self, logical_id: str, event: Any) -> Any:
        answer = self.server.client("lambda").invoke(
            FunctionName=self.names[logical_id], Payload=json.dumps(event).encode()
        )
        payload = answer["Payload"].read()
        assert "FunctionError" not in answer, payload.decode()
        return json.loads(payload)


@pytest.fixture(scope="module")
def stack(server: Server) -> Iterator[Deployed]:
    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "cumulet", *command],
            capture_output=True,
            text=True,
            check=False,
            env=server.environ(),
            timeout=360,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    said = run("deploy", str(EXAMPLE))
    resources = server.client("cloudformation").describe_stack_resources(StackName="libraries")["StackResources"]
    (rest,) = re.findall(r"ServerlessRestApi +(http\S+)", said)
    (own,) = re.findall(r"ServerlessHttpApi +(http\S+)/\$default", said)
    (web,) = re.findall(r"WebUrl +(http\S+)/", said)
    yield Deployed(
        server, own, rest, web, {made["LogicalResourceId"]: made["PhysicalResourceId"] for made in resources}
    )
    run("delete", "libraries")


@pytest.mark.parametrize("kind", ["http", "rest"])
def test_powertools_route_requests_of_both_kinds_of_api(stack: Deployed, kind: str) -> None:
    base = f"{getattr(stack, kind)}/{kind}"
    status, _, body = stack.ask("GET", f"{base}/orders/7?a=1")
    assert (status, body) == (200, {"number": "7", "query": {"a": "1"}})
    assert stack.ask("GET", f"{base}/orders/none")[::2] == (404, {"statusCode": 404, "message": "no such order"})
    assert stack.ask("GET", f"{base}/nowhere")[0] == 404


def test_powertools_do_once_what_is_asked_twice(stack: Deployed) -> None:
    url = f"{stack.http}/http/payments"
    status, _, first = stack.ask("POST", url, {"number": 1, "note": "first"})
    assert (status, stack.ask("POST", url, {"number": 1, "note": "again"})[2]) == (201, first)
    assert stack.ask("POST", url, {"number": 2})[2]["payment"] != first["payment"]
    for _ in range(2):  # what failed is tried again
        assert stack.ask("POST", url, {"number": 3, "fails": True})[0] == 500
    status, _, done = stack.ask("POST", f"{stack.rest}/rest/payments", {"number": 3})
    assert (status, done["number"]) == (201, 3)
    table = stack.names["Table"]
    items = stack.server.client("dynamodb").scan(TableName=table)["Items"]
    assert {item["status"]["S"] for item in items} == {"COMPLETED"}
    assert len(items) == 3


def test_powertools_read_parameters_and_log(stack: Deployed) -> None:
    dynamodb = stack.server.client("dynamodb")
    dynamodb.put_item(TableName=stack.names["Table"], Item={"id": {"S": "greeting"}, "value": {"S": "hello"}})
    assert stack.ask("GET", f"{stack.http}/http/parameters/greeting")[2] == {"greeting": "hello"}
    dynamodb.delete_item(TableName=stack.names["Table"], Key={"id": {"S": "greeting"}})
    logged = stack.server.client("logs").filter_log_events(
        logGroupName=f"/aws/lambda/{stack.names['PowertoolsFunction']}", filterPattern='"asked"'
    )["events"]
    entry = next(json.loads(event["message"]) for event in logged if event["message"].startswith("{"))
    assert (entry["service"], entry["function_name"]) == ("libraries", stack.names["PowertoolsFunction"])
    assert {"cold_start", "function_request_id", "correlation_id", "xray_trace_id"} <= set(entry)


@pytest.mark.parametrize("by", ["http", "web"])
def test_fastapi_behind_an_http_api_and_a_function_url(stack: Deployed, by: str) -> None:
    base = f"{getattr(stack, by)}/web"
    status, headers, body = stack.ask("POST", f"{base}/notes", {"title": "Milk"}, Cookie="seen=y; other=z")
    assert (status, body) == (201, {"title": "Milk", "stars": 0})
    cookies = [cookie.partition(";")[0] for cookie in headers.get_all("set-cookie", [])]
    assert cookies == ["seen=yx", "last=Milk"]
    assert stack.ask("GET", f"{base}/notes/a%20b%2Fc")[0] == 404  # a slash in a name is one in the path, as on AWS
    assert stack.ask("GET", f"{base}/notes/a%20b?tag=1&tag=2")[2] == {"name": "a b", "tag": ["1", "2"]}
    assert stack.ask("POST", f"{base}/notes", {"stars": 1})[0] == 422
    assert stack.ask("GET", f"{base}/notes/none")[::2] == (404, {"detail": "no such note"})
    status, headers, picture = stack.ask("GET", f"{base}/picture")
    assert (status, headers["content-type"], picture) == (200, "image/png", bytes(range(256)))
    form = (
        b'--X\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
        + bytes(range(256))
        + b"\r\n--X--"
    )
    sent = stack.ask("POST", f"{base}/files", form, Content_Type="multipart/form-data; boundary=X")[2]
    assert sent == {"name": "a.bin", "bytes": 256, "sum": sum(range(256))}


def test_pynamodb_makes_uses_and_removes_a_table(stack: Deployed) -> None:
    assert stack.invoke("ModelsFunction", {}) == {
        "queried": [3, 4, 5, 6],
        "filtered": 5,
        "indexed": [21, 24, 27],
        "scanned": 30,
        "tags": ["a", "b"],
        "version": 1,
        "put": "ConditionalCheckFailedException",
        "transaction": ["ConditionalCheckFailed", None],
        "together": [0, 7],
        "left": 1,
    }


def test_requests_reach_the_server(stack: Deployed) -> None:
    answer = stack.invoke("ModelsFunction", {"path": "/_cumulet/health"})
    assert answer == {"status": 200, "type": "application/json"}


def test_a_function_with_seventy_megabytes_of_dependencies(stack: Deployed) -> None:
    functions = stack.server.client("lambda")
    assert functions.get_function(FunctionName=stack.names["NumbersFunction"])["Configuration"]["CodeSize"] > 15_000_000
    assert stack.invoke("NumbersFunction", {"matrix": [[1, 2], [3, 4]]})["determinant"] == -2
    group = f"/aws/lambda/{stack.names['NumbersFunction']}"
    until = time.monotonic() + 10
    while not (found := re.findall(r"Init Duration: ([\d.]+) ms", stack.logged(group, "REPORT"))):
        assert time.monotonic() < until  # logs are sent a moment after the answer
    (init_ms,) = found
    print(f"cold start with NumPy: {init_ms} ms")
    assert float(init_ms) < 10_000  # the time that an initialisation may take
