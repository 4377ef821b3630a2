"""The queues of asynchronous invocations, one for each function: events that were accepted, until they are done.

An event is a record from the transaction that accepts it on, under the time at which it is due; it goes in the
transaction that ends it. One node at a time works on the queues, under a lease; what it had in hand when it died is due
still, so the next holder runs it, perhaps a second time: an event is run once at least, as AWS has it.
"""

import asyncio
import json
import logging
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Ground, Loop
from cumulet.services.lambda_ import limits
from cumulet.services.lambda_.control.tenants import WrongTenancy
from cumulet.services.lambda_.execution import event_queues
from cumulet.services.lambda_.execution.event_queues import Place, Round
from cumulet.services.lambda_.execution.plane import ExecutionPlane
from cumulet.services.lambda_.execution.retries import Condition, Patience, Tries, is_too_old, next_try_ms
from cumulet.services.lambda_.execution.sessions import assume_role
from cumulet.services.lambda_.names import FunctionRef
from cumulet.services.lambda_.records import (
    EVENT_CONFIGS,
    LATEST,
    EventRecord,
    VersionRecord,
    find_version,
)
from cumulet.services.lambda_.running import Ran, run_function
from cumulet.store.api import ReadTx, StoreError, WriteTx
from cumulet.store.leases import Lease, LeaseLost

_log = logging.getLogger(__name__)

EVENTS_DUE = "lambda:events"
"""The topic of the hint that an event was accepted."""

_DEFAULT_PATIENCE = Patience(limits.EVENT_RETRIES_MAX, limits.EVENT_AGE_S_MAX)


def accept(
    tx: WriteTx, ref: FunctionRef, request_id: str, payload: bytes, now_ms: int, trace_header: str, tenant_id: str = ""
) -> None:
    """Put an event into the queue."""
    event = EventRecord(
        account=ref.scope.account,
        region=ref.scope.region,
        function_name=ref.name,
        qualifier=ref.qualifier,
        request_id=request_id,
        payload=payload,
        accepted_ms=now_ms,
        due_ms=now_ms,
        trace_header=trace_header[: limits.TRACE_HEADER_CHARS_MAX],
        tenant_id=tenant_id,
    )
    event_queues.save(tx, event)
    tx.hint(EVENTS_DUE)


class _UnderWay(NamedTuple):
    """One event that runs."""

    task: asyncio.Task[None]
    place: Place


class EventQueues:
    """Runs the events that are due."""

    def __init__(self, ground: Ground, execution: ExecutionPlane) -> None:
        self._ground = ground
        self._execution = execution
        self._under_way: dict[str, _UnderWay] = {}
        """By request id."""
        self._round = Round()

    def start(self) -> None:
        """Stand for the work."""
        loop = Loop("lambda: asynchronous events", self._work, limits.EVENTS_LOOK_S, topic=EVENTS_DUE)
        self._ground.workers.run(loop)

    async def _work(self, lease: Lease) -> float | None:
        """Run what is due until nothing is under way; return when the next event is due."""
        await self._adopt(lease)
        self._round = self._round.afresh()
        woken = asyncio.Event()
        stop_listening = self._ground.store.listen(EVENTS_DUE, woken.set)
        try:
            while True:
                woken.clear()
                pause_s, is_whole = await self._begin_due(lease)
                if is_whole and not self._under_way:
                    return pause_s
                waking = asyncio.ensure_future(woken.wait())
                pause = asyncio.ensure_future(self._ground.clock.sleep(pause_s))
                tasks = {one.task for one in self._under_way.values()}
                try:
                    done, _ = await asyncio.wait({*tasks, waking, pause}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    waking.cancel()
                    pause.cancel()
                if done != {pause}:
                    self._round = self._round.afresh()  # others may begin now, or may have come
                self._gather()
        finally:
            stop_listening()
            left = [one.task for one in self._under_way.values()]
            self._under_way.clear()
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def _gather(self) -> None:
        """Forget what is done. Raises what ended it, if that was the store or the lease."""
        for request_id in [name for name, one in self._under_way.items() if one.task.done()]:
            self._under_way.pop(request_id).task.result()

    async def _adopt(self, lease: Lease) -> None:
        """Put what versions with one queue for all have accepted into the queues of its functions."""
        if await self._ground.store.read(event_queues.are_unsorted):
            while await lease.write(event_queues.sort_some):
                pass

    async def _begin_due(self, lease: Lease) -> tuple[float, bool]:
        """Run what is due as far as there is room; return when to look again, and whether all has been looked at."""
        now_ms = self._ground.clock.now_ms()
        under_way, course = [one.place for one in self._under_way.values()], self._round
        found = await self._ground.store.read(lambda tx: event_queues.look(tx, now_ms, under_way, course))
        self._round = found.rest
        for event in found.due:
            if event.request_id not in self._under_way:  # it may have been put off, and its task not yet be gathered
                task = asyncio.get_running_loop().create_task(self._run(lease, event))
                self._under_way[event.request_id] = _UnderWay(task, Place.of(event))
        return found.pause_s, found.is_whole

    async def _run(self, lease: Lease, event: EventRecord) -> None:
        try:
            await self._try(lease, event)
        except (StoreError, LeaseLost):
            raise
        except Exception:  # noqa: BLE001  a worker loop: one event's failure is not another's
            _log.exception("an event could not be worked on", extra={"request_id": event.request_id})
            await self._postpone(lease, event, _DEFAULT_PATIENCE, refused=True)

    async def _try(self, lease: Lease, event: EventRecord) -> None:
        ref = FunctionRef(Scope(event.account, event.region), event.function_name, event.qualifier)
        patience, destinations = await self._ground.store.read(lambda tx: _settings(tx, ref))
        if is_too_old(_tries(event), patience, self._ground.clock.now_ms()):
            await self._end(lease, ref, event, "EventAgeExceeded", destinations, None)
            return
        try:
            ran = await run_function(
                self._ground.store,
                self._execution,
                self._ground.ids,
                ref,
                event.request_id,
                event.payload,
                event.trace_header,
                self._ground.clock.now_ms(),
                tenant_id=event.tenant_id,
                is_event=True,
            )
        except ServiceError as refused:
            if refused.code == "RecursiveInvocationException":
                _log.warning("a loop is ended", extra={"function": ref.arn, "request_id": event.request_id})
                await self._end(lease, ref, event, "RetriesExhausted", destinations, None)
                return
            # Tenancy is settled when a function is made: another one has the name now.
            if refused.code == "ResourceNotFoundException" or isinstance(refused, WrongTenancy):
                _log.info("an event's function is gone", extra={"function": ref.arn, "request_id": event.request_id})
                await lease.write(lambda tx: event_queues.remove(tx, event))
                return
            await self._postpone(lease, event, patience, refused=True)
            return
        if ran.result.function_error is None:
            await self._end(lease, ref, event, "Success", destinations, ran)
        elif not await self._postpone(lease, event, patience, refused=False):
            event = msgspec.structs.replace(event, failures=event.failures + 1)
            await self._end(lease, ref, event, "RetriesExhausted", destinations, ran)

    async def _postpone(self, lease: Lease, event: EventRecord, patience: Patience, *, refused: bool) -> bool:
        """Have the event tried again, and tell whether it will be."""
        tried = msgspec.structs.replace(
            event, failures=event.failures + (not refused), refusals=event.refusals + refused
        )
        due_ms = next_try_ms(_tries(tried), patience, self._ground.clock.now_ms(), refused=refused)
        if due_ms is None:
            return False
        later = msgspec.structs.replace(tried, due_ms=due_ms)

        def move(tx: WriteTx) -> None:
            event_queues.remove(tx, event)
            event_queues.save(tx, later)

        await lease.write(move)
        return True

    async def _end(
        self,
        lease: Lease,
        ref: FunctionRef,
        event: EventRecord,
        condition: Condition,
        destinations: tuple[str, str],
        ran: Ran | None,
    ) -> None:
        """Tell the destination, then forget the event."""
        destination = destinations[0 if condition == "Success" else 1]
        if destination:
            await self._tell(lease, ref, destination, self._record(ref, event, condition, ran), ran)
        await lease.write(lambda tx: event_queues.remove(tx, event))

    async def _tell(
        self, lease: Lease, ref: FunctionRef, destination: str, record: dict[str, Any], ran: Ran | None
    ) -> None:
        """Send a record to a destination, as the function's role; whoever may not do that is told in the log."""
        try:
            version = ran.version if ran is not None else await self._ground.store.read(lambda tx: _any(tx, ref))
            if version is None:
                return
            session = await assume_role(self._ground, ref.scope, version)
            payload = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()
            params = {"FunctionName": destination, "InvocationType": "Event", "Payload": payload}
            await self._ground.operations.call(
                # Of what Lambda does under a function's role, only its log and its traces bear the function's name.
                # https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
                msgspec.structs.replace(session.principal, function_arn=""),
                ref.scope,
                "lambda",
                "Invoke",
                params,
                lease,
                trace_header=ran.trace_header if ran is not None else "",
            )
        except ServiceError as refused:
            _log.warning("a destination was not reached: %s", refused, extra={"destination": destination})

    def _record(self, ref: FunctionRef, event: EventRecord, condition: Condition, ran: Ran | None) -> dict[str, Any]:
        """Return the invocation record that AWS sends.

        https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
        """
        moment = datetime.fromtimestamp(self._ground.clock.now_ms() / 1000, UTC)
        record: dict[str, Any] = {
            "version": "1.0",
            "timestamp": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z",
            "requestContext": {
                "requestId": event.request_id,
                "functionArn": f"{ref.unqualified_arn}:{ref.qualifier or LATEST}",
                "condition": condition,
                "approximateInvokeCount": event.failures + event.refusals + (condition == "Success"),
            },
            "requestPayload": json.loads(event.payload),
        }
        if ran is not None:
            context: dict[str, Any] = {"statusCode": 200, "executedVersion": ran.version.version}
            if ran.result.function_error is not None:
                context["functionError"] = ran.result.function_error
            record["responseContext"] = context
            record["responsePayload"] = _as_json(ran.result.payload)
        return record


def _tries(event: EventRecord) -> Tries:
    return Tries(event.accepted_ms, event.failures, event.refusals)


def _any(tx: ReadTx, ref: FunctionRef) -> VersionRecord | None:
    return find_version(tx, ref.scope, ref.name, LATEST)


def _settings(tx: ReadTx, ref: FunctionRef) -> tuple[Patience, tuple[str, str]]:
    """Return how long events of this name are tried, and where their results go: of success and of failure."""
    config = EVENT_CONFIGS.find(tx, ref.scope, ref.name, ref.qualifier or LATEST)
    if config is None:
        return _DEFAULT_PATIENCE, ("", "")
    patience = Patience(
        limits.EVENT_RETRIES_MAX if config.retries_max is None else config.retries_max,
        limits.EVENT_AGE_S_MAX if config.age_s_max is None else config.age_s_max,
    )
    return patience, (config.on_success, config.on_failure)


def _as_json(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        # A runtime may answer with what is no JSON, and Invoke passes that on; here it can only be text.
        return payload.decode("utf-8", "replace")
