"""What is told about an environment, in both formats of the log and to those who subscribed."""

import json
from typing import Any

import msgspec
import pytest

from cumulet.clock import SystemClock
from cumulet.scope import Scope
from cumulet.services.lambda_.execution.journal import Journal
from cumulet.services.lambda_.execution.limits import EARLY_BYTES_MAX, EARLY_EVENTS_MAX
from cumulet.services.lambda_.execution.logs import LogShipper, LogStream
from cumulet.services.lambda_.execution.platform_events import Event, Span
from cumulet.services.lambda_.records import VersionRecord

VERSION = VersionRecord(
    function_name="notes",
    version="3",
    arn="arn:aws:lambda:eu-west-1:123456789012:function:notes",
    revision_id="r",
    runtime="provided.al2023",
    handler="h",
    role="arn:aws:iam::123456789012:role/worker",
    code_sha256="-",
    code_size=1,
    code_blob="-",
    last_modified_ms=0,
)
TRACE = "Root=1-2-3"
TRACING = {"type": "X-Amzn-Trace-Id", "value": TRACE}
METRICS = {
    "durationMs": 1.234,
    "billedDurationMs": 12,
    "memorySizeMB": 128,
    "maxMemoryUsedMB": 2,
    "initDurationMs": 10.0,
}


class Held(LogShipper):
    """A shipper that sends nothing."""

    def __init__(self) -> None:
        pass

    def add(self, stream: LogStream, now_ms: int, *texts: str) -> None:
        stream.pending.extend((now_ms, text) for text in texts)


class Listener:
    def __init__(self) -> None:
        self.heard: list[Event] = []

    def tell(self, event: Event) -> None:
        self.heard.append(event)


def make(level: str = "") -> Journal:
    """Return a journal in the JSON format of this level, or in the text format."""
    clock = SystemClock()
    version = msgspec.structs.replace(VERSION, log_format="JSON" if level else "Text", system_log_level=level)
    return Journal(version, LogStream(Scope("123456789012", "eu-west-1"), "group", "2023/11/14/[3]abc"), Held(), clock)


def live(journal: Journal, status: str = "") -> None:
    """Let an environment be, with one invocation."""
    journal.init_started("1.0.7")
    journal.init_ended(5.0)
    journal.invoke_started("R", TRACE)
    journal.output("words\n")
    error = "Runtime.ExitError" if status == "error" else ""
    if journal.is_noted:
        spans = [Span("responseLatency", 1_700_000_000_123.9, 1.0)] if not status else []
        journal.runtime_done("R", 1.2345, 17, TRACE, spans, status, error)
    journal.invoke_ended(
        "R", duration_ms=1.2345, peak_kb=2048, init_ms=10.0, trace_header=TRACE, status=status, error_type=error
    )


def lines_of(journal: Journal) -> list[str]:
    return [text for _, text in journal.stream.pending]


def test_the_text_format() -> None:
    journal = make()
    live(journal)
    journal.init_ended(5.0, "error", "Runtime.ExitError")
    journal.extension_known("agent", "Ready", ["INVOKE", "SHUTDOWN"])
    journal.extension_known("other", "LaunchError", [], "PermissionDenied")
    journal.subscribed("agent", ["platform", "function"], to_logs=False)
    journal.subscribed("agent", ["extension"], to_logs=True)
    first, *others = lines_of(journal)
    assert first.startswith("INIT_START Runtime Version: provided:al2023.v7\tRuntime Version ARN: arn:aws:lambda:")
    assert others == [
        "START RequestId: R Version: 3\n",
        "words\n",
        "END RequestId: R\n",
        "REPORT RequestId: R\tDuration: 1.23 ms\tBilled Duration: 12 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 2 MB\tInit Duration: 10.00 ms\t\n",
        "INIT_REPORT Init Duration: 5.00 ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError\n",
        "EXTENSION\tName: agent\tState: Ready\tEvents: [INVOKE,SHUTDOWN]\n",
        "EXTENSION\tName: other\tState: LaunchError\tEvents: []\tError Type: PermissionDenied\n",
        "TELEMETRY\tName: agent\tState: Subscribed\tTypes: [Platform, Function]\n",
        "LOGS\tName: agent\tState: Subscribed\tTypes: [Extension]\n",
    ]
    assert journal.take_tail().decode() == "".join(others)


LEVELS = [
    ("DEBUG", "", ["initStart", "initRuntimeDone", "initReport", "start", "runtimeDone", "report"]),
    ("INFO", "", ["initStart", "start", "report"]),
    ("WARN", "", []),
    ("WARN", "timeout", ["runtimeDone", "report"]),
    ("WARN", "error", ["runtimeDone", "report"]),
]


@pytest.mark.parametrize(("level", "status", "kinds"), LEVELS)
def test_the_json_format_by_level(level: str, status: str, kinds: list[str]) -> None:
    journal = make(level)
    live(journal, status)
    lines = [line for line in lines_of(journal) if line != "words\n"]
    assert [json.loads(line)["type"] for line in lines] == [f"platform.{kind}" for kind in kinds]


def records(events: list[Event]) -> dict[str, Any]:
    return {event.kind.removeprefix("platform."): event.record for event in events}


def test_the_records() -> None:
    journal, listener = make(), Listener()
    journal.subscribe(listener)
    live(journal)
    told = records(listener.heard)
    version_arn = told["initStart"].pop("runtimeVersionArn")
    assert version_arn.startswith("arn:aws:lambda:eu-west-1::runtime:")
    assert told == {
        "initStart": {
            "initializationType": "on-demand",
            "phase": "init",
            "runtimeVersion": "provided:al2023.v7",
            "functionName": "notes",
            "functionVersion": "3",
            "instanceId": "2023/11/14/notes[3]abc",
            "instanceMaxMemory": 128 * 1024 * 1024,
        },
        "initRuntimeDone": {"initializationType": "on-demand", "phase": "init", "status": "success"},
        "initReport": {
            "initializationType": "on-demand",
            "phase": "init",
            "status": "success",
            "metrics": {"durationMs": 5.0},
        },
        "start": {"requestId": "R", "version": "3", "tracing": TRACING},
        "function": "words\n",
        "runtimeDone": {
            "requestId": "R",
            "status": "success",
            "spans": [{"name": "responseLatency", "start": "2023-11-14T22:13:20.123Z", "durationMs": 1.0}],
            "metrics": {"durationMs": 1.234, "producedBytes": 17},
            "tracing": TRACING,
        },
        "report": {"requestId": "R", "status": "success", "metrics": METRICS, "tracing": TRACING},
    }


def test_who_subscribes_in_time_hears_what_came_before() -> None:
    journal = make()
    journal.init_started("1.0.7")
    journal.extension_output("loading")
    assert [event.kind for event in journal.subscribe(Listener())] == ["platform.initStart", "extension"]


def test_nothing_is_kept_for_those_who_cannot_come() -> None:
    journal = make()
    for _ in range(EARLY_EVENTS_MAX + 10):
        journal.output("x")
    assert len(journal._early or ()) == EARLY_EVENTS_MAX
    journal.close_subscriptions()
    assert journal.subscribe(Listener()) == ()


def test_no_more_text_is_kept_than_there_is_room_for() -> None:
    journal = make()
    for _ in range(10):
        journal.output("x" * (EARLY_BYTES_MAX // 4))
    assert len(journal.subscribe(Listener())) == 4


def test_lines_of_json_are_told_as_objects_where_that_is_the_format() -> None:
    for level, record in (("INFO", {"a": 1}), ("", '{"a": 1}\n')):
        journal, listener = make(level), Listener()
        journal.subscribe(listener)
        journal.output('{"a": 1}\n')
        journal.output("{ no\n")
        assert [event.record for event in listener.heard] == [record, "{ no\n"]


def test_a_line_that_is_too_deep_to_be_an_object_is_told_as_text() -> None:
    journal, listener = make("INFO"), Listener()
    journal.subscribe(listener)
    line = '{"a":' * 200_000
    journal.output(line)
    assert [event.record for event in listener.heard] == [line]
