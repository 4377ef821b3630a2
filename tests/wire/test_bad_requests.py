"""Bad input at every door of the running server: AWS's code and words, never a 500, and the server goes on."""

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from running import Server
from wire.bad_requests import Sent, dynamodb, logs, query, rest, send, sign

DEEP = b"[" * 100_000
DEEP_OBJECTS = b'{"a":' * 100_000
DEEP_XML = b"<a>" * 100_000

MALFORMED: dict[str, bytes] = {
    "not JSON": b"{nope",
    "cut off": b'{"a": "b',
    "something behind it": b"{} {}",
    "deep lists": DEEP,
    "deep objects": DEEP_OBJECTS,
    "deep below an unknown member": b'{"Unknown":' + DEEP + b"]" * 100_000 + b"}",
    "not UTF-8": b'{"TableName":"\xff","FunctionName":"\xff","name":"\xff","logGroupName":"\xff"}',
    "half a surrogate pair": b'{"TableName":"\\ud800","FunctionName":"\\ud800","name":"\\ud800","logGroupName":"\\ud800"}',  # noqa: E501
    "NaN": b'{"a":NaN}',
}
JSON_DOORS: dict[str, Callable[[bytes], tuple[str, Sent]]] = {
    "DynamoDB": lambda body: ("dynamodb", dynamodb("DescribeTable", body)),
    "Logs": lambda body: ("logs", logs("CreateLogGroup", body)),
    "Lambda": lambda body: ("lambda", rest("POST", "/2015-03-31/functions", body)),
    "API Gateway, REST": lambda body: ("apigateway", rest("POST", "/restapis", body)),
    "API Gateway, HTTP": lambda body: ("apigateway", rest("POST", "/v2/apis", body)),
}


@pytest.mark.parametrize("door", JSON_DOORS)
def test_a_body_that_is_not_json_is_a_serialization_error(server: Server, door: str) -> None:
    for name, body in MALFORMED.items():
        service, sent = JSON_DOORS[door](body)
        answer = send(server, sign(server, sent, service))
        assert (name, answer.status, answer.code) == (name, 400, "SerializationException")


CREATE_ROLE = {"AssumeRolePolicyDocument": "{}"}
REFUSED: dict[str, tuple[str, Sent, int, str, str]] = {
    # service, request, status, code, words
    "DynamoDB: empty body": ("dynamodb", dynamodb("Scan", b""), 400, "SerializationException", ""),
    "DynamoDB: null": ("dynamodb", dynamodb("Scan", b"null"), 400, "SerializationException", "Unexpected value type"),
    "DynamoDB: a list": (
        "dynamodb",
        dynamodb("Scan", b"[]"),
        400,
        "SerializationException",
        "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.ScanInput",
    ),
    "DynamoDB: a number beyond all bounds": (
        "dynamodb",
        dynamodb("Scan", b'{"TableName":"abc","Limit":1e999}'),
        400,
        "SerializationException",
        "",
    ),
    "DynamoDB: wrong type": (
        "dynamodb",
        dynamodb("Scan", {"TableName": "abc", "Limit": "1"}),
        400,
        "SerializationException",
        "STRING_VALUE cannot be converted to Integer",
    ),
    "DynamoDB: a number of 5000 digits": (
        "dynamodb",
        dynamodb("Scan", b'{"TableName":"abc","Limit":' + b"9" * 5000 + b"}"),
        400,
        "SerializationException",
        "",
    ),
    "DynamoDB: missing": (
        "dynamodb",
        dynamodb("Scan"),
        400,
        "ValidationException",
        "Value null at 'tableName' failed to satisfy constraint: Member must not be null",
    ),
    "DynamoDB: null is missing": (
        "dynamodb",
        dynamodb("Scan", {"TableName": None}),
        400,
        "ValidationException",
        "Value null at 'tableName' failed to satisfy constraint: Member must not be null",
    ),
    "DynamoDB: the last of two equal names counts": (
        "dynamodb",
        dynamodb("Scan", b'{"TableName":"abc","TableName":"a"}'),
        400,
        "ValidationException",
        "TableName must be at least 3 characters long",
    ),
    "DynamoDB: unknown operation": ("dynamodb", dynamodb("Bogus"), 400, "UnknownOperationException", ""),
    "DynamoDB: unbuilt operation": (
        "dynamodb",
        dynamodb(
            "EnableKinesisStreamingDestination",
            {"TableName": "abc", "StreamArn": "arn:aws:kinesis:us-east-1:000000000000:stream/any"},
        ),
        501,
        "NotImplementedException",
        "dynamodb:EnableKinesisStreamingDestination is not implemented",
    ),
    "SQS: unbuilt service": (
        "sqs",
        Sent("POST", "/", {"X-Amz-Target": "AmazonSQS.SendMessage"}, b"{}"),
        501,
        "NotImplementedException",
        "The service sqs",
    ),
    "SQS by form": ("sqs", query("sts", "SendMessage"), 501, "NotImplementedException", "The service sqs"),
    "Kinesis: unbuilt service": (
        "kinesis",
        Sent("POST", "/", {"X-Amz-Target": "Kinesis_20131202.ListStreams"}, b"{}"),
        501,
        "NotImplementedException",
        "The service kinesis",
    ),
    "CloudWatch by CBOR": (
        "monitoring",
        rest("POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData", b"\xa0"),
        501,
        "NotImplementedException",
        "The service monitoring",
    ),
    "EC2": ("ec2", rest("POST", "/", b""), 501, "NotImplementedException", "The service ec2"),
    "Logs: number beyond 64 bits": (
        "logs",
        logs("DescribeLogGroups", b'{"limit":99999999999999999999}'),
        400,
        "SerializationException",
        "NUMBER_VALUE can not be converted to an Integer",
    ),
    "Logs: unbuilt operation": (
        "logs",
        logs("StartQuery", {"startTime": 1, "endTime": 2, "queryString": "fields"}),
        501,
        "NotImplementedException",
        "logs:StartQuery is not implemented",
    ),
    "Logs: unbuilt parameter": (
        "logs",
        logs("CreateLogGroup", {"logGroupName": "g", "kmsKeyId": "k"}),
        501,
        "NotImplementedException",
        "The parameter kmsKeyId of logs:CreateLogGroup",
    ),
    "Lambda: empty body": (
        "lambda",
        rest("POST", "/2015-03-31/functions"),
        400,
        "ValidationException",
        "Value null at 'functionName'",
    ),
    "Lambda: unknown path": ("lambda", rest("GET", "/2015-03-31/bogus"), 404, "UnknownOperationException", ""),
    "Lambda: a word for a number": (
        "lambda",
        rest("GET", "/2015-03-31/functions?MaxItems=many"),
        400,
        "SerializationException",
        "STRING_VALUE can not be converted to an Integer",
    ),
    "Lambda: a payload that is not JSON": (
        "lambda",
        rest("POST", "/2015-03-31/functions/none/invocations", b"{"),
        400,
        "InvalidRequestContentException",
        "Could not parse request body into json",
    ),
    "Lambda: unbuilt operation": (
        "lambda",
        rest("GET", "/2015-03-31/event-source-mappings"),
        501,
        "NotImplementedException",
        "lambda:ListEventSourceMappings is not implemented",
    ),
    "API Gateway: unknown path": (
        "apigateway",
        rest("GET", "/bogus"),
        403,
        "MissingAuthenticationTokenException",
        "Missing Authentication Token",
    ),
    "API Gateway: unbuilt operation": (
        "apigateway",
        rest("GET", "/vpclinks"),
        501,
        "NotImplementedException",
        "apigateway:GetVpcLinks is not implemented",
    ),
    "IAM: JSON for a form": (
        "iam",
        Sent("POST", "/", {"Content-Type": "application/json"}, b"{}"),
        400,
        "MissingAction",
        "",
    ),
    "IAM: empty": ("iam", rest("POST", "/"), 400, "MissingAction", "Request is missing the Action parameter."),
    "IAM: unknown operation": (
        "iam",
        query("iam", "Bogus"),
        400,
        "InvalidAction",
        "Could not find operation Bogus for version 2010-05-08",
    ),
    "IAM: unbuilt operation": (
        "iam",
        query("iam", "CreateGroup", GroupName="g"),
        501,
        "NotImplementedException",
        "iam:CreateGroup is not implemented",
    ),
    "IAM: names without parts": (
        "iam",
        query("iam", "GetRole", b"&RoleName..x=1&.=2&=3", RoleName="nobody"),
        404,
        "NoSuchEntity",
        "The role with name nobody cannot be found.",
    ),
    "IAM: a name of 100,000 parts": (
        "iam",
        query("iam", "GetRole", b"&RoleName" + b".a" * 100_000 + b"=1"),
        400,
        "MalformedInput",
        "Unexpected complex element termination",
    ),
    "IAM: an index of 5000 digits": (
        "iam",
        query("iam", "CreateRole", b"&Tags.member." + b"9" * 5000 + b".Key=k", RoleName="r", **CREATE_ROLE),
        400,
        "MalformedInput",
        "is not a valid index",
    ),
    "IAM: a word for a number": ("iam", query("iam", "ListRoles", MaxItems="x"), 400, "MalformedInput", "MaxItems"),
    "CloudFormation: no template": (
        "cloudformation",
        query("cloudformation", "CreateStack", StackName="s"),
        400,
        "ValidationError",
        "Either Template URL or Template Body must be specified.",
    ),
    "CloudFormation: a template too long": (
        "cloudformation",
        query("cloudformation", "CreateStack", StackName="s", TemplateBody="x" * 51_201),
        400,
        "ValidationError",
        "at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to 51200",
    ),
    "CloudFormation: a deep template": (
        "cloudformation",
        query("cloudformation", "CreateStack", StackName="s", TemplateBody="[" * 51_000),
        400,
        "ValidationError",
        "Template format error",
    ),
    "CloudFormation: unbuilt parameter": (
        "cloudformation",
        query("cloudformation", "CreateStack", b"&NotificationARNs.member.1=a", StackName="s", TemplateBody="{}"),
        501,
        "NotImplementedException",
        "NotificationARNs",
    ),
    "S3: a key that is not UTF-8": ("s3", rest("PUT", "/bad-requests/%ff"), 400, "InvalidURI", ""),
    "S3: a word for a number": (
        "s3",
        rest("GET", "/bad-requests?max-keys=many"),
        400,
        "InvalidArgument",
        "Provided max-keys not an integer or within integer range",
    ),
    "S3: unbuilt operation": (
        "s3",
        rest("GET", "/bad-requests?acl"),
        501,
        "NotImplementedException",
        "s3:GetBucketAcl is not implemented",
    ),
    "S3: unbuilt parameter": (
        "s3",
        rest("PUT", "/bad-requests/k", b"x", x_amz_tagging="a=b"),
        501,
        "NotImplementedException",
        "The parameter Tagging of s3:PutObject",
    ),
    "S3: a method that is none of its own": ("s3", rest("PATCH", "/bad-requests/k"), 405, "MethodNotAllowed", ""),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_request_gets_the_services_own_words(server: Server, case: str) -> None:
    service, sent, status, code, words = REFUSED[case]
    answer = send(server, sign(server, sent, service))
    assert (answer.status, answer.code) == (status, code), answer.body
    assert words in answer.message


BAD_XML = {
    "not XML": b"<Delete",
    "empty": b"",
    "another root": b"<a/>",
    "deep": DEEP_XML + b"</a>" * 100_000,
    "deep and open": DEEP_XML,
    "not UTF-8": b"<Delete><Object><Key>\xff</Key></Object></Delete>",
    "an object without a key": b"<Delete><Object/></Delete>",
    "an unknown encoding": b'<?xml version="1.0" encoding="base64"?><Delete/>',
    "entities": b'<!DOCTYPE a [<!ENTITY b "c">]><Delete><Object><Key>&b;</Key></Object></Delete>',
    "entities in UTF-16": '<!DOCTYPE a [<!ENTITY b "c">]><Delete><Object><Key>&b;</Key></Object></Delete>'.encode(
        "utf-16"
    ),
}


def test_bad_xml_is_malformed_xml(server: Server) -> None:
    server.client("s3").create_bucket(Bucket="bad-xml")
    for name, body in BAD_XML.items():
        answer = send(server, sign(server, rest("POST", "/bad-xml?delete", body), "s3"))
        assert (name, answer.status, answer.code) == (name, 400, "MalformedXML")


def test_bad_uploads_store_nothing(server: Server) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket="bad-uploads")
    uploads = {
        "IncompleteBody": rest("PUT", "/bad-uploads/k", b"1\r\na\r\n-6\r\n\r\n"),
        "InvalidDigest": rest("PUT", "/bad-uploads/k", b"x", Content_MD5="x"),
        "BadDigest": rest("PUT", "/bad-uploads/k", b"x", Content_MD5="AAAAAAAAAAAAAAAAAAAAAA=="),
        "InvalidRequest": rest("PUT", "/bad-uploads/k", b"x", x_amz_checksum_crc32="x"),
    }
    for code, sent in uploads.items():
        signed = sign(server, sent, "s3")
        if code == "IncompleteBody":
            signed.headers["X-Amz-Content-SHA256"] = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        answer = send(server, signed)
        assert (answer.status, answer.code) == (400, code)
    assert s3.list_objects_v2(Bucket="bad-uploads")["KeyCount"] == 0


SERVED: dict[str, tuple[str, Sent]] = {
    "dynamodb": ("dynamodb", dynamodb("ListTables")),
    "logs": ("logs", logs("DescribeLogGroups")),
    "lambda": ("lambda", rest("GET", "/2015-03-31/functions")),
    "apigateway": ("apigateway", rest("GET", "/restapis")),
    "iam": ("iam", query("iam", "ListRoles")),
    "s3": ("s3", rest("GET", "/")),
}
JSON_SERVICES, REST_SERVICES = ("dynamodb", "logs"), ("lambda", "apigateway")


def names_of(service: str, code: str) -> tuple[int, str]:
    """Return the status and the code that a service has for a common error."""
    if service in JSON_SERVICES:
        return 400, code
    if service in REST_SERVICES:
        return 403, code
    by_query = {
        "MissingAuthenticationTokenException": (403, "MissingAuthenticationToken"),
        "IncompleteSignatureException": (400, "IncompleteSignature"),
        "InvalidSignatureException": (403, "SignatureDoesNotMatch"),
    }
    by_s3 = {
        "MissingAuthenticationTokenException": (403, "AccessDenied"),
        "IncompleteSignatureException": (400, "AuthorizationHeaderMalformed"),
        "InvalidSignatureException": (403, "RequestTimeTooSkewed"),
    }
    return (by_s3 if service == "s3" else by_query)[code]


@pytest.mark.parametrize("service", SERVED)
def test_signatures_that_cannot_be_read_or_have_another_time(server: Server, service: str) -> None:
    _, sent = SERVED[service]
    parts = ["SignedHeaders", "Signature"]
    if service != "apigateway":  # nothing but the credential tells its paths from S3's
        parts.append("Credential")
        unsigned = send(server, sent)
        assert (unsigned.status, unsigned.code) == names_of(service, "MissingAuthenticationTokenException")
    signed = sign(server, sent, service)
    authorization = signed.headers["Authorization"]
    for part in parts:
        without = authorization.replace(f"{part}=", "Other=")
        answer = send(server, signed._replace(headers={**signed.headers, "Authorization": without}))
        assert (answer.status, answer.code) == names_of(service, "IncompleteSignatureException")
        assert f"Authorization header requires '{part}' parameter." in answer.message
    short = authorization.replace("/us-east-1/", "/")
    answer = send(server, signed._replace(headers={**signed.headers, "Authorization": short}))
    assert (answer.status, answer.code) == names_of(service, "IncompleteSignatureException")
    undated = {name: value for name, value in signed.headers.items() if name != "X-Amz-Date"}
    answer = send(server, signed._replace(headers=undated))
    assert (answer.status, answer.code) == names_of(service, "IncompleteSignatureException")
    other = authorization.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA")
    assert send(server, signed._replace(headers={**signed.headers, "Authorization": other})).status in (400, 403)

    for seconds, words in ((-1200, "Signature expired: "), (1200, "Signature not yet current: ")):
        answer = send(server, sign(server, sent, service, seconds=seconds))
        assert (answer.status, answer.code) == names_of(service, "InvalidSignatureException")
        assert answer.message.startswith("The difference between" if service == "s3" else words)
    assert send(server, sign(server, sent, service)).status == 200


def test_a_region_that_is_none(server: Server) -> None:
    answer = send(server, sign(server, dynamodb("ListTables"), "dynamodb", region="nowhere"))
    assert (answer.code, answer.message) == (
        "InvalidSignatureException",
        "Credential should be scoped to a valid region.",
    )


def test_accounts_and_regions_do_not_see_each_other(server: Server) -> None:
    here = server.client("dynamodb", key_id="111111111111")
    here.create_table(
        TableName="isolated",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    assert here.list_tables()["TableNames"] == ["isolated"]
    assert here.describe_table(TableName="isolated")["Table"]["TableArn"].split(":")[4] == "111111111111"
    for key_id, region in (("222222222222", "us-east-1"), ("111111111111", "eu-west-1"), ("test", "us-east-1")):
        there = server.client("dynamodb", key_id=key_id, region_name=region)
        assert "isolated" not in there.list_tables()["TableNames"]
        with pytest.raises(there.exceptions.ResourceNotFoundException):
            there.describe_table(TableName="isolated")


def test_bodies_that_are_too_large_are_refused_before_they_are_sent(server: Server) -> None:
    cases = {
        "lambda": (
            rest("POST", "/2015-03-31/functions"),
            413,
            "RequestEntityTooLargeException",
            "Request must be smaller than 69905067 bytes for the CreateFunction operation",
        ),
        "dynamodb": (
            dynamodb("PutItem"),
            413,
            "RequestEntityTooLargeException",
            "Request must be smaller than 16777216 bytes for the PutItem operation",
        ),
        "s3": (
            rest("PUT", "/any-bucket/k"),
            400,
            "EntityTooLarge",
            "Your proposed upload exceeds the maximum allowed object size.",
        ),
    }
    for service, (sent, status, code, words) in cases.items():
        signed = sign(server, sent, service)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.putrequest(signed.method, signed.path)
        for name, value in {**signed.headers, "Content-Length": str(1 << 30), "Expect": "100-continue"}.items():
            if name != "Host":
                connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        assert (response.status, response.getheader("connection")) == (status, "close")
        assert words in body
        assert code in body or code == response.getheader("x-amzn-errortype")


@pytest.fixture
def line(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        yield connection


def raw(server: Server, sent: Sent, *, version: str = "1.1", **more: str) -> bytes:
    """Return the head of a request."""
    headers = {"Host": f"localhost:{server.port}", **sent.headers, **{n.replace("_", "-"): v for n, v in more.items()}}
    lines = [f"{sent.method} {sent.path} HTTP/{version}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def received(line: socket.socket, until: bytes) -> bytes:
    """Return what has come once it ends with `until`."""
    got = b""
    while not got.endswith(until):
        piece = line.recv(65536)
        if not piece:
            return got
        got += piece
    return got


def test_a_client_that_waits_for_100_continue_gets_it(server: Server, line: socket.socket) -> None:
    signed = sign(server, dynamodb("ListTables"), "dynamodb")
    line.sendall(raw(server, signed, Expect="100-continue", Content_Length="2"))
    assert received(line, b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
    line.sendall(b"{}")
    assert received(line, b"}").startswith(b"HTTP/1.1 200 ")


def test_a_chunked_body_is_read(server: Server, line: socket.socket) -> None:
    signed = sign(server, dynamodb("DescribeTable", {"TableName": "chunked-nothing"}), "dynamodb")
    kept = {name: value for name, value in signed.headers.items() if name != "Content-Length"}
    body = signed.body
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:5], body[5:])) + b"0\r\n\r\n"
    line.sendall(raw(server, signed._replace(headers=kept), Transfer_Encoding="chunked") + chunks)
    assert b"Requested resource not found: Table: chunked-nothing not found" in received(line, b"}")


def test_a_large_body_in_one_piece_with_its_head_is_a_body(server: Server, line: socket.socket) -> None:
    signed = sign(server, dynamodb("ListTables", b'{"Unknown":"' + b"x" * 150_000 + b'"}'), "dynamodb")
    message = raw(server, signed, Content_Length=str(len(signed.body))) + signed.body
    for _ in range(3):
        line.sendall(message)
        assert received(line, b"}").startswith(b"HTTP/1.1 200 ")


def test_the_connection_outlives_refusals(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    good = sign(server, dynamodb("ListTables"), "dynamodb")
    for body in (MALFORMED["deep lists"], b"{nope", b"{}"):
        connection.request("POST", "/", body, good.headers)
        response = connection.getresponse()
        response.read()
        assert response.status == (200 if body == b"{}" else 400)
        assert connection.sock is not None
    connection.request("POST", "/", good.body, good.headers)
    assert connection.getresponse().status == 200
    connection.close()


def test_http_1_0_is_answered_and_closed(server: Server, line: socket.socket) -> None:
    line.sendall(raw(server, rest("GET", "/_cumulet/health"), version="1.0"))
    got = received(line, b"never")
    assert got.startswith(b"HTTP/1.1 200 ")
    assert json.loads(got.partition(b"\r\n\r\n")[2])["status"] == "ok"


def test_head_has_no_body(server: Server) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket="head-only")
    s3.put_object(Bucket="head-only", Key="k", Body=b"12345")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for path, status in (("/head-only/none", 404), ("/head-only/k", 200)):
        signed = sign(server, rest("HEAD", path), "s3")
        connection.request("HEAD", path, headers=signed.headers)
        response = connection.getresponse()
        assert (response.status, response.read()) == (status, b"")
    assert response.getheader("content-length") == "5"
    connection.close()


def test_the_control_api_refuses_what_is_not_json(server: Server) -> None:
    for body in (b"{", DEEP, b"\xff", b"[]", b'{"advance_seconds":NaN}', b'{"advance_seconds":-1}'):
        answer = send(server, rest("POST", "/_cumulet/clock", body, Content_Type="application/json"))
        assert answer.status == 400
        assert answer.message


def test_nothing_went_wrong_inside(server: Server) -> None:
    log = Path(server.data_dir.parent / f"{server.data_dir.name}.log").read_text()
    assert "failed inside Cumulet" not in log
