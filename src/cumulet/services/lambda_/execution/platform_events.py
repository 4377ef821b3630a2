"""What the platform tells about an environment, as records of the Telemetry API and of the JSON log format. Pure.

Shapes: https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html; which level of the system log has
which event: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Any

from cumulet.services.lambda_.tracing import told_segment

Record = dict[str, Any]

DEBUG_KINDS = frozenset(
    f"platform.{kind}" for kind in ("initRuntimeDone", "restoreRuntimeDone", "restoreReport", "runtimeDone")
)
LEVELS = ("DEBUG", "INFO", "WARN")


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `failed` raises its level."""

    kind: str
    record: Record | str
    now_ms: int
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """A part of an invocation's time."""

    name: str
    start_ms: float
    duration_ms: float


def level_of(event: Event) -> str:
    """Return from which level of the system log on an event is in it."""
    if event.failed:
        return "WARN"
    if event.kind == "platform.initReport" and isinstance(event.record, dict):
        return "DEBUG" if event.record["initializationType"] == "on-demand" else "INFO"
    return "DEBUG" if event.kind in DEBUG_KINDS else "INFO"


def is_in_log(event: Event, least: str) -> bool:
    """Tell whether a system log of level `least` has this event."""
    return LEVELS.index(level_of(event)) >= LEVELS.index(least)


def render_time(now_ms: int) -> str:
    """Return a moment as events have it."""
    return f"{datetime.fromtimestamp(now_ms / 1000, UTC):%Y-%m-%dT%H:%M:%S}.{now_ms % 1000:03d}Z"


def render(event: Event) -> str:
    """Return an event as one line of JSON, without the line's end."""
    told = {"time": render_time(event.now_ms), "type": event.kind, "record": event.record}
    return json.dumps(told, separators=(",", ":"))


def init_start(init_type: str, phase: str, runtime_version: tuple[str, str] | None, instance: Record) -> Record:
    """Return the record of platform.initStart; the runtime's version comes with its ARN, and an image has none."""
    named = instance if runtime_version is None else restore_start(runtime_version, instance)
    return {"initializationType": init_type, "phase": phase, **named}


def restore_start(runtime_version: tuple[str, str], instance: Record) -> Record:
    """Return the record of platform.restoreStart."""
    version, version_arn = runtime_version
    return {"runtimeVersion": version, "runtimeVersionArn": version_arn, **instance}


def instance(function_name: str, version: str, log_stream: str, memory_mb: int) -> Record:
    """Return what platform.initStart tells of the environment: its name, as AWS has it, comes from its log stream's."""
    date, _, rest = log_stream.rpartition("/")
    return {
        "functionName": function_name,
        "functionVersion": version,
        "instanceId": f"{date}/{function_name}{rest[rest.find('[') :]}",
        "instanceMaxMemory": memory_mb * 1024 * 1024,
    }


def init_runtime_done(init_type: str, phase: str, status: str, error_type: str = "") -> Record:
    """Return the record of platform.initRuntimeDone."""
    return {"initializationType": init_type, "phase": phase, "status": status, **_error(error_type)}


def init_report(init_type: str, phase: str, status: str, error_type: str, init_ms: float) -> Record:
    """Return the record of platform.initReport."""
    done = init_runtime_done(init_type, phase, status, error_type)
    return {**done, "metrics": {"durationMs": round(init_ms, 3)}}


def restore_runtime_done(status: str, error_type: str = "") -> Record:
    """Return the record of platform.restoreRuntimeDone."""
    return {"status": status, **_error(error_type)}


def restore_report(status: str, error_type: str, restore_ms: float) -> Record:
    """Return the record of platform.restoreReport."""
    return {**restore_runtime_done(status, error_type), "metrics": {"durationMs": round(restore_ms, 3)}}


def start(request_id: str, version: str, trace_header: str, tenant_id: str = "") -> Record:
    """Return the record of platform.start."""
    return {"requestId": request_id, "version": version, **_told_tenant(tenant_id), **_tracing(trace_header)}


def runtime_done(
    request_id: str,
    status: str,
    error_type: str,
    duration_ms: float,
    produced_bytes: int,
    trace_header: str,
    spans: Sequence[Span],
    tenant_id: str = "",
) -> Record:
    """Return the record of platform.runtimeDone."""
    return {
        "requestId": request_id,
        **_told_tenant(tenant_id),
        "status": status,
        **_error(error_type),
        **_told_spans(spans),
        "metrics": {"durationMs": round(duration_ms, 3), "producedBytes": produced_bytes},
        **_tracing(trace_header),
    }


def report(
    request_id: str,
    status: str,
    error_type: str,
    *,
    duration_ms: float,
    memory_mb: int,
    peak_kb: int,
    init_ms: float | None,
    is_restore: bool,
    trace_header: str,
    spans: Sequence[Span] = (),
    tenant_id: str = "",
) -> Record:
    """Return the record of platform.report."""
    metrics: Record = {
        "durationMs": round(duration_ms, 3),
        "billedDurationMs": billed_ms(duration_ms, None if is_restore else init_ms),
        "memorySizeMB": memory_mb,
        "maxMemoryUsedMB": used_mb(memory_mb, peak_kb),
    }
    if init_ms is not None and is_restore:
        metrics["restoreDurationMs"] = round(init_ms, 3)
        metrics["billedRestoreDurationMs"] = billed_ms(init_ms, None)
    elif init_ms is not None:
        metrics["initDurationMs"] = round(init_ms, 3)
    return {
        "requestId": request_id,
        **_told_tenant(tenant_id),
        "status": status,
        **_error(error_type),
        "metrics": metrics,
        **_told_spans(spans),
        **_tracing(trace_header),
    }


def extension(name: str, state: str, events: Sequence[str], error_type: str) -> Record:
    """Return the record of platform.extension."""
    return {"name": name, "state": state, "events": list(events), **_error(error_type)}


def subscription(name: str, types: Sequence[str]) -> Record:
    """Return the record of platform.telemetrySubscription and platform.logsSubscription."""
    return {"name": name, "state": "Subscribed", "types": list(types)}


def logs_dropped(records: int, dropped_bytes: int, reason: str) -> Record:
    """Return the record of platform.logsDropped."""
    return {"droppedBytes": dropped_bytes, "droppedRecords": records, "reason": reason}


def billed_ms(duration_ms: float, init_ms: float | None) -> int:
    """Return what an invocation is billed: since August 2025 the first pays for the initialisation too."""
    return ceil(duration_ms + (init_ms or 0.0))


def used_mb(memory_mb: int, peak_kb: int) -> int:
    """Return how the largest use of memory is told: never more than there is."""
    return min(memory_mb, ceil(peak_kb / 1024))


def _render_span(span: Span) -> Record:
    return {"name": span.name, "start": render_time(int(span.start_ms)), "durationMs": round(span.duration_ms, 3)}


def _told_spans(spans: Sequence[Span]) -> Record:
    return {"spans": [_render_span(span) for span in spans]} if spans else {}


def _error(error_type: str) -> Record:
    return {"errorType": error_type} if error_type else {}


def _told_tenant(tenant_id: str) -> Record:
    # https://docs.aws.amazon.com/lambda/latest/dg/tenant-isolation-monitor.html: of what happens in an invocation.
    return {"tenantId": tenant_id} if tenant_id else {}


def _tracing(trace_header: str) -> Record:
    if not trace_header:
        return {}
    segment = told_segment(trace_header)
    span = {} if segment is None else {"spanId": segment[1]}
    return {"tracing": {**span, "type": "X-Amzn-Trace-Id", "value": trace_header}}
