"""Whatever comes over the wire, the server answers, soon, and never with a failure of its own.

Requests that are valid are bent at random: method, path, query, headers, JSON leaves, bytes of the body. A 501 says by
name what is not built, a 503 that the store is busy; any other 5xx is a bug, and so is silence.
"""

# ruff: noqa: E501  (the tables below read best a line per row)

import json
import socket
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from running import Server
from wire.bad_requests import Sent, dynamodb, logs, query, rest, sign

pytestmark = pytest.mark.slow

TRUST = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}'
TEMPLATE = '{"Resources":{"A":{"Type":"AWS::Logs::LogGroup","Properties":{"RetentionInDays":7}}}}'
ITEM = {
    "pk": {"S": "a"},
    "n": {"N": "1"},
    "l": {"L": [{"BOOL": True}, {"NULL": True}]},
    "m": {"M": {"x": {"NS": ["1"]}}},
}
VALUES = {":a": {"S": "a"}, ":n": {"N": "1"}}

VALID: list[tuple[str, Sent]] = [
    *(
        ("dynamodb", dynamodb(operation, {"TableName": "fuzzed", **params}))
        for operation, params in (
            ("PutItem", {"Item": ITEM, "ConditionExpression": "attribute_not_exists(pk) OR n < :n", "ExpressionAttributeValues": VALUES}),
            ("GetItem", {"Key": {"pk": {"S": "a"}}, "ProjectionExpression": "m.x, l[0], #n", "ExpressionAttributeNames": {"#n": "n"}}),
            ("UpdateItem", {"Key": {"pk": {"S": "a"}}, "UpdateExpression": "SET n = if_not_exists(n, :n) + :n REMOVE l[0]", "ExpressionAttributeValues": {":n": {"N": "1"}}, "ReturnValues": "ALL_NEW"}),
            ("Query", {"KeyConditionExpression": "pk = :a", "FilterExpression": "size(l) >= :n", "ExpressionAttributeValues": VALUES, "Limit": 5}),
            ("Scan", {"FilterExpression": "begins_with(pk, :a)", "ExpressionAttributeValues": {":a": {"S": "a"}}, "Segment": 0, "TotalSegments": 2}),
            ("DescribeTable", {}),
        )
    ),
    ("dynamodb", dynamodb("BatchGetItem", {"RequestItems": {"fuzzed": {"Keys": [{"pk": {"S": "a"}}]}}})),
    ("dynamodb", dynamodb("BatchWriteItem", {"RequestItems": {"fuzzed": [{"PutRequest": {"Item": ITEM}}]}})),
    ("logs", logs("PutLogEvents", {"logGroupName": "fuzzed", "logStreamName": "s", "logEvents": [{"timestamp": 1, "message": "m"}]})),
    ("logs", logs("FilterLogEvents", {"logGroupName": "fuzzed", "filterPattern": "a -b", "startTime": 0, "limit": 5})),
    ("lambda", rest("GET", "/2015-03-31/functions/fuzzed?Qualifier=1")),
    ("lambda", rest("POST", "/2015-03-31/functions", json.dumps({"FunctionName": "f", "Role": "arn:aws:iam::000000000000:role/fuzzed", "Code": {"ZipFile": "AAAA"}, "Runtime": "python3.12", "Handler": "a.b", "Environment": {"Variables": {"A": "b"}}}).encode())),
    ("lambda", rest("PUT", "/2019-09-30/functions/fuzzed/provisioned-concurrency?Qualifier=1", b'{"ProvisionedConcurrentExecutions":1}')),
    ("lambda", rest("POST", "/2020-04-22/code-signing-configs", b'{"AllowedPublishers":{"SigningProfileVersionArns":["arn:aws:signer:us-east-1:000000000000:/signing-profiles/a/b"]},"Tags":{"a":"b"}}')),
    ("lambda", rest("POST", "/2017-03-31/tags/arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-0123456789abcdef0", b'{"Tags":{"a":"b"}}')),
    ("lambda", rest("PUT", "/2021-07-20/functions/fuzzed/runtime-management-config?Qualifier=1", b'{"UpdateRuntimeOn":"Auto"}')),
    ("lambda", rest("PUT", "/2015-03-31/functions/fuzzed/configuration", b'{"SnapStart":{"ApplyOn":"PublishedVersions"},"LoggingConfig":{"LogFormat":"JSON","SystemLogLevel":"DEBUG"},"Timeout":9}')),
    ("lambda", rest("POST", "/2014-11-13/functions/fuzzed/invoke-async", b"{}")),
    ("lambda", rest("POST", "/2015-03-31/functions/fuzzed/policy", b'{"StatementId":"s","Action":"lambda:InvokeFunction","Principal":"apigateway.amazonaws.com"}')),
    ("lambda", rest("POST", "/2015-03-31/functions/fuzzed/invocations", b"{}", X_Amz_Log_Type="Tail", X_Amz_Client_Context="e30=")),
    ("apigateway", rest("POST", "/restapis", b'{"name":"fuzzed","binaryMediaTypes":["a/b"]}')),
    ("apigateway", rest("PATCH", "/restapis/fuzzed", b'{"patchOperations":[{"op":"replace","path":"/name","value":"x"}]}')),
    ("apigateway", rest("PUT", "/restapis?mode=import", b'{"openapi":"3.0.1","info":{"title":"t","version":"1"},"paths":{"/a":{"get":{}}}}')),
    ("apigateway", rest("POST", "/v2/apis", b'{"name":"fuzzed","protocolType":"HTTP","corsConfiguration":{"maxAge":5}}')),
    ("iam", query("iam", "CreateRole", b"&Tags.member.1.Key=k&Tags.member.1.Value=v", RoleName="fuzzed", AssumeRolePolicyDocument=TRUST)),
    ("iam", query("iam", "ListRoles", MaxItems="5", PathPrefix="/")),
    ("sts", query("sts", "AssumeRole", RoleArn="arn:aws:iam::000000000000:role/fuzzed", RoleSessionName="s", DurationSeconds="900")),
    ("cloudformation", query("cloudformation", "ValidateTemplate", TemplateBody=TEMPLATE)),
    ("cloudformation", query("cloudformation", "DescribeStacks", StackName="fuzzed")),
    ("s3", rest("PUT", "/fuzzed/k", b"5\r\nhello\r\n0\r\n\r\n", Content_MD5="AAAAAAAAAAAAAAAAAAAAAA==", x_amz_meta_a="b")),
    ("s3", rest("GET", "/fuzzed/k?versionId=1", Range="bytes=0-1", If_None_Match='"a"', If_Modified_Since="Mon, 01 Jan 2024 00:00:00 GMT")),
    ("s3", rest("GET", "/fuzzed?list-type=2&max-keys=5&prefix=k&delimiter=%2F&start-after=a&encoding-type=url")),
    ("s3", rest("POST", "/fuzzed?delete", b"<Delete><Object><Key>a</Key></Object><Quiet>true</Quiet></Delete>")),
    ("s3", rest("PUT", "/fuzzed/c", x_amz_copy_source="/fuzzed/k")),
    ("s3", rest("POST", "/fuzzed/u?uploadId=u", b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>")),
    ("", rest("GET", "/_aws/execute-api/fuzzed/prod/a?b=c")),
    ("", rest("GET", "/_cumulet/health")),
    ("", rest("GET", "/_cumulet/lambda/code/fuzzed/1?a=b")),
]  # fmt: skip

ODD: list[Any] = [
    None, True, 0, -1, 1.5, 2**31, 2**63, 10**400, "", "a", "A" * 3000, "\x00", "é😀", "..", "/", "%", "${", "arn:aws:iam::1:role/x",
    "arn:", "*", "-1", "9" * 5000, "<x>", "&=", "1970-01-01T00:00:00Z", "AAAA", [], {}, [None], [[[]]], {"": None}, {"S": 1}, {"N": "1e200"},
]  # fmt: skip
TEXTS = [one for one in ODD if isinstance(one, str)]
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "BOGUS"]
HEADERS = ["Content-Type", "X-Amz-Target", "X-Amz-Date", "Authorization", "X-Amz-Security-Token", "X-Amz-Content-SHA256", "Range", "Host", "If-Modified-Since", "Content-MD5", "Content-Encoding", "x-amz-copy-source", "x-amz-decoded-content-length", "X-Amzn-Trace-Id", "Date"]  # fmt: skip
HEADER_VALUES = ["", "a", "\xff\xfe", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "application/json", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=/////, SignedHeaders=;, Signature=", "bytes=-", "bytes=9-1", "9" * 5000, "-1", "Mon, 01 Jan 0001 00:00:00 +2300", "%00", "DynamoDB_20120810.", "DynamoDB_20120810.Query", "gzip", "x.execute-api.localhost", "b.s3.localhost", "..", "20261331T000000Z"]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where the parts of a JSON document lie."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in below for place in places(part, (*path, key)))]


def put(value: Any, path: tuple[Any, ...], part: Any) -> Any:
    """Return a JSON document with another part in one place."""
    if not path:
        return part
    copied = value.copy()
    copied[path[0]] = put(value[path[0]], path[1:], part)
    return copied


@st.composite
def bent(draw: st.DrawFn) -> tuple[str, Sent]:
    """Return a valid request with a few things wrong."""
    service, sent = draw(st.sampled_from(VALID))
    for _ in range(draw(st.integers(0, 3))):
        sent = draw(st.sampled_from([bend_body, bend_body, bend_bytes, bend_path, bend_query, bend_method]))(draw, sent)
    return service, sent


def bend_body(draw: st.DrawFn, sent: Sent) -> Sent:
    if sent.headers.get("Content-Type", "").endswith("urlencoded"):
        parts = sent.body.decode("latin-1").split("&")
        name = parts[draw(st.integers(0, len(parts) - 1))].partition("=")[0]
        ending = draw(st.sampled_from(["", ".x", ".member.1", ".member.x", ".", ".member.99999999999"]))
        value = draw(st.sampled_from([*TEXTS, "%FF", "%"]))
        return sent._replace(body=sent.body + f"&{name}{ending}={value}".encode("utf-8", "replace"))
    try:
        document = json.loads(sent.body)
    except (ValueError, RecursionError):
        return bend_bytes(draw, sent)
    place = draw(st.sampled_from(places(document)))
    return sent._replace(body=json.dumps(put(document, place, draw(st.sampled_from(ODD)))).encode())


def bend_bytes(draw: st.DrawFn, sent: Sent) -> Sent:
    at = draw(st.integers(0, len(sent.body)))
    put_in = draw(
        st.sampled_from([b"", b"\xff", b"\x00", b"[" * 2000, b"<", b'"', b"\r\n-5\r\n", b"\\ud800", b"&#x0;"])
    )
    return sent._replace(body=sent.body[:at] + put_in + sent.body[at + draw(st.integers(0, 20)) :])


def bend_path(draw: st.DrawFn, sent: Sent) -> Sent:
    path, mark, rest_of = sent.path.partition("?")
    parts = path.split("/")
    odd = draw(
        st.sampled_from(["", ".", "..", "%00", "%ff", "%2F", "%", "a" * 300, "*", "none", "{x}", "$LATEST", ":"])
    )
    parts[draw(st.integers(min(1, len(parts) - 1), len(parts) - 1))] = odd
    return sent._replace(path=("/".join(parts) or "/") + mark + rest_of)


def bend_query(draw: st.DrawFn, sent: Sent) -> Sent:
    name = draw(st.sampled_from(["acl", "uploads", "uploadId", "partNumber", "max-keys", "continuation-token", "MaxItems", "Marker", "limit", "position", "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Expires", "Action", "Version", "", "%00"]))  # fmt: skip
    value = draw(st.sampled_from(["", "=", "=-1", "=a", "=%ff", "=" + "9" * 5000, "=%2F", "=ListRoles"]))
    return sent._replace(path=f"{sent.path}{'&' if '?' in sent.path else '?'}{name}{value}")


def bend_method(draw: st.DrawFn, sent: Sent) -> Sent:
    return sent._replace(method=draw(st.sampled_from(METHODS)))


def status_of(server: Server, sent: Sent) -> int:
    """Return the status of an answer that comes within seconds."""
    headers = {"Host": "localhost", **sent.headers, "Content-Length": str(len(sent.body)), "Connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", server.port), timeout=8) as connection:
        connection.sendall(f"{sent.method} {sent.path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + sent.body)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return int(answer.split(b" ", 2)[1])


@pytest.fixture(scope="module")
def furnished(server: Server) -> Server:
    """The server, with something for the requests to find."""
    server.client("dynamodb").create_table(
        TableName="fuzzed",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    server.client("logs").create_log_group(logGroupName="fuzzed")
    server.client("logs").create_log_stream(logGroupName="fuzzed", logStreamName="s")
    server.client("s3").create_bucket(Bucket="fuzzed")
    server.client("s3").put_object(Bucket="fuzzed", Key="k", Body=b"hello")
    return server


@given(
    request=bent(),
    header=st.none() | st.tuples(st.sampled_from(HEADERS), st.sampled_from(HEADER_VALUES)),
)
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_request_is_answered_and_none_breaks_the_server(
    furnished: Server, request: tuple[str, Sent], header: tuple[str, str] | None
) -> None:
    service, sent = request
    if service:
        signed = sign(furnished, sent._replace(path="/", body=b""), service)
        sent = sent._replace(headers=signed.headers)
    if header is not None:
        sent = sent._replace(headers={**sent.headers, header[0]: header[1]})
    status = status_of(furnished, sent)
    # AWS, too, says InternalServerError to DynamoDB clients whose Content-Encoding does not hold.
    undecodable = header is not None and header[0] == "Content-Encoding" and service == "dynamodb"
    assert status < 500 or status in (501, 503) or (undecodable and status == 500)
