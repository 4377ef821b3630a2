"""Performs what the planner decides, and keeps every environment of this machine.

Fleets are by function version, and by tenant where tenants are kept apart: no environment ever changes its fleet.
Whatever changes (a demand comes, an environment polls or dies, time passes) the fleet is planned anew and the plan's
actions are performed; nothing else starts, assigns or stops.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Ground
from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.execution.bytecode import Bytecode
from cumulet.services.lambda_.execution.code import CodeCache, code_key, layers_key
from cumulet.services.lambda_.execution.environment import ALIVE, IDLE, State
from cumulet.services.lambda_.execution.fleet import Assign, Demand, Member, Room, Stop, find_warm, plan_fleet
from cumulet.services.lambda_.execution.images.images import Images
from cumulet.services.lambda_.execution.images.start import prepare_image
from cumulet.services.lambda_.execution.in_hand import Job
from cumulet.services.lambda_.execution.logs import LogShipper, LogStream
from cumulet.services.lambda_.execution.occupancy import (
    ON_DEMAND,
    PROVISIONED,
    SNAP_START,
    Environment,
    InitFailure,
)
from cumulet.services.lambda_.execution.plane import FunctionChanged
from cumulet.services.lambda_.execution.preparation import prepare, seen_roots
from cumulet.services.lambda_.execution.sandbox.fork_servers import ForkServers
from cumulet.services.lambda_.execution.sandbox.programs import Libraries, Program
from cumulet.services.lambda_.execution.sandbox.zygote import Zygote
from cumulet.services.lambda_.execution.sessions import assume_role
from cumulet.services.lambda_.execution.setbacks import Setback, set_back
from cumulet.services.lambda_.records import FUNCTION_CHANGED, LATEST, VersionRecord, find_version
from cumulet.store.api import ReadTx, StoreError

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Fleet:
    """The environments of one function version, for all or for one tenant, and the invocations that wait for one."""

    key: str
    tenant_id: str = ""
    members: dict[int, Environment] = field(default_factory=dict)
    waiting: deque[Job] = field(default_factory=deque)
    present_revision_id: str | None = None
    """As the function's record last had it, empty if it is gone; None until somebody has had reason to look."""
    kept: int = 0
    """How many environments are to be ready ahead of demand."""
    kept_version: tuple[Scope, VersionRecord] | None = None
    """What they are environments of."""
    kept_ready: int = 0
    """How many of them there were when that was last told or asked."""
    snapshot: Environment | None = None
    """What environments are copied from, if they are."""
    setback: Setback | None = None
    """While it is in force environments each initialise themselves, since the snapshot could not be copied."""

    def suspended(self) -> list[Environment]:
        """Return the environments that can be restored, as from a snapshot."""
        return [one for one in self.members.values() if one.is_suspended]


def fleet_key(version: VersionRecord, tenant_id: str = "") -> str:
    """Return what names the fleet of a version, or of a tenant's."""
    if tenant_id:
        return f"{version.arn}:{version.version}:{tenant_id}"
    return f"{version.arn}:{version.version}"


class Supervisor:
    """Every environment of this machine."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        folder = ground.settings.run_dir / "lambda"
        self._code = CodeCache(ground, folder / "code", self._code_in_use)
        self._bytecode = Bytecode(self._code)
        self._preparing = asyncio.Lock()
        self._shipper = LogShipper(ground)
        self._fleets: dict[str, Fleet] = {}
        self._fleet_of: dict[int, Fleet] = {}
        self._numbers = count(1)
        settings = ground.settings
        self.environments_max = limits.ENVIRONMENTS_MAX // settings.workers
        # A slot stands for a user of the machine, so each process of a group has slots of its own.
        slots = (limits.ENVIRONMENTS_MAX + limits.SPARE_SLOTS) // settings.workers
        first_slot = max(settings.worker - 1, 0) * slots
        self._free_slots = deque(range(first_slot, first_slot + slots))
        self._fork_servers = ForkServers(
            folder, self._code.folder, Libraries(settings.java_runtime, settings.nodejs_modules)
        )
        self.images = Images(ground, self._code, self._fork_servers)
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeping: asyncio.TimerHandle | None = None
        self._watching: asyncio.TimerHandle | None = None
        self._alive = 0
        self._quiet = asyncio.Event()
        self.on_kept: Callable[[str, str], None] = lambda key, reason: None
        """Told when other numbers of a fleet's environments are ready ahead of demand, or why none will be."""
        self._trials: dict[int, asyncio.Future[InitFailure | None]] = {}
        """By environment, those that show whether a version can be initialised."""
        self._stopping = False
        self._retiring = False
        self._stop_listening = ground.store.listen(FUNCTION_CHANGED, self._retire_soon)

    # Demand

    def submit(self, job: Job) -> None:
        """Take an invocation; its future gets the result."""
        tenant_id = job.invocation.tenant_id
        fleet = self._fleet(fleet_key(job.version, tenant_id), tenant_id)
        revision_id = job.version.revision_id
        if not (fleet.waiting or fleet.kept) and fleet.present_revision_id in (None, revision_id):
            now_s = self._ground.clock.monotonic_s()
            if (warm := find_warm(fleet.members.values(), revision_id, limits.IDLE_EXPIRY_S, now_s)) is not None:
                warm.assign(job)
                self._watch()
                return
        fleet.waiting.append(job)
        if fleet.present_revision_id is not None and fleet.present_revision_id != revision_id:
            fleet.present_revision_id = None  # one of the two is old, and we do not know which
        self._plan(fleet)

    def _fleet(self, key: str, tenant_id: str = "") -> Fleet:
        fleet = self._fleets.get(key)
        if fleet is None:
            fleet = self._fleets[key] = Fleet(key, tenant_id)
        return fleet

    def withdraw(self, job: Job) -> None:
        """Forget an invocation whose caller has gone, if it still waits."""
        fleet = self._fleets.get(fleet_key(job.version, job.invocation.tenant_id))
        if fleet is not None and job in fleet.waiting:
            fleet.waiting.remove(job)
            job.end()
            self._forget_if_empty(fleet)

    # Ahead of demand

    async def interpreter_of(self, runtime: str) -> str:
        """Return the version of what runs a runtime. Raises NotImplementedHere if nothing does."""
        return await self._fork_servers.version_of(runtime)

    def prepare(self, version: VersionRecord) -> None:
        """Begin to warm the fork server of a version's runtime, and to unpack and compile its code."""
        if not self._stopping:
            self._spawn_task(self._prepare(version))

    async def _prepare(self, version: VersionRecord) -> None:
        try:
            program, zygote = await self._fork_servers.find(version.runtime)
            async with self._preparing:  # one archive at a time: they pass through memory
                # Of an image somebody has waited for that already, or the function's state does.
                has_room = version.image is not None or await self._code.has_room(version.unzipped_size)
                if has_room and not self._stopping:
                    self._compile(program, zygote, *await self._unpack(version))
        except (ServiceError, StoreError, OSError) as refused:
            _log.warning("nothing is made ready for a function: function=%s: %s", version.arn, refused)
        except FunctionChanged:
            pass  # it has gone meanwhile

    async def _unpack(self, version: VersionRecord) -> tuple[Path, Path | None]:
        """Return the folders of a version's code and layers. Raises FunctionChanged, or ServiceError."""
        if version.image is not None:
            return await self.images.ensure_for(version), None
        code = await self._code.ensure(version.code_blob)
        if not version.layers:
            return code, None
        return code, await self._code.ensure_layers([layer.code_blob for layer in version.layers])

    def _compile(self, program: Program, zygote: Zygote, code: Path, layers: Path | None) -> None:
        if program.family == "python":
            places = zip((code, layers), seen_roots(zygote, code, layers), strict=True)
            self._bytecode.make_soon(places, zygote.version, program.interpreter.executable)

    # Planning and performing

    def _plan(self, fleet: Fleet) -> None:
        room = Room(
            environments=self.environments_max - self._alive,
            starts_at_a_time=0 if self._stopping else limits.STARTS_AT_A_TIME,
            idle_expiry_s=limits.IDLE_EXPIRY_S,
            idle_elsewhere=self._idle_elsewhere(fleet) if self._alive >= self.environments_max else (),
            present_revision_id=fleet.present_revision_id,
            kept=fleet.kept,
            kept_revision_id=fleet.kept_version[1].revision_id if fleet.kept_version is not None else "",
        )
        jobs = {job.id: job for job in fleet.waiting}
        actions = plan_fleet(
            [Demand(job.id, job.version.revision_id) for job in fleet.waiting],
            [environment.as_member() for environment in fleet.members.values() if not environment.is_snapshot],
            room,
            self._ground.clock.monotonic_s(),
        )
        for action in actions:
            if isinstance(action, Assign):
                job = jobs[action.demand]
                fleet.waiting.remove(job)
                fleet.members[action.member].assign(job)
                self._watch()
            elif isinstance(action, Stop):
                self._fleet_of[action.member].members[action.member].stop()
            elif action.kept and fleet.kept_version is not None:
                self._start(fleet, *fleet.kept_version, init_type=PROVISIONED)
            else:
                wanted = next(job for job in fleet.waiting if job.version.revision_id == action.revision_id)
                self._start(fleet, wanted.scope, wanted.version)
        if fleet.waiting and fleet.waiting[0].version.snap_start:
            self._restore(fleet)

    def _idle_elsewhere(self, fleet: Fleet | None) -> list[Member]:
        idle = [
            environment.as_member()
            for other in self._fleets.values()
            if other is not fleet
            for environment in other.members.values()
            if (environment.state in IDLE and not environment.is_kept)
            or environment.is_suspended
            or environment.is_copied
        ]
        return sorted(idle, key=lambda member: member.last_used_s)

    # SnapStart

    def _restore(self, fleet: Fleet) -> None:
        """Restore as many environments as invocations wait for, and have another one ready to be restored."""
        waiting = [job.version.revision_id for job in fleet.waiting]
        restored = None
        for environment in list(fleet.members.values()):
            revision_id = environment.version.revision_id
            if environment.state is State.STARTING and revision_id in waiting and not environment.is_snapshot:
                # To the planner it is about to be ready, whether it is restored already or not.
                waiting.remove(revision_id)
                if environment.is_suspended:
                    environment.restore()
                    restored = environment
        if restored is not None:
            self._watch()
            starting = sum(one.state is State.STARTING and not one.is_snapshot for one in fleet.members.values())
            if starting <= len(fleet.waiting) and self._alive < self.environments_max // 2:
                self._start(fleet, restored.stream.scope, restored.version)

    async def try_out(self, scope: Scope, version: VersionRecord) -> InitFailure | None:
        """Return None once a version with SnapStart has been initialised as for a snapshot, or why it cannot be.

        Raises ServiceError if that cannot even begin.
        """
        await self._make_room()
        trial: asyncio.Future[InitFailure | None] = asyncio.get_running_loop().create_future()
        number = self._start_snapshot(self._fleet(fleet_key(version)), scope, version).number
        self._trials[number] = trial
        try:
            return await asyncio.shield(trial)  # the environment may end while whoever asked is being cancelled
        finally:
            self._trials.pop(number, None)

    async def _make_room(self) -> None:
        """Return once one more environment may be alive; the one that was idle longest gives way."""
        while self._alive >= self.environments_max:
            if idle := self._idle_elsewhere(None):
                self._fleet_of[idle[0].id].members[idle[0].id].stop()
            await asyncio.sleep(limits.ROOM_POLL_S)

    def _start_snapshot(self, fleet: Fleet, scope: Scope, version: VersionRecord) -> Environment:
        number = self._start(fleet, scope, version, is_snapshot=True)
        fleet.snapshot = fleet.members[number]
        return fleet.snapshot

    async def _find_snapshot(self, fleet: Fleet, scope: Scope, version: VersionRecord) -> Environment | None:
        """Return what an environment of a version with SnapStart is copied from, or None if it initialises itself."""
        now_s = self._ground.clock.monotonic_s()
        if not version.runtime.startswith("python"):
            return None
        if fleet.setback is not None and fleet.setback.is_in_force(version.revision_id, now_s):
            return None
        snapshot = fleet.snapshot
        if (
            snapshot is None
            or snapshot.state is not State.STARTING
            or (fleet.setback is not None and fleet.setback.snapshot == snapshot.number)
            or snapshot.version.revision_id != version.revision_id
            or snapshot.expires_s <= now_s
        ):
            if self._alive >= self.environments_max:
                return None
            snapshot = self._start_snapshot(fleet, scope, version)
        if await asyncio.shield(snapshot.can_be_copied) and snapshot.is_snapshot:
            return snapshot
        self._set_back(fleet, snapshot)
        return None

    def _set_back(self, fleet: Fleet, snapshot: Environment) -> None:
        now_s = self._ground.clock.monotonic_s()
        fleet.setback = set_back(fleet.setback, snapshot.version.revision_id, snapshot.number, now_s)

    def on_suspended(self, environment: Environment) -> None:
        """It can be restored, which shows that its version can be initialised."""
        if (trial := self._trials.pop(environment.number, None)) is not None:
            trial.set_result(None)
        fleet = self._fleet_of[environment.number]
        if fleet.snapshot is environment and not environment.is_snapshot:
            self._set_back(fleet, environment)
        self._plan(fleet)
        if environment.is_suspended:
            environment.inside_invoke = False  # the invocation in whose time it was tried again needs it no more
        self._sweep_later(limits.FREEZE_AFTER_S)

    def _sweep_suspended(self, fleet: Fleet, now_s: float) -> None:
        """Stop what can be restored from running meanwhile, and end what was not for long."""
        for environment in [one for one in fleet.members.values() if one.is_suspended or one.is_copied]:
            member = environment.as_member()
            is_past = fleet.present_revision_id not in (None, member.revision_id)
            if is_past or now_s >= member.expires_s or now_s - member.last_used_s >= limits.IDLE_EXPIRY_S:
                environment.stop()
            elif environment.is_suspended and now_s - member.last_used_s >= limits.FREEZE_AFTER_S:
                environment.suspend()

    # What is kept ready

    def keep(self, scope: Scope, version: VersionRecord, count: int) -> None:
        """Keep so many environments of a version ready ahead of demand; with none, those that are go."""
        fleet = self._fleet(fleet_key(version))
        fleet.kept, fleet.kept_version = count, (scope, version) if count else None
        self._plan(fleet)
        self._forget_if_empty(fleet)

    def ready(self, key: str) -> int:
        """Return how many of what is to be kept are initialised."""
        fleet = self._fleets.get(key)
        if fleet is None:
            return 0
        # Whoever asks is told of what differs from the answer: one that `keep` has just ended is already missing in it.
        fleet.kept_ready = _count_ready(fleet)
        return fleet.kept_ready

    def _tell_kept(self, fleet: Fleet) -> None:
        ready = _count_ready(fleet)
        if ready != fleet.kept_ready:
            fleet.kept_ready = ready
            self.on_kept(fleet.key, "")

    def _cannot_keep(self, environment: Environment, reason: str) -> None:
        fleet = self._fleet_of[environment.number]
        others = [one for one in fleet.members.values() if one.is_kept and one is not environment]
        fleet.kept = sum(one.state in ALIVE for one in others)
        self.on_kept(fleet.key, reason)

    def _start(
        self,
        fleet: Fleet,
        scope: Scope,
        version: VersionRecord,
        retried: Environment | None = None,
        init_type: str = ON_DEMAND,
        *,
        is_snapshot: bool = False,
    ) -> int:
        """Start an environment, and return its number."""
        if version.snap_start and version.version != LATEST:
            init_type = SNAP_START
        if retried is None:
            now = datetime.fromtimestamp(self._ground.clock.now_ms() / 1000, UTC)
            # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-loggroups.html
            whose = version.function_name if version.log_group else ""
            name = f"{now:%Y/%m/%d}/{whose}[{version.version}]{self._ground.ids.secret(16).hex():0>32}"
            stream = LogStream(scope, version.log_group or f"/aws/lambda/{version.function_name}", name)
        else:
            stream = retried.stream
        environment = Environment(
            next(self._numbers),
            self._free_slots.popleft(),
            version,
            stream,
            self,
            self._shipper,
            self._ground.clock,
            self._ground.ids.uuid,
            retried=retried,
            tenant_id=fleet.tenant_id,
            init_type=init_type,
            is_snapshot=is_snapshot,
        )
        fleet.members[environment.number] = environment
        self._fleet_of[environment.number] = fleet
        self._alive += 1
        self._quiet.clear()
        self._watch()
        self._spawn_task(self._bring_up(environment, scope, version))
        return environment.number

    async def _bring_up(self, environment: Environment, scope: Scope, version: VersionRecord) -> None:
        try:
            if environment.init_type == SNAP_START and not environment.is_snapshot:
                snapshot = await self._find_snapshot(self._fleet_of[environment.number], scope, version)
                if snapshot is not None:
                    await self._copy(environment, snapshot)
                    return
            session, (program, zygote), (code, layers) = await asyncio.gather(
                assume_role(self._ground, scope, version),
                self._fork_servers.find(version.runtime),
                self._unpack(version),
            )
            settings = self._ground.settings
            stream, bytecode = environment.stream, {}
            if program.family == "python":
                bytecode = self._bytecode.find((code, layers), zygote.version)
            if version.image is not None:
                prepared = prepare_image(scope, version, stream, settings, zygote, session, code)
            else:
                prepared = prepare(scope, version, stream, settings, program, zygote, session, code, layers, bytecode)
            await environment.start(prepared)
            self._compile(program, zygote, code, layers)
        except (ServiceError, FunctionChanged) as refused:
            self._give_up(environment, refused)
        except Exception as failure:  # noqa: BLE001  the supervisor: one environment's failure ends no other
            _log.exception("an environment could not be started: function=%s", version.arn)
            self._give_up(environment, ServiceError("ServiceException", str(failure), status=500))

    async def _copy(self, environment: Environment, snapshot: Environment) -> None:
        fleet = self._fleet_of[environment.number]
        try:
            await environment.start_from(snapshot)
        except ServiceError as refused:
            if snapshot.state is State.STARTING:
                _log.warning("a snapshot cannot be copied: function=%s: %s", snapshot.version.arn, refused)
                self._set_back(fleet, snapshot)
                snapshot.stop()
            # Else it has just ended. Whoever waits is planned for anew.
            environment.abandon()
            self._remove(environment)
        else:
            fleet.setback = None

    def _give_up(self, environment: Environment, refused: ServiceError | FunctionChanged) -> None:
        if (trial := self._trials.pop(environment.number, None)) is not None:
            trial.set_exception(refused)
        if environment.is_kept:
            self._cannot_keep(environment, str(refused))
        job = None if environment.is_kept else self._job_for(environment)
        environment.abandon()
        if job is not None:
            job.fail(refused)
        self._remove(environment)

    def _job_for(self, environment: Environment) -> Job | None:
        """Take the invocation for which an environment was started."""
        waiting = self._fleet_of[environment.number].waiting
        for job in waiting:
            if job.version.revision_id == environment.version.revision_id:
                waiting.remove(job)
                return job
        return None

    # What environments report

    def on_ready(self, environment: Environment) -> None:
        """It can take an invocation: plan."""
        if (trial := self._trials.pop(environment.number, None)) is not None:
            trial.set_result(None)
        fleet = self._fleet_of[environment.number]
        if fleet.waiting or fleet.kept:
            self._plan(fleet)
        if environment.is_kept:
            self._tell_kept(fleet)
        if environment.state is State.READY:
            self._sweep_later(limits.FREEZE_AFTER_S)

    def on_dead(self, environment: Environment) -> None:
        """It is gone: answer who waited for it, or have its initialisation tried again, and plan."""
        if (trial := self._trials.pop(environment.number, None)) is not None:
            trial.set_result(environment.init_failure)
        elif environment.is_kept and (environment.init_failure is not None or environment.ended_unused):
            # Another one would fare no better, and another: it is tried again after a while.
            self._cannot_keep(environment, "FUNCTION_ERROR_INIT_FAILURE")
        elif environment.init_failure is not None and not environment.is_snapshot:
            if environment.inside_invoke or self._stopping:
                if (job := self._job_for(environment)) is not None:
                    environment.report_init_failure(job)
            else:
                self._retry(environment)
        self._remove(environment)

    def _retry(self, environment: Environment) -> None:
        """Try an initialisation once more, in the time of an invocation that waits for it, if one still does."""
        fleet = self._fleet_of[environment.number]
        for job in fleet.waiting:
            if job.version.revision_id == environment.version.revision_id:
                self._start(fleet, job.scope, job.version, environment)
                return

    def _remove(self, environment: Environment) -> None:
        fleet = self._fleet_of.pop(environment.number)
        del fleet.members[environment.number]
        if fleet.snapshot is environment:
            fleet.snapshot = None
        self._free_slots.append(environment.slot)
        self._alive -= 1
        if self._alive == 0:
            self._quiet.set()
        if environment.is_kept:
            self._tell_kept(fleet)
        if fleet.waiting or fleet.kept:
            self._plan(fleet)
        else:
            self._forget_if_empty(fleet)
        if self._alive == self.environments_max - 1:
            # Invocations of other functions may have waited for the room.
            for other in [other for other in self._fleets.values() if other.waiting]:
                self._plan(other)

    def _forget_if_empty(self, fleet: Fleet) -> None:
        if not (fleet.members or fleet.waiting or fleet.kept):
            self._fleets.pop(fleet.key, None)

    # Functions that change

    def _code_in_use(self) -> set[str]:
        versions = [member.version for fleet in self._fleets.values() for member in fleet.members.values()]
        used = set(map(code_key, versions))
        return used | {
            layers_key([layer.code_blob for layer in version.layers]) for version in versions if version.layers
        }

    def _retire_soon(self) -> None:
        """A function has changed or is gone: see to it that environments which nobody needs any more end."""
        if not self._retiring and self._alive and not self._stopping:
            self._retiring = True
            self._spawn_task(self._retire())

    async def _retire(self) -> None:
        self._retiring = False
        live = [(fleet, next(iter(fleet.members.values()))) for fleet in self._fleets.values() if fleet.members]

        def look(tx: ReadTx) -> list[VersionRecord | None]:
            return [
                find_version(tx, one.stream.scope, one.version.function_name, one.version.version) for _, one in live
            ]

        for (fleet, _), found in zip(live, await self._ground.store.read(look), strict=True):
            fleet.present_revision_id = "" if found is None else found.revision_id
            self._plan(fleet)

    # Time

    def _sweep_later(self, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        if self._sweeping is not None:
            if self._sweeping.when() <= loop.time() + delay_s:
                return
            self._sweeping.cancel()
        self._sweeping = loop.call_later(delay_s, self._sweep)

    def _sweep(self) -> None:
        """Freeze what is idle, end what has been idle for long, and come again while anything lives."""
        self._sweeping = None
        now_s = self._ground.clock.monotonic_s()
        fresh = False
        for fleet in list(self._fleets.values()):
            for environment in fleet.members.values():
                if environment.state is State.READY:
                    if now_s - environment.last_used_s >= limits.FREEZE_AFTER_S:
                        environment.freeze()
                    else:
                        fresh = True
            self._sweep_suspended(fleet, now_s)
            self._plan(fleet)
        if self._alive:
            self._sweep_later(limits.FREEZE_AFTER_S if fresh else limits.SWEEP_S)

    def _watch(self) -> None:
        if self._watching is None:
            self._watching = asyncio.get_running_loop().call_later(limits.MEMORY_SAMPLE_S, self._watch_memory)

    def _watch_memory(self) -> None:
        self._watching = None
        working = [
            environment
            for environment in (
                fleet.members[number] for number, fleet in self._fleet_of.items() if number in fleet.members
            )
            if environment.state in (State.BUSY, State.STARTING)
            and not (environment.is_suspended or environment.is_copied)
        ]
        for environment in working:
            environment.watch_memory()
        if working:
            self._watch()

    # The end

    async def stop(self) -> None:
        """End every environment and fork server, and send what they logged."""
        self._stopping = True
        self._stop_listening()
        for fleet in list(self._fleets.values()):
            while fleet.waiting:
                fleet.waiting.popleft().fail(ServiceError("ServiceException", "The server stops.", status=500))
            for environment in list(fleet.members.values()):
                if environment.state in ALIVE:
                    environment.stop()
        for timer in (self._sweeping, self._watching):
            if timer is not None:
                timer.cancel()
        for task in list(self._tasks):
            if not task.done():
                await asyncio.wait([task], timeout=limits.STOP_GRACE_S)
        if self._alive:
            await asyncio.wait([asyncio.ensure_future(self._quiet.wait())], timeout=limits.KILL_GRACE_S)
        await self._code.close()
        await self._bytecode.close()
        await self._fork_servers.close()
        await self._shipper.flush()

    def _spawn_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _count_ready(fleet: Fleet) -> int:
    return sum(one.is_kept and one.state in (State.READY, State.FROZEN, State.BUSY) for one in fleet.members.values())
