"""Waits that end: what does not happen fails its test and is named, where it would hold up the run.

await until(lambda: environment.state is State.FROZEN, "the environment is frozen")
"""

import asyncio
import contextlib
import subprocess
import threading
from collections.abc import Callable, Iterator

PATIENCE_S = 120.0
"""Longer than anything takes that happens at all, also on a machine that is busy with other things."""


async def until(condition: Callable[[], object], what: str, *, every_s: float = 0.005) -> None:
    """Return once the condition holds. `what` says so, as a sentence."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(every_s)
    except TimeoutError:
        raise AssertionError(f"{PATIENCE_S:g} s later it is still not so that {what}") from None


def join(*threads: threading.Thread) -> None:
    """Return once these threads have ended."""
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), f"{PATIENCE_S:g} s later {thread.name} has still not ended"


@contextlib.contextmanager
def killed_if_silent(process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> Iterator[None]:
    """Read meanwhile what a process prints: if that takes too long it is killed, and its output ends."""
    timer = threading.Timer(PATIENCE_S, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
