"""docs/operations.md says what the code does."""

from pathlib import Path

from cumulet.services.matrix import build_services, render_document

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"


def test_the_document_is_current() -> None:
    current = render_document(build_services())
    assert DOCUMENT.read_text() == current, "run: python -m cumulet.services.matrix > docs/operations.md"
