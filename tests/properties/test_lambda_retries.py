"""The schedule of retries: it ends, it keeps to its limits, and a failing function is tried as often as was said."""

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.lambda_.execution.retries import Patience, Tries, is_too_old, next_try_ms

patiences = st.builds(Patience, st.integers(0, 2), st.integers(60, 21_600))


@settings(deadline=None)
@given(patiences, st.lists(st.booleans(), min_size=200, max_size=200), st.integers(0, 10**13))
def test_an_event_comes_to_an_end_in_time(patience: Patience, refusals: list[bool], accepted_ms: int) -> None:
    tries, now_ms = Tries(accepted_ms), accepted_ms
    for refused in refusals:
        if is_too_old(tries, patience, now_ms):
            assert now_ms == accepted_ms + patience.age_s_max * 1000
            return
        tries = Tries(accepted_ms, tries.failures + (not refused), tries.refusals + refused)
        due_ms = next_try_ms(tries, patience, now_ms, refused=refused)
        if due_ms is None:
            assert tries.failures == patience.retries_max + 1
            return
        assert now_ms < due_ms <= accepted_ms + patience.age_s_max * 1000
        assert due_ms - now_ms <= (300_000 if refused else 120_000)
        now_ms = due_ms
    raise AssertionError("two hundred tries in six hours")


@settings(deadline=None)
@given(patiences, st.integers(0, 10**13))
def test_refusals_alone_last_until_the_event_is_too_old(patience: Patience, accepted_ms: int) -> None:
    tries, now_ms = Tries(accepted_ms), accepted_ms
    while not is_too_old(tries, patience, now_ms):
        tries = Tries(accepted_ms, 0, tries.refusals + 1)
        due_ms = next_try_ms(tries, patience, now_ms, refused=True)
        assert due_ms is not None
        now_ms = due_ms
