"""The server under test: the real one, started as a user starts it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from patience import PATIENCE_S, killed_if_silent

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS_MAX = 30


@dataclass(frozen=True)
class Server:
    """A running `cumulet up`."""

    endpoint: str
    port: int
    data_dir: Path
    process: "subprocess.Popen[str]"

    def client(self, service: str, key_id: str = "test", secret: str = "test", **more: Any) -> Any:
        """Return a boto3 client that does not retry, so that each error is seen as it was sent."""
        settings = {"region_name": "us-east-1", **more}
        config = settings.pop("config", Config(retries={"max_attempts": 0}, parameter_validation=False))
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            config=config,
            **settings,
        )

    def environ(self) -> dict[str, str]:
        """Return the environment in which a command line client finds this server."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CUMULET_"))}
        return {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "AWS_ENDPOINT_URL": self.endpoint,
            "CUMULET_ENDPOINT": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_PAGER": "",
            "AWS_MAX_ATTEMPTS": "1",
        }

    def stop(self) -> int:
        """End the server with a signal and return its exit status."""
        self.process.terminate()
        return self.ended()

    def kill(self) -> None:
        """End the server with kill -9."""
        self.process.kill()
        self.ended()

    def ended(self) -> int:
        """Wait for the server's end, let go of what it printed, and return its exit status."""
        try:
            status = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()  # or it would outlive the run, and hold on to what it has open
            raise
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status


def start_server(
    data_dir: Path, *flags: str, port: int = 0, environ: Mapping[str, str] | None = None, store: str | None = None
) -> Server:
    """Start `cumulet up` on a free port; return when it answers. Raises RuntimeError with its output if it does not.

    `store` is the URL of a database, in place of a file in `data_dir`.
    """
    command = [sys.executable, "-m", "cumulet", "up", "--port", str(port), "--data-dir", str(data_dir), *flags]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CUMULET_"))}
    log = (data_dir.parent / f"{data_dir.name}.log").open("a")
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={**inherited, **({"CUMULET_STORE": store} if store else {}), **(environ or {})},
        cwd=data_dir.parent,
        start_new_session=True,
    )
    log.close()
    assert process.stdout is not None
    with killed_if_silent(process):
        for line in process.stdout:
            if line.startswith("Ready at "):
                endpoint = line.split()[2]
                return Server(endpoint, int(endpoint.rpartition(":")[2]), data_dir, process)
    process.wait(START_SECONDS_MAX)
    process.stdout.close()
    raise RuntimeError((data_dir.parent / f"{data_dir.name}.log").read_text())
