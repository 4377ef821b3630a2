"""Invoke: the way into a function."""

import binascii
from base64 import b64decode, b64encode
from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_ import limits
from cumulet.services.lambda_.control.json_faults import find_json_fault
from cumulet.services.lambda_.control.lookup import function_policy, load_version
from cumulet.services.lambda_.control.tenants import check_tenant
from cumulet.services.lambda_.execution.events import accept
from cumulet.services.lambda_.names import FunctionRef, function_of, resource, unqualified_resource
from cumulet.services.lambda_.plane import LambdaPlane
from cumulet.services.lambda_.running import run_function
from cumulet.store.api import WriteTx

_JSON_SYNTAX = msgspec.json.Decoder(msgspec.Raw)


@operation(
    "Invoke",
    action="lambda:InvokeFunction",
    resource=resource,
    resource_policy=function_policy,
    params="FunctionName InvocationType LogType ClientContext Payload Qualifier TenantId",
)
async def invoke(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Run a function and return its answer, or its error in FunctionError and the payload.

    With DryRun nothing runs: that the call got here says that it is allowed. With Event the function runs later, and
    the answer means that it will, whatever happens to this server.
    """
    invocation_type = params.get("InvocationType") or "RequestResponse"
    payload = params.get("Payload") or b"{}"
    check_payload(payload, limits.EVENT_PAYLOAD_BYTES_MAX if invocation_type == "Event" else limits.PAYLOAD_BYTES_MAX)
    client_context = parse_client_context(params.get("ClientContext"))
    ref, tenant_id = function_of(call, params), params.get("TenantId") or ""
    store = plane.ground.store
    if invocation_type == "DryRun":
        await store.read(lambda tx: check_tenant(load_version(tx, ref), tenant_id))
        return {"StatusCode": 204}
    if invocation_type == "Event":
        await _accept(call, plane, ref, payload, tenant_id)
        return {"StatusCode": 202, "Payload": b""}
    ran = await run_function(
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
        wants_tail=params.get("LogType") == "Tail",
    )
    result = ran.result
    output: dict[str, Any] = {
        "StatusCode": 200,
        "ExecutedVersion": result.executed_version,
        "Payload": result.payload,
    }
    if result.function_error is not None:
        output["FunctionError"] = result.function_error
    if params.get("LogType") == "Tail":
        output["LogResult"] = b64encode(result.log_tail).decode()
    return output


@operation(
    "InvokeAsync", resource=unqualified_resource, resource_policy=function_policy, params="FunctionName InvokeArgs"
)
async def invoke_async(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Accept an event for a function, as Invoke does with the type Event; AWS keeps it for clients of 2014."""
    payload: bytes = params["InvokeArgs"] or b"{}"
    check_payload(payload, limits.EVENT_PAYLOAD_BYTES_MAX, "InvokeAsync")
    await _accept(call, plane, function_of(call, params), payload)
    return {"Status": 202}


async def _accept(call: Call, plane: LambdaPlane, ref: FunctionRef, payload: bytes, tenant_id: str = "") -> None:
    def accept_event(tx: WriteTx) -> None:
        check_tenant(load_version(tx, ref), tenant_id)
        accept(tx, ref, call.request_id, payload, call.now_ms, call.trace_header, tenant_id)

    await plane.ground.store.write(accept_event)


def check_payload(
    payload: bytes, bytes_max: int = limits.PAYLOAD_BYTES_MAX, operation_name: str = "InvokeFunction"
) -> None:
    """Raise AWS's errors for a payload that is too large or no JSON."""
    if len(payload) > bytes_max:
        # The model calls it RequestTooLargeException, AWS sends this code.
        raise ServiceError(
            "RequestEntityTooLargeException",
            f"Request must be smaller than {bytes_max} bytes for the {operation_name} operation",
            status=413,
        )
    try:
        _JSON_SYNTAX.decode(payload)
        if not payload.isascii():
            payload.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if (fault := find_json_fault(payload)) is not None:
            raise ServiceError(
                "InvalidRequestContentException",
                f"Could not parse request body into json: Could not parse payload into json: {fault}",
                Type="User",
            ) from None


def parse_client_context(encoded: str | None) -> str | None:
    """Return the JSON text of a ClientContext. Raises AWS's error if it is not base64 of JSON."""
    if not encoded:
        return None
    try:
        if len(encoded) > limits.CLIENT_CONTEXT_CHARS_MAX:
            raise ValueError
        raw = b64decode(encoded, validate=True)
        _JSON_SYNTAX.decode(raw)
        return raw.decode()
    except (binascii.Error, msgspec.DecodeError, ValueError, RecursionError):
        raise ServiceError(
            "InvalidRequestContentException",
            "Client context must be a valid Base64-encoded JSON object.",
            Type="User",
        ) from None
