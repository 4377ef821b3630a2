"""What one write changes in an index: entries, their places, and what that costs."""

from typing import Any

import pytest

from cumulet.services.dynamodb.core.index_diff import (
    Image,
    IndexKeys,
    KeyAttribute,
    make_entry,
    plan_index_writes,
)
from cumulet.services.dynamodb.core.item_codec import decode_item, encode_item
from cumulet.services.dynamodb.core.values import item_bytes

A = KeyAttribute("a", "S")
N = KeyAttribute("n", "N")
INDEX = IndexKeys("one", b"index/", (A,), (N,), ("pk",), False, ("x",))


def image(**values: Any) -> Image:
    kinds = {"n": "N"}
    item = {"pk": {"S": "1"}, **{name: {kinds.get(name, "S"): value} for name, value in values.items()}}
    return Image(item, encode_item(item, item_bytes(item)))


BIG = "x" * 3000
HERE = {"a": "k", "n": "1"}


@pytest.mark.parametrize(
    ("before", "after", "removed", "put", "units"),
    [
        (None, {**HERE}, False, True, 1.0),
        ({**HERE}, None, True, False, 1.0),
        ({**HERE}, {"a": "k"}, True, False, 1.0),
        ({**HERE}, {**HERE, "x": "new"}, False, True, 1.0),
        ({**HERE, "x": BIG}, {**HERE, "x": "small"}, False, True, 3.0),
        ({**HERE}, {"a": "k", "n": "2"}, True, True, 2.0),
        ({**HERE, "x": BIG}, {"a": "l", "n": "1", "x": BIG}, True, True, 6.0),
    ],
)
def test_a_write_in_an_index(before: Any, after: Any, removed: bool, put: bool, units: float) -> None:
    old = None if before is None else image(**before)
    new = None if after is None else image(**after)
    (write,) = plan_index_writes([INDEX], b"key", old, new)
    assert (write.removed is not None, write.put is not None, write.units) == (removed, put, units)
    assert write.removed is None or write.put is None or write.removed != write.put.key


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, {"a": "k"}),
        ({"n": "1"}, {"n": "2"}),
        ({**HERE, "y": "not projected"}, {**HERE, "y": "other"}),
        ({**HERE}, {**HERE}),
        (None, {"a": "", "n": "1"}),
        (None, {"a": "k" * 2049, "n": "1"}),
    ],
)
def test_nothing_changes_in_the_index(before: Any, after: Any) -> None:
    old = None if before is None else image(**before)
    assert plan_index_writes([INDEX], b"key", old, image(**after)) == []


def test_an_entry_has_what_is_projected() -> None:
    entry = make_entry(INDEX, b"key", image(**HERE, x="kept", y="not"))
    assert entry is not None
    assert decode_item(entry.value) == {"pk": {"S": "1"}, "a": {"S": "k"}, "n": {"N": "1"}, "x": {"S": "kept"}}


def test_entries_are_ordered_by_their_key_and_then_told_apart() -> None:
    def key(suffix: bytes, number: str) -> bytes:
        entry = make_entry(INDEX, suffix, image(a="k", n=number))
        assert entry is not None
        return entry.key

    places = [key(b"a", "-2"), key(b"b", "-2"), key(b"a", "1"), key(b"a", "1.5"), key(b"a", "10")]
    assert places == sorted(places)
    assert len(set(places)) == len(places)
    long_ones = {key(bytes([end]) * 3000, "1") for end in (1, 2)}
    assert len(long_ones) == 2
    assert all(len(place) < 200 for place in long_ones)
