"""The nodes over one store: a record for each, in which it says again and again that it lives.

Nobody compares the clocks of two machines. A node counts its beats in its record, and the others measure, each by its
own clock, for how long they have seen the count unchanged. Who has seen that for `SILENCE_S` buries the node: its
record goes, if the count is still the same then. That is all there is to being dead; what a dead node held is free.

    alive --(silent for SILENCE_S in the eyes of one who looked all the time)--> buried --(beats again)--> alive

A node that was only slow finds itself buried at its next beat and returns as itself, without what was taken meanwhile.
A store that only one process can have open needs no beats: whoever opens it knows that all others are dead.
"""

from collections.abc import Collection, Mapping

import msgspec

from cumulet.scope import SYSTEM
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import CLOCK, LEASE, NODE
from cumulet.store.records import Records

BEAT_S = 1.0
"""How often a node beats, and looks at the others."""

SILENCE_S = 3.0
"""How long a node may be silent: with the two beats around it, dead work is taken over within five seconds."""

NODES_CHANGED = "nodes"
"""The topic of the hint that a node came, went, or has followed the clock."""


CLOCK_MOVED = "clock"
"""The topic of the hint that the time of all nodes was moved."""

CLOCK_MS_MAX = 32_503_680_000_000
"""The year 3000. Dates have four digits for their year, and whoever renders a later one fails."""


class ClockTooFar(Exception):
    """The clock would leave the years that dates can be written in; it was not moved."""


class NodeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One running server process."""

    node_id: str
    host: str
    pid: int
    address: str
    """Where it listens: host and port."""
    version: str
    started_ms: int
    ahead_ms: int = 0
    """How far its clock is moved: other nodes wait for this when the time of all is moved."""
    beats: int = 0


class ClockRecord(msgspec.Struct, frozen=True):
    """How far the clocks of all nodes are to be moved ahead of the time outside."""

    ahead_ms: int


NODES = Records(NODE, NodeRecord)
CLOCKS = Records(CLOCK, ClockRecord)


def load_ahead_ms(tx: ReadTx) -> int:
    """Return how far the clocks of all nodes are to be moved."""
    record = CLOCKS.find(tx, SYSTEM)
    return 0 if record is None else record.ahead_ms


def move_clock(tx: WriteTx, by_ms: int, outside_ms: int) -> int:
    """Move the clocks of all nodes, and return how far they then are ahead. Raises ClockTooFar."""
    ahead_ms = load_ahead_ms(tx) + by_ms
    if outside_ms + ahead_ms > CLOCK_MS_MAX:
        raise ClockTooFar
    CLOCKS.save(tx, SYSTEM, record=ClockRecord(ahead_ms))
    tx.hint(CLOCK_MOVED)
    return ahead_ms


def save_node(tx: WriteTx, node: NodeRecord) -> None:
    """Write a node's record, and wake who waits for it."""
    NODES.save(tx, SYSTEM, node.node_id, record=node)
    tx.hint(NODES_CHANGED)


def forget_all(tx: WriteTx) -> None:
    """Bury every node and free every lease, as whoever has the store alone may."""
    for family in (NODE, LEASE):
        if next(iter(tx.scan(*family.range(SYSTEM), limit=1)), None) is not None:
            tx.delete_range(*family.range(SYSTEM))


def beat(tx: WriteTx, node: NodeRecord) -> bool:
    """Write a node's beat; return whether it was still among the living."""
    was_alive = NODES.find(tx, SYSTEM, node.node_id) is not None
    NODES.save(tx, SYSTEM, node.node_id, record=node)
    return was_alive


def bury(tx: WriteTx, node_id: str, beats: int) -> bool:
    """Remove a node that has not beaten since it was seen with this count; return whether it is gone."""
    node = NODES.find(tx, SYSTEM, node_id)
    if node is not None and node.beats != beats:
        return False
    NODES.delete(tx, SYSTEM, node_id)
    tx.hint(NODES_CHANGED)
    return True


class Watch:
    """What one node has seen of the others (pure: it is told the time).

    Only time in which it looked counts. Who was paused, or cut off from the store together with all others, cannot tell
    a silent node from one that it has not listened to; so the time between two looks counts as two beats at most.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float]] = {}
        """By node: its count, and for how many seconds it has been that."""
        self._looked_s: float | None = None

    def look(self, beats: Mapping[str, int], now_s: float) -> Collection[str]:
        """Take the counts of all nodes as they are now; return the nodes that have been silent for too long."""
        passed_s = 0.0 if self._looked_s is None else min(now_s - self._looked_s, 2 * BEAT_S)
        self._looked_s = now_s
        seen = self._seen
        self._seen = {
            node_id: (count, seen[node_id][1] + passed_s if node_id in seen and seen[node_id][0] == count else 0.0)
            for node_id, count in beats.items()
        }
        return [node_id for node_id, (_, silent_s) in self._seen.items() if silent_s >= SILENCE_S]

    def silent_s(self, node_id: str) -> float:
        """Return for how long a node has not been heard of."""
        return self._seen.get(node_id, (0, 0.0))[1]
