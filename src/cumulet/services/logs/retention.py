"""How long a group keeps its events: the setting, and the sweep that removes what has expired.

Expired events are never returned, swept or not: readers start at `LogGroup.kept_since_ms`.
"""

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.logs.arns import group_resource
from cumulet.services.logs.events import event_bytes
from cumulet.services.logs.limits import RETENTION_DAYS
from cumulet.services.logs.records import (
    EVENTS,
    GROUPS,
    STREAMS,
    TIMESTAMP_MS_MAX,
    LogGroup,
    LogStream,
    get_group,
    scan_events,
)
from cumulet.store.api import WriteTx


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
    return {}


@operation("DeleteRetentionPolicy", resource=group_resource, params="logGroupName")
def delete_retention_policy(call: Call, tx: WriteTx, params: Params) -> Output:
    """Keep a group's events for ever."""
    group = get_group(tx, call.scope, params["logGroupName"])
    group.retention_days = None
    GROUPS.save(tx, call.scope, group.name, record=group)
    return {}


def sweep(tx: WriteTx, scope: Scope, now_ms: int, limit: int) -> int:
    """Remove up to `limit` expired events of one scope; return how many. Fewer than `limit` means that all are gone."""
    removed = 0
    for group in list(GROUPS.scan(tx, scope)):
        kept_since_ms = group.kept_since_ms(now_ms)
        for stream in list(STREAMS.scan(tx, scope, group.id)):
            if removed == limit:
                return removed
            if stream.first_event_ms is not None and stream.first_event_ms < kept_since_ms:
                removed += _sweep_stream(tx, scope, group, stream, kept_since_ms, limit - removed)
    return removed


def _sweep_stream(tx: WriteTx, scope: Scope, group: LogGroup, stream: LogStream, kept_since_ms: int, limit: int) -> int:
    expired = scan_events(tx, scope, group, stream, (0, 0), (kept_since_ms, 0))
    batch = [event for event, _ in zip(expired, range(limit), strict=False)]
    for event in batch:
        EVENTS.delete(tx, scope, group.id, stream.id, event.timestamp_ms, event.sequence)
        stream.stored_bytes -= event_bytes(event.message)
    first = next(scan_events(tx, scope, group, stream, (0, 0), (TIMESTAMP_MS_MAX, 0)), None)
    stream.first_event_ms = None if first is None else first.timestamp_ms
    if first is None:
        stream.last_event_ms = None
    STREAMS.save(tx, scope, group.id, stream.name, record=stream)
    return len(batch)
