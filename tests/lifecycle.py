"""What tests of a server's life need: a function that takes its time, and who is below a process."""

import io
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

from running import Server

SLEEPER = """
import subprocess, time
def handler(event, context):
    if event.get("fork"):
        subprocess.Popen(["sleep", "600"], start_new_session=True)
    time.sleep(event.get("seconds", 0))
    return "done"
"""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


def up(*flags: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "cumulet", "up", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def create_sleeper(server: Server) -> None:
    role = server.client("iam").create_role(RoleName="sleeper", AssumeRolePolicyDocument=json.dumps(TRUST))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("index.py", SLEEPER)
    server.client("lambda").create_function(
        FunctionName="sleeper",
        Runtime="python3.12",
        Role=role["Role"]["Arn"],
        Handler="index.handler",
        Code={"ZipFile": archive.getvalue()},
        Timeout=30,
    )


def invoke(server: Server, event: dict[str, Any]) -> Any:
    answer = server.client("lambda").invoke(FunctionName="sleeper", Payload=json.dumps(event))
    return json.load(answer["Payload"])


def processes_below(pid: int) -> set[int]:
    """Return the ids of all descendants of a process."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found, frontier = set(), {pid}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier}
        found |= frontier
    return found


def alive(pids: set[int]) -> set[int]:
    found = set()
    for pid in pids:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.add(pid)
        except OSError:
            continue
    return found


def that_stay(pids: set[int]) -> set[int]:
    """Return those of the processes that do not end; a busy machine's kernel takes its time to end the others."""
    deadline = time.monotonic() + 30
    while (left := alive(pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left
