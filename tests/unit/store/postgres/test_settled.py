"""What a node keeps of a generation, and how much of it."""

import pytest

from cumulet.store.postgres import settled
from cumulet.store.postgres.settled import ABSENT, Settled


def test_a_generation_knows_what_was_read_in_it_and_the_next_begins_with_nothing() -> None:
    known = Settled()
    first = known.at(b"1")
    first.keep(b"a", b"value")
    first.keep(b"b", None)
    assert (first.find(b"a"), first.find(b"b"), first.find(b"c")) == (b"value", None, ABSENT)
    assert known.at(b"1") is first is known.last
    assert known.at(b"2").find(b"a") is ABSENT
    assert first.find(b"a") == b"value"  # a transaction that began before goes on in its own


def test_the_memory_of_a_generation_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled, "BYTES_MAX", 10_000)
    generation = Settled().at(b"1")
    generation.keep(b"large", b"v" * (settled.VALUE_BYTES_MAX + 1))
    assert generation.find(b"large") is ABSENT
    for number in range(1000):
        generation.keep(b"%d" % number, b"v" * 100)
        assert generation.find(b"%d" % number) == b"v" * 100
    kept = sum(generation.find(b"%d" % number) is not ABSENT for number in range(1000))
    assert 1 <= kept <= 10_000 // 100
