"""Environments that are kept ready ahead of demand: there before they are needed, replaced when they die."""

import asyncio
import json
import signal
from collections.abc import Callable
from typing import Any

import pytest

from cumulet.services.lambda_.execution.supervisor import fleet_key

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

CODE = """
import asyncio, os, sys, time
def lambda_handler(event, context):
    if event.get("die"):
        os._exit(3)
    time.sleep(event.get("sleep", 0))
    return [os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], os.getpid(), os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]]
"""


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def ask(rig: Any, version: Any, **fields: Any) -> Any:
    return json.loads((await rig.invoke(version, b'{"sleep": 0.3}', **fields)).payload)


async def test_kept_environments_are_used_first_and_replaced(rig: Any) -> None:
    version = await rig.function(CODE, version="1")
    supervisor, key = rig.plane._supervisor, fleet_key(version)
    supervisor.keep(rig.scope, version, 2)
    await until(lambda: supervisor.ready(key) == 2)
    answers = await asyncio.gather(*(ask(rig, version, provisioned=2, provisioned_total=2) for _ in range(3)))
    assert sorted(kind for kind, _, _ in answers) == [
        "on-demand",
        "provisioned-concurrency",
        "provisioned-concurrency",
    ]
    kept = {stream for kind, _, stream in answers if kind == "provisioned-concurrency"}
    assert (await rig.invoke(version, b'{"die": 1}')).function_error == "Unhandled"
    await until(lambda: supervisor.ready(key) == 2)
    answers = await asyncio.gather(*(ask(rig, version) for _ in range(2)))
    assert [kind for kind, _, _ in answers] == ["provisioned-concurrency"] * 2
    assert len(kept & {stream for _, _, stream in answers}) == 1
    supervisor.keep(rig.scope, version, 0)
    await until(lambda: supervisor.ready(key) == 0)


async def test_one_that_ends_unused_takes_no_other_along(rig: Any) -> None:
    version = await rig.function(CODE, version="1")
    supervisor, key = rig.plane._supervisor, fleet_key(version)
    supervisor.keep(rig.scope, version, 2)
    await until(lambda: supervisor.ready(key) == 2)
    first = next(iter(supervisor._fleets[key].members.values()))
    first._sandbox.thaw()
    first._sandbox.signal_runtime(signal.SIGKILL)
    await until(lambda: supervisor.ready(key) == 1)
    assert (await ask(rig, version))[0] == "provisioned-concurrency"
    supervisor.keep(rig.scope, version, 2)
    await until(lambda: supervisor.ready(key) == 2)
    supervisor.keep(rig.scope, version, 0)


async def test_the_log_says_why_an_environment_was_initialised(rig: Any) -> None:
    version = await rig.function(
        CODE, version="1", log_format="JSON", application_log_level="INFO", system_log_level="DEBUG"
    )
    supervisor = rig.plane._supervisor
    supervisor.keep(rig.scope, version, 1)
    await until(lambda: supervisor.ready(fleet_key(version)) == 1)
    _, _, stream = await ask(rig, version)
    await rig.plane._supervisor._shipper.flush()
    records = [json.loads(line) for line in rig.neighbours.events[stream]]
    started = next(record for record in records if record["type"] == "platform.initStart")
    assert started["record"]["initializationType"] == "provisioned-concurrency"
    supervisor.keep(rig.scope, version, 0)


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("raise RuntimeError('no')", {}),
        ("import os, threading\nthreading.Timer(0.05, os._exit, [3]).start()\nlambda_handler = print", {}),
        (CODE, {"role": "arn:aws:iam::123456789012:role/stranger"}),
    ],
    ids=["it raises", "it ends as soon as it is ready", "its role cannot be assumed"],
)
async def test_what_cannot_start_is_given_up_and_told(rig: Any, code: str, more: Any) -> None:
    version = await rig.function(code, version="1", **more)
    supervisor, told = rig.plane._supervisor, []
    before = supervisor.on_kept
    supervisor.on_kept = lambda key, reason: told.append((key, reason))
    try:
        supervisor.keep(rig.scope, version, 1)
        await until(lambda: any(key == fleet_key(version) and reason for key, reason in told))
    finally:
        supervisor.on_kept = before
    expected = "AccessDeniedException: The role" if more else "FUNCTION_ERROR_INIT_FAILURE"
    reasons = [reason for key, reason in told if key == fleet_key(version) and reason]
    assert len(reasons) == 1
    assert reasons[0].startswith(expected)
    assert supervisor.ready(fleet_key(version)) == 0


async def test_whoever_asks_how_many_are_ready_is_told_of_what_differs_from_the_answer(rig: Any) -> None:
    version = await rig.function(CODE, version="1")
    supervisor, key = rig.plane._supervisor, fleet_key(version)
    told: list[int] = []

    def note(fleet: str, reason: str) -> None:
        if fleet == key:  # environments of the tests before may still be ending
            told.append(supervisor.ready(key))

    before, supervisor.on_kept = supervisor.on_kept, note
    try:
        assert supervisor.ready(key) == 0
        supervisor.keep(rig.scope, version, 1)
        await until(lambda: told == [1])
        supervisor.keep(rig.scope, version, 0)
        assert supervisor.ready(key) == 0, "what has been told to end is not ready"
        supervisor.keep(rig.scope, version, 1)
        await until(lambda: told == [1, 1])
        supervisor.keep(rig.scope, version, 0)
        await until(lambda: key not in supervisor._fleets)
        assert supervisor.ready(key) == 0
    finally:
        supervisor.on_kept = before


async def test_what_is_to_be_frozen_soon_does_not_wait_for_a_later_look(rig: Any) -> None:
    supervisor = rig.plane._supervisor
    if supervisor._sweeping is not None:
        supervisor._sweeping.cancel()
        supervisor._sweeping = None
    supervisor._sweep_later(100)
    later = supervisor._sweeping
    supervisor._sweep_later(50)
    sooner = supervisor._sweeping
    assert later.cancelled()
    supervisor._sweep_later(70)
    assert supervisor._sweeping is sooner
    assert not sooner.cancelled()
    supervisor._sweep_later(0)


async def test_a_version_that_is_tried_out_waits_for_room(rig: Any) -> None:
    supervisor = rig.plane._supervisor
    version = await rig.function(CODE, version="1", snap_start=True)
    most, supervisor.environments_max = supervisor.environments_max, 0
    trial = asyncio.ensure_future(supervisor.try_out(rig.scope, version))
    for _ in range(10):
        await asyncio.sleep(0)
    assert fleet_key(version) not in supervisor._fleets
    supervisor.environments_max = most
    assert await trial is None


async def test_a_tenant_that_waited_for_room_in_vain_leaves_nothing_behind(rig: Any) -> None:
    supervisor = rig.plane._supervisor
    version = await rig.function(CODE, per_tenant=True)
    most, supervisor.environments_max = supervisor.environments_max, 0
    try:
        waiting = asyncio.ensure_future(rig.invoke(version, tenant_id="blue"))
        await until(lambda: fleet_key(version, "blue") in supervisor._fleets)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    finally:
        supervisor.environments_max = most
    assert fleet_key(version, "blue") not in supervisor._fleets
