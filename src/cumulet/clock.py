"""The only source of time. Everything that waits or dates asks a `Clock`, so that tests can move it."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Wall time in epoch milliseconds, a monotonic reading for durations, and waiting."""

    def now_ms(self) -> int:
        """Return the wall time, in milliseconds since the epoch."""
        ...

    def outside_ms(self) -> int:
        """Return the time that clients and functions see on their own clocks, which nobody moves: they sign with it."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds that never run backwards; moved by `advance` like the wall time."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when this clock says that `seconds` have passed."""
        ...

    def advance(self, seconds: float) -> None:
        """Move the clock forward, waking every sleeper whose time has come. Raises ValueError if `seconds` < 0."""
        ...


class SystemClock:
    """The machine's time, plus what `/_cumulet/clock` added to it."""

    def __init__(self) -> None:
        self._shift_s = 0.0
        self._moved: asyncio.Event | None = None

    def now_ms(self) -> int:
        return int((time.time() + self._shift_s) * 1000)

    def outside_ms(self) -> int:
        return int(time.time() * 1000)

    def monotonic_s(self) -> float:
        return time.monotonic() + self._shift_s

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

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("a clock moves forward only")
        self._shift_s += seconds
        if self._moved is not None:
            self._moved.set()
            self._moved = None


class ManualClock:
    """Time that stands still until a test moves it."""

    def __init__(self, start_ms: int = 1_760_000_000_000) -> None:
        self._now_s = start_ms / 1000
        self._start_s = self._now_s
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return round(self._now_s * 1000)

    def outside_ms(self) -> int:
        return self.now_ms()

    def monotonic_s(self) -> float:
        return self._now_s - self._start_s

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now_s + seconds, woken))
        await woken

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("a clock moves forward only")
        self._now_s += seconds
        due = [sleeper for sleeper in self._sleepers if sleeper[0] <= self._now_s]
        self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[0] > self._now_s]
        for _, woken in sorted(due, key=lambda sleeper: sleeper[0]):
            if not woken.done():
                woken.set_result(None)
