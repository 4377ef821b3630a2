"""A limit divided among processes: never passed, whoever asks, gives back or dies; and nobody waits for ever."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cumulet.services.lambda_.execution.shares import give_back, take
from cumulet.services.lambda_.records import Shares

LIMIT = 5
processes = st.sampled_from(["a", "b", "c"])


class Division(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.shares = Shares()
        self.held = dict.fromkeys("abc", 0)
        self.running = dict.fromkeys("abc", 0)
        self.living = set("abc")

    @rule(name=processes, more=st.integers(1, 4))
    def ask(self, name: str, more: int) -> None:
        if name not in self.living:
            return
        others = sum(self.held[other] for other in self.living if other != name)
        self.shares, self.held[name] = take(
            self.shares,
            name,
            self.living,
            held=self.held[name],
            running=self.running[name],
            more=more,
            limit=LIMIT,
        )
        if others + self.running[name] < LIMIT:
            assert self.held[name] > self.running[name]
        else:
            assert self.shares.wanted == (others > 0)

    @rule(name=processes)
    def begin(self, name: str) -> None:
        if name in self.living and self.running[name] < self.held[name]:
            self.running[name] += 1

    @rule(name=processes)
    def end(self, name: str) -> None:
        self.running[name] = max(self.running[name] - 1, 0)

    @rule(name=processes)
    def lend(self, name: str) -> None:
        if name in self.living:
            wanted = self.shares.wanted
            self.held[name] = self.running[name]
            self.shares = give_back(self.shares, name, self.running[name])
            assert self.shares.wanted == (wanted and bool(set(self.shares.holdings) - {name}))

    @rule(name=processes)
    def die(self, name: str) -> None:
        self.living.discard(name)
        self.running[name] = self.held[name] = 0

    @rule(name=processes)
    def come_back(self, name: str) -> None:
        if name not in self.living:
            # Under another name, as who takes a slot anew; what it had under the old one is nobody's.
            self.shares = Shares(holdings={n: c for n, c in self.shares.holdings.items() if n != name})
            self.living.add(name)

    @invariant()
    def the_limit_holds(self) -> None:
        assert sum(self.running.values()) <= LIMIT
        assert sum(self.held[name] for name in self.living) <= LIMIT


TestDivision = Division.TestCase
TestDivision.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
