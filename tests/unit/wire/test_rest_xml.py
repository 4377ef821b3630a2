from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.wire.message import Request
from cumulet.wire.model import load_service
from cumulet.wire.protocols import parse, serialise
from cumulet.wire.resolve import resolve
from wire.wire_requests import make_request

NAMESPACE = b'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'

READ = {
    "raw body and metadata": (
        make_request("PUT", "/b/k", body=b"hello", x_amz_meta_Colour="red", Content_Type="text/plain"),
        {"Bucket": "b", "Key": "k", "Body": b"hello", "Metadata": {"colour": "red"}, "ContentType": "text/plain"},
    ),
    "flattened list": (
        make_request(
            "POST",
            "/b",
            "delete",
            b"<Delete "
            + NAMESPACE
            + b"><Quiet>true</Quiet><Object><Key>1</Key></Object><Object><Key>2</Key></Object></Delete>",
        ),
        {"Bucket": "b", "Delete": {"Quiet": True, "Objects": [{"Key": "1"}, {"Key": "2"}]}},
    ),
    "wrapped list": (
        make_request(
            "PUT", "/b", "tagging", b"<Tagging><TagSet><Tag><Key>k</Key><Value> v </Value></Tag></TagSet></Tagging>"
        ),
        {"Bucket": "b", "Tagging": {"TagSet": [{"Key": "k", "Value": " v "}]}},
    ),
    "attribute": (
        make_request(
            "PUT",
            "/b",
            "acl",
            b"<AccessControlPolicy><AccessControlList><Grant><Grantee "
            b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>i</ID></Grantee>'
            b"</Grant></AccessControlList></AccessControlPolicy>",
        ),
        {"Bucket": "b", "AccessControlPolicy": {"Grants": [{"Grantee": {"Type": "CanonicalUser", "ID": "i"}}]}},
    ),
    "text payload": (make_request("PUT", "/b", "policy", b"{}"), {"Bucket": "b", "Policy": "{}"}),
    "no document": (make_request("PUT", "/b"), {"Bucket": "b"}),
    "moments in headers": (
        make_request("GET", "/b/k", If_Modified_Since="Tue, 14 Nov 2023 22:13:20 GMT", Range="bytes=0-1"),
        {"Bucket": "b", "Key": "k", "IfModifiedSince": 1_700_000_000, "Range": "bytes=0-1"},
    ),
    "list in a header": (
        make_request("GET", "/b/k", "attributes", x_amz_object_attributes="ETag, ObjectSize"),
        {"Bucket": "b", "Key": "k", "ObjectAttributes": ["ETag", "ObjectSize"]},
    ),
}


@pytest.mark.parametrize("case", READ)
def test_input_is_read_from_all_its_places(case: str) -> None:
    request, params = READ[case]
    assert parse(resolve(request), request) == params


REFUSED = {
    "broken XML": (make_request("POST", "/b", "delete", b"<Delete>"), "MalformedXML"),
    "document type": (make_request("POST", "/b", "delete", b"<!DOCTYPE x><Delete/>"), "MalformedXML"),
    "document type in UTF-16": (
        make_request("POST", "/b", "delete", "<!DOCTYPE x><Delete/>".encode("utf-16")),
        "MalformedXML",
    ),
    "unknown encoding": (
        make_request("POST", "/b", "delete", b'<?xml version="1.0" encoding="base64"?><Delete/>'),
        "MalformedXML",
    ),
    "unreadable encoding": (
        make_request("POST", "/b", "delete", b'<?xml version="1.0" encoding="utf-32"?><Delete/>'),
        "MalformedXML",
    ),
    "word for a boolean": (
        make_request("POST", "/b", "delete", b"<Delete><Quiet>maybe</Quiet></Delete>"),
        "MalformedXML",
    ),
    "word for a number": (make_request("GET", "/b", "list-type=2&max-keys=x"), "InvalidArgument"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused(case: str) -> None:
    request, code = REFUSED[case]
    with pytest.raises(ServiceError) as refused:
        parse(resolve(request), request)
    assert (refused.value.code, refused.value.status) == (code, 400)


def test_a_framed_upload_is_unwrapped() -> None:
    body = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
    request = make_request(
        "PUT",
        "/b/k",
        body=body,
        Content_Encoding="aws-chunked,gzip",
        X_Amz_Content_Sha256="STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        X_Amz_Decoded_Content_Length="5",
    )
    params = parse(resolve(request), request)
    assert params["Body"] == b"hello"
    assert params["ChecksumCRC32"] == "NhCmhg=="
    assert params["ContentEncoding"] == "gzip"


def answer(name: str, output: dict[str, Any]) -> Any:
    operation = load_service("s3").find_operation(name)
    assert operation is not None
    return serialise(operation, output, "R")


DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
ANSWERED = {
    "root from the table, flattened list, milliseconds": (
        "ListObjectsV2",
        {"Name": "b", "KeyCount": 1, "Contents": [{"Key": "a&b", "LastModified": 1_700_000_000, "Size": 3}]},
        b"<ListBucketResult " + NAMESPACE + b"><Contents><Key>a&amp;b</Key><LastModified>2023-11-14T22:13:20.000Z"
        b"</LastModified><Size>3</Size></Contents><Name>b</Name><KeyCount>1</KeyCount></ListBucketResult>",
    ),
    "wrapped list": (
        "ListBuckets",
        {"Buckets": [{"Name": "b"}], "Owner": {"ID": "o"}},
        b"<ListAllMyBucketsResult " + NAMESPACE + b"><Buckets><Bucket><Name>b</Name></Bucket></Buckets>"
        b"<Owner><ID>o</ID></Owner></ListAllMyBucketsResult>",
    ),
    "structure as payload": (
        "CopyObject",
        {"CopyObjectResult": {"ETag": '"e"'}},
        b"<CopyObjectResult " + NAMESPACE + b"><ETag>&quot;e&quot;</ETag></CopyObjectResult>",
    ),
    "location": (
        "GetBucketLocation",
        {"LocationConstraint": "eu-west-1"},
        b"<LocationConstraint " + NAMESPACE + b">eu-west-1</LocationConstraint>",
    ),
    "location of us-east-1": (
        "GetBucketLocation",
        {},
        b"<LocationConstraint " + NAMESPACE + b"></LocationConstraint>",
    ),
}


@pytest.mark.parametrize("case", ANSWERED)
def test_output_is_written_as_the_api_reference_shows_it(case: str) -> None:
    name, output, body = ANSWERED[case]
    response = answer(name, output)
    assert response.body == DECLARATION + body
    headers = dict(response.headers)
    assert headers["x-amz-request-id"] == "R"
    assert headers["content-type"] == "application/xml"
    assert "x-amz-id-2" in headers


def test_an_object_is_sent_with_its_headers() -> None:
    response = answer("GetObject", {"Body": b"hi", "ContentType": "text/plain", "Metadata": {"a": "1"}, "ETag": '"e"'})
    headers = dict(response.headers)
    assert (response.status, response.body) == (200, b"hi")
    assert (headers["content-type"], headers["x-amz-meta-a"], headers["etag"]) == ("text/plain", "1", '"e"')


def test_a_part_of_an_object_is_206() -> None:
    assert answer("GetObject", {"Body": b"h", "ContentRange": "bytes 0-0/2"}).status == 206


def test_head_and_delete_have_no_body() -> None:
    assert answer("HeadObject", {"ContentLength": 3, "ContentType": "text/plain"}).body == b""
    assert (answer("DeleteObject", {}).status, answer("DeleteObject", {}).body) == (204, b"")


def test_control_characters_become_references() -> None:
    response = answer("ListObjectsV2", {"Contents": [{"Key": "a\x01\r"}]})
    assert b"<Key>a&#x1;&#xd;</Key>" in response.body


@pytest.mark.parametrize(
    "body",
    [
        b"5\r\nhel",
        # Read as a number, the second length would lead back to its own beginning, again and again.
        b"1\r\na\r\n-6\r\n\r\n",
        b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
        b"0" * 2000,
    ],
)
def test_chunks_that_are_cut_off_or_no_chunks_are_refused(body: bytes) -> None:
    request: Request = make_request("PUT", "/b/k", body=body, X_Amz_Content_Sha256="STREAMING-UNSIGNED-PAYLOAD-TRAILER")
    with pytest.raises(ServiceError) as refused:
        parse(resolve(request), request)
    assert refused.value.code == "IncompleteBody"
