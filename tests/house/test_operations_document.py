"""docs/operations.md says what the code does."""

from pathlib import Path

from cumulet.services.matrix import build_services, models_version, render_document

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"


def test_the_document_is_current() -> None:
    written, current = DOCUMENT.read_text(), render_document(build_services())
    if models_version() in written:
        assert written == current, "run: python -m cumulet.services.matrix > docs/operations.md"
    else:
        # Another botocore has other operations and members to refuse; what is built is the same.
        assert built(written) == built(current), "run: python -m cumulet.services.matrix > docs/operations.md"


def built(document: str) -> list[tuple[str, str]]:
    """Return service and operation of each row that is full or partial."""
    rows, service = [], ""
    for line in document.splitlines():
        if line.startswith("## "):
            service = line
        elif line.startswith("| ") and line.split(" | ")[1] in ("full", "partial"):
            rows.append((service, line.split(" | ")[0]))
    return rows
