"""Leases under nodes that pause, forget to beat, lose their connection and come back, each with a clock of its own.

The nodes do what `nodes.py` and `workers.py` do, step by step, over one store; what passes between two steps is chance.
"""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.store import leases, nodes
from cumulet.store.api import WriteTx
from cumulet.store.leases import LeaseLost, LeaseRecord
from cumulet.store.nodes import BEAT_S, SILENCE_S, NodeRecord, Watch
from cumulet.store.overlay import OverlayTx

NODES = 3


class Table:
    """The committed map, without an event loop: what a transaction of the model reads and writes."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.values.get(key)

    def scan(self, start: bytes, end: bytes, *, limit: int | None = None, reverse: bool = False) -> object:
        found = sorted((k, v) for k, v in self.values.items() if start <= k < end)
        return iter((found[::-1] if reverse else found)[:limit])

    def commit(self, tx: OverlayTx) -> None:
        for key, value in tx.changes.items():
            if value is None:
                self.values.pop(key, None)
            else:
                self.values[key] = value


@dataclass
class Actor:
    """One node: what it remembers between its steps."""

    node_id: str
    skew_s: float
    watch: Watch = field(default_factory=Watch)
    beats: int = 0
    epoch: int = 0
    held: list[LeaseRecord] = field(default_factory=list)
    """Every tenure that it ever had: a paused body of it may still act under any of them."""

    def record(self) -> NodeRecord:
        self.beats += 1
        return NodeRecord(
            node_id=self.node_id, host="h", pid=1, address="a", version="0", started_ms=0, beats=self.beats
        )


class World:
    """All nodes over one table, and what was written under the lease."""

    def __init__(self, skews: list[float]) -> None:
        self.table = Table()
        self.now_s = 0.0
        self.actors = [Actor(f"node-{number}", skew_s) for number, skew_s in enumerate(skews)]
        self.written: list[tuple[str, int]] = []

    def transact(self, fn: object) -> object:
        tx = OverlayTx(self.table)  # type: ignore[arg-type]
        result = fn(tx)  # type: ignore[operator]
        self.table.commit(tx)
        return result

    def step(self, actor: Actor) -> None:
        """One beat and one look, as a node that is not paused does them every second."""
        self.transact(lambda tx: nodes.beat(tx, actor.record()))
        others = {
            record.node_id: record.beats
            for record in self.transact(lambda tx: list(nodes.NODES.scan(tx, nodes.SYSTEM)))  # type: ignore[attr-defined]
            if record.node_id != actor.node_id
        }
        for silent in actor.watch.look(others, self.now_s + actor.skew_s):
            self.transact(lambda tx, silent=silent: nodes.bury(tx, silent, others[silent]))
        if self.transact(lambda tx: leases.find_holder(tx, "work")) is None:
            self.take(actor)

    def take(self, actor: Actor) -> None:
        taken = self.transact(lambda tx: leases.take(tx, "work", actor.node_id, epoch_min=actor.epoch + 1, now_ms=0))
        if isinstance(taken, LeaseRecord):
            actor.epoch = max(actor.epoch, taken.epoch)
            actor.held.append(taken)

    def act(self, actor: Actor, tenure: int) -> bool:
        """Write under one of the tenures that the node ever had, whatever has happened since."""
        held = actor.held[tenure % len(actor.held)]

        def body(tx: WriteTx) -> None:
            if not leases.is_held(tx, held):
                raise LeaseLost(held.name)

        try:
            self.transact(body)
        except LeaseLost:
            return False
        self.written.append((held.holder, held.epoch))
        return True


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("beat"), st.integers(0, NODES - 1)),
        st.tuples(st.just("act"), st.integers(0, NODES - 1), st.integers(0, 5)),
        st.tuples(st.just("give back"), st.integers(0, NODES - 1)),
        st.tuples(st.just("time"), st.floats(0, 10)),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.floats(-1e6, 1e6), min_size=NODES, max_size=NODES), STEPS)
def test_one_tenure_writes_at_a_time_and_none_comes_back(skews: list[float], steps: list[tuple[object, ...]]) -> None:
    world = World(skews)
    for step in steps:
        if step[0] == "time":
            world.now_s += step[1]  # type: ignore[operator]
            continue
        actor = world.actors[step[1]]  # type: ignore[index]
        if step[0] == "beat":
            world.step(actor)
        elif actor.held and step[0] == "act":
            world.act(actor, step[2])  # type: ignore[arg-type]
        elif actor.held:
            world.transact(lambda tx, held=actor.held[-1]: leases.give_back(tx, held))
    tenures = [pair for number, pair in enumerate(world.written) if number == 0 or world.written[number - 1] != pair]
    assert len(tenures) == len(set(tenures)), "a tenure that was over has written again"


@settings(deadline=None, max_examples=200)
@given(st.lists(st.floats(-1e6, 1e6), min_size=NODES, max_size=NODES), STEPS, st.sets(st.integers(0, NODES - 1)))
def test_somebody_holds_the_lease_soon_after_whatever_happened(
    skews: list[float], steps: list[tuple[object, ...]], dead: set[int]
) -> None:
    world = World(skews)
    for step in steps:
        if step[0] == "beat":
            world.step(world.actors[step[1]])  # type: ignore[index]
        elif step[0] == "time":
            world.now_s += step[1]  # type: ignore[operator]
    alive = [actor for number, actor in enumerate(world.actors) if number not in dead] or world.actors[:1]
    for _ in range(int((SILENCE_S + 2 * BEAT_S) / BEAT_S)):  # from now on, the living beat every second
        for actor in alive:
            world.step(actor)
        world.now_s += BEAT_S
    holder = world.transact(lambda tx: leases.find_holder(tx, "work"))
    assert holder in {actor.node_id for actor in alive}
