"""The records of a log group: itself, its streams and their events.

Events lie under the ids of their group and stream, not the names: what is deleted and created again begins empty, and
keys stay short. Within a stream they are ordered by timestamp, then by arrival.

What comes together and of about one time is one record, a run: functions write three lines an invocation, and a line a
record would cost more than the rest of it. Runs may overlap, since a later batch may tell of an earlier time. They are
so short that `scan_events` can put them in order as it goes.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Call, Params
from cumulet.services.logs.limits import DAY_MS, RUN_CHARACTERS_MAX, RUN_EVENTS_MAX, RUN_SPAN_MS_MAX
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


class LogEvent(NamedTuple):
    """One event. `sequence` counts the events of its stream in the order of arrival."""

    timestamp_ms: int
    sequence: int
    ingestion_ms: int
    message: str


class Run(msgspec.Struct, array_like=True):
    """Events that came together, in order: the first, and those behind it, each with its timestamp and message."""

    timestamp_ms: int
    sequence: int
    ingestion_ms: int
    message: str
    more: Sequence[tuple[int, str]] = ()

    @property
    def last_ms(self) -> int:
        """The timestamp of its last event."""
        return self.more[-1][0] if self.more else self.timestamp_ms

    def events(self) -> list[LogEvent]:
        """Return its events."""
        ingestion_ms = self.ingestion_ms
        return [
            LogEvent(self.timestamp_ms, self.sequence, ingestion_ms, self.message),
            *(
                LogEvent(timestamp_ms, sequence, ingestion_ms, message)
                for sequence, (timestamp_ms, message) in enumerate(self.more, self.sequence + 1)
            ),
        ]


class ExpiringGroup(msgspec.Struct, array_like=True):
    """Where a group with a retention lies, for the sweep."""

    account: str
    region: str
    group_name: str


GROUPS = Records(LOG_GROUP, LogGroup)
STREAMS = Records(LOG_STREAM, LogStream)
RUNS = Records(LOG_EVENT, Run)
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


def cut_runs(events: Sequence[tuple[int, str]], sequence: int, now_ms: int) -> Iterator[Run]:
    """Yield events in order, each a timestamp and a message, as runs; `sequence` is that of the first."""
    start = 0
    while start < len(events):
        first_ms, message = events[start]
        size, end = len(message), start + 1
        for timestamp_ms, following in events[end : start + RUN_EVENTS_MAX]:
            size += len(following)
            if size > RUN_CHARACTERS_MAX or timestamp_ms > first_ms + RUN_SPAN_MS_MAX:
                break
            end += 1
        yield Run(first_ms, sequence + start, now_ms, message, events[start + 1 : end])
        start = end


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
    first = LOG_EVENT.key(scope, group.id, stream.id, max(start[0] - RUN_SPAN_MS_MAX, 0))
    held: list[LogEvent] = []
    newest_ms = -1  # of those held, or later
    for _, value in tx.scan(first, LOG_EVENT.key(scope, group.id, stream.id, *end), reverse=reverse):
        run = RUNS.decode(value)
        # No run to come has events before this one's first; or going back, none later than its first and a whole span.
        settled = (run.timestamp_ms + RUN_SPAN_MS_MAX + 1,) if reverse else (run.timestamp_ms, run.sequence)
        # Going back a whole span is held, which may be many runs of one event: they are not sorted for each other.
        if not reverse or newest_ms >= settled[0]:
            held.sort(reverse=not reverse)  # the next one is the last
            while held and (held[-1] >= settled if reverse else held[-1] < settled):
                yield held.pop()
            newest_ms = held[-1].timestamp_ms if held else -1
        held += [event for event in run.events() if start <= event[:2] < end]
        newest_ms = max(newest_ms, run.last_ms)
    held.sort(reverse=not reverse)
    while held:
        yield held.pop()
