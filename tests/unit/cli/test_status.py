"""`cumulet down` ends the server that it was told to end, and nobody else."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cumulet.cli.console import CliError
from cumulet.cli.status import stop_server


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
