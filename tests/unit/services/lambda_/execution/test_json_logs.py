"""The JSON log format: what the platform writes, and what functions do."""

import json
import shutil
from typing import Any

import pytest

from cumulet.services.lambda_.execution.json_report import JsonReport

NOW = "2023-11-14T22:13:20.123Z"
REPORT = {"duration_ms": 1.2345, "memory_mb": 128, "peak_kb": 2048, "init_ms": 10.0}
BILLED = {
    "durationMs": 1.234,
    "billedDurationMs": 12,
    "memorySizeMB": 128,
    "maxMemoryUsedMB": 2,
    "initDurationMs": 10.0,
}


def report(level: str) -> JsonReport:
    return JsonReport(level, lambda: 1_700_000_000_123)


def test_the_platforms_events() -> None:
    made = report("INFO")
    assert json.loads(made.start_line("R", "3")) == {
        "time": NOW,
        "type": "platform.start",
        "record": {"requestId": "R", "version": "3"},
    }
    debug, told = made.end_lines("R", **REPORT)
    assert debug == ""
    assert json.loads(told) == {
        "time": NOW,
        "type": "platform.report",
        "record": {"requestId": "R", "status": "success", "metrics": BILLED},
    }
    first = json.loads(made.init_start_line("python3.12", "eu-west-1", "3.12.7"))
    assert first["type"] == "platform.initStart"
    assert first["record"]["runtimeVersion"] == "python:3.12.v7"
    failed = json.loads(made.init_report_line(5.0, "invoke", "error", "Runtime.ExitError"))
    assert failed["record"] == {
        "initializationType": "on-demand",
        "phase": "invoke",
        "status": "error",
        "errorType": "Runtime.ExitError",
        "metrics": {"durationMs": 5.0},
    }


LEVELS = [
    ("DEBUG", "", ["platform.initStart", "platform.start", "platform.runtimeDone", "platform.report"]),
    ("INFO", "", ["platform.initStart", "platform.start", "platform.report"]),
    ("WARN", "", []),
    ("WARN", "timeout", ["platform.runtimeDone", "platform.report"]),
]


@pytest.mark.parametrize(("level", "status", "kinds"), LEVELS)
def test_levels(level: str, status: str, kinds: list[str]) -> None:
    made = report(level)
    lines = [made.init_start_line("provided.al2", "r", "1"), made.start_line("R", "1")]
    lines += made.end_lines("R", **REPORT, status=status)
    assert [json.loads(line)["type"] for line in lines if line] == kinds


PYTHON = """
import logging
log = logging.getLogger("notes")
def lambda_handler(event, context):
    log.debug("small")
    log.warning("saw %s", "it", extra={"note": 7})
    if event:
        raise KeyError("no such note")
"""
NODE = """
exports.handler = async (event) => {
  console.debug('small');
  console.warn({note: 7});
  console.info('saw', 'it');
  if (event) throw new TypeError('no such note');
};
"""


async def told(rig: Any, version: Any, payload: bytes) -> list[dict[str, Any]]:
    """Return the events of an invocation, without what differs from run to run."""
    lines = (await rig.invoke(version, payload)).log_tail.decode().splitlines()
    events = [json.loads(line) for line in lines]
    for event in events:
        assert event.pop("timestamp", None) or event.pop("time")
        assert (event.pop("requestId", None) or event["record"]["requestId"]).count("-") == 4
    return events


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.slow
async def test_a_python_function(rig: Any) -> None:
    version = await rig.function(PYTHON, log_format="JSON", application_log_level="INFO", system_log_level="INFO")
    start, saw, report = await told(rig, version, b"false")
    assert (start["type"], report["type"]) == ("platform.start", "platform.report")
    assert saw == {"level": "WARNING", "message": "saw it", "logger": "notes", "note": 7}
    _, _, failed, _ = await told(rig, version, b"true")
    trace = failed.pop("stackTrace")
    assert failed == {"log_level": "ERROR", "errorType": "KeyError", "errorMessage": "'no such note'"}
    assert "lambda_handler" in trace[0]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
async def test_a_nodejs_function(rig: Any) -> None:
    version = await rig.function(
        "",
        files={"index.js": NODE},
        handler="index.handler",
        runtime="nodejs20.x",
        timeout_s=10,
        log_format="JSON",
        application_log_level="INFO",
        system_log_level="WARN",
    )
    assert await told(rig, version, b"false") == [
        {"level": "WARN", "message": {"note": 7}},
        {"level": "INFO", "message": "saw it"},
    ]
    failed = (await told(rig, version, b"true"))[-1]
    assert failed["level"] == "ERROR"
    assert failed["message"]["errorType"] == "TypeError"
