"""SnapStart through boto3: a published version is initialised before it can be invoked, and restored with its hooks."""

import io
import json
import re
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.slow

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
CODE = """
import os
from snapshot_restore_py import register_after_restore, register_before_snapshot

seen = []
register_before_snapshot(seen.append, "before, registered first")

@register_before_snapshot
def before():
    seen.append("before, registered last")

register_after_restore(seen.append, "after")
register_after_restore(lambda *, word: seen.append(word), word="after that")

def handler(event, context):
    return [os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], *seen]
"""


def packed(source: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("app.py", source)
    return archive.getvalue()


@pytest.fixture(scope="module")
def role(server: Any) -> Iterator[str]:
    iam = server.client("iam")
    created = iam.create_role(RoleName="snapstart", AssumeRolePolicyDocument=json.dumps(TRUST))
    all_logs = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="snapstart", PolicyName="logs", PolicyDocument=json.dumps(all_logs))
    yield created["Role"]["Arn"]
    iam.delete_role_policy(RoleName="snapstart", PolicyName="logs")
    iam.delete_role(RoleName="snapstart")


@pytest.fixture
def make(server: Any, role: str, request: Any) -> Iterator[Any]:
    """Return a function that creates a function with SnapStart, and publishes it; and its client."""
    functions, name = server.client("lambda"), request.node.originalname[5:64]

    def create(source: str, **more: Any) -> tuple[Any, Any]:
        params = {"Runtime": "python3.12", "Role": role, "Handler": "app.handler", "Code": {"ZipFile": packed(source)}}
        on = {"SnapStart": {"ApplyOn": "PublishedVersions"}}
        functions.create_function(FunctionName=name, **{**params, **on, **more})
        return functions, functions.publish_version(FunctionName=name)

    yield create
    try:
        functions.delete_function(FunctionName=name)
    except functions.exceptions.ResourceNotFoundException:
        return


def refusal(call: Any, **params: Any) -> tuple[int, str, str]:
    """Return status, code and words of the error that a call gets."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    refused = caught.value.response
    return refused["ResponseMetadata"]["HTTPStatusCode"], refused["Error"]["Code"], refused["Error"]["Message"]


def test_a_version_is_restored_with_its_hooks(make: Any) -> None:
    functions, published = make(CODE)
    named = {"FunctionName": published["FunctionName"], "Qualifier": "1"}
    assert (published["State"], published["StateReasonCode"]) == ("Pending", "Creating")
    assert published["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}
    functions.get_waiter("published_version_active").wait(**named, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
    version = functions.get_function_configuration(**named)
    assert (version["State"], version["SnapStart"]["OptimizationStatus"]) == ("Active", "On")
    answer = functions.invoke(**named, LogType="Tail")
    assert json.loads(answer["Payload"].read()) == [
        "snap-start",
        "before, registered last",
        "before, registered first",
        "after",
        "after that",
    ]
    latest = functions.get_function_configuration(FunctionName=named["FunctionName"])
    assert latest["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}
    answer = functions.invoke(FunctionName=named["FunctionName"])
    assert json.loads(answer["Payload"].read()) == ["on-demand"]
    words = "Provisioned concurrency is not supported for SnapStart enabled functions."
    put = functions.put_provisioned_concurrency_config
    assert refusal(put, **named, ProvisionedConcurrentExecutions=1) == (400, "InvalidParameterValueException", words)


def test_what_is_told_about_a_restore(make: Any, server: Any) -> None:
    functions, published = make(CODE)
    named = {"FunctionName": published["FunctionName"], "Qualifier": "1"}
    functions.get_waiter("published_version_active").wait(**named, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
    assert functions.invoke(**named)["StatusCode"] == 200
    logs = server.client("logs")
    group = f"/aws/lambda/{named['FunctionName']}"
    streams: dict[str, list[str]] = {}
    deadline = time.monotonic() + 20
    while not any(line.startswith("REPORT") for told in streams.values() for line in told):
        assert time.monotonic() < deadline
        time.sleep(0.05)
        streams = {}
        if logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            for event in logs.filter_log_events(logGroupName=group)["events"]:
                if not event["message"].startswith("cumulet: "):  # another interpreter than python3.12's
                    streams.setdefault(event["logStreamName"], []).append(event["message"])
    told = [line for told in streams.values() for line in told]
    kinds = [line.split()[0] for line in told]
    assert sorted(kinds) == sorted(["INIT_START", "RESTORE_START", "RESTORE_REPORT", "START", "END", "REPORT"])
    assert kinds[-5:] == ["RESTORE_START", "RESTORE_REPORT", "START", "END", "REPORT"]
    assert re.fullmatch(r"RESTORE_REPORT Restore Duration: ([0-9.]+) ms\n", told[-4])
    assert "\tBilled Restore Duration: " in told[-1]
    assert "Init Duration" not in told[-1]


def test_a_version_that_cannot_be_initialised_has_failed(make: Any) -> None:
    functions, published = make("raise RuntimeError('no')")
    named = {"FunctionName": published["FunctionName"], "Qualifier": "1"}
    for _ in range(1000):
        version = functions.get_function_configuration(**named)
        if version["State"] != "Pending":
            break
    assert (version["State"], version["StateReasonCode"]) == ("Failed", "FunctionError.RuntimeInitError")
    status, code, words = refusal(functions.invoke, **named)
    assert (status, code) == (409, "ResourceConflictException")
    assert words.endswith("The function is currently in the following state: Failed")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"Runtime": "python3.11"}, "python3.11 is not supported for SnapStart enabled functions."),
        ({"Runtime": "nodejs20.x"}, "nodejs20.x is not supported for SnapStart enabled functions."),
        (
            {"EphemeralStorage": {"Size": 513}},
            "Ephemeral storage greater than 512 MB is not supported for SnapStart enabled functions.",
        ),
    ],
)
def test_what_snapstart_is_not_for(make: Any, more: Any, words: str) -> None:
    with pytest.raises(ClientError) as caught:
        make(CODE, **more)
    error = caught.value.response["Error"]
    assert (error["Code"], error["Message"]) == ("InvalidParameterValueException", words)
