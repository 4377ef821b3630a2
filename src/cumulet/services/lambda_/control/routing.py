"""Which version answers one invocation of an alias. Pure."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

CHANCE_BYTES = 8


def choose(routes: Sequence[tuple[T, float]], chance: bytes) -> T:
    """Return one of the routes' targets, each as often as its share says, over even chance."""
    left = int.from_bytes(chance, "big") / (1 << (8 * len(chance)))
    # From the last one on: the first has what the shares of the others leave, and what rounding does.
    for target, share in reversed(routes[1:]):
        if left < share:
            return target
        left -= share
    return routes[0][0]
