"""InvokeWithResponseStream: the way into a function whose answer is wanted as it comes."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_.control.invocations import check_payload, parse_client_context
from cumulet.services.lambda_.control.lookup import function_policy, load_version
from cumulet.services.lambda_.control.tenants import check_tenant
from cumulet.services.lambda_.execution.streaming import AnswerStream
from cumulet.services.lambda_.names import function_of, resource
from cumulet.services.lambda_.plane import LambdaPlane
from cumulet.services.lambda_.records import InvocationResult
from cumulet.services.lambda_.running import Ran, start_function
from cumulet.wire.event_stream import CONTENT_TYPE

Event = dict[str, dict[str, Any]]


class _ErrorObject(msgspec.Struct):
    error_type: str = msgspec.field(name="errorType", default="Unhandled")


@operation(
    "InvokeWithResponseStream",
    action="lambda:InvokeFunction",
    resource=resource,
    resource_policy=function_policy,
    params="FunctionName InvocationType LogType ClientContext Payload Qualifier TenantId",
)
async def invoke_with_response_stream(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Run a function and return its answer piece by piece; the last event says how it ended.

    A runtime that answers in one piece gives one piece. Until the first is there, errors are errors of the request.
    """
    payload = params.get("Payload") or b"{}"
    check_payload(payload, operation_name="InvokeWithResponseStream")
    client_context = parse_client_context(params.get("ClientContext"))
    ref, tenant_id = function_of(call, params), params.get("TenantId") or ""
    store = plane.ground.store
    if params.get("InvocationType") == "DryRun":
        await store.read(lambda tx: check_tenant(load_version(tx, ref), tenant_id))
        return {"StatusCode": 204}
    wants_log = params.get("LogType") == "Tail"
    stream, running = await start_function(
        store,
        plane.execution,
        call.ids,
        ref,
        call.request_id,
        payload,
        call.trace_header,
        call.now_ms,
        client_context,
        tenant_id=tenant_id,
        wants_tail=wants_log,
    )
    if stream is not None:
        version = stream.began.result()[1]
        events = _pieces(stream, running, wants_log)
    else:
        result = (await running).result
        version = result.executed_version
        events = _whole(result, wants_log)
    return {
        "StatusCode": 200,
        "ExecutedVersion": version,
        # The header Content-Type: what the function says of its own pieces is for function URLs.
        "ResponseStreamContentType": CONTENT_TYPE,
        "EventStream": events,
    }


async def _pieces(stream: AnswerStream, running: "asyncio.Future[Ran]", wants_log: bool) -> AsyncIterator[Event]:
    try:
        async for piece in stream.pieces():
            yield {"PayloadChunk": {"Payload": piece}}
        try:
            ended = _describe_end((await running).result, wants_log)
        except ServiceError as error:
            ended = {"ErrorCode": error.code, "ErrorDetails": error.message}
        yield {"InvokeComplete": ended}
    finally:
        stream.leave()  # a caller who has gone does not end the function


async def _whole(result: InvocationResult, wants_log: bool) -> AsyncIterator[Event]:
    if result.function_error is None:
        yield {"PayloadChunk": {"Payload": result.payload}}
    yield {"InvokeComplete": _describe_end(result, wants_log)}


def _describe_end(result: InvocationResult, wants_log: bool) -> dict[str, Any]:
    ended: dict[str, Any] = {}
    if result.function_error is not None:
        ended["ErrorCode"] = find_error_type(result.payload)
        ended["ErrorDetails"] = result.payload.decode("utf-8", "replace")
    if wants_log:
        ended["LogResult"] = b64encode(result.log_tail).decode()
    return ended


def find_error_type(payload: bytes) -> str:
    """Return what an error object says it is; a runtime may send anything."""
    try:
        return msgspec.json.decode(payload, type=_ErrorObject).error_type
    except msgspec.DecodeError:
        return "Unhandled"
