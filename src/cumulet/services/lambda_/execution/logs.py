"""Log output on its way: from an environment's pipe into events, and from there to CloudWatch Logs.

One environment is one log stream. Events are written under the function's role, as on AWS, so a role that may not write
logs has none. Nothing here delays an invocation: events are collected and sent soon after.
"""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Ground, Principal
from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.limits import LOG_TAIL_BYTES_MAX
from cumulet.store.api import StoreError

_log = logging.getLogger(__name__)

FRAME_MARK = b"\xa5\x5a\x00"
"""Begins a frame of AWS's telemetry framing: mark, level, length (4 bytes), microseconds (8 bytes), text.

No byte of valid UTF-8 text begins like it, so that text lines and frames can share one pipe, and stay in order.
"""
FRAME_HEADER_BYTES = 16
READ_BYTES = 65_536
SEND_AFTER_S = 0.05
PASSING = frozenset({"OperationAbortedException", "ServiceUnavailableException", "ThrottlingException"})


class Tail:
    """The last 4 KB of what an invocation logged."""

    def __init__(self) -> None:
        self._kept = b""
        self._texts: list[str] = []
        self._characters = 0

    def add(self, text: str) -> None:
        """Append an event, on a line of its own."""
        self._texts.append(text)
        self._characters += len(text)
        if self._characters > 16 * LOG_TAIL_BYTES_MAX:
            self._kept = self._render()
            self._texts.clear()
            self._characters = 0

    def take(self) -> bytes:
        """Return the tail, and begin a new one."""
        taken = self._render()
        self.drop()
        return taken

    def drop(self) -> None:
        """Begin a new one: nobody wants it."""
        self._kept = b""
        self._texts.clear()
        self._characters = 0

    def _render(self) -> bytes:
        lines = [text if text.endswith("\n") else f"{text}\n" for text in self._texts]
        return (self._kept + "".join(lines).encode())[-LOG_TAIL_BYTES_MAX:]


class Splitter:
    """Output bytes to log events: a line is one, and so is a frame of many lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the events that are complete with `data`."""
        data = self._rest + data if self._rest else data
        events: list[str] = []
        while data:
            if data.startswith(FRAME_MARK):
                if len(data) < FRAME_HEADER_BYTES:
                    break
                end = FRAME_HEADER_BYTES + int.from_bytes(data[4:8], "big")
                if len(data) < end and len(data) < limits.LOG_EVENT_BYTES_MAX:
                    break
                events += _cut(data[FRAME_HEADER_BYTES:end])
                data = data[end:]
                continue
            mark = data.find(FRAME_MARK)
            text = data if mark < 0 else data[:mark]
            lines = text.split(b"\n")
            for line in lines[:-1]:
                events += _cut(line + b"\n")
            rest = lines[-1]
            if mark >= 0:
                if rest:
                    events += _cut(rest)
                data = data[mark:]
                continue
            while len(rest) >= limits.LOG_EVENT_BYTES_MAX:
                events += _cut(rest[: limits.LOG_EVENT_BYTES_MAX])
                rest = rest[limits.LOG_EVENT_BYTES_MAX :]
            data = rest
            break
        self._rest = data
        return events

    def flush(self) -> list[str]:
        """Return what has come without a line's end."""
        if not self._rest:
            return []
        rest, self._rest = self._rest, b""
        return _cut(rest[FRAME_HEADER_BYTES:] if rest.startswith(FRAME_MARK) else rest)


def _cut(data: bytes) -> list[str]:
    size = limits.LOG_EVENT_BYTES_MAX - limits.LOG_EVENT_OVERHEAD_BYTES
    return [data[at : at + size].decode("utf-8", "replace") for at in range(0, len(data), size)]


@dataclass(slots=True)
class LogStream:
    """One environment's stream, and the events that are not yet sent."""

    scope: Scope
    group: str
    name: str
    principal: Principal | None = None
    """The role's session; known when the environment starts."""
    pending: deque[tuple[int, str]] = field(default_factory=deque)
    pending_bytes: int = 0
    failures: int = 0
    """How often the first of them could not be sent."""
    refused: bool = False
    """The role may not write logs: nothing is kept."""
    readers: list["Output"] = field(default_factory=list)
    """What waits for room in it."""


class Output:
    """The reading end of an environment's output pipe."""

    def __init__(self, descriptor: int, stream: LogStream, emit: Callable[[str], None]) -> None:
        self._descriptor = descriptor
        self._stream = stream
        self._emit = emit
        self._splitter = Splitter()
        self._loop = asyncio.get_running_loop()
        self._reading = False
        stream.readers.append(self)
        self.resume()

    def resume(self) -> None:
        """Read on, if there is room for it."""
        if not self._reading and self._descriptor >= 0:
            self._reading = True
            self._loop.add_reader(self._descriptor, self._read)

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._descriptor)

    def _read(self) -> None:
        if not self._take():
            self._pause()
        elif self._stream.pending_bytes > limits.OUTPUT_BACKLOG_BYTES_MAX:
            self._pause()  # the pipe fills, and whoever floods it waits

    def _take(self) -> bool:
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return True
        for event in self._splitter.feed(data):
            self._emit(event)
        return bool(data)

    def drain(self) -> None:
        """Take what is in the pipe now, an unfinished line included; at most a pipe's worth."""
        if self._descriptor < 0:
            return
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            data = b""
        if data:
            for event in self._splitter.feed(data):
                self._emit(event)
        for event in self._splitter.flush():
            self._emit(event)

    def close(self) -> None:
        """Take what is left, and close the pipe."""
        self.drain()
        self._pause()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._stream.readers.remove(self)


class LogShipper:
    """Sends the events of all environments, in order for each."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._waiting: dict[int, LogStream] = {}
        self._sender: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    def add(self, stream: LogStream, now_ms: int, *texts: str) -> None:
        """Have events sent soon."""
        if stream.refused:
            return
        for text in texts:
            stream.pending.append((now_ms, text))
            stream.pending_bytes += len(text) + limits.LOG_EVENT_OVERHEAD_BYTES
        self._waiting[id(stream)] = stream
        if self._sender is None:
            self._sender = asyncio.get_running_loop().create_task(self._send_soon())

    async def _send_soon(self) -> None:
        while self._waiting:
            await asyncio.sleep(SEND_AFTER_S)
            await self._send_round()
        self._sender = None

    async def flush(self, within_s: float = limits.LOG_FLUSH_S) -> None:
        """Return when every event that was added before is sent, or cannot be; or not in time, then it is lost."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + within_s
        while self._waiting or self._lock.locked():
            await self._send_round()
            if loop.time() >= until_s:
                break
        for stream in self._waiting.values():
            _log.error("log events are lost: group=%s stream=%s: no time is left", stream.group, stream.name)
            _drop(stream)
        self._waiting.clear()

    async def _send_round(self) -> None:
        """Send of every stream what fits a batch: at once, so that they share a commit, and a flood delays no other."""
        async with self._lock:
            streams, self._waiting = list(self._waiting.values()), {}
            await asyncio.gather(*map(self._send, streams))

    async def _send(self, stream: LogStream) -> None:
        if not stream.pending:
            return  # refused after all
        batch = _take_batch(stream)
        try:
            await self._put(stream, {"logGroupName": stream.group, "logStreamName": stream.name, "logEvents": batch})
            stream.failures = 0
        except (ServiceError, StoreError) as failure:
            stream.failures += 1
            if _may_pass(failure) and stream.failures < limits.LOG_TRIES_MAX:
                _put_back(stream, batch)
            else:
                stream.failures = 0
                _log.error("log events are lost: group=%s stream=%s: %s", stream.group, stream.name, failure)
        except Exception:  # noqa: BLE001  a worker loop: one stream's failure is not another's
            _log.exception("log events are lost: group=%s stream=%s", stream.group, stream.name)
        if stream.pending:
            self._waiting[id(stream)] = stream
        for reader in stream.readers:
            reader.resume()

    async def _put(self, stream: LogStream, put: Mapping[str, object]) -> None:
        try:
            await self._call(stream, "PutLogEvents", put)
        except ServiceError as refused:
            if refused.code == "ResourceNotFoundException" and await self._create(stream):
                await self._call(stream, "PutLogEvents", put)
            elif refused.code == "AccessDeniedException":
                self._refuse(stream)
            elif refused.code != "ResourceNotFoundException":
                raise

    async def _create(self, stream: LogStream) -> bool:
        names = {"logGroupName": stream.group, "logStreamName": stream.name}
        for operation, params in (
            ("CreateLogGroup", {"logGroupName": stream.group}),
            ("CreateLogStream", names),
        ):
            try:
                await self._call(stream, operation, params)
            except ServiceError as refused:
                # A role that may not create the group can write to one that is there.
                if refused.code not in ("ResourceAlreadyExistsException", "AccessDeniedException"):
                    raise
                if refused.code == "AccessDeniedException" and operation == "CreateLogStream":
                    self._refuse(stream)
                    return False
        return not stream.refused

    def _refuse(self, stream: LogStream) -> None:
        _log.info("a role may not write logs: group=%s", stream.group)
        stream.refused = True
        _drop(stream)

    async def _call(self, stream: LogStream, operation: str, params: Mapping[str, object]) -> None:
        assert stream.principal is not None
        await self._ground.operations.call(stream.principal, stream.scope, "logs", operation, params)


def _take_batch(stream: LogStream) -> list[dict[str, Any]]:
    """Take the events from a stream that one PutLogEvents may have."""
    batch: list[dict[str, Any]]
    # A character has four bytes at most: nearly always all of it fits, and nothing needs to be counted.
    if 4 * stream.pending_bytes <= limits.LOG_BATCH_BYTES_MAX and len(stream.pending) <= limits.LOG_BATCH_EVENTS_MAX:
        batch = [{"timestamp": timestamp, "message": text} for timestamp, text in stream.pending]
        _drop(stream)
        return batch
    batch, size = [], 0
    while stream.pending and len(batch) < limits.LOG_BATCH_EVENTS_MAX:
        timestamp, text = stream.pending[0]
        cost = len(text.encode()) + limits.LOG_EVENT_OVERHEAD_BYTES
        if batch and size + cost > limits.LOG_BATCH_BYTES_MAX:
            break
        size += cost
        batch.append({"timestamp": timestamp, "message": text})
        stream.pending.popleft()
        stream.pending_bytes -= len(text) + limits.LOG_EVENT_OVERHEAD_BYTES
    return batch


def _drop(stream: LogStream) -> None:
    stream.pending.clear()
    stream.pending_bytes = 0


def _put_back(stream: LogStream, batch: list[dict[str, Any]]) -> None:
    """Undo `_take_batch`."""
    for event in reversed(batch):
        stream.pending.appendleft((event["timestamp"], event["message"]))
        stream.pending_bytes += len(event["message"]) + limits.LOG_EVENT_OVERHEAD_BYTES


def _may_pass(failure: ServiceError | StoreError) -> bool:
    """Tell whether the same call may succeed later."""
    return isinstance(failure, StoreError) or failure.code in PASSING or (failure.status or 0) >= 500
