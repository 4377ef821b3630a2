"""`make demo`: the life of a note on Cumulet, with everything that can be seen of it.

Starts a server with a store of its own in a temporary folder, deploys the template beside this file, creates, reads,
lists, updates and deletes a note over HTTP, and shows the function's log and the capacity that its table consumed.
Exit status 0 if every answer was as expected.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import boto3

HERE = Path(__file__).resolve().parent
STACK = "notes"
PORT = 4566
LOG_SECONDS_MAX = 15


class DemoFailed(Exception):
    """Something was not as it should be; the words say what."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the notes application on Cumulet.")
    parser.add_argument("--keep", action="store_true", help="leave the server running")
    parser.add_argument("--port", type=int, default=PORT, help=f"the server's port (default: {PORT})")
    options = parser.parse_args()
    endpoint = f"http://localhost:{options.port}"
    folder = Path(tempfile.mkdtemp(prefix="cumulet-demo-"))
    server = None
    done = False
    try:
        server = start_server(folder, options.port)
        run(endpoint)
        done = True
    except DemoFailed as failure:
        print(f"\nThe demo failed: {failure}", file=sys.stderr)
        if (log := folder / "server.log").is_file() and (text := log.read_text().strip()):
            print(f"The server's log:\n{text}", file=sys.stderr)
    finally:
        if done and options.keep:
            print(f"\nStill running at {endpoint}, data in {folder / 'data'}.\n.venv/bin/cumulet down ends it.")
        else:
            if server is not None:
                server.terminate()
                server.wait(60)
            shutil.rmtree(folder, ignore_errors=True)
    return 0 if done else 1


def start_server(folder: Path, port: int) -> "subprocess.Popen[str]":
    """Start `cumulet up` and return when it says that it is ready."""
    headline("cumulet up")
    log = (folder / "server.log").open("w")
    server = subprocess.Popen(
        [sys.executable, "-m", "cumulet", "up", "--port", str(port), "--data-dir", str(folder / "data")],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
    )
    assert server.stdout is not None
    for line in server.stdout:
        print(f"  {line.rstrip()}")
        if line.startswith("Ctrl-C"):
            return server
    server.wait(60)
    raise DemoFailed("the server did not start; where its port is another's, `make demo PORT=...` takes a free one")


def run(endpoint: str) -> None:
    headline("cumulet deploy examples/notes")
    deployed = subprocess.run(
        [sys.executable, "-m", "cumulet", "deploy", str(HERE), "--stack-name", STACK, "--endpoint", endpoint],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print("".join(f"  {line}\n" for line in deployed.stdout.splitlines()), end="", flush=True)
    if deployed.returncode != 0:
        raise DemoFailed("the stack could not be deployed")
    outputs = {
        output["OutputKey"]: output["OutputValue"]
        for output in client("cloudformation", endpoint).describe_stacks(StackName=STACK)["Stacks"][0]["Outputs"]
    }
    notes = f"{endpoint}/_aws/execute-api/{outputs['ApiId']}/Prod/notes"

    headline("The life of a note")
    note = expect(201, "POST", notes, {"title": "Milk", "text": "two bottles"})
    one = f"{notes}/{note['id']}"
    expect(200, "GET", one)
    listed = expect(200, "GET", notes)
    if [found["id"] for found in listed["notes"]] != [note["id"]]:
        raise DemoFailed("the list does not hold the note")
    changed = expect(200, "PUT", one, {"title": "Milk", "text": "three bottles"})
    if (changed["text"], changed["version"]) != ("three bottles", 2):
        raise DemoFailed("the note did not change")
    expect(204, "DELETE", one)
    expect(404, "GET", one)

    show_log(endpoint, outputs["FunctionName"], requests=6)


def expect(status: int, method: str, url: str, body: Any = None) -> Any:
    """Send a request, print it and its answer, and return the answer's JSON. Raises DemoFailed on another status."""
    data = None if body is None else json.dumps(body).encode()
    print(f"  {method:<6} {url}" + (f"  {data.decode()}" if data else ""))
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
    began = time.perf_counter()
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            got, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        got, text = answer.code, answer.read().decode()
    except OSError as error:
        raise DemoFailed(f"{method} {url} got no answer: {error}") from error
    print(f"    {got}  {text}  ({(time.perf_counter() - began) * 1000:.1f} ms)", flush=True)
    if got != status:
        raise DemoFailed(f"{method} {url} was answered with {got} instead of {status}")
    return json.loads(text) if text else None


def show_log(endpoint: str, function: str, requests: int) -> None:
    """Print the function's log lines and the capacity that they report."""
    headline(f"cumulet logs {function}")
    logs = client("logs", endpoint)
    deadline = time.monotonic() + LOG_SECONDS_MAX
    lines: list[str] = []
    # The log is written beside the answers, so the last lines may come a moment later.
    while sum(line.startswith("REPORT ") for line in lines) < requests:
        if time.monotonic() > deadline:
            raise DemoFailed(f"the log does not hold {requests} REPORT lines after {LOG_SECONDS_MAX} s")
        time.sleep(0.05)
        try:
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function}")
            lines = [event["message"].rstrip() for page in pages for event in page["events"]]
        except logs.exceptions.ResourceNotFoundException:
            continue
    for line in lines:
        print(f"  {line}")

    headline("Consumed capacity")
    read = written = 0.0
    for line in lines:
        if line.startswith("{") and (found := json.loads(line)).get("event") == "ConsumedCapacity":
            read += found["readUnits"]
            written += found["writeUnits"]
            print(
                f"  {found['operation']:<12} {found['readUnits']:>4} read units  {found['writeUnits']:>4} write units"
            )
    print(f"  {'in all':<12} {read:>4} read units  {written:>4} write units")


def client(service: str, endpoint: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def headline(text: str) -> None:
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
