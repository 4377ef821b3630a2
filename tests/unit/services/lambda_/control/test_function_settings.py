"""What is set beside a function's configuration: recursion, runtime updates; and the oldest way to invoke."""

from typing import Any

import pytest

from cumulet.scope import SYSTEM
from cumulet.store.keyspace import LAMBDA_EVENT

NOTES = {"FunctionName": "notes"}
ARN = "arn:aws:lambda:us-east-1:000000000000:function:notes"


async def test_loops_are_ended_unless_they_are_allowed(house: Any) -> None:
    await house.create()
    assert await house.call("lambda", "GetFunctionRecursionConfig", NOTES) == {"RecursiveLoop": "Terminate"}
    allow = {"RecursiveLoop": "Allow"}
    assert await house.call("lambda", "PutFunctionRecursionConfig", {**NOTES, **allow}) == allow
    assert await house.call("lambda", "GetFunctionRecursionConfig", NOTES) == allow


async def test_each_version_has_its_runtime_updates(house: Any) -> None:
    await house.create(Publish=True)
    auto = {"UpdateRuntimeOn": "Auto", "FunctionArn": f"{ARN}:$LATEST"}
    assert await house.call("lambda", "GetRuntimeManagementConfig", NOTES) == auto
    one = {**NOTES, "Qualifier": "1"}
    put = await house.call("lambda", "PutRuntimeManagementConfig", {**one, "UpdateRuntimeOn": "FunctionUpdate"})
    assert put == {"UpdateRuntimeOn": "FunctionUpdate", "FunctionArn": f"{ARN}:1"}
    assert await house.call("lambda", "GetRuntimeManagementConfig", one) == put
    assert await house.call("lambda", "GetRuntimeManagementConfig", NOTES) == auto


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ({"UpdateRuntimeOn": "Manual"}, "NotImplementedException", "UpdateRuntimeOn Manual is not implemented"),
        (
            {"RuntimeVersionArn": "arn:aws:lambda:us-east-1::runtime:abc"},
            "InvalidParameterValueException",
            "You can only specify the RuntimeVersionArn when UpdateRuntimeOn is set to Manual.",
        ),
        ({"Qualifier": "7"}, "ResourceNotFoundException", f"Function not found: {ARN}:7"),
        ({"Qualifier": "live"}, "InvalidParameterValueException", "Runtime management configuration is not supported"),
    ],
)
async def test_runtime_updates_that_are_refused(house: Any, more: Any, code: str, words: str) -> None:
    await house.create()
    refused = await house.refusal("PutRuntimeManagementConfig", {**NOTES, "UpdateRuntimeOn": "Auto", **more})
    assert refused[0] == code
    assert refused[1].startswith(words)


async def test_invoke_async_accepts_an_event(house: Any) -> None:
    await house.create()
    answer = await house.call("lambda", "InvokeAsync", {**NOTES, "InvokeArgs": b'{"n": 1}'})
    assert answer == {"Status": 202}
    events = await house.store.read(lambda tx: list(tx.scan(*LAMBDA_EVENT.range(SYSTEM))))
    assert len(events) == 1
    code, _ = await house.refusal("InvokeAsync", {**NOTES, "InvokeArgs": b"{"})
    assert code == "InvalidRequestContentException"
