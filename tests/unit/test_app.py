"""The composition root: what a server begins by itself, and what it leaves when it ends."""

import asyncio
from pathlib import Path

from cumulet.app import BACKGROUND_AFTER_S, open_app
from cumulet.clock import ManualClock
from cumulet.scope import SYSTEM
from cumulet.settings import Settings
from cumulet.store.leases import LEASES
from cumulet.store.memory import MemoryStore
from cumulet.store.nodes import NODES


async def test_background_work_begins_without_a_request_and_ends_with_the_server(tmp_path: Path) -> None:
    store, clock = MemoryStore(), ManualClock()

    async def held() -> set[str]:
        for _ in range(100):
            await asyncio.sleep(0)
        return await store.read(lambda tx: {lease.name for lease in LEASES.scan(tx, SYSTEM)})

    async with open_app(Settings(data_dir=tmp_path), store=store, clock=clock):
        assert await held() == set()
        clock.advance(BACKGROUND_AFTER_S)
        # Asked by name: each service has its own tests of what its loops do.
        assert await held() >= {"cloudformation: stacks left behind", "logs: expired events", "dynamodb: streams"}
    assert await held() == set()
    assert await store.read(lambda tx: list(NODES.scan(tx, SYSTEM))) == []
