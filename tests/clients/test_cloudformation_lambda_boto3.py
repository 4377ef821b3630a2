"""What SAM makes of a function with an alias: versions that are published as the code changes, through boto3."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

FAST = {"Delay": 0, "MaxAttempts": 2000}
pytestmark = pytest.mark.slow


def template(answer: str, **more: Any) -> str:
    function = {
        "Runtime": "python3.11",
        "Handler": "index.handler",
        "InlineCode": "def handler(event, context):\n"
        f"    return {{'answer': '{answer}', 'version': context.function_version}}\n",
        "AutoPublishAlias": "live",
        "ReservedConcurrentExecutions": 5,
        "EventInvokeConfig": {"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 120},
        **more,
    }
    return json.dumps(
        {
            "Transform": "AWS::Serverless-2016-10-31",
            "Resources": {"F": {"Type": "AWS::Serverless::Function", "Properties": function}},
            "Outputs": {"Alias": {"Value": {"Ref": "F.Alias"}}, "Name": {"Value": {"Ref": "F"}}},
        }
    )


def deploy(cfn: Any, body: str, kind: str = "create") -> dict[str, str]:
    capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    getattr(cfn, f"{kind}_stack")(StackName="versions", TemplateBody=body, Capabilities=capabilities)
    try:
        cfn.get_waiter(f"stack_{kind}_complete").wait(StackName="versions", WaiterConfig=FAST)
    except WaiterError:
        events = cfn.describe_stack_events(StackName="versions")["StackEvents"]
        raise AssertionError([event.get("ResourceStatusReason") for event in events]) from None
    outputs = cfn.describe_stacks(StackName="versions")["Stacks"][0]["Outputs"]
    return {output["OutputKey"]: output["OutputValue"] for output in outputs}


def invoke(lambda_: Any, arn: str) -> Any:
    return json.load(lambda_.invoke(FunctionName=arn)["Payload"])


def test_an_alias_follows_the_code(client: Callable[..., Any]) -> None:
    cfn, lambda_ = client("cloudformation"), client("lambda")
    outputs = deploy(cfn, template("one"))
    alias, name = outputs["Alias"], outputs["Name"]
    assert alias.endswith(f":function:{name}:live")
    assert invoke(lambda_, alias) == {"answer": "one", "version": "1"}
    assert lambda_.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"] == 5
    config = lambda_.get_function_event_invoke_config(FunctionName=name, Qualifier="live")
    assert (config["MaximumRetryAttempts"], config["MaximumEventAgeInSeconds"]) == (1, 120)

    deploy(cfn, template("two", ReservedConcurrentExecutions=7), "update")
    assert invoke(lambda_, alias) == {"answer": "two", "version": "2"}
    assert invoke(lambda_, f"{name}:1") == {"answer": "one", "version": "1"}  # SAM retains what it published
    assert lambda_.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"] == 7

    cfn.delete_stack(StackName="versions")
    cfn.get_waiter("stack_delete_complete").wait(StackName="versions", WaiterConfig=FAST)
    assert not [f for f in lambda_.list_functions()["Functions"] if f["FunctionName"] == name]


def test_a_function_that_keeps_tenants_apart_is_another(client: Callable[..., Any]) -> None:
    cfn, lambda_ = client("cloudformation"), client("lambda")
    apart = deploy(cfn, template("one", TenancyConfig={"TenantIsolationMode": "PER_TENANT"}))["Name"]
    answer = lambda_.invoke(FunctionName=apart, TenantId="blue")
    assert json.load(answer["Payload"])["answer"] == "one"
    shared = deploy(cfn, template("one"), "update")["Name"]
    assert shared != apart
    assert invoke(lambda_, shared)["answer"] == "one"
    assert "TenancyConfig" not in lambda_.get_function_configuration(FunctionName=shared)
    cfn.delete_stack(StackName="versions")
    cfn.get_waiter("stack_delete_complete").wait(StackName="versions", WaiterConfig=FAST)


def test_a_function_with_a_layer_and_a_url(client: Callable[..., Any]) -> None:
    cfn, lambda_, s3 = client("cloudformation"), client("lambda"), client("s3")
    s3.create_bucket(Bucket="layers-of-a-stack")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("python/greeting.py", "WORDS = 'from the layer'\n")
    s3.put_object(Bucket="layers-of-a-stack", Key="layer.zip", Body=archive.getvalue())
    content = {"S3Bucket": "layers-of-a-stack", "S3Key": "layer.zip"}
    body = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Layer": {
                "Type": "AWS::Lambda::LayerVersion",
                "Properties": {"LayerName": "greetings", "Content": content},
            },
            "F": {
                "Type": "AWS::Serverless::Function",
                "Properties": {
                    "Runtime": "python3.11",
                    "Handler": "index.handler",
                    "InlineCode": "from greeting import WORDS\ndef handler(event, context):\n    return WORDS\n",
                    "Layers": [{"Ref": "Layer"}],
                    "FunctionUrlConfig": {"AuthType": "NONE", "Cors": {"AllowOrigins": ["*"]}},
                },
            },
        },
        "Outputs": {"Url": {"Value": {"Fn::GetAtt": ["FUrl", "FunctionUrl"]}}, "Name": {"Value": {"Ref": "F"}}},
    }
    outputs = deploy(cfn, json.dumps(body))
    assert invoke(lambda_, outputs["Name"]) == "from the layer"
    config = lambda_.get_function_url_config(FunctionName=outputs["Name"])
    assert (config["FunctionUrl"], config["AuthType"]) == (outputs["Url"], "NONE")
    cfn.delete_stack(StackName="versions")
    cfn.get_waiter("stack_delete_complete").wait(StackName="versions", WaiterConfig=FAST)
    assert not lambda_.list_layer_versions(LayerName="greetings")["LayerVersions"]


def test_what_is_set_beside_a_function(client: Callable[..., Any]) -> None:
    cfn, lambda_ = client("cloudformation"), client("lambda")
    signing = {
        "Type": "AWS::Lambda::CodeSigningConfig",
        "Properties": {
            "AllowedPublishers": {
                "SigningProfileVersionArns": ["arn:aws:signer:us-east-1:000000000000:/signing-profiles/team/abcdefghij"]
            }
        },
    }

    def body(count: int, source: str = "one", **more: Any) -> str:
        whole = json.loads(
            template(
                source,
                ReservedConcurrentExecutions=9,
                ProvisionedConcurrencyConfig={"ProvisionedConcurrentExecutions": count},
                **more,
            )
        )
        whole["Resources"]["Signing"] = signing
        return json.dumps(whole)

    beside = {"CodeSigningConfigArn": {"Ref": "Signing"}, "RecursiveLoop": "Allow"}
    name = deploy(cfn, body(1, **beside, RuntimeManagementConfig={"UpdateRuntimeOn": "FunctionUpdate"}))["Name"]

    def provisioned() -> tuple[str, int]:
        found = lambda_.get_provisioned_concurrency_config(FunctionName=name, Qualifier="live")
        return found["Status"], found["AvailableProvisionedConcurrentExecutions"]

    assert provisioned() == ("READY", 1)
    assert lambda_.get_function_recursion_config(FunctionName=name)["RecursiveLoop"] == "Allow"
    assert lambda_.get_runtime_management_config(FunctionName=name)["UpdateRuntimeOn"] == "FunctionUpdate"
    assert "CodeSigningConfigArn" in lambda_.get_function_code_signing_config(FunctionName=name)
    deploy(cfn, body(2, "two"), "update")
    assert provisioned() == ("READY", 2)
    assert lambda_.get_function_recursion_config(FunctionName=name)["RecursiveLoop"] == "Terminate"
    assert "CodeSigningConfigArn" not in lambda_.get_function_code_signing_config(FunctionName=name)
    with pytest.raises(AssertionError, match="FUNCTION_ERROR_INIT_FAILURE"):
        deploy(cfn, body(2, "three", Handler="index.absent"), "update")
    assert provisioned() == ("READY", 2)
    cfn.delete_stack(StackName="versions")
    cfn.get_waiter("stack_delete_complete").wait(StackName="versions", WaiterConfig=FAST)


def test_a_function_with_snapstart(client: Callable[..., Any]) -> None:
    cfn, lambda_ = client("cloudformation"), client("lambda")
    on = {"Runtime": "python3.12", "SnapStart": {"ApplyOn": "PublishedVersions"}, "Tracing": "Active"}
    whole = json.loads(template("one", **on))
    whole["Outputs"]["ApplyOn"] = {"Value": {"Fn::GetAtt": ["F", "SnapStartResponse.ApplyOn"]}}
    outputs = deploy(cfn, json.dumps(whole))
    assert outputs["ApplyOn"] == "PublishedVersions"
    assert invoke(lambda_, outputs["Alias"]) == {"answer": "one", "version": "1"}
    version = lambda_.get_function_configuration(FunctionName=outputs["Name"], Qualifier="1")
    assert version["SnapStart"]["OptimizationStatus"] == "On"
    assert version["TracingConfig"]["Mode"] == "Active"
    with pytest.raises(AssertionError, match=r"Runtime\.HandlerNotFound"):
        deploy(cfn, template("two", **on, Handler="index.absent"), "update")
    deploy(cfn, template("three", Runtime="python3.12"), "update")
    latest = lambda_.get_function_configuration(FunctionName=outputs["Name"])
    assert latest["SnapStart"] == {"ApplyOn": "None", "OptimizationStatus": "Off"}
    cfn.delete_stack(StackName="versions")
    cfn.get_waiter("stack_delete_complete").wait(StackName="versions", WaiterConfig=FAST)


def test_applications_of_awss_repository_are_refused_by_name(client: Callable[..., Any]) -> None:
    """AWS's own translator would ask AWS's repository for them, with whatever credentials it finds."""
    location = {"ApplicationId": "arn:aws:serverlessrepo:us-east-1:1:applications/a", "SemanticVersion": "1.0.0"}
    resource = {"Type": "AWS::Serverless::Application", "Properties": {"Location": location}}
    body = {"Transform": "AWS::Serverless-2016-10-31", "Resources": {"Nested": resource}}
    with pytest.raises(ClientError, match="AWS::Serverless::Application of the Serverless Application Repository"):
        client("cloudformation").create_stack(
            StackName="nested", TemplateBody=json.dumps(body), Capabilities=["CAPABILITY_AUTO_EXPAND"]
        )


def test_durable_functions_are_refused_by_name(client: Callable[..., Any]) -> None:
    """The transform gives such a function a policy of its own, which must not be what is refused."""
    cfn = client("cloudformation")
    body = template("one", DurableConfig={"ExecutionTimeout": 60})
    with pytest.raises(AssertionError, match="The property DurableConfig of AWS::Lambda::Function is not implemented"):
        deploy(cfn, body)
    cfn.delete_stack(StackName="versions")
    cfn.get_waiter("stack_delete_complete").wait(StackName="versions", WaiterConfig=FAST)


def test_gradual_deployments_are_refused_by_name(client: Callable[..., Any]) -> None:
    body = template("one", DeploymentPreference={"Type": "Linear10PercentEvery1Minute"})
    with pytest.raises(
        ClientError, match=r"DeploymentPreference \(gradual deployments by CodeDeploy\) is not implemented"
    ):
        deploy(client("cloudformation"), body)
