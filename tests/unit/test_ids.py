"""Identifiers: their form, and that none comes twice."""

import uuid

import pytest

from cumulet.ids import DRAW_BYTES, UPPER_ALPHANUMERIC, CountingIds, Ids, RandomIds


@pytest.mark.parametrize("ids", [RandomIds(), CountingIds()])
def test_no_identifier_comes_twice(ids: Ids) -> None:
    assert len({ids.uuid() for _ in range(500)}) == 500
    assert len({ids.token(20) for _ in range(500)}) == 500
    assert len({ids.secret(16) for _ in range(500)}) == 500


@pytest.mark.parametrize("ids", [RandomIds(), CountingIds()])
@pytest.mark.parametrize("length", [1, 52, DRAW_BYTES + 1])
def test_a_token_has_its_length_and_alphabet(ids: Ids, length: int) -> None:
    token = ids.token(length, UPPER_ALPHANUMERIC)
    assert len(token) == length
    assert set(token) <= set(UPPER_ALPHANUMERIC)


def test_a_uuid_is_of_version_4() -> None:
    assert uuid.UUID(RandomIds().uuid()).version == 4


def test_counting_ids_begin_anew_for_each_test() -> None:
    assert CountingIds().uuid() == CountingIds().uuid()
