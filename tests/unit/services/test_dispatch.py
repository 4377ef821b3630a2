"""Services are started once, at their first use, and stopped whatever happens to the others."""

import asyncio
from typing import Any

import pytest

from cumulet.services.dispatch import Dispatcher
from cumulet.services.kit import Service
from harness import AllowAll, House


class SlowPlane:
    """A live part that starts when it is let."""

    def __init__(self, failing_starts: int = 0, fails_to_stop: bool = False) -> None:
        self.may_start = asyncio.Event()
        self.starts = self.stops = 0
        self._failing_starts = failing_starts
        self._fails_to_stop = fails_to_stop

    async def start(self) -> None:
        self.starts += 1
        await self.may_start.wait()
        if self.starts <= self._failing_starts:
            raise OSError("no more files")

    async def stop(self) -> None:
        self.stops += 1
        if self._fails_to_stop:
            raise OSError("it will not end")


def dispatcher_of(**planes: SlowPlane) -> Dispatcher:
    house = House()
    builders: Any = {name: lambda plane=plane: Service("s", {}, "s", plane=plane) for name, plane in planes.items()}
    return Dispatcher(house.store, house.clock, house.ids, AllowAll(), builders, lambda *_: None)


async def three_callers(dispatcher: Dispatcher) -> list[asyncio.Task[Service]]:
    callers = [asyncio.create_task(dispatcher.service("one")) for _ in range(3)]
    for _ in range(3):
        await asyncio.sleep(0)
    return callers


@pytest.mark.parametrize("leaver", [0, 1], ids=["who starts it", "who waits for it"])
async def test_a_caller_who_goes_away_takes_nobody_along(leaver: int) -> None:
    plane = SlowPlane()
    callers = await three_callers(dispatcher_of(one=plane))
    callers[leaver].cancel()
    await asyncio.sleep(0)
    plane.may_start.set()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(answers.pop(leaver), asyncio.CancelledError)
    assert [type(answer) for answer in answers] == [Service, Service]
    assert plane.starts == (2 if leaver == 0 else 1)


async def test_a_start_that_fails_is_tried_again_by_the_next() -> None:
    plane = SlowPlane(failing_starts=1)
    callers = await three_callers(dispatcher_of(one=plane))
    plane.may_start.set()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(answer) for answer in answers] == [OSError, Service, Service]
    assert plane.starts == 2


async def test_a_service_that_cannot_be_stopped_does_not_keep_the_others() -> None:
    planes = {"one": SlowPlane(), "two": SlowPlane(fails_to_stop=True), "three": SlowPlane()}
    dispatcher = dispatcher_of(**planes)
    for name, plane in planes.items():
        plane.may_start.set()
        await dispatcher.service(name)
    with pytest.raises(OSError, match="it will not end"):
        await dispatcher.stop()
    assert [plane.stops for plane in planes.values()] == [1, 1, 1]


async def test_services_that_call_others_stop_before_them() -> None:
    order: list[str] = []

    class Plane(SlowPlane):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.may_start.set()
            self.name = name

        async def stop(self) -> None:
            order.append(self.name)

    dispatcher = dispatcher_of(caller=Plane("caller"), one=Plane("one"), two=Plane("two"))
    for name in ("caller", "one", "two"):
        await dispatcher.service(name)
    await dispatcher.stop(first=("caller",))
    assert order == ["caller", "two", "one"]
