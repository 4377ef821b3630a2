"""What ends with time, and what there may not be more of."""

from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.lambda_.execution.admission import Pool
from cumulet.services.lambda_.limits import CONCURRENT_EXECUTIONS_MAX
from cumulet.store.keyspace import Scope

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

COUNT = "n = 0\ndef lambda_handler(e, c):\n    global n\n    n += 1\n    return n\n"


def advance(rig: Any, seconds: int) -> None:
    rig.ground.clock.move_to(rig.ground.clock.ahead_ms + seconds * 1000)


def sessions_of(rig: Any, version: Any) -> int:
    return sum(call[3].get("RoleSessionName") == version.function_name for call in rig.neighbours.calls)


async def test_an_environment_that_was_idle_for_long_is_replaced(rig: Any) -> None:
    version = await rig.function(COUNT)
    await rig.invoke(version)
    advance(rig, 599)
    assert (await rig.invoke(version)).payload == b"2"
    advance(rig, 601)
    assert (await rig.invoke(version)).payload == b"1"
    assert sessions_of(rig, version) == 2  # each environment has its own


async def test_no_environment_works_with_a_session_that_is_about_to_end(rig: Any) -> None:
    version = await rig.function(COUNT)
    await rig.invoke(version)
    for _ in range(80):  # kept busy all day, so that it is never idle for long
        advance(rig, 500)
        await rig.invoke(version)
    assert (await rig.invoke(version)).payload == b"82"
    for _ in range(5):
        advance(rig, 500)
        last = await rig.invoke(version)
    assert int(last.payload) < 6
    assert sessions_of(rig, version) == 2


async def test_no_more_invocations_at_a_time_than_the_account_may(rig: Any) -> None:
    version = await rig.function(COUNT)
    admission, pool = rig.plane._admission, Pool(scope_of(version), "")
    for _ in range(CONCURRENT_EXECUTIONS_MAX):
        await admission.enter(pool, None, "")
    try:
        with pytest.raises(ServiceError) as raised:
            await rig.invoke(version)
    finally:
        for _ in range(CONCURRENT_EXECUTIONS_MAX):
            admission.leave(pool)
    assert raised.value.code == "TooManyRequestsException"
    assert raised.value.message == "Rate Exceeded."
    assert raised.value.fields["Reason"] == "ConcurrentInvocationLimitExceeded"
    assert (await rig.invoke(version)).payload == b"1"


def scope_of(version: Any) -> Scope:
    _, _, _, region, account, *_ = version.arn.split(":")
    return Scope(account, region)
