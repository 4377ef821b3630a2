"""Ranks of vectors: exact wherever an entry may be near enough, whatever sizes the numbers have."""

import math
import random

import pytest

from cumulet.services.dynamodb.core.vectors import Entry, make_rank, score_of

SCALES = [1.0, 1e-30, 1e30, 1e-3]


def product(left: tuple[float, ...], right: tuple[float, ...]) -> float:
    return math.fsum(a * b for a, b in zip(left, right, strict=True))


def reference(distance: str, wanted: tuple[float, ...], vector: tuple[float, ...]) -> float:
    if distance == "EUCLIDEAN":
        return math.dist(wanted, vector)
    if distance == "DOT_PRODUCT":
        return -product(wanted, vector)
    return 1 - product(wanted, vector) / (math.hypot(*wanted) * math.hypot(*vector))


@pytest.mark.parametrize("distance", ["EUCLIDEAN", "DOT_PRODUCT", "COSINE"])
@pytest.mark.parametrize("dimensions", [1, 3, 200])
def test_no_entry_that_may_be_near_enough_is_passed_over(distance: str, dimensions: int) -> None:
    chance = random.Random(f"{distance} {dimensions}")
    passed_over = 0
    for _ in range(60):
        scale = chance.choice(SCALES)
        wanted = tuple(chance.uniform(-1, 1) * scale for _ in range(dimensions))
        rank = make_rank(distance, wanted)
        spread = chance.choice([1e-15, 1e-7, 1.0])
        vectors = [tuple(number * (1 + chance.uniform(-spread, spread)) for number in wanted) for _ in range(30)]
        entries = [Entry(math.hypot(*vector), {}, vector) for vector in vectors]
        exact = [rank(entry, math.inf) for entry in entries]
        for vector, found in zip(vectors, exact, strict=True):
            size = 1.0 if distance == "COSINE" else scale if distance == "EUCLIDEAN" else scale * scale
            assert found == pytest.approx(reference(distance, wanted, vector), rel=1e-9, abs=1e-12 * size * dimensions)
        worst = chance.choice(exact)
        for entry, found in zip(entries, exact, strict=True):
            again = rank(entry, worst)
            assert again == found or (again == math.inf and found > worst)
            passed_over += again == math.inf
    # The short cut has been taken, or the test would tell nothing.
    assert passed_over or distance == "EUCLIDEAN" or dimensions == 1


def test_a_vector_of_length_nought_is_as_far_as_one_at_right_angles() -> None:
    rank = make_rank("COSINE", (1.0, 0.0))
    assert rank(Entry(0.0, {}, (0.0, 0.0)), 0.5) == 1.0
    assert make_rank("COSINE", (0.0, 0.0))(Entry(1.0, {}, (1.0, 0.0)), 0.5) == 1.0


def test_scores_are_products_where_products_are_ranked() -> None:
    assert [score_of(distance, -2.5) for distance in ("DOT_PRODUCT", "EUCLIDEAN", "COSINE")] == [2.5, -2.5, -2.5]
