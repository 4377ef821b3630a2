"""The only source of time. Everything that waits or dates asks a `Clock`, so that tests can move it.

There are two times. The one that AWS's rules run on (what is stored, retried, expires) can be moved ahead by
`/_cumulet/clock`. The time outside is the machine's, which nobody moves: clients sign with it, and nodes watch each
other by it.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Alarm(Protocol):
    """What a clock will do once, unless that is cancelled before."""

    def cancel(self) -> None:
        """Have nothing done. What was done already, or cancelled, stays so."""
        ...


class Clock(Protocol):
    """Wall time in epoch milliseconds, a monotonic reading for durations, and waiting."""

    @property
    def ahead_ms(self) -> int:
        """How far this clock was moved ahead of the time outside."""
        ...

    def now_ms(self) -> int:
        """Return the wall time, in milliseconds since the epoch."""
        ...

    def outside_ms(self) -> int:
        """Return the time that clients and functions see on their own clocks, which nobody moves: they sign with it."""
        ...

    def outside_s(self) -> float:
        """Return seconds outside that never run backwards; those of two processes cannot be compared."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds that never run backwards; moved like the wall time."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when this clock says that `seconds` have passed."""
        ...

    def alarm(self, seconds: float, ring: Callable[[], None]) -> Alarm:
        """Call `ring` when this clock says that `seconds` have passed: a time-out that costs no task."""
        ...

    async def sleep_outside(self, seconds: float) -> None:
        """Return when so many seconds have passed outside."""
        ...

    def move_to(self, ahead_ms: int) -> None:
        """Be so far ahead of the time outside, waking every sleeper whose time has come.

        Raises ValueError for less than now: what was dated may not lie in the future.
        """
        ...


class _Alarm:
    """One of a clock's alarms, which the clock keeps until it has rung or is cancelled."""

    __slots__ = ("_kept", "_ring", "due_s", "timer")

    def __init__(self, kept: "_Alarms", due_s: float, ring: Callable[[], None]) -> None:
        self._kept = kept
        self._ring = ring
        self.due_s = due_s
        self.timer: asyncio.TimerHandle | None = None
        kept[self] = None

    def go_off(self) -> None:
        self.cancel()
        self._ring()

    def cancel(self) -> None:
        self._kept.pop(self, None)
        if self.timer is not None:
            self.timer.cancel()


_Alarms = dict[_Alarm, None]
"""In the order in which they were set."""


_TICK_S = 0.001
"""In whole ticks uvloop counts, from when it last looked at the time: a timer of its may be early by one, or by two."""


class SystemClock:
    """The machine's time, plus what `/_cumulet/clock` added to it."""

    def __init__(self) -> None:
        self._ahead_ms = 0
        self._alarms: _Alarms = {}

    @property
    def ahead_ms(self) -> int:
        return self._ahead_ms

    def now_ms(self) -> int:
        return int(time.time() * 1000) + self._ahead_ms

    def outside_ms(self) -> int:
        return int(time.time() * 1000)

    def outside_s(self) -> float:
        return time.monotonic()

    def monotonic_s(self) -> float:
        return time.monotonic() + self._ahead_ms / 1000

    async def sleep(self, seconds: float) -> None:
        await _sleep(self.alarm, seconds)

    async def sleep_outside(self, seconds: float) -> None:
        until_s = self.outside_s() + seconds
        await asyncio.sleep(seconds)
        while (left_s := until_s - self.outside_s()) > 0:
            await asyncio.sleep(max(left_s, _TICK_S))

    def alarm(self, seconds: float, ring: Callable[[], None]) -> Alarm:
        alarm = _Alarm(self._alarms, self.monotonic_s() + seconds, ring)
        alarm.timer = asyncio.get_running_loop().call_later(seconds, self._look_at, alarm)
        return alarm

    def _look_at(self, alarm: _Alarm) -> None:
        if (left_s := alarm.due_s - self.monotonic_s()) > 0:
            alarm.timer = asyncio.get_running_loop().call_later(max(left_s, _TICK_S), self._look_at, alarm)
        else:
            alarm.go_off()

    def move_to(self, ahead_ms: int) -> None:
        _check_forward(ahead_ms - self._ahead_ms)
        self._ahead_ms = ahead_ms
        now_s = self.monotonic_s()
        for alarm in sorted(self._alarms, key=_due):  # those that are due now ring in order, too
            if alarm.timer is not None:
                alarm.timer.cancel()
            alarm.timer = asyncio.get_running_loop().call_later(max(0.0, alarm.due_s - now_s), self._look_at, alarm)


class ManualClock:
    """Time that stands still until a test says that it passes."""

    def __init__(self, start_ms: int = 1_760_000_000_000) -> None:
        self._start_ms = start_ms
        self._passed_s = 0.0
        self._ahead_ms = 0
        self._alarms: _Alarms = {}
        self._alarms_outside: _Alarms = {}

    @property
    def ahead_ms(self) -> int:
        return self._ahead_ms

    def now_ms(self) -> int:
        return self.outside_ms() + self._ahead_ms

    def outside_ms(self) -> int:
        return self._start_ms + round(self._passed_s * 1000)

    def outside_s(self) -> float:
        return self._passed_s

    def monotonic_s(self) -> float:
        return self.outside_s() + self._ahead_ms / 1000

    async def sleep(self, seconds: float) -> None:
        await _sleep(self.alarm, seconds)

    async def sleep_outside(self, seconds: float) -> None:
        await _sleep(self._alarm_outside, seconds)

    def alarm(self, seconds: float, ring: Callable[[], None]) -> Alarm:
        return _Alarm(self._alarms, self.monotonic_s() + seconds, ring)

    def move_to(self, ahead_ms: int) -> None:
        _check_forward(ahead_ms - self._ahead_ms)
        self._ahead_ms = ahead_ms
        self._ring()

    def advance(self, seconds: float) -> None:
        """Let time pass, outside and here."""
        _check_forward(seconds)
        self._passed_s += seconds
        self._ring()

    def _alarm_outside(self, seconds: float, ring: Callable[[], None]) -> Alarm:
        return _Alarm(self._alarms_outside, self.outside_s() + seconds, ring)

    def _ring(self) -> None:
        _ring_due(self._alarms, self.monotonic_s())
        _ring_due(self._alarms_outside, self.outside_s())


async def _sleep(alarm: Callable[[float, Callable[[], None]], Alarm], seconds: float) -> None:
    if seconds <= 0:
        await asyncio.sleep(0)
        return
    woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    waking = alarm(seconds, wake)
    try:
        await woken
    finally:
        waking.cancel()


def _due(alarm: _Alarm) -> float:
    return alarm.due_s


def _ring_due(alarms: _Alarms, now_s: float) -> None:
    """Ring those whose time has come, in order."""
    for alarm in sorted([alarm for alarm in alarms if alarm.due_s <= now_s], key=_due):
        if alarm in alarms:  # one that rang before may have cancelled it
            alarm.go_off()


def _check_forward(step: float) -> None:
    if step < 0:
        raise ValueError("a clock moves forward only")
