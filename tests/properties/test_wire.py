"""The wire against botocore with chosen values, and against whatever a stranger sends."""

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.errors import ServiceError
from cumulet.wire.chunked import unwrap
from cumulet.wire.constraints import check
from cumulet.wire.message import Request
from cumulet.wire.protocols import parse
from cumulet.wire.resolve import resolve
from wire import oracle
from wire.wire_requests import dynamodb_request, make_request

SAMPLES = {
    "dynamodb": ["PutItem", "TransactWriteItems", "CreateTable"],
    "lambda": ["CreateFunction", "Invoke"],
    "apigatewayv2": ["CreateIntegration"],
    "iam": ["SimulateCustomPolicy"],
    "cloudformation": ["CreateStack"],
    "s3": ["PutObject", "PutBucketLifecycleConfiguration", "DeleteObjects"],
}
OPERATIONS = [(service, name) for service, names in SAMPLES.items() for name in names]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("TableNmeKyAtribus", max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.slow
@given(st.sampled_from(OPERATIONS), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_any_params_arrive_as_botocore_sends_them(chosen: tuple[str, str], chance: Random) -> None:
    service, name = chosen
    operation = oracle.service(service).operation_model(name)
    sent = oracle.make_values(operation.input_shape, chance)
    request = oracle.send(operation, sent)
    arrived = oracle.without_empty(parse(resolve(request), request))
    if "ContentLength" not in sent:
        arrived.pop("ContentLength", None)
    assert arrived == oracle.without_empty(oracle.as_params(sent, raw=service in oracle.RAW_SERVICES))


def read_and_check(request: Request) -> None:
    """Raise nothing but what a client is told."""
    try:
        target = resolve(request)
        check(target.operation, parse(target, request))
    except ServiceError as error:
        assert error.status is None or 400 <= error.status < 500 or error.status == 501


@given(st.sampled_from(["PutItem", "CreateTable", "BatchGetItem", "Query"]), st.binary(max_size=30))
@settings(max_examples=100, deadline=None)
def test_bytes_that_are_no_json_are_refused(operation: str, body: bytes) -> None:
    read_and_check(dynamodb_request(operation, body))


@pytest.mark.slow
@given(
    st.sampled_from(["PutItem", "CreateTable", "BatchGetItem", "Query"]),
    st.dictionaries(
        st.sampled_from(["TableName", "Item", "KeySchema", "AttributeDefinitions", "RequestItems", "Limit", "Select"]),
        json_values,
    ),
)
@settings(max_examples=200, deadline=None)
def test_json_of_any_shape_is_read_or_refused(operation: str, value: dict[str, object]) -> None:
    read_and_check(dynamodb_request(operation, json.dumps(value).encode()))


@pytest.mark.slow
@given(
    st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH"]),
    st.text("/abc%2F.{}+?é", max_size=12),
    st.text("abc=&%2delet-yp", max_size=12),
    st.sampled_from(["", "s3", "lambda", "apigateway", "iam"]),
    st.binary(max_size=20),
)
@settings(max_examples=300, deadline=None)
def test_requests_of_any_shape_are_read_or_refused(
    method: str, path: str, query: str, signed: str, body: bytes
) -> None:
    form = {"Content_Type": "application/x-www-form-urlencoded"} if signed == "iam" else {}
    read_and_check(make_request(method, "/" + path, query, body, signed_for=signed, **form))


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=5), st.booleans())
@settings(max_examples=60, deadline=None)
def test_framed_bodies_come_out_whole_or_not_at_all(chunks: list[bytes], signed: bool) -> None:
    extension = b";chunk-signature=" + b"0" * 64 if signed else b""
    framed = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    whole = framed + b"0" + extension + b"\r\n\r\n"
    assert unwrap(make_request(body=whole)).body == b"".join(chunks)
    for cut in range(len(framed)):
        with pytest.raises(ServiceError, match="IncompleteBody"):
            unwrap(make_request(body=whole[:cut]))
