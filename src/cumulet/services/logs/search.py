"""FilterLogEvents: the events of many streams as one sequence in time, searched page by page.

The streams are merged lazily: one that cannot hold anything in the time asked for is never opened, and the others only
when the merge has come to their first event. So following a group costs what is new, not what it holds.
"""

import heapq
from collections.abc import Iterator
from typing import Any, NamedTuple

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.logs.arns import group_resource, named_group
from cumulet.services.logs.events import event_bytes
from cumulet.services.logs.limits import PAGE_BYTES_MAX, PAGE_EVENTS_MAX, SEARCHED_EVENTS_MAX
from cumulet.services.logs.patterns import parse_pattern
from cumulet.services.logs.records import (
    STREAMS,
    TIMESTAMP_MS_MAX,
    LogEvent,
    LogGroup,
    LogStream,
    get_group,
    get_stream,
    invalid_token,
    scan_events,
    scan_named,
    time_range,
)
from cumulet.services.tokens import decode_token, encode_token
from cumulet.store.api import ReadTx


class Place(NamedTuple):
    """Where an event stands among those of all streams: by its time, its arrival, and then by stream."""

    timestamp_ms: int
    ingestion_ms: int
    stream_id: str
    sequence: int


@operation(
    "FilterLogEvents",
    resource=group_resource,
    params="logGroupName logGroupIdentifier logStreamNames logStreamNamePrefix startTime endTime filterPattern "
    "nextToken limit interleaved startFromHead unmask",
    missing="JSON, space-delimited and regular expression patterns; startFromHead=false; unmask",
)
def filter_log_events(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of the events of a group that match, in order of time across its streams.

    `interleaved` has no effect, as AWS has it since June 2019; `searchedLogStreams` is empty since May 2020.
    """
    if params.get("startFromHead") is False:
        raise NotImplementedHere("Searching backwards (startFromHead=false) in logs:FilterLogEvents")
    if params.get("unmask"):
        raise NotImplementedHere("Data protection (the parameter unmask of logs:FilterLogEvents)")
    matches = parse_pattern(params.get("filterPattern") or "")
    behind = decode_token(params.get("nextToken"), Place, invalid_token)
    group = get_group(tx, call.scope, named_group(call, params))
    streams = _select_streams(tx, call.scope, group, params)
    start_ms, end_ms = time_range(call, group, params)
    if behind is not None:
        start_ms = max(start_ms, min(behind.timestamp_ms, TIMESTAMP_MS_MAX))
    limit = params.get("limit") or PAGE_EVENTS_MAX
    found: list[dict[str, Any]] = []
    searched = size = 0
    for place, stream, event in merge_streams(tx, call.scope, group, streams, start_ms, end_ms):
        if behind is not None and place <= behind:
            continue
        if len(found) == limit or size >= PAGE_BYTES_MAX or searched == SEARCHED_EVENTS_MAX:
            return {"events": found, "searchedLogStreams": [], "nextToken": encode_token(behind)}
        behind = place
        searched += 1
        if matches is None or matches(event.message):
            size += event_bytes(event.message)
            found.append(_render(place, stream, event))
    return {"events": found, "searchedLogStreams": []}


def merge_streams(
    tx: ReadTx, scope: Scope, group: LogGroup, streams: list[LogStream], start_ms: int, end_ms: int
) -> Iterator[tuple[Place, LogStream, LogEvent]]:
    """Yield the events from `start_ms` to `end_ms` (inclusive) of all the streams, in the order of their places."""
    closed = [
        (max(stream.first_event_ms, start_ms), stream.id, stream)
        for stream in streams
        if stream.first_event_ms is not None
        and stream.last_event_ms is not None
        and stream.first_event_ms <= end_ms
        and stream.last_event_ms >= start_ms
    ]
    closed.sort(reverse=True)  # the next one to open is the last
    # No two places are equal, so that nothing behind the place is ever compared.
    heap: list[tuple[Place, LogStream, LogEvent, Iterator[LogEvent]]] = []

    def push(stream: LogStream, events: Iterator[LogEvent]) -> None:
        if (event := next(events, None)) is not None:
            place = Place(event.timestamp_ms, event.ingestion_ms, stream.id, event.sequence)
            heapq.heappush(heap, (place, stream, event, events))

    while closed or heap:
        while closed and (not heap or closed[-1][0] <= heap[0][0].timestamp_ms):
            opened_ms, _, stream = closed.pop()
            push(stream, scan_events(tx, scope, group, stream, (opened_ms, 0), (end_ms, TIMESTAMP_MS_MAX)))
        if heap:
            place, stream, event, events = heapq.heappop(heap)
            yield place, stream, event
            push(stream, events)


def _select_streams(tx: ReadTx, scope: Scope, group: LogGroup, params: Params) -> list[LogStream]:
    names, prefix = params.get("logStreamNames"), params.get("logStreamNamePrefix")
    if names is not None and prefix is not None:
        raise ServiceError(
            "InvalidParameterException",
            "The parameters logStreamNames and logStreamNamePrefix cannot be used together.",
        )
    if names is not None:
        return [get_stream(tx, scope, group, name) for name in dict.fromkeys(names)]
    return list(scan_named(tx, STREAMS, scope, group.id, prefix=prefix or ""))


def _render(place: Place, stream: LogStream, event: LogEvent) -> dict[str, Any]:
    # AWS's ids have 56 digits too; followers know an event again by its id.
    stream_number = int(stream.id, 36)
    return {
        "logStreamName": stream.name,
        "timestamp": event.timestamp_ms,
        "message": event.message,
        "ingestionTime": event.ingestion_ms,
        "eventId": f"3{place.timestamp_ms:019d}{stream_number:019d}{event.sequence:017d}",
    }
