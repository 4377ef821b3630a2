"""Published versions with SnapStart: not to be invoked before they were initialised."""

from typing import Any

import msgspec

from cumulet.scope import SYSTEM
from cumulet.services.lambda_.records import READINESS, VERSIONS
from harness import SCOPE

NOTES = {"FunctionName": "notes"}
ONE = {**NOTES, "Qualifier": "1"}
ON = {"SnapStart": {"ApplyOn": "PublishedVersions"}}


async def pending(house: Any) -> list[tuple[str, ...]]:
    """Return the versions that nodes are told to initialise."""
    return [one.snapshots for one in await house.store.read(lambda tx: list(READINESS.scan(tx, SYSTEM)))]


async def test_a_version_is_pending_until_it_was_initialised(house: Any) -> None:
    created = await house.create(**ON, Publish=True)
    assert (created["State"], created["StateReason"]) == ("Pending", "The function is being created.")
    assert await pending(house) == [("1",)]
    assert await house.refusal("Invoke", ONE) == (
        "SnapStartNotReadyException",
        "Lambda is initializing your function. It will be ready to invoke once your function state becomes Active.",
    )
    assert (await house.call("lambda", "PublishVersion", NOTES))["Version"] == "1", "nothing has changed"
    await house.call("lambda", "Invoke", NOTES)
    await house.call("lambda", "UpdateFunctionConfiguration", {**NOTES, "SnapStart": {"ApplyOn": "None"}})
    second = await house.call("lambda", "PublishVersion", NOTES)
    assert (second["Version"], second["State"]) == ("2", "Active")
    await house.call("lambda", "DeleteFunction", NOTES)
    assert await pending(house) == []


async def test_a_version_that_has_failed_cannot_be_invoked(house: Any) -> None:
    await house.create(**ON, Publish=True)
    version = await house.store.read(lambda tx: VERSIONS.find(tx, SCOPE, "notes", 1))
    failed = msgspec.structs.replace(version, state="Failed", state_reason="no", state_reason_code="FunctionError")
    await house.store.write(lambda tx: VERSIONS.save(tx, SCOPE, "notes", 1, record=failed))
    shown = await house.call("lambda", "GetFunctionConfiguration", ONE)
    assert (shown["State"], shown["StateReason"], shown["StateReasonCode"]) == ("Failed", "no", "FunctionError")
    assert await house.refusal("Invoke", ONE) == (
        "ResourceConflictException",
        "The operation cannot be performed at this time. The function is currently in the following state: Failed",
    )


async def test_it_can_be_turned_on_and_off_where_it_is_allowed(house: Any) -> None:
    await house.create(Runtime="python3.11")
    assert await house.refusal("UpdateFunctionConfiguration", {**NOTES, **ON}) == (
        "InvalidParameterValueException",
        "python3.11 is not supported for SnapStart enabled functions.",
    )
    changed = await house.call("lambda", "UpdateFunctionConfiguration", {**NOTES, **ON, "Runtime": "python3.13"})
    assert changed["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}
    code, _ = await house.refusal("UpdateFunctionConfiguration", {**NOTES, "Runtime": "python3.11"})
    assert code == "InvalidParameterValueException"
