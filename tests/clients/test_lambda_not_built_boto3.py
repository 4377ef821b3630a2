"""What AWS's Lambda has and this one has not, through boto3: refused by its name, and nothing is done."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from functions import Functions

PROVIDER = "arn:aws:lambda:us-east-1:000000000000:capacity-provider:mine"
MANAGED = {
    "CapacityProviderConfig": {"LambdaManagedInstancesCapacityProviderConfig": {"CapacityProviderArn": PROVIDER}}
}
SUBNETS = {"VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}}
NO_SUBNETS = {"VpcConfig": {"SubnetIds": [], "SecurityGroupIds": [], "Ipv6AllowedForDualStack": False}}
PUBLISHED = "$LATEST.PUBLISHED"
OF_PUBLISHED = {"Qualifier": PUBLISHED}
DURABLE = {"DurableConfig": {"RetentionPeriodInDays": 1, "ExecutionTimeout": 60}}
OWN_RUNTIME = {
    "RuntimeConfig": {"RuntimeArn": "arn:aws:lambda:us-east-1:000000000000:runtime/mine", "RuntimeAlias": "live"}
}
ACCELERATED = {"AcceleratorConfig": {"AcceleratorMemorySize": 16}}


@pytest.fixture(scope="module")
def functions(server: Any) -> Iterator[Functions]:
    with Functions(server, "not-built") as made:
        yield made


@pytest.fixture(scope="module")
def function(functions: Functions) -> str:
    return functions.make({"app.py": "handler = lambda event, context: event"})


def refusal(call: Any, **params: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as caught:
        call(**params)
    refused = caught.value.response
    return refused["ResponseMetadata"]["HTTPStatusCode"], refused["Error"]["Code"], refused["Error"]["Message"]


OF_CONFIGURATIONS = [
    (MANAGED, "The parameter CapacityProviderConfig of lambda:{}"),
    (DURABLE, "The parameter DurableConfig of lambda:{}"),
    (OWN_RUNTIME, "The parameter RuntimeConfig of lambda:{}"),
    (ACCELERATED, "The parameter AcceleratorConfig of lambda:{}"),
    (SUBNETS, "The parameter VpcConfig of Lambda functions"),
    ({"VpcConfig": {**NO_SUBNETS["VpcConfig"], "Ipv6AllowedForDualStack": True}}, "The parameter VpcConfig of Lambda"),
]


@pytest.mark.parametrize(("more", "named"), OF_CONFIGURATIONS)
def test_what_a_configuration_cannot_have(
    functions: Functions, function: str, more: dict[str, Any], named: str
) -> None:
    before = functions.client.get_function_configuration(FunctionName=function)["RevisionId"]
    refused = refusal(functions.client.update_function_configuration, FunctionName=function, **more)
    assert refused[:2] == (501, "NotImplementedException")
    assert refused[2].startswith(named.format("UpdateFunctionConfiguration"))
    assert functions.client.get_function_configuration(FunctionName=function)["RevisionId"] == before
    with pytest.raises(ClientError, match=named.format("CreateFunction")):
        functions.make({"app.py": ""}, **more)


def test_a_configuration_without_subnets(functions: Functions, function: str) -> None:
    for subnets in (NO_SUBNETS, {"VpcConfig": {}}):
        functions.client.update_function_configuration(FunctionName=function, **subnets)
        made = functions.make({"app.py": "handler = lambda event, context: event"}, **subnets)
        assert functions.invoke(made, 1) == 1


OPERATIONS: list[tuple[str, dict[str, Any], str]] = [
    ("publish_version", {"PublishTo": "LATEST_PUBLISHED"}, "The parameter PublishTo of lambda:PublishVersion"),
    (
        "update_function_code",
        {"PublishTo": "LATEST_PUBLISHED", "Publish": True, "ZipFile": b""},
        "The parameter PublishTo of lambda:UpdateFunctionCode",
    ),
    ("invoke", OF_PUBLISHED, f"The qualifier {PUBLISHED}"),
    ("invoke_with_response_stream", OF_PUBLISHED, f"The qualifier {PUBLISHED}"),
    ("get_function", OF_PUBLISHED, f"The qualifier {PUBLISHED}"),
    ("get_function_configuration", OF_PUBLISHED, f"The qualifier {PUBLISHED}"),
    ("delete_function", OF_PUBLISHED, f"The qualifier {PUBLISHED}"),
    ("get_policy", OF_PUBLISHED, f"The qualifier {PUBLISHED}"),
    (
        "add_permission",
        {**OF_PUBLISHED, "StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"},
        f"The qualifier {PUBLISHED}",
    ),
    ("remove_permission", {**OF_PUBLISHED, "StatementId": "s"}, f"The qualifier {PUBLISHED}"),
    ("put_function_event_invoke_config", {**OF_PUBLISHED, "MaximumRetryAttempts": 1}, f"The qualifier {PUBLISHED}"),
    ("update_function_event_invoke_config", {**OF_PUBLISHED, "MaximumRetryAttempts": 1}, f"The qualifier {PUBLISHED}"),
    ("get_function_event_invoke_config", OF_PUBLISHED, f"The qualifier {PUBLISHED}"),
    ("delete_function_event_invoke_config", OF_PUBLISHED, f"The qualifier {PUBLISHED}"),
    ("put_runtime_management_config", {**OF_PUBLISHED, "UpdateRuntimeOn": "Auto"}, f"The qualifier {PUBLISHED}"),
    ("get_runtime_management_config", OF_PUBLISHED, f"The qualifier {PUBLISHED}"),
    ("get_function_scaling_config", {"Qualifier": "1"}, "lambda:GetFunctionScalingConfig"),
    (
        "put_function_scaling_config",
        {**OF_PUBLISHED, "FunctionScalingConfig": {"MinExecutionEnvironments": 1}},
        "lambda:PutFunctionScalingConfig",
    ),
]


@pytest.mark.parametrize(("operation", "more", "named"), OPERATIONS, ids=[row[0] for row in OPERATIONS])
def test_what_operations_cannot_be_asked(
    functions: Functions, function: str, operation: str, more: dict[str, Any], named: str
) -> None:
    status, code, words = refusal(getattr(functions.client, operation), FunctionName=function, **more)
    assert (status, code) == (501, "NotImplementedException")
    assert words.startswith(f"{named} is not implemented")


def test_a_name_may_have_that_qualifier_in_it(functions: Functions, function: str) -> None:
    arn = functions.client.get_function(FunctionName=function)["Configuration"]["FunctionArn"]
    for name in (f"{function}:{PUBLISHED}", f"{arn}:{PUBLISHED}"):
        refused = refusal(functions.client.invoke, FunctionName=name)
        assert refused[:2] == (501, "NotImplementedException")
        assert refused[2].startswith(f"The qualifier {PUBLISHED} is not implemented")


PROVIDERS: list[tuple[str, dict[str, Any]]] = [
    (
        "CreateCapacityProvider",
        {
            "VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
            "PermissionsConfig": {"CapacityProviderOperatorRoleArn": "arn:aws:iam::000000000000:role/r"},
        },
    ),
    ("GetCapacityProvider", {}),
    ("UpdateCapacityProvider", {}),
    ("DeleteCapacityProvider", {}),
    ("ListFunctionVersionsByCapacityProvider", {}),
]


@pytest.mark.parametrize(("operation", "more"), PROVIDERS, ids=[row[0] for row in PROVIDERS])
def test_there_are_no_capacity_providers(functions: Functions, operation: str, more: dict[str, Any]) -> None:
    call = getattr(functions.client, xform_name(operation))
    refused = refusal(call, CapacityProviderName="mine", **more)
    assert refused[:2] == (501, "NotImplementedException")
    assert refused[2].startswith(f"lambda:{operation} is not implemented")
