"""Which of the events that wait begin: each function has a queue of its own, and a fair share of the places. Pure.

A function may have as many under way as there are places left. So one alone has half of them, two have a third each,
and whatever they have, there is a place for the first event of one more: up to as many functions as there are places.
"""

from collections.abc import Hashable, Iterator, Mapping
from heapq import heapify, heappop, heapreplace
from typing import TypeVar

Owner = TypeVar("Owner", bound=Hashable)
E = TypeVar("E")


def choose(queues: Mapping[Owner, Iterator[E]], under_way: Mapping[Owner, int], places: int) -> Iterator[E]:
    """Yield what begins, of the function that has fewest under way first; of a queue no more is taken than that.

    `under_way` counts the events of each function, also of those that have no queue.
    """
    free = places - sum(under_way.values())
    heap = [(under_way.get(owner, 0), number, queue) for number, (owner, queue) in enumerate(queues.items())]
    heapify(heap)
    while heap and heap[0][0] < free:
        count, number, queue = heap[0]
        for event in queue:
            free -= 1
            heapreplace(heap, (count + 1, number, queue))
            yield event
            break
        else:
            heappop(heap)
