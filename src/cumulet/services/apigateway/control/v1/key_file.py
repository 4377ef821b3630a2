"""The file format of API keys: comma-separated values with a line of column names (pure).

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-key-file-format.html
"""

from dataclasses import dataclass

from cumulet.services.apigateway import limits

_COLUMNS = ("name", "key", "description", "enabled", "usageplanids")
_REQUIRED = ("name", "key")


class Malformed(ValueError):
    """A text that is no file of API keys; the words say why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One key of a file."""

    name: str
    value: str
    description: str
    enabled: bool
    plan_ids: tuple[str, ...]


def parse(text: str) -> tuple[list[Row], list[str]]:
    """Return the keys of a file, and what is wrong with the lines that hold none. Raises Malformed."""
    # Only a line's end ends a line: names may hold what Unicode separates lines with.
    lines = [(at, line) for at, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1) if line.strip()]
    if not lines:
        raise Malformed("The imported file is empty")
    header = [name.lower() for name in split(lines[0][1])]
    if missing := [name for name in _REQUIRED if name not in header]:
        raise Malformed(f"The imported file has no column {missing[0]}")
    if twice := [name for name in _COLUMNS if header.count(name) > 1]:
        raise Malformed(f"The imported file has the column {twice[0]} more than once")
    rows, warnings = [], []
    for number, line in lines[1:]:
        cells = dict(zip(header, split(line), strict=False))
        row = Row(
            cells.get("name", ""),
            cells.get("key", ""),
            cells.get("description", ""),
            # Empty means true, as the format's defaults have it.
            (cells.get("enabled") or "true").lower() == "true",
            tuple([plan for part in cells.get("usageplanids", "").split(",") if (plan := part.strip())]),
        )
        if len(row.value) not in limits.IMPORTED_KEY_CHARS:
            warnings.append(f"Line {number}: the key must have between 30 and 128 characters")
        elif (cells.get("enabled") or "true").lower() not in ("true", "false"):
            warnings.append(f"Line {number}: Enabled must be true or false")
        elif len(row.name) > limits.KEY_NAME_CHARS_MAX:
            warnings.append(f"Line {number}: the name must not have more than 1024 characters")
        else:
            rows.append(row)
    return rows, warnings


def split(line: str) -> list[str]:
    """Return the cells of a line. Single or double quotes may stand around one; a doubled quote in it is one."""
    cells, at = list[str](), 0
    while True:
        while line[at : at + 1] in (" ", "\t"):
            at += 1
        quote = line[at : at + 1]
        if quote in ("'", '"') and quote:
            cell, at = _quoted(line, at + 1, quote)
            end = line.find(",", at)
            cell += line[at : len(line) if end < 0 else end].strip()
        else:
            end = line.find(",", at)
            cell = line[at : len(line) if end < 0 else end].strip()
        cells.append(cell)
        if end < 0:
            return cells
        at = end + 1


def _quoted(line: str, at: int, quote: str) -> tuple[str, int]:
    """Return the text up to the closing quote, or up to the line's end, and where it ends."""
    cell = ""
    while True:
        end = line.find(quote, at)
        if end < 0:
            return cell + line[at:], len(line)
        cell += line[at:end]
        if line[end + 1 : end + 2] != quote:
            return cell, end + 1
        cell, at = cell + quote, end + 2
