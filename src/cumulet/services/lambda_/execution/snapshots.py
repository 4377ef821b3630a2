"""Versions with SnapStart come to be invocable once an environment of theirs has been initialised, as for a snapshot.

One node does it, under the lease of a loop. What was under way on a node that died is done by another: until the
version is Active or Failed, it is noted as to be done. Likewise functions that were created while their image
was still being unpacked.
"""

import asyncio

import msgspec

from cumulet.errors import ServiceError
from cumulet.scope import SYSTEM, Scope
from cumulet.services.kit import Ground, Loop
from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.execution.occupancy import InitFailure
from cumulet.services.lambda_.execution.plane import FunctionChanged
from cumulet.services.lambda_.execution.supervisor import Supervisor
from cumulet.services.lambda_.readiness import forget_snapshot
from cumulet.services.lambda_.records import (
    FUNCTION_CHANGED,
    FUNCTIONS,
    LATEST,
    READINESS,
    STATE_FIELDS,
    VERSIONS,
    VersionRecord,
)
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.leases import Lease


class Snapshots:
    """What is to be initialised, and who does it."""

    def __init__(self, ground: Ground, supervisor: Supervisor) -> None:
        self._ground = ground
        self._supervisor = supervisor
        self._unpacking: set[str] = set()
        """The functions, by revision, whose images this process has begun to unpack."""

    def start(self) -> None:
        """Stand for the work."""
        self._ground.workers.run(Loop("lambda: snapshots", self._work, limits.READINESS_LOOK_S, topic=FUNCTION_CHANGED))

    async def _work(self, lease: Lease) -> None:
        pending = await self._ground.store.read(_find_pending)
        await asyncio.gather(
            *(
                self._take_image(lease, scope, name) if version == LATEST else self._take(lease, scope, name, version)
                for scope, name, version in pending
            )
        )

    async def _take(self, lease: Lease, scope: Scope, name: str, number: str) -> None:
        """Initialise a version, and record what came of it."""
        version = await self._ground.store.read(lambda tx: VERSIONS.find(tx, scope, name, int(number)))
        state = await self._outcome(scope, version) if version is not None and version.state == "Pending" else None

        def record(tx: WriteTx) -> None:
            forget_snapshot(tx, scope, name, number)
            found = VERSIONS.find(tx, scope, name, int(number))
            if state is not None and found is not None and found == version:
                changed = dict(zip(STATE_FIELDS, state, strict=True))
                VERSIONS.save(tx, scope, name, int(number), record=msgspec.structs.replace(found, **changed))

        await lease.write(record)

    async def _take_image(self, lease: Lease, scope: Scope, name: str) -> None:
        """Have the image of a function unpacked that is Pending, if whoever created it does not."""

        def find(tx: WriteTx) -> VersionRecord | None:
            function = FUNCTIONS.find(tx, scope, name)
            if function is None or function.latest.state != "Pending":
                forget_snapshot(tx, scope, name, LATEST)
                return None
            return function.latest

        version = await lease.write(find)
        if version is None:
            self._unpacking.clear()  # or it would grow for ever; what is begun twice is done once
        elif version.revision_id not in self._unpacking and not self._may_be_anothers(version):
            self._unpacking.add(version.revision_id)
            self._supervisor.prepare(version)

    def _may_be_anothers(self, version: VersionRecord) -> bool:
        """Tell whether another process may be unpacking it still, which perhaps alone has the image."""
        age_s = (self._ground.clock.now_ms() - version.last_modified_ms) / 1000
        return self._ground.store.is_shared and age_s < limits.EXPORT_TIMEOUT_S + 2 * limits.ENGINE_TIMEOUT_S

    async def _outcome(self, scope: Scope, version: VersionRecord) -> tuple[str, str, str]:
        """Return the state that a version has from now on, with its reason and the reason's code."""
        try:
            failure = await self._supervisor.try_out(scope, version)
        except FunctionChanged:
            return "Failed", "The code of the function is not in the store.", "InternalError"
        except ServiceError as refused:
            code = "InsufficientRolePermissions" if refused.code == "AccessDeniedException" else "InternalError"
            return "Failed", refused.message, code
        if failure is None:
            return "", "", ""
        return "Failed", *_explain(failure)


def _explain(failure: InitFailure) -> tuple[str, str]:
    # The codes are the model's; AWS documents no words.
    if failure.status == "timeout":
        return "The function took too long to initialize.", "FunctionError.InitTimeout"
    if failure.error_type == "Runtime.InvalidEntrypoint":
        return "The function could not be started.", "FunctionError.InvalidEntryPoint"
    return f"The function failed to initialize: {failure.error_type}", "FunctionError.RuntimeInitError"


def _find_pending(tx: ReadTx) -> list[tuple[Scope, str, str]]:
    return [
        (Scope(one.account, one.region), one.function_name, version)
        for one in READINESS.scan(tx, SYSTEM)
        for version in one.snapshots
    ]
