"""Kinds of servers, each beside the first: SQLite with one and two processes, PostgreSQL with one and two nodes."""

import asyncio
import contextlib
import statistics
import tempfile
from pathlib import Path

from furnish import make_table
from load import load
from rich.table import Table

CONNECTIONS = 16
WARM_UP_SECONDS = 2.0
ROUND_SECONDS = 0.6
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
