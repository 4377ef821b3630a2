"""Where a store lies, a data folder or a database, and how to open what lies there for a copy."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeAlias

from cumulet.clock import SystemClock
from cumulet.settings import STORE_SCHEMES
from cumulet.store.api import Store, StoreUnreadable
from cumulet.store.transfer import Snapshot, require_unserved

Place: TypeAlias = Path | str
"""A data folder, or the URL of a database."""


def parse_place(text: str) -> Place:
    """Return the place that a person means."""
    return text if text.startswith(STORE_SCHEMES) else Path(text).expanduser()


def where(place: Place) -> str:
    """Return a place in words, without a password. Raises StoreUnreadable for a URL that is none."""
    if isinstance(place, Path):
        return str(place.resolve())
    with _package_explained():
        from cumulet.store.postgres.schema import understand
    return understand(place)[1]


@contextmanager
def open_snapshot(place: Place) -> Iterator[Snapshot]:
    """Yield the store there as it is now, whoever is using it. Raises StoreError if there is none."""
    opened: AbstractContextManager[Snapshot]
    if isinstance(place, Path):
        from cumulet.store.sqlite_snapshot import open_sqlite_snapshot

        opened = open_sqlite_snapshot(place)
    else:
        with _package_explained():
            from cumulet.store.postgres.snapshot import open_postgres_snapshot
        opened = open_postgres_snapshot(place)
    with opened as snapshot:
        yield snapshot


@asynccontextmanager
async def open_alone(place: Place) -> AsyncIterator[Store]:
    """Yield the store there, which is made if there is none. Raises StoreError if a server uses it.

    A folder stays held until the end. A database does not: a node that starts meanwhile finds what is there.
    """
    store: Store
    if isinstance(place, Path):
        from cumulet.store.sqlite import open_sqlite

        store = open_sqlite(place)
    else:
        with _package_explained():
            from cumulet.store.postgres import open_postgres
        store = open_postgres(place)
    try:
        await require_unserved(store, where(place), SystemClock())
        yield store
    finally:
        await store.close()


@contextmanager
def _package_explained() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as missing:
        raise StoreUnreadable(
            f"A store in PostgreSQL needs the package {missing.name}: pip install 'cumulet[postgres]'"
        ) from None
