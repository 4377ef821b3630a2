"""The live part of CloudFormation: the stack operations that run in the background."""

import asyncio
import logging

from cumulet.scope import SYSTEM, Scope
from cumulet.services.cloudformation.records import BUSY
from cumulet.services.kit import Ground

LINGER_SECONDS_MAX = 3.0
"""In real seconds: a client's patience for one answer, not AWS's time."""

STOP_SECONDS_MAX = 10.0
"""In real seconds. A step that is cut short may have made a resource that no record names yet."""

_log = logging.getLogger(__name__)


class CloudFormationPlane:
    """Runs operations that a transaction has recorded; when it starts, those that were cut short."""

    stop_seconds_max = STOP_SECONDS_MAX

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self._running: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take up every stack that was busy when the last server ended."""
        for busy in await self.ground.store.read(lambda tx: list(BUSY.scan(tx, SYSTEM))):
            self.launch(Scope(busy.account, busy.region), busy.stack_id, resumed=True)

    async def stop(self) -> None:
        """Let what is under way finish, but not for long; then let go of it, and its records say where it stopped."""
        if self._running:
            await asyncio.wait(self._running, timeout=self.stop_seconds_max)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def begin(self, scope: Scope, stack_id: str) -> None:
        """Begin to perform the operation that is recorded with a stack; return when it is done, or goes on for long.

        Most stacks are done in a second here. Clients that wait ask at once and then not for half a minute (botocore's
        waiters, `aws cloudformation deploy`); so the answer to the request that began it comes after the result.
        """
        await asyncio.wait({self.launch(scope, stack_id)}, timeout=LINGER_SECONDS_MAX)

    def launch(self, scope: Scope, stack_id: str, *, resumed: bool = False) -> asyncio.Task[None]:
        """Begin to perform the operation that is recorded with a stack."""
        task = asyncio.get_running_loop().create_task(self._run(scope, stack_id, resumed))
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    async def idle(self) -> None:
        """Return when no operation is under way."""
        while self._running:
            await asyncio.wait(self._running)

    async def _run(self, scope: Scope, stack_id: str, resumed: bool) -> None:
        from cumulet.services.cloudformation.executor import Execution

        execution = Execution(self.ground, scope, stack_id)
        try:
            await execution.run(resumed=resumed)
        except Exception:
            await execution.give_up()
            raise

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            _log.error("stack operation failed", exc_info=failure)
