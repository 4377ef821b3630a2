"""From a function's name to an invocation's result, for whoever invokes: Invoke, the queue of events, function URLs."""

import asyncio

import msgspec

from cumulet.errors import InvariantViolated, ServiceError
from cumulet.ids import Ids
from cumulet.services.lambda_.control.lookup import load_target
from cumulet.services.lambda_.control.routing import CHANCE_BYTES, choose
from cumulet.services.lambda_.control.tenants import check_tenant
from cumulet.services.lambda_.execution.plane import ExecutionPlane, FunctionChanged
from cumulet.services.lambda_.execution.streaming import AnswerStream
from cumulet.services.lambda_.limits import RECURSIONS_MAX
from cumulet.services.lambda_.names import FunctionRef
from cumulet.services.lambda_.records import AnswerSink, Invocation, InvocationResult, VersionRecord
from cumulet.services.lambda_.tracing import HEXADECIMAL, TRACE_DIGITS, follow, sample
from cumulet.store.api import Store


class Ran(msgspec.Struct, frozen=True):
    """What came of an invocation, and what ran."""

    version: VersionRecord
    result: InvocationResult
    trace_header: str
    """As the function had it."""


async def start_function(
    store: Store,
    execution: ExecutionPlane,
    ids: Ids,
    ref: FunctionRef,
    request_id: str,
    payload: bytes,
    trace_header: str,
    now_ms: int,
    client_context: str | None = None,
    *,
    tenant_id: str = "",
    wants_tail: bool = False,
) -> tuple[AnswerStream | None, asyncio.Future[Ran]]:
    """Return when the answer begins, with its stream; or without one when the run is over and has given it whole."""
    stream = AnswerStream()
    running = asyncio.ensure_future(
        run_function(
            store,
            execution,
            ids,
            ref,
            request_id,
            payload,
            trace_header,
            now_ms,
            client_context,
            stream,
            tenant_id=tenant_id,
            wants_tail=wants_tail,
        )
    )
    try:
        await asyncio.wait((running, stream.began), return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        running.cancel()
        raise
    return stream if stream.began.done() else None, running


async def run_function(
    store: Store,
    execution: ExecutionPlane,
    ids: Ids,
    ref: FunctionRef,
    request_id: str,
    payload: bytes,
    trace_header: str,
    now_ms: int,
    client_context: str | None = None,
    sink: AnswerSink | None = None,
    *,
    tenant_id: str = "",
    wants_tail: bool = False,
    is_event: bool = False,
) -> Ran:
    """Return what came of it. Raises ServiceError if the function is not there or cannot be run now.

    `trace_header` is the one that the request for this invocation had, if it had one.
    """
    chance, tried = b"", ""
    trace = follow(trace_header, ref.unqualified_arn, ids.token(TRACE_DIGITS, HEXADECIMAL), now_ms)
    while True:
        function, routes, provisioned = await store.read(lambda tx: load_target(tx, ref))
        if len(routes) > 1 and not chance:
            chance = ids.secret(CHANCE_BYTES)
        if trace.times >= RECURSIONS_MAX and function.recursive_loop == "Terminate":
            raise ServiceError(
                "RecursiveInvocationException",
                "Lambda has detected your function being invoked in a recursive loop with other AWS resources and "
                "stopped your function's invocation.",
                status=400,
                Type="User",
            )
        version = choose(routes, chance)
        if version.per_tenant or tenant_id:
            check_tenant(version, tenant_id)
        _check_state(version)
        if version.revision_id == tried:
            raise InvariantViolated(f"the code of {ref.arn} is not in the store")
        header = sample(trace.header, trace_header) if version.tracing_mode == "Active" else trace.header
        invocation = Invocation(
            request_id=request_id,
            payload=payload,
            client_context=client_context,
            tenant_id=tenant_id,
            trace_header=header,
            invoked_arn=ref.arn,
            reserved_concurrency=function.reserved_concurrency,
            provisioned=provisioned.get(version.version, 0),
            provisioned_total=sum(provisioned.values()),
            is_event=is_event,
            wants_tail=wants_tail,
            sink=sink,
        )
        try:
            return Ran(version, await execution.invoke(ref.scope, version, invocation), header)
        except FunctionChanged:
            tried = version.revision_id


def _check_state(version: VersionRecord) -> None:
    if version.image is not None and version.state_reason_code != "InvalidImage":
        return  # it may be there meanwhile, and an invocation waits for it
    if version.state == "Pending":
        raise ServiceError(
            "SnapStartNotReadyException",
            "Lambda is initializing your function. It will be ready to invoke once your function state becomes Active.",
            Type="User",
        )
    if version.state:
        raise ServiceError(
            "ResourceConflictException",
            "The operation cannot be performed at this time. The function is currently in the following state: "
            f"{version.state}",
            Type="User",
        )
