"""docs/keyspace.md says what the code says."""

from pathlib import Path

from cumulet.store.keyspace import FAMILIES, OWNERS, render_document

DOCUMENT = Path(__file__).parents[2] / "docs" / "keyspace.md"


def test_the_document_is_current() -> None:
    assert DOCUMENT.read_text() == render_document(), "run: python -m cumulet.store.keyspace > docs/keyspace.md"


def test_every_family_lies_in_its_owners_numbers() -> None:
    owned = {number for numbers in OWNERS for number in numbers}

    assert set(FAMILIES) <= owned
    assert sum(len(numbers) for numbers in OWNERS) == len(owned)
