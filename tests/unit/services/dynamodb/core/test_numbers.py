"""Numbers: what AWS answers for each notation, and what it refuses."""

import pytest

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.numbers import (
    add_numbers,
    canonical_number,
    encode_number,
    number_bytes,
    subtract_numbers,
)


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("-0.00", "0"),
        ("0e999999999999", "0"),
        ("00042", "42"),
        ("+3", "3"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1.0", "1"),
        ("3.1400", "3.14"),
        ("1.5E2", "150"),
        ("100", "100"),
        ("1e2", "100"),
        ("-17e5", "-1700000"),
        ("1E-5", "0.00001"),
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ("1E-130", "0." + "0" * 129 + "1"),
        ("9.9999999999999999999999999999999999999E+125", "9" * 38 + "0" * 88),
    ],
)
def test_canonical_number(given: str, canonical: str) -> None:
    assert canonical_number(given) == canonical


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "The parameter cannot be converted to a numeric value"),
        ("dog", "The parameter cannot be converted to a numeric value: dog"),
        (" 1", "The parameter cannot be converted to a numeric value:  1"),
        ("1e", "The parameter cannot be converted to a numeric value: 1e"),
        ("NaN", "The parameter cannot be converted to a numeric value: NaN"),
        ("١", "The parameter cannot be converted to a numeric value: ١"),
        ("1E126", "Number overflow. Attempting to store a number with magnitude larger than supported range"),
        (
            "-1e999999999999999",
            "Number overflow. Attempting to store a number with magnitude larger than supported range",
        ),
        ("1E-131", "Number underflow. Attempting to store a number with magnitude smaller than supported range"),
        ("1" * 39, "Attempting to store more than 38 significant digits in a Number"),
    ],
)
def test_bad_number(given: str, message: str) -> None:
    with pytest.raises(ServiceError) as error:
        canonical_number(given)
    assert (error.value.code, error.value.message) == ("ValidationException", message)


def test_arithmetic_is_exact() -> None:
    assert add_numbers("0.1", "0.2") == "0.3"
    assert add_numbers("99999999999999999999999999999999999999", "1") == "1" + "0" * 38
    assert subtract_numbers("1", "0.00000000000000000000000000000000000001") == "0." + "9" * 38
    assert subtract_numbers("5", "5") == "0"


@pytest.mark.parametrize(("left", "right"), [("1e50", "1"), ("9e125", "9e125")])
def test_a_result_that_does_not_fit_is_an_overflow(left: str, right: str) -> None:
    with pytest.raises(ServiceError, match="Number overflow"):
        add_numbers(left, right)


@pytest.mark.parametrize(
    ("number", "size"),
    [
        *[("0", 1), ("5", 2), ("12", 2), ("120", 3), ("123", 3), ("1000", 2), ("-5", 3), ("0.5", 2), ("3.14", 3)],
        # Measured on AWS, to the byte, by Parity Suite.
        *[("1234", 3), ("1" * 38, 20), ("1010", 3), ("0.0000001", 2), ("1e125", 2), ("1e-100", 2), ("1.5", 3)],
        *[("1.234", 4), ("3.14159", 5), ("123456", 4), ("100.5", 4), ("0.15", 2), ("-42", 3), ("-0", 1)],
    ],
)
def test_number_bytes(number: str, size: int) -> None:
    assert number_bytes(canonical_number(number)) == size


def test_encoded_numbers_sort_as_numbers() -> None:
    ordered = ["-1e125", "-10.5", "-10", "-9.99", "-1e-130", "0", "1e-130", "0.01", "1", "1.0001", "1.1", "10", "1e125"]
    assert sorted(ordered, key=encode_number) == ordered
