"""What is said of a database: enough to find it, and no password."""

import pytest

from cumulet.store.api import StoreUnreadable
from cumulet.store.places import open_snapshot, where
from cumulet.store.postgres import open_postgres
from cumulet.store.postgres.schema import understand


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:secret%zz@host/db",
        "postgresql://user:sec@ret@host/db",
        "postgresql://user:sec@ret[@host/db",
        "postgresql://user:secret/5@host/db",
        "postgresql://user:sec ret@host:x@/db",
    ],
)
def test_a_url_that_cannot_be_read_is_not_quoted_by_whoever_is_given_it(url: str) -> None:
    def snapshot() -> None:
        with open_snapshot(url):
            pass

    for given in (lambda: where(url), snapshot, lambda: open_postgres(url)):
        with pytest.raises(StoreUnreadable, match="The store's URL cannot be read") as refused:
            given()
        assert "sec" not in str(refused.value)
        assert "ret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://user:secret@host:5433/db", "db at host:5433 as user"),
        ("postgresql://user:s%40%2F%3F@host/db", "db at host as user"),
        ("postgresql://user:secret@[::1]:5432/db", "db at [::1]:5432 as user"),
        ("postgresql://me%40tenant:secret@host/a%40b", "a@b at host as me@tenant"),
        ("postgresql:///db?host=/run/postgresql", "db at /run/postgresql"),
        ("postgresql:///db?host=@abstract", "db at @abstract"),
        ("postgresql:///db", "db at the local socket"),
    ],
)
def test_a_database_is_named_without_its_password(url: str, words: str) -> None:
    assert understand(url)[1] == words
