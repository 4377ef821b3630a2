"""The invocation that an environment has in hand: its answer, whole or piece by piece, its times, and its report.

It has three ends, in this order: the answer goes to the caller, the runtime asks for more, and all is at rest, when its
report is written. Without extensions they are one, and the report comes first, so that the caller's tail has it.
"""

import asyncio
from collections.abc import Callable

import msgspec

from cumulet.clock import Clock
from cumulet.scope import Scope
from cumulet.services.lambda_.execution.journal import Journal
from cumulet.services.lambda_.execution.platform_events import Span
from cumulet.services.lambda_.execution.streaming import Gathered
from cumulet.services.lambda_.records import Invocation, InvocationResult, Reader, VersionRecord


class Job(msgspec.Struct, eq=False):
    """One invocation, until it is over."""

    id: int
    scope: Scope
    version: VersionRecord
    invocation: Invocation
    result: asyncio.Future[InvocationResult]
    trace_header: str
    on_over: Callable[[], None]
    """Called once, when it takes up no environment any more: after its result, if extensions still work on it."""
    is_over: bool = False

    def end(self) -> None:
        """It is over."""
        if not self.is_over:
            self.is_over = True
            self.on_over()

    def finish(self, result: InvocationResult) -> None:
        """Hand the result over, unless the caller has gone."""
        if not self.result.done():
            self.result.set_result(result)
        if self.invocation.sink is not None:
            self.invocation.sink.end()

    def fail(self, error: Exception) -> None:
        """Hand over that there will be no result."""
        self.end()
        if not self.result.done():
            self.result.set_exception(error)
        if self.invocation.sink is not None:
            self.invocation.sink.end()


class InHand:
    """One invocation inside one environment."""

    def __init__(self, job: Job, journal: Journal, clock: Clock, delay_s: float) -> None:
        """`delay_s`: what of its time an initialisation has taken."""
        self.job = job
        self.request_id = job.invocation.request_id
        self.is_answered = False
        self._journal = journal
        self._clock = clock
        self._began_s = clock.monotonic_s() - delay_s
        self._answering_ms: float | None = None
        self._answered_ms = 0.0
        self._produced_bytes = 0
        self._is_runtime_done = False
        self._rested_ms: float | None = None
        """When the runtime rested, while extensions were still at work."""
        self._gathered: Gathered | None = None

    def lasted_ms(self) -> float:
        """Return how long it has been in hand."""
        return (self._clock.monotonic_s() - self._began_s) * 1000

    # The answer

    def begin_stream(self, content_type: str, reader: Reader) -> None:
        """The runtime begins to answer piece by piece."""
        self._answering_ms = self.lasted_ms()
        sink = self.job.invocation.sink
        if sink is None:
            self._gathered = Gathered()
        else:
            sink.begin(content_type, self.job.version.version, reader)

    def feed(self, piece: bytes) -> bool:
        """Take a piece; return whether the answer may be so long."""
        self._produced_bytes += len(piece)
        sink = self.job.invocation.sink
        if sink is not None:
            return sink.feed(piece)
        if self._gathered is not None:
            self._gathered.feed(piece)
        return True

    def take_stream(self) -> bytes | None:
        """Return what came, if the caller wants it whole, else nothing; None if it is too large."""
        return b"" if self._gathered is None else self._gathered.take()

    def note_answer(self, payload: bytes) -> None:
        """The runtime has answered."""
        self.is_answered = True
        self._answered_ms = self.lasted_ms()
        if self._answering_ms is None:
            self._answering_ms = self._answered_ms
            self._produced_bytes = len(payload)

    def hand_over(self, payload: bytes, *, failed: bool) -> None:
        """Give the caller the answer."""
        tail = b""
        if self.job.invocation.wants_tail:
            tail = self._journal.take_tail()
        else:
            self._journal.drop_tail()
        self.job.finish(InvocationResult(payload, "Unhandled" if failed else None, tail, self.job.version.version))

    # What is told

    def note_runtime_done(
        self, duration_ms: float, status: str = "", error_type: str = "", *, rests: bool = False
    ) -> None:
        """The runtime is done, with success if there is no status; `rests`: and has asked for more."""
        if self._is_runtime_done or not self._journal.is_noted:
            return
        self._is_runtime_done = True
        if rests:
            self._rested_ms = duration_ms
        self._journal.runtime_done(
            self.request_id,
            duration_ms,
            self._produced_bytes,
            self.job.trace_header,
            self._spans(rests=rests),
            status,
            error_type,
        )

    def _spans(self, *, rests: bool) -> list[Span]:
        if self._answering_ms is None or not self.is_answered:
            return []
        lasted_ms = self.lasted_ms()
        began_ms = self._clock.now_ms() - lasted_ms
        spans = [
            Span("responseLatency", began_ms, self._answering_ms),
            Span("responseDuration", began_ms + self._answering_ms, self._answered_ms - self._answering_ms),
        ]
        if rests:
            spans.append(Span("runtimeOverhead", began_ms + self._answered_ms, lasted_ms - self._answered_ms))
        return spans

    def report(
        self, duration_ms: float, peak_kb: int, init_ms: float | None, status: str = "", error_type: str = ""
    ) -> None:
        """All is over."""
        self.note_runtime_done(duration_ms, status, error_type)
        self.job.end()
        self._journal.invoke_ended(
            self.request_id,
            duration_ms=duration_ms,
            peak_kb=peak_kb,
            init_ms=init_ms,
            trace_header=self.job.trace_header,
            spans=self._overhead(duration_ms),
            status=status,
            error_type=error_type,
        )

    def _overhead(self, duration_ms: float) -> list[Span]:
        if self._rested_ms is None:
            return []
        rested_at_ms = self._clock.now_ms() - duration_ms + self._rested_ms
        return [Span("extensionOverhead", rested_at_ms, duration_ms - self._rested_ms)]
