"""The rate at which invocations begin: never more than it allows, and nobody refused who keeps to it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.clock import ManualClock
from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.lambda_.execution.limits import RATE_BURST_S
from cumulet.services.lambda_.execution.rates import Rates
from cumulet.services.lambda_.limits import REQUESTS_PER_S_OF_CONCURRENCY

SCOPE = Scope("123456789012", "eu-west-1")

pauses = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 30)), max_size=12)
"""Milliseconds that pass, and how many try then."""


def is_let_in(rates: Rates, reserved: int) -> bool:
    try:
        rates.spend(SCOPE, "arn", reserved)
    except ServiceError:
        return False
    return True


@settings(deadline=None)
@given(st.integers(1, 20), pauses)
def test_no_stretch_of_time_has_more_than_it_may(reserved: int, attempts: list[tuple[int, int]]) -> None:
    clock = ManualClock()
    rates, rate = Rates(clock), reserved * REQUESTS_PER_S_OF_CONCURRENCY
    let_in: list[float] = []
    for pause_ms, tries in attempts:
        clock.advance(pause_ms / 1000)
        let_in += [clock.monotonic_s() for _ in range(tries) if is_let_in(rates, reserved)]
    for first, began_s in enumerate(let_in):
        for last in range(first, len(let_in)):
            assert last - first + 1 <= rate * (let_in[last] - began_s + RATE_BURST_S) + 1e-3


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 60), pauses)
def test_who_keeps_to_it_is_never_refused(reserved: int, steps: int, before: list[tuple[int, int]]) -> None:
    clock = ManualClock()
    rates, rate = Rates(clock), reserved * REQUESTS_PER_S_OF_CONCURRENCY
    for pause_ms, tries in before:
        clock.advance(pause_ms / 1000)
        for _ in range(tries):
            is_let_in(rates, reserved)
    for _ in range(steps):
        clock.advance(1 / rate + 1e-6)
        assert is_let_in(rates, reserved)
