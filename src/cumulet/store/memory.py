"""The obvious slow engine: a sorted list of keys and a dict. The oracle for the others, and the store of unit tests."""

import asyncio
import bisect
from collections.abc import Callable, Iterator
from typing import TypeVar

from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.overlay import OverlayTx

T = TypeVar("T")


class _Snapshot:
    """The committed map, read only."""

    def __init__(self, keys: list[bytes], values: dict[bytes, bytes]) -> None:
        self._keys = keys
        self._values = values

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def scan(
        self, start: bytes, end: bytes, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        low, high = bisect.bisect_left(self._keys, start), bisect.bisect_left(self._keys, end)
        found = self._keys[low:high]
        if reverse:
            found.reverse()
        return iter([(key, self._values[key]) for key in found[:limit]])


class MemoryStore:
    """A store that is gone with the process. One transaction at a time, since the event loop has one thread."""

    engine = "memory"
    trouble: str | None = None

    def __init__(self, *, is_shared: bool = False) -> None:
        """`is_shared` is for tests in which several nodes of one process use it."""
        self.is_shared = is_shared
        self._keys: list[bytes] = []
        self._values: dict[bytes, bytes] = {}
        self._listeners: dict[str, list[Callable[[], None]]] = {}

    async def read(self, fn: Callable[[ReadTx], T]) -> T:
        return fn(_Snapshot(self._keys, self._values))

    async def write(self, fn: Callable[[WriteTx], T]) -> T:
        tx = OverlayTx(_Snapshot(self._keys, self._values))
        result = fn(tx)
        for start, end in tx.deleted_ranges:
            for key in self._keys[bisect.bisect_left(self._keys, start) : bisect.bisect_left(self._keys, end)]:
                self._remove(key)
        for key, value in tx.changes.items():
            if value is None:
                self._remove(key)
            else:
                if key not in self._values:
                    bisect.insort(self._keys, key)
                self._values[key] = value
        for topic in tx.hints:
            for wake in self._listeners.get(topic, ()):
                asyncio.get_running_loop().call_soon(wake)
        return result

    def listen(self, topic: str, wake: Callable[[], None]) -> Callable[[], None]:
        self._listeners.setdefault(topic, []).append(wake)
        return lambda: self._listeners[topic].remove(wake)

    async def close(self) -> None:
        return None

    def _remove(self, key: bytes) -> None:
        if self._values.pop(key, None) is not None:
            del self._keys[bisect.bisect_left(self._keys, key)]
