"""All that is told about one environment: to its log, to the tail that a caller may ask for, and to its extensions.

The platform's own lines have two forms, text and JSON, and a third as events of the Telemetry API. What happens is
noted here once; nothing is rendered that nobody reads.
"""

import contextlib
import json
from collections.abc import Sequence
from typing import Protocol

from cumulet.clock import Clock
from cumulet.services.lambda_.execution import limits, platform_events, report
from cumulet.services.lambda_.execution.logs import LogShipper, LogStream, Tail
from cumulet.services.lambda_.execution.platform_events import Event, Record, Span
from cumulet.services.lambda_.execution.runtime_names import runtime_version
from cumulet.services.lambda_.records import VersionRecord
from cumulet.services.lambda_.tracing import told_segment


class Subscribers(Protocol):
    """Extensions that asked for telemetry."""

    def tell(self, event: Event) -> None:
        """Have an event sent to those who want its kind."""


class Journal:
    """What is told about one environment."""

    def __init__(
        self, version: VersionRecord, stream: LogStream, shipper: LogShipper, clock: Clock, tenant_id: str = ""
    ) -> None:
        self.stream = stream
        self.init_type = "on-demand"
        self._is_restore = False
        """Whether what is told is the restoring of a snapshot, no more the initialisation."""
        self._runtime = (version.runtime, stream.scope.region, "")
        self.phase = "init"
        """Where an initialisation takes place: `invoke` if it is tried again inside an invocation."""
        self._version = version
        self._tenant_id = tenant_id
        self._shipper = shipper
        self._clock = clock
        self._tail = Tail()
        self._json = version.log_format == "JSON"
        self._subscribers: Subscribers | None = None
        self._early: list[Event] | None = []
        self._early_bytes = 0
        """What came before anybody could subscribe; None once nobody can any more."""

    # What the function and its extensions write

    def output(self, text: str) -> None:
        """Add what the function wrote."""
        self._write(text)
        if self._subscribers is not None or self._early is not None:
            self._tell("function", text)

    def extension_output(self, text: str) -> None:
        """Add what an extension wrote."""
        self._write(text)
        if self._subscribers is not None or self._early is not None:
            self._tell("extension", text)

    def fault(self, text: str) -> None:
        """Add words of the platform's about a failure, whatever the format."""
        self._write(text)
        if self._subscribers is not None:
            self._spread(Event("platform.fault", text, self._clock.now_ms()))

    def take_tail(self) -> bytes:
        """Return the last 4 KB that came since this was last asked for."""
        return self._tail.take()

    def drop_tail(self) -> None:
        """Forget what came since the tail was last asked for."""
        self._tail.drop()

    def go_on(self, failed: "Journal") -> None:
        """Follow that of an environment whose initialisation failed: the invocation that tries again shows both."""
        self.phase = "invoke"
        self._tail = failed._tail

    # Who listens

    def subscribe(self, subscribers: Subscribers) -> Sequence[Event]:
        """Tell `subscribers` all that comes, and return what has come."""
        self._subscribers = subscribers
        return tuple(self._early or ())

    def close_subscriptions(self) -> None:
        """Nobody can subscribe any more: keep nothing for them."""
        self._early = None

    # What happens

    def init_started(self, interpreter: str, note: str = "") -> None:
        """An initialisation begins. `interpreter` is the version of what runs it: 3.11.7. `note` is our own word."""
        self._runtime = (*self._runtime[:2], interpreter)
        named = runtime_version(*self._runtime) if self._version.runtime else None
        if named is not None and not self._json:
            self._write(report.init_start_line(*self._runtime), in_tail=False)
        started = platform_events.init_start(self.init_type, self.phase, named, self._instance())
        self._note("platform.initStart", started, in_tail=False)
        if note:
            self._write(note, in_tail=False)

    def restore_started(self, interpreter: str = "") -> None:
        """A snapshot is restored; what is told of an initialisation from now on is told of that.

        `interpreter` is needed where no initialisation was told of.
        """
        self._is_restore = True
        if interpreter:
            self._runtime = (*self._runtime[:2], interpreter)
        if not self._json:
            self._write(report.init_start_line(*self._runtime, "RESTORE_START"), in_tail=False)
        named = runtime_version(*self._runtime)
        started = platform_events.restore_start(named, self._instance())
        self._note("platform.restoreStart", started, in_tail=False)

    def _instance(self) -> Record:
        version = self._version
        return platform_events.instance(version.function_name, version.version, self.stream.name, version.memory_mb)

    def init_ended(self, init_ms: float, status: str = "success", error_type: str = "") -> None:
        """An initialisation has ended."""
        if self._is_restore:
            self._restore_ended(init_ms, status, error_type)
            return
        if status != "success" and not self._json:
            self._write(report.init_report_line(init_ms, self.phase, status, error_type))
        if not self.is_noted:
            return
        failed = status != "success"
        done = platform_events.init_runtime_done(self.init_type, self.phase, status, error_type)
        # Of an initialisation that went well, the tail has no more than what the function wrote.
        self._note("platform.initRuntimeDone", done, failed=failed, in_tail=failed)
        reported = platform_events.init_report(self.init_type, self.phase, status, error_type, init_ms)
        self._note("platform.initReport", reported, failed=failed, in_tail=failed)

    def _restore_ended(self, restore_ms: float, status: str, error_type: str) -> None:
        failed = status != "success"
        if not self._json:
            told = (status, error_type) if failed else ("", "")
            self._write(report.restore_report_line(restore_ms, *told), in_tail=False)
        done = platform_events.restore_runtime_done(status, error_type)
        self._note("platform.restoreRuntimeDone", done, failed=failed)
        reported = platform_events.restore_report(status, error_type, restore_ms)
        self._note("platform.restoreReport", reported, failed=failed)

    def invoke_started(self, request_id: str, trace_header: str) -> None:
        """An invocation begins."""
        if not self._json:
            self._write(report.start_line(request_id, self._version.version))
        if self.is_noted:
            self._note(
                "platform.start",
                platform_events.start(request_id, self._version.version, trace_header, self._tenant_id),
            )

    def runtime_done(
        self,
        request_id: str,
        duration_ms: float,
        produced_bytes: int,
        trace_header: str,
        spans: Sequence[Span],
        status: str = "",
        error_type: str = "",
    ) -> None:
        """The runtime is done with an invocation; extensions may still be at work."""
        done = platform_events.runtime_done(
            request_id,
            status or "success",
            error_type,
            duration_ms,
            produced_bytes,
            trace_header,
            spans,
            self._tenant_id,
        )
        self._note("platform.runtimeDone", done, failed=bool(status))

    def invoke_ended(
        self,
        request_id: str,
        *,
        duration_ms: float,
        peak_kb: int,
        init_ms: float | None,
        trace_header: str,
        spans: Sequence[Span] = (),
        status: str = "",
        error_type: str = "",
    ) -> None:
        """An invocation has ended. `status` is empty for one that was answered."""
        memory_mb = self._version.memory_mb
        if not self._json:
            lines = report.end_lines(
                request_id,
                duration_ms=duration_ms,
                memory_mb=memory_mb,
                peak_kb=peak_kb,
                init_ms=init_ms,
                is_restore=self._is_restore,
                segment=told_segment(trace_header),
                status=status,
                error_type=error_type,
            )
            self._write(*lines)
        if self.is_noted:
            record = platform_events.report(
                request_id,
                status or "success",
                error_type,
                duration_ms=duration_ms,
                memory_mb=memory_mb,
                peak_kb=peak_kb,
                init_ms=init_ms,
                is_restore=self._is_restore,
                trace_header=trace_header,
                spans=spans,
                tenant_id=self._tenant_id,
            )
            self._note("platform.report", record, failed=bool(status))

    def extension_known(self, name: str, state: str, events: Sequence[str], error_type: str = "") -> None:
        """What became of an extension in the initialisation."""
        if not self._json:
            self._write(report.extension_line(name, state, events, error_type))
        record = platform_events.extension(name, state, events, error_type)
        self._note("platform.extension", record, failed=bool(error_type))

    def subscribed(self, name: str, types: Sequence[str], *, to_logs: bool) -> None:
        """An extension listens from now on. `to_logs`: through the older Logs API."""
        if not self._json:
            self._write(report.subscription_line("LOGS" if to_logs else "TELEMETRY", name, types))
        kind = "platform.logsSubscription" if to_logs else "platform.telemetrySubscription"
        self._note(kind, platform_events.subscription(name, types))

    def dropped(self, records: int, dropped_bytes: int, reason: str) -> None:
        """Events were lost on their way to an extension."""
        self._note("platform.logsDropped", platform_events.logs_dropped(records, dropped_bytes, reason), failed=True)

    # How it is told

    @property
    def is_noted(self) -> bool:
        """Whether anybody reads events: the log has them in the JSON format only."""
        return self._json or self._subscribers is not None or self._early is not None

    def _note(self, kind: str, record: Record, *, failed: bool = False, in_tail: bool = True) -> None:
        event = Event(kind, record, self._clock.now_ms(), failed)
        if self._json and platform_events.is_in_log(event, self._version.system_log_level):
            self._write(platform_events.render(event) + "\n", in_tail=in_tail)
        self._spread(event)

    def _tell(self, kind: str, text: str) -> None:
        record: Record | str = text
        if self._json and text.startswith("{"):
            # Of a function whose log format is JSON, a line that is an object is told as one.
            with contextlib.suppress(ValueError, RecursionError):
                record = json.loads(text)
        self._spread(Event(kind, record, self._clock.now_ms()))

    def _spread(self, event: Event) -> None:
        if self._early is not None and len(self._early) < limits.EARLY_EVENTS_MAX:
            self._early_bytes += len(event.record) if isinstance(event.record, str) else 0
            if self._early_bytes <= limits.EARLY_BYTES_MAX:
                self._early.append(event)
        if self._subscribers is not None:
            self._subscribers.tell(event)

    def _write(self, *texts: str, in_tail: bool = True) -> None:
        self._shipper.add(self.stream, self._clock.now_ms(), *texts)
        if in_tail:
            for text in texts:
                self._tail.add(text)
