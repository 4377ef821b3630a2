"""What botocore signs is accepted; whatever else changes on the way is not."""

import base64
import datetime
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.errors import ServiceError
from cumulet.wire.message import Headers, Request
from cumulet.wire.sigv4 import find_claim, verify

SECRET = "secret/with+signs"
CREDENTIALS = Credentials("AKIDEXAMPLE", SECRET, "token")

segments = st.lists(st.text("aZ9-_.~ /+%é:=@", min_size=1, max_size=5), max_size=4)
pairs = st.lists(st.tuples(st.text("aB1-é &=+", min_size=1, max_size=4), st.text("aB1-é &=+/", max_size=4)), max_size=4)
extra_headers = st.dictionaries(
    st.sampled_from(["x-amz-meta-a", "x-amz-acl", "content-type", "x-amz-target"]),
    st.text("ab 1,;=", min_size=1),
    max_size=3,
)


@st.composite
def signed(draw: st.DrawFn) -> Request:
    """Return a request as botocore signs it: any service, in a header or in the query."""
    service = draw(st.sampled_from(["dynamodb", "lambda", "sts", "s3"]))
    in_query = draw(st.booleans())
    path = "/" + "/".join(quote(segment, safe="") for segment in draw(segments))
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in draw(pairs))
    body = b"" if in_query else draw(st.binary(max_size=20))
    headers = {} if in_query else {name: value.strip() or "x" for name, value in draw(extra_headers).items()}
    method = draw(st.sampled_from(["GET", "POST", "PUT"]))
    request = AWSRequest(method, f"http://localhost:4566{path}?{query}", data=body, headers=headers)
    signer(service, in_query).add_auth(request)
    sent = request.prepare()
    url = urlsplit(sent.url)
    found = [(name, text if isinstance(text, str) else text.decode()) for name, text in sent.headers.items()]
    return Request(method, url.path, url.query, Headers([*found, ("Host", "localhost:4566")]), body)


def signer(service: str, in_query: bool) -> Any:
    if in_query:
        made = S3SigV4QueryAuth if service == "s3" else SigV4QueryAuth
        return made(CREDENTIALS, service, "us-east-1", expires=60)
    made = S3SigV4Auth if service == "s3" else SigV4Auth
    return made(CREDENTIALS, service, "us-east-1")


def check(request: Request, now_ms: int) -> None:
    claim = find_claim(request)
    assert claim is not None
    verify(request, claim, SECRET, now_ms)


def time_of(request: Request) -> int:
    claim = find_claim(request)
    assert claim is not None
    signed_at = datetime.datetime.strptime(claim.timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
    return int(signed_at.timestamp() * 1000)


@pytest.mark.slow
@given(signed())
@settings(max_examples=120, deadline=None)
def test_what_botocore_signs_is_accepted(request: Request) -> None:
    check(request, time_of(request))


def mutations(request: Request) -> dict[str, Request]:
    """Return every request that differs in one thing that the signature covers."""
    claim = find_claim(request)
    assert claim is not None
    made = {
        "method": Request("DELETE", request.path, request.query, request.headers, request.body),
        "path": Request(request.method, request.path + "/z", request.query, request.headers, request.body),
        "query": Request(request.method, request.path, request.query + "&zz=1", request.headers, request.body),
    }
    if not (claim.service == "s3" and claim.expires_s is not None):
        made["body"] = Request(request.method, request.path, request.query, request.headers, request.body + b"!")
    for name in claim.signed_headers:
        changed = Headers((key, text + "1" if key == name else text) for key, text in request.headers)
        made[name] = Request(request.method, request.path, request.query, changed, request.body)
    return made


@pytest.mark.slow
@given(signed())
@settings(max_examples=60, deadline=None)
def test_what_is_changed_on_the_way_is_refused(request: Request) -> None:
    now_ms = time_of(request)
    for changed in mutations(request).values():
        with pytest.raises(ServiceError):
            check(changed, now_ms)


@given(signed(), st.binary(min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_no_other_signature_is_accepted(request: Request, guess: bytes) -> None:
    claim = find_claim(request)
    assert claim is not None
    signature = base64.b16encode(guess).decode().lower()
    with pytest.raises(ServiceError):
        verify(request, msgspec.structs.replace(claim, signature=signature), SECRET, time_of(request))


PARTS = ("Credential=a/20150830/us-east-1/iam/aws4_request", "SignedHeaders=host", f"Signature={'0a' * 32}")
parts = st.lists(st.sampled_from([*PARTS, "Signature=", "Signature=0a", "X=y", "é"]), max_size=5).map(tuple)
separators = st.sampled_from([", ", ",", " ", "\t", "\xa0", "\x85", ""])


def claimed(authorization: str) -> object:
    """Return what is claimed by a header, or with which error it is refused."""
    headers = Headers([("Host", "localhost"), ("X-Amz-Date", "20150830T123600Z"), ("Authorization", authorization)])
    try:
        return find_claim(Request("GET", "/", "", headers))
    except ServiceError as refused:
        return refused.code


@given(st.one_of(st.permutations(PARTS), parts), st.lists(separators, min_size=6, max_size=6), st.integers(0, 63))
@settings(max_examples=200, deadline=None)
def test_a_header_that_ends_as_usual_is_read_as_any_other(given: Any, between: list[str], at: int) -> None:
    written = "AWS4-HMAC-SHA256 X=y " + "".join(part + gap for part, gap in zip(given, between, strict=False))
    broken = f"AWS4-HMAC-SHA256 {PARTS[0]}, {PARTS[1]}, Signature={'0' * at}{between[0]}"
    broken += "a" * (64 - at - len(between[0]))
    for authorization in (written, written.strip(", "), broken):
        # With a comma behind it, it is not what SDKs write, and is read part by part.
        assert claimed(authorization) == claimed(authorization + ",")
