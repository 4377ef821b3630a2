"""Fixtures that every kind of test may use."""

import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from postgres import Cluster
from running import Server, start_server


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Return what `--dist loadgroup` means here."""
    from together import Together

    return Together(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One server for all client tests of a run; each test uses names of its own.

    With CUMULET_TEST_STORE=postgres it keeps everything there, and all of these tests are tests of that.
    """
    store = None
    if os.environ.get("CUMULET_TEST_STORE") == "postgres":
        cluster: Cluster = request.getfixturevalue("postgres")
        store = cluster.url(cluster.new_database())
    with tempfile.TemporaryDirectory(prefix="cumulet-test-") as folder:
        running = start_server(Path(folder) / "data", store=store)
        try:
            yield running
        finally:
            assert running.stop() == 0


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """One PostgreSQL for all tests of a run; each test makes databases of its own in it."""
    with Cluster.started() as cluster:
        yield cluster


@pytest.fixture
def client(server: Server) -> Callable[..., Any]:
    """Return a function from a service's name to a boto3 client of the shared server."""
    return server.client


@pytest.fixture
def fetch(server: Server) -> Callable[..., tuple[int, dict[str, str], bytes]]:
    """Return a function (method, path, body, headers) -> (status, headers, body) that raises nothing."""

    def send(method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
        request = urllib.request.Request(server.endpoint + path, data=body, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, {k.lower(): v for k, v in answer.headers.items()}, answer.read()

    return send
