"""Custom resources: functions of a template's own that make, change and delete what no type stands for."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from patience import until
from running import Server

pytestmark = pytest.mark.slow
FAST = {"Delay": 0, "MaxAttempts": 2000}

PYTHON = """
import json, urllib.request, cfnresponse
def handler(event, context):
    print(json.dumps(event))
    given = event["ResourceProperties"]
    if "Raise" in given: raise ValueError("no luck")
    if "Raw" in given and event["RequestType"] == "Create":
        sent = urllib.request.Request(event["ResponseURL"], given["Raw"].encode(), method="PUT")
        return urllib.request.urlopen(sent, timeout=30).close()
    name = "made-" + given.get("Name", "?")
    if given.get("Fail") == event["RequestType"]:
        cfnresponse.send(event, context, cfnresponse.FAILED, {}, name, reason="it is not to be")
    else:
        cfnresponse.send(event, context, cfnresponse.SUCCESS, {"Said": json.dumps(given, sort_keys=True)}, name)
"""
NODEJS = """
const response = require('cfn-response');
exports.handler = (event, context) => response.send(event, context, response.SUCCESS, { Said: event.RequestType }, 'n');
"""
# As the CDK's and the Serverless Framework's functions do it.
BY_HTTPS = """
const https = require('https'), url = require('url');
exports.handler = async (event) => {
  const { hostname, path } = url.parse(event.ResponseURL);
  const { StackId, RequestId, LogicalResourceId } = event;
  const told = { Status: 'SUCCESS', PhysicalResourceId: 'n', StackId, RequestId, LogicalResourceId };
  const body = JSON.stringify({ ...told, Data: { Said: 'yes' } });
  const headers = { 'content-type': '', 'content-length': Buffer.byteLength(body) };
  await new Promise((resolve, reject) => {
    const request = https.request({ hostname, port: 443, path, method: 'PUT', headers }, resolve);
    request.on('error', reject);
    request.end(body);
  });
};
"""


BY_URL = """
const https = require('https');
exports.handler = async ({ ResponseURL, StackId, RequestId, LogicalResourceId }) => {
  const told = { Status: 'SUCCESS', PhysicalResourceId: 'n', StackId, RequestId, LogicalResourceId };
  await new Promise((resolve, reject) => {
    const request = https.request(new URL(ResponseURL), { method: 'PUT' }, resolve);
    request.on('error', reject);
    request.end(JSON.stringify({ ...told, Data: { Said: 'yes' } }));
  });
};
"""


def template(source: str = PYTHON, runtime: str = "python3.11", kind: str = "Custom::Thing", **properties: Any) -> str:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    logs = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    role = {"AssumeRolePolicyDocument": trust, "ManagedPolicyArns": [logs]}
    function = {
        "Runtime": runtime,
        "Handler": "index.handler",
        "Timeout": 30,
        "Code": {"ZipFile": source},
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
    }
    thing = {"ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]}, **properties}
    return json.dumps(
        {
            "Resources": {
                "Role": {"Type": "AWS::IAM::Role", "Properties": role},
                "Function": {"Type": "AWS::Lambda::Function", "Properties": function},
                "Thing": {"Type": kind, "Version": 1.0, "Properties": thing},
            },
            "Outputs": {"Id": {"Value": {"Ref": "Thing"}}, "Said": {"Value": {"Fn::GetAtt": ["Thing", "Said"]}}},
        }
    )


class Stack:
    def __init__(self, client: Callable[..., Any], name: str) -> None:
        self.cfn, self.logs, self.name = client("cloudformation"), client("logs"), name

    def deploy(self, body: str, kind: str = "create") -> tuple[str, dict[str, str]]:
        call = getattr(self.cfn, f"{kind}_stack")
        self.stack_id = call(StackName=self.name, TemplateBody=body, Capabilities=["CAPABILITY_IAM"])["StackId"]
        return self.rest()

    def rest(self) -> tuple[str, dict[str, str]]:
        while True:
            stack = self.cfn.describe_stacks(StackName=self.stack_id)["Stacks"][0]
            if not stack["StackStatus"].endswith("_IN_PROGRESS"):
                outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in stack.get("Outputs", [])}
                return stack["StackStatus"], outputs

    def delete(self) -> str:
        self.cfn.delete_stack(StackName=self.stack_id)
        return self.rest()[0]

    def reason(self, status: str) -> str:
        events = self.cfn.describe_stack_events(StackName=self.stack_id)["StackEvents"]
        return next(
            str(event["ResourceStatusReason"])
            for event in events
            if (event["LogicalResourceId"], event["ResourceStatus"]) == ("Thing", status)
        )

    def requests(self) -> list[dict[str, Any]]:
        """Return what the function was asked, in order."""
        (group,) = self.logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{self.name}-")["logGroups"]
        events = self.logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
        return [json.loads(event["message"]) for event in events if event["message"].startswith("{")]


def test_the_life_of_a_custom_resource(client: Callable[..., Any]) -> None:
    stack = Stack(client, "custom")
    status, outputs = stack.deploy(template(Name="a", Count=3, Flags=[True, {"Deep": 1.5}]))
    assert (status, outputs["Id"]) == ("CREATE_COMPLETE", "made-a")
    said = json.loads(outputs["Said"])
    assert (said["Count"], said["Flags"]) == ("3", ["true", {"Deep": "1.5"}])

    status, outputs = stack.deploy(template(Name="a", Count=4), "update")
    assert (status, json.loads(outputs["Said"])["Count"]) == ("UPDATE_COMPLETE", "4")
    status, outputs = stack.deploy(template(Name="b"), "update")
    assert (status, outputs["Id"]) == ("UPDATE_COMPLETE", "made-b")
    assert stack.deploy(template(Name="c", Fail="Update"), "update")[0] == "UPDATE_ROLLBACK_COMPLETE"
    assert stack.reason("UPDATE_FAILED").startswith(
        "Received response status [FAILED] from custom resource. Message returned: it is not to be (RequestId: "
    )
    asyncio.run(until(lambda: len(stack.requests()) == 6, "the function's log tells of six requests"))
    asked = stack.requests()
    assert [(one["RequestType"], one.get("PhysicalResourceId")) for one in asked] == [
        ("Create", None),
        ("Update", "made-a"),
        ("Update", "made-a"),
        ("Delete", "made-a"),
        ("Update", "made-b"),
        ("Update", "made-b"),
    ]
    first, second = asked[:2]
    assert set(first) == {
        *("RequestType", "ServiceToken", "ResponseURL", "StackId", "RequestId", "LogicalResourceId", "ResourceType"),
        "ResourceProperties",
    }
    assert (first["ResourceType"], first["LogicalResourceId"]) == ("Custom::Thing", "Thing")
    assert first["StackId"] == stack.stack_id
    assert (second["OldResourceProperties"]["Count"], second["ResourceProperties"]["Count"]) == ("3", "4")
    assert stack.delete() == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    ("name", "source"),
    [("custom-nodejs", NODEJS), ("custom-https", BY_HTTPS), ("custom-url", BY_URL)],
    ids=["cfn-response", "https", "url"],
)
def test_functions_of_nodejs_answer(client: Callable[..., Any], name: str, source: str) -> None:
    stack = Stack(client, name)
    kind = "AWS::CloudFormation::CustomResource"
    status, outputs = stack.deploy(template(source, "nodejs20.x", kind))
    assert (status, outputs["Id"]) == ("CREATE_COMPLETE", "n"), stack.reason("CREATE_FAILED")
    assert stack.delete() == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    ("name", "properties", "words"),
    [
        (
            "custom-refuses",
            {"Fail": "Create"},
            "Received response status [FAILED] from custom resource. Message returned: it is not to be (RequestId: ",
        ),
        (
            "custom-fails",
            {"Raise": "yes"},
            "The function of the custom resource failed before it had answered: no luck",
        ),
        ("custom-slow", {"ServiceTimeout": "0"}, "ServiceTimeout must be a number from 1 to 3600"),
        ("custom-slower", {"ServiceTimeout": "9" * 5000}, "ServiceTimeout must be a number from 1 to 3600"),
        ("custom-deep", {"Raw": "[" * 2000}, "Invalid response object: it must be a JSON object"),
        (
            "custom-topic",
            {"ServiceToken": "arn:aws:sns:us-east-1:000000000000:t"},
            "A topic of SNS as the ServiceToken of a custom resource is not implemented by Cumulet.",
        ),
    ],
)
def test_a_function_that_does_not_make_it_fails_the_stack(
    client: Callable[..., Any], name: str, properties: dict[str, Any], words: str
) -> None:
    stack = Stack(client, name)
    status, _ = stack.deploy(template(**properties))
    assert stack.reason("CREATE_FAILED").startswith(words)
    assert status == ("ROLLBACK_FAILED" if "Raise" in properties else "ROLLBACK_COMPLETE")


def test_what_a_resource_needs_that_cannot_be_deleted_stays(client: Callable[..., Any]) -> None:
    stack = Stack(client, "custom-stays")
    assert stack.deploy(template(Raise="yes"))[0] == "ROLLBACK_FAILED"
    listed = stack.cfn.describe_stack_resources(StackName=stack.name)["StackResources"]
    assert {item["LogicalResourceId"]: item["ResourceStatus"] for item in listed} == {
        "Role": "CREATE_COMPLETE",
        "Function": "CREATE_COMPLETE",
        "Thing": "DELETE_FAILED",
    }
    assert stack.delete() == "DELETE_FAILED"
    stack.cfn.delete_stack(StackName=stack.name, RetainResources=["Thing"])
    assert stack.rest()[0] == "DELETE_COMPLETE"


def test_answers_that_nobody_waits_for_are_refused(server: Server) -> None:
    place = "000000000000/us-east-1/s/uuid/token"
    url = f"{server.endpoint}/_cumulet/cloudformation/answers/{place}"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(url, b"{}", method="PUT"), timeout=20)
    assert (refused.value.code, b"nobody waits" in refused.value.read()) == (403, True)
    refused.value.close()
