"""Quotas' periods, what remains of them, and files of API keys."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.apigateway.control.v1 import key_file
from cumulet.services.apigateway.pipeline.buckets import Buckets
from cumulet.services.apigateway.plans import Quota, Tally, date_of, day_of_date, period_start, remaining

DAYS = st.integers(0, 60_000)
QUOTAS = st.one_of(
    st.builds(Quota, st.integers(0, 1000), st.just("DAY"), st.just(0)),
    st.builds(Quota, st.integers(0, 1000), st.just("WEEK"), st.integers(0, 6)),
    st.builds(Quota, st.integers(0, 1000), st.just("MONTH"), st.integers(0, 27)),
)


def begins_period(quota: Quota, day: int) -> bool:
    """Tell naively whether a period begins on a day."""
    at = date_of(day)
    if quota.period == "WEEK":
        return at.isoweekday() % 7 == quota.offset
    return quota.period == "DAY" or at.day == quota.offset + 1


@settings(deadline=None)
@given(QUOTAS, DAYS)
def test_a_period_starts_on_the_last_day_on_which_one_begins(quota: Quota, day: int) -> None:
    start = period_start(quota, day)
    assert begins_period(quota, start)
    assert start <= day
    assert not any(begins_period(quota, later) for later in range(start + 1, day + 1))


@settings(deadline=None)
@given(DAYS)
def test_days_and_dates_are_one(day: int) -> None:
    assert day_of_date(date_of(day)) == day
    assert date_of(day + 1) - date_of(day) == timedelta(days=1)


@settings(deadline=None)
@given(QUOTAS, st.lists(st.builds(Tally, st.integers(0, 100), st.integers(-50, 50))), st.integers(1, 100))
def test_what_remains_falls_with_each_request_and_never_below_nothing(
    quota: Quota, tallies: list[Tally], more: int
) -> None:
    left = remaining(quota, tallies)
    assert left == max(0, quota.limit + sum(t.granted for t in tallies) - sum(t.used for t in tallies))
    assert remaining(quota, [*tallies, Tally(more)]) == max(0, left - more) or left == 0
    assert remaining(None, tallies) == -1


CELLS = st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=12)


def quoted(cell: str, quote: str) -> str:
    return quote + cell.replace(quote, quote * 2) + quote


@settings(deadline=None)
@given(st.lists(st.tuples(CELLS, st.sampled_from(["'", '"'])), min_size=1), st.sampled_from(["", " ", "\t "]))
def test_quoted_cells_come_back_as_they_were(cells: list[tuple[str, str]], blank: str) -> None:
    line = ",".join([blank + quoted(cell, quote) + blank for cell, quote in cells])
    assert key_file.split(line) == [cell for cell, _ in cells]


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_file_or_is_malformed(text: str) -> None:
    try:
        rows, _ = key_file.parse(f"name,key\n{text}")
    except key_file.Malformed:
        return
    assert all(30 <= len(row.value) <= 128 for row in rows)


STEPS = st.lists(st.floats(0, 5), min_size=1, max_size=60)


@settings(deadline=None)
@given(st.floats(0, 20), st.integers(0, 20), STEPS)
def test_a_bucket_lets_no_more_through_than_its_burst_and_its_rate(rate: float, burst: int, steps: list[float]) -> None:
    buckets, now, let = Buckets(), 0.0, 0
    for step in steps:
        now += step
        let += buckets.take("key", rate, burst, now)
        assert let <= burst + rate * now + 1e-6
    assert buckets.take("other", rate, burst, now) == (burst >= 1)


@settings(deadline=None)
@given(st.floats(0.1, 20), st.integers(1, 20), st.integers(1, 60))
def test_a_bucket_lets_everybody_through_who_keeps_to_the_rate(rate: float, burst: int, times: int) -> None:
    buckets = Buckets()
    assert all(buckets.take("key", rate, burst, turn * (1 / rate + 1e-6)) for turn in range(times))
