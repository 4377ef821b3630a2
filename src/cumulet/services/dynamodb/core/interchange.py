"""Items as the files of exports and imports have them: DynamoDB JSON, Ion in both its forms, and CSV.

A reader is fed with the bytes of one file, in pieces of any size, and gives records: an item each, or the reason why no
item can be read. Nothing larger than a record is kept, and a record has a limit.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core import ion, ion_binary
from cumulet.services.dynamodb.core.limits import IMPORT_RECORD_BYTES_MAX
from cumulet.services.dynamodb.core.values import Item, Value, canonical_item

Record = tuple[Item, int] | str
"""A canonical item and its size, or why there is none. AWS's words are its own where an item is at fault."""

_TOO_LONG = "The record is too long"
_UNREADABLE = "The record cannot be read as {}"


class RecordReader(Protocol):
    """Reads the records of one file."""

    def feed(self, data: bytes) -> Iterator[Record]:
        """Yield the records that end in these bytes."""
        ...

    def finish(self) -> Iterator[Record]:
        """Yield what the end of the file ends."""
        ...


def render_json(members: Mapping[str, Item]) -> bytes:
    """Return a line of an export in DynamoDB JSON: an item, or what an increment tells of one."""
    return msgspec.json.encode(members) + b"\n"


def render_ion(members: Mapping[str, Item]) -> bytes:
    """Return a line of an export in Ion."""
    return ion.render_ion(members).encode() + b"\n"


class _Lines:
    """Cuts a file into records. A record ends with a line, though not every line ends one."""

    def __init__(self, read: Callable[[str], Record], is_whole: Callable[[str], bool] | None = None) -> None:
        """`read` turns the text of a record into an item; `is_whole` is asked for each further line of a record."""
        self._read = read
        self._is_whole = is_whole or (lambda line: True)
        self._rest = b""
        self._lines: list[str] = []
        self._bytes = 0

    def feed(self, data: bytes) -> Iterator[Record]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            yield from self._line(line)
        if len(self._rest) > IMPORT_RECORD_BYTES_MAX:
            self._rest = self._rest[:IMPORT_RECORD_BYTES_MAX]

    def finish(self) -> Iterator[Record]:
        rest, self._rest = self._rest, b""
        if rest:
            yield from self._line(rest)
        if self._lines:
            self._lines, self._bytes = [], 0
            yield "The record ends too early"

    def _line(self, data: bytes) -> Iterator[Record]:
        self._bytes += len(data) + 1
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self._lines, self._bytes = [], 0
            yield "The record is no UTF-8"
            return
        is_whole = self._is_whole(text)
        if not self._lines and not text.strip() and self._bytes <= IMPORT_RECORD_BYTES_MAX:
            self._bytes = 0
            return
        self._lines.append(text)
        if not is_whole and self._bytes <= IMPORT_RECORD_BYTES_MAX:
            return
        record = "\n".join(self._lines) if self._bytes <= IMPORT_RECORD_BYTES_MAX else None
        self._lines, self._bytes = [], 0
        yield _TOO_LONG if record is None else self._read(record)


def json_reader() -> RecordReader:
    """Return a reader of DynamoDB JSON: one item a line."""
    return _Lines(_read_json)


def ion_reader() -> RecordReader:
    """Return a reader of Ion, whichever form it has. A struct in text may go over several lines."""
    return _EitherIon()


def csv_reader(delimiter: str, headers: Sequence[str] | None, kinds: Mapping[str, str]) -> RecordReader:
    """Return a reader of CSV. Without headers the first line has them; `kinds` are the types of key attributes."""
    return _Lines(_CsvRows(delimiter, headers, kinds).read, _Quotes().add)


def _read_json(text: str) -> Record:
    try:
        decoded = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return _UNREADABLE.format("JSON")
    return _canonical(decoded.get("Item") if isinstance(decoded, dict) else None)


def _read_ion(text: str) -> Record:
    try:
        structs = list(ion.read_ion(text))
    except ion.NotIon as error:
        return str(error)
    # Several structs on a line are one record here; AWS writes one on each.
    return _ion_item(structs[0]) if len(structs) == 1 else _UNREADABLE.format("Ion")


def _ion_item(members: dict[str, Value]) -> Record:
    return _canonical(members.get("Item", {}).get("M"))


def _canonical(item: object) -> Record:
    if item is None:
        return "The record has no Item"
    try:
        return canonical_item(item)
    except ServiceError as error:
        return error.message


class _EitherIon:
    """Ion as its first bytes say: with the mark of the binary form, or text."""

    def __init__(self) -> None:
        self._begun = b""
        self._reader: RecordReader | None = None

    def feed(self, data: bytes) -> Iterator[Record]:
        if self._reader is None:
            self._begun += data
            if len(self._begun) < len(ion_binary.MARK):
                return
            data, self._reader = self._begun, self._choose()
        yield from self._reader.feed(data)

    def finish(self) -> Iterator[Record]:
        if self._reader is None:
            self._reader = self._choose()
            yield from self._reader.feed(self._begun)
        yield from self._reader.finish()

    def _choose(self) -> RecordReader:
        is_binary = self._begun.startswith(ion_binary.MARK)
        return _BinaryIon() if is_binary else _Lines(_read_ion, ion.Balance().add)


class _BinaryIon:
    """Cuts Ion in its binary form into records. What comes behind bytes that are no value cannot be read."""

    def __init__(self) -> None:
        self._symbols = ion_binary.Symbols()
        self._rest = b""
        self._is_broken = False

    def feed(self, data: bytes) -> Iterator[Record]:
        if self._is_broken:
            return
        data, at = self._rest + data, 0
        try:
            while (end := ion_binary.value_end(data, at)) is not None:
                if end - at > IMPORT_RECORD_BYTES_MAX:
                    raise ion_binary.Broken(_TOO_LONG)
                if end > len(data):
                    break
                yield from self._record(data[at:end])
                at = end
        except ion_binary.Broken as error:
            self._is_broken = True
            yield str(error)
        self._rest = data[at:]

    def finish(self) -> Iterator[Record]:
        if self._rest and not self._is_broken:
            yield "The record ends too early"

    def _record(self, data: bytes) -> Iterator[Record]:
        try:
            members = ion_binary.read_value(data, self._symbols)
        except ion_binary.Broken:
            raise
        except ion.NotIon as error:
            yield str(error)
            return
        if members is not None:
            yield _ion_item(members)


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
            return _UNREADABLE.format("CSV")
        if self._headers is None:
            self._headers = row
            return HEADER
        if len(row) > len(self._headers):
            return "The record has more fields than the header"
        return _canonical(
            {name: {self._kinds.get(name, "S"): content} for name, content in zip(self._headers, row, strict=False)}
        )


HEADER: Record = ({}, -1)
"""What the line with the headers is: neither an item nor an error."""
