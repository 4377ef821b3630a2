"""A PostgreSQL of the tests' own: Debian's programs, a temporary folder, a free port.

with Cluster.started() as cluster:
    url = cluster.new_database()
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from patience import PATIENCE_S

USER = "cumulet"
PASSWORD = "a-secret-of-the-tests"
START_SECONDS_MAX = 30
_NUMBERS = count(1)

SETTINGS = {
    # What survives a crash of the machine is PostgreSQL's own affair. Commits still wait until they are written, so
    # that a crash of the server alone loses none.
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "120",
    "autovacuum_naptime": "5s",
    "log_min_messages": "fatal",
}


@cache
def programs() -> Path:
    """Return the folder of PostgreSQL's programs. Raises RuntimeError, with what to do, if there is none."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3].split(".")[0])
    )
    if debian:
        return debian[-1].parent
    raise RuntimeError(
        "These tests start a PostgreSQL of their own, and its programs are not there: on Debian, apt install postgresql"
    )


def _account() -> dict[str, Any]:
    """Return as whom PostgreSQL runs: it refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise RuntimeError("PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody' to run it as")


class Cluster:
    """A PostgreSQL server with its data. Databases are made in it at will."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.folder = folder
        self.port = _free_port()
        self._settings = {**SETTINGS, **settings}
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextlib.contextmanager
    def started(cls, **settings: str) -> Iterator["Cluster"]:
        """Yield a running server; afterwards it is stopped and its data are gone. `settings` are PostgreSQL's."""
        with tempfile.TemporaryDirectory(prefix="cumulet-pg-", ignore_cleanup_errors=True) as name:
            cluster = cls(Path(name), settings)
            cluster._make()
            cluster.start()
            try:
                yield cluster
            finally:
                cluster.stop()

    def _make(self) -> None:
        account = _account()
        if account:
            os.chown(self.folder, account["user"], account["group"])
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        subprocess.run(
            [
                *(programs() / "initdb", "-D", self.folder / "data", "-U", USER, "-E", "UTF8", "--no-locale", "-N"),
                *("--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password}"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            timeout=PATIENCE_S,
            **account,
        )

    def start(self) -> None:
        """Start the server; return when it takes connections."""
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(programs() / "postgres", "-D", self.folder / "data", "-k", self.folder, "-p", str(self.port)),
                    *("-h", "127.0.0.1", *options),
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                **_account(),
            )
        for _ in range(START_SECONDS_MAX * 20):
            if self._process.poll() is not None:
                break
            with contextlib.suppress(psycopg.OperationalError):
                self.connect("postgres").close()
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.05)
        raise RuntimeError((self.folder / "log").read_text())

    def stop(self, *, at_once: bool = False) -> None:
        """Stop the server: it ends its sessions. `at_once` is how it ends when the power goes."""
        if self._process is not None:
            self.resume()
            self._process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
            self._process.wait(PATIENCE_S)
            self._process = None

    def restart(self, *, at_once: bool = False) -> None:
        """Stop the server and start it again, on the same port with the same data."""
        self.stop(at_once=at_once)
        self.start()

    def hang(self) -> None:
        """Have the server do nothing at all, with its connections open, until `resume`."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """End what `hang` did."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: int) -> None:
        assert self._process is not None
        # Its processes are sessions of their own; the parent's list is the kernel's.
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in (self._process.pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def url(self, database: str, *, user: str = USER, password: str = PASSWORD) -> str:
        """Return the URL of a database, over TCP with a password."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def local_url(self, database: str) -> str:
        """Return the URL of a database over the local socket, which asks for no password."""
        return f"postgresql://{USER}@/{database}?host={self.folder}&port={self.port}"

    def new_database(self) -> str:
        """Make an empty database and return its name."""
        name = f"test_{os.getpid()}_{next(_NUMBERS)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def connect(self, database: str) -> "psycopg.Connection[Any]":
        """Return a connection of the test's own."""
        return psycopg.connect(self.local_url(database), autocommit=True, connect_timeout=5)

    def execute(self, query: str, *params: Any, database: str = "postgres") -> list[Any]:
        """Run one statement and return its rows."""
        with contextlib.closing(self.connect(database)) as connection:
            cursor = connection.execute(query, params)
            return cursor.fetchall() if cursor.description else []

    def cut_connections(self, database: str) -> int:
        """End every session of a database but the test's own; return how many."""
        rows = self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            database,
        )
        return len(rows)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
