"""DynamoDB's numbers: 38 significant digits, exact, from 1E-130 to 9.99E+125 and the negatives of these.

A number travels as text. Its canonical text is plain decimal notation without superfluous zeros, which is what AWS
answers whatever notation was stored. Arithmetic is exact; a result that does not fit is refused, never rounded.
"""

import re
from decimal import Context, Decimal
from functools import lru_cache

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.limits import (
    NUMBER_DIGITS_MAX,
    NUMBER_EXPONENT_MAX,
    NUMBER_EXPONENT_MIN,
)

_NUMBER = re.compile(r"([+-]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))(?:[eE]([+-]?[0-9]+))?")
_ALREADY_CANONICAL = re.compile(r"(?:0|-?[1-9][0-9]{0,30})").fullmatch
_SHORT = 30
"""Whole numbers of so many characters need no decimals: their sums fit."""
_EXPONENT_CHARACTERS_MAX = 10
_REMEMBERED_CHARACTERS_MAX = 50
_OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"

# Wide enough that adding the largest and the smallest number loses nothing.
_EXACT = Context(prec=600)

Parsed = tuple[bool, str, int]
"""(negative, digits, exponent): the number is 0.digits times ten to the power of exponent; zero has no digits."""


def canonical_number(text: str) -> str:
    """Return the text that AWS answers for a number. Raises the ValidationException that AWS has for a bad one."""
    if _ALREADY_CANONICAL(text):
        return text
    return render_number(parse_number(text))


def measure_number(text: str) -> tuple[str, int]:
    """Return the canonical text of a number and its bytes as AWS counts them. Raises as `canonical_number` does."""
    return _measure(text) if len(text) <= _REMEMBERED_CHARACTERS_MAX else _measure.__wrapped__(text)


@lru_cache(maxsize=8192)
def _measure(text: str) -> tuple[str, int]:
    canonical = canonical_number(text)
    return canonical, number_bytes(canonical)


def parse_number(text: str) -> Parsed:
    """Return a number's parts. Raises ValidationException for what is not one, or out of range."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ServiceError(
            "ValidationException",
            f"The parameter cannot be converted to a numeric value: {text}"
            if text
            else "The parameter cannot be converted to a numeric value",
        )
    sign, whole, fraction, bare_fraction, power = match.groups()
    whole, fraction = whole or "", fraction or bare_fraction or ""
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return False, "", 0
    exponent = len(whole) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if power is not None:
        shift = power.lstrip("+-").lstrip("0") or "0"
        if len(shift) > _EXPONENT_CHARACTERS_MAX:
            shift = "9" * _EXPONENT_CHARACTERS_MAX  # far out of range either way
        exponent += -int(shift) if power[0] == "-" else int(shift)
    if exponent > NUMBER_EXPONENT_MAX:
        raise ServiceError("ValidationException", _OVERFLOW)
    if exponent < NUMBER_EXPONENT_MIN:
        raise ServiceError(
            "ValidationException",
            "Number underflow. Attempting to store a number with magnitude smaller than supported range",
        )
    if len(digits) > NUMBER_DIGITS_MAX:
        raise ServiceError("ValidationException", "Attempting to store more than 38 significant digits in a Number")
    return sign == "-", digits, exponent


def render_number(parsed: Parsed) -> str:
    """Return the canonical text of a number's parts."""
    negative, digits, exponent = parsed
    if not digits:
        return "0"
    if exponent <= 0:
        text = "0." + "0" * -exponent + digits
    elif exponent >= len(digits):
        text = digits + "0" * (exponent - len(digits))
    else:
        text = f"{digits[:exponent]}.{digits[exponent:]}"
    return "-" + text if negative else text


def encode_number(text: str) -> bytes:
    """Return bytes whose order is the order of the numbers.

    A sign byte, the exponent, then two digits a byte, never 00 for a pair, so that a shorter number sorts as if zeros
    followed. A negative number has all that complemented and FF at the end, which puts it behind its extensions.
    """
    negative, digits, exponent = parse_number(text)
    if not digits:
        return b"\x80"
    if len(digits) % 2:
        digits += "0"
    magnitude = bytes(
        [exponent - NUMBER_EXPONENT_MIN, *(int(digits[at : at + 2]) + 1 for at in range(0, len(digits), 2))]
    )
    if negative:
        return b"\x7f" + bytes([255 - byte for byte in magnitude]) + b"\xff"
    return b"\x81" + magnitude


def number_bytes(canonical: str) -> int:
    """Return how many bytes AWS counts for a number: base-100 digits from the decimal point, an exponent, a sign.

    Source: measured by "DynamoDB item size calculator" authors; the developer guide calls it an approximation.
    """
    if canonical == "0":
        return 1
    if canonical.isdecimal() and canonical[-1] != "0":
        return (len(canonical) + 1) // 2 + 1
    negative, digits, exponent = parse_number(canonical)
    return (len(digits) + exponent % 2 + 1) // 2 + 1 + negative


def add_numbers(left: str, right: str) -> str:
    """Return the canonical sum. Raises ValidationException if it does not fit."""
    if len(left) <= _SHORT and len(right) <= _SHORT:
        try:
            return str(int(left) + int(right))
        except ValueError:
            pass  # not whole
    return _canonical_result(_EXACT.add(Decimal(left), Decimal(right)))


def subtract_numbers(left: str, right: str) -> str:
    """Return the canonical difference. Raises ValidationException if it does not fit."""
    if len(left) <= _SHORT and len(right) <= _SHORT:
        try:
            return str(int(left) - int(right))
        except ValueError:
            pass  # not whole
    return _canonical_result(_EXACT.subtract(Decimal(left), Decimal(right)))


def _canonical_result(result: Decimal) -> str:
    if len(result.normalize(_EXACT).as_tuple().digits) > NUMBER_DIGITS_MAX:
        # AWS says overflow for a result that is too precise (ScyllaDB Alternator's tests, recorded on AWS).
        raise ServiceError("ValidationException", _OVERFLOW)
    return canonical_number(str(result))
