"""The distributed engine: one table in PostgreSQL, or in a database that speaks its protocol; any number of nodes.

    engine.py     the store: lanes (a thread with a connection each), retries, deadlines
    views.py      what a transaction body sees, in as few round trips as can be
    settled.py    values that are read at every request and rarely written, kept in memory and never stale
    changes.py    from a body's buffered changes to the statements that apply them
    long_keys.py  keys that are too long for an index of PostgreSQL
    session.py    one connection: statements, pipelines, time limits
    schema.py     the tables, made by one of many nodes that start at once; refusals in words
    hints.py      wake-ups between nodes, over LISTEN and NOTIFY

Why it is so, with the figures: docs/decisions/0009-postgresql.md.
"""

from cumulet.store.postgres.engine import PostgresStore, open_postgres

__all__ = ["PostgresStore", "open_postgres"]
