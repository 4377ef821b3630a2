"""Items as the files of exports and imports have them: DynamoDB JSON, Ion text, and CSV.

A reader is fed with the bytes of one file, in pieces of any size, and gives records: an item each, or None for what no
item can be read from. Nothing larger than a record is kept, and a record has a limit.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core import ion
from cumulet.services.dynamodb.core.limits import IMPORT_RECORD_BYTES_MAX
from cumulet.services.dynamodb.core.values import Item, canonical_item

Record = tuple[Item, int] | None
"""A canonical item and its size, or None for an error."""

ION_BINARY_MARK = b"\xe0\x01\x00\xea"


def render_json(members: Mapping[str, Item]) -> bytes:
    """Return a line of an export in DynamoDB JSON: an item, or what an increment tells of one."""
    return msgspec.json.encode(members) + b"\n"


def render_ion(members: Mapping[str, Item]) -> bytes:
    """Return a line of an export in Ion."""
    return ion.render_ion(members).encode() + b"\n"


class RecordReader:
    """Cuts a file into records. A record ends with a line, though not every line ends one."""

    def __init__(self, read: Callable[[str], Record], is_whole: Callable[[str], bool] | None = None) -> None:
        """`read` turns the text of a record into an item; `is_whole` is asked for each further line of a record."""
        self._read = read
        self._is_whole = is_whole or (lambda line: True)
        self._rest = b""
        self._lines: list[str] = []
        self._bytes = 0

    def feed(self, data: bytes) -> Iterator[Record]:
        """Yield the records that end in these bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            yield from self._line(line)
        if len(self._rest) > IMPORT_RECORD_BYTES_MAX:
            self._rest = self._rest[:IMPORT_RECORD_BYTES_MAX]

    def finish(self) -> Iterator[Record]:
        """Yield what the end of the file ends."""
        rest, self._rest = self._rest, b""
        if rest:
            yield from self._line(rest)
        if self._lines:
            self._lines, self._bytes = [], 0
            yield None

    def _line(self, data: bytes) -> Iterator[Record]:
        self._bytes += len(data) + 1
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = ""
            self._bytes += IMPORT_RECORD_BYTES_MAX
        is_whole = self._is_whole(text)
        if not self._lines and not text.strip() and self._bytes <= IMPORT_RECORD_BYTES_MAX:
            self._bytes = 0
            return
        self._lines.append(text)
        if not is_whole and self._bytes <= IMPORT_RECORD_BYTES_MAX:
            return
        record = "\n".join(self._lines) if self._bytes <= IMPORT_RECORD_BYTES_MAX else None
        self._lines, self._bytes = [], 0
        yield None if record is None else self._read(record)


def json_reader() -> RecordReader:
    """Return a reader of DynamoDB JSON: one item a line."""
    return RecordReader(_read_json)


def ion_reader() -> RecordReader:
    """Return a reader of Ion text. A struct may go over several lines."""
    return RecordReader(_read_ion, ion.Balance().add)


def csv_reader(delimiter: str, headers: Sequence[str] | None, kinds: Mapping[str, str]) -> RecordReader:
    """Return a reader of CSV. Without headers the first line has them; `kinds` are the types of key attributes."""
    return RecordReader(_CsvRows(delimiter, headers, kinds).read, _Quotes().add)


def _read_json(text: str) -> Record:
    try:
        decoded = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return _canonical(decoded.get("Item")) if isinstance(decoded, dict) else None


def _read_ion(text: str) -> Record:
    try:
        structs = list(ion.read_ion(text))
    except ion.NotIon:
        return None
    # Several structs on a line are one record here; AWS writes one on each.
    item = structs[0].get("Item") if len(structs) == 1 else None
    return None if item is None else _canonical(item.get("M"))


def _canonical(item: object) -> Record:
    try:
        return canonical_item(item)
    except ServiceError:
        return None


class _Quotes:
    """Tells whether a record's quotes are closed."""

    def __init__(self) -> None:
        self._is_open = False

    def add(self, line: str) -> bool:
        self._is_open ^= line.count('"') % 2 == 1
        return not self._is_open


class _CsvRows:
    """Rows as items: text, but for the keys, which have their types ("Importing CSV", developer guide)."""

    def __init__(self, delimiter: str, headers: Sequence[str] | None, kinds: Mapping[str, str]) -> None:
        self._delimiter = delimiter
        self._headers = headers
        self._kinds = kinds

    def read(self, text: str) -> Record:
        try:
            (row,) = csv.reader([text.rstrip("\r")], delimiter=self._delimiter, strict=True)
        except (csv.Error, ValueError):
            return None
        if self._headers is None:
            self._headers = row
            return HEADER
        if len(row) > len(self._headers):
            return None
        return _canonical(
            {name: {self._kinds.get(name, "S"): content} for name, content in zip(self._headers, row, strict=False)}
        )


HEADER: Record = ({}, -1)
"""What the line with the headers is: neither an item nor an error."""
