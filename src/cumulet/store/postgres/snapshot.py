"""A store in PostgreSQL as it is at one moment, read beside the nodes that may be using it.

One read-only transaction sees one moment for as long as it lasts, and holds nobody up. The price of a long look: rows
that are replaced or deleted meanwhile are not cleaned up until it is over.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from cumulet.store.api import StoreUnreadable
from cumulet.store.dump import Pair
from cumulet.store.postgres import long_keys, schema
from cumulet.store.postgres.session import connect

ROWS_AT_ONCE = 64
"""A row has up to 8 MB, but most have a few hundred bytes, and few have more than a blob's chunk of 1 MB."""


class PostgresSnapshot:
    """What one transaction sees."""

    engine = "postgres"

    def __init__(self, connection: "psycopg.Connection[tuple[Any, ...]]", where: str, size_bytes: int | None) -> None:
        self._connection = connection
        self.where = where
        self.size_bytes = size_bytes

    def get(self, key: bytes) -> bytes | None:
        row = self._connection.execute("SELECT v FROM kv WHERE k = %b", (key,), binary=True).fetchone()
        return None if row is None else row[0]

    def pairs(self) -> Iterator[Pair]:
        with self._connection.cursor("copy", binary=True) as rows:
            rows.itersize = ROWS_AT_ONCE
            rows.execute("SELECT k, v FROM kv ORDER BY k")
            yield from long_keys.pairs(((key, value) for key, value in rows), b"", b"\xff", reverse=False)


@contextmanager
def open_postgres_snapshot(url: str) -> Iterator[PostgresSnapshot]:
    """Yield the store in a database as it is now. Raises StoreError, with words for the person who gave the URL."""
    conninfo, where = schema.understand(url)
    try:
        opened: psycopg.Connection[tuple[Any, ...]] = connect(conninfo)
        with opened as connection:
            if connection.execute("SELECT to_regclass('kv')").fetchone() == (None,):
                raise StoreUnreadable(f"There is no store in {where}.")
            size_bytes = None
            with suppress(psycopg.errors.UndefinedFunction):  # not every database that speaks the protocol tells it
                ((size_bytes,),) = connection.execute("SELECT pg_table_size('kv')").fetchall()
            # A slow disk at the other end is no reason to end the copy.
            connection.execute("SET idle_in_transaction_session_timeout = 0")
            connection.autocommit = False
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            yield PostgresSnapshot(connection, where, size_bytes)
    except psycopg.Error as failure:
        raise schema.refusal(failure, where) from None
