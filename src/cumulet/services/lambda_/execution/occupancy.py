"""One live environment: its processes, its Runtime API, its log, and the invocation it has in hand.

It performs what it is told and reports three things upwards: it polls, its invocation is answered, it is dead. What to
do about that is the supervisor's business. With extensions an invocation lasts until they are done too: its caller has
the answer by then, its report waits.
"""

import asyncio
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cumulet.clock import Clock
from cumulet.services.lambda_.execution import limits, report
from cumulet.services.lambda_.execution.environment import ALIVE, Event, State, next_state
from cumulet.services.lambda_.execution.extension import Connection
from cumulet.services.lambda_.execution.extension_host import ExtensionHost, own_address
from cumulet.services.lambda_.execution.farewell import Farewell, Reason
from cumulet.services.lambda_.execution.fleet import Member
from cumulet.services.lambda_.execution.in_hand import InHand, Job
from cumulet.services.lambda_.execution.journal import Journal
from cumulet.services.lambda_.execution.logs import LogShipper, LogStream, Output
from cumulet.services.lambda_.execution.preparation import Prepared
from cumulet.services.lambda_.execution.runtime_api import Delivery, RuntimeApi
from cumulet.services.lambda_.execution.sandbox.process import Sandbox
from cumulet.services.lambda_.records import Reader, VersionRecord

ON_DEMAND = "on-demand"
PROVISIONED = "provisioned-concurrency"
SNAP_START = "snap-start"
"""Why an environment is initialised, in AWS's words."""

OUT_OF_MEMORY = "Runtime.OutOfMemory"


class Keeper(Protocol):
    """Who is told what becomes of an environment."""

    def on_ready(self, environment: "Environment") -> None:
        """It can take an invocation."""

    def on_suspended(self, environment: "Environment") -> None:
        """It is initialised as for a snapshot, and can be restored."""

    def on_dead(self, environment: "Environment") -> None:
        """Nothing is left of it."""


@dataclass(slots=True)
class InitFailure:
    """Why an environment never became ready: the answer for the invocation that it was started for."""

    payload: Callable[[str], bytes]
    status: str
    error_type: str
    init_ms: float
    words: str = ""


class Environment:
    """One execution environment."""

    def __init__(
        self,
        number: int,
        slot: int,
        version: VersionRecord,
        stream: LogStream,
        keeper: Keeper,
        shipper: LogShipper,
        clock: Clock,
        new_id: Callable[[], str],
        *,
        tenant_id: str = "",
        retried: "Environment | None" = None,
        init_type: str = ON_DEMAND,
        is_snapshot: bool = False,
    ) -> None:
        """`tenant_id`: for whom alone it is; empty if it is for all.

        `retried`: one whose initialisation failed; this one tries again, in the time of an invocation.

        `is_snapshot`: it is not to serve, but to be copied.
        """
        self.number = number
        self.slot = slot
        self.version = version
        self.revision_id = version.revision_id
        self.stream = stream
        self.inside_invoke = retried is not None
        self.init_type = init_type
        self.state = State.STARTING
        self.last_used_s = clock.monotonic_s()
        self.init_failure: InitFailure | None = None
        self._expires_s = math.inf
        self._keeper = keeper
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._api = RuntimeApi(self)
        self._sandbox: Sandbox | None = None
        self._outputs: list[Output] = []
        self._tenant_id = tenant_id
        self._journal = Journal(version, stream, shipper, clock, tenant_id)
        self._has_served = False
        self.is_suspended = False
        """Whether it is initialised as for a snapshot, and waits to be restored."""
        self._is_frozen = False
        self.is_snapshot = is_snapshot
        """Whether others are restored from it, and it never serves; one that cannot be copied becomes like others."""
        self.can_be_copied: asyncio.Future[bool] = self._loop.create_future()
        """Of a snapshot: done when it is initialised, or will not be."""
        self._prepared: Prepared | None = None
        self._journal.init_type = init_type
        if retried is not None:
            self._journal.go_on(retried._journal)
        self._timer: asyncio.TimerHandle | None = None
        self._hand: InHand | None = None
        self._began_s = self._clock.monotonic_s()
        self._init_ms: float | None = None
        self._init_error: tuple[bytes, str] | None = None
        self._sampled_kb = 0
        self._delay_s = 0.0
        """What of the first invocation's time its initialisation has taken."""
        self._new_id = new_id
        self._host: ExtensionHost | None = None
        """From the first request on that is not the Runtime API's; with external extensions from the beginning."""
        self._runtime_rests = False
        self._farewell: Farewell | None = None
        self._leaving: asyncio.Task[None] | None = None

    def as_member(self) -> Member:
        """Return what the planner sees of it."""
        return Member(self.number, self.revision_id, self.state, self.last_used_s, self._expires_s, self.is_kept)

    @property
    def expires_s(self) -> float:
        """When its credentials run out."""
        return self._expires_s

    @property
    def is_kept(self) -> bool:
        """Whether it was started to be ready ahead of demand."""
        return self.init_type == PROVISIONED

    @property
    def ended_unused(self) -> bool:
        """Whether its runtime ended by itself without ever having had an invocation."""
        return not self._has_served and self._sandbox is not None and self._sandbox.status is not None

    def _step(self, event: Event) -> None:
        self.state = next_state(self.state, event)

    # Starting and ending

    async def start(self, prepared: Prepared) -> None:
        """Start the processes; the environment is ready when its runtime polls. Raises ServiceError if it cannot."""
        self._prepared = prepared
        self._expires_s = self._clock.monotonic_s() + (prepared.session.retire_ms - self._clock.now_ms()) / 1000
        self.stream.principal = prepared.session.principal
        if self.is_snapshot and not prepared.can_be_copied:
            self._serve_itself()
        environ = {
            **prepared.environ,
            "AWS_LAMBDA_INITIALIZATION_TYPE": self.init_type,
            "AWS_LAMBDA_RUNTIME_API": await self._api.open(prepared.zygote.user_of(self.slot)),
        }
        self._journal.init_started(prepared.interpreter, prepared.note)
        named = prepared.request["extensions"]
        paths = named[: limits.EXTENSIONS_MAX]
        descriptors = [self._open_output(self._journal.output)]
        address = own_address(self.slot) if prepared.zygote.isolated else "127.0.0.1"
        if paths:
            self._host = self._make_host([path.rpartition("/")[2] for path in paths], address)
            descriptors += [self._open_output(self._journal.extension_output), self._host.hold_runtime()]
        self._began_s = self._clock.monotonic_s()
        try:
            self._sandbox = await prepared.zygote.spawn(
                f"{self.number}",
                {
                    **prepared.request,
                    "snapshot": self.is_snapshot,
                    "extensions": paths,
                    "slot": self.slot,
                    "environ": environ,
                    "address": address,
                },
                descriptors,
                self._on_end,
            )
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        if paths or self.is_snapshot:
            self._sandbox.watch_parts(self._on_part_end)
        if len(named) > limits.EXTENSIONS_MAX and self.state is State.STARTING:
            self._fail_init("ErrTooManyExtensions", "Extension.LaunchError")
            self.stop("failure")
        if self.state is State.STOPPING:
            self._sandbox.kill()
        elif self.state is State.STARTING:
            self._timer = self._loop.call_later(self._init_allowed_s(), self._init_took_too_long)
        if self.is_snapshot:
            self._sandbox.watch_snapshot(self._on_snapshot)

    async def start_from(self, snapshot: "Environment") -> None:
        """Start as a copy of a snapshot, instead of `start`; ready when its runtime polls. Raises ServiceError."""
        prepared = snapshot._prepared
        assert prepared is not None
        snapshot.last_used_s = self._clock.monotonic_s()
        self._expires_s = snapshot._expires_s
        self.stream.principal = snapshot.stream.principal
        address = await self._api.open(prepared.zygote.user_of(self.slot))
        self._journal.restore_started(prepared.interpreter)
        output = self._open_output(self._journal.output)
        self._began_s = self._clock.monotonic_s()
        order = {
            "restore": f"{snapshot.number}",
            "slot": self.slot,
            "tmp_mb": self.version.ephemeral_storage_mb,
            "environ": {"AWS_LAMBDA_RUNTIME_API": address, "AWS_LAMBDA_LOG_STREAM_NAME": self.stream.name},
        }
        try:
            self._sandbox = await prepared.zygote.spawn(f"{self.number}", order, [output], self._on_end)
        finally:
            os.close(output)
        if self.state is State.STOPPING:
            self._sandbox.kill()
        elif self.state is State.STARTING:
            allowed_s = self._init_allowed_s() if self.inside_invoke else limits.RESTORE_TIMEOUT_S
            self._timer = self._loop.call_later(allowed_s, self._init_took_too_long)

    def _on_snapshot(self, obstacle: str) -> None:
        """It is initialised, and can be copied unless there is an obstacle; then it goes on by itself."""
        if obstacle:
            self._journal.output(
                f"cumulet: {obstacle}, so this process cannot be copied; "
                "each environment of this version is initialised by itself\n"
            )
            self._serve_itself()
            return
        if self.state is not State.STARTING or not self.is_snapshot:
            return
        if self._has_extensions():
            self.can_be_copied.set_result(False)
            self.stop()
            return
        self._disarm()
        self._journal.init_ended((self._clock.monotonic_s() - self._began_s) * 1000)
        self.last_used_s = self._clock.monotonic_s()
        self.can_be_copied.set_result(True)
        self._keeper.on_suspended(self)

    def _serve_itself(self) -> None:
        """Come to be an environment like others, since it cannot be copied."""
        self.is_snapshot = False
        if not self.can_be_copied.done():
            self.can_be_copied.set_result(False)

    @property
    def is_copied(self) -> bool:
        """Whether it is a snapshot from which others can be restored."""
        return self.state is State.STARTING and self.is_snapshot and self.can_be_copied.done()

    def _init_allowed_s(self) -> float:
        if self.inside_invoke:
            return self.version.timeout_s
        if self.init_type == ON_DEMAND:
            return limits.INIT_TIMEOUT_S
        return max(limits.AHEAD_INIT_TIMEOUT_S, self.version.timeout_s)

    def _open_output(self, emit: Callable[[str], None]) -> int:
        """Return the writing end of a pipe whose lines go to `emit`."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        self._outputs.append(Output(reading, self.stream, emit))
        return writing

    def abandon(self) -> None:
        """Let go of an environment whose start has failed."""
        self._step(Event.DIED)
        self._release()

    def freeze(self) -> None:
        """Stop its processes until the next invocation."""
        self._step(Event.FROZEN)
        if self._host is not None:
            self._host.freeze()
        if self._sandbox is not None:
            self._sandbox.freeze()

    def stop(self, reason: Reason = "spindown") -> None:
        """End it; `on_dead` follows. Its extensions, if it has any, are told the reason and get time to end."""
        self._disarm()
        self.is_suspended = False
        if self._hand is not None and self._hand.is_answered:
            self._end()
        if self._sandbox is not None and self._has_extensions():
            assert self._host is not None
            self._step(Event.RETIRED)
            self._farewell = self._host.farewell(self._sandbox, self._clock)
            self._leaving = self._loop.create_task(self._leave(self._farewell, reason))
        else:
            self._step(Event.STOPPED)
            self._kill()

    async def _leave(self, farewell: Farewell, reason: Reason) -> None:
        await farewell.take(reason)
        self._step(Event.STOPPED)
        self._kill()

    def _kill(self) -> None:
        if self._sandbox is None:
            return
        if self.is_snapshot and self._prepared is not None:
            self._prepared.zygote.end_snapshot(f"{self.number}")
        else:
            self._sandbox.kill()

    def _on_part_end(self, name: str, status: int) -> None:
        """The runtime (an empty name) or an extension has ended by itself, and others have not."""
        assert self._sandbox is not None
        if self.is_snapshot:
            self._on_snapshot_end()
        if self.is_snapshot or self._host is None:
            return
        refused = self._sandbox.refused.get(name, "")
        if name:
            self._host.extensions.ended(name, refused)
        if self._farewell is not None:
            self._farewell.on_part_end()
        if self.state not in ALIVE:
            return
        if name:
            words = refused or report.extension_exit_words(status)
            error_type = "Extension.LaunchError" if refused else "Extension.Crash"
        else:
            words, error_type = self._runtime_end()
        error_type = self._host.fatal_error or error_type
        if self.state is State.STARTING:
            self._fail_init(words, error_type)
        else:
            self._fail(words, error_type)
        self.stop("failure")

    def _on_snapshot_end(self) -> None:
        """The process that is or was to be a snapshot has ended; its guard has not, if there are copies."""
        if self.state is State.STARTING:
            if not self.is_copied:
                self._fail_init(*self._runtime_end())
            self.stop("failure")

    def _runtime_end(self) -> tuple[str, str]:
        """Return how the runtime's end is told, and its error type."""
        assert self._sandbox is not None
        if refused := self._sandbox.refused.get("", ""):
            is_lost = refused.startswith("chdir ")
            return refused, "Runtime.InvalidWorkingDir" if is_lost else "Runtime.InvalidEntrypoint"
        return report.exit_words(self._sandbox.status), "Runtime.ExitError"

    def _on_end(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
        self._close_outputs()
        if self.state is State.STARTING and not self.is_copied:
            self._fail_init(*self._runtime_end())
        else:
            self._fail(*self._runtime_end())
        self._step(Event.DIED)
        self._release()
        self._keeper.on_dead(self)

    def _close_outputs(self) -> None:
        while self._outputs:
            self._outputs[-1].close()
            self._outputs.pop()

    def _release(self) -> None:
        self._disarm()
        if not self.can_be_copied.done():
            self.can_be_copied.set_result(False)
        self._api.close()
        self._close_outputs()
        if self._host is not None:
            self._host.close()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fail_init(self, words: str, error_type: str) -> None:
        if self._init_error is not None:
            body, told_type = self._init_error
            self._note_init_failure(lambda request_id: body, "error", told_type)
        else:
            self._note_init_failure(
                lambda request_id: report.exit_error(request_id, words, error_type), "error", error_type, words
            )

    def _init_took_too_long(self) -> None:
        timeout_s = self.version.timeout_s
        self._note_init_failure(lambda request_id: report.timeout_error(request_id, timeout_s), "timeout", "")
        self.stop("timeout")

    def _note_init_failure(
        self, payload: Callable[[str], bytes], status: str, error_type: str, words: str = ""
    ) -> None:
        init_ms = (self._clock.monotonic_s() - self._began_s) * 1000
        self.init_failure = InitFailure(payload, status, error_type, init_ms, words)
        if self._host is not None:
            self._host.tell_log()
        self._journal.init_ended(init_ms, status, error_type)

    def report_init_failure(self, job: Job) -> None:
        """Answer the invocation for which this environment was started, and log that."""
        failure = self.init_failure
        assert failure is not None
        request_id = job.invocation.request_id
        payload = failure.payload(request_id)
        self._journal.invoke_started(request_id, job.trace_header)
        if failure.words:
            self._journal.fault(f"RequestId: {request_id} Error: {failure.words}\n{failure.error_type}\n")
        elif failure.status == "timeout":
            self._journal.fault(report.timeout_line(self._clock.now_ms(), request_id, job.version.timeout_s))
        hand = InHand(job, self._journal, self._clock, failure.init_ms / 1000)
        hand.report(failure.init_ms, self._peak_kb(), None, failure.status, failure.error_type)
        hand.hand_over(payload, failed=True)

    # Invocations

    def assign(self, job: Job) -> None:
        """Give it an invocation."""
        self._has_served = True
        was_frozen = self.state is State.FROZEN
        self._step(Event.ASSIGNED)
        if was_frozen and self._sandbox is not None:
            self._sandbox.thaw()
            if self._host is not None:
                self._host.thaw()
        invocation = job.invocation
        self._runtime_rests = False
        self._journal.invoke_started(invocation.request_id, job.trace_header)
        delay_s, self._delay_s = self._delay_s, 0.0
        self._hand = InHand(job, self._journal, self._clock, delay_s)
        self._timer = self._loop.call_later(job.version.timeout_s - delay_s, self._took_too_long)
        # The bootstrap compares it with its own clock, which nobody moves.
        deadline_ms = self._clock.outside_ms() + int((job.version.timeout_s - delay_s) * 1000)
        invoked_arn = invocation.invoked_arn or job.version.arn
        if self._host is not None:
            self._host.extensions.invoke(
                deadline_ms=deadline_ms,
                request_id=invocation.request_id,
                invoked_arn=invoked_arn,
                trace_header=job.trace_header,
            )
        self._api.deliver(
            Delivery(
                invocation.request_id,
                deadline_ms,
                invoked_arn,
                job.trace_header,
                invocation.client_context,
                invocation.payload,
                self._tenant_id,
            )
        )

    def on_poll(self) -> None:
        """The runtime wants its next event."""
        if self.state not in (State.STARTING, State.BUSY):
            return
        self._runtime_rests = True
        if self._host is None:
            self._rest()
            return
        self._host.extensions.registration_is_open = False
        if self._hand is not None:
            self._hand.note_runtime_done(self._hand.lasted_ms(), rests=True)
        self.on_extension_rested()

    def on_restore_poll(self) -> None:
        """The runtime is initialised as far as a snapshot needs it."""
        if self.state is State.STARTING:
            self._serve_itself()  # as the guard of a snapshot is about to tell
            self._disarm()
            self._journal.init_ended((self._clock.monotonic_s() - self._began_s) * 1000)
            self.last_used_s = self._clock.monotonic_s()
            self.is_suspended = True
            self._keeper.on_suspended(self)

    def suspend(self) -> None:
        """Stop its processes until it is restored."""
        if not self._is_frozen and self._sandbox is not None:
            self._is_frozen = True
            self._sandbox.freeze()

    def restore(self) -> None:
        """Let it go on from where its snapshot would be."""
        self.is_suspended = False
        if self._is_frozen and self._sandbox is not None:
            self._sandbox.thaw()
        self._journal.restore_started()
        allowed_s = limits.RESTORE_TIMEOUT_S
        if self.inside_invoke:
            allowed_s = self._init_allowed_s() - (self._clock.monotonic_s() - self._began_s)
        else:
            self._began_s = self._clock.monotonic_s()
        self._timer = self._loop.call_later(allowed_s, self._init_took_too_long)
        self._api.restore()

    def _rest(self) -> None:
        """All wait for the next event: take it as ready."""
        if self.state is State.STARTING:
            self._serve_itself()  # also where the code of a snapshot asks for events
            init_s = self._clock.monotonic_s() - self._began_s
            if self.inside_invoke:
                self._delay_s = init_s
            else:
                self._init_ms = init_s * 1000
            if self._host is not None:
                self._host.tell_log()
            self._journal.init_ended(init_s * 1000)
            self._journal.close_subscriptions()
        elif self._hand is not None:
            self._end()
        self._disarm()
        self.last_used_s = self._clock.monotonic_s()
        self._step(Event.POLLED)
        self._keeper.on_ready(self)

    def on_response(self, body: bytes) -> None:
        """The runtime has answered."""
        self._answer(body, failed=False)

    def on_error(self, body: bytes, error_type: str) -> None:
        """The runtime has answered with an error object."""
        self._answer(body, failed=True)

    def on_response_too_large(self) -> None:
        """The runtime's answer may not leave."""
        self._answer(report.response_too_large_error(), failed=True)

    def on_stream(self, content_type: str, reader: Reader) -> None:
        """The runtime answers piece by piece."""
        if self._hand is not None:
            self._hand.begin_stream(content_type, reader)

    def on_piece(self, body: bytes) -> None:
        """A piece of the answer; of one that was answered for nothing is taken."""
        hand = self._hand
        if hand is not None and not hand.is_answered and not hand.feed(body):
            self._answer(report.response_too_large_error(limits.STREAMED_RESPONSE_BYTES_MAX), failed=True)

    def on_stream_end(self, error_type: str, error: bytes) -> None:
        """The answer is complete, or breaks off."""
        if error_type:
            self._answer(error, failed=True)
        elif self._hand is not None and (whole := self._hand.take_stream()) is not None:
            self._answer(whole, failed=False)
        else:
            self._answer(report.response_too_large_error(), failed=True)

    def on_init_error(self, body: bytes, error_type: str) -> None:
        """The runtime cannot start; its end follows."""
        self._init_error = (body, error_type or "Runtime.Unknown")

    def _answer(self, payload: bytes, *, failed: bool) -> None:
        """Give the caller the runtime's answer; it is over with that, unless extensions still work on it."""
        hand = self._hand
        if hand is None or hand.is_answered:
            return
        self._drain()
        hand.note_answer(payload)
        if not self._has_extensions():
            self._end()
        hand.hand_over(payload, failed=failed)

    def _end(self, status: str = "", error_type: str = "") -> None:
        """The invocation in hand is over: report it."""
        hand, self._hand = self._hand, None
        assert hand is not None
        init_ms, self._init_ms = self._init_ms, None
        hand.report(hand.lasted_ms(), self._peak_kb(), init_ms, status, error_type)

    def _break_off(self, payload: bytes, status: str, error_type: str = "") -> None:
        """The invocation in hand has failed; its caller gets this answer, if he has none."""
        hand = self._hand
        assert hand is not None
        self._end(status, error_type)
        if not hand.is_answered:
            hand.hand_over(payload, failed=True)

    def _fail(self, words: str, error_type: str) -> None:
        """Break the invocation in hand off, if there is one, with how processes ended."""
        if self._hand is None:
            return
        request_id = self._hand.request_id
        self._drain()
        told_type = error_type
        if error_type == OUT_OF_MEMORY:
            told_type = "Runtime.ExitError"  # the REPORT line alone tells the cause
        else:
            self._journal.fault(f"RequestId: {request_id} Error: {words}\n{error_type}\n")
        self._break_off(report.exit_error(request_id, words, told_type), "error", error_type)

    def _took_too_long(self) -> None:
        if self._hand is not None:
            self._drain()
            request_id, timeout_s = self._hand.request_id, self.version.timeout_s
            self._journal.fault(report.timeout_line(self._clock.now_ms(), request_id, timeout_s))
            self._break_off(report.timeout_error(request_id, timeout_s), "timeout")
        self.stop("timeout")

    def _drain(self) -> None:
        for output in self._outputs:
            output.drain()

    # Watching

    def watch_memory(self) -> None:
        """End it if it uses more memory than it may."""
        if self._sandbox is None or self.state not in (State.BUSY, State.STARTING):
            return
        used_kb = self._sandbox.used_kb(self.version.memory_mb * 1024)
        self._sampled_kb = max(self._sampled_kb, used_kb)
        if used_kb <= self.version.memory_mb * 1024:
            return
        words = report.exit_words(None)
        if self.state is State.STARTING:
            self._note_init_failure(lambda request_id: report.exit_error(request_id, words), "error", OUT_OF_MEMORY)
        else:
            self._fail(words, OUT_OF_MEMORY)
        self.stop("failure")

    def _peak_kb(self) -> int:
        return max(self._sandbox.peak_kb() if self._sandbox is not None else 0, self._sampled_kb)

    # Extensions

    def _has_extensions(self) -> bool:
        return self._host is not None and self._host.are_any()

    def _make_host(self, names: Sequence[str] = (), address: str = "127.0.0.1") -> ExtensionHost:
        return ExtensionHost(self, self.version, self.stream.scope, self._journal, self._new_id, names, address)

    def on_other_request(
        self, connection: Connection, method: bytes, path: bytes, body: bytes | None, headers: Mapping[bytes, str]
    ) -> bytes:
        """An extension, or the runtime on behalf of an internal one, asks for something."""
        if self._host is None:
            self._host = self._make_host()
            self._host.extensions.registration_is_open = self.state is State.STARTING
        self._host.extensions.subscription_is_open = self.state is State.STARTING
        return self._host.handle(connection, method, path, body, headers)

    def on_other_gone(self, connection: object) -> None:
        """A connection is gone."""
        if self._host is not None:
            self._host.extensions.forget(connection)

    def on_extension_rested(self) -> None:
        """One more waits for the next event: perhaps it was the last."""
        assert self._host is not None
        is_waited_for = self._runtime_rests and self.state in (State.STARTING, State.BUSY)
        if is_waited_for and self._host.extensions.are_at_rest():
            self._rest()
