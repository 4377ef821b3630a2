"""This process's place among those that run functions: a numbered slot, under a lease of its own.

What a process writes about itself (which environments it keeps ready, how much of a limit it has) stands under its slot
and the epoch in which it took it. So it counts for as long as the process lives and no longer, whoever comes after.
"""

import asyncio
import contextlib

from cumulet.services.kit import Ground
from cumulet.store.api import ReadTx
from cumulet.store.leases import Lease, LeaseLost, find_living

_PREFIX = "lambda: slot "


def living_slots(tx: ReadTx) -> dict[str, int]:
    """Return the slots that living processes have, with their epochs."""
    return {record.name: record.epoch for record in find_living(tx, _PREFIX)}


class Standing:
    """A slot, taken when it is first needed and given back at the end."""

    def __init__(self, ground: Ground) -> None:
        self._workers = ground.workers
        self._taking = asyncio.Lock()
        self._lease: Lease | None = None
        self._holding: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    @property
    def lease(self) -> Lease | None:
        """The slot's lease; None if there is none, or it was lost."""
        return self._lease if self._lease is not None and self._lease.is_held else None

    async def take(self) -> Lease:
        """Return the slot's lease, another one if it was lost. Raises LeaseLost while this node is cut off."""
        async with self._taking:
            if (held := self.lease) is not None:
                return held
            if self._lease is not None and not self._lease.ended.done():
                raise LeaseLost(self._lease.name)  # or not: the next beat of this node tells
            if self._holding is not None:
                await asyncio.wait({self._holding})
            number = 1
            while (lease := await self._workers.take(f"{_PREFIX}{number}")) is None:
                number += 1
            self._lease = lease
            self._holding = asyncio.ensure_future(self._hold(lease))
            return lease

    async def _hold(self, lease: Lease) -> None:
        async def wait(lease: Lease) -> None:
            await self._stopping.wait()

        with contextlib.suppress(LeaseLost):
            await self._workers.perform(lease, wait)

    async def stop(self) -> None:
        """Give the slot back."""
        self._stopping.set()
        if self._holding is not None:
            await asyncio.wait({self._holding})
