"""The execution plane: invocations in, results out, through the supervisor."""

import asyncio
from functools import partial
from itertools import count

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Ground
from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.execution.admission import Admission, Pool
from cumulet.services.lambda_.execution.in_hand import Job
from cumulet.services.lambda_.execution.provisioner import Provisioner
from cumulet.services.lambda_.execution.rates import Rates
from cumulet.services.lambda_.execution.snapshots import Snapshots
from cumulet.services.lambda_.execution.standing import Standing
from cumulet.services.lambda_.execution.supervisor import Supervisor
from cumulet.services.lambda_.provisioning import pool_name
from cumulet.services.lambda_.records import ImageUse, Invocation, InvocationResult, VersionRecord


class ProcessPlane:
    """Runs functions as processes of this machine."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._supervisor: Supervisor | None = None
        self._provisioner: Provisioner | None = None
        self._standing = Standing(ground)
        self._admission = Admission(ground, self._standing)
        self._rates = Rates(ground.clock)
        self._ids = count(1)
        self._stopping = False

    async def start(self) -> None:
        """Begin; nothing is warmed before there is a function."""
        self._supervisor = Supervisor(self._ground)
        self._provisioner = Provisioner(self._ground, self._supervisor, self._standing)
        self._provisioner.start()
        Snapshots(self._ground, self._supervisor).start()

    async def stop(self) -> None:
        """Let running invocations end (bounded), then leave no process behind."""
        self._stopping = True
        if self._supervisor is None:
            return
        if self._provisioner is not None:
            await self._provisioner.stop()
        deadline = asyncio.get_running_loop().time() + limits.STOP_GRACE_S
        while self._admission.total() and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        await self._supervisor.stop()
        await self._admission.stop()
        await self._standing.stop()

    def prepare(self, version: VersionRecord) -> None:
        """Begin to make ready what environments of a version start from; returns at once."""
        if self._supervisor is not None:
            self._supervisor.prepare(version)

    async def interpreter_of(self, runtime: str) -> str:
        """Return the version of what runs a runtime here. Raises NotImplementedHere if nothing does."""
        if self._supervisor is None:
            raise ServiceError("ServiceException", "The server stops.", status=500)
        return await self._supervisor.interpreter_of(runtime)

    async def find_image(self, uri: str) -> ImageUse:
        """Return the container image of that name. Raises AWS's errors."""
        return await self._running.images.find(uri)

    async def unpack_image(self, image: ImageUse, patience_s: float | None) -> bool:
        """Tell whether an image is unpacked within that time, or at all. Raises AWS's errors."""
        return await self._running.images.unpack(image, patience_s)

    @property
    def _running(self) -> Supervisor:
        if self._supervisor is None or self._stopping:
            raise ServiceError("ServiceException", "The server stops.", status=500)
        return self._supervisor

    async def invoke(self, scope: Scope, version: VersionRecord, invocation: Invocation) -> InvocationResult:
        """Return the invocation's result. See plane.py for what it raises."""
        if self._supervisor is None or self._stopping:
            raise ServiceError("ServiceException", "The server stops.", status=500)
        pool = await self._enter(scope, version, invocation)
        if not invocation.is_event:
            try:
                self._rates.spend(scope, version.arn, invocation.reserved_concurrency)
            except ServiceError:
                self._admission.leave(pool)
                raise
        job = Job(
            next(self._ids),
            scope,
            version,
            invocation,
            asyncio.get_running_loop().create_future(),
            invocation.trace_header,
            partial(self._admission.leave, pool),
        )
        try:
            self._supervisor.submit(job)
            return await job.result
        except asyncio.CancelledError:
            self._supervisor.withdraw(job)
            raise

    async def _enter(self, scope: Scope, version: VersionRecord, invocation: Invocation) -> Pool:
        """Count one more invocation, and return where. Raises TooManyRequestsException.

        What is provisioned of the version is used first. It is a part of what the function has reserved, or else of
        what the account has, so that the rest of either is less.
        """
        if invocation.provisioned:
            ahead = Pool(scope, pool_name(version.function_name, version.version))
            if await self._admission.try_enter(ahead, invocation.provisioned):
                return ahead
        if invocation.reserved_concurrency is None:
            pool = Pool(scope, "")
            await self._admission.enter(pool, None, "ConcurrentInvocationLimitExceeded")
            return pool
        pool = Pool(scope, version.function_name)
        limit = invocation.reserved_concurrency - invocation.provisioned_total
        await self._admission.enter(pool, limit, "ReservedFunctionConcurrentInvocationLimitExceeded")
        return pool


def make_execution_plane(ground: Ground) -> ProcessPlane:
    """Return an execution plane that is not yet started."""
    return ProcessPlane(ground)
