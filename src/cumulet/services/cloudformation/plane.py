"""The live part of CloudFormation: the stack operations that run in the background."""

import asyncio
import logging

from cumulet.errors import InvariantViolated
from cumulet.scope import SYSTEM, Scope
from cumulet.services.cloudformation.records import BUSY, Busy
from cumulet.services.kit import Ground, Loop
from cumulet.store.api import ReadTx, StoreError, WriteTx
from cumulet.store.leases import Lease, LeaseLost, LeaseRecord, find_holder
from cumulet.store.nodes import NODES_CHANGED

LINGER_SECONDS_MAX = 3.0
"""In real seconds: a client's patience for one answer, not AWS's time."""

STOP_SECONDS_MAX = 10.0
"""In real seconds. A step that is cut short may have made a resource that no record names yet."""

ORPHANS_EVERY_S = 5.0

_log = logging.getLogger(__name__)


class CloudFormationPlane:
    """Runs operations that a transaction has recorded, and those whose node died or stopped before they were done.

    Whoever records an operation takes the stack's lease in the same transaction; the operation's last transaction gives
    it back. So a stack that is busy and whose lease is free has been left behind.
    """

    stop_seconds_max = STOP_SECONDS_MAX

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self._running: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Look after stacks that were left behind, from now on."""
        loop = Loop("cloudformation: stacks left behind", self._take_up, ORPHANS_EVERY_S, topic=NODES_CHANGED)
        self.ground.workers.run(loop)

    async def stop(self) -> None:
        """Let what is under way finish, but not for long; then let go of it, and its records say where it stopped."""
        if self._running:
            await asyncio.wait(self._running, timeout=self.stop_seconds_max)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def claim(self, tx: WriteTx, stack_id: str) -> LeaseRecord:
        """Take the lease of a stack whose operation this transaction records; `begin` wants it."""
        record = self.ground.workers.take_within(tx, _lease_name(stack_id))
        if record is None:
            raise InvariantViolated(f"stack {stack_id} is at rest, and somebody holds its lease")
        return record

    async def begin(self, scope: Scope, stack_id: str, claimed: LeaseRecord) -> None:
        """Begin to perform the operation that is recorded with a stack; return when it is done, or goes on for long.

        Most stacks are done in a second here. Clients that wait ask at once and then not for half a minute (botocore's
        waiters, `aws cloudformation deploy`); so the answer to the request that began it comes after the result.
        """
        lease = self.ground.workers.adopt(claimed)
        await asyncio.wait({self._launch(scope, stack_id, lease)}, timeout=LINGER_SECONDS_MAX)

    async def idle(self) -> None:
        """Return when no operation is under way."""
        while self._running:
            await asyncio.wait(self._running)

    async def _take_up(self, lease: Lease) -> None:
        """Take up every stack that is busy while nobody works on it."""

        def find_left_behind(tx: ReadTx) -> list[Busy]:
            return [busy for busy in BUSY.scan(tx, SYSTEM) if find_holder(tx, _lease_name(busy.stack_id)) is None]

        for busy in await self.ground.store.read(find_left_behind):
            stack_lease = await self.ground.workers.take(_lease_name(busy.stack_id))
            if stack_lease is not None:
                self._launch(Scope(busy.account, busy.region), busy.stack_id, stack_lease, resumed=True)

    def _launch(self, scope: Scope, stack_id: str, lease: Lease, *, resumed: bool = False) -> asyncio.Task[None]:
        async def run(lease: Lease) -> None:
            from cumulet.services.cloudformation.executor import Execution

            execution = Execution(self.ground, lease, scope, stack_id)
            try:
                await execution.run(resumed=resumed)
            except (LeaseLost, StoreError):
                raise  # it is taken up again where it stopped, here or elsewhere
            except Exception:
                await execution.give_up()
                raise

        task = asyncio.get_running_loop().create_task(self.ground.workers.perform(lease, run))
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if task.cancelled() or (failure := task.exception()) is None:
            return
        if isinstance(failure, LeaseLost):
            _log.warning("another node may perform this stack operation now", extra={"lease": str(failure)})
        else:
            _log.error("stack operation failed", exc_info=failure)


def _lease_name(stack_id: str) -> str:
    return f"cloudformation: {stack_id}"
