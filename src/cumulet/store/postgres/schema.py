"""The tables, and what is said of a database that cannot be used.

Many nodes may open an empty database at once: each tries to make the tables in one transaction, one succeeds, the
others look again.
"""

from collections.abc import Callable

import psycopg
from psycopg.conninfo import conninfo_to_dict

from cumulet.scope import SYSTEM
from cumulet.store.api import StoreError, StoreTooNew, StoreUnavailable, StoreUnreadable
from cumulet.store.keyspace import STORE_META, STORE_VERSION
from cumulet.store.postgres.session import complete, first_line

_TABLES = (
    "CREATE TABLE IF NOT EXISTS kv (k bytea PRIMARY KEY, v bytea NOT NULL)",
    "CREATE TABLE IF NOT EXISTS generation (id integer PRIMARY KEY, token bytea NOT NULL)",
)
_ATTEMPTS = 20


def understand(url: str) -> tuple[str, str]:
    """Return the connection string of a store's URL, and which database it means, in words without its password.

    Raises StoreUnreadable, which does not quote what it cannot read: that may be the password.
    """
    try:
        conninfo = complete(url)
    except psycopg.ProgrammingError:
        raise _unreadable() from None
    # A password with an @ or a / of its own, unencoded, goes on in what is taken for the host or the database.
    parts = conninfo_to_dict(conninfo)
    host, database = str(parts.get("host") or ""), str(parts.get("dbname") or "")
    if "@" in host[1:] or ("@" in database and "user" not in parts):
        raise _unreadable()
    return conninfo, describe(conninfo)


def _unreadable() -> StoreUnreadable:
    return StoreUnreadable(
        "The store's URL cannot be read; it looks like postgresql://user:password@host:5432/database, with"
        " percent-encoding where a part has other characters than letters and digits."
    )


def describe(conninfo: str) -> str:
    """Return which database a connection string means, without its password."""
    parts = conninfo_to_dict(conninfo)
    host = str(parts.get("host") or parts.get("hostaddr") or "the local socket")
    if ":" in host:
        host = f"[{host}]"
    port = f":{parts['port']}" if parts.get("port") else ""
    user = f" as {parts['user']}" if parts.get("user") else ""
    return f"{parts.get('dbname') or parts.get('user') or 'the default database'} at {host}{port}{user}"


def prepare(connection: "psycopg.Connection[tuple[object, ...]]", where: str, new_token: Callable[[], bytes]) -> None:
    """Make the store's tables if the database is empty; else check that it holds a store that we can read.

    Raises StoreTooNew or StoreUnreadable.
    """
    for _ in range(_ATTEMPTS):
        try:
            with connection.transaction():
                if _check(connection, where):
                    return
                for table in _TABLES:
                    connection.execute(table)
                version = b"%d" % STORE_VERSION
                connection.execute(
                    "INSERT INTO kv (k, v) VALUES (%b, %b) ON CONFLICT (k) DO NOTHING",
                    (STORE_META.key(SYSTEM, "version"), version),
                )
                connection.execute(
                    "INSERT INTO generation (id, token) VALUES (1, %b) ON CONFLICT (id) DO NOTHING", (new_token(),)
                )
        except (
            psycopg.errors.UniqueViolation,
            psycopg.errors.DuplicateTable,
            psycopg.errors.DuplicateObject,
            psycopg.errors.SerializationFailure,
            psycopg.errors.DeadlockDetected,
            psycopg.errors.InternalError_,  # "tuple concurrently updated"
        ):
            continue  # another node makes them, and has by now, or its transaction has ended
    raise StoreUnreadable(f"The store's tables could not be made in {where}: other nodes kept interfering.")


def _check(connection: "psycopg.Connection[tuple[object, ...]]", where: str) -> bool:
    """Return whether the store is there; False if the database is empty."""
    tables = {
        str(name)
        for (name,) in connection.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'"
        )
    }
    if not tables:
        return False
    if not {"kv", "generation"} <= tables:
        if tables <= {"kv", "generation"}:
            return False  # a node died between two tables, where making tables is no part of a transaction
        raise StoreUnreadable(
            f"{where} holds something else than a store of Cumulet (the table {min(tables)}). Give it a database, or"
            " a schema, of its own."
        )
    try:
        version = connection.execute(
            "SELECT v FROM kv WHERE k = %b", (STORE_META.key(SYSTEM, "version"),), binary=True
        ).fetchone()
        generation = connection.execute("SELECT token FROM generation WHERE id = 1", binary=True).fetchone()
        rows = connection.execute("SELECT k FROM kv LIMIT 1").fetchone()
    except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedFunction, psycopg.errors.DatatypeMismatch):
        raise StoreUnreadable(f"{where} has a table kv that is not Cumulet's.") from None
    if version is None or generation is None:
        if rows is None:
            return False
        raise StoreUnreadable(f"{where} has a table kv, but it is not a store of Cumulet.")
    found = version[0]
    if not isinstance(found, bytes) or not found.isdigit():
        raise StoreUnreadable(f"{where} has a table kv, but it is not a store of Cumulet.")
    if int(found) > STORE_VERSION:
        raise StoreTooNew(
            f"{where} was written by a newer Cumulet: it has store version {int(found)}, this program knows versions up"
            f" to {STORE_VERSION}."
        )
    return True


def refusal(failure: psycopg.Error, where: str) -> StoreError:
    """Return what the person who gave the URL is told of a database that cannot be reached or used."""
    said = first_line(failure).replace("FATAL:  ", "")
    code = getattr(failure, "sqlstate", None) or ""
    # libpq keeps no SQLSTATE of a connection that was refused, only the server's words.
    if code in ("28P01", "28000") or "password" in said or "authentication" in said:
        return StoreUnreadable(f"The database {where} refuses the login: {said}.")
    if code == "3D000" or ("database" in said and "does not exist" in said):
        return StoreUnreadable(f"There is no database {where}. Make it first: createdb, or CREATE DATABASE.")
    if code == "42501":
        return StoreUnreadable(f"The login may not make tables in {where}: {said}.")
    if code:
        return StoreUnreadable(f"The database {where} cannot be used: {said} ({code}).")
    return StoreUnavailable(f"The database {where} cannot be reached: {said}.")
