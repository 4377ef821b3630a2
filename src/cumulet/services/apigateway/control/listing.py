"""Lists of what is all at hand, for the paging of either dialect."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

R = TypeVar("R")


def scanning(records: Iterable[R], key: Callable[[R], str]) -> Callable[[str | None, int | None], Iterator[R]]:
    """Return what yields the records behind a key, in the order of their keys, as a scan of the store would."""
    ordered = sorted(records, key=key)

    def scan(behind: str | None, limit: int | None) -> Iterator[R]:
        return iter([record for record in ordered if behind is None or key(record) > behind][:limit])

    return scan
