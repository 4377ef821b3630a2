"""Functions that call themselves: how often they may."""

import asyncio
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.scope import SYSTEM
from cumulet.services.kit import Principal
from cumulet.services.lambda_.records import EVENTS
from harness import SCOPE


async def invoke(house: Any, trace_header: str, **params: Any) -> Any:
    named = {"FunctionName": "notes", **params}
    root = Principal.root(SCOPE.account)
    return await house.dispatcher.call(root, SCOPE, "lambda", "Invoke", named, trace_header=trace_header)


async def loop(house: Any, times: int) -> str:
    """Run the function so often in one chain, and return the last header."""
    header = ""
    for _ in range(times):
        await invoke(house, header)
        header = house.execution.invocations[-1][2].trace_header
    return header


async def test_the_seventeenth_time_in_one_chain_is_refused(house: Any) -> None:
    await house.create()
    header = await loop(house, 16)
    with pytest.raises(ServiceError) as raised:
        await invoke(house, header)
    assert (raised.value.code, raised.value.status) == ("RecursiveInvocationException", 400)
    assert raised.value.message.startswith("Lambda has detected your function being invoked in a recursive loop")
    assert len(house.execution.invocations) == 16
    await invoke(house, "")


async def test_a_function_may_be_allowed_to(house: Any) -> None:
    await house.create()
    await house.call("lambda", "PutFunctionRecursionConfig", {"FunctionName": "notes", "RecursiveLoop": "Allow"})
    await loop(house, 20)
    assert len(house.execution.invocations) == 20


async def test_a_loop_of_events_is_given_up_at_once(house: Any) -> None:
    await house.create()
    header = await loop(house, 16)
    await invoke(house, header, InvocationType="Event")
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(house.execution.invocations) == 16
    assert await house.store.read(lambda tx: list(EVENTS.scan(tx, SYSTEM))) == []
    await house.workers.stop()


async def test_an_event_keeps_its_trace(house: Any) -> None:
    await house.create()
    await invoke(house, "Root=1-67891233-abcdef012345678912345678;Sampled=1", InvocationType="Event")
    for _ in range(100):
        await asyncio.sleep(0)
    ((_, _, invocation),) = house.execution.invocations
    assert invocation.trace_header.startswith("Root=1-67891233-abcdef012345678912345678;Parent=")
    await house.workers.stop()
