"""Routing by weights: each version gets its share of even chance, and nothing else is chosen."""

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.lambda_.control.routing import choose


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_shares(weights: list[float]) -> None:
    total = max(sum(weights), 1.0)
    shares = [weight / total for weight in weights]
    routes = [("main", max(1.0 - sum(shares), 0.0)), *((f"v{at}", share) for at, share in enumerate(shares))]
    counts = dict.fromkeys((name for name, _ in routes), 0)
    steps = 4096
    for step in range(steps):
        counts[choose(routes, (step << 4).to_bytes(2, "big"))] += 1
    for name, share in routes:
        assert abs(counts[name] / steps - share) <= 2 / steps + 1e-9
        if share == 0 and name != "main":
            assert counts[name] == 0
