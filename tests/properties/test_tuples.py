"""Packed keys: every tuple comes back, and byte order is the order of the elements."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.store.tuples import after, pack, unpack

pytestmark = pytest.mark.slow

INTEGERS = st.one_of(
    st.integers(-300, 300),
    st.integers(-(2**64) + 1, 2**64 - 1),
    st.integers(1, 8).flatmap(
        lambda n: st.sampled_from([256**n - 1, -(256**n) + 1, 256 ** (n - 1), -(256 ** (n - 1))])
    ),
)
SCALARS = st.one_of(
    st.none(),
    st.binary(max_size=6),
    st.lists(st.sampled_from([0, 1, 255]), max_size=4).map(bytes),
    st.text(max_size=6),
    st.text("\x00\x01a\xff\U0001f600", max_size=4),
    INTEGERS,
)
ELEMENTS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)
TUPLES = st.lists(ELEMENTS, max_size=4).map(tuple)

KINDS = {type(None): 0, bytes: 1, str: 2, tuple: 3, int: 4}


def order(elements: tuple[Any, ...]) -> list[Any]:
    """Return something that Python compares as `pack` promises to."""
    return [
        (KINDS[type(element)], 0 if element is None else order(element) if isinstance(element, tuple) else element)
        for element in elements
    ]


@given(TUPLES)
@settings(max_examples=300, deadline=None)
def test_what_was_packed_comes_back(elements: tuple[Any, ...]) -> None:
    assert unpack(pack(elements)) == elements


@given(TUPLES, TUPLES)
@settings(max_examples=250, deadline=None)
def test_byte_order_is_value_order(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assert (pack(one) < pack(other)) == (order(one) < order(other))
    assert (pack(one) == pack(other)) == (one == other)


@given(SCALARS, SCALARS)
@settings(max_examples=250, deadline=None)
def test_byte_order_is_value_order_of_scalars_alone(one: Any, other: Any) -> None:
    assert (pack((one,)) < pack((other,))) == (order((one,)) < order((other,)))


@given(TUPLES, TUPLES)
@settings(max_examples=200, deadline=None)
def test_a_tuple_lies_in_the_range_of_its_prefix_and_no_other_does(
    prefix: tuple[Any, ...], more: tuple[Any, ...]
) -> None:
    if not prefix:
        return
    start = pack(prefix)
    end = after(start)

    assert start <= pack(prefix + more) < end
    assert (start <= pack(more) < end) == (more[: len(prefix)] == prefix)


@given(st.binary(max_size=12))
@settings(max_examples=250, deadline=None)
def test_bytes_that_pack_did_not_make_are_refused(junk: bytes) -> None:
    try:
        elements = unpack(junk)
    except ValueError:
        return
    assert pack(elements) == junk


@pytest.mark.parametrize("element", [True, 1.5, ["list"], bytearray(b"x")])
def test_other_kinds_are_refused(element: Any) -> None:
    with pytest.raises(TypeError):
        pack((element,))


@pytest.mark.parametrize("number", [2**64, -(2**64)])
def test_integers_over_eight_bytes_are_refused(number: int) -> None:
    with pytest.raises(OverflowError):
        pack((number,))


@pytest.mark.parametrize("packed", [b"\x15\x00", b"\x13\xff", b"\x15", b"\x02a", b"\x05", b"\x03", b"\x02\xff\x00"])
def test_damaged_keys_are_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match=r"key|decode"):
        unpack(packed)
