"""The SHUTDOWN phase of an environment with extensions: its runtime ends, then they are told, and wait for nobody.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html#runtimes-lifecycle-shutdown. An environment
without extensions has no such phase: it is killed.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable
from typing import Literal

from cumulet.clock import Clock
from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.execution.extensions import Extensions
from cumulet.services.lambda_.execution.sandbox.process import Sandbox
from cumulet.services.lambda_.execution.telemetry import Telemetry

Reason = Literal["spindown", "timeout", "failure"]


class Farewell:
    """What an environment does in the end."""

    def __init__(self, sandbox: Sandbox, extensions: Extensions, telemetry: Telemetry | None, clock: Clock) -> None:
        self._sandbox = sandbox
        self._extensions = extensions
        self._telemetry = telemetry
        self._clock = clock
        self._part_ended = asyncio.Event()

    def on_part_end(self) -> None:
        """The runtime or an extension has ended."""
        self._part_ended.set()

    async def take(self, reason: Reason) -> None:
        """Return when all have ended, or had the time that AWS gives them."""
        has_external = self._extensions.have_external()
        allowed_s = limits.SHUTDOWN_S if has_external else limits.INTERNAL_SHUTDOWN_S
        runtime_s = limits.INTERNAL_SHUTDOWN_S if self._extensions.have_internal() else limits.RUNTIME_SHUTDOWN_S
        began_s = asyncio.get_running_loop().time()
        deadline_ms = self._clock.outside_ms() + int(allowed_s * 1000)
        self._sandbox.thaw()
        self._sandbox.signal_runtime(signal.SIGTERM)
        await self._wait(lambda: self._sandbox.status is not None, began_s + runtime_s)
        self._sandbox.signal_runtime(signal.SIGKILL)
        if self._telemetry is not None:
            self._telemetry.thaw()
            await self._telemetry.flush(limits.TELEMETRY_FLUSH_S)
        if has_external:
            self._extensions.shut_down(reason, deadline_ms)
            await self._wait(self._extensions.have_shut_down, began_s + allowed_s)

    async def _wait(self, is_over: Callable[[], bool], deadline_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline_s):
                while not is_over():
                    self._part_ended.clear()
                    await self._part_ended.wait()
