"""Asynchronous invocations over kill -9: what was accepted runs."""

import io
import json
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

from running import Server, start_server

EVENTS = 20
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
HANDLER = "def heard(event, context):\n    print('heard', event['id'])\n"
LOGS = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


def deploy(server: Server) -> None:
    """Make a function that tells its log what it hears, and that may not run yet."""
    iam, functions = server.client("iam"), server.client("lambda")
    role = iam.create_role(RoleName="listens", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.attach_role_policy(RoleName="listens", PolicyArn=LOGS)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("app.py", HANDLER)
    code = {"ZipFile": archive.getvalue()}
    functions.create_function(FunctionName="listens", Runtime="python3.12", Role=role, Handler="app.heard", Code=code)
    functions.put_function_concurrency(FunctionName="listens", ReservedConcurrentExecutions=0)


def heard(server: Server) -> set[int]:
    """Return what the function has logged."""
    logs = server.client("logs")
    try:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/listens")
        lines = [event["message"] for page in pages for event in page["events"]]
    except logs.exceptions.ResourceNotFoundException:
        return set()
    return {int(line.split()[1]) for line in lines if line.startswith("heard")}


@pytest.mark.slow
def test_no_accepted_event_is_lost(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data")
    deploy(server)
    functions = server.client("lambda")
    for number in range(EVENTS):
        payload = json.dumps({"id": number}).encode()
        assert functions.invoke(FunctionName="listens", InvocationType="Event", Payload=payload)["StatusCode"] == 202
    server.kill()
    server = start_server(tmp_path / "data")
    try:
        assert heard(server) == set()
        server.client("lambda").delete_function_concurrency(FunctionName="listens")
        move = urllib.request.Request(
            f"{server.endpoint}/_cumulet/clock", b'{"advance_seconds": 300}', {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(move, timeout=10).close()
        until = time.monotonic() + 30
        while len(heard(server)) < EVENTS:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert heard(server) == set(range(EVENTS))
    finally:
        server.stop()
