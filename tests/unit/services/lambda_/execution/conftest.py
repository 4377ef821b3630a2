"""A real execution plane over the memory store, with the other services played by a fake that writes down."""

import contextlib
import io
import sys
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from cumulet.clock import Clock, SystemClock
from cumulet.errors import ServiceError
from cumulet.ids import RandomIds
from cumulet.scope import Scope
from cumulet.services.kit import Principal
from cumulet.services.lambda_.execution.invoke import ProcessPlane, make_execution_plane
from cumulet.services.lambda_.execution.logs import LogShipper
from cumulet.services.lambda_.execution.sandbox import zygote
from cumulet.services.lambda_.records import Invocation, InvocationResult, VersionRecord
from cumulet.store import blobs
from cumulet.store.memory import MemoryStore
from harness import make_ground

SCOPE = Scope("123456789012", "eu-west-1")
OWN_RUNTIME = f"python3.{sys.version_info.minor}"
"""Of the Python that runs the tests: it is there for sure, and with it what a function sees of the machine."""


class Neighbours:
    """STS and CloudWatch Logs, as far as the execution plane calls them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.calls: list[tuple[Principal, str, str, dict[str, Any]]] = []
        self.events: dict[str, list[str]] = {}
        self.refuse: dict[str, ServiceError] = {}
        self.groups: set[str] = set()
        self.streams: set[tuple[str, str]] = set()

    async def call(self, principal: Principal, scope: Scope, service: str, operation: str, params: Any) -> Any:
        self.calls.append((principal, service, operation, dict(params)))
        if operation in self.refuse:
            raise self.refuse[operation]
        if operation == "AssumeRole":
            name = params["RoleArn"].rpartition("/")[2]
            if name == "stranger":
                raise ServiceError("AccessDenied", "User is not authorized to perform: sts:AssumeRole")
            return {
                "Credentials": {
                    "AccessKeyId": "ASIAEXAMPLE",
                    "SecretAccessKey": "secret",
                    "SessionToken": "token",
                    "Expiration": self._clock.now_ms() / 1000 + params["DurationSeconds"],
                },
                "AssumedRoleUser": {
                    "Arn": f"arn:aws:sts::{scope.account}:assumed-role/{name}/{params['RoleSessionName']}",
                    "AssumedRoleId": f"AROAEXAMPLE:{params['RoleSessionName']}",
                },
            }
        if operation == "CreateLogGroup":
            self.groups.add(params["logGroupName"])
        elif operation == "CreateLogStream":
            self.streams.add((params["logGroupName"], params["logStreamName"]))
        elif (params["logGroupName"], params["logStreamName"]) not in self.streams:
            raise ServiceError("ResourceNotFoundException", "The specified log group does not exist.")
        else:
            self.events.setdefault(params["logStreamName"], []).extend(
                event["message"] for event in params["logEvents"]
            )
        return {}


def make_archive(files: dict[str, str], executable: tuple[str, ...] = ()) -> bytes:
    """Return a zip with these files."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for name, text in files.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = (0o755 if name in executable else 0o644) << 16
            opened.writestr(member, text)
    return archive.getvalue()


class Rig:
    """A plane, and functions made of a few lines."""

    def __init__(self, folder: Path) -> None:
        self.scope = SCOPE
        clock = SystemClock()
        self.neighbours = Neighbours(clock)
        self.store = MemoryStore()
        self.ids = RandomIds()
        self.ground = make_ground(self.store, clock, self.neighbours, folder)
        self.plane: ProcessPlane = make_execution_plane(self.ground)

    @classmethod
    @contextlib.asynccontextmanager
    async def without_walls(cls, folder: Path) -> AsyncIterator["Rig"]:
        """Yield a plane that runs, whose functions have no walls whatever the machine permits. Other planes' have."""
        made = cls(folder)
        await made.plane.start()
        refused, zygote._isolation_refused = zygote._isolation_refused, "a test"
        try:
            assert made.plane._supervisor is not None
            await made.plane._supervisor._fork_servers.find(OWN_RUNTIME)
        finally:
            zygote._isolation_refused = refused
        try:
            yield made
        finally:
            await made.plane.stop()

    async def function(self, code: str, **configuration: Any) -> VersionRecord:
        """Return a function whose module `lambda_function` is `code`."""
        archive = make_archive(
            {"lambda_function.py": code, **configuration.pop("files", {})}, configuration.pop("executable", ())
        )
        name = self.ids.token(10)
        digest = await self.store.write(lambda tx: blobs.save(tx, archive))
        fields: dict[str, Any] = {
            "function_name": name,
            "arn": f"arn:aws:lambda:{SCOPE.region}:{SCOPE.account}:function:{name}",
            "revision_id": self.ids.uuid(),
            "runtime": OWN_RUNTIME,
            "handler": "lambda_function.lambda_handler",
            "role": f"arn:aws:iam::{SCOPE.account}:role/worker",
            "code_sha256": "-",
            "code_size": len(archive),
            "code_blob": digest,
            "last_modified_ms": 0,
        }
        return VersionRecord(**{**fields, **configuration})

    make_archive = staticmethod(make_archive)

    async def invoke(self, version: VersionRecord, payload: bytes = b"{}", **fields: Any) -> InvocationResult:
        """Return the result of one invocation."""
        fields = {"trace_header": "Root=1-2-3;Parent=4", **fields}
        return await self.plane.invoke(SCOPE, version, Invocation(self.ids.uuid(), payload, **fields))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """One plane for the tests of a module; each uses functions of its own."""
    made = Rig(tmp_path_factory.mktemp("data"))
    await made.plane.start()
    yield made
    await made.plane.stop()


@pytest.fixture
def neighbours() -> Neighbours:
    """The other services, empty."""
    return Neighbours(SystemClock())


@pytest.fixture
def shipper(neighbours: Neighbours, tmp_path: Path) -> LogShipper:
    """A log shipper over `neighbours`."""
    return LogShipper(make_ground(MemoryStore(), SystemClock(), neighbours, tmp_path))
