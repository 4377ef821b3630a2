"""`cumulet status` and `cumulet down`."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from cumulet.cli.client import Connection
from cumulet.cli.console import CliError, out
from cumulet.store.sqlite_file import LOCK_NAME

STOP_SECONDS_MAX = 40
"""A little more than the server gives to what is in flight."""


def show_status(connection: Connection) -> None:
    """Print the server and what it holds in the client's account and region. Raises CliError if it cannot serve."""
    status = connection.status()
    if "message" in status:
        raise CliError(f"the server at {connection.settings.endpoint} cannot serve: {status['message']}")
    out.print(f"[bold]Cumulet {status['version']}[/bold] at {connection.settings.endpoint}")
    process = f" (process {status['server_pid']})" if "server_pid" in status else ""
    out.print(f"  up          {status['uptime_seconds']:.0f} s{process}")
    if status["store"] == "sqlite":
        data_dir = status.get("data_dir", "on its own machine")
        out.print(f"  data        {data_dir} (sqlite, durability {status['durability']})")
    else:
        out.print(f"  data        in {status['store']}")
    if ahead_s := status["clock"]["ahead_seconds"]:
        out.print(f"  clock       {ahead_s:g} s ahead")
    _print_rows("nodes", [_describe_node(node) for node in status["nodes"]])
    if "leases" in status:
        _print_rows("work", [f"{lease['name']}  on {lease['node_id']}" for lease in status["leases"]])
    identity = connection.client("sts").get_caller_identity()
    out.print(f"  account     {identity['Account']}, region {connection.settings.region}, as {identity['Arn']}")
    stacks = connection.client("cloudformation").describe_stacks()["Stacks"]
    functions = connection.client("lambda").list_functions()["Functions"]
    tables = connection.client("dynamodb").list_tables()["TableNames"]
    rest_apis = connection.client("apigateway").get_rest_apis()["items"]
    http_apis = connection.client("apigatewayv2").get_apis()["Items"]
    _print_rows("stacks", [f"{stack['StackName']}  {stack['StackStatus']}" for stack in stacks])
    _print_rows("functions", [f"{f['FunctionName']}  {f.get('Runtime', '')}  {f['MemorySize']} MB" for f in functions])
    _print_rows("tables", tables)
    _print_rows(
        "APIs",
        [f"{api['name']}  REST  {api['id']}" for api in rest_apis]
        + [f"{api['Name']}  {api['ProtocolType']}  {api['ApiId']}" for api in http_apis],
    )


def _describe_node(node: dict[str, Any]) -> str:
    where = f"  {node['host']} {node['address']}, process {node['pid']}" if "host" in node else ""
    this = "  (answers this)" if node["answers_this"] else ""
    return f"{node['node_id']}{where}  version {node['version']}, up {node['up_seconds']} s{this}"


def stop_server(connection: Connection) -> None:
    """Ask the server to end, and wait until it has. Raises CliError if it runs elsewhere or does not end."""
    pid = _local_process(connection)
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError as error:
        raise CliError(f"the server's process {pid} is not on this machine; end it there") from error
    except PermissionError as error:
        raise CliError(f"the server's process {pid} belongs to another user") from error
    deadline = time.monotonic() + STOP_SECONDS_MAX
    while _is_alive(pid):
        if time.monotonic() > deadline:
            raise CliError(f"the server (process {pid}) has not ended after {STOP_SECONDS_MAX} s")
        time.sleep(0.02)
    out.print("Cumulet has stopped.")


def _local_process(connection: Connection) -> int:
    """Return the server's process id. Raises CliError for a server whose process ids are not this machine's."""
    health = connection.health()
    # A server in a container, or behind a tunnel, has a process id that means somebody else here. Its data folder is
    # not here either; a server of this machine holds the lock in it and has written its process id there.
    lock = Path(health.get("data_dir", "")) / LOCK_NAME
    try:
        holder = lock.read_text().strip()
    except (OSError, ValueError):
        holder = ""
    if holder != str(health.get("server_pid")):
        raise CliError(f"the server at {connection.settings.endpoint} does not run on this machine; end it there")
    return int(holder)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    # A server whose parent has not reaped it yet (a script that started it) has ended all the same.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False


def _print_rows(name: str, rows: list[str]) -> None:
    for number, row in enumerate(rows or ["none"]):
        out.print(f"  {name if number == 0 else '':<11} {row}", markup=False)
