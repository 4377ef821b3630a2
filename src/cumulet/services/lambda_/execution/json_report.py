"""The platform's log lines in the JSON format, with the names of `report`'s and nothing where the level says so. Pure.

The events are those of the Telemetry API: https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html;
which level has which: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from math import ceil
from typing import Any

from cumulet.services.lambda_.execution import report

LEVELS = ("DEBUG", "INFO", "WARN")


class JsonReport:
    """The lines of one environment."""

    def __init__(self, level: str, now_ms: Callable[[], int]) -> None:
        self._least = LEVELS.index(level)
        self._now_ms = now_ms

    def init_start_line(self, runtime: str, region: str, patch: str) -> str:
        """Return the first event of an environment's log."""
        version, arn = report.runtime_version(runtime, region, patch)
        record = {
            "initializationType": "on-demand",
            "phase": "init",
            "runtimeVersion": version,
            "runtimeVersionArn": arn,
        }
        return self._render("platform.initStart", "INFO", record)

    def init_report_line(self, init_ms: float, phase: str, status: str, error_type: str) -> str:
        """Return the event about an initialisation that failed."""
        record: dict[str, Any] = {"initializationType": "on-demand", "phase": phase, "status": status}
        if error_type:
            record["errorType"] = error_type
        return self._render("platform.initReport", "WARN", {**record, "metrics": {"durationMs": round(init_ms, 3)}})

    def start_line(self, request_id: str, version: str) -> str:
        """Return the event before an invocation's own."""
        return self._render("platform.start", "INFO", {"requestId": request_id, "version": version})

    def end_lines(
        self,
        request_id: str,
        *,
        duration_ms: float,
        memory_mb: int,
        peak_kb: int,
        init_ms: float | None,
        status: str = "",
        error_type: str = "",
    ) -> tuple[str, str]:
        """Return what there is at debug level, and the report."""
        status = status or "success"
        done: dict[str, Any] = {"requestId": request_id, "status": status}
        if error_type:
            done["errorType"] = error_type
        metrics: dict[str, Any] = {
            "durationMs": round(duration_ms, 3),
            "billedDurationMs": ceil(duration_ms + (init_ms or 0.0)),
            "memorySizeMB": memory_mb,
            "maxMemoryUsedMB": min(memory_mb, ceil(peak_kb / 1024)),
        }
        if init_ms is not None:
            metrics["initDurationMs"] = round(init_ms, 3)
        level = "INFO" if status == "success" else "WARN"
        debug = "DEBUG" if status == "success" else "WARN"
        return (
            self._render("platform.runtimeDone", debug, {**done, "metrics": {"durationMs": metrics["durationMs"]}}),
            self._render("platform.report", level, {**done, "metrics": metrics}),
        )

    def _render(self, kind: str, level: str, record: dict[str, Any]) -> str:
        if LEVELS.index(level) < self._least:
            return ""
        now_ms = self._now_ms()
        moment = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        event = {"time": f"{moment}.{now_ms % 1000:03d}Z", "type": kind, "record": record}
        return json.dumps(event, separators=(",", ":")) + "\n"
