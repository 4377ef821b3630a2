"""What cannot work is refused in AWS's words, and leaves nothing behind."""

import io
import json
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from running import Server

pytestmark = pytest.mark.slow

ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/refusals"


def trusting(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def packed(source: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("app.py", source)
    return archive.getvalue()


def refusal(call: Any, **params: Any) -> tuple[str, str]:
    """Return the code and the words with which a call is refused."""
    with pytest.raises(ClientError) as refused:
        call(**params)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture(scope="module")
def functions(server: Server) -> Iterator[Any]:
    iam = server.client("iam")
    iam.create_role(RoleName="refusals", AssumeRolePolicyDocument=trusting("lambda.amazonaws.com"))
    iam.create_role(RoleName="refusals-other", AssumeRolePolicyDocument=trusting("ec2.amazonaws.com"))
    yield server.client("lambda")
    for name in ("refusals", "refusals-other"):
        iam.delete_role(RoleName=name)


def create(functions: Any, name: str, **params: Any) -> dict[str, Any]:
    given = {"Role": ROLE, "Runtime": "python3.12", "Handler": "app.handler", "Code": {"ZipFile": packed("")}}
    made: dict[str, Any] = functions.create_function(FunctionName=name, **{**given, **params})
    return made


NOT_MADE: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "no archive": (
        {"Code": {"ZipFile": b"this is no archive"}},
        (
            "InvalidParameterValueException",
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
        ),
    ),
    "a role that Lambda may not assume": (
        {"Role": f"{ROLE}-other"},
        ("InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda."),
    ),
    "a role that is not there": (
        {"Role": f"{ROLE}-none"},
        ("InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda."),
    ),
}


@pytest.mark.parametrize("case", NOT_MADE)
def test_a_function_that_cannot_be_is_not_made(functions: Any, case: str) -> None:
    params, words = NOT_MADE[case]
    assert refusal(lambda **more: create(functions, "refused", **more), **params) == words
    assert refusal(functions.get_function, FunctionName="refused")[0] == "ResourceNotFoundException"


FAILING: dict[str, tuple[str, str, str, str]] = {
    # source, handler, error type, words
    "no such module": ("", "other.handler", "Runtime.ImportModuleError", "Unable to import module 'other'"),
    "no such function": (
        "x = 1",
        "app.handler",
        "Runtime.HandlerNotFound",
        "Handler 'handler' missing on module 'app'",
    ),
    "no dot": ("", "handler", "Runtime.MalformedHandlerName", "Bad handler 'handler'"),
    "a syntax error": ("def handler(:", "app.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app'"),
}


def test_code_that_cannot_run_says_so_when_it_is_invoked(functions: Any) -> None:
    for number, (source, handler, kind, words) in enumerate(FAILING.values()):
        name = f"failing-{number}"
        create(functions, name, Code={"ZipFile": packed(source)}, Handler=handler)
        answer = functions.invoke(FunctionName=name)
        payload = json.loads(answer["Payload"].read())
        assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
        assert payload["errorType"] == kind
        assert words in payload["errorMessage"]
        functions.delete_function(FunctionName=name)


def test_an_api_without_permission_to_call_its_function_answers_500(server: Server, functions: Any) -> None:
    arn = create(functions, "uncallable")["FunctionArn"]
    apis = server.client("apigatewayv2")
    api = apis.create_api(Name="uncallable", ProtocolType="HTTP", Target=arn)["ApiId"]
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.urlopen(f"{server.endpoint}/_aws/execute-api/{api}/", timeout=20)
    with answer.value as refused:
        assert (refused.code, json.loads(refused.read())) == (500, {"message": "Internal Server Error"})
    apis.delete_api(ApiId=api)
    functions.delete_function(FunctionName="uncallable")


GROUP = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "refused-stack", "RetentionInDays": 7}}
BAD_TEMPLATES: dict[str, tuple[dict[str, Any], str]] = {
    "cycle": (
        {"A": {**GROUP, "DependsOn": "B"}, "B": {"Type": "AWS::S3::Bucket", "DependsOn": "A"}},
        "Circular dependency between resources: [A, B]",
    ),
    "unknown type": ({"A": GROUP, "B": {"Type": "AWS::No::Such"}}, "AWS::No::Such"),
    "unresolved reference": (
        {"A": GROUP, "B": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": {"Ref": "C"}}}},
        "Unresolved resource dependencies [C] in the Resources block of the template",
    ),
}


@pytest.mark.parametrize("case", BAD_TEMPLATES)
def test_a_template_that_cannot_be_makes_nothing(server: Server, case: str) -> None:
    resources, words = BAD_TEMPLATES[case]
    stacks, name = server.client("cloudformation"), f"refused-{case.replace(' ', '-')}"
    code, message = refusal(stacks.create_stack, StackName=name, TemplateBody=json.dumps({"Resources": resources}))
    assert code == "ValidationError"
    assert words in message
    assert refusal(stacks.describe_stacks, StackName=name) == (
        "ValidationError",
        f"Stack with id {name} does not exist",
    )
    assert not server.client("logs").describe_log_groups(logGroupNamePrefix="refused-stack")["logGroups"]


def test_a_stack_that_fails_leaves_nothing_behind(server: Server) -> None:
    resources = {
        "Group": GROUP,
        "Bucket": {"Type": "AWS::S3::Bucket", "DependsOn": "Group", "Properties": {"BucketName": "refused-stack"}},
        "Role": {
            "Type": "AWS::IAM::Role",
            "DependsOn": "Bucket",
            "Properties": {"AssumeRolePolicyDocument": json.loads(trusting("lambda.amazonaws.com")), "Bogus": 1},
        },
    }
    stacks = server.client("cloudformation")
    stacks.create_stack(
        StackName="rolled-back", TemplateBody=json.dumps({"Resources": resources}), Capabilities=["CAPABILITY_IAM"]
    )
    with pytest.raises(WaiterError):
        stacks.get_waiter("stack_create_complete").wait(
            StackName="rolled-back", WaiterConfig={"Delay": 0.2, "MaxAttempts": 50}
        )
    assert stacks.describe_stacks(StackName="rolled-back")["Stacks"][0]["StackStatus"] == "ROLLBACK_COMPLETE"
    events = stacks.describe_stack_events(StackName="rolled-back")["StackEvents"]
    failed = [
        event for event in events if event["ResourceStatus"] == "CREATE_FAILED" and event["LogicalResourceId"] == "Role"
    ]
    assert "Bogus" in failed[0]["ResourceStatusReason"]
    assert not server.client("logs").describe_log_groups(logGroupNamePrefix="refused-stack")["logGroups"]
    assert refusal(server.client("s3").head_bucket, Bucket="refused-stack")[0] == "404"
    stacks.delete_stack(StackName="rolled-back")


DENIED: dict[str, tuple[str, dict[str, Any], str, str]] = {
    # operation, params, code, action and resource
    "dynamodb": (
        "describe_table",
        {"TableName": "secret"},
        "AccessDeniedException",
        f"dynamodb:DescribeTable on resource: arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/secret",
    ),
    "logs": (
        "delete_log_group",
        {"logGroupName": "secret"},
        "AccessDeniedException",
        f"logs:DeleteLogGroup on resource: arn:aws:logs:us-east-1:{ACCOUNT}:log-group:secret:log-stream:",
    ),
    "lambda": (
        "invoke",
        {"FunctionName": "secret"},
        "AccessDeniedException",
        f"lambda:InvokeFunction on resource: arn:aws:lambda:us-east-1:{ACCOUNT}:function:secret",
    ),
    "apigateway": (
        "get_rest_apis",
        {},
        "AccessDeniedException",
        "apigateway:GET on resource: arn:aws:apigateway:us-east-1::/restapis",
    ),
    "iam": (
        "get_role",
        {"RoleName": "secret"},
        "AccessDenied",
        f"iam:GetRole on resource: arn:aws:iam::{ACCOUNT}:role/secret",
    ),
    "cloudformation": (
        "delete_stack",
        {"StackName": "secret"},
        "AccessDenied",
        f"cloudformation:DeleteStack on resource: arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/secret/*",
    ),
    "s3": (
        "get_object",
        {"Bucket": "secret", "Key": "k"},
        "AccessDenied",
        "s3:GetObject on resource: arn:aws:s3:::secret/k",
    ),
}


def test_a_user_without_permissions_is_told_which_one_is_missing(server: Server) -> None:
    iam = server.client("iam")
    iam.create_user(UserName="nobody-much")
    key = iam.create_access_key(UserName="nobody-much")["AccessKey"]
    for service, (operation, params, code, wanted) in DENIED.items():
        caller = server.client(service, key["AccessKeyId"], key["SecretAccessKey"])
        found = refusal(getattr(caller, operation), **params)
        action = wanted.partition(" ")[0]
        assert found == (
            code,
            f"User: arn:aws:iam::{ACCOUNT}:user/nobody-much is not authorized to perform: {wanted} "
            f"because no identity-based policy allows the {action} action",
        )
    iam.delete_access_key(UserName="nobody-much", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="nobody-much")
