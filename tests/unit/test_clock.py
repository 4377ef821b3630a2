"""Clocks: what moves them, and whom that wakes."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from cumulet.clock import ManualClock, SystemClock


async def test_a_manual_clock_wakes_sleepers_in_order_when_it_is_moved() -> None:
    clock, woken = ManualClock(), []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    tasks = [asyncio.ensure_future(sleeper(seconds)) for seconds in (30, 10, 20)]
    await asyncio.sleep(0)
    clock.advance(25)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert woken == [10, 20]
    clock.advance(5)
    await asyncio.gather(*tasks)
    assert woken == [10, 20, 30]


async def test_moving_the_system_clock_wakes_who_sleeps_past_that_moment() -> None:
    clock = SystemClock()
    before_ms = clock.now_ms()
    sleeping = asyncio.ensure_future(clock.sleep(3600))
    await asyncio.sleep(0)
    clock.move_to(3_601_000)
    await asyncio.wait_for(sleeping, 1)
    assert clock.now_ms() - before_ms >= 3_601_000


async def test_a_move_that_is_too_short_wakes_nobody() -> None:
    clock = SystemClock()
    sleeping = asyncio.ensure_future(clock.sleep(3600))
    await asyncio.sleep(0)
    clock.move_to(60_000)
    await asyncio.sleep(0.01)
    assert not sleeping.done()
    sleeping.cancel()


@pytest.mark.parametrize("clock", [ManualClock(), SystemClock()])
def test_no_clock_runs_backwards(clock: ManualClock | SystemClock) -> None:
    clock.move_to(5)
    with pytest.raises(ValueError, match="forward"):
        clock.move_to(4)


async def test_the_time_outside_is_not_moved() -> None:
    clock = ManualClock()
    outside_ms, woken = clock.outside_ms(), []

    async def sleeper() -> None:
        await clock.sleep_outside(10)
        woken.append(clock.outside_s())

    sleeping = asyncio.ensure_future(sleeper())
    await asyncio.sleep(0)
    clock.move_to(3_600_000)
    await asyncio.sleep(0)
    assert (clock.outside_ms(), clock.now_ms(), woken) == (outside_ms, outside_ms + 3_600_000, [])
    clock.advance(10)
    await sleeping
    assert woken == [10]


async def test_alarms_ring_in_order_and_never_once_they_are_cancelled() -> None:
    clock, rung = ManualClock(), list[str]()
    clock.alarm(30, lambda: rung.append("late"))
    spared = clock.alarm(20, lambda: rung.append("spared"))

    def ring() -> None:
        rung.append("early")
        spared.cancel()

    clock.alarm(10, ring)
    clock.alarm(5, lambda: rung.append("cancelled")).cancel()
    clock.advance(9)
    assert rung == []
    clock.advance(21)
    assert rung == ["early", "late"]
    clock.advance(100)
    assert rung == ["early", "late"]


async def test_alarms_of_the_system_clock_ring_when_it_is_moved_past_them() -> None:
    clock, rung = SystemClock(), asyncio.Event()
    clock.alarm(3600, rung.set)
    clock.alarm(7200, lambda: pytest.fail("this one is still to come"))
    clock.move_to(3_601_000)
    await asyncio.wait_for(rung.wait(), 1)


class HastyLoop(asyncio.SelectorEventLoop):
    """A loop whose timers are early, as uvloop's may be, and more so."""

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        return super().call_at(when - 0.003, callback, *args, context=context)


@pytest.mark.parametrize("new_loop", [HastyLoop, uvloop.new_event_loop])
def test_nothing_that_waits_for_a_time_comes_before_it(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def measure() -> list[float]:
        clock, early_s = SystemClock(), []
        for seconds in (0.0002, 0.0014, 0.0041, 0.0096):
            rung, began_s = asyncio.Event(), clock.monotonic_s()
            clock.alarm(seconds, rung.set)
            await rung.wait()
            early_s.append(began_s + seconds - clock.monotonic_s())
            for sleep in (clock.sleep, clock.sleep_outside):
                began_s = clock.monotonic_s()
                await sleep(seconds)
                early_s.append(began_s + seconds - clock.monotonic_s())
        return early_s

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert max(runner.run(measure())) <= 0


async def test_alarms_that_are_due_when_the_system_clock_is_moved_ring_in_order() -> None:
    clock, rung, last = SystemClock(), [], asyncio.Event()
    clock.alarm(3000, last.set)
    for seconds in (2000, 1000):
        clock.alarm(seconds, lambda seconds=seconds: rung.append(seconds))  # type: ignore[misc]
    clock.move_to(3_601_000)
    await asyncio.wait_for(last.wait(), 1)
    assert rung == [1000, 2000]
