"""Order-preserving tuples: `pack(a) < pack(b)` exactly when `a < b`, element by element.

Elements are None, bytes, str, int and nested tuples; between kinds, the order is None < bytes < str < tuple < int. The
scheme is that of FoundationDB's tuple layer in spirit: a kind byte, then bytes whose order is the value's order. Text
and bytes end with 00, and a 00 inside is escaped as 00 FF, so that a shorter value sorts before its extensions.
Integers carry their length in the kind byte (up to 8 bytes each way), negative ones as the complement, so that -1 sorts
above -2.
"""

from typing import TypeAlias

Element: TypeAlias = "bytes | str | int | tuple[Element, ...] | None"

_NONE = 0x00
_BYTES = 0x01
_TEXT = 0x02
_TUPLE = 0x05
_INT_ZERO = 0x14
_INT_BYTES_MAX = 8
_INT_KINDS = {length: bytes([_INT_ZERO + length]) for length in range(-_INT_BYTES_MAX, _INT_BYTES_MAX + 1)}
_END = b"\x00"
_ZERO = "\0"
_ESCAPED_ZERO = b"\x00\xff"


def pack(elements: tuple[Element, ...]) -> bytes:
    """Return the bytes of a tuple. Raises TypeError for other kinds, OverflowError for integers over 8 bytes."""
    packed = b""
    for element in elements:
        # Each request makes a dozen keys, nearly all of plain texts: they are not asked what else they might be.
        if type(element) is str and _ZERO not in element:
            packed += b"\x02" + element.encode() + _END
        else:
            packed += _pack_one(element)
    return packed


def pack_bytes(first: bytes, second: bytes, third: bytes | None = None) -> bytes:
    """Return the bytes of a tuple of two or three byte strings, as `pack` does: the hottest keys are such."""
    first, second = first.replace(_END, _ESCAPED_ZERO), second.replace(_END, _ESCAPED_ZERO)
    if third is None:
        return b"".join((b"\x01", first, b"\x00\x01", second, _END))
    return b"".join((b"\x01", first, b"\x00\x01", second, b"\x00\x01", third.replace(_END, _ESCAPED_ZERO), _END))


def unpack(packed: bytes) -> tuple[Element, ...]:
    """Return the tuple of `packed`. Raises ValueError if `pack` did not make it."""
    elements: list[Element] = []
    at = 0
    while at < len(packed):
        element, at = _unpack_one(packed, at)
        elements.append(element)
    return tuple(elements)


def after(packed: bytes) -> bytes:
    """Return the end of the range of all tuples that begin with the packed one."""
    # No element begins with FF. The next byte string after `packed` would be too far: it has behind it the tuples whose
    # last text goes on with a zero, which is escaped as 00 FF.
    return packed + b"\xff"


def _pack_one(element: Element) -> bytes:
    if isinstance(element, int) and not isinstance(element, bool):
        return _pack_int(element)
    if isinstance(element, str):
        return b"\x02" + element.encode().replace(_END, _ESCAPED_ZERO) + _END
    if isinstance(element, bytes):
        return b"\x01" + element.replace(_END, _ESCAPED_ZERO) + _END
    if element is None:
        return b"\x00"
    if isinstance(element, tuple):
        # Inside a tuple the kind byte of None would read as the end, hence the escape.
        return b"\x05" + b"".join([b"\x00\xff" if e is None else _pack_one(e) for e in element]) + _END
    raise TypeError(f"a key element is None, bytes, str, int or a tuple, not {type(element).__name__}")


def _pack_int(number: int) -> bytes:
    length = (number.bit_length() + 7) // 8
    if length > _INT_BYTES_MAX:
        raise OverflowError("a key integer has at most 8 bytes")
    if number >= 0:
        return _INT_KINDS[length] + number.to_bytes(length, "big")
    return _INT_KINDS[-length] + (number + (1 << 8 * length) - 1).to_bytes(length, "big")


def _unpack_one(packed: bytes, at: int) -> tuple[Element, int]:
    kind = packed[at]
    if kind == _NONE:
        return None, at + 1
    if kind in (_BYTES, _TEXT):
        raw, at = _unpack_escaped(packed, at + 1)
        return (raw if kind == _BYTES else raw.decode()), at
    if kind == _TUPLE:
        return _unpack_tuple(packed, at + 1)
    length = abs(kind - _INT_ZERO)
    if length <= _INT_BYTES_MAX:
        digits = packed[at + 1 : at + 1 + length]
        if len(digits) < length:
            raise ValueError("a key ends inside an integer")
        if length and digits[0] == (0x00 if kind > _INT_ZERO else 0xFF):
            raise ValueError("a key has an integer with more bytes than it needs")
        number = int.from_bytes(digits, "big")
        return (number if kind >= _INT_ZERO else number - (1 << 8 * length) + 1), at + 1 + length
    raise ValueError(f"no key element begins with byte {kind:#04x}")


def _unpack_escaped(packed: bytes, at: int) -> tuple[bytes, int]:
    end = at
    while True:
        end = packed.find(_END, end)
        if end < 0:
            raise ValueError("a key ends inside text or bytes")
        if packed[end : end + 2] != _ESCAPED_ZERO:
            return packed[at:end].replace(_ESCAPED_ZERO, _END), end + 1
        end += 2


def _unpack_tuple(packed: bytes, at: int) -> tuple[tuple[Element, ...], int]:
    elements: list[Element] = []
    while True:
        if at >= len(packed):
            raise ValueError("a key ends inside a tuple")
        if packed[at] == _NONE:
            if packed[at : at + 2] != _ESCAPED_ZERO:
                return tuple(elements), at + 1
            elements.append(None)
            at += 2
            continue
        element, at = _unpack_one(packed, at)
        elements.append(element)
