"""Identifiers: their form, and that none comes twice."""

import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from cumulet.ids import DRAW_BYTES, UPPER_ALPHANUMERIC, CountingIds, Ids, RandomIds


@pytest.mark.parametrize("ids", [RandomIds(), CountingIds()])
def test_no_identifier_comes_twice(ids: Ids) -> None:
    assert len({ids.uuid() for _ in range(500)}) == 500
    assert len({ids.token(20) for _ in range(500)}) == 500
    assert len({ids.secret(16) for _ in range(500)}) == 500


def test_no_identifier_comes_twice_though_threads_draw_at_once() -> None:
    ids = RandomIds()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            drawn = list(threads.map(lambda _: [ids.token(52, UPPER_ALPHANUMERIC) for _ in range(4000)], range(4)))
    finally:
        sys.setswitchinterval(interval)

    assert len({token for tokens in drawn for token in tokens}) == 16_000
    assert {len(token) for tokens in drawn for token in tokens} == {52}


FORKED = """
import os
from cumulet.ids import RandomIds

ids = RandomIds()
ids.secret(16), ids.token(20)
reads, writes = os.pipe()
if os.fork() == 0:
    os.write(writes, ids.secret(16) + ids.token(20).encode())
    os._exit(0)
os.wait()
theirs, ours = os.read(reads, 36), ids.secret(16) + ids.token(20).encode()
assert len(theirs) == 36 and theirs[:16] != ours[:16] and theirs[16:] != ours[16:]
"""


def test_no_identifier_comes_twice_though_a_process_forks() -> None:
    # In a process of its own: this one may have threads, which Python warns of.
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=60)


@pytest.mark.parametrize("ids", [RandomIds(), CountingIds()])
@pytest.mark.parametrize("length", [1, 52, DRAW_BYTES + 1])
def test_a_token_has_its_length_and_alphabet(ids: Ids, length: int) -> None:
    token = ids.token(length, UPPER_ALPHANUMERIC)
    assert len(token) == length
    assert set(token) <= set(UPPER_ALPHANUMERIC)


def test_a_uuid_is_of_version_4() -> None:
    ids = RandomIds()
    for _ in range(50):
        made = ids.uuid()
        parsed = uuid.UUID(made)
        assert (parsed.version, parsed.variant, str(parsed)) == (4, uuid.RFC_4122, made)


def test_counting_ids_begin_anew_for_each_test() -> None:
    assert CountingIds().uuid() == CountingIds().uuid()
