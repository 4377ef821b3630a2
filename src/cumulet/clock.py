"""The only source of time. Everything that waits or dates asks a `Clock`, so that tests can move it.

There are two times. The one that AWS's rules run on (what is stored, retried, expires) can be moved ahead by
`/_cumulet/clock`. The time outside is the machine's, which nobody moves: clients sign with it, and nodes watch each
other by it.
"""

import asyncio
import time
from typing import Protocol


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

    async def sleep_outside(self, seconds: float) -> None:
        """Return when so many seconds have passed outside."""
        ...

    def move_to(self, ahead_ms: int) -> None:
        """Be so far ahead of the time outside, waking every sleeper whose time has come.

        Raises ValueError for less than now: what was dated may not lie in the future.
        """
        ...


class SystemClock:
    """The machine's time, plus what `/_cumulet/clock` added to it."""

    def __init__(self) -> None:
        self._ahead_ms = 0
        self._moved: asyncio.Event | None = None

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
        wake_at = self.monotonic_s() + seconds
        while (left := wake_at - self.monotonic_s()) > 0:
            moved = self._moved
            if moved is None:
                moved = self._moved = asyncio.Event()
            try:
                await asyncio.wait_for(moved.wait(), left)
            except TimeoutError:
                return

    async def sleep_outside(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def move_to(self, ahead_ms: int) -> None:
        _check_forward(ahead_ms - self._ahead_ms)
        self._ahead_ms = ahead_ms
        if self._moved is not None:
            self._moved.set()
            self._moved = None


class ManualClock:
    """Time that stands still until a test says that it passes."""

    def __init__(self, start_ms: int = 1_760_000_000_000) -> None:
        self._start_ms = start_ms
        self._passed_s = 0.0
        self._ahead_ms = 0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []
        self._sleepers_outside: list[tuple[float, asyncio.Future[None]]] = []

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
        await _sleep_until(self._sleepers, self.monotonic_s(), seconds)

    async def sleep_outside(self, seconds: float) -> None:
        await _sleep_until(self._sleepers_outside, self.outside_s(), seconds)

    def move_to(self, ahead_ms: int) -> None:
        _check_forward(ahead_ms - self._ahead_ms)
        self._ahead_ms = ahead_ms
        self._wake()

    def advance(self, seconds: float) -> None:
        """Let time pass, outside and here."""
        _check_forward(seconds)
        self._passed_s += seconds
        self._wake()

    def _wake(self) -> None:
        self._sleepers = _wake_due(self._sleepers, self.monotonic_s())
        self._sleepers_outside = _wake_due(self._sleepers_outside, self.outside_s())


async def _sleep_until(sleepers: list[tuple[float, asyncio.Future[None]]], now_s: float, seconds: float) -> None:
    if seconds <= 0:
        await asyncio.sleep(0)
        return
    woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    sleepers.append((now_s + seconds, woken))
    await woken


def _wake_due(
    sleepers: list[tuple[float, asyncio.Future[None]]], now_s: float
) -> list[tuple[float, asyncio.Future[None]]]:
    """Wake who has slept long enough, in order; return the others."""
    for wake_at, woken in sorted(sleepers, key=lambda sleeper: sleeper[0]):
        if wake_at <= now_s and not woken.done():
            woken.set_result(None)
    return [sleeper for sleeper in sleepers if sleeper[0] > now_s]


def _check_forward(step: float) -> None:
    if step < 0:
        raise ValueError("a clock moves forward only")
