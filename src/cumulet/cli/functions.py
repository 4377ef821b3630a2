"""`cumulet invoke` and `cumulet logs`."""

import base64
import contextlib
import json
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from cumulet.cli.client import Connection, explain, is_error
from cumulet.cli.console import CliError, err, out

POLL_SECONDS = 0.3
_SINCE = re.compile(r"(\d+)([smhd])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def find_function(connection: Connection, name: str) -> str | None:
    """Return the name of the function that a person means: by its own name or ARN, or by its logical id in a stack."""
    try:
        configuration = connection.client("lambda").get_function_configuration(FunctionName=name)
        return str(configuration["FunctionName"])
    except ClientError as error:
        if not is_error(error, "ResourceNotFoundException") and not is_error(error, "ValidationException"):
            raise CliError(explain(error)) from error
    cloudformation = connection.client("cloudformation")
    for stack in cloudformation.describe_stacks()["Stacks"]:
        for resource in cloudformation.describe_stack_resources(StackName=stack["StackName"])["StackResources"]:
            if resource["LogicalResourceId"] == name and resource["ResourceType"] == "AWS::Lambda::Function":
                return str(resource["PhysicalResourceId"])
    return None


def invoke_function(connection: Connection, name: str, payload: str) -> int:
    """Print the function's answer (and its log, on standard error); return the exit status."""
    function = find_function(connection, name)
    if function is None:
        raise CliError(f"there is no function '{name}', neither by name nor as a logical id in a stack")
    try:
        answer = connection.client("lambda").invoke(
            FunctionName=function, Payload=_read_payload(payload), LogType="Tail"
        )
    except ClientError as error:
        raise CliError(explain(error)) from error
    log = base64.b64decode(answer.get("LogResult", "")).decode("utf-8", "replace")
    for line in log.splitlines():
        err.print(line, style="dim", markup=False)
    body = answer["Payload"].read().decode("utf-8", "replace")
    with contextlib.suppress(ValueError):
        body = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    out.print(body, markup=False)
    if answer.get("FunctionError"):
        err.print(f"the function failed ({answer['FunctionError']})", style="bold red")
        return 1
    return 0


def print_logs(connection: Connection, name: str, *, follow: bool, since: str, pattern: str) -> None:
    """Print the log lines of a function (or group) since then; with `follow`, go on until Ctrl-C."""
    group = name if name.startswith("/") else _log_group(connection, name)
    start_ms = int((time.time() - _seconds(since)) * 1000)
    seen: set[str] = set()
    try:
        while True:
            start_ms = _print_new_events(connection, group, pattern, start_ms, seen, missing_is_fine=follow)
            if not follow:
                return
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        return


def _print_new_events(
    connection: Connection, group: str, pattern: str, start_ms: int, seen: set[str], *, missing_is_fine: bool
) -> int:
    """Print events that were not seen; return from when to look next time."""
    request: dict[str, Any] = {"logGroupName": group, "startTime": start_ms}
    if pattern:
        request["filterPattern"] = pattern
    newest_ms = start_ms
    try:
        for page in connection.client("logs").get_paginator("filter_log_events").paginate(**request):
            for event in page["events"]:
                newest_ms = max(newest_ms, event["timestamp"])
                if event["eventId"] not in seen:
                    seen.add(event["eventId"])
                    moment = datetime.fromtimestamp(event["timestamp"] / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
                    out.print(f"{moment}  {event['message'].rstrip()}", markup=False)
    except ClientError as error:
        if is_error(error, "ResourceNotFoundException"):
            if missing_is_fine:
                return start_ms
            raise CliError(f"there is no log group {group} yet: the function has not run") from error
        raise CliError(explain(error)) from error
    sys.stdout.flush()
    # Functions write in batches, so an older line can still arrive: look back a little, `seen` drops what was printed.
    return max(start_ms, newest_ms - 10_000)


def _log_group(connection: Connection, name: str) -> str:
    function = find_function(connection, name)
    if function is None:
        raise CliError(f"there is no function '{name}', neither by name nor as a logical id in a stack")
    configuration = connection.client("lambda").get_function_configuration(FunctionName=function)
    return str(configuration.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{function}")


def _seconds(since: str) -> int:
    found = _SINCE.fullmatch(since)
    if not found:
        raise CliError(f"--since takes a number and s, m, h or d (10m), not '{since}'")
    return int(found[1]) * _UNIT_SECONDS[found[2]]


def _read_payload(payload: str) -> bytes:
    if payload == "-":
        return sys.stdin.buffer.read()
    if payload.startswith("@"):
        try:
            return Path(payload[1:]).read_bytes()
        except OSError as error:
            raise CliError(f"cannot read {payload[1:]}: {error.strerror}") from error
    return payload.encode()
