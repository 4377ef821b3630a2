"""Capacity units, at the edges of their blocks."""

import pytest

from cumulet.services.dynamodb.core.capacity import partition_count, read_units, write_units


@pytest.mark.parametrize(("size", "strong", "eventual"), [(0, 1, 0.5), (4096, 1, 0.5), (4097, 2, 1), (12289, 4, 2)])
def test_read_units(size: int, strong: float, eventual: float) -> None:
    assert (read_units(size, True), read_units(size, False)) == (strong, eventual)


@pytest.mark.parametrize(("before", "after", "units"), [(0, 0, 1), (0, 1024, 1), (0, 1025, 2), (3000, 10, 3)])
def test_write_units(before: int, after: int, units: float) -> None:
    assert write_units(before, after) == units


@pytest.mark.parametrize(
    ("mode", "read", "write", "count"),
    [
        ("PAY_PER_REQUEST", 0, 0, 4),
        ("PROVISIONED", 5, 5, 1),
        ("PROVISIONED", 3000, 1000, 2),
        ("PROVISIONED", 1, 1000, 2),
    ],
)
def test_partition_count(mode: str, read: int, write: int, count: int) -> None:
    assert partition_count(mode, read, write) == count
