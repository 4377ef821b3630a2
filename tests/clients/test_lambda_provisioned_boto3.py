"""Provisioned concurrency through boto3: environments are there before they are needed, and stay."""

import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from running import start_server

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
CODE = """
import os, time
began = time.time()

def handler(event, context):
    time.sleep(event.get("sleep", 0))
    return {"type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], "version": context.function_version, "began": began}
"""


def packed(source: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("app.py", source)
    return archive.getvalue()


def make(server: Any, name: str, source: str = CODE) -> Any:
    """Create a function with one version, and return a client."""
    iam, functions = server.client("iam"), server.client("lambda")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    functions.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": packed(source)},
        Publish=True,
    )
    return functions


def settled(functions: Any, name: str, qualifier: str) -> Any:
    """Return a configuration once it is no longer in progress."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        config = functions.get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)
        if config["Status"] != "IN_PROGRESS":
            return config
        time.sleep(0.05)
    raise AssertionError(f"still in progress: {config}")


def answer(functions: Any, name: str, qualifier: str = "1") -> Any:
    return json.loads(functions.invoke(FunctionName=name, Qualifier=qualifier, Payload=b"{}")["Payload"].read())


@pytest.fixture(scope="module")
def functions(server: Any) -> Iterator[Any]:
    functions = make(server, "provisioned")
    functions.create_alias(FunctionName="provisioned", Name="live", FunctionVersion="1")
    yield functions
    functions.delete_function(FunctionName="provisioned")
    server.client("iam").delete_role(RoleName="provisioned")


@pytest.mark.slow
def test_an_alias_has_environments_before_it_is_invoked(functions: Any) -> None:
    asked = functions.put_provisioned_concurrency_config(
        FunctionName="provisioned", Qualifier="live", ProvisionedConcurrentExecutions=2
    )
    assert (asked["ResponseMetadata"]["HTTPStatusCode"], asked["Status"]) == (202, "IN_PROGRESS")
    config = settled(functions, "provisioned", "live")
    assert (config["Status"], config["AvailableProvisionedConcurrentExecutions"]) == ("READY", 2)
    before = time.time()
    first = answer(functions, "provisioned", "live")
    assert first["type"] == "provisioned-concurrency"
    assert first["began"] < before
    listed = functions.list_provisioned_concurrency_configs(FunctionName="provisioned")
    arns = [config["FunctionArn"].rpartition(":")[2] for config in listed["ProvisionedConcurrencyConfigs"]]
    assert arns == ["live"]
    assert answer(functions, "provisioned", "$LATEST")["type"] == "on-demand"
    functions.delete_provisioned_concurrency_config(FunctionName="provisioned", Qualifier="live")
    with pytest.raises(ClientError) as caught:
        functions.get_provisioned_concurrency_config(FunctionName="provisioned", Qualifier="live")
    error = caught.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert error["Error"]["Code"] == "ProvisionedConcurrencyConfigNotFoundException"
    assert error["Error"]["Message"] == "No Provisioned Concurrency Config found for this function"


@pytest.mark.slow
def test_what_cannot_be_initialised_has_failed(server: Any) -> None:
    functions = make(server, "provisioned-broken", "raise RuntimeError('no')")
    named = {"FunctionName": "provisioned-broken", "Qualifier": "1"}
    functions.put_provisioned_concurrency_config(**named, ProvisionedConcurrentExecutions=1)
    config = settled(functions, "provisioned-broken", "1")
    assert (config["Status"], config["StatusReason"]) == ("FAILED", "FUNCTION_ERROR_INIT_FAILURE")
    with pytest.raises(ClientError, match="cannot be applied to unpublished function versions") as caught:
        functions.put_provisioned_concurrency_config(
            FunctionName="provisioned-broken", Qualifier="$LATEST", ProvisionedConcurrentExecutions=1
        )
    assert caught.value.response["Error"]["Code"] == "InvalidParameterValueException"
    functions.delete_function(FunctionName="provisioned-broken")


@pytest.mark.slow
def test_they_are_there_again_after_a_crash_and_with_several_processes(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data", "--workers", "2")
    functions = make(server, "kept")
    kept = {"FunctionName": "kept", "Qualifier": "1"}
    functions.put_provisioned_concurrency_config(**kept, ProvisionedConcurrentExecutions=3)
    assert settled(functions, "kept", "1")["AvailableProvisionedConcurrentExecutions"] == 3
    assert answer(functions, "kept")["type"] == "provisioned-concurrency"
    functions.create_function(
        FunctionName="slow",
        Runtime="python3.12",
        Role=functions.get_function_configuration(**kept)["Role"],
        Handler="app.handler",
        Code={"ZipFile": packed(f"import time\ntime.sleep(0.5)\n{CODE}")},
        SnapStart={"ApplyOn": "PublishedVersions"},
        Publish=True,
    )
    server.kill()  # while the snapshot is being made
    again = start_server(tmp_path / "data")
    try:
        functions = again.client("lambda")
        assert settled(functions, "kept", "1")["Status"] == "READY"
        assert answer(functions, "kept")["type"] == "provisioned-concurrency"
        active = functions.get_waiter("published_version_active")
        active.wait(FunctionName="slow", Qualifier="1", WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
        assert answer(functions, "slow")["type"] == "snap-start"
    finally:
        assert again.stop() == 0
