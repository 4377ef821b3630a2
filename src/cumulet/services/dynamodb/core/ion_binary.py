"""Amazon Ion's binary form, as far as items need it: what an import reads.

A stream begins with a mark, and is values one after the other, each with its length in front; names are numbers into a
table of symbols, which values of a kind of their own extend. What DynamoDB has not is refused as it is in the text form
(`ion`), and so are symbols from shared tables.

Source: "Amazon Ion binary encoding" and "Symbols", amazon-ion.github.io/ion-docs.
"""

import binascii
import math
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NoReturn

from cumulet.services.dynamodb.core.ion import NotIon, element_set
from cumulet.services.dynamodb.core.limits import NESTING_DEPTH_MAX
from cumulet.services.dynamodb.core.values import Value

MARK = b"\xe0\x01\x00\xea"
_SYSTEM_SYMBOLS = (
    *(None, "$ion", "$ion_1_0", "$ion_symbol_table", "name", "version", "imports", "symbols", "max_id"),
    "$ion_shared_symbol_table",
)
_SYMBOLS_MAX = 100_000
_NUMBER_BYTES_MAX = 64
"""More than any number of 38 digits within DynamoDB's range takes, written out."""
_EXPONENT_MAX = 1000
_LENGTH_BYTES_MAX = 5

_LENGTH_FOLLOWS = 14
_IS_NULL = 15


class _Kind(IntEnum):
    """What the first four bits of a value say. Those that are not here are refused."""

    NULL = 0
    BOOL = 1
    POSITIVE = 2
    NEGATIVE = 3
    FLOAT = 4
    DECIMAL = 5
    SYMBOL = 7
    STRING = 8
    BLOB = 10
    LIST = 11
    STRUCT = 13
    ANNOTATED = 14
    NONE = 15


class Broken(NotIon):
    """Where the next value begins cannot be told."""


class Symbols:
    """The names that numbers stand for, as a stream has defined them so far."""

    def __init__(self) -> None:
        self._names: list[str | None] = list(_SYSTEM_SYMBOLS)

    def name(self, number: int) -> str:
        """Return the name of a number. Raises NotIon if it has none."""
        name = self._names[number] if number < len(self._names) else None
        return _refuse() if name is None else name

    def define(self, table: dict[str, Value]) -> None:
        """Take a table of local symbols: it replaces the one before, or extends it."""
        imports = table.get("imports")
        if imports is None or imports == {"L": []}:
            self._names = list(_SYSTEM_SYMBOLS)
        elif imports != {"symbol": "$ion_symbol_table"}:
            raise Broken("Ion with shared symbol tables cannot be read")
        for element in table.get("symbols", {}).get("L", ()):
            self._names.append(element.get("S"))
        if len(self._names) > _SYMBOLS_MAX:
            raise Broken("Ion with that many symbols cannot be read")


def value_end(data: bytes, at: int) -> int | None:
    """Return where the value that begins at `at` ends, or None if the data end before that can be told.

    The end may lie behind the data. Raises Broken for what begins no value.
    """
    if at >= len(data):
        return None
    if data[at : at + 4] == MARK:
        return at + len(MARK)
    kind, short = divmod(data[at], 16)
    if kind == _Kind.NONE or (kind == _Kind.ANNOTATED and short in (0, 1, 2, 15)):
        return None if MARK.startswith(data[at:]) else _break()
    follows = short == _LENGTH_FOLLOWS or (kind == _Kind.STRUCT and short == 1)
    if kind == _Kind.BOOL or short == _IS_NULL:
        return at + 1
    if not follows:
        return at + 1 + short
    length = shift = 0
    for place in range(at + 1, min(len(data), at + 1 + _LENGTH_BYTES_MAX)):
        length = length << 7 | data[place] & 0x7F
        shift += 1
        if data[place] & 0x80:
            return place + 1 + length
    return _break() if shift == _LENGTH_BYTES_MAX else None


def read_value(data: bytes, symbols: Symbols) -> dict[str, Value] | None:
    """Return the struct that the bytes of one value are; None for what defines symbols or fills a gap.

    Raises NotIon for what an item cannot be read from.
    """
    if data == MARK:
        symbols.define({})
        return None
    reader = _Reader(data, symbols)
    if _is_gap(data[0]):
        return None
    if data[0] >> 4 == _Kind.ANNOTATED:
        annotations, value = reader.annotated(0)
        if annotations[:1] == ["$ion_symbol_table"]:
            symbols.define(value.get("M", {}))
            return None
    else:
        value = reader.value(0)
    members: dict[str, Value] = value["M"] if "M" in value else _refuse()
    return members


def _is_gap(first: int) -> bool:
    """Return whether a value that begins so is none, and only fills a gap."""
    return first >> 4 == _Kind.NULL and first & 15 != _IS_NULL


class _Reader:
    """Reads the values inside one value, whose bytes are all there."""

    def __init__(self, data: bytes, symbols: Symbols) -> None:
        self._data = data
        self._symbols = symbols
        self._at = 0

    def value(self, depth: int) -> Value:
        if depth > NESTING_DEPTH_MAX:
            raise NotIon("Nesting Levels have exceeded supported limits")
        if self._at < len(self._data) and self._data[self._at] >> 4 == _Kind.ANNOTATED:
            annotations, value = self.annotated(depth)
            if len(annotations) == 1 and annotations[0].startswith("$dynamodb_"):
                return element_set(annotations[0].removeprefix("$dynamodb_"), value)
            return value
        kind, short, end = self._head()
        if short == _IS_NULL and kind != _Kind.ANNOTATED:
            return {"NULL": True}
        content = self._data[self._at : end]
        match kind:
            case _Kind.BOOL:
                value = {"BOOL": short == 1} if short < 2 else _refuse()
            case _Kind.POSITIVE | _Kind.NEGATIVE:
                value = {"N": _integer(content, negative=kind == _Kind.NEGATIVE)}
            case _Kind.FLOAT:
                value = {"N": _float(content)}
            case _Kind.DECIMAL:
                value = {"N": self._decimal(end)}
            case _Kind.SYMBOL:
                # Only where symbols are defined: an item has none.
                value = {"symbol": self._symbols.name(int.from_bytes(content[:4], "big"))}
            case _Kind.STRING:
                value = {"S": _text(content)}
            case _Kind.BLOB:
                value = {"B": binascii.b2a_base64(content, newline=False).decode()}
            case _Kind.LIST:
                value = {"L": list(self._values(end, depth))}
            case _Kind.STRUCT:
                value = {"M": dict(self._fields(end, depth))}
            case _:
                _refuse()
        self._at = end
        return value

    def annotated(self, depth: int) -> tuple[list[str], Value]:
        _, _, end = self._head()
        names_end = self._length() + self._at
        annotations = []
        while self._at < min(names_end, end):
            annotations.append(self._symbols.name(self._length()))
        if self._at != names_end or self._at >= end:
            _refuse()
        value = self.value(depth)
        return (annotations, value) if self._at == end else _refuse()

    def _values(self, end: int, depth: int) -> Iterator[Value]:
        while self._at < end:
            if not self._skips_gap():
                yield self.value(depth + 1)
        if self._at != end:
            _refuse()

    def _fields(self, end: int, depth: int) -> Iterator[tuple[str, Value]]:
        while self._at < end:
            number = self._length()
            if not self._skips_gap():
                yield self._symbols.name(number), self.value(depth + 1)
        if self._at != end:
            _refuse()

    def _skips_gap(self) -> bool:
        """Step over bytes that only fill a gap; return whether there were such."""
        if self._at >= len(self._data) or not _is_gap(self._data[self._at]):
            return False
        _, _, self._at = self._head()
        return True

    def _head(self) -> tuple[int, int, int]:
        """Step over what stands before a value's content; return its kind, what was said of its length, its end."""
        end = value_end(self._data, self._at)
        if end is None or end > len(self._data):
            _refuse()
        kind, short = divmod(self._data[self._at], 16)
        self._at += 1
        if short == _LENGTH_FOLLOWS or (kind == _Kind.STRUCT and short == 1):
            self._length()
        return kind, short, end

    def _length(self) -> int:
        """Read a VarUInt."""
        number = 0
        for place in range(self._at, min(len(self._data), self._at + _LENGTH_BYTES_MAX)):
            number = number << 7 | self._data[place] & 0x7F
            if self._data[place] & 0x80:
                self._at = place + 1
                return number
        return _refuse()

    def _decimal(self, end: int) -> str:
        if self._at == end:
            return "0"
        start = self._at
        exponent = self._length()
        # The first byte of a VarInt has the sign in its second bit.
        negative = self._data[start] & 0x40
        if negative:
            exponent -= 0x40 << 7 * (self._at - start - 1)
        content = self._data[self._at : end]
        if self._at > end or exponent > _EXPONENT_MAX:
            _refuse()
        coefficient = "0"
        if content:
            magnitude = bytes([content[0] & 0x7F]) + content[1:]
            coefficient = _integer(magnitude, negative=bool(content[0] & 0x80))
        return f"{coefficient}E{-exponent if negative else exponent}"


def _integer(content: bytes, *, negative: bool) -> str:
    if len(content) > _NUMBER_BYTES_MAX:
        raise NotIon("Number overflow. Attempting to store a number with magnitude larger than supported range")
    return f"{'-' if negative else ''}{int.from_bytes(content, 'big')}"


def _float(content: bytes) -> str:
    if len(content) not in (0, 4, 8):
        _refuse()
    number: float = struct.unpack(">f" if len(content) == 4 else ">d", content)[0] if content else 0.0
    return repr(number) if math.isfinite(number) else _refuse()


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return _refuse()


def _refuse() -> NoReturn:
    raise NotIon("This is no Ion that an item can be read from")


def _break() -> NoReturn:
    raise Broken("This is no Ion")
