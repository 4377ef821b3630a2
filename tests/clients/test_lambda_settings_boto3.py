"""Lambda through boto3: what is set beside a function's configuration."""

import contextlib
import io
import json
import time
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
LOGS = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
PUBLISHERS = {"SigningProfileVersionArns": ["arn:aws:signer:us-east-1:000000000000:/signing-profiles/team/abcdefghij"]}


def packed(source: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("app.py", source)
    return archive.getvalue()


def refusal(call: Any, **params: Any) -> tuple[int, str, str]:
    """Return status, code and words of the error that a call gets."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    refused = caught.value.response
    return refused["ResponseMetadata"]["HTTPStatusCode"], refused["Error"]["Code"], refused["Error"]["Message"]


@pytest.fixture(scope="module")
def functions(server: Any) -> Any:
    return server.client("lambda")


@pytest.fixture(scope="module")
def function(server: Any, functions: Any) -> Iterator[str]:
    iam = server.client("iam")
    role = iam.create_role(RoleName="lambda-settings", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.attach_role_policy(RoleName="lambda-settings", PolicyArn=LOGS)
    functions.create_function(
        FunctionName="settings",
        Runtime="python3.12",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": packed("handler = lambda event, context: event")},
    )
    yield "settings"
    functions.delete_function(FunctionName="settings")
    iam.detach_role_policy(RoleName="lambda-settings", PolicyArn=LOGS)
    iam.delete_role(RoleName="lambda-settings")


def test_code_signing(functions: Any, function: str) -> None:
    made = functions.create_code_signing_config(AllowedPublishers=PUBLISHERS, Tags={"team": "notes"})
    arn = made["CodeSigningConfig"]["CodeSigningConfigArn"]
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    functions.put_function_code_signing_config(FunctionName=function, CodeSigningConfigArn=arn)
    assert functions.get_function_code_signing_config(FunctionName=function)["CodeSigningConfigArn"] == arn
    listed = functions.list_functions_by_code_signing_config(CodeSigningConfigArn=arn)
    assert [name.rpartition(":")[2] for name in listed["FunctionArns"]] == [function]
    assert functions.list_tags(Resource=arn)["Tags"] == {"team": "notes"}
    changed = functions.update_code_signing_config(CodeSigningConfigArn=arn, Description="ours")["CodeSigningConfig"]
    assert functions.get_code_signing_config(CodeSigningConfigArn=arn)["CodeSigningConfig"] == changed
    assert changed in functions.list_code_signing_configs()["CodeSigningConfigs"]
    enforce = {"UntrustedArtifactOnDeployment": "Enforce"}
    refused = refusal(functions.update_code_signing_config, CodeSigningConfigArn=arn, CodeSigningPolicies=enforce)
    assert refused[:2] == (501, "NotImplementedException")
    functions.delete_function_code_signing_config(FunctionName=function)
    functions.delete_code_signing_config(CodeSigningConfigArn=arn)
    words = f"The Lambda code signing configuration {arn} can not be found."
    refused = refusal(functions.get_code_signing_config, CodeSigningConfigArn=arn)
    assert refused == (404, "ResourceNotFoundException", words)


def test_recursion_and_runtime_management(functions: Any, function: str) -> None:
    assert functions.get_function_recursion_config(FunctionName=function)["RecursiveLoop"] == "Terminate"
    functions.put_function_recursion_config(FunctionName=function, RecursiveLoop="Allow")
    assert functions.get_function_recursion_config(FunctionName=function)["RecursiveLoop"] == "Allow"
    functions.put_runtime_management_config(FunctionName=function, UpdateRuntimeOn="FunctionUpdate")
    assert functions.get_runtime_management_config(FunctionName=function)["UpdateRuntimeOn"] == "FunctionUpdate"
    assert refusal(functions.get_function_recursion_config, FunctionName="absent") == (
        404,
        "ResourceNotFoundException",
        "Function not found: arn:aws:lambda:us-east-1:000000000000:function:absent",
    )


def find_init_start(server: Any, function: str) -> str:
    """Return the first line of a function's log, which comes to be behind the answer of its first invocation."""
    logs = server.client("logs")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(logs.exceptions.ResourceNotFoundException):
            found = logs.filter_log_events(logGroupName=f"/aws/lambda/{function}", filterPattern="INIT_START")
            if found["events"]:
                message: str = found["events"][0]["message"]
                return message
        time.sleep(0.05)
    raise AssertionError("nothing is in the log")


def test_a_function_that_keeps_the_version_of_its_runtime(server: Any, functions: Any, function: str) -> None:
    functions.invoke(FunctionName=function)
    arn = find_init_start(server, function).rpartition("Runtime Version ARN: ")[2].strip()
    told = functions.get_function(FunctionName=function)["Configuration"]
    assert told["RuntimeVersionConfig"] == {"RuntimeVersionArn": arn}
    assert functions.get_function_configuration(FunctionName=function)["ConfigSha256"] == told["ConfigSha256"]
    put = functions.put_runtime_management_config
    assert put(FunctionName=function, UpdateRuntimeOn="Manual", RuntimeVersionArn=arn)["RuntimeVersionArn"] == arn
    assert functions.get_runtime_management_config(FunctionName=function)["UpdateRuntimeOn"] == "Manual"
    assert json.loads(functions.invoke(FunctionName=function, Payload=b"1")["Payload"].read()) == 1
    other = arn[:-1] + ("0" if arn[-1] != "0" else "1")
    assert refusal(put, FunctionName=function, UpdateRuntimeOn="Manual", RuntimeVersionArn=other) == (
        400,
        "InvalidParameterValueException",
        f"The runtime version {other} is not a version of the runtime python3.12.",
    )
    put(FunctionName=function, UpdateRuntimeOn="Auto")


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_invoke_async(functions: Any, function: str) -> None:
    assert functions.invoke_async(FunctionName=function, InvokeArgs=b"{}")["Status"] == 202
