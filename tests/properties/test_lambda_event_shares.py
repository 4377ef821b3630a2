"""Shares of what runs asynchronously: within the limit, nobody starves, and what could begin has begun."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.lambda_.execution.event_shares import choose

FUNCTIONS = "abcdef"
Situation = tuple[dict[str, int], Counter[str], int]


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    waiting = draw(st.dictionaries(st.sampled_from(FUNCTIONS), st.integers(0, 20)))
    under_way = Counter(draw(st.dictionaries(st.sampled_from(FUNCTIONS), st.integers(0, 8))))
    return waiting, under_way, draw(st.integers(0, 30))


def begin(waiting: dict[str, int], under_way: Counter[str], places: int) -> list[str]:
    """Return whose events begin."""
    return list(choose({name: iter([name] * count) for name, count in waiting.items()}, under_way, places))


@settings(max_examples=200, deadline=None)
@given(situations())
def test_shares(situation: Situation) -> None:
    waiting, before, places = situation
    begun = Counter(begin(*situation))
    after = before + begun
    left = {name: count - begun[name] for name, count in waiting.items()}
    free = places - after.total()
    # Within the limit, unless it was lowered, and no more than there is.
    assert not begun or free >= 0
    assert all(count >= 0 for count in left.values())
    # A function never takes the last places: whoever has none has one as long as there are any.
    assert all(after[name] <= free + 1 for name in begun)
    starving = [name for name, count in left.items() if count and not after[name]]
    assert not starving or free <= 0
    # Nobody gets ahead of another that waits.
    assert all(after[ahead] <= after[name] + 1 for ahead in begun for name, count in left.items() if count)
    # It has converged, and whoever waits has as many as are free.
    assert begin(left, after, places) == []
    assert all(after[name] >= free for name, count in left.items() if count)


@settings(max_examples=60, deadline=None)
@given(situations(), st.data())
def test_all_events_run_whatever_ends_when(situation: Situation, data: st.DataObject) -> None:
    waiting, under_way, places = situation
    ran: Counter[str] = Counter()
    queues, under_way = dict(waiting), Counter(under_way)
    while True:
        for name in begin(queues, under_way, places):
            queues[name] -= 1
            under_way[name] += 1
            ran[name] += 1
        assert under_way.total() <= max(places, situation[1].total())
        running = sorted(under_way.elements())
        if not running:
            break
        under_way[data.draw(st.sampled_from(running))] -= 1
    assert ran == (Counter(waiting) if places else Counter())
