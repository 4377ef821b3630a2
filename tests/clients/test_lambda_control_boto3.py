"""Lambda's control plane through boto3: versions, aliases and what else surrounds functions."""

import http.client
import io
import json
import time
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
CODE = """
import os

def tell(event, context):
    return {"says": %r, "version": context.function_version, "arn": context.invoked_function_arn}
"""


def packed(files: dict[str, str]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        for name, body in files.items():
            zipped.writestr(zipfile.ZipInfo(name), body)
    return archive.getvalue()


@pytest.fixture(scope="module")
def functions(server: Any) -> Any:
    return server.client("lambda")


@pytest.fixture(scope="module")
def role(server: Any) -> Iterator[str]:
    iam = server.client("iam")
    created = iam.create_role(RoleName="lambda-control-tests", AssumeRolePolicyDocument=json.dumps(TRUST))
    invoke = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="lambda-control-tests", PolicyName="all", PolicyDocument=json.dumps(invoke))
    yield created["Role"]["Arn"]
    iam.delete_role_policy(RoleName="lambda-control-tests", PolicyName="all")
    iam.delete_role(RoleName="lambda-control-tests")


@pytest.fixture
def function(functions: Any, role: str, request: Any) -> Iterator[str]:
    """A function that tells which of it runs, under a name of the test's own."""
    name = request.node.originalname.removeprefix("test_")[:64]
    functions.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=role,
        Handler="app.tell",
        Code={"ZipFile": packed({"app.py": CODE % "one"})},
    )
    yield name
    try:
        functions.delete_function(FunctionName=name)
    except functions.exceptions.ResourceNotFoundException:
        return


def answer(functions: Any, **params: Any) -> Any:
    """Return what an invocation answers."""
    return json.loads(functions.invoke(**params)["Payload"].read())


def refusal(call: Any, **params: Any) -> tuple[int, str, str]:
    """Return status, code and words of the error that a call gets."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    refused = caught.value.response
    return refused["ResponseMetadata"]["HTTPStatusCode"], refused["Error"]["Code"], refused["Error"]["Message"]


def test_lambda_versions(functions: Any, function: str) -> None:
    first = functions.publish_version(FunctionName=function, Description="first")
    assert (first["ResponseMetadata"]["HTTPStatusCode"], first["Version"]) == (201, "1")
    functions.get_waiter("published_version_active").wait(FunctionName=function, Qualifier="1")
    code = packed({"app.py": CODE % "two"})
    functions.update_function_code(FunctionName=function, ZipFile=code)
    arn = first["FunctionArn"].rpartition(":")[0]
    assert answer(functions, FunctionName=function) == {"says": "two", "version": "$LATEST", "arn": arn}
    assert answer(functions, FunctionName=function, Qualifier="1") == {
        "says": "one",
        "version": "1",
        "arn": f"{arn}:1",
    }
    assert functions.invoke(FunctionName=f"{function}:1")["ExecutedVersion"] == "1"
    listed = functions.list_versions_by_function(FunctionName=function)["Versions"]
    assert [version["FunctionArn"] for version in listed] == [f"{arn}:$LATEST", f"{arn}:1"]
    functions.delete_function(FunctionName=function, Qualifier="1")
    missing = (404, "ResourceNotFoundException", f"Function not found: {arn}:1")
    assert refusal(functions.get_function, FunctionName=function, Qualifier="1") == missing


def test_lambda_aliases(functions: Any, function: str) -> None:
    functions.publish_version(FunctionName=function)
    functions.update_function_code(FunctionName=function, ZipFile=packed({"app.py": CODE % "two"}), Publish=True)
    live = {"FunctionName": function, "Name": "live"}
    created = functions.create_alias(**live, FunctionVersion="1", Description="what users see")
    arn = created["AliasArn"]
    assert (created["ResponseMetadata"]["HTTPStatusCode"], created["FunctionVersion"]) == (201, "1")
    assert answer(functions, FunctionName=function, Qualifier="live") == {"says": "one", "version": "1", "arn": arn}
    updated = functions.update_alias(**live, RoutingConfig={"AdditionalVersionWeights": {"2": 1.0}})
    assert updated["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 1.0}}
    assert answer(functions, FunctionName=arn) == {"says": "two", "version": "2", "arn": arn}
    assert functions.get_alias(**live)["RevisionId"] == updated["RevisionId"]
    listed = functions.list_aliases(FunctionName=function, FunctionVersion="2")["Aliases"]
    assert [alias["AliasArn"] for alias in listed] == [arn]
    status = functions.delete_alias(**live)["ResponseMetadata"]["HTTPStatusCode"]
    assert status == 204
    assert refusal(functions.get_alias, **live) == (
        404,
        "ResourceNotFoundException",
        f"Cannot find alias arn: {arn}",
    )


@pytest.mark.parametrize(
    ("params", "words"),
    [
        (
            {"Name": "7"},
            "Value '7' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: "
            "(?!^[0-9]+$)([a-zA-Z0-9-_]+)",
        ),
        (
            {"FunctionVersion": "one"},
            "Value 'one' at 'functionVersion' failed to satisfy constraint: Member must satisfy regular expression "
            "pattern: (\\$LATEST(\\.PUBLISHED)?|[0-9]+)",
        ),
    ],
)
def test_lambda_alias_parameters(functions: Any, function: str, params: dict[str, str], words: str) -> None:
    given = {"FunctionName": function, "Name": "live", "FunctionVersion": "1", **params}
    refused = (400, "ValidationException", f"1 validation error detected: {words}")
    assert refusal(functions.create_alias, **given) == refused


def test_lambda_reserved_concurrency(functions: Any, function: str) -> None:
    assert "ReservedConcurrentExecutions" not in functions.get_function_concurrency(FunctionName=function)
    functions.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    assert functions.get_function_concurrency(FunctionName=function)["ReservedConcurrentExecutions"] == 0
    with pytest.raises(functions.exceptions.TooManyRequestsException) as caught:
        functions.invoke(FunctionName=function)
    throttled = caught.value.response
    assert throttled["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert throttled["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert throttled["Error"]["Message"] == "Rate Exceeded."
    deleted = functions.delete_function_concurrency(FunctionName=function)
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert answer(functions, FunctionName=function)["says"] == "one"
    assert refusal(functions.put_function_concurrency, FunctionName=function, ReservedConcurrentExecutions=901) == (
        400,
        "InvalidParameterValueException",
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below "
        "its minimum value of [100].",
    )


def test_lambda_invocation_rate(server: Any, functions: Any, function: str) -> None:
    functions.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=1)
    impatient = server.client("lambda", config=Config(retries={"max_attempts": 0}))
    began, answered, throttled = time.monotonic(), 0, None
    while throttled is None and time.monotonic() < began + 10:
        try:
            impatient.invoke(FunctionName=function)
            answered += 1
        except functions.exceptions.TooManyRequestsException as refused:
            throttled = refused.response
    assert answered <= 10 * (time.monotonic() - began + 1)
    if throttled is not None:  # a machine that is busy with other things may not come so far
        assert answered >= 10
        assert throttled["ResponseMetadata"]["HTTPStatusCode"] == 429
        assert throttled["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
        assert throttled["Reason"] == "ReservedFunctionInvocationRateLimitExceeded"
        assert throttled["Error"]["Message"] == "Rate Exceeded."
    assert impatient.invoke(FunctionName=function, InvocationType="Event")["StatusCode"] == 202
    functions.delete_function_concurrency(FunctionName=function)
    assert answer(functions, FunctionName=function)["says"] == "one"


def test_lambda_events(server: Any, functions: Any, function: str, role: str) -> None:
    audit = functions.create_function(
        FunctionName="lambda_events_audit",
        Runtime="python3.12",
        Role=role,
        Handler="app.tell",
        Code={
            "ZipFile": packed({"app.py": "def tell(event, context):\n    print('told', event['responsePayload'])\n"})
        },
    )["FunctionArn"]
    configured = functions.put_function_event_invoke_config(
        FunctionName=function,
        MaximumRetryAttempts=1,
        MaximumEventAgeInSeconds=600,
        DestinationConfig={"OnSuccess": {"Destination": audit}},
    )
    assert (configured["MaximumRetryAttempts"], configured["MaximumEventAgeInSeconds"]) == (1, 600)
    accepted = functions.invoke(FunctionName=function, InvocationType="Event", Payload=b"{}")
    assert (accepted["StatusCode"], accepted["Payload"].read()) == (202, b"")
    logs = server.client("logs")
    lines: list[str] = []
    until = time.monotonic() + 20
    while not any(line.startswith("told") and "'says': 'one'" in line for line in lines):
        assert time.monotonic() < until
        try:
            events = logs.filter_log_events(logGroupName="/aws/lambda/lambda_events_audit")["events"]
            lines = [event["message"] for event in events]
        except logs.exceptions.ResourceNotFoundException:
            continue
    functions.delete_function(FunctionName="lambda_events_audit")


def test_lambda_event_configurations(functions: Any, function: str) -> None:
    named = {"FunctionName": function}
    put = functions.put_function_event_invoke_config(**named, MaximumRetryAttempts=0)
    arn = put["FunctionArn"]
    assert put["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {}}
    updated = functions.update_function_event_invoke_config(**named, MaximumEventAgeInSeconds=60)
    assert (updated["MaximumRetryAttempts"], updated["MaximumEventAgeInSeconds"]) == (0, 60)
    assert functions.get_function_event_invoke_config(**named)["LastModified"] == updated["LastModified"]
    listed = functions.list_function_event_invoke_configs(**named)["FunctionEventInvokeConfigs"]
    assert [config["FunctionArn"] for config in listed] == [arn]
    assert functions.delete_function_event_invoke_config(**named)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(functions.get_function_event_invoke_config, **named) == (
        404,
        "ResourceNotFoundException",
        f"The function {arn} doesn't have an EventInvokeConfig",
    )
    assert refusal(functions.put_function_event_invoke_config, **named, MaximumRetryAttempts=3) == (
        400,
        "ValidationException",
        "1 validation error detected: Value '3' at 'maximumRetryAttempts' failed to satisfy constraint: Member must "
        "have value less than or equal to 2",
    )


URL_CODE = """
def tell(event, context):
    if event["rawPath"] == "/fail":
        raise ValueError("no")
    http = event["requestContext"]["http"]
    return {
        "statusCode": 201,
        "headers": {"x-method": http["method"]},
        "cookies": ["seen=yes"],
        "body": event["rawPath"] + "?" + event["rawQueryString"] + " " + event.get("body", ""),
    }
"""
FORBIDDEN = (
    b'{"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: '
    b'https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}'
)


def ask(server: Any, url: str, method: str = "GET", body: bytes = b"", **headers: str) -> tuple[int, Any, bytes]:
    """Return status, headers and body of a request to a function URL, whose host no name server has to know."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        fields = {"Host": parts.netloc, **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, body or None, fields)
        answered = connection.getresponse()
        return answered.status, answered.headers, answered.read()
    finally:
        connection.close()


def open_to_all(functions: Any, function: str) -> None:
    for action, more in (
        ("lambda:InvokeFunctionUrl", {"FunctionUrlAuthType": "NONE"}),
        ("lambda:InvokeFunction", {"InvokedViaFunctionUrl": True}),
    ):
        functions.add_permission(FunctionName=function, StatementId=action[7:], Action=action, Principal="*", **more)


def test_lambda_urls(server: Any, functions: Any, function: str) -> None:
    functions.update_function_code(FunctionName=function, ZipFile=packed({"app.py": URL_CODE}))
    cors = {"AllowOrigins": ["https://a.example"], "AllowMethods": ["GET"]}
    created = functions.create_function_url_config(FunctionName=function, AuthType="NONE", Cors=cors)
    assert (created["ResponseMetadata"]["HTTPStatusCode"], created["Cors"]) == (201, cors)
    url = created["FunctionUrl"]
    assert ask(server, url)[::2] == (403, FORBIDDEN)
    open_to_all(functions, function)
    status, headers, body = ask(server, f"{url}a/b?x=1", "POST", b"hi", Content_Type="text/plain")
    assert (status, headers["x-method"], headers["set-cookie"], body) == (201, "POST", "seen=yes", b"/a/b?x=1 hi")
    by_path = f"http://localhost:{server.port}/_aws/lambda-url/{url[7:39]}/a/b?x=1"
    assert ask(server, by_path)[::2] == (201, b"/a/b?x=1 ")
    asked = {"Origin": "https://a.example", "Access_Control_Request_Method": "GET"}
    status, headers, body = ask(server, url, "OPTIONS", **asked)
    assert (status, headers["access-control-allow-methods"], body) == (200, "GET", b"")
    assert ask(server, url, Origin="https://a.example")[1]["access-control-allow-origin"] == "https://a.example"
    assert ask(server, f"{url}fail")[::2] == (502, b"Internal Server Error")
    functions.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    status, _, body = ask(server, url)
    assert (status, json.loads(body)["Reason"]) == (429, "ReservedFunctionConcurrentInvocationLimitExceeded")
    functions.delete_function_url_config(FunctionName=function)
    assert ask(server, url)[0] == 403
    assert refusal(functions.get_function_url_config, FunctionName=function) == (
        404,
        "ResourceNotFoundException",
        "The resource you requested does not exist.",
    )


def test_lambda_urls_for_those_who_sign(server: Any, functions: Any, function: str) -> None:
    url = functions.create_function_url_config(FunctionName=function, AuthType="AWS_IAM")["FunctionUrl"]
    assert ask(server, url)[::2] == (403, FORBIDDEN)
    iam = server.client("iam")
    iam.create_user(UserName="url-caller")
    made = iam.create_access_key(UserName="url-caller")["AccessKey"]
    credentials = Credentials(made["AccessKeyId"], made["SecretAccessKey"])

    def signed(path: str = "") -> tuple[int, Any, bytes]:
        request = AWSRequest("GET", f"{url}{path}")
        SigV4Auth(credentials, "lambda", "us-east-1").add_auth(request)
        return ask(server, f"{url}{path}", **dict(request.headers.items()))

    assert signed()[0] == 403
    actions = ["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
    iam.put_user_policy(UserName="url-caller", PolicyName="call", PolicyDocument=json.dumps(policy))
    status, _, body = signed("a%20b")
    assert (status, json.loads(body)["says"]) == (200, "one")
    credentials.secret_key = "another"
    assert signed()[0] == 403
    iam.delete_user_policy(UserName="url-caller", PolicyName="call")
    iam.delete_access_key(UserName="url-caller", AccessKeyId=made["AccessKeyId"])
    iam.delete_user(UserName="url-caller")


def test_lambda_layers(functions: Any) -> None:
    archive = packed({"python/shared.py": "X = 1"})
    published = functions.publish_layer_version(LayerName="shared-by-all", Content={"ZipFile": archive})
    arn = published["LayerVersionArn"]
    assert (published["ResponseMetadata"]["HTTPStatusCode"], published["Content"]["CodeSize"]) == (201, len(archive))
    named = {"LayerName": "shared-by-all", "VersionNumber": published["Version"]}
    assert functions.get_layer_version(**named)["LayerVersionArn"] == arn
    location = functions.get_layer_version_by_arn(Arn=arn)["Content"]["Location"]
    with urllib.request.urlopen(location, timeout=20) as served:
        assert served.read() == archive
    assert "shared-by-all" in [layer["LayerName"] for layer in functions.list_layers()["Layers"]]
    versions = functions.list_layer_versions(LayerName="shared-by-all")["LayerVersions"]
    assert [version["LayerVersionArn"] for version in versions] == [arn]
    granted = functions.add_layer_version_permission(
        **named, StatementId="all", Action="lambda:GetLayerVersion", Principal="*"
    )
    assert functions.get_layer_version_policy(**named)["RevisionId"] == granted["RevisionId"]
    functions.remove_layer_version_permission(**named, StatementId="all")
    assert functions.delete_layer_version(**named)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(functions.get_layer_version, **named) == (
        404,
        "ResourceNotFoundException",
        "The resource you requested does not exist.",
    )
    assert refusal(functions.get_layer_version_policy, **named) == (
        404,
        "ResourceNotFoundException",
        f"Layer version {arn} does not exist.",
    )


def test_lambda_functions_with_layers(functions: Any, function: str) -> None:
    arns = [
        functions.publish_layer_version(LayerName=f"layer-{name}", Content={"ZipFile": packed(files)})[
            "LayerVersionArn"
        ]
        for name, files in (
            ("low", {"python/shared.py": "X = 'low'", "python/only.py": "Y = 'low'"}),
            ("high", {"python/shared.py": "X = 'high'"}),
        )
    ]
    tell = "def tell(event, context):\n    return [shared.X, only.Y, os.access('/opt', os.W_OK)]\n"
    code = f"import only, os, shared\n\n{tell}"
    functions.update_function_code(FunctionName=function, ZipFile=packed({"app.py": code}))
    functions.update_function_configuration(FunctionName=function, Layers=arns)
    assert answer(functions, FunctionName=function) == ["high", "low", False]
    functions.update_function_configuration(FunctionName=function, Layers=arns[::-1])
    assert answer(functions, FunctionName=function) == ["low", "low", False]
    assert refusal(functions.update_function_configuration, FunctionName=function, Layers=[f"{arns[0]}9"]) == (
        400,
        "InvalidParameterValueException",
        f"Layer version {arns[0]}9 does not exist.",
    )


def test_lambda_refuses_what_is_elsewhere_or_nowhere(functions: Any, function: str) -> None:
    invalid = "InvalidParameterValueException"
    elsewhere = "arn:aws:lambda:eu-west-1:000000000000:layer:shared:1"
    assert refusal(functions.update_function_configuration, FunctionName=function, Layers=[elsewhere]) == (
        400,
        invalid,
        "Layers are not in the same region as the function. Layers are expected to be in region us-east-1.",
    )
    grant = {"FunctionName": function, "StatementId": "one", "Action": "lambda:InvokeFunction"}
    for name in ("role/nobody", "role/*", "user/"):
        assert refusal(functions.add_permission, **grant, Principal=f"arn:aws:iam::000000000000:{name}") == (
            400,
            invalid,
            "The provided principal was invalid. Please check the principal and try again.",
        )
    nowhere = f"arn:aws:lambda:us-east-1:000000000000:function:{function}-audit"
    told = {"OnFailure": {"Destination": nowhere}}
    assert refusal(functions.put_function_event_invoke_config, FunctionName=function, DestinationConfig=told) == (
        400,
        invalid,
        f"The destination ARN {nowhere} is invalid.",
    )
    status, code, words = refusal(functions.list_layers, CompatibleRuntime="perl5")
    assert (status, code) == (400, "ValidationException")
    start = (
        "1 validation error detected: Value 'perl5' at 'compatibleRuntime' failed to satisfy constraint: Member must"
    )
    assert words.startswith(f"{start} satisfy enum value set: [dotnet6, ")
