"""Patterns against the standard library's, and documents of any shape."""

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.errors import ServiceError
from cumulet.policy.documents import parse_document
from cumulet.policy.matching import any_action, any_of

pytestmark = pytest.mark.slow

patterns = st.text("ab:*?", max_size=9)
values = st.text("ab:", max_size=9)


@settings(max_examples=500, deadline=None)
@given(st.lists(patterns, max_size=3), values)
def test_globs_are_those_of_the_standard_library(texts: list[str], value: str) -> None:
    assert any_of(texts, "glob")(value, {}) is any(fnmatchcase(value, text) for text in texts)


@settings(max_examples=500, deadline=None)
@given(st.text("ab:*?", min_size=1, max_size=12), st.lists(st.text("ab", max_size=2), min_size=6, max_size=7))
def test_arns_are_matched_part_by_part(text: str, parts: list[str]) -> None:
    wanted = text.split(":", 5)
    wanted += ["*"] * (6 - len(wanted))
    has = ":".join(parts).split(":", 5)

    expected = text == "*" or all(fnmatchcase(*pair) for pair in zip(has, wanted, strict=True))

    assert any_of([text], "arn")(":".join(parts), {}) is expected


def test_many_stars_cost_little() -> None:
    matches = any_of(["*a" * 40 + "b"], "glob")

    assert not matches("a" * 2000, {})


@settings(max_examples=200, deadline=None)
@given(st.text("ab*?", max_size=6), st.text("abAB", max_size=6))
def test_actions_mind_no_case(pattern: str, name: str) -> None:
    assert any_action([f"S3:{pattern}"])(f"s3:{name}") is fnmatchcase(name.lower(), pattern.lower())


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just("\ud800"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Version", "Statement", "Effect", "Action", "Resource", "Principal", "AWS", "Condition", "Bool", "a:b"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
statements = st.fixed_dictionaries(
    {"Effect": st.just("Allow") | anything, "Action": st.just("s3:*") | anything, "Resource": st.just("*") | anything},
    optional={"Principal": anything, "Condition": anything, "Sid": anything, "NotAction": anything},
)


@settings(max_examples=400, deadline=None)
@given(anything | st.fixed_dictionaries({"Version": st.just("2012-10-17"), "Statement": statements}), st.data())
def test_any_text_is_a_document_or_malformed(element: Any, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["identity", "resource", "trust"]))
    try:
        parse_document(json.dumps(element), kind)
    except ServiceError as refused:
        assert refused.code == "MalformedPolicyDocument"
        refused.message.encode()


def test_a_document_that_is_too_deep_is_malformed() -> None:
    with pytest.raises(ServiceError, match="Syntax errors in policy"):
        parse_document("[" * 100_000)
