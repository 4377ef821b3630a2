"""Custom resources: what a template's own function makes, changes and deletes.

The function is told what to do and sends what has become of it to a URL. On AWS it is invoked asynchronously; here it
is awaited, so that a function that fails before it has answered fails the resource at once, instead of in an hour.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html
"""

import json
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.cloudformation.limits import ANSWER_BYTES_MAX, SERVICE_TIMEOUT_S_MAX
from cumulet.services.cloudformation.resources.kit import (
    POLL_S,
    Desk,
    Made,
    Properties,
    ResourceFailed,
    as_text,
    resource_type,
)


def _as_texts(value: Any) -> Any:
    """Return properties as functions get them: numbers and booleans are texts."""
    if isinstance(value, Mapping):
        return {str(name): _as_texts(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_as_texts(child) for child in value]
    return as_text(value, "#")


async def _ask(
    desk: Desk, request: Literal["Create", "Update", "Delete"], properties: Properties, **more: Any
) -> dict[str, Any]:
    """Return what a function has answered. Raises ResourceFailed if it says so, or says nothing."""
    function = as_text(properties["ServiceToken"], "#/ServiceToken")
    if ":sns:" in function:
        raise ResourceFailed("A topic of SNS as the ServiceToken of a custom resource is not implemented by Cumulet.")
    seconds = _timeout_s(properties)
    token = await desk.answers.expect()
    request_id = desk.answers.ground.ids.uuid()
    question = {
        "RequestType": request,
        "ServiceToken": function,
        "ResponseURL": desk.answers.url_of(token),
        "StackId": desk.answers.stack_id,
        "RequestId": request_id,
        "LogicalResourceId": desk.logical_id,
        "ResourceType": desk.type_name,
        "ResourceProperties": _as_texts(properties),
        **more,
    }
    try:
        answer = await _answered(desk, token, question, seconds)
    except (ServiceError, ResourceFailed):
        await desk.answers.forget()
        raise
    await desk.answers.forget()
    return _parse(answer, request_id, desk)


async def _answered(desk: Desk, token: str, question: Mapping[str, Any], seconds: int) -> bytes:
    began_at = desk.clock.monotonic_s()
    payload = json.dumps(question).encode()
    output = await desk.call("lambda", "Invoke", {"FunctionName": question["ServiceToken"], "Payload": payload})
    while (answer := await desk.answers.find(token)) is None:
        if output.get("FunctionError"):
            raise ResourceFailed(f"The function of the custom resource failed before it had answered: {_said(output)}")
        if desk.clock.monotonic_s() - began_at > seconds:
            raise ResourceFailed(
                "CloudFormation did not receive a response from your Custom Resource. Please check your logs for"
                f" requestId [{question['RequestId']}]. If you are using the Python cfn-response module, you may need"
                " to update your Lambda function so that CloudFormation can attach the updated version."
            )
        await desk.clock.sleep(POLL_S)
    return answer


def _timeout_s(properties: Properties) -> int:
    text = as_text(properties.get("ServiceTimeout", SERVICE_TIMEOUT_S_MAX), "#/ServiceTimeout")
    if len(text) > 4 or not text.isdecimal() or not 1 <= int(text) <= SERVICE_TIMEOUT_S_MAX:
        raise ResourceFailed(f"ServiceTimeout must be a number from 1 to {SERVICE_TIMEOUT_S_MAX}")
    return int(text)


def _said(output: Mapping[str, Any]) -> str:
    text = bytes(output["Payload"]).decode(errors="replace")
    failure = _decode(text.encode())
    return str(failure.get("errorMessage", text)) if isinstance(failure, dict) else text


def _decode(sent: bytes) -> Any:
    """Return what a function's JSON says; None if it is none, or has what no record can keep."""
    try:
        told = msgspec.json.decode(sent)
        msgspec.msgpack.encode(told)
    except (ValueError, OverflowError, RecursionError):  # halves of characters, and numbers of more than 64 bits
        return None
    return told


def _parse(answer: bytes, request_id: str, desk: Desk) -> dict[str, Any]:
    if len(answer) > ANSWER_BYTES_MAX:
        raise ResourceFailed("Response object is too long.")
    told = _decode(answer)
    if not isinstance(told, dict) or told.get("Status") not in ("SUCCESS", "FAILED"):
        raise ResourceFailed("Invalid response object: it must be a JSON object whose Status is SUCCESS or FAILED.")
    if told["Status"] == "FAILED":
        if isinstance(physical_id := told.get("PhysicalResourceId"), str) and physical_id:
            desk.noted.append(physical_id)  # it is asked to delete what it calls so
        raise ResourceFailed(
            "Received response status [FAILED] from custom resource. Message returned:"
            f" {told.get('Reason', '')} (RequestId: {request_id})"
        )
    return told


def _made(told: Mapping[str, Any]) -> Made:
    physical_id, data = told.get("PhysicalResourceId"), told.get("Data") or {}
    if not isinstance(physical_id, str) or not physical_id:
        raise ResourceFailed("Invalid PhysicalResourceId")
    if not isinstance(data, dict):
        raise ResourceFailed("Invalid response object: Data must be an object.")
    if str(told.get("NoEcho", False)).lower() == "true":
        raise ResourceFailed("NoEcho in the answer of a custom resource is not implemented by Cumulet.")
    return Made(physical_id, data)


async def _create(desk: Desk, properties: Properties) -> Made:
    return _made(await _ask(desk, "Create", properties))


async def _update(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    if new["ServiceToken"] != old["ServiceToken"]:
        raise ResourceFailed("Modifying service token is not allowed.")
    more = {"PhysicalResourceId": made.physical_id, "OldResourceProperties": _as_texts(old)}
    return _made(await _ask(desk, "Update", new, **more))


async def _delete(desk: Desk, physical_id: str, properties: Properties) -> None:
    await _ask(desk, "Delete", properties, PhysicalResourceId=physical_id)


CUSTOM = resource_type(
    "AWS::CloudFormation::CustomResource",
    create=_create,
    update=_update,
    delete=_delete,
    properties="*",
    required="ServiceToken",
    attributes="*",
    named_ahead=True,
)
