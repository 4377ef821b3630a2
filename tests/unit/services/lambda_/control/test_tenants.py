"""Functions that keep tenants apart: what is told of them, and whose events wait."""

from typing import Any

import pytest

from cumulet.scope import SYSTEM
from cumulet.services.lambda_.records import EVENTS

NOTES = {"FunctionName": "notes"}
APART = {"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}}
NEEDED = "The invoked function is enabled with tenancy configuration. Add a valid tenant ID"


async def test_it_is_told_wherever_the_configuration_is(house: Any) -> None:
    shared = await house.create("shared")
    made = await house.create(Publish=True, **APART)
    listed = await house.call("lambda", "ListFunctions", {"FunctionVersion": "ALL"})
    told = {one["FunctionArn"].partition(":function:")[2]: one.get("TenancyConfig") for one in listed["Functions"]}
    assert told == {"notes:$LATEST": APART["TenancyConfig"], "notes:1": APART["TenancyConfig"], "shared:$LATEST": None}
    assert "TenancyConfig" not in shared
    assert made["TenancyConfig"] == APART["TenancyConfig"]
    changed = await house.call("lambda", "UpdateFunctionConfiguration", {**NOTES, "Timeout": 9})
    assert changed["TenancyConfig"] == APART["TenancyConfig"], "it is so for ever"


async def test_an_invocation_says_for_whom_it_is(house: Any) -> None:
    await house.create(**APART)
    await house.call("lambda", "Invoke", {**NOTES, "TenantId": "blue"})
    assert house.execution.invocations[0][2].tenant_id == "blue"
    await house.create("shared")
    await house.call("lambda", "Invoke", {"FunctionName": "shared"})
    assert house.execution.invocations[1][2].tenant_id == ""


async def test_an_event_keeps_its_tenant(house: Any) -> None:
    await house.create(**APART)
    await house.call("lambda", "Invoke", {**NOTES, "InvocationType": "Event", "TenantId": "blue"})
    [event] = await house.store.read(lambda tx: list(EVENTS.scan(tx, SYSTEM)))
    assert event.tenant_id == "blue"


@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("Invoke", {}),
        ("InvokeAsync", {"InvokeArgs": b"{}"}),
        ("InvokeWithResponseStream", {}),
        ("Invoke", {"TenantId": ""}),
    ],
)
async def test_without_one_nothing_runs(house: Any, operation: str, more: dict[str, Any]) -> None:
    await house.create(**APART)
    code, words = await house.refusal(operation, {**NOTES, **more})
    assert code == "InvalidParameterValueException"
    assert words.startswith(NEEDED)
    assert house.execution.invocations == []
    assert await house.store.read(lambda tx: list(EVENTS.scan(tx, SYSTEM))) == []
