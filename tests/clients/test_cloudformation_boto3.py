"""CloudFormation through boto3 and the aws cli against the running server."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from running import ROOT, Server

FAST = {"Delay": 0, "MaxAttempts": 2000}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture
def cfn(client: Callable[..., Any]) -> Any:
    return client("cloudformation")


def error_of(call: Callable[..., Any], **params: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as raised:
        call(**params)
    answer = raised.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


def wait_for(cfn: Any, stack_name: str, status: str) -> None:
    """Return when a stack has this status; boto3 has no waiter for a creation that was rolled back."""
    for _ in range(FAST["MaxAttempts"]):
        if cfn.describe_stacks(StackName=stack_name)["Stacks"][0]["StackStatus"] == status:
            return
    raise AssertionError(f"{stack_name} never was {status}")


def log_group(name: str, days: int) -> str:
    return f"""
Resources:
  Logs:
    Type: AWS::Logs::LogGroup
    Properties: {{LogGroupName: !Sub "/{name}/${{AWS::StackName}}", RetentionInDays: {days}}}
Outputs:
  Name: {{Value: !Ref Logs}}
"""


def test_a_stack_lives_and_ends(cfn: Any, client: Callable[..., Any]) -> None:
    stack_id = cfn.create_stack(StackName="life", TemplateBody=log_group("life", 7))["StackId"]
    cfn.get_waiter("stack_create_complete").wait(StackName="life", WaiterConfig=FAST)
    stack = cfn.describe_stacks(StackName="life")["Stacks"][0]
    assert stack["Outputs"] == [{"OutputKey": "Name", "OutputValue": "/life/life"}]
    cfn.update_stack(StackName="life", TemplateBody=log_group("life", 30))
    cfn.get_waiter("stack_update_complete").wait(StackName="life", WaiterConfig=FAST)
    groups = client("logs").describe_log_groups(logGroupNamePrefix="/life/")["logGroups"]
    assert groups[0]["retentionInDays"] == 30
    assert error_of(cfn.update_stack, StackName="life", TemplateBody=log_group("life", 30)) == (
        "ValidationError",
        "No updates are to be performed.",
        400,
    )
    assert cfn.get_template(StackName="life")["TemplateBody"] == log_group("life", 30)
    assert [page["StackName"] for page in cfn.describe_stack_resources(StackName="life")["StackResources"]] == ["life"]
    cfn.delete_stack(StackName="life")
    cfn.get_waiter("stack_delete_complete").wait(StackName=stack_id, WaiterConfig=FAST)
    assert error_of(cfn.describe_stacks, StackName="life") == (
        "ValidationError",
        "Stack with id life does not exist",
        400,
    )


def test_a_change_set_is_planned_waited_for_and_executed(cfn: Any) -> None:
    params = {"StackName": "planned", "ChangeSetName": "first", "ChangeSetType": "CREATE"}
    made = cfn.create_change_set(**params, TemplateBody=log_group("planned", 7))
    cfn.get_waiter("change_set_create_complete").wait(ChangeSetName=made["Id"], WaiterConfig=FAST)
    changes = cfn.describe_change_set(ChangeSetName=made["Id"])["Changes"]
    assert changes[0]["ResourceChange"]["ResourceType"] == "AWS::Logs::LogGroup"
    cfn.execute_change_set(ChangeSetName=made["Id"])
    cfn.get_waiter("stack_create_complete").wait(StackName="planned", WaiterConfig=FAST)
    again = cfn.create_change_set(StackName="planned", ChangeSetName="again", TemplateBody=log_group("planned", 7))
    with pytest.raises(WaiterError):
        cfn.get_waiter("change_set_create_complete").wait(ChangeSetName=again["Id"], WaiterConfig=FAST)
    assert cfn.describe_change_set(ChangeSetName=again["Id"])["StatusReason"].startswith(
        "The submitted information didn't contain changes."
    )
    cfn.delete_change_set(ChangeSetName=again["Id"])
    assert error_of(cfn.describe_change_set, ChangeSetName=again["Id"])[::2] == ("ChangeSetNotFound", 404)


@pytest.mark.parametrize(
    ("template", "code", "message"),
    [
        ("{", "ValidationError", "Template format error: JSON not well-formed. (line 1, column 2)"),
        (
            {
                "A": {"Type": "AWS::Logs::LogGroup", "DependsOn": "B"},
                "B": {"Type": "AWS::S3::Bucket", "DependsOn": "A"},
            },
            "ValidationError",
            "Circular dependency between resources: [A, B]",
        ),
        (
            {"A": {"Type": "AWS::Foo::Bar"}},
            "ValidationError",
            "Template format error: Unrecognized resource types: [AWS::Foo::Bar]",
        ),
        (
            {"A": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}},
            "InsufficientCapabilitiesException",
            "Requires capabilities : [CAPABILITY_IAM]",
        ),
    ],
)
def test_templates_that_cannot_be(cfn: Any, template: Any, code: str, message: str) -> None:
    body = template if isinstance(template, str) else json.dumps({"Resources": template})
    assert error_of(cfn.create_stack, StackName="never", TemplateBody=body) == (code, message, 400)


def test_a_failed_stack_says_why_and_leaves_nothing(cfn: Any, client: Callable[..., Any]) -> None:
    resources = {
        "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/failed"}},
        "Bad": {"Type": "AWS::Logs::LogGroup", "DependsOn": "Group", "Properties": {"Colour": "red"}},
    }
    cfn.create_stack(StackName="failed", TemplateBody=json.dumps({"Resources": resources}))
    wait_for(cfn, "failed", "ROLLBACK_COMPLETE")
    reasons = [
        event.get("ResourceStatusReason", "") for event in cfn.describe_stack_events(StackName="failed")["StackEvents"]
    ]
    assert any("extraneous key [Colour] is not permitted" in reason for reason in reasons)
    assert client("logs").describe_log_groups(logGroupNamePrefix="/failed")["logGroups"] == []


def test_a_role_that_may_not_cannot_by_way_of_a_stack(cfn: Any, client: Callable[..., Any], server: Server) -> None:
    iam = client("iam")
    iam.create_user(UserName="stacker")
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="stacker", PolicyName="p", PolicyDocument=json.dumps(allow))
    key = iam.create_access_key(UserName="stacker")["AccessKey"]
    as_stacker = server.client("cloudformation", key["AccessKeyId"], key["SecretAccessKey"])
    as_stacker.create_stack(StackName="denied", TemplateBody=log_group("denied", 7))
    wait_for(cfn, "denied", "ROLLBACK_COMPLETE")
    reasons = [
        event.get("ResourceStatusReason", "") for event in cfn.describe_stack_events(StackName="denied")["StackEvents"]
    ]
    assert any("is not authorized to perform: logs:CreateLogGroup" in reason for reason in reasons)


HTTP_API = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: index.handler
      InlineCode: |
        def handler(event, context):
            return {"statusCode": 200, "body": event["version"] + event["rawPath"]}
      Policies: [AWSLambdaBasicExecutionRole]
      Events:
        Any: {Type: HttpApi, Properties: {Path: /hello, Method: GET}}
Outputs:
  Api: {Value: !Ref ServerlessHttpApi}
"""


@pytest.mark.slow
def test_an_http_api_by_sam(cfn: Any, fetch: Callable[..., Any]) -> None:
    capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    cfn.create_stack(StackName="http", TemplateBody=HTTP_API, Capabilities=capabilities)
    cfn.get_waiter("stack_create_complete").wait(StackName="http", WaiterConfig=FAST)
    api_id = cfn.describe_stacks(StackName="http")["Stacks"][0]["Outputs"][0]["OutputValue"]
    assert fetch("GET", f"/_aws/execute-api/{api_id}/hello")[::2] == (200, b"2.0/hello")
    cfn.delete_stack(StackName="http")


PLAIN_API = {
    "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}},
    "Function": {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Runtime": "python3.13",
            "Handler": "index.handler",
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Timeout": "5",
            "Code": {
                "ZipFile": "def handler(event, context):\n    return {'statusCode': 200, 'body': event['path']}\n"
            },
        },
    },
    "Permission": {
        "Type": "AWS::Lambda::Permission",
        "Properties": {
            "Action": "lambda:InvokeFunction",
            "FunctionName": {"Ref": "Function"},
            "Principal": "apigateway.amazonaws.com",
        },
    },
    "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "plain"}},
    "Hello": {
        "Type": "AWS::ApiGateway::Resource",
        "Properties": {
            "RestApiId": {"Ref": "Api"},
            "ParentId": {"Fn::GetAtt": ["Api", "RootResourceId"]},
            "PathPart": "hello",
        },
    },
    "Method": {
        "Type": "AWS::ApiGateway::Method",
        "Properties": {
            "RestApiId": {"Ref": "Api"},
            "ResourceId": {"Ref": "Hello"},
            "HttpMethod": "GET",
            "AuthorizationType": "NONE",
            "Integration": {
                "Type": "AWS_PROXY",
                "IntegrationHttpMethod": "POST",
                "Uri": {
                    "Fn::Sub": "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Function.Arn}"
                    "/invocations"
                },
            },
        },
    },
    "Deployment": {
        "Type": "AWS::ApiGateway::Deployment",
        "DependsOn": "Method",
        "Properties": {"RestApiId": {"Ref": "Api"}},
    },
    "Stage": {
        "Type": "AWS::ApiGateway::Stage",
        "Properties": {"RestApiId": {"Ref": "Api"}, "DeploymentId": {"Ref": "Deployment"}, "StageName": "v1"},
    },
}


@pytest.mark.slow
def test_a_rest_api_resource_by_resource(cfn: Any, fetch: Callable[..., Any]) -> None:
    body = json.dumps({"Resources": PLAIN_API, "Outputs": {"Api": {"Value": {"Ref": "Api"}}}})
    stack_id = cfn.create_stack(StackName="plain", TemplateBody=body, Capabilities=["CAPABILITY_IAM"])["StackId"]
    cfn.get_waiter("stack_create_complete").wait(StackName="plain", WaiterConfig=FAST)
    api_id = cfn.describe_stacks(StackName="plain")["Stacks"][0]["Outputs"][0]["OutputValue"]
    assert fetch("GET", f"/_aws/execute-api/{api_id}/v1/hello")[::2] == (200, b"/hello")
    cfn.delete_stack(StackName="plain")
    cfn.get_waiter("stack_delete_complete").wait(StackName=stack_id, WaiterConfig=FAST)


@pytest.mark.slow
def test_the_aws_cli_validates_and_packages(server: Server, tmp_path: Path) -> None:
    def aws(*words: str) -> str:
        done = subprocess.run(
            ["aws", *words], env=server.environ(), check=True, capture_output=True, timeout=60, text=True
        )
        return done.stdout

    template = ROOT / "examples" / "notes" / "template.yaml"
    aws("s3", "mb", "s3://package-here")
    packaged = tmp_path / "packaged.yaml"
    aws("cloudformation", "package", "--template-file", str(template), "--s3-bucket", "package-here",
        "--output-template-file", str(packaged))  # fmt: skip
    assert "s3://package-here/" in packaged.read_text()
    validated = json.loads(aws("cloudformation", "validate-template", "--template-body", f"file://{packaged}"))
    assert validated["DeclaredTransforms"] == ["AWS::Serverless-2016-10-31"]
