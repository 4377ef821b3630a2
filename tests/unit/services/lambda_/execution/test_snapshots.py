"""Environments with SnapStart whose process cannot be copied: each is initialised ahead of who needs it."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from cumulet.services.lambda_.execution.environment import State
from cumulet.services.lambda_.execution.occupancy import Environment
from cumulet.services.lambda_.execution.supervisor import fleet_key

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

CODE = """
import os, time
pipe = os.pipe()  # forks would share it
from snapshot_restore_py import register_after_restore, register_before_snapshot
seen = []
register_before_snapshot(seen.append, "before")
register_after_restore(seen.append, "after")
def lambda_handler(event, context):
    time.sleep(event.get("sleep", 0))
    return [os.getpid(), *seen]
"""
BROKEN_HOOK = """
from snapshot_restore_py import register_%s
@register_%s
def hook():
    raise ValueError("no")
def lambda_handler(event, context):
    return 1
"""


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def versioned(rig: Any, code: str = CODE) -> Any:
    return await rig.function(code, version="1", runtime="python3.12", snap_start=True)


def suspended(rig: Any, version: Any) -> list[Environment]:
    fleet = rig.plane._supervisor._fleets.get(fleet_key(version))
    found: list[Environment] = [] if fleet is None else fleet.suspended()
    return found


async def test_what_was_initialised_is_restored_and_another_takes_its_place(rig: Any) -> None:
    version = await versioned(rig)
    assert await rig.plane._supervisor.try_out(rig.scope, version) is None
    first = suspended(rig, version)
    answers = await asyncio.gather(*(rig.invoke(version, b'{"sleep": 0.2}') for _ in range(2)))
    seen = [json.loads(answer.payload)[1:] for answer in answers]
    assert seen == [["before", "after"]] * 2
    await until(lambda: len(suspended(rig, version)) >= 1)
    assert not set(suspended(rig, version)) & set(first)
    tail = [line.partition(" ")[0] for line in answers[0].log_tail.decode().splitlines()]
    assert tail[-3:] == ["START", "END", "REPORT"]


async def test_what_waits_to_be_restored_does_not_run_and_goes_when_its_function_is_gone(rig: Any) -> None:
    version = await versioned(rig)
    supervisor = rig.plane._supervisor
    assert await supervisor.try_out(rig.scope, version) is None
    [waiting] = suspended(rig, version)

    def sweep_until_frozen() -> bool:
        supervisor._sweep()
        return waiting._is_frozen

    await until(sweep_until_frozen)
    assert (await rig.invoke(version)).function_error is None
    await until(lambda: len(suspended(rig, version)) == 1)
    await supervisor._retire()  # the rig's functions have no records, so all of them are gone
    supervisor._sweep()
    await until(lambda: not suspended(rig, version))


async def test_one_that_dies_while_it_waits_is_not_missed(rig: Any) -> None:
    version = await versioned(rig)
    assert await rig.plane._supervisor.try_out(rig.scope, version) is None
    [waiting] = suspended(rig, version)
    assert waiting._sandbox is not None
    os.kill(waiting._sandbox.pid, signal.SIGKILL)
    await until(lambda: not suspended(rig, version))
    assert json.loads((await rig.invoke(version)).payload)[1:] == ["before", "after"]


async def test_one_that_ends_after_nobody_waits_for_its_trial_any_more_is_gone(rig: Any) -> None:
    version = await versioned(rig, f"import time\ntime.sleep(60)\n{CODE}")
    supervisor = rig.plane._supervisor
    trial = asyncio.ensure_future(supervisor.try_out(rig.scope, version))
    await until(lambda: fleet_key(version) in supervisor._fleets)
    [environment] = supervisor._fleets[fleet_key(version)].members.values()
    await until(lambda: environment._sandbox is not None and environment._timer is not None)
    trial.cancel()
    os.kill(environment._sandbox.pid, signal.SIGKILL)
    await until(lambda: fleet_key(version) not in supervisor._fleets)


async def test_one_that_is_ending_is_not_ended_again(rig: Any) -> None:
    version = await versioned(rig)
    supervisor = rig.plane._supervisor
    assert await supervisor.try_out(rig.scope, version) is None
    [waiting] = suspended(rig, version)
    await supervisor._retire()  # its function has no record, so it is gone
    for _ in range(2):
        supervisor._sweep()
    await until(lambda: waiting.state is State.DEAD)


async def test_one_that_was_tried_again_for_an_invocation_that_has_gone_serves_another_one(rig: Any) -> None:
    version = await versioned(rig)
    supervisor = rig.plane._supervisor
    assert await supervisor.try_out(rig.scope, version) is None
    [failed] = suspended(rig, version)
    again = supervisor._start(supervisor._fleets[fleet_key(version)], rig.scope, version, failed)
    failed.stop()
    await until(lambda: [one.number for one in suspended(rig, version)] == [again])
    [waiting] = suspended(rig, version)
    waiting._began_s -= 1000  # a long time passes
    assert (await rig.invoke(version)).function_error is None


async def test_a_hook_before_the_snapshot_that_fails_is_a_failed_initialisation(rig: Any) -> None:
    version = await versioned(rig, BROKEN_HOOK % (("before_snapshot",) * 2))
    failure = await rig.plane._supervisor.try_out(rig.scope, version)
    assert failure.error_type == "Runtime.BeforeSnapshotError"


async def test_a_hook_after_the_restore_that_fails_fails_the_invocation(rig: Any) -> None:
    version = await versioned(rig, BROKEN_HOOK % (("after_restore",) * 2))
    assert await rig.plane._supervisor.try_out(rig.scope, version) is None
    answer = await rig.invoke(version)
    assert answer.function_error == "Unhandled"
    assert json.loads(answer.payload)["errorType"] == "Runtime.AfterRestoreError"
    assert json.loads(answer.payload)["errorMessage"] == "no"
