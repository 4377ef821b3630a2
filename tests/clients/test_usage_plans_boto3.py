"""API keys, usage plans and what stages throttle, through boto3, stacks and HTTP."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

Fetch = Callable[..., tuple[int, dict[str, str], bytes]]

VALUE = "0123456789abcdefghij0123456789"
FAST = {"Delay": 0, "MaxAttempts": 2000}


@pytest.fixture
def gateway(client: Callable[..., Any]) -> Any:
    return client("apigateway")


def refusal(call: Callable[..., Any], **params: Any) -> tuple[int, str, str]:
    """Return status, code and message with which a request is refused."""
    with pytest.raises(ClientError) as raised:
        call(**params)
    answer = raised.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


@pytest.fixture
def api_id(gateway: Any) -> Iterator[str]:
    """An API whose GET /pets wants a key, deployed to the stage `dev`."""
    api = gateway.create_rest_api(name="metered")
    resource = gateway.create_resource(restApiId=api["id"], parentId=api["rootResourceId"], pathPart="pets")
    at = {"restApiId": api["id"], "resourceId": resource["id"], "httpMethod": "GET"}
    assert gateway.put_method(**at, authorizationType="NONE", apiKeyRequired=True)["apiKeyRequired"] is True
    template = {"application/json": '{"statusCode": 200}'}
    gateway.put_integration(**at, type="MOCK", requestTemplates=template)
    gateway.put_method_response(**at, statusCode="200")
    said = {"application/json": '{"key": "$context.identity.apiKeyId"}'}
    gateway.put_integration_response(**at, statusCode="200", responseTemplates=said)
    gateway.create_deployment(restApiId=api["id"], stageName="dev")
    yield api["id"]
    gateway.delete_rest_api(restApiId=api["id"])


def test_a_key_from_create_to_delete(gateway: Any) -> None:
    key = gateway.create_api_key(name="client-1", value=VALUE, enabled=True, tags={"a": "1"})
    assert (key["value"], key["enabled"], key["stageKeys"]) == (VALUE, True, [])
    assert refusal(gateway.create_api_key, value=VALUE) == (409, "ConflictException", "API Key already exists")
    assert refusal(gateway.create_api_key, value="short") == (
        400,
        "BadRequestException",
        "API Key value should be at least 20 characters",
    )
    assert "value" not in gateway.get_api_key(apiKey=key["id"])
    assert gateway.get_api_key(apiKey=key["id"], includeValue=True)["value"] == VALUE
    listed = gateway.get_api_keys(nameQuery="client-", includeValues=True)["items"]
    assert [(item["id"], item["value"]) for item in listed] == [(key["id"], VALUE)]
    changed = gateway.update_api_key(
        apiKey=key["id"], patchOperations=[{"op": "replace", "path": "/enabled", "value": "false"}]
    )
    assert changed["enabled"] is False
    assert refusal(gateway.update_api_key, apiKey=key["id"], patchOperations=[{"op": "remove", "path": "/x"}])[:2] == (
        400,
        "BadRequestException",
    )
    gateway.delete_api_key(apiKey=key["id"])
    gone = (404, "NotFoundException", "Invalid API Key identifier specified")
    assert refusal(gateway.get_api_key, apiKey=key["id"]) == gone
    assert refusal(gateway.delete_api_key, apiKey=key["id"]) == gone


def test_keys_are_imported(gateway: Any) -> None:
    plan = gateway.create_usage_plan(name="imported")
    body = f"Name,key,Enabled,usageplanIds\nimported-1,{VALUE},TRUE,{plan['id']}\nimported-2,y{VALUE},false,\n"
    imported = gateway.import_api_keys(format="csv", body=body.encode())
    assert (len(imported["ids"]), imported["warnings"]) == (2, [])
    keys = gateway.get_usage_plan_keys(usagePlanId=plan["id"])["items"]
    assert [(key["id"], key["value"], key["type"]) for key in keys] == [(imported["ids"][0], VALUE, "API_KEY")]
    assert refusal(gateway.import_api_keys, format="csv", body=b"a,b\n1,2\n") == (
        400,
        "BadRequestException",
        "The imported file has no column name",
    )
    for key_id in imported["ids"]:
        gateway.delete_api_key(apiKey=key_id)
    gateway.delete_usage_plan(usagePlanId=plan["id"])


def test_a_plan_from_create_to_delete(gateway: Any, api_id: str) -> None:
    plan = gateway.create_usage_plan(
        name="gold",
        apiStages=[{"apiId": api_id, "stage": "dev"}],
        throttle={"rateLimit": 5, "burstLimit": 10},
        quota={"limit": 2, "period": "DAY"},
    )
    assert plan["quota"] == {"limit": 2, "offset": 0, "period": "DAY"}
    assert gateway.get_usage_plan(usagePlanId=plan["id"])["throttle"] == {"rateLimit": 5.0, "burstLimit": 10}
    assert plan["id"] in [item["id"] for item in gateway.get_usage_plans()["items"]]
    stage = f"/apiStages/{api_id}:dev/throttle/~1pets/GET"
    changed = gateway.update_usage_plan(
        usagePlanId=plan["id"],
        patchOperations=[
            {"op": "replace", "path": f"{stage}/rateLimit", "value": "0.1"},
            {"op": "replace", "path": f"{stage}/burstLimit", "value": "1"},
            {"op": "replace", "path": "/quota/period", "value": "MONTH"},
        ],
    )
    assert changed["apiStages"][0]["throttle"] == {"/pets/GET": {"rateLimit": 0.1, "burstLimit": 1}}
    assert refusal(gateway.update_usage_plan, usagePlanId="none", patchOperations=[]) == (
        404,
        "NotFoundException",
        "Invalid Usage Plan ID specified",
    )
    assert refusal(gateway.delete_usage_plan, usagePlanId=plan["id"])[:2] == (400, "BadRequestException")
    gateway.update_usage_plan(
        usagePlanId=plan["id"], patchOperations=[{"op": "remove", "path": "/apiStages", "value": f"{api_id}:dev"}]
    )
    gateway.delete_usage_plan(usagePlanId=plan["id"])
    assert refusal(gateway.create_usage_plan, name="x", quota={"limit": 1, "period": "DAY", "offset": 2}) == (
        400,
        "BadRequestException",
        "Usage Plan quota offset must be zero in the DAY period",
    )


def test_a_key_is_asked_for_throttled_and_counted(gateway: Any, api_id: str, fetch: Fetch) -> None:
    url = f"/_aws/execute-api/{api_id}/dev/pets"
    assert fetch("GET", url)[::2] == (403, b'{"message":"Forbidden"}')
    plan_id = gateway.create_usage_plan(
        name="metered", apiStages=[{"apiId": api_id, "stage": "dev"}], quota={"limit": 3, "period": "MONTH"}
    )["id"]
    key_id = gateway.create_api_key(value=VALUE, enabled=True)["id"]
    with_key = {"x-api-key": VALUE}
    assert fetch("GET", url, headers=with_key)[0] == 403
    added = gateway.create_usage_plan_key(usagePlanId=plan_id, keyId=key_id, keyType="API_KEY")
    assert added == gateway.get_usage_plan_key(usagePlanId=plan_id, keyId=key_id) | {
        "ResponseMetadata": added["ResponseMetadata"]
    }
    status, _, body = fetch("GET", url, headers=with_key)
    assert (status, json.loads(body)) == (200, {"key": key_id})
    assert [fetch("GET", url, headers=with_key)[0] for _ in range(2)] == [200, 200]
    status, headers, body = fetch("GET", url, headers=with_key)
    assert (status, body) == (429, b'{"message":"Limit Exceeded"}')
    assert {name.lower(): value for name, value in headers.items()}["x-amzn-errortype"] == "LimitExceededException"

    now = gateway.update_usage(
        usagePlanId=plan_id, keyId=key_id, patchOperations=[{"op": "replace", "path": "/remaining", "value": "1"}]
    )
    assert now["items"] == {key_id: [[3, 1]]}
    usage = gateway.get_usage(usagePlanId=plan_id, keyId=key_id, startDate=now["startDate"], endDate=now["endDate"])
    assert usage["items"] == {key_id: [[3, 1]]}
    gateway.update_usage_plan(
        usagePlanId=plan_id,
        patchOperations=[
            {"op": "replace", "path": "/throttle/rateLimit", "value": "0"},
            {"op": "replace", "path": "/throttle/burstLimit", "value": "0"},
        ],
    )
    assert fetch("GET", url, headers=with_key)[::2] == (429, b'{"message":"Too Many Requests"}')
    gateway.delete_usage_plan_key(usagePlanId=plan_id, keyId=key_id)
    assert refusal(gateway.delete_usage_plan_key, usagePlanId=plan_id, keyId=key_id) == (
        404,
        "NotFoundException",
        "Invalid API Key identifier specified",
    )
    assert fetch("GET", url, headers=with_key)[0] == 403
    gateway.delete_api_key(apiKey=key_id)


def test_a_stage_throttles_and_an_account_shows_its_limits(gateway: Any, client: Any, fetch: Fetch) -> None:
    account = gateway.get_account()
    assert account["throttleSettings"] == {"burstLimit": 5000, "rateLimit": 10000.0}
    assert refusal(
        gateway.update_account, patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": "x"}]
    ) == (400, "BadRequestException", "Invalid ARN specified in the request: x")
    api = gateway.create_rest_api(name="throttled")
    at = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "GET"}
    gateway.put_method(**at, authorizationType="NONE")
    gateway.put_integration(**at, type="MOCK", requestTemplates={"application/json": '{"statusCode": 200}'})
    gateway.put_method_response(**at, statusCode="200")
    gateway.put_integration_response(**at, statusCode="200")
    gateway.create_deployment(restApiId=api["id"], stageName="dev")
    stage = gateway.update_stage(
        restApiId=api["id"],
        stageName="dev",
        patchOperations=[
            {"op": "replace", "path": "/*/*/throttling/rateLimit", "value": "0"},
            {"op": "replace", "path": "/*/*/throttling/burstLimit", "value": "2"},
        ],
    )
    assert stage["methodSettings"]["*/*"]["throttlingBurstLimit"] == 2
    url = f"/_aws/execute-api/{api['id']}/dev/"
    assert [fetch("GET", url)[0] for _ in range(3)] == [200, 200, 429]
    gateway.delete_rest_api(restApiId=api["id"])


TEMPLATE = """
Parameters:
  Limit: {Type: String, Default: "2"}
Resources:
  Api:
    Type: AWS::ApiGateway::RestApi
    Properties: {Name: metered-stack}
  Method:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Api
      ResourceId: !GetAtt Api.RootResourceId
      HttpMethod: GET
      AuthorizationType: NONE
      ApiKeyRequired: true
      Integration:
        Type: MOCK
        RequestTemplates: {application/json: '{"statusCode": 200}'}
        IntegrationResponses: [{StatusCode: 200}]
      MethodResponses: [{StatusCode: 200}]
  Deployment:
    Type: AWS::ApiGateway::Deployment
    DependsOn: Method
    Properties: {RestApiId: !Ref Api}
  Stage:
    Type: AWS::ApiGateway::Stage
    Properties:
      RestApiId: !Ref Api
      DeploymentId: !Ref Deployment
      StageName: live
      CacheClusterEnabled: true
      CacheClusterSize: "0.5"
      ClientCertificateId: !Ref Certificate
      MethodSettings:
        - {ResourcePath: "/", HttpMethod: GET, ThrottlingBurstLimit: !Ref Limit}
        - {ResourcePath: "/*", HttpMethod: "*", ThrottlingRateLimit: 7, CachingEnabled: false}
  Key:
    Type: AWS::ApiGateway::ApiKey
    Properties: {Enabled: true, Value: stack-key-0123456789abcdef}
  Plan:
    Type: AWS::ApiGateway::UsagePlan
    Properties:
      UsagePlanName: !Sub "plan-${Limit}"
      ApiStages:
        - {ApiId: !Ref Api, Stage: !Ref Stage, Throttle: {"/pets/GET": {RateLimit: !Ref Limit, BurstLimit: 5}}}
      Quota: {Limit: !Ref Limit, Period: MONTH}
  PlanKey:
    Type: AWS::ApiGateway::UsagePlanKey
    Properties: {KeyId: !Ref Key, KeyType: API_KEY, UsagePlanId: !Ref Plan}
  Certificate:
    Type: AWS::ApiGateway::ClientCertificate
    Properties: {Description: !Sub "limit ${Limit}"}
  Account:
    Type: AWS::ApiGateway::Account
Outputs:
  Api: {Value: !Ref Api}
  Key: {Value: !GetAtt Key.APIKeyId}
  Plan: {Value: !Ref Plan}
"""


def test_a_stack_with_a_plan_lives_changes_and_ends(gateway: Any, client: Callable[..., Any], fetch: Fetch) -> None:
    cfn = client("cloudformation")

    def outputs() -> dict[str, str]:
        [stack] = cfn.describe_stacks(StackName="metered")["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    cfn.create_stack(StackName="metered", TemplateBody=TEMPLATE)
    cfn.get_waiter("stack_create_complete").wait(StackName="metered", WaiterConfig=FAST)
    made = outputs()
    url = f"/_aws/execute-api/{made['Api']}/live/"
    key = {"x-api-key": "stack-key-0123456789abcdef"}
    assert fetch("GET", url)[0] == 403
    assert fetch("GET", url, headers=key)[0] == 200
    stage = gateway.get_stage(restApiId=made["Api"], stageName="live")
    assert stage["methodSettings"]["~1/GET"]["throttlingBurstLimit"] == 2
    assert stage["methodSettings"]["~1/GET"]["throttlingRateLimit"] == 7.0
    assert stage["cacheClusterStatus"] == "AVAILABLE"
    certificate = gateway.get_client_certificate(clientCertificateId=stage["clientCertificateId"])
    assert certificate["description"] == "limit 2"

    changed = [{"ParameterKey": "Limit", "ParameterValue": "9"}]
    cfn.update_stack(StackName="metered", TemplateBody=TEMPLATE, Parameters=changed)
    cfn.get_waiter("stack_update_complete").wait(StackName="metered", WaiterConfig=FAST)
    assert outputs() == made
    plan = gateway.get_usage_plan(usagePlanId=made["Plan"])
    assert (plan["name"], plan["quota"]) == ("plan-9", {"limit": 9, "offset": 0, "period": "MONTH"})
    assert plan["apiStages"] == [
        {"apiId": made["Api"], "stage": "live", "throttle": {"/pets/GET": {"rateLimit": 9.0, "burstLimit": 5}}}
    ]
    stage = gateway.get_stage(restApiId=made["Api"], stageName="live")
    assert stage["methodSettings"]["~1/GET"]["throttlingBurstLimit"] == 9
    certificate = gateway.get_client_certificate(clientCertificateId=stage["clientCertificateId"])
    assert certificate["description"] == "limit 9"

    cfn.delete_stack(StackName="metered")
    cfn.get_waiter("stack_delete_complete").wait(StackName="metered", WaiterConfig=FAST)
    assert refusal(gateway.get_usage_plan, usagePlanId=made["Plan"])[0] == 404
    assert refusal(gateway.get_api_key, apiKey=made["Key"])[0] == 404


TWO_STAGES = """
Resources:
  Api: {Type: AWS::ApiGateway::RestApi, Properties: {Name: two-stages}}
  Method:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Api
      ResourceId: !GetAtt Api.RootResourceId
      HttpMethod: GET
      AuthorizationType: NONE
      Integration: {Type: MOCK}
  Deployment: {Type: AWS::ApiGateway::Deployment, DependsOn: Method, Properties: {RestApiId: !Ref Api}}
  A: {Type: AWS::ApiGateway::Stage, Properties: {RestApiId: !Ref Api, DeploymentId: !Ref Deployment, StageName: a}}
  B: {Type: AWS::ApiGateway::Stage, Properties: {RestApiId: !Ref Api, DeploymentId: !Ref Deployment, StageName: b}}
  Plan:
    Type: AWS::ApiGateway::UsagePlan
    Properties: {ApiStages: [{ApiId: !Ref Api, Stage: !Ref A}, {ApiId: !Ref Api, Stage: !Ref B}], UsagePlanName: two}
Outputs:
  Api: {Value: !Ref Api}
  Plan: {Value: !Ref Plan}
"""


def test_a_stack_ends_though_one_of_its_plan_s_stages_is_gone(gateway: Any, client: Callable[..., Any]) -> None:
    cfn = client("cloudformation")
    cfn.create_stack(StackName="two-stages", TemplateBody=TWO_STAGES)
    cfn.get_waiter("stack_create_complete").wait(StackName="two-stages", WaiterConfig=FAST)
    [stack] = cfn.describe_stacks(StackName="two-stages")["Stacks"]
    made = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    gateway.delete_stage(restApiId=made["Api"], stageName="a")
    assert [stage["stage"] for stage in gateway.get_usage_plan(usagePlanId=made["Plan"])["apiStages"]] == ["b"]
    cfn.delete_stack(StackName="two-stages")
    cfn.get_waiter("stack_delete_complete").wait(StackName="two-stages", WaiterConfig=FAST)
    assert refusal(gateway.get_usage_plan, usagePlanId=made["Plan"])[0] == 404


SAM = {
    "Transform": "AWS::Serverless-2016-10-31",
    "Resources": {
        "Api": {
            "Type": "AWS::Serverless::Api",
            "Properties": {
                "StageName": "prod",
                "Auth": {
                    "ApiKeyRequired": True,
                    "UsagePlan": {
                        "CreateUsagePlan": "PER_API",
                        "UsagePlanName": "sam-plan",
                        "Quota": {"Limit": 2, "Period": "DAY"},
                        "Throttle": {"BurstLimit": 100, "RateLimit": 50},
                    },
                },
                "MethodSettings": [{"ResourcePath": "/*", "HttpMethod": "*", "ThrottlingRateLimit": 9}],
                "CacheClusterEnabled": True,
                "CacheClusterSize": "0.5",
                "CanarySetting": {"PercentTraffic": 0},
                "DefinitionBody": {
                    "swagger": "2.0",
                    "info": {"title": "keyed"},
                    "paths": {
                        "/words": {
                            "get": {
                                "responses": {"200": {"description": "fine"}},
                                "x-amazon-apigateway-integration": {
                                    "type": "MOCK",
                                    "requestTemplates": {"application/json": '{"statusCode": 200}'},
                                    "responses": {"default": {"statusCode": "200"}},
                                },
                            }
                        }
                    },
                },
            },
        }
    },
    "Outputs": {"Api": {"Value": {"Ref": "Api"}}},
}


def test_sam_makes_a_plan_and_a_key(gateway: Any, client: Callable[..., Any], fetch: Fetch) -> None:
    cfn = client("cloudformation")
    cfn.create_stack(StackName="keyed", TemplateBody=json.dumps(SAM), Capabilities=["CAPABILITY_AUTO_EXPAND"])
    try:
        cfn.get_waiter("stack_create_complete").wait(StackName="keyed", WaiterConfig=FAST)
    except WaiterError:
        events = cfn.describe_stack_events(StackName="keyed")["StackEvents"]
        raise AssertionError([event.get("ResourceStatusReason") for event in events]) from None
    [stack] = cfn.describe_stacks(StackName="keyed")["Stacks"]
    api_id = stack["Outputs"][0]["OutputValue"]
    [plan] = [plan for plan in gateway.get_usage_plans()["items"] if plan["name"] == "sam-plan"]
    assert [(stage["apiId"], stage["stage"]) for stage in plan["apiStages"]] == [(api_id, "prod")]
    [key] = gateway.get_usage_plan_keys(usagePlanId=plan["id"])["items"]
    stage = gateway.get_stage(restApiId=api_id, stageName="prod")
    assert stage["methodSettings"]["*/*"]["throttlingRateLimit"] == 9.0
    assert (stage["cacheClusterSize"], stage["canarySettings"]["percentTraffic"]) == ("0.5", 0.0)
    url = f"/_aws/execute-api/{api_id}/prod/words"
    assert fetch("GET", url)[0] == 403
    assert [fetch("GET", url, headers={"x-api-key": key["value"]})[0] for _ in range(3)] == [200, 200, 429]
    cfn.delete_stack(StackName="keyed")
    cfn.get_waiter("stack_delete_complete").wait(StackName="keyed", WaiterConfig=FAST)
    assert "sam-plan" not in [plan["name"] for plan in gateway.get_usage_plans()["items"]]
