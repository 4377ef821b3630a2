"""The live part of Lambda: what its asynchronous operations stand on."""

from dataclasses import dataclass

from cumulet.services.kit import Ground
from cumulet.services.lambda_.execution.plane import ExecutionPlane


@dataclass(frozen=True, slots=True)
class LambdaPlane:
    """The ground with its store and the other services, and the execution plane."""

    ground: Ground
    execution: ExecutionPlane

    async def start(self) -> None:
        """Begin; nothing runs before the first invocation."""
        await self.execution.start()

    async def stop(self) -> None:
        """Let running invocations end, and leave no process behind."""
        await self.execution.stop()
