"""Whatever records a store holds, a backup gives them back, and whatever happens to the file is found."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.store.dump import BackupUnreadable, Header, Pair, Tally, blocks_of, read_blocks, read_header, write_dump

pytestmark = pytest.mark.slow

HEADER = Header(format=1, store_version=1, created_ms=0, engine="memory", program="0.1.0")
RECORDS = st.dictionaries(st.binary(max_size=12), st.binary(max_size=300), max_size=12).map(
    lambda found: sorted(found.items())
)


def write(pairs: list[Pair], sizes: list[int]) -> bytes:
    """Return a backup with blocks of these sizes, again and again."""
    blocks, at, turn = [], 0, 0
    while at < len(pairs):
        size = sizes[turn % len(sizes)]
        blocks.append(pairs[at : at + size])
        at, turn = at + size, turn + 1
    file = io.BytesIO()
    write_dump(file, HEADER, blocks)
    return file.getvalue()


def read(data: bytes) -> list[Pair]:
    file = io.BytesIO(data)
    assert read_header(file) == HEADER
    return [pair for block in read_blocks(file) for pair in block]


@settings(deadline=None)
@given(RECORDS, st.lists(st.integers(1, 5), min_size=1, max_size=3))
def test_every_record_comes_back(pairs: list[Pair], sizes: list[int]) -> None:
    assert read(write(pairs, sizes)) == pairs


@settings(deadline=None)
@given(RECORDS, st.data())
def test_a_file_that_is_not_as_it_was_is_refused(pairs: list[Pair], data: st.DataObject) -> None:
    whole = write(pairs, [3])
    at = data.draw(st.integers(0, len(whole) - 1), "at")
    length = data.draw(st.integers(1, 8), "length")
    instead = data.draw(st.binary(max_size=8), "instead")
    changed = whole[:at] + instead + whole[at + length :]
    if changed != whole:
        with pytest.raises(BackupUnreadable):
            read(changed)


@settings(deadline=None)
@given(RECORDS, RECORDS)
def test_equal_totals_mean_equal_records(some: list[Pair], others: list[Pair]) -> None:
    one, other = Tally(), Tally()
    for tally, pairs in ((one, some), (other, others)):
        for block in blocks_of(pairs):
            tally.add(block)
    assert (one.totals() == other.totals()) == (some == others)
