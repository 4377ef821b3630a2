import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.wire.message import Request
from cumulet.wire.model import load_service
from cumulet.wire.resolve import find_service, resolve
from wire.wire_requests import form_request, make_request

FOUND = {
    "target header": (make_request(X_Amz_Target="DynamoDB_20120810.GetItem"), "dynamodb", "GetItem", {}),
    "logs target": (make_request(X_Amz_Target="Logs_20140328.PutLogEvents"), "logs", "PutLogEvents", {}),
    "form": (form_request("iam", b"Action=GetRole&Version=2010-05-08&RoleName=r"), "iam", "GetRole", {}),
    "unsigned form": (
        make_request(
            body=b"Action=AssumeRoleWithSAML&Version=2011-06-15", Content_Type="application/x-www-form-urlencoded"
        ),
        "sts",
        "AssumeRoleWithSAML",
        {},
    ),
    "action in the query": (
        make_request("GET", "/", "Action=GetCallerIdentity&Version=2011-06-15", signed_for="sts"),
        "sts",
        "GetCallerIdentity",
        {},
    ),
    "presigned": (
        make_request("GET", "/b/k", "X-Amz-Credential=a%2F20260101%2Fus-east-1%2Fs3%2Faws4_request"),
        "s3",
        "GetObject",
        {"Bucket": "b", "Key": "k"},
    ),
    "label": (
        make_request("POST", "/2015-03-31/functions/arn%3Aaws%3Alambda%3Af/invocations", signed_for="lambda"),
        "lambda",
        "Invoke",
        {"FunctionName": "arn:aws:lambda:f"},
    ),
    "template with a slash at its end": (
        make_request("GET", "/2015-03-31/functions", signed_for="lambda"),
        "lambda",
        "ListFunctions",
        {},
    ),
    "unsigned Lambda": (make_request("GET", "/2015-03-31/functions/"), "lambda", "ListFunctions", {}),
    "first API Gateway": (
        make_request("GET", "/restapis/a/resources", signed_for="apigateway"),
        "apigateway",
        "GetResources",
        {"restapi_id": "a"},
    ),
    "fixed query": (
        make_request("POST", "/restapis", "mode=import", signed_for="apigateway"),
        "apigateway",
        "ImportRestApi",
        {},
    ),
    "without the fixed query": (
        make_request("POST", "/restapis", signed_for="apigateway"),
        "apigateway",
        "CreateRestApi",
        {},
    ),
    "second API Gateway": (make_request("GET", "/v2/apis", signed_for="apigateway"), "apigatewayv2", "GetApis", {}),
    "encoded slash in a label": (
        make_request("GET", "/tags/arn%3Aaws%3A%2Frestapis%2Fa", signed_for="apigateway"),
        "apigateway",
        "GetTags",
        {"resource_arn": "arn:aws:/restapis/a"},
    ),
    "anonymous S3": (make_request("GET", "/"), "s3", "ListBuckets", {}),
    "bucket with a slash": (make_request("GET", "/b/"), "s3", "ListObjects", {"Bucket": "b"}),
    "list type": (make_request("GET", "/b", "list-type=2"), "s3", "ListObjectsV2", {"Bucket": "b"}),
    "sub-resource": (make_request("GET", "/b", "location"), "s3", "GetBucketLocation", {"Bucket": "b"}),
    "slashes in a key": (make_request("PUT", "/b/a//b%2F/"), "s3", "PutObject", {"Bucket": "b", "Key": "a//b//"}),
    "part": (make_request("PUT", "/b/k", "partNumber=1&uploadId=u"), "s3", "UploadPart", {"Bucket": "b", "Key": "k"}),
    "copy": (make_request("PUT", "/b/k", x_amz_copy_source="/a/k"), "s3", "CopyObject", {"Bucket": "b", "Key": "k"}),
    "copied part": (
        make_request("PUT", "/b/k", "partNumber=1&uploadId=u", x_amz_copy_source="/a/k"),
        "s3",
        "UploadPartCopy",
        {"Bucket": "b", "Key": "k"},
    ),
    "successor of a deprecated operation": (
        make_request("GET", "/b", "lifecycle"),
        "s3",
        "GetBucketLifecycleConfiguration",
        {"Bucket": "b"},
    ),
}

REFUSED = {
    "unknown operation": (make_request(X_Amz_Target="DynamoDB_20120810.Bogus"), "UnknownOperationException", "", 400),
    "unknown target": (
        make_request(X_Amz_Target="Other.GetItem", signed_for="dynamodb"),
        "UnknownOperationException",
        "",
        400,
    ),
    "key that is not UTF-8": (
        make_request("PUT", "/bucket/%ff", signed_for="s3"),
        "InvalidURI",
        "Couldn't parse the specified URI.",
        400,
    ),
    "unknown action": (
        form_request("iam", b"Action=Bogus&Version=2010-05-08"),
        "InvalidAction",
        "Could not find operation Bogus for version 2010-05-08",
        400,
    ),
    "other version": (
        form_request("iam", b"Action=GetRole&Version=1999-01-01"),
        "InvalidAction",
        "Could not find operation GetRole for version 1999-01-01",
        400,
    ),
    "no version": (
        form_request("iam", b"Action=GetRole"),
        "InvalidAction",
        "Could not find operation GetRole for version NO_VERSION_SPECIFIED",
        400,
    ),
    "no action": (form_request("iam", b""), "MissingAction", "Request is missing the Action parameter.", 400),
    "unknown Lambda path": (
        make_request("GET", "/2015-03-31/bogus", signed_for="lambda"),
        "UnknownOperationException",
        "",
        404,
    ),
    "empty label": (
        make_request("GET", "/2015-03-31/functions//policy", signed_for="lambda"),
        "UnknownOperationException",
        "",
        404,
    ),
    "unknown API Gateway path": (
        make_request("GET", "/bogus", signed_for="apigateway"),
        "MissingAuthenticationTokenException",
        "Missing Authentication Token",
        403,
    ),
    "unknown S3 method": (
        make_request("PATCH", "/b"),
        "MethodNotAllowed",
        "The specified method is not allowed against this resource.",
        405,
    ),
}


@pytest.mark.parametrize("case", FOUND)
def test_an_operation_is_found(case: str) -> None:
    request, service, operation, labels = FOUND[case]
    target = resolve(request)
    assert (target.operation.service.name, target.operation.name) == (service, operation)
    assert target.labels == labels


@pytest.mark.parametrize("case", REFUSED)
def test_an_unknown_operation_is_refused_as_its_protocol_does(case: str) -> None:
    request, code, message, status = REFUSED[case]
    with pytest.raises(ServiceError) as refused:
        resolve(request)
    assert (refused.value.code, refused.value.message, refused.value.status) == (code, message, status)


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (make_request(signed_for="ec2"), "The service ec2"),
        (make_request(signed_for="kinesis", X_Amz_Target="Kinesis_20131202.ListStreams"), "The service kinesis"),
        (make_request(X_Amz_Target="Kinesis_20131202.ListStreams"), "The target Kinesis_20131202.ListStreams"),
    ],
)
def test_a_service_that_cumulet_does_not_have_is_refused_by_name(request_: Request, name: str) -> None:
    with pytest.raises(NotImplementedHere, match=name):
        resolve(request_)
    assert find_service(request_) is None


@pytest.mark.parametrize(
    ("request_", "service"),
    [
        (make_request(X_Amz_Target="DynamoDB_20120810.Bogus"), "dynamodb"),
        (form_request("iam", b"Action=Bogus"), "iam"),
        (make_request("PATCH", "/b"), "s3"),
    ],
)
def test_the_service_is_known_even_if_the_operation_is_not(request_: Request, service: str) -> None:
    assert find_service(request_) is load_service(service)
