"""The live part of Lambda: what its asynchronous operations stand on."""

from dataclasses import dataclass

from cumulet.scope import Scope
from cumulet.services.kit import Ground
from cumulet.services.lambda_.execution.events import EventQueues
from cumulet.services.lambda_.execution.plane import ExecutionPlane
from cumulet.services.lambda_.records import FUNCTIONS, FunctionRecord
from cumulet.store.api import ReadTx


@dataclass(frozen=True, slots=True)
class LambdaPlane:
    """The ground with its store and the other services, and the execution plane."""

    ground: Ground
    execution: ExecutionPlane

    async def start(self) -> None:
        """Begin: events that are due run at once, all else when it is invoked."""
        await self.execution.start()
        EventQueues(self.ground, self.execution).start()
        settings = self.ground.settings
        scope = Scope(settings.account, settings.region)

        def find_one(tx: ReadTx) -> FunctionRecord | None:
            return next(FUNCTIONS.scan(tx, scope, limit=1), None)

        # Where functions are they will be invoked; a server that has none need not warm anything.
        if (function := await self.ground.store.read(find_one)) is not None:
            self.execution.prepare(function.latest)

    async def stop(self) -> None:
        """Let running invocations end, and leave no process behind."""
        await self.execution.stop()
