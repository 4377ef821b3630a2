"""The ways to write a function's name, as rows."""

import pytest

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.lambda_.names import FunctionRef, parse_function

HERE = Scope("000000000000", "us-east-1")
THERE = Scope("111111111111", "us-east-1")
ARN = "arn:aws:lambda:us-east-1:000000000000:function:notes"


@pytest.mark.parametrize(
    ("text", "qualifier", "meant"),
    [
        ("notes", None, FunctionRef(HERE, "notes", None)),
        ("notes:7", None, FunctionRef(HERE, "notes", "7")),
        ("notes", "live", FunctionRef(HERE, "notes", "live")),
        ("notes:live", "live", FunctionRef(HERE, "notes", "live")),
        ("notes:$LATEST", None, FunctionRef(HERE, "notes", "$LATEST")),
        ("function:notes", None, FunctionRef(HERE, "notes", None)),
        ("function", None, FunctionRef(HERE, "function", None)),
        ("111111111111:function:notes", None, FunctionRef(THERE, "notes", None)),
        ("us-east-1:111111111111:function:notes", None, FunctionRef(THERE, "notes", None)),
        (ARN, None, FunctionRef(HERE, "notes", None)),
        (f"{ARN}:live", None, FunctionRef(HERE, "notes", "live")),
        ("111111111111", None, FunctionRef(HERE, "111111111111", None)),
    ],
)
def test_what_a_name_means(text: str, qualifier: str | None, meant: FunctionRef) -> None:
    assert parse_function(HERE, text, qualifier) == meant


@pytest.mark.parametrize("text", ["", "a b", "notes:", "arn:aws:s3:::notes", f"{ARN}:a:b", "no.dots", "notes\n"])
def test_what_names_no_function(text: str) -> None:
    with pytest.raises(ServiceError, match="Member must satisfy regular expression pattern") as caught:
        parse_function(HERE, text)
    assert caught.value.code == "ValidationException"


def test_the_qualifier_is_part_of_the_arn() -> None:
    assert parse_function(HERE, "notes", "7").arn == f"{ARN}:7"
    assert parse_function(HERE, "notes", "7").unqualified_arn == ARN
    assert parse_function(HERE, "notes").arn == ARN
