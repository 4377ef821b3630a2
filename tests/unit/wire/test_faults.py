import zlib
from typing import Any

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.wire.faults import render
from cumulet.wire.model import load_service
from wire.wire_requests import form_request, make_request

RENDERED: dict[str, tuple[str, ServiceError, int, dict[str, str], bytes]] = {
    "DynamoDB, modelled, with a field": (
        "dynamodb",
        ServiceError("ConditionalCheckFailedException", "The conditional request failed", Item={"a": {"S": "x"}}),
        400,
        {},
        b'{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",'
        b'"message":"The conditional request failed","Item":{"a":{"S":"x"}}}',
    ),
    "DynamoDB, a capital Message by the model": (
        "dynamodb",
        ServiceError("TransactionCanceledException", "m"),
        400,
        {},
        b'{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"m"}',
    ),
    "DynamoDB, validation": (
        "dynamodb",
        ServiceError("ValidationException", "m"),
        400,
        {},
        b'{"__type":"com.amazon.coral.validate#ValidationException","message":"m"}',
    ),
    "DynamoDB, the front's own": (
        "dynamodb",
        ServiceError("SerializationException"),
        400,
        {},
        b'{"__type":"com.amazon.coral.service#SerializationException"}',
    ),
    "DynamoDB, denied": (
        "dynamodb",
        ServiceError("AccessDeniedException", "m"),
        400,
        {},
        b'{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"m"}',
    ),
    "DynamoDB, a fault": (
        "dynamodb",
        ServiceError("InternalServerError", "m"),
        500,
        {},
        b'{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"m"}',
    ),
    "DynamoDB, not built": (
        "dynamodb",
        NotImplementedHere("X"),
        501,
        {},
        b'{"__type":"NotImplementedException","message":"X is not implemented by Cumulet. '
        b'docs/operations.md lists what is."}',
    ),
    "Logs": (
        "logs",
        ServiceError("ResourceNotFoundException", "m"),
        400,
        {"content-type": "application/x-amz-json-1.1"},
        b'{"__type":"ResourceNotFoundException","message":"m"}',
    ),
    "Lambda, modelled": (
        "lambda",
        ServiceError("ResourceNotFoundException", "m"),
        404,
        {"x-amzn-errortype": "ResourceNotFoundException", "content-type": "application/json"},
        b'{"Type":"User","Message":"m"}',
    ),
    "Lambda, with a small message": (
        "lambda",
        ServiceError("ResourceConflictException", "m"),
        409,
        {},
        b'{"Type":"User","message":"m"}',
    ),
    "Lambda, its own fault": (
        "lambda",
        ServiceError("ServiceException", "m"),
        500,
        {},
        b'{"Type":"Service","Message":"m"}',
    ),
    "Lambda, not modelled": ("lambda", ServiceError("ValidationException", "m"), 400, {}, b'{"message":"m"}'),
    "Lambda, denied": ("lambda", ServiceError("AccessDeniedException", "m"), 403, {}, b'{"Message":"m"}'),
    "API Gateway 1": ("apigateway", ServiceError("NotFoundException", "m"), 404, {}, b'{"message":"m"}'),
    "API Gateway 1, a field in a header": (
        "apigateway",
        ServiceError("TooManyRequestsException", "m", retryAfterSeconds="3"),
        429,
        {"retry-after": "3"},
        b'{"message":"m"}',
    ),
    "API Gateway 2, renamed": (
        "apigatewayv2",
        ServiceError("NotFoundException", "m", ResourceType="api"),
        404,
        {},
        b'{"message":"m","resourceType":"api"}',
    ),
    "IAM": (
        "iam",
        ServiceError("NoSuchEntity", "a<b"),
        404,
        {"content-type": "text/xml"},
        b'<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">\n  <Error>\n    <Type>Sender</Type>\n'
        b"    <Code>NoSuchEntity</Code>\n    <Message>a&lt;b</Message>\n  </Error>\n"
        b"  <RequestId>R</RequestId>\n</ErrorResponse>\n",
    ),
}


@pytest.mark.parametrize("case", RENDERED)
def test_an_error_is_written_as_its_service_does(case: str) -> None:
    service, error, status, headers, body = RENDERED[case]
    response = render(load_service(service), error, "R")
    assert (response.status, response.body) == (status, body)
    found = dict(response.headers)
    assert found["x-amzn-requestid"] == "R"
    assert headers.items() <= found.items()
    if service == "dynamodb":
        assert found["x-amz-crc32"] == str(zlib.crc32(body))


STATUSES = [
    ("sts", "AccessDenied", 403),
    ("iam", "InvalidClientTokenId", 403),
    ("iam", "MalformedPolicyDocument", 400),
    ("cloudformation", "ValidationError", 400),
    ("lambda", "UnrecognizedClientException", 403),
    ("dynamodb", "UnrecognizedClientException", 400),
    ("lambda", "TooManyRequestsException", 429),
    ("s3", "NoSuchBucket", 404),
    ("s3", "NoSuchTagSet", 404),
    ("s3", "BucketNotEmpty", 409),
    ("s3", "PreconditionFailed", 412),
    ("s3", "AccessDenied", 403),
    ("s3", "InvalidArgument", 400),
]


@pytest.mark.parametrize(("service", "code", "status"), STATUSES)
def test_a_status_comes_from_the_model_or_from_what_services_share(service: str, code: str, status: int) -> None:
    assert render(load_service(service), ServiceError(code), "R").status == status


def test_s3_names_the_resource_and_both_ids() -> None:
    error = ServiceError("NoSuchKey", "The specified key does not exist.", Key="a&b")
    response = render(load_service("s3"), error, "R", make_request("GET", "/b/a%26b"))
    host_id = dict(response.headers)["x-amz-id-2"]
    assert isinstance(response.body, bytes)
    assert response.body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code>'
        "<Message>The specified key does not exist.</Message><Key>a&amp;b</Key><Resource>/b/a%26b</Resource>"
        f"<RequestId>R</RequestId><HostId>{host_id}</HostId></Error>"
    )


@pytest.mark.parametrize(("method", "code", "status"), [("HEAD", "NoSuchKey", 404), ("GET", "NotModified", 304)])
def test_s3_sends_no_body_where_http_has_none(method: str, code: str, status: int) -> None:
    response = render(load_service("s3"), ServiceError(code), "R", make_request(method, "/b/k"))
    assert (response.status, response.body) == (status, b"")


FORMS: list[tuple[Any, str]] = [
    (make_request(X_Amz_Target="DynamoDB_20120810.Bogus"), "application/x-amz-json-1.0"),
    (form_request("iam", b"Action=Bogus"), "text/xml"),
    (make_request("PATCH", "/b"), "application/xml"),
    (make_request(signed_for="ec2"), "application/json"),
]


@pytest.mark.parametrize(("request_", "content_type"), FORMS)
def test_without_a_service_the_request_shows_the_form(request_: Any, content_type: str) -> None:
    response = render(None, ServiceError("X", "m"), "R", request_)
    assert dict(response.headers)["content-type"] == content_type
