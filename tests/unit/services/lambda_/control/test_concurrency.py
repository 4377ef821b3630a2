"""Reserved concurrency: put, get, delete, and what the account has left."""

from typing import Any

import pytest

NOTES = {"FunctionName": "notes"}


async def unreserved(house: Any) -> int:
    settings = await house.call("lambda", "GetAccountSettings", {})
    left: int = settings["AccountLimit"]["UnreservedConcurrentExecutions"]
    return left


async def test_a_reservation_is_taken_from_the_account(house: Any) -> None:
    await house.create()
    assert await house.call("lambda", "GetFunctionConcurrency", NOTES) == {}
    for reserved in (900, 7, 0):
        answer = {"ReservedConcurrentExecutions": reserved}
        assert await house.call("lambda", "PutFunctionConcurrency", {**NOTES, **answer}) == answer
        assert await house.call("lambda", "GetFunctionConcurrency", NOTES) == answer
        assert (await house.call("lambda", "GetFunction", NOTES))["Concurrency"] == answer
        assert await unreserved(house) == 1000 - reserved
        await house.call("lambda", "Invoke", NOTES)
        assert house.execution.invocations[-1][2].reserved_concurrency == reserved
    await house.call("lambda", "DeleteFunctionConcurrency", NOTES)
    assert "Concurrency" not in await house.call("lambda", "GetFunction", NOTES)
    await house.call("lambda", "Invoke", NOTES)
    assert house.execution.invocations[-1][2].reserved_concurrency is None


async def test_a_function_that_goes_gives_its_reservation_back(house: Any) -> None:
    await house.create()
    await house.call("lambda", "PutFunctionConcurrency", {**NOTES, "ReservedConcurrentExecutions": 300})
    await house.call("lambda", "DeleteFunction", NOTES)
    assert await unreserved(house) == 1000


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (
            {"ReservedConcurrentExecutions": 801},
            "InvalidParameterValueException",
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
            "below its minimum value of [100].",
        ),
        (
            {"FunctionName": "notes:$LATEST"},
            "InvalidParameterValueException",
            "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. "
            "Please specify either a function name or an unqualified function ARN.",
        ),
        (
            {"FunctionName": "absent"},
            "ResourceNotFoundException",
            "Function not found: arn:aws:lambda:us-east-1:000000000000:function:absent",
        ),
    ],
)
async def test_what_is_refused(house: Any, more: Any, code: str, words: str) -> None:
    await house.create()
    await house.create("other")
    other = {"FunctionName": "other", "ReservedConcurrentExecutions": 100}
    await house.call("lambda", "PutFunctionConcurrency", other)
    params = {**NOTES, "ReservedConcurrentExecutions": 1, **more}
    assert await house.refusal("PutFunctionConcurrency", params) == (code, words)
    assert await unreserved(house) == 900
