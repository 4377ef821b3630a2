"""Functions that keep tenants apart, through boto3."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions import Functions

PYTHON = """
import logging, os

seen = []

def handler(event, context):
    seen.append(context.tenant_id)
    logging.getLogger().warning("at work")
    open("/tmp/" + str(len(seen)), "w").close()
    return [context.tenant_id, seen, sorted(os.listdir("/tmp"))]
"""
NODE = """
const seen = [];
exports.handler = async (event, context) => {
  seen.push(context.tenantId);
  console.warn("at work");
  return [context.tenantId, seen, []];
};
"""
APART = {"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}, "LoggingConfig": {"LogFormat": "JSON"}}
NEEDED = (
    "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your request and try again."
)
NOT_NEEDED = (
    "The invoked function is not enabled with tenancy configuration. Remove the tenant ID from your request and try "
    "again."
)


@pytest.fixture(scope="module")
def functions(server: Any) -> Iterator[Functions]:
    with Functions(server, "tenants") as made:
        yield made


@pytest.fixture(scope="module")
def apart(functions: Functions) -> str:
    return functions.make({"app.py": PYTHON}, **APART)


def invoke(functions: Functions, name: str, tenant: str, **more: Any) -> Any:
    answer = functions.client.invoke(FunctionName=name, TenantId=tenant, **more)
    payload = answer["Payload"].read()
    assert "FunctionError" not in answer, payload
    return json.loads(payload)


def refusal(call: Any, **params: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as caught:
        call(**params)
    refused = caught.value.response
    return refused["ResponseMetadata"]["HTTPStatusCode"], refused["Error"]["Code"], refused["Error"]["Message"]


def test_no_environment_is_shared(functions: Functions, apart: str) -> None:
    told = functions.client.get_function_configuration(FunctionName=apart)
    assert told["TenancyConfig"] == {"TenantIsolationMode": "PER_TENANT"}
    assert invoke(functions, apart, "blue") == ["blue", ["blue"], ["1"]]
    assert invoke(functions, apart, "red team: a/b=c@d") == ["red team: a/b=c@d", ["red team: a/b=c@d"], ["1"]]
    assert invoke(functions, apart, "blue") == ["blue", ["blue", "blue"], ["1", "2"]]
    version = functions.client.publish_version(FunctionName=apart)["Version"]
    functions.client.create_alias(FunctionName=apart, Name="live", FunctionVersion=version)
    assert invoke(functions, apart, "blue", Qualifier="live") == ["blue", ["blue"], ["1"]]


def test_a_stream_is_of_a_tenant_too(functions: Functions, apart: str) -> None:
    answer = functions.client.invoke_with_response_stream(FunctionName=apart, TenantId="streams")
    pieces = [event["PayloadChunk"]["Payload"] for event in answer["EventStream"] if "PayloadChunk" in event]
    assert json.loads(b"".join(pieces))[0] == "streams"
    stream = functions.client.invoke_with_response_stream
    assert refusal(stream, FunctionName=apart) == (400, "InvalidParameterValueException", NEEDED)


def test_who_it_is_for_must_be_said(functions: Functions, apart: str) -> None:
    shared = functions.make({"app.py": PYTHON})
    assert functions.invoke(shared)[0] is None
    for kind in ("RequestResponse", "Event", "DryRun"):
        refused = refusal(functions.client.invoke, FunctionName=apart, InvocationType=kind)
        assert refused == (400, "InvalidParameterValueException", NEEDED)
        refused = refusal(functions.client.invoke, FunctionName=shared, InvocationType=kind, TenantId="blue")
        assert refused == (400, "InvalidParameterValueException", NOT_NEEDED)
    status, code, words = refusal(functions.client.invoke, FunctionName=apart, TenantId="no, not so")
    assert (status, code) == (400, "ValidationException")
    assert "at 'tenantId' failed to satisfy constraint: Member must satisfy regular expression pattern" in words


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["python3.12", "nodejs20.x"])
def test_events_and_logs_tell_the_tenant(server: Any, functions: Functions, runtime: str) -> None:
    code = {"app.py": PYTHON} if runtime.startswith("python") else {"app.js": NODE}
    name = functions.make(code, runtime, **APART)
    accepted = functions.client.invoke(FunctionName=name, TenantId="green", InvocationType="Event")
    assert accepted["StatusCode"] == 202
    logs, told = server.client("logs"), {}
    deadline = time.monotonic() + 30
    while "platform.report" not in told and time.monotonic() < deadline:
        try:
            events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
        except logs.exceptions.ResourceNotFoundException:
            events = []
        lines = [json.loads(event["message"]) for event in events]
        told = {line.get("type", "own"): line.get("record", line) for line in lines}
        time.sleep(0.1)
    assert "tenantId" not in told["platform.initStart"]
    assert [told[kind]["tenantId"] for kind in ("platform.start", "own", "platform.report")] == ["green"] * 3
    assert invoke(functions, name, "green")[1] == ["green", "green"]


def test_what_cannot_be_combined(functions: Functions, apart: str) -> None:
    client = functions.client
    code = "InvalidParameterValueException"
    words = "SnapStart is not supported for functions enabled with tenancy configuration"
    snap_start = {"ApplyOn": "PublishedVersions"}
    refused = refusal(client.update_function_configuration, FunctionName=apart, SnapStart=snap_start)
    assert refused == (400, code, words)
    with pytest.raises(ClientError, match=words):
        functions.make({"app.py": PYTHON}, SnapStart=snap_start, **APART)
    assert refusal(client.create_function_url_config, FunctionName=apart, AuthType="NONE") == (
        400,
        code,
        "Function URL is not supported for functions enabled with tenancy configuration",
    )
    version = client.publish_version(FunctionName=apart)["Version"]
    put = client.put_provisioned_concurrency_config
    assert refusal(put, FunctionName=apart, Qualifier=version, ProvisionedConcurrentExecutions=1) == (
        400,
        code,
        "Provisioned concurrency is not supported for functions enabled with tenancy configuration",
    )


def test_a_rest_api_says_whose_request_it_is(server: Any, fetch: Any, functions: Functions) -> None:
    code = "def handler(event, context): return {'statusCode': 200, 'body': context.tenant_id}"
    name = functions.make({"app.py": code}, **APART)
    arn = functions.client.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    named = {"name": "x-tenant-id", "in": "header", "schema": {"type": "string"}}
    integration = {
        "type": "aws_proxy",
        "httpMethod": "POST",
        "uri": f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations",
        "requestParameters": {"integration.request.header.X-Amz-Tenant-Id": "method.request.header.x-tenant-id"},
    }
    method = {"parameters": [named], "responses": {}, "x-amazon-apigateway-integration": integration}
    document = {"openapi": "3.0.1", "info": {"title": "tenants", "version": "1"}, "paths": {"/": {"get": method}}}
    apis = server.client("apigateway")
    api_id = apis.import_rest_api(body=json.dumps(document))["id"]
    apis.create_deployment(restApiId=api_id, stageName="dev")
    functions.client.add_permission(
        FunctionName=name, StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
    )
    url = f"/_aws/execute-api/{api_id}/dev/"
    assert fetch("GET", url, None, {"x-tenant-id": "blue"})[::2] == (200, b"blue")
    status, _, body = fetch("GET", url)
    assert (status, json.loads(body)) == (400, {"message": NEEDED})
    status, _, body = fetch("GET", url, None, {"x-amz-tenant-id": "blue"})
    assert (status, json.loads(body)) == (400, {"message": NEEDED}), "a client cannot say so itself"
    apis.delete_rest_api(restApiId=api_id)
