"""What extensions may ask of the Telemetry and the Logs API, and what each is told."""

import json
from typing import Any

import pytest

from cumulet.services.lambda_.execution.platform_events import Event
from cumulet.services.lambda_.execution.subscription import (
    Destination,
    Invalid,
    Subscription,
    forms_of,
    parse,
)

HTTP = {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/logs?a=1"}
ASKED = {"schemaVersion": "2022-12-13", "types": ["function", "platform"], "destination": HTTP}


def test_what_is_asked_for() -> None:
    assert parse(json.dumps(ASKED).encode(), to_logs=False) == Subscription(
        ("platform", "function"), Destination("", 8080, "POST", "/logs?a=1"), "2022-12-13", 10_000, 262_144, 1_000
    )
    buffering = {"maxItems": 1_000, "maxBytes": 1_048_576, "timeoutMs": 25}
    tcp = parse(
        json.dumps({**ASKED, "destination": {"protocol": "TCP", "port": 9}, "buffering": buffering}).encode(),
        to_logs=False,
    )
    assert (tcp.destination, tcp.items_max, tcp.bytes_max, tcp.timeout_ms) == (Destination("", 9), 1_000, 1_048_576, 25)
    older = parse(json.dumps({"types": ["platform"], "destination": {**HTTP, "method": "PUT"}}).encode(), to_logs=True)
    assert (older.schema, older.to_logs, older.destination.method) == ("2020-08-15", True, "PUT")


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("sandbox.localdomain", ""),
        ("sandbox.local", ""),
        ("sandbox", ""),
        ("localhost", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_hosts(host: str, found: str) -> None:
    asked = {**ASKED, "destination": {"protocol": "HTTP", "URI": f"http://{host}:80"}}
    assert parse(json.dumps(asked).encode(), to_logs=False).destination == Destination(found, 80, "POST", "/")


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"schemaVersion": "2020-08-15"}, "schemaVersion is not supported"),
    ({"types": []}, "types should not be empty"),
    ({"types": ["metrics"]}, "types has an unsupported value: metrics"),
    ({"destination": None}, "destination is not provided"),
    ({"destination": {"protocol": "UDP"}}, "protocol should be HTTP or TCP"),
    ({"destination": {"protocol": "TCP"}}, "port is not provided"),
    ({"destination": {**HTTP, "URI": "http://sandbox.localdomain"}}, "URI port is not provided"),
    ({"destination": {**HTTP, "URI": "https://sandbox.localdomain:1"}}, "URI scheme should be http"),
    ({"destination": {**HTTP, "URI": "http://example.com:1"}}, "URI host should be sandbox.localdomain"),
    ({"destination": {**HTTP, "URI": "http://sandbox:port"}}, "URI is not valid"),
    ({"destination": {**HTTP, "URI": "http://sandbox:1/a b"}}, "URI is not valid"),
    ({"destination": {**HTTP, "method": "GET"}}, "method should be POST or PUT"),
    ({"destination": {**HTTP, "encoding": "XML"}}, "encoding should be JSON"),
    ({"buffering": {"maxItems": 1}}, "buffering.maxItems should be between 1000 and 10000"),
    ({"buffering": {"timeoutMs": True}}, "buffering.timeoutMs should be between 25 and 30000"),
    (
        {"types": [], "destination": {**HTTP, "URI": "http://sandbox.localdomain"}},
        "types should not be empty; URI port is not provided",
    ),
]


@pytest.mark.parametrize(("change", "words"), FAULTS, ids=[words for _, words in FAULTS])
def test_what_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid) as raised:
        parse(json.dumps({**ASKED, **change}).encode(), to_logs=False)
    assert str(raised.value) == words


@pytest.mark.parametrize("body", [b"{", b"[]", b""])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        parse(body, to_logs=False)


def subscription(schema: str) -> Subscription:
    return Subscription(("platform",), Destination("", 1), schema, 1_000, 262_144, 25)


START = Event("platform.start", {"requestId": "R", "version": "1", "tracing": {}}, 7)
DONE = Event("platform.runtimeDone", {"requestId": "R", "status": "error", "metrics": {}}, 7)
REPORT = Event("platform.report", {"requestId": "R", "status": "success", "metrics": {"durationMs": 1.0}}, 7)
INIT = Event("platform.initStart", {"phase": "init"}, 7)
FAULT = Event("platform.fault", "words", 7)
FORMS: list[tuple[str, Event, list[tuple[str, Any]]]] = [
    ("2025-01-29", START, [("platform.start", START.record)]),
    ("2022-07-01", FAULT, []),
    ("2020-08-15", START, [("platform.start", {"requestId": "R", "version": "1"})]),
    ("2020-08-15", DONE, []),
    ("2021-03-18", DONE, [("platform.runtimeDone", {"requestId": "R", "status": "failure"})]),
    (
        "2020-08-15",
        REPORT,
        [
            ("platform.end", {"requestId": "R"}),
            ("platform.report", {"requestId": "R", "metrics": {"durationMs": 1.0}}),
        ],
    ),
    ("2020-08-15", INIT, []),
    ("2020-08-15", FAULT, [("platform.fault", "words")]),
]


@pytest.mark.parametrize(("schema", "event", "told"), FORMS)
def test_forms(schema: str, event: Event, told: list[tuple[str, Any]]) -> None:
    assert [(form.kind, form.record) for form in forms_of(event, subscription(schema))] == told


def test_types() -> None:
    asked = subscription("2025-01-29")
    assert asked.wants(START)
    assert not asked.wants(Event("function", "words", 7))
