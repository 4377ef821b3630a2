"""Answers that hold for a while: what an authorizer said, by whom it was asked about and what identified the caller."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Remembered(Generic[V]):
    """A bounded memory of answers, by the clock that can be moved. It may lose any of them at any time."""

    def __init__(self, kept_max: int) -> None:
        self._kept: OrderedDict[Hashable, tuple[float, V]] = OrderedDict()
        self._kept_max = kept_max

    def find(self, key: Hashable, now_s: float) -> V | None:
        """Return what was answered, if that still holds."""
        kept = self._kept.get(key)
        return kept[1] if kept is not None and kept[0] > now_s else None

    def keep(self, key: Hashable, answer: V, until_s: float) -> None:
        """Remember an answer; the one that was given first makes room."""
        self._kept[key] = (until_s, answer)
        self._kept.move_to_end(key)
        if len(self._kept) > self._kept_max:
            self._kept.popitem(last=False)
