"""`cumulet status` shows the nodes and their work; `cumulet down` ends the server that it was told to end."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cumulet.cli.console import CliError
from cumulet.cli.status import show_status, stop_server


def connection(health: dict[str, Any]) -> Any:
    return SimpleNamespace(health=lambda: health, settings=SimpleNamespace(endpoint="http://elsewhere:4566"))


@pytest.mark.parametrize("holder", [None, "1", ""], ids=["no lock", "another process", "nobody"])
def test_a_server_elsewhere_whose_process_id_is_somebody_elses_here(holder: str | None, tmp_path: Path) -> None:
    if holder is not None:
        (tmp_path / "cumulet.lock").write_text(f"{holder}\n")
    # Were it believed, this very process would get the signal.
    with pytest.raises(CliError, match="does not run on this machine"):
        stop_server(connection({"pid": os.getpid(), "data_dir": str(tmp_path)}))


def test_a_server_that_tells_no_process_id() -> None:
    with pytest.raises(CliError, match="does not run on this machine"):
        stop_server(connection({"status": "ok"}))


class Empty:
    """Clients of an account in which there is nothing."""

    def __getattr__(self, name: str) -> Any:
        empty: dict[str, Any] = {key: [] for key in ("Stacks", "Functions", "TableNames", "items", "Items")}
        return lambda: {**empty, "Account": "000000000000", "Arn": "arn:aws:iam::000000000000:root"}


def status_of(capsys: pytest.CaptureFixture[str], **more: Any) -> list[str]:
    node = {"node_id": "n1", "version": "0.1.0", "up_seconds": 9, "answers_this": True}
    status = {
        "version": "0.1.0",
        "uptime_seconds": 9.0,
        "store": "sqlite",
        "durability": "fsync",
        "clock": {"now_ms": 0, "ahead_seconds": 0.0},
        "nodes": [node, {**node, "node_id": "n2", "answers_this": False}],
        **more,
    }
    settings = SimpleNamespace(endpoint="http://x:4566", region="eu-west-1")
    asked: Any = SimpleNamespace(status=lambda: status, settings=settings, client=lambda service: Empty())
    show_status(asked)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_the_status_seen_from_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    lines = status_of(capsys)
    assert "  data        on its own machine (sqlite, durability fsync)" in lines
    assert "  nodes       n1  version 0.1.0, up 9 s  (answers this)" in lines
    assert "              n2  version 0.1.0, up 9 s" in lines
    assert not [line for line in lines if line.startswith(("  work", "  clock"))]


def test_a_server_that_cannot_serve_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CliError, match=r"http://x:4566 cannot serve: The disk failed\.$"):
        status_of(capsys, message="The disk failed.")


def test_the_status_seen_from_the_servers_machine(capsys: pytest.CaptureFixture[str]) -> None:
    node = {"node_id": "n1", "version": "0", "up_seconds": 9, "answers_this": True, "host": "h", "pid": 7}
    lines = status_of(
        capsys,
        store="postgres",
        clock={"now_ms": 0, "ahead_seconds": 90.5},
        nodes=[{**node, "address": "127.0.0.1:4566"}],
        leases=[{"name": "logs: expired events", "node_id": "n1", "epoch": 3}],
    )
    assert "  data        in postgres" in lines
    assert "  clock       90.5 s ahead" in lines
    assert "  nodes       n1  h 127.0.0.1:4566, process 7  version 0, up 9 s  (answers this)" in lines
    assert "  work        logs: expired events  on n1" in lines
