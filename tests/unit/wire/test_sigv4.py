import hashlib
from typing import Any

import pytest
from msgspec.structs import replace

from cumulet.errors import ServiceError
from cumulet.wire.message import Headers, Request
from cumulet.wire.sigv4 import check_fresh, find_claim, missing_authentication, verify
from wire.wire_requests import form_request, make_request

# The example of the documentation: GET ListUsers with its secret and its signature
# (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html, and its predecessor).
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SIGNED = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
SIGNATURE = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
NOW_MS = 1_440_938_160_000  # 20150830T123600Z


def documented(
    authorization: str = f"{SIGNED}SignedHeaders=content-type;host;x-amz-date, Signature={SIGNATURE}",
) -> Request:
    headers = Headers(
        [
            ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("Host", "iam.amazonaws.com"),
            ("X-Amz-Date", "20150830T123600Z"),
            ("Authorization", authorization),
        ]
    )
    return Request("GET", "/", "Action=ListUsers&Version=2010-05-08", headers)


def test_the_documented_signature_is_accepted() -> None:
    claim = find_claim(documented())
    assert claim is not None
    assert (claim.access_key_id, claim.region, claim.service) == ("AKIDEXAMPLE", "us-east-1", "iam")
    verify(documented(), claim, SECRET, NOW_MS)


def test_commas_without_spaces_and_spaces_without_commas_do() -> None:
    for separator in (",", " "):
        parts = ["Credential=a/20150830/us-east-1/iam/aws4_request", "SignedHeaders=host", "Signature=1"]
        claim = find_claim(documented("AWS4-HMAC-SHA256 " + separator.join(parts)))
        assert claim is not None and claim.signature == "1"


def test_another_secret_does_not_match() -> None:
    claim = find_claim(documented())
    assert claim is not None
    with pytest.raises(ServiceError) as refused:
        verify(documented(), claim, "other", NOW_MS)
    assert (refused.value.code, refused.value.status) == ("SignatureDoesNotMatch", 403)
    assert refused.value.message == (
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details."
    )


OTHERS: dict[str, dict[str, Any]] = {
    "another body": {"body": b"x"},
    "another method": {"method": "POST"},
    "another path": {"path": "/x"},
    "another query": {"query": "Action=ListRoles&Version=2010-05-08"},
    "another header": {"headers": Headers([("Host", "iam.example"), *documented().headers.items])},
    "one header less": {"headers": Headers([pair for pair in documented().headers.items if pair[0] != "host"])},
}


@pytest.mark.parametrize("changed", OTHERS.values(), ids=OTHERS)
def test_a_signature_proves_no_other_request_however_often_it_was_seen(changed: dict[str, Any]) -> None:
    claim = find_claim(documented())
    assert claim is not None
    for _ in range(2):
        verify(documented(), claim, SECRET, NOW_MS)
        with pytest.raises(ServiceError, match="does not match"):
            verify(replace(documented(), **changed), claim, SECRET, NOW_MS)


def test_an_unsigned_request_claims_nothing() -> None:
    assert find_claim(make_request("GET", "/b/k", "a=b")) is None


def test_freshness_is_told_in_awss_words() -> None:
    claim = find_claim(documented())
    assert claim is not None
    check_fresh(claim, NOW_MS + 299_000)
    with pytest.raises(ServiceError) as late:
        check_fresh(claim, NOW_MS + 301_000)
    assert late.value.message == (
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T124101Z - 5 min.)"
    )
    with pytest.raises(ServiceError) as early:
        check_fresh(claim, NOW_MS - 301_000)
    assert early.value.message == (
        "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z (20150830T123059Z + 5 min.)"
    )


def test_a_scope_that_does_not_fit_is_refused() -> None:
    scope = "Credential=a/20150829/us-east-1/iam/aws5_request, SignedHeaders=host, Signature=1"
    claim = find_claim(documented(f"AWS4-HMAC-SHA256 {scope}"))
    assert claim is not None
    with pytest.raises(ServiceError) as refused:
        verify(documented(), claim, SECRET, NOW_MS, "sts")
    assert refused.value.message == (
        "Credential should be scoped to correct service: 'sts'. "
        "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'. "
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
        "'20150829' != '20150830', from '20150830T123600Z'."
    )


MALFORMED = {
    "nothing that is asked for": (
        make_request(X_Amz_Target="DynamoDB_20120810.GetItem", Authorization="AWS4-HMAC-SHA256 X=1"),
        "IncompleteSignatureException",
        "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. "
        "Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either a "
        "'X-Amz-Date' or a 'Date' header. Authorization=AWS4-HMAC-SHA256 X=1",
    ),
    "another scheme": (
        make_request(X_Amz_Target="DynamoDB_20120810.GetItem", Authorization="hello"),
        "IncompleteSignatureException",
        "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with "
        "Base64): 'LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ='.",
    ),
    "a short credential": (
        make_request(
            X_Amz_Target="DynamoDB_20120810.GetItem",
            X_Amz_Date="20150830T123600Z",
            Authorization="AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=1",
        ),
        "IncompleteSignatureException",
        "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a/b'",
    ),
    "the version before": (
        make_request("GET", "/b/k", Authorization="AWS AKID:sig="),
        "InvalidRequest",
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    ),
    "an incomplete link": (
        make_request("GET", "/b/k", "X-Amz-Signature=1"),
        "AuthorizationQueryParametersError",
        "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
        "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_claim_is_refused(case: str) -> None:
    request, code, message = MALFORMED[case]
    with pytest.raises(ServiceError) as refused:
        find_claim(request)
    assert (refused.value.code, refused.value.message) == (code, message)


def presigned(expires: str) -> Request:
    credential = "a%2F20150830%2Fus-east-1%2Fs3%2Faws4_request"
    query = (
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date=20150830T123600Z"
        f"&X-Amz-Expires={expires}&X-Amz-SignedHeaders=host&X-Amz-Signature=1"
    )
    return make_request("GET", "/b/k", query, Host="localhost")


@pytest.mark.parametrize(
    ("expires", "message"),
    [
        ("x", "X-Amz-Expires should be a number"),
        ("-1", "X-Amz-Expires must be non-negative"),
        (
            "604801",
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            "604800 seconds",
        ),
    ],
)
def test_a_link_that_lives_for_no_possible_time_is_refused(expires: str, message: str) -> None:
    with pytest.raises(ServiceError) as refused:
        find_claim(presigned(expires))
    assert (refused.value.code, refused.value.message) == ("AuthorizationQueryParametersError", message)


def test_a_link_that_is_too_old_has_expired() -> None:
    claim = find_claim(presigned("60"))
    assert claim is not None
    check_fresh(claim, NOW_MS + 60_000)
    with pytest.raises(ServiceError) as refused:
        check_fresh(claim, NOW_MS + 61_000)
    assert (refused.value.code, refused.value.message) == ("AccessDenied", "Request has expired")
    assert refused.value.fields["Expires"] == "2015-08-30T12:37:00Z"


def s3_signed(signed_headers: str, **headers: str) -> Request:
    scope = f"Credential=a/20150830/us-east-1/s3/aws4_request, SignedHeaders={signed_headers}, Signature=1"
    return make_request(
        "PUT",
        "/b/k",
        body=b"x",
        Host="localhost",
        X_Amz_Date="20150830T123600Z",
        Authorization=f"AWS4-HMAC-SHA256 {scope}",
        **headers,
    )


S3_REFUSED = {
    "a header that is not signed": (
        s3_signed("host;x-amz-date", X_Amz_Acl="private"),
        "AccessDenied",
        "There were headers present in the request which were not signed",
    ),
    "host that is not signed": (
        s3_signed("x-amz-date"),
        "AccessDenied",
        "There were headers present in the request which were not signed",
    ),
    "no hash of the body": (
        s3_signed("host;x-amz-date"),
        "InvalidRequest",
        "Missing required header for this request: x-amz-content-sha256",
    ),
    "the hash of another body": (
        s3_signed("host;x-amz-date", X_Amz_Content_Sha256=hashlib.sha256(b"y").hexdigest()),
        "XAmzContentSHA256Mismatch",
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
    ),
    "a signature of nothing": (
        s3_signed("host;x-amz-date", X_Amz_Content_Sha256="UNSIGNED-PAYLOAD"),
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
    ),
}


@pytest.mark.parametrize("case", S3_REFUSED)
def test_s3_has_words_of_its_own(case: str) -> None:
    request, code, message = S3_REFUSED[case]
    claim = find_claim(request)
    assert claim is not None
    with pytest.raises(ServiceError) as refused:
        verify(request, claim, SECRET, NOW_MS)
    assert (refused.value.code, refused.value.message) == (code, message)


def test_s3_says_that_clocks_differ() -> None:
    claim = find_claim(s3_signed("host"))
    assert claim is not None
    with pytest.raises(ServiceError, match="RequestTimeTooSkewed"):
        check_fresh(claim, NOW_MS + 901_000)


def test_who_had_to_sign_is_told_so() -> None:
    asked = {
        "json": make_request(X_Amz_Target="DynamoDB_20120810.GetItem"),
        "query": form_request("sts", b"Action=AssumeRole"),
        "s3": make_request("GET", "/b"),
    }
    codes = {dialect: missing_authentication(request).code for dialect, request in asked.items()}
    assert codes == {
        "json": "MissingAuthenticationTokenException",
        "query": "MissingAuthenticationToken",
        "s3": "AccessDenied",
    }
