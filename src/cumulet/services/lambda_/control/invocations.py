"""Invoke: the synchronous way into a function."""

import binascii
from base64 import b64decode, b64encode
from typing import Any

import msgspec

from cumulet.errors import InvariantViolated, NotImplementedHere, ServiceError
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_ import limits
from cumulet.services.lambda_.control.json_faults import find_json_fault
from cumulet.services.lambda_.control.lookup import function_policy, load_target
from cumulet.services.lambda_.control.routing import CHANCE_BYTES, choose
from cumulet.services.lambda_.execution.plane import FunctionChanged
from cumulet.services.lambda_.names import function_of, resource
from cumulet.services.lambda_.plane import LambdaPlane
from cumulet.services.lambda_.records import Invocation

_JSON_SYNTAX = msgspec.json.Decoder(msgspec.Raw)


@operation(
    "Invoke",
    action="lambda:InvokeFunction",
    resource=resource,
    resource_policy=function_policy,
    params="FunctionName InvocationType LogType ClientContext Payload Qualifier",
    missing="InvocationType Event is refused",
)
async def invoke(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Run a function and return its answer, or its error in FunctionError and the payload.

    With DryRun nothing runs: that the call got here says that it is allowed.
    """
    invocation_type = params.get("InvocationType") or "RequestResponse"
    if invocation_type == "Event":
        raise NotImplementedHere("InvocationType Event of lambda:Invoke")
    payload = params.get("Payload") or b"{}"
    check_payload(payload)
    client_context = parse_client_context(params.get("ClientContext"))
    ref = function_of(call, params)
    function, routes = await plane.ground.store.read(lambda tx: load_target(tx, ref))
    if invocation_type == "DryRun":
        return {"StatusCode": 204}
    invocation = Invocation(
        request_id=call.request_id,
        payload=payload,
        client_context=client_context,
        invoked_arn=ref.arn,
        reserved_concurrency=function.reserved_concurrency,
    )
    chance = call.ids.secret(CHANCE_BYTES) if len(routes) > 1 else b""
    version = choose(routes, chance)
    while True:
        try:
            result = await plane.execution.invoke(ref.scope, version, invocation)
            break
        except FunctionChanged:
            tried = version.revision_id
            _, routes = await plane.ground.store.read(lambda tx: load_target(tx, ref))
            version = choose(routes, chance)
            if version.revision_id == tried:
                raise InvariantViolated(f"the code of {ref.arn} is not in the store") from None
    output: dict[str, Any] = {
        "StatusCode": 200,
        "ExecutedVersion": result.executed_version,
        "Payload": result.payload,
    }
    if result.function_error is not None:
        output["FunctionError"] = result.function_error
    if params.get("LogType") == "Tail":
        output["LogResult"] = b64encode(result.log_tail[-limits.LOG_TAIL_BYTES_MAX :]).decode()
    return output


def check_payload(payload: bytes) -> None:
    """Raise AWS's errors for a payload that is too large or no JSON."""
    if len(payload) > limits.PAYLOAD_BYTES_MAX:
        # The model calls it RequestTooLargeException, AWS sends this code.
        raise ServiceError(
            "RequestEntityTooLargeException",
            f"Request must be smaller than {limits.PAYLOAD_BYTES_MAX} bytes for the InvokeFunction operation",
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
