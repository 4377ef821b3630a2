"""The records of a log group: itself, its streams and their events.

Events lie under the ids of their group and stream, not the names: what is deleted and created again begins empty, and
keys stay short. Within a stream they are ordered by timestamp, then by arrival.
"""

from collections.abc import Iterator
from typing import TypeVar

import msgspec

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Call, Params
from cumulet.services.logs.limits import DAY_MS
from cumulet.store.api import ReadTx
from cumulet.store.keyspace import LOG_EVENT, LOG_EXPIRING, LOG_GROUP, LOG_STREAM
from cumulet.store.records import Records
from cumulet.store.tuples import Element

TIMESTAMP_MS_MAX = 2**63 - 1
"""Behind every event: the model's timestamps are longs, and a key holds integers of at most 8 bytes."""


class LogGroup(msgspec.Struct):
    """A log group."""

    name: str
    id: str
    created_ms: int
    retention_days: int | None = None
    tags: dict[str, str] = {}

    def kept_since_ms(self, now_ms: int) -> int:
        """Return the timestamp before which events have expired."""
        return 0 if self.retention_days is None else max(0, now_ms - self.retention_days * DAY_MS)


class LogStream(msgspec.Struct):
    """A log stream, with what is told about its events without reading them."""

    name: str
    id: str
    created_ms: int
    first_event_ms: int | None = None
    last_event_ms: int | None = None
    last_ingestion_ms: int | None = None
    stored_bytes: int = 0
    next_sequence: int = 0


class LogEvent(msgspec.Struct, array_like=True):
    """One event. `sequence` counts the events of its stream in the order of arrival."""

    timestamp_ms: int
    sequence: int
    ingestion_ms: int
    message: str


class ExpiringGroup(msgspec.Struct, array_like=True):
    """Where a group with a retention lies, for the sweep."""

    account: str
    region: str
    group_name: str


GROUPS = Records(LOG_GROUP, LogGroup)
STREAMS = Records(LOG_STREAM, LogStream)
EVENTS = Records(LOG_EVENT, LogEvent)
EXPIRING = Records(LOG_EXPIRING, ExpiringGroup)


def time_range(call: Call, group: LogGroup, params: Params) -> tuple[int, int]:
    """Return `startTime` and `endTime` in bounds that keys can hold, without the time that has expired."""
    start_ms = max(params.get("startTime") or 0, group.kept_since_ms(call.now_ms))
    return min(start_ms, TIMESTAMP_MS_MAX), min(params.get("endTime", TIMESTAMP_MS_MAX), TIMESTAMP_MS_MAX)


Named = TypeVar("Named", LogGroup, LogStream)


def scan_named(
    tx: ReadTx, records: Records[Named], scope: Scope, *parts: Element, prefix: str = "", behind: str | None = None
) -> Iterator[Named]:
    """Yield the groups, or a group's streams, whose names begin with `prefix`, by name; only those after `behind`."""
    family = records.family
    start, end = family.key(scope, *parts, prefix), family.range(scope, *parts)[1]
    if behind is not None:
        start = max(start, family.key(scope, *parts, behind) + b"\x00")
    for _, value in tx.scan(start, end):
        record = records.decode(value)
        if not record.name.startswith(prefix):
            return
        yield record


def invalid_token() -> ServiceError:
    """Return AWS's answer to a token that it did not give."""
    return ServiceError("InvalidParameterException", "The specified nextToken is invalid.")


def get_group(tx: ReadTx, scope: Scope, name: str) -> LogGroup:
    """Return a group. Raises ResourceNotFoundException."""
    group = GROUPS.find(tx, scope, name)
    if group is None:
        raise ServiceError("ResourceNotFoundException", "The specified log group does not exist.")
    return group


def get_stream(tx: ReadTx, scope: Scope, group: LogGroup, name: str) -> LogStream:
    """Return a stream. Raises ResourceNotFoundException."""
    stream = STREAMS.find(tx, scope, group.id, name)
    if stream is None:
        raise ServiceError("ResourceNotFoundException", "The specified log stream does not exist.")
    return stream


def scan_events(
    tx: ReadTx,
    scope: Scope,
    group: LogGroup,
    stream: LogStream,
    start: tuple[int, int],
    end: tuple[int, int],
    *,
    reverse: bool = False,
) -> Iterator[LogEvent]:
    """Yield the events of a stream with `start` <= (timestamp, sequence) < `end`, oldest first or newest first."""
    first, behind = LOG_EVENT.key(scope, group.id, stream.id, *start), LOG_EVENT.key(scope, group.id, stream.id, *end)
    for _, value in tx.scan(first, behind, reverse=reverse):
        yield EVENTS.decode(value)
