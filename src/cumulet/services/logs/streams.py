"""Log streams: created, described, deleted."""

import heapq
from collections.abc import Iterator
from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.logs.arns import group_resource, named_group, stream_arn, stream_resource
from cumulet.services.logs.limits import DESCRIBE_DEFAULT
from cumulet.services.logs.records import (
    RUNS,
    STREAMS,
    LogGroup,
    LogStream,
    get_group,
    get_stream,
    invalid_token,
    scan_named,
)
from cumulet.services.tokens import decode_token, encode_token
from cumulet.store.api import ReadTx, WriteTx


@operation("CreateLogStream", resource=stream_resource, params="logGroupName logStreamName")
def create_log_stream(call: Call, tx: WriteTx, params: Params) -> Output:
    """Make an empty stream."""
    group = get_group(tx, call.scope, params["logGroupName"])
    name = params["logStreamName"]
    if STREAMS.find(tx, call.scope, group.id, name) is not None:
        raise ServiceError("ResourceAlreadyExistsException", "The specified log stream already exists")
    stream = LogStream(name, call.ids.token(12), call.now_ms)
    STREAMS.save(tx, call.scope, group.id, name, record=stream)
    return {}


@operation("DeleteLogStream", resource=stream_resource, params="logGroupName logStreamName")
def delete_log_stream(call: Call, tx: WriteTx, params: Params) -> Output:
    """Remove a stream with its events."""
    group = get_group(tx, call.scope, params["logGroupName"])
    stream = get_stream(tx, call.scope, group, params["logStreamName"])
    STREAMS.delete(tx, call.scope, group.id, stream.name)
    RUNS.delete_all(tx, call.scope, group.id, stream.id)
    return {}


@operation(
    "DescribeLogStreams",
    resource=group_resource,
    params="logGroupName logGroupIdentifier logStreamNamePrefix orderBy descending nextToken limit",
)
def describe_log_streams(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a group's streams by name, or by the time of their last event."""
    by_time = params.get("orderBy") == "LastEventTime"
    prefix = params.get("logStreamNamePrefix")
    if by_time and prefix is not None:
        raise ServiceError("InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix.")
    group = get_group(tx, call.scope, named_group(call, params))
    limit = params.get("limit") or DESCRIBE_DEFAULT
    behind = decode_token(params.get("nextToken"), tuple[int, str], invalid_token)
    descending = bool(params.get("descending"))

    def position(stream: LogStream) -> tuple[int, str]:
        return (stream.last_event_ms or 0) if by_time else 0, stream.name

    following: Iterator[LogStream]
    if by_time or descending:
        streams = scan_named(tx, STREAMS, call.scope, group.id, prefix=prefix or "")
        following = (
            stream
            for stream in streams
            if behind is None or (position(stream) < behind if descending else position(stream) > behind)
        )
        # One more than asked for, to know whether there are more.
        found = (heapq.nlargest if descending else heapq.nsmallest)(limit + 1, following, key=position)
    else:
        following = scan_named(
            tx, STREAMS, call.scope, group.id, prefix=prefix or "", behind=behind[1] if behind else None
        )
        found = [stream for stream, _ in zip(following, range(limit + 1), strict=False)]
    output: dict[str, Any] = {"logStreams": [_render(call, group, stream) for stream in found[:limit]]}
    if len(found) > limit:
        output["nextToken"] = encode_token(position(found[limit - 1]))
    return output


def _render(call: Call, group: LogGroup, stream: LogStream) -> dict[str, Any]:
    rendered: dict[str, Any] = {
        "logStreamName": stream.name,
        "creationTime": stream.created_ms,
        "arn": stream_arn(call, group.name, stream.name),
        "storedBytes": 0,  # AWS has it so for every stream since June 2019; the group's figure counts
    }
    if stream.last_event_ms is not None:
        rendered["firstEventTimestamp"] = stream.first_event_ms
        rendered["lastEventTimestamp"] = stream.last_event_ms
        rendered["lastIngestionTime"] = stream.last_ingestion_ms
        rendered["uploadSequenceToken"] = f"{stream.next_sequence:056d}"
    return rendered
