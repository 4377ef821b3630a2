"""Patterns against values: wildcards, the parts of an ARN, variables."""

import pytest

from cumulet.policy.matching import Context, Style, any_action, any_of

TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/notes"

ROWS: list[tuple[str, Style, str, str, bool]] = [
    ("everything", "arn", "*", TABLE, True),
    ("everything matches the resource of actions without one", "arn", "*", "*", True),
    ("an ARN does not", "arn", "arn:aws:dynamodb:*:*:table/*", "*", False),
    ("exact", "arn", TABLE, TABLE, True),
    ("resources mind their case", "arn", TABLE.upper(), TABLE, False),
    ("wildcards part by part", "arn", "arn:aws:dynamodb:*:*:table/no*", TABLE, True),
    ("a wildcard stays in its part", "arn", "arn:aws:dynamodb:*:table/notes", TABLE, False),
    ("but runs to the end in the last", "arn", "arn:aws:logs:*:*:*", "arn:aws:logs:a:1:log-group:g:*", True),
    ("one character", "arn", "arn:aws:s3:::log-?", "arn:aws:s3:::log-7", True),
    ("exactly one", "arn", "arn:aws:s3:::log-?", "arn:aws:s3:::log-17", False),
    ("an incomplete ARN stands for all below", "arn", "arn:aws:dynamodb", TABLE, True),
    ("though not for other services", "arn", "arn:aws:dynamo", TABLE, False),
    ("a dot is a dot", "glob", "a.c", "abc", False),
    ("a line end is a character", "glob", "a*c", "a\nc", True),
    ("text takes wildcards literally", "text", "a*", "abc", False),
    ("and matches them", "text", "a*", "a*", True),
    ("text minds its case", "text", "abc", "ABC", False),
    ("unless it does not", "text-any-case", "abc", "ABC", True),
    ("an escaped star is a star", "glob", "a${*}", "a*", True),
    ("and no wildcard", "glob", "a${*}", "abc", False),
    ("an escaped question mark", "glob", "a${?}${$}", "a?$", True),
    ("a variable", "arn", "arn:aws:s3:::home/${aws:username}/*", "arn:aws:s3:::home/ann/x", True),
    ("in any case", "glob", "${AWS:UserName}", "ann", True),
    ("of someone else", "arn", "arn:aws:s3:::home/${aws:username}/*", "arn:aws:s3:::home/bob/x", False),
    ("a variable's wildcard is no wildcard", "glob", "${evil}", "anything", False),
    ("but itself", "glob", "${evil}", "*", True),
    ("a variable that stands for nothing matches nothing", "glob", "${aws:nobody}", "", False),
    ("its default", "glob", "${aws:nobody, 'guest'}", "guest", True),
    ("a default that is not needed", "glob", "${aws:username, 'guest'}", "ann", True),
    ("a key with several values is no variable", "glob", "${many}", "a", False),
    ("a variable in plain text", "text", "${aws:username}*", "ann*", True),
]

CONTEXT: Context = {"aws:username": "ann", "evil": "*", "many": ["a", "b"]}


@pytest.mark.parametrize(
    ("style", "pattern", "value", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_one_pattern(style: Style, pattern: str, value: str, expected: bool) -> None:
    assert any_of([pattern], style)(value, CONTEXT) is expected


def test_one_of_several_is_enough() -> None:
    matches = any_of(["a", "${aws:username}", "c?"], "glob")

    assert [value for value in ("a", "ann", "cc", "b", "c") if matches(value, CONTEXT)] == ["a", "ann", "cc"]


def test_no_pattern_matches_nothing() -> None:
    assert not any_of([], "glob")("", {})


def test_documents_of_the_old_version_have_no_variables() -> None:
    assert any_of(["${aws:username}"], "glob", variables=False)("${aws:username}", CONTEXT)


ACTIONS: list[tuple[list[str], str, bool]] = [
    (["*"], "s3:GetObject", True),
    (["*:*"], "s3:GetObject", True),
    (["s3:*"], "s3:GetObject", True),
    (["S3:getobject"], "s3:GetObject", True),
    (["s3:Get*"], "s3:GetObject", True),
    (["s3:Get?bject"], "s3:GetObject", True),
    (["s3:Get"], "s3:GetObject", False),
    (["sqs:*", "s3:Put*"], "s3:GetObject", False),
    (["sqs:*", "s3:Put*", "s3:*Object"], "s3:GetObject", True),
    ([], "s3:GetObject", False),
]


@pytest.mark.parametrize(("patterns", "action", "expected"), ACTIONS)
def test_actions(patterns: list[str], action: str, expected: bool) -> None:
    assert any_action(patterns)(action) is expected
