"""A payload is taken exactly when it is JSON, and whatever is no JSON gets AWS's error rather than one of ours."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cumulet.errors import ServiceError
from cumulet.services.lambda_.control.invocations import check_payload

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)


@given(JSON_VALUES, st.booleans())
@settings(max_examples=80, deadline=None)
def test_json_is_taken(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    check_payload(text.encode(errors="replace"))


def refuse_constant(name: str) -> None:
    raise ValueError(name)


@given(st.binary(max_size=40) | st.text(alphabet='{}[]":,01.eE-+\\u tfnrueals\nä', max_size=20).map(str.encode))
@example(b"{")
@example(b'{"a": tru')
@example(b"01")
@example(b"-")
@example(b'"\xc3')
@example(b'"\\ud800"')
@example(b"\xef\xbb\xbf{}")
@example(b"[" * 100_000)
@settings(max_examples=200, deadline=None)
def test_anything_else_gets_awss_error(payload: bytes) -> None:
    try:
        json.loads(payload.decode(), parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        with pytest.raises(ServiceError) as caught:
            check_payload(payload)
        assert caught.value.code == "InvalidRequestContentException"
        assert caught.value.message.startswith("Could not parse request body into json: ")
    else:
        check_payload(payload)
