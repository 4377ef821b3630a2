"""Setbacks: each in a row lasts twice as long, another revision begins anew."""

from cumulet.services.lambda_.execution.setbacks import Setback, set_back


def test_each_lasts_twice_as_long_up_to_an_hour() -> None:
    now_s, lasted, setback = 5.0, [], None
    for snapshot in range(9):
        setback = set_back(setback, "one", snapshot, now_s)
        lasted.append(setback.until_s - now_s)
        assert setback.is_in_force("one", setback.until_s - 0.1)
        assert not setback.is_in_force("one", setback.until_s)
        now_s = setback.until_s + 7
    assert lasted == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_of_one_snapshot_it_is_said_several_times() -> None:
    setback = set_back(None, "one", 3, 5.0)
    assert set_back(setback, "one", 3, 64.9) == set_back(setback, "one", 3, 5000.0) == setback


def test_another_revision_begins_anew() -> None:
    setback = set_back(Setback("one", 3, 7, 9000.0), "two", 4, 5.0)
    assert setback == Setback("two", 4, 1, 65.0)
    assert not setback.is_in_force("one", 6.0)


def test_many_in_a_row() -> None:
    assert set_back(Setback("one", 3, 10**6, 0.0), "one", 4, 5.0).until_s == 3605
