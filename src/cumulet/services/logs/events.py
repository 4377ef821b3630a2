"""Events into a stream, and out of one stream in order."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.logs.arns import named_group, stream_resource
from cumulet.services.logs.limits import (
    BATCH_BYTES_MAX,
    BATCH_SPAN_MS_MAX,
    EVENT_BYTES_MAX,
    EVENT_OVERHEAD_BYTES,
    PAGE_BYTES_MAX,
    PAGE_EVENTS_MAX,
    TOO_NEW_MS,
    TOO_OLD_MS,
)
from cumulet.services.logs.records import (
    RUNS,
    STREAMS,
    TIMESTAMP_MS_MAX,
    LogEvent,
    LogGroup,
    cut_runs,
    get_group,
    get_stream,
    invalid_token,
    scan_events,
    time_range,
)
from cumulet.store.api import ReadTx, WriteTx

_POSITION = re.compile(r"([fb])/(\d{20})(\d{36})/s")


@operation("PutLogEvents", resource=stream_resource, params="logGroupName logStreamName logEvents sequenceToken")
def put_log_events(call: Call, tx: WriteTx, params: Params) -> Output:
    """Append a batch to a stream, except for its events that are too old, expired or too new; those are counted.

    The sequence token is ignored, as AWS does since January 2023.
    """
    given: Sequence[Any] = params["logEvents"]
    timestamps, sizes = [event["timestamp"] for event in given], [event_bytes(event["message"]) for event in given]
    _check_batch(timestamps, sizes)
    group = get_group(tx, call.scope, params["logGroupName"])
    stream = get_stream(tx, call.scope, group, params["logStreamName"])
    accepted, rejected = _accept(timestamps, group, call.now_ms)
    if events := [(event["timestamp"], event["message"]) for event in given[accepted]]:
        for run in cut_runs(events, stream.next_sequence, call.now_ms):
            RUNS.save(tx, call.scope, group.id, stream.id, run.timestamp_ms, run.sequence, record=run)
        first_ms, last_ms = events[0][0], events[-1][0]
        stream.next_sequence += len(events)
        stream.stored_bytes += sum(sizes[accepted])
        stream.first_event_ms = first_ms if stream.first_event_ms is None else min(stream.first_event_ms, first_ms)
        stream.last_event_ms = last_ms if stream.last_event_ms is None else max(stream.last_event_ms, last_ms)
        stream.last_ingestion_ms = call.now_ms
        STREAMS.save(tx, call.scope, group.id, stream.name, record=stream)
        tx.hint("logs")
    output: dict[str, Any] = {"nextSequenceToken": f"{stream.next_sequence:056d}"}
    if rejected:
        output["rejectedLogEventsInfo"] = rejected
    return output


@operation(
    "GetLogEvents",
    resource=stream_resource,
    params="logGroupName logGroupIdentifier logStreamName startTime endTime nextToken limit startFromHead unmask",
)
def get_log_events(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of one stream's events, oldest first, with the tokens of the pages behind and before it.

    A token is a position between two events, so an empty page gives back the position at which it was asked for: that
    is how a client knows the end of a stream, and how it goes on when more has arrived.
    """
    if params.get("unmask"):
        raise NotImplementedHere("Data protection (the parameter unmask of logs:GetLogEvents)")
    group = get_group(tx, call.scope, named_group(call, params))
    stream = get_stream(tx, call.scope, group, params["logStreamName"])
    start_ms, end_ms = time_range(call, group, params)
    start, end = (start_ms, 0), (end_ms, 0)
    forward = bool(params.get("startFromHead"))
    if (token := params.get("nextToken")) is not None:
        forward, position = _parse_position(token)
    else:
        position = start if forward else end
    if forward:
        events = take_page(scan_events(tx, call.scope, group, stream, max(start, position), end), params.get("limit"))
    else:
        newest_first = scan_events(tx, call.scope, group, stream, start, min(end, position), reverse=True)
        events = take_page(newest_first, params.get("limit"))[::-1]
    if events:
        first, last = events[0], events[-1]
        before, behind = (first.timestamp_ms, first.sequence), (last.timestamp_ms, last.sequence + 1)
    elif token is None:
        before = behind = start  # whatever arrives later lies behind
    else:
        before = behind = position
    return {
        "events": [
            {"timestamp": event.timestamp_ms, "message": event.message, "ingestionTime": event.ingestion_ms}
            for event in events
        ],
        "nextForwardToken": _render_position("f", behind),
        "nextBackwardToken": _render_position("b", before),
    }


def event_bytes(message: str) -> int:
    """Return what one event counts for the batch and page limits and for the stored bytes."""
    return len(message.encode()) + EVENT_OVERHEAD_BYTES


def take_page(events: Iterable[LogEvent], limit: int | None) -> list[LogEvent]:
    """Return as many of the events as fit a page, at least one if there is one."""
    page: list[LogEvent] = []
    size, limit = 0, limit or PAGE_EVENTS_MAX
    for event in events:
        size += event_bytes(event.message)
        if page and size > PAGE_BYTES_MAX:
            break
        page.append(event)
        if len(page) == limit:
            break
    return page


def _check_batch(timestamps: list[int], sizes: list[int]) -> None:
    if (size := sum(sizes)) > EVENT_BYTES_MAX:
        for event_size in sizes:
            if event_size > EVENT_BYTES_MAX:
                raise ServiceError(
                    "InvalidParameterException",
                    f"Log event too large: {event_size} bytes exceeds limit of {EVENT_BYTES_MAX}",
                )
    if size > BATCH_BYTES_MAX:
        raise ServiceError(
            "InvalidParameterException", f"Upload too large: {size} bytes exceeds limit of {BATCH_BYTES_MAX}"
        )
    if timestamps != sorted(timestamps):
        raise ServiceError(
            "InvalidParameterException",
            "Log events in a single PutLogEvents request must be in chronological order.",
        )
    if timestamps and timestamps[-1] - timestamps[0] > BATCH_SPAN_MS_MAX:
        raise ServiceError(
            "InvalidParameterException",
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        )


def _accept(timestamps: list[int], group: LogGroup, now_ms: int) -> tuple[slice, dict[str, int]]:
    """Return which events to keep and AWS's figures of the others. The end indexes are exclusive, as the model says."""
    oldest_ms, newest_ms = max(now_ms - TOO_OLD_MS, group.kept_since_ms(now_ms)), now_ms + TOO_NEW_MS
    if not timestamps or (timestamps[0] >= oldest_ms and timestamps[-1] <= newest_ms):
        return slice(None), {}
    too_old = bisect_left(timestamps, now_ms - TOO_OLD_MS)
    expired = bisect_left(timestamps, group.kept_since_ms(now_ms))
    in_time = bisect_right(timestamps, newest_ms)
    rejected = {}
    if in_time < len(timestamps):
        rejected["tooNewLogEventStartIndex"] = in_time
    if too_old:
        rejected["tooOldLogEventEndIndex"] = too_old
    if expired > too_old:
        rejected["expiredLogEventEndIndex"] = expired
    return slice(max(too_old, expired), in_time), rejected


def _render_position(direction: str, position: tuple[int, int]) -> str:
    return f"{direction}/{position[0]:020d}{position[1]:036d}/s"


def _parse_position(token: str) -> tuple[bool, tuple[int, int]]:
    match = _POSITION.fullmatch(token)
    if match is None or max(position := (int(match[2]), int(match[3]))) > TIMESTAMP_MS_MAX:
        raise invalid_token()
    return match[1] == "f", position
