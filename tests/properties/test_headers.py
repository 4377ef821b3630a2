"""A client's next head, of which only what changed is read, has the headers that it would have by itself."""

from hypothesis import given
from hypothesis import strategies as st

from cumulet.wire.message import Headers

Fields = list[tuple[bytes, bytes]]

names = st.sampled_from([b"Host", b"host", b"X-Amz-Date", b"Authorization", b"Accept"])
fields = st.tuples(names, st.sampled_from([b"", b"one", b"two", b"\xe9"]))
heads = st.lists(fields, max_size=4)


@st.composite
def alike(draw: st.DrawFn) -> list[Fields]:
    """Return heads of the same names, as a client's are: of two values each, so that they come back to an older one."""
    named = draw(st.lists(names, min_size=1, max_size=3, unique_by=bytes.lower))
    values = st.sampled_from([b"one", b"two"])
    return draw(st.lists(st.tuples(*[st.tuples(st.just(name), values) for name in named]).map(list), min_size=3))


def read(head: Fields) -> Headers:
    return Headers.of_lower_case(tuple((name.decode().lower(), value.decode("latin-1")) for name, value in head), head)


def told(headers: Headers) -> object:
    asked = ("host", "x-amz-date", "authorization", "accept", "cookie")
    return (
        headers.items,
        headers.repeats,
        headers.spellings(),
        [(headers.get(name), name in headers, headers.get_all(name), headers.has_several(name)) for name in asked],
    )


@given(st.one_of(alike(), st.lists(heads, min_size=2, max_size=5)))
def test_a_head_after_another_reads_as_by_itself(several: list[Fields]) -> None:
    last = read(several[0])
    for head in several[1:]:
        last = last.followed_by(head) or read(head)
        assert told(last) == told(read(head))


@given(heads, st.data())
def test_nothing_that_was_read_before_is_changed(head: Fields, data: st.DataObject) -> None:
    first = read(head)
    before = told(first)
    changed = [(name, data.draw(st.sampled_from([value, b"new"]))) for name, value in head]
    after = first.followed_by(changed)
    assert told(first) == before
    assert after is None or told(after) == told(read(changed))
