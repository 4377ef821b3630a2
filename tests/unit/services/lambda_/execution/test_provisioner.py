"""What looks after provisioned concurrency ends when it is told to, whatever comes in that moment."""

import asyncio
from pathlib import Path

import pytest

from cumulet.clock import SystemClock
from cumulet.services.lambda_.execution.provisioner import Provisioner
from cumulet.services.lambda_.execution.standing import Standing
from cumulet.services.lambda_.execution.supervisor import Supervisor
from cumulet.services.lambda_.records import FUNCTION_CHANGED
from cumulet.store.memory import MemoryStore
from harness import make_ground


@pytest.mark.parametrize("turns", range(6))
async def test_a_change_just_before_the_end_does_not_keep_it_going(turns: int, tmp_path: Path) -> None:
    store = MemoryStore()
    ground = make_ground(store, SystemClock(), None, tmp_path)
    provisioner = Provisioner(ground, Supervisor(ground), Standing(ground))
    provisioner.start()
    for _ in range(20):
        await asyncio.sleep(0)  # it has looked, and waits
    await store.write(lambda tx: tx.hint(FUNCTION_CHANGED))
    for _ in range(turns):
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await provisioner.stop()
