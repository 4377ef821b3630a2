"""Filter patterns of plain terms."""

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.logs.patterns import parse_pattern


@pytest.mark.parametrize(
    ("pattern", "message", "expected"),
    [
        ("ERROR", "[ERROR 400] BAD", True),
        ("ERROR", "ERRORCODE: -1", True),
        ("ERROR", "an error", False),
        ("ERROR BAD", "BAD things: ERROR", True),
        ("ERROR BAD", "ERROR", False),
        ('"BAD REQUEST"', "400 BAD REQUEST", True),
        ('"BAD REQUEST"', "REQUEST BAD", False),
        (r'"say \"hi\""', 'say "hi"', True),
        ("?ERROR ?WARN", "WARN", True),
        ("?ERROR ?WARN", "INFO", False),
        ("-INFO", "ERROR", True),
        ("-INFO", "INFO", False),
        ("ERROR -EXITING", "ERROR", True),
        ("ERROR -EXITING", "ERROR EXITING", False),
        ('-"timed out" Task', "Task timed out", False),
        ("ERROR ?never", "ERROR", True),
        ("snake_case Ünï", "a snake_case with Ünï", True),
    ],
)
def test_terms(pattern: str, message: str, expected: bool) -> None:
    matches = parse_pattern(pattern)

    assert matches is not None
    assert matches(message) is expected


@pytest.mark.parametrize("pattern", ["", "  "])
def test_an_empty_pattern_matches_everything(pattern: str) -> None:
    assert parse_pattern(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ('"open', "Invalid filter pattern"),
        ('a"b"', "Invalid filter pattern"),
        ("?", "Invalid character(s) in term '?'"),
        ("10.0.0.1", "Invalid character(s) in term '10.0.0.1'"),
        ("--x", "Invalid character(s) in term '-x'"),
    ],
)
def test_bad_patterns(pattern: str, expected: str) -> None:
    with pytest.raises(ServiceError) as raised:
        parse_pattern(pattern)

    assert (raised.value.code, raised.value.message) == ("InvalidParameterException", expected)


@pytest.mark.parametrize("pattern", ["{ $.level = 50 }", "[ip, user]", "%regex%"])
def test_other_kinds_are_refused_by_name(pattern: str) -> None:
    with pytest.raises(NotImplementedHere):
        parse_pattern(pattern)
