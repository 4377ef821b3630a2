"""Keeps environments ready ahead of demand: this node's part of what was asked for.

Every process has the same part, rounded up, so that an invocation finds an environment wherever it arrives. What is
ready is written down under the process's slot, where the API sums it up; when a node dies its part is divided anew.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import NamedTuple

from cumulet.scope import SYSTEM, Scope
from cumulet.services.kit import Ground
from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.execution.standing import Standing, living_slots
from cumulet.services.lambda_.execution.supervisor import Supervisor, fleet_key
from cumulet.services.lambda_.provisioning import find_targets
from cumulet.services.lambda_.records import (
    ALIASES,
    ALLOTMENTS,
    FUNCTION_CHANGED,
    FUNCTIONS,
    READINESS,
    VERSIONS,
    Allotment,
    VersionRecord,
)
from cumulet.store.api import ReadTx, StoreError, WriteTx
from cumulet.store.leases import Lease, LeaseLost
from cumulet.store.nodes import NODES_CHANGED

_log = logging.getLogger(__name__)


class Target(NamedTuple):
    """What is to be ready of one version, on all nodes together."""

    scope: Scope
    version: VersionRecord
    wanted: int
    stamp: str
    """Of the requests that it stems from."""


class Failure(NamedTuple):
    """Why environments of a version cannot be kept ready."""

    stamp: str
    reason: str
    again_s: float


class Provisioner:
    """One process's part of the provisioned concurrency."""

    def __init__(self, ground: Ground, supervisor: Supervisor, standing: Standing) -> None:
        self._ground = ground
        self._supervisor = supervisor
        self._standing = standing
        self._woken = asyncio.Event()
        self._targets: Mapping[str, Target] = {}
        self._failures: dict[str, Failure] = {}
        self._written: dict[str, Allotment] = {}
        self._written_under: Lease | None = None
        self._task: asyncio.Task[None] | None = None
        self._stop_listening = [
            ground.store.listen(topic, self._woken.set) for topic in (FUNCTION_CHANGED, NODES_CHANGED)
        ]
        supervisor.on_kept = self._kept_changed

    def start(self) -> None:
        """Begin to look at what is asked for."""
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        """Look no more; the environments are the supervisor's to end."""
        for stop in self._stop_listening:
            stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _kept_changed(self, key: str, reason: str) -> None:
        if reason and (target := self._targets.get(key)) is not None:
            again_s = self._ground.clock.monotonic_s() + limits.PROVISION_AGAIN_S
            self._failures[key] = Failure(target.stamp, reason, again_s)
        self._woken.set()

    async def _work(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self._round()
            except (StoreError, LeaseLost) as trouble:
                _log.warning("provisioned concurrency could not be looked after", extra={"said": trouble})
            except Exception:  # noqa: BLE001  the worker loop: whatever the trouble is, it is tried again
                _log.exception("looking after provisioned concurrency failed")
            try:
                async with asyncio.timeout(limits.READINESS_LOOK_S):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _round(self) -> None:
        targets = await self._ground.store.read(find_all_targets)
        if not targets and not self._targets and not self._written:
            return
        lease = await self._standing.take()
        processes = max(len(await self._ground.store.read(living_slots)), 1)
        before, self._targets = self._targets, targets
        for key, target in before.items():
            if key not in targets:
                self._failures.pop(key, None)
                self._supervisor.keep(target.scope, target.version, 0)
        for key, target in targets.items():
            self._keep(key, target, -(-target.wanted // processes))
        await self._write_down(lease)

    def _keep(self, key: str, target: Target, count: int) -> None:
        failure = self._failures.get(key)
        if failure is not None:
            if failure.stamp == target.stamp and self._ground.clock.monotonic_s() < failure.again_s:
                return
            del self._failures[key]
        if count > self._supervisor.environments_max:
            reason = f"This machine runs {self._supervisor.environments_max} environments at most."
            self._kept_changed(key, reason)
            return
        self._supervisor.keep(target.scope, target.version, count)

    async def _write_down(self, lease: Lease) -> None:
        """Record what is ready here now, if that is not what was recorded."""
        now: dict[str, Allotment] = {}
        for key, target in self._targets.items():
            failure = self._failures.get(key)
            now[key] = Allotment(
                account=target.scope.account,
                region=target.scope.region,
                function_name=target.version.function_name,
                version=target.version.version,
                slot=lease.name,
                epoch=lease.record.epoch,
                ready=self._supervisor.ready(key),
                stamp="" if failure is None else failure.stamp,
                reason="" if failure is None else failure.reason,
            )
        anew = self._written_under is not lease
        before = {} if anew else self._written
        if now == before:
            return

        def write(tx: WriteTx) -> None:
            if anew:
                _forget_the_dead(tx)
            for key, allotment in before.items():
                if key not in now:
                    ALLOTMENTS.delete(tx, SYSTEM, *_key(allotment))
            for key, allotment in now.items():
                if before.get(key) != allotment:
                    ALLOTMENTS.save(tx, SYSTEM, *_key(allotment), record=allotment)

        await lease.write(write)
        self._written, self._written_under = now, lease


def find_all_targets(tx: ReadTx) -> dict[str, Target]:
    """Return what is to be ready of every version, by its fleet's key."""
    found: dict[str, Target] = {}
    for named in READINESS.scan(tx, SYSTEM):
        if not named.is_provisioned:
            continue
        scope = Scope(named.account, named.region)
        function = FUNCTIONS.find(tx, scope, named.function_name)
        if function is None:
            continue
        aliases = {alias.name: alias for alias in ALIASES.scan(tx, scope, named.function_name)}
        stamp = ",".join(config.stamp for config in function.provisioned.values())
        for number, count in find_targets(function.provisioned, aliases).items():
            version = VERSIONS.find(tx, scope, named.function_name, int(number))
            if version is not None:
                found[fleet_key(version)] = Target(scope, version, count, stamp)
    return found


def _forget_the_dead(tx: WriteTx) -> None:
    living = living_slots(tx)
    for allotment in ALLOTMENTS.scan(tx, SYSTEM):
        if living.get(allotment.slot) != allotment.epoch:
            ALLOTMENTS.delete(tx, SYSTEM, *_key(allotment))


def _key(allotment: Allotment) -> tuple[str, str, str, str, str]:
    return allotment.account, allotment.region, allotment.function_name, allotment.version, allotment.slot
