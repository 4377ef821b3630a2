"""What is to be ready of each version: all that was asked for, divided as invocations are."""

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.lambda_.provisioning import divide, find_targets


class Route(NamedTuple):
    version: str
    weights: dict[str, float]


class Request(NamedTuple):
    requested: int


versions = st.sampled_from(["1", "2", "3"])
routes = st.builds(Route, versions, st.dictionaries(st.sampled_from(["4", "5"]), st.floats(0, 1), max_size=1))


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 1000), routes)
def test_no_environment_is_lost_or_made_by_dividing(requested: int, route: Route) -> None:
    parts = divide(requested, route)
    assert sum(parts.values()) == requested
    assert all(count >= 0 for count in parts.values())
    for version, weight in route.weights.items():
        assert abs(parts[version] - requested * weight) <= 0.5


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["1", "2", "live", "next", "gone"]), st.builds(Request, st.integers(1, 50))),
    st.dictionaries(st.sampled_from(["live", "next"]), routes),
)
def test_targets_are_the_sum_of_what_is_asked_for(requests: dict[str, Request], aliases: dict[str, Route]) -> None:
    targets = find_targets(requests, aliases)
    known = [name for name in requests if name.isdigit() or name in aliases]
    assert sum(targets.values()) == sum(requests[name].requested for name in known)
    assert all(count > 0 for count in targets.values())
