"""Lambda through boto3 against the running server: the control plane, Invoke, and the words of its errors."""

import base64
import io
import json
import urllib.request
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
HANDLERS = b"""
import json
import os


def echo(event, context):
    print("heard", json.dumps(event))
    return {"event": event, "name": context.function_name, "table": os.environ.get("TABLE")}


def fails(event, context):
    raise ValueError("no such note")
"""


def packed(files: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        for name, body in files.items():
            zipped.writestr(zipfile.ZipInfo(name), body)
    return archive.getvalue()


CODE = packed({"app.py": HANDLERS})


@pytest.fixture(scope="module")
def functions(server: Any) -> Any:
    return server.client("lambda")


@pytest.fixture(scope="module")
def role(server: Any) -> Iterator[str]:
    iam = server.client("iam")
    created = iam.create_role(RoleName="lambda-client-tests", AssumeRolePolicyDocument=json.dumps(TRUST))
    basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    iam.attach_role_policy(RoleName="lambda-client-tests", PolicyArn=basic)
    yield created["Role"]["Arn"]
    iam.detach_role_policy(RoleName="lambda-client-tests", PolicyArn=basic)
    iam.delete_role(RoleName="lambda-client-tests")


@pytest.fixture
def function(functions: Any, role: str, request: Any) -> Iterator[str]:
    """A function that echoes, under a name of the test's own."""
    name = request.node.originalname.removeprefix("test_")[:64].replace("[", "-").replace("]", "")
    functions.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=role,
        Handler="app.echo",
        Code={"ZipFile": CODE},
        Environment={"Variables": {"TABLE": "notes"}},
        Tags={"team": "notes"},
    )
    yield name
    try:
        functions.delete_function(FunctionName=name)
    except functions.exceptions.ResourceNotFoundException:
        return


def refusal(call: Any, **params: Any) -> tuple[int, str, str]:
    """Return status, code and words of the error that a call gets."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def test_lambda_waiters_end(functions: Any, function: str, role: str) -> None:
    functions.get_waiter("function_active_v2").wait(FunctionName=function)
    functions.update_function_configuration(FunctionName=function, Timeout=10, MemorySize=256)
    functions.get_waiter("function_updated_v2").wait(FunctionName=function)
    functions.get_waiter("function_exists").wait(FunctionName=function)
    configuration = functions.get_function_configuration(FunctionName=function)
    assert (configuration["Timeout"], configuration["MemorySize"], configuration["Role"]) == (10, 256, role)


def test_lambda_function_is_described(functions: Any, function: str) -> None:
    found = functions.get_function(FunctionName=function)
    assert found["Tags"] == {"team": "notes"}
    assert found["Configuration"]["Environment"] == {"Variables": {"TABLE": "notes"}}
    assert found["Configuration"]["CodeSize"] == len(CODE)
    assert function in [listed["FunctionName"] for listed in functions.list_functions()["Functions"]]
    versions = functions.list_versions_by_function(FunctionName=function)["Versions"]
    assert [version["Version"] for version in versions] == ["$LATEST"]


def test_lambda_code_can_be_fetched(functions: Any, function: str) -> None:
    location = functions.get_function(FunctionName=function)["Code"]["Location"]
    with urllib.request.urlopen(location, timeout=30) as answer:
        assert answer.read() == CODE


def test_lambda_invoke_answers(functions: Any, function: str) -> None:
    answer = functions.invoke(FunctionName=function, Payload=b'{"id": "n1"}', LogType="Tail")
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in answer
    assert json.loads(answer["Payload"].read()) == {"event": {"id": "n1"}, "name": function, "table": "notes"}
    log = base64.b64decode(answer["LogResult"]).decode()
    assert 'heard {"id": "n1"}' in log
    assert "START RequestId: " in log
    assert "REPORT RequestId: " in log


def test_lambda_invoke_tells_the_handlers_error(functions: Any, function: str) -> None:
    functions.update_function_configuration(FunctionName=function, Handler="app.fails")
    answer = functions.invoke(FunctionName=function)
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    error = json.loads(answer["Payload"].read())
    assert (error["errorType"], error["errorMessage"]) == ("ValueError", "no such note")
    assert error["stackTrace"]


def test_lambda_new_code_is_what_runs(functions: Any, function: str) -> None:
    functions.invoke(FunctionName=function)
    code = packed({"app.py": b"def echo(event, context):\n    return 'new'\n"})
    functions.update_function_code(FunctionName=function, ZipFile=code)
    assert json.loads(functions.invoke(FunctionName=function)["Payload"].read()) == "new"


def test_lambda_dry_run(functions: Any, function: str) -> None:
    assert functions.invoke(FunctionName=function, InvocationType="DryRun")["StatusCode"] == 204


def test_lambda_permissions(functions: Any, function: str) -> None:
    arn = functions.get_function_configuration(FunctionName=function)["FunctionArn"]
    added = functions.add_permission(
        FunctionName=function,
        StatementId="api",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn="arn:aws:execute-api:us-east-1:000000000000:abc/*",
    )
    statement = json.loads(added["Statement"])
    assert statement == {
        "Sid": "api",
        "Effect": "Allow",
        "Principal": {"Service": "apigateway.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": arn,
        "Condition": {"ArnLike": {"AWS:SourceArn": "arn:aws:execute-api:us-east-1:000000000000:abc/*"}},
    }
    assert json.loads(functions.get_policy(FunctionName=function)["Policy"])["Statement"] == [statement]
    functions.remove_permission(FunctionName=function, StatementId="api")
    assert refusal(functions.get_policy, FunctionName=function) == (
        404,
        "ResourceNotFoundException",
        "The resource you requested does not exist.",
    )


def test_lambda_tags(functions: Any, function: str) -> None:
    arn = functions.get_function_configuration(FunctionName=function)["FunctionArn"]
    functions.tag_resource(Resource=arn, Tags={"stage": "test"})
    functions.untag_resource(Resource=arn, TagKeys=["team"])
    assert functions.list_tags(Resource=arn)["Tags"] == {"stage": "test"}


def test_lambda_account_settings(functions: Any, function: str) -> None:
    settings = functions.get_account_settings()
    assert settings["AccountLimit"]["CodeSizeUnzipped"] == 262144000
    assert settings["AccountUsage"]["FunctionCount"] >= 1


def test_lambda_code_from_a_bucket(server: Any, functions: Any, role: str) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket="lambda-client-artifacts")
    s3.put_object(Bucket="lambda-client-artifacts", Key="code.zip", Body=CODE)
    params = {"FunctionName": "from-bucket", "Runtime": "python3.12", "Role": role, "Handler": "app.echo"}
    created = functions.create_function(**params, Code={"S3Bucket": "lambda-client-artifacts", "S3Key": "code.zip"})
    assert created["CodeSize"] == len(CODE)
    functions.delete_function(FunctionName="from-bucket")
    absent = {"S3Bucket": "lambda-client-artifacts", "S3Key": "absent.zip"}
    assert refusal(functions.create_function, **params, Code=absent) == (
        400,
        "InvalidParameterValueException",
        "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.",
    )


NAME = "refused"
ARN = f"arn:aws:lambda:us-east-1:000000000000:function:{NAME}"
TOO_LARGE = "Request must be smaller than 6291456 bytes for the InvokeFunction operation"


@pytest.mark.parametrize(
    ("operation", "params", "answer"),
    [
        ("get_function", {}, (404, "ResourceNotFoundException", f"Function not found: {ARN}")),
        ("delete_function", {}, (404, "ResourceNotFoundException", f"Function not found: {ARN}")),
        ("invoke", {"Qualifier": "7"}, (404, "ResourceNotFoundException", f"Function not found: {ARN}:7")),
        ("invoke", {"Payload": b'"' + b"x" * 6291456 + b'"'}, (413, "RequestEntityTooLargeException", TOO_LARGE)),
        (
            "invoke",
            {"Payload": b"{"},
            (
                400,
                "InvalidRequestContentException",
                "Could not parse request body into json: Could not parse payload into json: Unexpected end-of-input",
            ),
        ),
        (
            "create_function",
            {"Code": {"ZipFile": b"no zip"}},
            (
                400,
                "InvalidParameterValueException",
                "Could not unzip uploaded file. Please check your file, then try to upload again.",
            ),
        ),
        (
            "create_function",
            {"Runtime": "python3"},
            (
                400,
                "InvalidParameterValueException",
                "Value python3 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [",
            ),
        ),
        (
            "create_function",
            {"Timeout": 901},
            (
                400,
                "ValidationException",
                "1 validation error detected: Value '901' at 'timeout' failed to satisfy constraint: "
                "Member must have value less than or equal to 900",
            ),
        ),
        (
            "create_function",
            {"Role": "nobody"},
            (
                400,
                "ValidationException",
                "1 validation error detected: Value 'nobody' at 'role' failed to satisfy constraint: "
                "Member must satisfy regular expression pattern: "
                "arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+",
            ),
        ),
        (
            "create_function",
            {"Role": "arn:aws:iam::000000000000:role/absent"},
            (
                400,
                "InvalidParameterValueException",
                "The role defined for the function cannot be assumed by Lambda.",
            ),
        ),
        ("create_function", {"Runtime": "ruby3.4"}, (501, "NotImplementedException", "Runtime ruby3.4")),
    ],
)
def test_lambda_refuses(functions: Any, role: str, operation: str, params: dict[str, Any], answer: Any) -> None:
    if operation == "create_function":
        params = {
            "Runtime": "python3.12",
            "Role": role,
            "Handler": "app.echo",
            "Code": {"ZipFile": CODE},
            **params,
        }
    status, code, words = refusal(getattr(functions, operation), FunctionName=NAME, **params)
    assert (status, code) == answer[:2]
    assert words.startswith(answer[2])


def test_lambda_code_urls_cannot_be_made_up(fetch: Any, functions: Any, function: str) -> None:
    location = functions.get_function(FunctionName=function)["Code"]["Location"]
    path = "/" + location.split("/", 3)[3]
    assert fetch("GET", path)[0] == 200
    assert fetch("GET", path[:-4] + "AAAA")[0] == 403
    assert fetch("GET", "/_cumulet/lambda/code/")[0] == 403
