"""The Extensions API, request by request."""

import json
from itertools import count
from typing import Any

import pytest

from cumulet.services.lambda_.execution.extension import State
from cumulet.services.lambda_.execution.extensions import Extensions, Function

FUNCTION = Function("notes", "3", "app.handler", "123456789012")
AGENT, SCOUT = "00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000001"
BOTH = b'{"events": ["INVOKE", "SHUTDOWN"]}'


class Line:
    """A connection that keeps what it was sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)


def parse(response: bytes) -> tuple[int, dict[str, str], Any]:
    head, _, body = response.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    try:
        return int(status.split()[1]), headers, json.loads(body or b"null")
    except ValueError:
        return int(status.split()[1]), headers, body


class Bench:
    """The extensions of an environment with the external ones `agent` and `scout`."""

    def __init__(self, *names: str) -> None:
        self.told: list[str] = []
        numbers = count()
        self.extensions = Extensions(
            self, FUNCTION, lambda: f"00000000-0000-0000-0000-{next(numbers):012}", names or ("agent", "scout")
        )

    def on_extension_registered(self) -> None:
        self.told.append("registered")

    def on_extension_rested(self) -> None:
        self.told.append("rested")

    def on_extension_failed(self, error_type: str) -> None:
        self.told.append(error_type)

    def on_subscription(self, extension: str, body: bytes, *, to_logs: bool) -> bytes:
        self.told.append(f"{extension} subscribes {body.decode()} {to_logs}")
        return b"HTTP/1.1 200 OK\r\n\r\n"

    def ask(
        self, method: str, path: str, body: bytes = b"", line: Line | None = None, **headers: str
    ) -> tuple[int, dict[str, str], Any] | None:
        """Return the response, or None if it comes later."""
        named = {f"lambda-extension-{name.replace('_', '-')}".encode(): value for name, value in headers.items()}
        response = self.extensions.handle(line or Line(), method.encode(), path.encode(), body, named)
        return parse(response) if response else None

    def register(self, name: str, body: bytes = BOTH, **headers: str) -> Any:
        return self.ask("POST", "/2020-01-01/extension/register", body, name=name, **headers)

    def next(self, identifier: str, line: Line | None = None) -> Any:
        return self.ask("GET", "/2020-01-01/extension/event/next", line=line, identifier=identifier)

    def fail(self, identifier: str, action: str, error_type: str = "agent.Broken") -> Any:
        path = f"/2020-01-01/extension/{action}/error"
        return self.ask("POST", path, identifier=identifier, function_error_type=error_type)

    def invoke(self) -> None:
        self.extensions.invoke(deadline_ms=5, request_id="R", invoked_arn="arn", trace_header="Root=1")


def test_registration() -> None:
    bench = Bench()
    status, headers, body = bench.register("agent")
    assert (status, headers["Lambda-Extension-Identifier"]) == (200, AGENT)
    assert body == {"functionName": "notes", "functionVersion": "3", "handler": "app.handler"}
    assert not bench.extensions.are_registered()
    _, _, body = bench.register("scout", b'{"events": []}', accept_feature="other, accountId")
    assert body["accountId"] == "123456789012"
    assert bench.extensions.are_registered()
    assert not bench.extensions.are_at_rest()
    assert [(one.name, one.events) for one in bench.extensions.known] == [
        ("agent", ("INVOKE", "SHUTDOWN")),
        ("scout", ()),
    ]


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("no name", {"name": ""}, "Extension.InvalidExtensionName", "Empty extension name"),
    (
        "another event",
        {"name": "agent", "body": b'{"events": ["INVOKED"]}'},
        "Extension.InvalidEventType",
        "INVOKED: ErrorInvalidEventType",
    ),
    (
        "an internal one that wants to hear of the end",
        {"name": "inner", "body": BOTH},
        "Extension.InvalidEventType",
        "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension",
    ),
    (
        "no JSON",
        {"name": "agent", "body": b"{"},
        "InvalidRequestFormat",
        "Input data was truncated",
    ),
    (
        "keys",
        {"name": "agent", "body": b'{"configurationKeys": ["a"]}'},
        "InvalidRequestFormat",
        "configurationKeys are deprecated; use environment variables instead",
    ),
]


@pytest.mark.parametrize(
    ("given", "error_type", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_registrations_that_are_refused(given: dict[str, Any], error_type: str, words: str) -> None:
    status, _, body = Bench().register(**given)
    assert (status, body) == (403, {"errorMessage": words, "errorType": error_type})


def test_nobody_registers_twice_or_late() -> None:
    bench = Bench()
    bench.register("agent")
    assert bench.register("agent")[2] == {
        "errorMessage": "State transition from Registered to Registered failed for extension agent. "
        "Error: State transition is not allowed",
        "errorType": "Extension.InvalidExtensionState",
    }
    assert bench.register("inner", b"{}")[0] == 200
    assert bench.register("inner", b"{}")[2]["errorMessage"] == "Extension with this name already registered"
    bench.extensions.registration_is_open = False
    assert bench.register("late", b"{}")[2] == {
        "errorMessage": "Extension registration closed already",
        "errorType": "Extension.RegistrationClosed",
    }


def test_no_more_than_ten() -> None:
    bench = Bench("agent")
    for number in range(9):
        assert bench.register(f"inner-{number}", b"{}")[0] == 200
    assert bench.register("inner-9", b"{}")[2] == {
        "errorMessage": "Extension limit (10) reached",
        "errorType": "Extension.TooManyExtensions",
    }


IDENTIFIERS = [
    ("", "Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header"),
    ("me", "Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier"),
    (AGENT[:-1] + "9", "Extension.UnknownExtensionIdentifier", f"Unknown extension {AGENT[:-1]}9"),
]


@pytest.mark.parametrize("path", ["GET event/next", "POST init/error", "POST exit/error", "telemetry", "logs"])
@pytest.mark.parametrize(("identifier", "error_type", "words"), IDENTIFIERS)
def test_who_is_not_known_is_refused(path: str, identifier: str, error_type: str, words: str) -> None:
    method, _, action = path.rpartition(" ")
    full = {"telemetry": "/2022-07-01/telemetry", "logs": "/2020-08-15/logs"}.get(
        action, f"/2020-01-01/extension/{action}"
    )
    answer = Bench().ask(method or "PUT", full, identifier=identifier)
    assert answer is not None
    assert (answer[0], answer[2]) == (403, {"errorMessage": words, "errorType": error_type})


PATHS = [
    ("GET", "/2020-01-01/extension/other", 404),
    ("POST", "/2020-01-01/other", 404),
    ("GET", "/2020-01-01/extension/register", 405),
    ("POST", "/2022-07-01/telemetry", 405),
]


@pytest.mark.parametrize(("method", "path", "status"), PATHS)
def test_other_paths_and_methods(method: str, path: str, status: int) -> None:
    answer = Bench().ask(method, path, identifier=AGENT)
    assert answer is not None
    assert answer[0] == status


def at_rest(*events: bytes) -> tuple[Bench, Line, Line]:
    """Return a bench whose two extensions wait for their first event."""
    bench, agent, scout = Bench(), Line(), Line()
    bench.register("agent", events[0] if events else BOTH)
    bench.register("scout", events[1] if events else BOTH)
    assert bench.next(AGENT, agent) is None
    assert not bench.extensions.are_at_rest()
    assert bench.next(SCOUT, scout) is None
    assert bench.extensions.are_at_rest()
    return bench, agent, scout


def test_an_invocation_is_told_to_those_who_want_it() -> None:
    bench, agent, scout = at_rest(BOTH, b'{"events": ["SHUTDOWN"]}')
    bench.invoke()
    status, headers, body = parse(agent.sent[0])
    assert status == 200
    assert len(headers["Lambda-Extension-Event-Identifier"]) == 36
    assert body == {
        "eventType": "INVOKE",
        "deadlineMs": 5,
        "requestId": "R",
        "invokedFunctionArn": "arn",
        "tracing": {"type": "X-Amzn-Trace-Id", "value": "Root=1"},
    }
    assert scout.sent == []
    assert not bench.extensions.are_at_rest()
    assert bench.next(AGENT, agent) is None
    assert bench.extensions.are_at_rest()


def test_a_broken_connection_loses_no_event() -> None:
    bench, agent, _ = at_rest()
    bench.extensions.forget(agent)
    bench.invoke()
    assert bench.next(AGENT)[2]["eventType"] == "INVOKE"
    bench.next(AGENT, agent)
    bench.extensions.forget(agent)
    assert bench.next(AGENT, agent) is None  # it comes back and waits
    bench.invoke()
    assert parse(agent.sent[-1])[2]["eventType"] == "INVOKE"


def test_who_waits_already_may_not_ask_again() -> None:
    bench, _, _ = at_rest()
    assert bench.next(AGENT)[2] == {
        "errorMessage": f"State transition from Ready to Ready failed for extension {AGENT}. "
        "Error: State transition is not allowed",
        "errorType": "Extension.InvalidExtensionState",
    }


def test_the_end_is_told_to_those_who_want_it() -> None:
    bench, agent, scout = at_rest(BOTH, b'{"events": ["INVOKE"]}')
    bench.extensions.shut_down("spindown", 7)
    assert parse(agent.sent[0])[2] == {"eventType": "SHUTDOWN", "deadlineMs": 7, "shutdownReason": "spindown"}
    assert scout.sent == []
    assert not bench.extensions.have_shut_down()
    bench.extensions.ended("agent", "")
    assert bench.extensions.have_shut_down()


def test_who_is_busy_hears_of_the_end_when_it_asks() -> None:
    bench, _, _ = at_rest()
    bench.invoke()
    bench.extensions.shut_down("timeout", 7)
    assert bench.next(AGENT)[2]["shutdownReason"] == "timeout"
    unready = Bench()
    unready.register("agent")
    unready.extensions.shut_down("failure", 7)
    assert unready.next(AGENT)[2]["shutdownReason"] == "failure"


def test_errors_that_extensions_tell() -> None:
    bench = Bench()
    bench.register("agent")
    assert bench.fail(AGENT, "init", "")[2] == {
        "errorMessage": "Lambda-Extension-Function-Error-Type not found",
        "errorType": "Extension.MissingHeader",
    }
    status, _, body = bench.fail(AGENT, "init")
    assert (status, body) == (202, {"status": "OK"})
    assert bench.fail(SCOUT, "exit")[2]["errorMessage"] == (
        f"State transition from Started to Exited failed for extension {SCOUT}. Error: State transition is not allowed"
    )
    other, _, _ = at_rest()
    assert other.fail(AGENT, "exit")[0] == 202
    assert (bench.told[-1], other.told[-1]) == ("Extension.InitError", "Extension.ExitError")
    assert [one.error_type for one in other.extensions.known] == ["agent.Broken", ""]


@pytest.mark.parametrize(
    ("words", "state", "error_type"),
    [
        ("", State.EXITED, ""),
        ("fork/exec /opt/extensions/agent: permission denied", State.LAUNCH_ERROR, "PermissionDenied"),
        ("fork/exec /opt/extensions/agent: exec format error", State.LAUNCH_ERROR, "UnknownError"),
    ],
)
def test_how_a_process_ended(words: str, state: State, error_type: str) -> None:
    one = Bench().extensions.ended("agent", words)
    assert (one.state, one.error_type) == (state, error_type)


def test_subscriptions_are_handed_on_until_they_are_closed() -> None:
    bench = Bench()
    bench.register("agent")
    bench.ask("PUT", "/2022-07-01/telemetry", b"{}", identifier=AGENT)
    bench.ask("PUT", "/2020-08-15/logs", b"[]", identifier=AGENT)
    assert bench.told[1:] == ["agent subscribes {} False", "agent subscribes [] True"]
    bench.extensions.subscription_is_open = False
    for path, kind in (("/2022-07-01/telemetry", "Telemetry"), ("/2020-08-15/logs", "Logs")):
        answer = bench.ask("PUT", path, b"{}", identifier=AGENT)
        assert answer is not None
        assert answer[2]["errorType"] == f"{kind}.SubscriptionClosed"
