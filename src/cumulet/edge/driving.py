"""Running a coroutine without a task around it."""

import asyncio
from collections.abc import Coroutine
from typing import Any


def drive(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, None, None]) -> None:
    """Run a coroutine up to where it waits, and on from there when what it waits for has come.

    What waits for nothing is done when this returns. Making a task, and the two turns of the loop that it takes, cost a
    tenth of a small request. There is a price: nobody can cancel it, and it may not ask for its task, as
    `asyncio.timeout` does. So it is for what waits for plain futures only.
    """
    try:
        waited_for = coroutine.send(None)
    except StopIteration:
        return
    if waited_for is None:  # it only lets others go first
        loop.call_soon(drive, loop, coroutine)
    else:
        waited_for._asyncio_future_blocking = False  # how a task tells a future that it has taken it
        waited_for.add_done_callback(lambda _: drive(loop, coroutine))
