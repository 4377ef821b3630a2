"""Where the URIs of AWS integrations lead, and what a service gets."""

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway.control import service_uri
from cumulet.services.apigateway.control.service_uri import ServiceUri
from cumulet.services.apigateway.pipeline.exchange import Outbound
from cumulet.services.apigateway.pipeline.service_calls import service_request
from cumulet.wire.model import load_service

ROLE = "arn:aws:iam::000000000000:role/r"
AT = "arn:aws:apigateway:us-east-1:"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("dynamodb:action/PutItem", ServiceUri("us-east-1", "dynamodb", "", True, "PutItem")),
        ("streams.dynamodb:action/ListStreams", ServiceUri("us-east-1", "dynamodbstreams", "", True, "ListStreams")),
        ("s3:path/{bucket}/{key}", ServiceUri("us-east-1", "s3", "", False, "{bucket}/{key}")),
        ("my.bucket.s3:path/a/b", ServiceUri("us-east-1", "s3", "my.bucket", False, "a/b")),
        ("iam:path//", ServiceUri("us-east-1", "iam", "", False, "/")),
        ("sqs:action/SendMessage", None),
        ("x.dynamodb:action/PutItem", None),
    ],
)
def test_where_a_uri_leads(uri: str, expected: ServiceUri | None) -> None:
    assert service_uri.find(AT + uri) == expected


@pytest.mark.parametrize(
    ("uri", "credentials", "code", "words"),
    [
        (f"{AT}sqs:action/SendMessage", ROLE, "NotImplementedException", "An integration with sqs:action/SendMessage"),
        (f"{AT}sqs:path//", None, "NotImplementedException", "An integration with sqs:path//"),
        (f"{AT}s3:path/a", None, "BadRequestException", "Role ARN must be specified for AWS integrations"),
        (f"{AT}s3", ROLE, "BadRequestException", "AWS ARN for integration must contain path or action"),
        ("arn:aws:s3:::x", ROLE, "BadRequestException", "Invalid ARN specified in the request"),
    ],
)
def test_what_an_integration_cannot_lead_to(uri: str, credentials: str | None, code: str, words: str) -> None:
    with pytest.raises(ServiceError) as refused:
        service_uri.check(uri, credentials)
    assert refused.value.code == code
    assert refused.value.message.startswith(words)
    assert isinstance(refused.value, NotImplementedHere) == (code == "NotImplementedException")


def test_a_service_may_be_told_by_a_stage_variable() -> None:
    service_uri.check(f"{AT}${{stageVariables.service}}:action/X", ROLE)


@pytest.mark.parametrize(
    ("uri", "query", "path", "expected"),
    [
        ("dynamodb:action/Scan", {}, {}, ("/", "", "DynamoDB_20120810.Scan", b"{}")),
        ("logs:action/DescribeLogGroups", {}, {}, ("/", "", "Logs_20140328.DescribeLogGroups", b"{}")),
        (
            "sts:action/GetCallerIdentity",
            {"a": ["1", "2"]},
            {},
            ("/", "Action=GetCallerIdentity&Version=2011-06-15&a=1&a=2", None, b""),
        ),
        ("s3:path/{bucket}/{key}", {"x": ["y"]}, {"bucket": "b", "key": "c/d e"}, ("/b/c/d%20e", "x=y", None, b"{}")),
        ("b.s3:path/{key}?acl", {}, {"key": "k"}, ("/b/k", "acl", None, b"{}")),
    ],
)
def test_what_a_service_gets(
    uri: str, query: dict[str, list[str]], path: dict[str, str], expected: tuple[str, str, str | None, bytes]
) -> None:
    found = service_uri.find(AT + uri)
    assert found is not None
    outbound = Outbound(b"{}", "application/json", path, query, {"x-a": ["1"]}, {}, {})
    request = service_request(load_service(found.service), found, outbound, "POST")
    assert (request.path, request.query, request.headers.get("x-amz-target"), request.body) == expected
    assert request.headers.get("x-a") == "1"


@pytest.mark.parametrize(
    ("uri", "target"),
    [("dynamodb:path//", "DynamoDB_20120810.GetItem"), ("dynamodb:action/Scan", "DynamoDB_20120810.Scan")],
)
def test_a_mapped_target_is_for_a_path(uri: str, target: str) -> None:
    found = service_uri.find(AT + uri)
    assert found is not None
    headers = {"x-amz-target": ["DynamoDB_20120810.GetItem"]}
    request = service_request(
        load_service("dynamodb"), found, Outbound(b"{}", "application/json", {}, {}, headers, {}, {}), "POST"
    )
    assert (request.path, request.headers.get("x-amz-target")) == ("/", target)
