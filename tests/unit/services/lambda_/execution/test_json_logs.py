"""The JSON log format: what the platform writes, and what functions do."""

import json
import shutil
from typing import Any

import pytest

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
