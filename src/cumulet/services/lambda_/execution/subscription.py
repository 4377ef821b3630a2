"""What an extension asks of the Telemetry API, or of the older Logs API, and the form in which each tells events. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/telemetry-api-reference.html and, for its words of refusal too,
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-logs-api.html
"""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cumulet.services.lambda_.execution.platform_events import Event

TYPES = ("platform", "function", "extension")
TELEMETRY_SCHEMAS = ("2022-07-01", "2022-12-13", "2025-01-29")
LOGS_SCHEMAS = ("2020-08-15", "2021-03-18")
SANDBOX_HOSTS = ("sandbox.localdomain", "sandbox.local", "sandbox")
LOOPBACK_HOSTS = ("localhost", "127.0.0.1")

BUFFERING = {
    "maxItems": (10_000, 1_000, 10_000),
    "maxBytes": (262_144, 262_144, 1_048_576),
    "timeoutMs": (1_000, 25, 30_000),
}
"""What is buffered unless something else is asked for, the least and the most. Documented for both APIs."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where events go: to a TCP port as lines, or with an HTTP method to a path there."""

    host: str
    """127.0.0.1, or empty for the environment's own address."""
    port: int
    method: str = ""
    path: str = "/"


@dataclass(frozen=True, slots=True)
class Subscription:
    """What an extension wants to hear, and where."""

    types: tuple[str, ...]
    destination: Destination
    schema: str
    items_max: int
    bytes_max: int
    timeout_ms: int

    @property
    def to_logs(self) -> bool:
        """Tell whether it came through the Logs API."""
        return self.schema in LOGS_SCHEMAS

    def wants(self, event: Event) -> bool:
        """Tell whether an event is of a type that was asked for."""
        return event.kind.partition(".")[0] in self.types


class Invalid(Exception):
    """This cannot be subscribed; the words say why."""


def parse(body: bytes, *, to_logs: bool) -> Subscription:
    """Return what was asked for. Raises Invalid."""
    try:
        asked = json.loads(body)
    except ValueError:
        raise Invalid("the request is not valid JSON") from None
    if not isinstance(asked, dict):
        raise Invalid("the request is not a JSON object")
    faults: list[str] = []
    schema = asked.get("schemaVersion", LOGS_SCHEMAS[0] if to_logs else "")
    if schema not in (LOGS_SCHEMAS if to_logs else TELEMETRY_SCHEMAS):
        faults.append("schemaVersion is not supported")
    types = asked.get("types")
    if not isinstance(types, list) or not types:
        faults.append("types should not be empty")
    elif wrong := [one for one in types if one not in TYPES]:
        faults.append(f"types has an unsupported value: {wrong[0]}")
    destination = _parse_destination(asked.get("destination"), faults)
    given = asked.get("buffering")
    buffering = {name: _parse_number(name, given, faults) for name in BUFFERING}
    if faults or destination is None:
        raise Invalid("; ".join(faults))
    return Subscription(
        tuple(one for one in TYPES if one in asked["types"]),
        destination,
        schema,
        buffering["maxItems"],
        buffering["maxBytes"],
        buffering["timeoutMs"],
    )


def _parse_number(name: str, given: Any, faults: list[str]) -> int:
    default, least, most = BUFFERING[name]
    if given is not None and not isinstance(given, dict):
        faults.append("buffering should be an object")
        return default
    number = (given or {}).get(name, default)
    if type(number) is not int or not least <= number <= most:
        faults.append(f"buffering.{name} should be between {least} and {most}")
    return int(number) if type(number) is int else default


def _parse_destination(given: Any, faults: list[str]) -> Destination | None:
    if not isinstance(given, dict):
        faults.append("destination is not provided")
        return None
    protocol = given.get("protocol")
    if protocol == "TCP":
        port = given.get("port")
        if type(port) is int and 0 < port < 65_536:
            return Destination("", port)
        faults.append("port is not provided")
    elif protocol == "HTTP":
        method = given.get("method", "POST")
        if method not in ("POST", "PUT"):
            faults.append("method should be POST or PUT")
        elif given.get("encoding", "JSON") != "JSON":
            faults.append("encoding should be JSON")
        else:
            return _parse_uri(given.get("URI"), method, faults)
    else:
        faults.append("protocol should be HTTP or TCP")
    return None


def _parse_uri(uri: Any, method: str, faults: list[str]) -> Destination | None:
    try:
        parts = urlsplit(uri if isinstance(uri, str) else "")
        port = parts.port
    except ValueError:
        faults.append("URI is not valid")
        return None
    if parts.scheme != "http":
        faults.append("URI scheme should be http")
    elif parts.hostname not in SANDBOX_HOSTS + LOOPBACK_HOSTS:
        faults.append(f"URI host should be {SANDBOX_HOSTS[0]}")
    elif not port:
        faults.append("URI port is not provided")
    else:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if path.isascii() and path.isprintable() and " " not in path:
            return Destination("127.0.0.1" if parts.hostname in LOOPBACK_HOSTS else "", port, method, path)
        faults.append("URI is not valid")
    return None


_OF_TELEMETRY_ALONE = (
    "platform.initStart",
    "platform.initRuntimeDone",
    "platform.initReport",
    "platform.telemetrySubscription",
)
_OF_LOGS_ALONE = ("platform.fault", "platform.logsSubscription")


def forms_of(event: Event, subscription: Subscription) -> list[Event]:
    """Return what a subscriber of this kind is told of an event: nothing, the event, or its older form."""
    if not subscription.to_logs:
        return [] if event.kind in _OF_LOGS_ALONE else [event]
    if event.kind in _OF_TELEMETRY_ALONE:
        return []
    record = event.record
    if event.kind == "platform.start" and isinstance(record, dict):
        return [_older(event, event.kind, requestId=record["requestId"], version=record["version"])]
    if event.kind == "platform.runtimeDone" and isinstance(record, dict):
        if subscription.schema == LOGS_SCHEMAS[0]:
            return []
        status = "failure" if record["status"] == "error" else record["status"]
        return [_older(event, event.kind, requestId=record["requestId"], status=status)]
    if event.kind == "platform.report" and isinstance(record, dict):
        request_id = record["requestId"]
        return [
            _older(event, "platform.end", requestId=request_id),
            _older(event, event.kind, requestId=request_id, metrics=record["metrics"]),
        ]
    return [event]


def _older(event: Event, kind: str, **record: Any) -> Event:
    return Event(kind, record, event.now_ms)
