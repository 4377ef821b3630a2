"""Access logs: a line for each request, in the stage's own format, into CloudWatch Logs once the answer is on its way.

What cannot be written is dropped, with a line in the server's log: no client waits for a log.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.html
"""

import asyncio
import hashlib
import logging
import re
from collections import deque
from collections.abc import Mapping
from typing import Any

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.scope import Scope
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.pipeline.context import text_of
from cumulet.services.kit import Ground, Principal
from cumulet.store.api import StoreError

log = logging.getLogger("cumulet.apigateway")

_VARIABLE = re.compile(r"\$context((?:\.[A-Za-z0-9_:]+)+)")
_GROUP = re.compile(r"^arn:aws[a-z-]*:logs:([a-z0-9-]+):(\d{12}):log-group:([^:*]+)(?::\*)?$")


def find_group(arn: str) -> tuple[Scope, str] | None:
    """Return where a log group lies and its name, or None if the ARN names no log group."""
    found = _GROUP.match(arn)
    return None if found is None else (Scope(found[2], found[1]), found[3])


def render_line(line_format: str, values: Mapping[str, Any]) -> str:
    """Return a line of an access log; a variable without a value is a dash."""

    def value(found: re.Match[str]) -> str:
        text = text_of(values.get(found[1][1:]))
        # One request, one line, whatever its User-Agent says; and what stands in quotes stays there.
        return (
            "-"
            if text is None
            else text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
        )

    return _VARIABLE.sub(value, line_format)


class AccessLogs:
    """Lines on their way into log groups, batch by batch."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._pending: dict[tuple[Scope, str, str], deque[tuple[int, str]]] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def write(self, destination: str, api_id: str, stage_name: str, at_ms: int, line: str) -> None:
        """Put a line into a log group soon."""
        found = find_group(destination)
        if found is None:
            return
        stream = hashlib.md5(f"{api_id}/{stage_name}".encode(), usedforsecurity=False).hexdigest()
        key = (*found, stream)
        lines = self._pending.get(key)
        if lines is not None:
            lines.append((at_ms, line))  # whoever writes there already takes it along
            if len(lines) > limits.ACCESS_LOG_LINES_PENDING_MAX:
                lines.popleft()
            return
        self._pending[key] = deque([(at_ms, line)])
        task = asyncio.get_running_loop().create_task(self._drain(key))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _drain(self, key: tuple[Scope, str, str]) -> None:
        lines = self._pending[key]
        try:
            while lines:
                batch = [lines.popleft() for _ in range(min(len(lines), limits.ACCESS_LOG_BATCH_LINES))]
                await self._put(*key, sorted(batch))
        except (ServiceError, NotImplementedHere, StoreError) as error:
            log.warning("an access log cannot be written", extra={"group": key[1], "said": error})
        finally:
            self._pending.pop(key, None)

    async def _put(self, scope: Scope, group: str, stream: str, batch: list[tuple[int, str]]) -> None:
        # Who may set a stage's access log was asked when it was set; AWS's log delivery writes it by itself.
        owner = Principal.root(scope.account)
        names = {"logGroupName": group, "logStreamName": stream}
        put = {**names, "logEvents": [{"timestamp": at_ms, "message": line} for at_ms, line in batch]}
        call = self._ground.operations.call
        try:
            await call(owner, scope, "logs", "PutLogEvents", put)
        except ServiceError as error:
            if error.code != "ResourceNotFoundException":
                raise
            try:
                await call(owner, scope, "logs", "CreateLogStream", names)
            except ServiceError as taken:
                if taken.code != "ResourceAlreadyExistsException":
                    raise
            await call(owner, scope, "logs", "PutLogEvents", put)
