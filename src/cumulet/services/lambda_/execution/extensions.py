"""The extensions of one environment: who has registered, who is at rest, and what each is told.

The Extensions API: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html. Its errors are those of
AWS's own supervisor. External extensions are processes that run before the runtime; internal ones register from within
it, until it asks for its first event. An environment has an object of this kind from the first request on that is not
the Runtime API's; most never have one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.execution.extension import Connection, Event, Extension, State, TransitionRefused
from cumulet.services.lambda_.execution.responses import (
    ACCEPTED,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    render_failure,
    render_response,
)

EXTENSIONS_PREFIX = b"/2020-01-01/extension/"
SUBSCRIPTION_PATHS = {b"/2022-07-01/telemetry": False, b"/2020-08-15/logs": True}
"""Where an extension asks for telemetry; True is the older Logs API."""

EVENTS = ("INVOKE", "SHUTDOWN")
UUID_CHARS = 36


@dataclass(frozen=True, slots=True)
class Function:
    """What an extension is told about the function when it registers."""

    name: str
    version: str
    handler: str
    account: str


class Listener(Protocol):
    """Who is told what becomes of the extensions."""

    def on_extension_registered(self) -> None:
        """One more has registered."""

    def on_extension_rested(self) -> None:
        """One has asked for its next event."""

    def on_extension_failed(self, error_type: str) -> None:
        """One has said that it will end with an error."""

    def on_subscription(self, extension: str, body: bytes, *, to_logs: bool) -> bytes:
        """One asks for telemetry; return the response."""


class Extensions:
    """Those of one environment."""

    def __init__(self, listener: Listener, function: Function, new_id: Callable[[], str], names: Sequence[str]) -> None:
        """`names`: the files in /opt/extensions, which must all register."""
        self._listener = listener
        self._function = function
        self._new_id = new_id
        self.known = [Extension(new_id(), name, is_external=True) for name in names]
        self.registration_is_open = True
        """Until the runtime asks for its first event."""
        self.subscription_is_open = True
        """Until the initialisation is over."""

    # What the environment asks

    def are_registered(self) -> bool:
        """Tell whether every external one has registered, so that the runtime may start."""
        return all(one.state is not State.STARTED for one in self.known)

    def are_at_rest(self) -> bool:
        """Tell whether all wait for their next event."""
        return all(one.state is State.READY for one in self.known)

    def have_external(self) -> bool:
        """Tell whether any has registered that is a process of its own."""
        return any(one.is_external and one.state is not State.STARTED for one in self.known)

    def have_internal(self) -> bool:
        """Tell whether any has registered from within the runtime."""
        return any(not one.is_external for one in self.known)

    def have_shut_down(self) -> bool:
        """Tell whether none is left that was to end by itself."""
        return all(one.state is State.EXITED for one in self.known if "SHUTDOWN" in one.events)

    # What the environment tells

    def invoke(self, *, deadline_ms: int, request_id: str, invoked_arn: str, trace_header: str) -> None:
        """Send an INVOKE event to those who registered for it."""
        event = {
            "eventType": "INVOKE",
            "deadlineMs": deadline_ms,
            "requestId": request_id,
            "invokedFunctionArn": invoked_arn,
            "tracing": {"type": "X-Amzn-Trace-Id", "value": trace_header},
        }
        for one in self.known:
            if "INVOKE" in one.events and one.state is State.READY:
                self._give(one, event)

    def shut_down(self, reason: str, deadline_ms: int) -> None:
        """Send a SHUTDOWN event to those who registered for it; who is busy gets it when it asks."""
        event = {"eventType": "SHUTDOWN", "deadlineMs": deadline_ms, "shutdownReason": reason}
        for one in self.known:
            if "SHUTDOWN" in one.events:
                if one.state is State.READY:
                    self._give(one, event)
                else:
                    one.undelivered = self._render(event)

    def ended(self, name: str, refused: str) -> Extension:
        """Note that the process of an external one is gone, or was `refused` its start, and return it."""
        one = next(one for one in self.known if one.is_external and one.name == name)
        one.waiting = None  # its connection may be heard of later
        if refused:
            one.step(Event.NOT_LAUNCHED)
            one.error_type = "PermissionDenied" if refused.endswith("permission denied") else "UnknownError"
        elif one.state is not State.LAUNCH_ERROR:
            one.step(Event.ENDED)
        return one

    def _give(self, one: Extension, event: Mapping[str, Any]) -> None:
        one.step(Event.GIVEN)
        if one.waiting is None:
            one.undelivered = self._render(event)
        else:
            one.waiting.send(self._render(event))
            one.waiting = None

    def _render(self, event: Mapping[str, Any]) -> bytes:
        return render_response("200 OK", event, f"Lambda-Extension-Event-Identifier: {self._new_id()}\r\n")

    # What extensions ask

    def forget(self, connection: object) -> None:
        """A connection is gone."""
        for one in self.known:
            if one.waiting is connection:
                one.waiting = None

    def handle(
        self, connection: Connection, method: bytes, path: bytes, body: bytes | None, headers: Mapping[bytes, str]
    ) -> bytes:
        """Return the response to one request; empty if it comes later."""
        to_logs = SUBSCRIPTION_PATHS.get(path)
        if to_logs is None and not path.startswith(EXTENSIONS_PREFIX):
            return NOT_FOUND
        action = b"subscribe" if to_logs is not None else path[len(EXTENSIONS_PREFIX) :]
        if (wanted := _METHODS.get(action)) is None:
            return NOT_FOUND
        if method != wanted:
            return METHOD_NOT_ALLOWED
        if action == b"register":
            return self._register(headers, body or b"")
        found = self._find(headers)
        if isinstance(found, bytes):
            return found
        if action == b"event/next":
            return self._next(found, connection)
        if to_logs is None:
            return self._error(found, headers, Event.INIT_FAILED if action == b"init/error" else Event.FAILED)
        if not self.subscription_is_open:
            service = "Logs" if to_logs else "Telemetry"
            return render_failure(f"{service}.SubscriptionClosed", f"{service} API subscription is closed already")
        return self._listener.on_subscription(found.name, body or b"", to_logs=to_logs)

    def _find(self, headers: Mapping[bytes, str]) -> Extension | bytes:
        identifier = headers.get(b"lambda-extension-identifier", "")
        if not identifier:
            return render_failure("Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header")
        if len(identifier) != UUID_CHARS:
            return render_failure("Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier")
        for one in self.known:
            if one.id == identifier:
                return one
        return render_failure("Extension.UnknownExtensionIdentifier", f"Unknown extension {identifier}")

    def _register(self, headers: Mapping[bytes, str], body: bytes) -> bytes:
        name = headers.get(b"lambda-extension-name", "")
        if not name:
            return render_failure("Extension.InvalidExtensionName", "Empty extension name")
        try:
            registration = _REGISTRATION.decode(body)
        except msgspec.DecodeError as wrong:
            return render_failure("InvalidRequestFormat", str(wrong))
        if registration.configuration_keys:
            return render_failure(
                "InvalidRequestFormat", "configurationKeys are deprecated; use environment variables instead"
            )
        one = next((one for one in self.known if one.is_external and one.name == name), None)
        events = tuple(registration.events or ())
        for event in events:
            if event not in EVENTS:
                return render_failure("Extension.InvalidEventType", f"{event}: ErrorInvalidEventType")
            if one is None and event == "SHUTDOWN":
                return render_failure(
                    "Extension.InvalidEventType", f"{event}: ShutdownEventNotSupportedForInternalExtension"
                )
        if one is None:
            if not self.registration_is_open:
                return render_failure("Extension.RegistrationClosed", "Extension registration closed already")
            if any(other.name == name for other in self.known):
                return render_failure("Extension.InvalidExtensionState", "Extension with this name already registered")
            if len(self.known) >= limits.EXTENSIONS_MAX:
                return render_failure(
                    "Extension.TooManyExtensions", f"Extension limit ({limits.EXTENSIONS_MAX}) reached"
                )
            one = Extension(self._new_id(), name, is_external=False)
            self.known.append(one)
        try:
            one.step(Event.REGISTERED)
        except TransitionRefused:
            return _refuse(one, one.name, Event.REGISTERED)
        one.events = tuple(sorted(set(events)))
        self._listener.on_extension_registered()
        told = {
            "functionName": self._function.name,
            "functionVersion": self._function.version,
            "handler": self._function.handler,
        }
        features = headers.get(b"lambda-extension-accept-feature", "").split(",")
        if "accountId" in (feature.strip() for feature in features):
            told["accountId"] = self._function.account
        return render_response("200 OK", told, f"Lambda-Extension-Identifier: {one.id}\r\n")

    def _next(self, one: Extension, connection: Connection) -> bytes:
        if one.state is State.RUNNING and one.undelivered is not None:
            return one.take_undelivered()
        is_back = one.state is State.READY and one.waiting is None  # its connection broke
        if not is_back:
            try:
                one.step(Event.RESTED)
            except TransitionRefused:
                return _refuse(one, one.id, Event.RESTED)
        if one.undelivered is not None:
            one.step(Event.GIVEN)
            return one.take_undelivered()
        one.waiting = connection
        self._listener.on_extension_rested()
        return b""

    def _error(self, one: Extension, headers: Mapping[bytes, str], event: Event) -> bytes:
        error_type = headers.get(b"lambda-extension-function-error-type", "")
        if not error_type:
            return render_failure("Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found")
        try:
            one.step(event)
        except TransitionRefused:
            return _refuse(one, one.id, event)
        one.error_type = error_type
        one.waiting = None
        self._listener.on_extension_failed(
            "Extension.InitError" if event is Event.INIT_FAILED else "Extension.ExitError"
        )
        return ACCEPTED


class _Registration(msgspec.Struct):
    events: list[str] | None = None
    configuration_keys: list[str] | None = msgspec.field(default=None, name="configurationKeys")


_REGISTRATION = msgspec.json.Decoder(_Registration)
_METHODS = {
    b"register": b"POST",
    b"event/next": b"GET",
    b"init/error": b"POST",
    b"exit/error": b"POST",
    b"subscribe": b"PUT",
}


def _refuse(one: Extension, called: str, event: Event) -> bytes:
    return render_failure(
        "Extension.InvalidExtensionState",
        f"State transition from {one.state.value} to {event.value} failed for extension {called}. "
        "Error: State transition is not allowed",
    )
