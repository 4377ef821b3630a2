"""What the stages of REST APIs do, through boto3 and HTTP: logs, canaries, caches, and methods that are tried."""

import json
import ssl
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from running import Server, start_server

Fetch = Callable[..., tuple[int, dict[str, str], bytes]]

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "apigateway.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
MAY_LOG = "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"


def refusal(call: Callable[..., Any], **params: Any) -> tuple[int, str, str]:
    """Return status, code and message with which a request is refused."""
    with pytest.raises(ClientError) as raised:
        call(**params)
    answer = raised.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def make_api(gateway: Any, template: str = '{"id": "$context.requestId"}') -> tuple[str, dict[str, Any]]:
    """Return the id of an API that answers GET / by itself on the stage `dev`, and what names its method."""
    api = gateway.create_rest_api(name="stages")
    at = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "GET"}
    gateway.put_method(**at, authorizationType="NONE")
    gateway.put_integration(**at, type="MOCK", requestTemplates={"application/json": '{"statusCode": 200}'})
    gateway.put_method_response(**at, statusCode="200")
    gateway.put_integration_response(**at, statusCode="200", responseTemplates={"application/json": template})
    gateway.create_deployment(restApiId=api["id"], stageName="dev")
    return api["id"], at


def patch_stage(gateway: Any, api_id: str, *patches: tuple[str, str]) -> Any:
    """Return the stage after its settings are replaced."""
    operations = [{"op": "replace", "path": path, "value": value} for path, value in patches]
    return gateway.update_stage(restApiId=api_id, stageName="dev", patchOperations=operations)


@pytest.fixture
def gateway(client: Callable[..., Any]) -> Any:
    return client("apigateway")


@pytest.fixture
def api(gateway: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    made = make_api(gateway)
    yield made
    gateway.delete_rest_api(restApiId=made[0])


def set_log_role(server: Server, name: str) -> str:
    """Give the account a role that may write logs, and return its ARN."""
    iam = server.client("iam")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn=MAY_LOG)
    patches = [{"op": "replace", "path": "/cloudwatchRoleArn", "value": role}]
    assert server.client("apigateway").update_account(patchOperations=patches)["cloudwatchRoleArn"] == role
    return str(role)


def lines_of(logs: Any, group: str) -> list[str]:
    """Return the lines of a log group."""
    return [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]


def test_requests_are_logged_as_the_account_s_role(server: Server, gateway: Any, api: Any, fetch: Fetch) -> None:
    api_id, _ = api
    logs = server.client("logs")
    with pytest.raises(ClientError, match="CloudWatch Logs role ARN must be set in account settings to enable logging"):
        patch_stage(gateway, api_id, ("/*/*/logging/loglevel", "INFO"))
    set_log_role(server, "apigateway-logs")
    logs.create_log_group(logGroupName="stage-access")
    arn = "arn:aws:logs:us-east-1:000000000000:log-group:stage-access"
    patch_stage(
        gateway,
        api_id,
        ("/*/*/logging/loglevel", "INFO"),
        ("/accessLogSettings/destinationArn", arn),
        ("/accessLogSettings/format", "$context.requestId $context.status"),
    )
    request_id = json.loads(fetch("GET", f"/_aws/execute-api/{api_id}/dev/")[2])["id"]
    group = f"API-Gateway-Execution-Logs_{api_id}/dev"
    access, told = list[str](), list[str]()
    for _ in range(1000):
        access = lines_of(logs, "stage-access")
        if logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            told = lines_of(logs, group)
        if access and told:
            break
    assert access == [f"{request_id} 200"]
    assert told[-1] == f"({request_id}) Method completed with status: 200"
    assert f"({request_id}) Starting execution for request: {request_id}" in told


@pytest.mark.slow
def test_a_server_that_stops_writes_its_logs_first(tmp_path: Path) -> None:
    first = start_server(tmp_path / "data")
    try:
        gateway, logs = first.client("apigateway"), first.client("logs")
        api_id, _ = make_api(gateway)
        set_log_role(first, "apigateway-logs")
        logs.create_log_group(logGroupName="access")
        arn = "arn:aws:logs:us-east-1:000000000000:log-group:access"
        patch_stage(
            gateway,
            api_id,
            ("/accessLogSettings/destinationArn", arn),
            ("/accessLogSettings/format", "$context.requestId"),
        )
        told = []
        for _ in range(20):
            with urllib.request.urlopen(f"{first.endpoint}/_aws/execute-api/{api_id}/dev/", timeout=30) as answer:
                told.append(json.loads(answer.read())["id"])
    finally:
        assert first.stop() == 0
    second = start_server(tmp_path / "data")
    try:
        assert sorted(lines_of(second.client("logs"), "access")) == sorted(told)
    finally:
        second.stop()


def test_a_canary_is_deployed_promoted_and_removed(gateway: Any, api: Any, fetch: Fetch) -> None:
    api_id, at = api
    url = f"/_aws/execute-api/{api_id}/dev/"
    template = {"op": "replace", "path": "/responseTemplates/application~1json", "value": '"canary $stageVariables.v"'}
    gateway.update_integration_response(**at, statusCode="200", patchOperations=[template])
    made = gateway.create_deployment(
        restApiId=api_id,
        stageName="dev",
        canarySettings={"percentTraffic": 100, "stageVariableOverrides": {"v": "1"}, "useStageCache": False},
    )
    stage = gateway.get_stage(restApiId=api_id, stageName="dev")
    assert stage["canarySettings"]["deploymentId"] == made["id"] != stage["deploymentId"]
    assert fetch("GET", url)[2] == b'"canary 1"'
    patch_stage(gateway, api_id, ("/canarySettings/percentTraffic", "0"))
    assert b"canary" not in fetch("GET", url)[2]
    gateway.update_stage(
        restApiId=api_id,
        stageName="dev",
        patchOperations=[
            {"op": "copy", "from": "/canarySettings/stageVariableOverrides", "path": "/variables"},
            {"op": "copy", "from": "/canarySettings/deploymentId", "path": "/deploymentId"},
            {"op": "remove", "path": "/canarySettings"},
        ],
    )
    assert fetch("GET", url)[2] == b'"canary 1"'
    assert refusal(
        gateway.create_deployment, restApiId=api_id, stageName="none", canarySettings={"percentTraffic": 5}
    ) == (404, "NotFoundException", "Invalid stage identifier specified")


def test_a_stage_keeps_answers_until_it_is_flushed(gateway: Any, api: Any, fetch: Fetch) -> None:
    api_id, _ = api
    url = f"/_aws/execute-api/{api_id}/dev/"
    stage = patch_stage(gateway, api_id, ("/cacheClusterEnabled", "true"), ("/*/*/caching/enabled", "true"))
    assert (stage["cacheClusterStatus"], stage["cacheClusterSize"]) == ("AVAILABLE", "0.5")
    first = fetch("GET", url)[2]
    assert fetch("GET", url)[2] == first
    _, headers, body = fetch("GET", url, headers={"cache-control": "max-age=0"})
    assert (body, headers["warning"]) == (
        first,
        "199 Cache-control headers were ignored because the caller was unauthorized.",
    )
    gateway.flush_stage_cache(restApiId=api_id, stageName="dev")
    second = fetch("GET", url)[2]
    assert second != first
    assert fetch("GET", url)[2] == second
    patch_stage(gateway, api_id, ("/*/*/caching/requireAuthorizationForCacheControl", "false"))
    assert fetch("GET", url, headers={"cache-control": "max-age=0"})[2] != second
    assert refusal(gateway.flush_stage_cache, restApiId=api_id, stageName="none") == (
        404,
        "NotFoundException",
        "Invalid stage identifier specified",
    )
    gateway.flush_stage_authorizers_cache(restApiId=api_id, stageName="dev")


def test_a_method_is_tried(gateway: Any, api: Any) -> None:
    _, at = api
    tried = gateway.test_invoke_method(**at, pathWithQueryString="/?a=1", headers={"X-A": "1"}, body="x")
    assert tried["status"] == 200
    assert json.loads(tried["body"])["id"] in tried["log"]
    assert tried["headers"]["Content-Type"] == "application/json"
    assert tried["multiValueHeaders"]["Content-Type"] == ["application/json"]
    assert "Method request query string: {a=1}" in tried["log"]
    assert tried["latency"] >= 0
    assert refusal(gateway.test_invoke_method, **{**at, "httpMethod": "POST"}) == (
        404,
        "NotFoundException",
        "Invalid Method identifier specified",
    )


def test_a_client_certificate_from_generate_to_delete(gateway: Any, api: Any) -> None:
    api_id, _ = api
    made = gateway.generate_client_certificate(description="d")
    certificate_id = made["clientCertificateId"]
    assert (made["expirationDate"] - made["createdDate"]).days == 365
    assert ssl.PEM_cert_to_DER_cert(made["pemEncodedCertificate"])[0] == 0x30
    listed = [item["clientCertificateId"] for item in gateway.get_client_certificates()["items"]]
    assert certificate_id in listed
    patch_stage(gateway, api_id, ("/clientCertificateId", certificate_id))
    assert refusal(gateway.delete_client_certificate, clientCertificateId=certificate_id) == (
        409,
        "ConflictException",
        f"Client Certificate {certificate_id} is in use by an API stage",
    )
    patch_stage(gateway, api_id, ("/clientCertificateId", ""))
    patches = [{"op": "replace", "path": "/description", "value": "e"}]
    changed = gateway.update_client_certificate(clientCertificateId=certificate_id, patchOperations=patches)
    assert changed["description"] == "e"
    gateway.delete_client_certificate(clientCertificateId=certificate_id)
    assert refusal(gateway.get_client_certificate, clientCertificateId=certificate_id) == (
        404,
        "NotFoundException",
        "Invalid Client Certificate identifier specified",
    )


DESCRIBED = """
Parameters:
  Level: {Type: String, Default: "5"}
Resources:
  Api:
    Type: AWS::ApiGateway::RestApi
    Properties: {Name: described}
  Method:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Api
      ResourceId: !GetAtt Api.RootResourceId
      HttpMethod: GET
      AuthorizationType: NONE
      Integration: {Type: MOCK}
  Deployment:
    Type: AWS::ApiGateway::Deployment
    DependsOn: Method
    Properties:
      RestApiId: !Ref Api
      StageName: made
      StageDescription:
        Description: with its deployment
        CacheClusterEnabled: true
        Variables: {a: b}
        ThrottlingRateLimit: !Ref Level
        MethodSettings: [{ResourcePath: /, HttpMethod: GET, ThrottlingBurstLimit: 3}]
        Tags: [{Key: k, Value: v}]
Outputs:
  Api: {Value: !Ref Api}
"""


def test_a_stack_s_deployment_describes_its_stage(gateway: Any, client: Callable[..., Any]) -> None:
    cfn, fast = client("cloudformation"), {"Delay": 0, "MaxAttempts": 2000}
    cfn.create_stack(StackName="described", TemplateBody=DESCRIBED)
    cfn.get_waiter("stack_create_complete").wait(StackName="described", WaiterConfig=fast)
    [stack] = cfn.describe_stacks(StackName="described")["Stacks"]
    stage = gateway.get_stage(restApiId=stack["Outputs"][0]["OutputValue"], stageName="made")
    assert (stage["description"], stage["variables"], stage["cacheClusterStatus"]) == (
        "with its deployment",
        {"a": "b"},
        "AVAILABLE",
    )
    assert stage["tags"]["k"] == "v"
    assert stage["methodSettings"]["*/*"]["throttlingRateLimit"] == 5.0
    assert stage["methodSettings"]["~1/GET"] == {**stage["methodSettings"]["*/*"], "throttlingBurstLimit": 3}
    cfn.create_stack(StackName="wrong", TemplateBody=DESCRIBED.replace("Variables:", "Variable:"))
    with pytest.raises(WaiterError):
        cfn.get_waiter("stack_create_complete").wait(StackName="wrong", WaiterConfig=fast)
    reasons = [
        event.get("ResourceStatusReason") for event in cfn.describe_stack_events(StackName="wrong")["StackEvents"]
    ]
    assert "Properties validation failed: extraneous key [Variable] is not permitted" in reasons
