"""How long a group keeps its events: the setting, and the sweep that removes what has expired.

Expired events are never returned, swept or not: readers start at `LogGroup.kept_since_ms`.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

from cumulet.errors import ServiceError
from cumulet.scope import SYSTEM, Scope
from cumulet.services.kit import Call, Ground, Loop, Output, Params, operation
from cumulet.services.logs.arns import group_resource
from cumulet.services.logs.events import event_bytes
from cumulet.services.logs.limits import RETENTION_DAYS, SWEEP_EVERY_SECONDS, SWEPT_EVENTS_MAX, SWEPT_STREAMS_MAX
from cumulet.services.logs.records import (
    EXPIRING,
    GROUPS,
    RUNS,
    STREAMS,
    TIMESTAMP_MS_MAX,
    ExpiringGroup,
    LogGroup,
    LogStream,
    Run,
    get_group,
    scan_events,
)
from cumulet.store.api import Store, WriteTx
from cumulet.store.leases import Lease


@operation("PutRetentionPolicy", resource=group_resource, params="logGroupName retentionInDays")
def put_retention_policy(call: Call, tx: WriteTx, params: Params) -> Output:
    """Keep a group's events for so many days from their timestamps on."""
    days = params["retentionInDays"]
    if days not in RETENTION_DAYS:
        raise ServiceError(
            "InvalidParameterException", f"Invalid retention value. Valid values are: {list(RETENTION_DAYS)}"
        )
    group = get_group(tx, call.scope, params["logGroupName"])
    group.retention_days = days
    GROUPS.save(tx, call.scope, group.name, record=group)
    EXPIRING.save(tx, SYSTEM, *call.scope, group.name, record=ExpiringGroup(*call.scope, group.name))
    return {}


@operation("DeleteRetentionPolicy", resource=group_resource, params="logGroupName")
def delete_retention_policy(call: Call, tx: WriteTx, params: Params) -> Output:
    """Keep a group's events for ever."""
    group = get_group(tx, call.scope, params["logGroupName"])
    group.retention_days = None
    GROUPS.save(tx, call.scope, group.name, record=group)
    EXPIRING.delete(tx, SYSTEM, *call.scope, group.name)
    return {}


class Step(NamedTuple):
    """What one transaction of the sweep did: how many events went, and behind which stream the next one begins."""

    removed: int
    behind: str | None
    """None at the end of the group."""


class LogsPlane:
    """Removes expired events, now and then."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    async def start(self) -> None:
        """Begin to sweep."""
        self.ground.workers.run(Loop("logs: expired events", self._sweep, SWEEP_EVERY_SECONDS))

    async def stop(self) -> None:
        """Nothing is under way here: who runs the loop stops it."""

    async def _sweep(self, lease: Lease) -> None:
        await sweep(self.ground.store, lease.write, self.ground.clock.now_ms())


async def sweep(store: Store, write: Callable[[Callable[[WriteTx], Step]], Awaitable[Step]], now_ms: int) -> int:
    """Remove every event that has expired, in steps that hold nobody up; return how many there were."""
    removed = 0
    for group in await store.read(lambda tx: list(EXPIRING.scan(tx, SYSTEM))):
        step = Step(0, "")
        while step.behind is not None:
            step = await write(partial(run_step, group=group, behind=step.behind, now_ms=now_ms))
            removed += step.removed
    return removed


def run_step(
    tx: WriteTx,
    *,
    group: ExpiringGroup,
    behind: str,
    now_ms: int,
    events_max: int = SWEPT_EVENTS_MAX,
    streams_max: int = SWEPT_STREAMS_MAX,
) -> Step:
    """Remove expired events from the streams of a group whose names come after `behind`, about so many of either."""
    scope = Scope(group.account, group.region)
    found = GROUPS.find(tx, scope, group.group_name)
    if found is None:
        return Step(0, None)
    kept_since_ms, removed = found.kept_since_ms(now_ms), 0
    streams = list(STREAMS.scan(tx, scope, found.id, behind=(found.id, behind), limit=streams_max))
    for stream in streams:
        if stream.first_event_ms is not None and stream.first_event_ms < kept_since_ms:
            removed += _sweep_stream(tx, scope, found, stream, kept_since_ms, events_max - removed)
        if removed >= events_max:
            return Step(removed, behind)  # this stream may have more
        behind = stream.name
    return Step(removed, behind if len(streams) == streams_max else None)


def _sweep_stream(tx: WriteTx, scope: Scope, group: LogGroup, stream: LogStream, kept_since_ms: int, limit: int) -> int:
    """Remove expired events, `limit` of them and the rest of a run; return how many there were.

    A run of which some have expired stays until all have: a fraction of a second.
    """
    expired: list[Run] = []
    removed = 0
    for run in RUNS.scan(tx, scope, group.id, stream.id):
        if run.timestamp_ms >= kept_since_ms or removed >= limit:
            break
        if run.last_ms < kept_since_ms:
            expired.append(run)
            removed += 1 + len(run.more)
    for run in expired:
        RUNS.delete(tx, scope, group.id, stream.id, run.timestamp_ms, run.sequence)
        stream.stored_bytes -= sum(event_bytes(event.message) for event in run.events())
    first = next(scan_events(tx, scope, group, stream, (0, 0), (TIMESTAMP_MS_MAX, 0)), None)
    stream.first_event_ms = None if first is None else first.timestamp_ms
    if first is None:
        stream.last_event_ms = None
    STREAMS.save(tx, scope, group.id, stream.name, record=stream)
    return removed
