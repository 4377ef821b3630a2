"""Stacks whose REST APIs have a TLS policy, an issuer's tokens and traces: made, changed in place, and gone."""

import json
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.slow

FAST = {"Delay": 0, "MaxAttempts": 2000}
CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/12345678-1234-1234-1234-123456789012"
ENHANCED = {"SecurityPolicy": "SecurityPolicy_TLS13_1_3_2025_09", "EndpointAccessMode": "STRICT"}
CLAIM = {"ClaimName": "team", "Format": "SINGLE_STRING", "Required": True, "ExpectedValues": ["a"]}


def template(tls: dict[str, str], issuer: dict[str, Any], traced: bool) -> str:
    rest = {"RestApiId": {"Ref": "Api"}}
    mock = {"Type": "MOCK", "RequestTemplates": {"application/json": '{"statusCode": 200}'}}
    root = {"Fn::GetAtt": ["Api", "RootResourceId"]}
    resources = {
        "Api": ("RestApi", {"Name": "tls", "EndpointConfiguration": {"Types": ["REGIONAL"]}, **tls}),
        "Tokens": (
            "Authorizer",
            {
                **rest,
                "Name": "tokens",
                "Type": "JWT",
                "IdentitySource": "method.request.header.Authorization",
                "JwtConfiguration": {"Issuers": [issuer], "DefaultAlgorithms": ["ES256"]},
            },
        ),
        "Get": (
            "Method",
            {**rest, "ResourceId": root, "HttpMethod": "GET", "AuthorizationType": "NONE", "Integration": mock},
        ),
        "Deployed": ("Deployment", rest),
        "Stage": (
            "Stage",
            {**rest, "StageName": "dev", "DeploymentId": {"Ref": "Deployed"}, "TracingEnabled": traced},
        ),
        "Name": (
            "DomainName",
            {
                "DomainName": "tls.stack.example",
                "RegionalCertificateArn": CERTIFICATE,
                "EndpointConfiguration": {"Types": ["REGIONAL"]},
                **tls,
            },
        ),
    }
    made = {
        name: {"Type": f"AWS::ApiGateway::{kind}", "Properties": properties}
        for name, (kind, properties) in resources.items()
    }
    made["Deployed"]["DependsOn"] = "Get"
    outputs = {name: {"Value": {"Ref": name}} for name in ("Api", "Tokens")}
    return json.dumps({"Resources": made, "Outputs": outputs})


def test_a_stack_changes_what_guards_its_api(client: Callable[..., Any]) -> None:
    cfn, gateway = client("cloudformation"), client("apigateway")

    def shown(kind: str) -> list[Any]:
        cfn.get_waiter(f"stack_{kind}_complete").wait(StackName="tls", WaiterConfig=FAST)
        [stack] = cfn.describe_stacks(StackName="tls")["Stacks"]
        at = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        api = gateway.get_rest_api(restApiId=at["Api"])
        domain = gateway.get_domain_name(domainName="tls.stack.example")
        return [
            *((one.get("securityPolicy"), one.get("endpointAccessMode")) for one in (api, domain)),
            gateway.get_authorizer(restApiId=at["Api"], authorizerId=at["Tokens"])["jwtConfiguration"]["issuers"],
            gateway.get_stage(restApiId=at["Api"], stageName="dev")["tracingEnabled"],
        ]

    issuer = {"Issuer": "https://a.example", "Audiences": ["app"], "AdditionalClaims": [CLAIM]}
    cfn.create_stack(StackName="tls", TemplateBody=template({"SecurityPolicy": "TLS_1_2"}, issuer, False))
    claim = {"claimName": "team", "format": "SINGLE_STRING", "required": True, "expectedValues": ["a"]}
    before = [{"issuer": "https://a.example", "audiences": ["app"], "additionalClaims": [claim]}]
    assert shown("create") == [("TLS_1_2", None), ("TLS_1_2", None), before, False]

    other = {"Issuer": "https://b.example", "Audiences": ["app"]}
    cfn.update_stack(StackName="tls", TemplateBody=template(ENHANCED, other, True))
    policy = tuple(ENHANCED.values())
    assert shown("update") == [policy, policy, [{"issuer": "https://b.example", "audiences": ["app"]}], True]
    cfn.delete_stack(StackName="tls")
    cfn.get_waiter("stack_delete_complete").wait(StackName="tls", WaiterConfig=FAST)


def test_sam_traces_an_api(client: Callable[..., Any], fetch: Callable[..., Any]) -> None:
    code = "import os\ndef handler(event, context): return {'statusCode': 200, 'body': os.environ['_X_AMZN_TRACE_ID']}"
    body = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Api": {"Type": "AWS::Serverless::Api", "Properties": {"StageName": "prod", "TracingEnabled": True}},
            "Fn": {
                "Type": "AWS::Serverless::Function",
                "Properties": {
                    "Runtime": "python3.11",
                    "Handler": "index.handler",
                    "InlineCode": code,
                    "Events": {
                        "Get": {
                            "Type": "Api",
                            "Properties": {"RestApiId": {"Ref": "Api"}, "Path": "/", "Method": "get"},
                        }
                    },
                },
            },
        },
        "Outputs": {"Api": {"Value": {"Ref": "Api"}}},
    }
    cfn = client("cloudformation")
    capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    cfn.create_stack(StackName="traced", TemplateBody=json.dumps(body), Capabilities=capabilities)
    cfn.get_waiter("stack_create_complete").wait(StackName="traced", WaiterConfig=FAST)
    [stack] = cfn.describe_stacks(StackName="traced")["Stacks"]
    root = "Root=1-68e77a60-0123456789abcdef01234567"
    path = f"/_aws/execute-api/{stack['Outputs'][0]['OutputValue']}/prod/"
    status, headers, told = fetch("GET", path, headers={"x-amzn-trace-id": root})
    assert (status, headers["x-amzn-trace-id"]) == (200, root)
    fields = dict(part.split("=", 1) for part in told.decode().split(";"))
    assert (fields["Root"], fields["Sampled"]) == (root.removeprefix("Root="), "1")
    cfn.delete_stack(StackName="traced")
    cfn.get_waiter("stack_delete_complete").wait(StackName="traced", WaiterConfig=FAST)
