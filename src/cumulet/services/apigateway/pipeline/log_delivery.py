"""Lines on their way into CloudWatch Logs, once the answer they tell of is on its way.

No client waits for a log: what cannot be written is dropped, with a line in the server's log. What waits when the
server stops is written first.
"""

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.scope import Scope
from cumulet.services.apigateway import limits
from cumulet.services.kit import Ground, Principal
from cumulet.store.api import StoreError

log = logging.getLogger("cumulet.apigateway")

Assume = Callable[[Scope, str], Awaitable[Principal]]
"""Returns a session of a role, assumed as API Gateway."""


class Place(NamedTuple):
    """Where lines go, and as whom they are written."""

    scope: Scope
    group: str
    stream: str
    role: str | None = None
    """None is the owner's root: AWS's log delivery writes the access logs of HTTP APIs by itself."""
    makes_group: bool = False
    """Whether the group is made if it is not there."""


def stream_of(api_id: str, stage_name: str) -> str:
    """Return the name of a stage's log stream."""
    return hashlib.md5(f"{api_id}/{stage_name}".encode(), usedforsecurity=False).hexdigest()


class LogDelivery:
    """Writes lines batch by batch, each place by itself."""

    def __init__(self, ground: Ground, assume: Assume) -> None:
        self._ground = ground
        self._assume = assume
        self._pending: dict[Place, deque[tuple[int, str]]] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def write(self, place: Place, lines: list[tuple[int, str]]) -> None:
        """Put lines, each with its time, into a log group soon."""
        pending = self._pending.get(place)
        if pending is not None:
            pending.extend(lines)  # whoever writes there already takes them along
            while len(pending) > limits.LOG_LINES_PENDING_MAX:
                pending.popleft()
            return
        self._pending[place] = deque(lines)
        task = asyncio.get_running_loop().create_task(self._drain(place))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def finish(self) -> None:
        """Return once nothing waits any more, or once it has taken too long."""
        if self._writing:
            await asyncio.wait(self._writing, timeout=limits.LOG_FINISH_S)

    async def _drain(self, place: Place) -> None:
        lines = self._pending[place]
        try:
            while lines:
                batch = [lines.popleft() for _ in range(min(len(lines), limits.LOG_BATCH_LINES))]
                # Sorted by time alone: lines of one request and one time stay in their order.
                await self._put(place, sorted(batch, key=lambda line: line[0]))
        except (ServiceError, NotImplementedHere, StoreError) as error:
            log.warning("a log of an API cannot be written", extra={"group": place.group, "said": error})
        finally:
            self._pending.pop(place, None)

    async def _put(self, place: Place, batch: list[tuple[int, str]]) -> None:
        scope = place.scope
        writer = Principal.root(scope.account) if place.role is None else await self._assume(scope, place.role)
        stream = {"logGroupName": place.group, "logStreamName": place.stream}
        put = {**stream, "logEvents": [{"timestamp": at_ms, "message": line} for at_ms, line in batch]}
        call = self._ground.operations.call
        try:
            await call(writer, scope, "logs", "PutLogEvents", put)
        except ServiceError as error:
            if error.code != "ResourceNotFoundException":
                raise
            if place.makes_group:
                await self._make(writer, scope, "CreateLogGroup", {"logGroupName": place.group})
            await self._make(writer, scope, "CreateLogStream", stream)
            await call(writer, scope, "logs", "PutLogEvents", put)

    async def _make(self, writer: Principal, scope: Scope, operation: str, params: dict[str, str]) -> None:
        try:
            await self._ground.operations.call(writer, scope, "logs", operation, params)
        except ServiceError as taken:
            if taken.code != "ResourceAlreadyExistsException":
                raise
