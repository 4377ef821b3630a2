"""Answers that hold for a while: what an authorizer said, by whom it was asked about and what identified the caller."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Remembered(Generic[V]):
    """A bounded memory of answers, by the clock that can be moved. It may lose any of them at any time."""

    def __init__(self, kept_max: int, size_max: int) -> None:
        self._kept: OrderedDict[Hashable, tuple[float, int, V]] = OrderedDict()
        self._kept_max = kept_max
        self._size_max = size_max
        self._size = 0

    def find(self, key: Hashable, now_s: float) -> V | None:
        """Return what was answered, if that still holds."""
        kept = self._kept.get(key)
        return kept[2] if kept is not None and kept[0] > now_s else None

    def keep(self, key: Hashable, answer: V, until_s: float, size: int) -> None:
        """Remember an answer; those that were given first make room."""
        if (before := self._kept.pop(key, None)) is not None:
            self._size -= before[1]
        self._kept[key] = (until_s, size, answer)
        self._size += size
        while len(self._kept) > self._kept_max or self._size > self._size_max:
            self._size -= self._kept.popitem(last=False)[1][1]
