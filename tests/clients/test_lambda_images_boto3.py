"""Functions from container images through boto3 and CloudFormation, with a real engine on the server's machine."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from podman import Engine, engine
from running import Server, start_server

pytestmark = pytest.mark.slow

FAST = {"Delay": 0, "MaxAttempts": 2000}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ECR = "000000000000.dkr.ecr.us-east-1.amazonaws.com/cumulet-client-tests"


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with engine(tmp_path_factory.mktemp("engine")) as made:
        yield made


@pytest.fixture(scope="module")
def digests(podman: Engine) -> dict[str, str]:
    """By name, the digests of two images."""
    files = {"run": podman.program}
    return {
        f"{ECR}:{word}": podman.build(f"{ECR}:{word}", f'ENTRYPOINT ["/run", "{word}"]', files=files)
        for word in ("one", "two")
    }


@pytest.fixture(scope="module")
def own_server(podman: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("images") / "data", environ=podman.environ)
    try:
        yield running
    finally:
        assert running.stop() == 0


@pytest.fixture(scope="module")
def role(own_server: Server) -> str:
    made = own_server.client("iam").create_role(RoleName="images", AssumeRolePolicyDocument=json.dumps(TRUST))
    return str(made["Role"]["Arn"])


@pytest.fixture(scope="module")
def functions(own_server: Server) -> Any:
    return own_server.client("lambda")


def ask(functions: Any, name: str, event: str = "words") -> Any:
    return json.load(functions.invoke(FunctionName=name, Payload=json.dumps(event))["Payload"])


def test_a_function_from_an_image(functions: Any, digests: dict[str, str], role: str) -> None:
    image = {"ImageUri": f"{ECR}:one"}
    created = functions.create_function(FunctionName="images", Role=role, PackageType="Image", Code=image, Publish=True)
    assert (created["PackageType"], created["CodeSha256"]) == ("Image", digests[f"{ECR}:one"])
    functions.get_waiter("function_active_v2").wait(FunctionName="images", WaiterConfig=FAST)
    assert ask(functions, "images") == "/run one "

    resolved = f"{ECR}@sha256:{digests[f'{ECR}:one']}"
    code = functions.get_function(FunctionName="images")["Code"]
    assert code == {"RepositoryType": "ECR", "ImageUri": f"{ECR}:one", "ResolvedImageUri": resolved}

    functions.update_function_code(FunctionName="images", ImageUri=f"{ECR}:two")
    functions.get_waiter("function_updated_v2").wait(FunctionName="images", WaiterConfig=FAST)
    assert (ask(functions, "images"), ask(functions, "images:1")) == ("/run two ", "/run one ")

    functions.update_function_configuration(FunctionName="images", ImageConfig={"Command": ["x"]})
    told = functions.get_function_configuration(FunctionName="images")
    assert told["ImageConfigResponse"] == {"ImageConfig": {"Command": ["x"]}}
    assert ask(functions, "images") == "/run two x "


def test_an_image_is_deployed_by_its_digest_too(functions: Any, digests: dict[str, str], role: str) -> None:
    uri = f"{ECR}@sha256:{digests[f'{ECR}:two']}"
    functions.create_function(FunctionName="by-digest", Role=role, PackageType="Image", Code={"ImageUri": uri})
    assert functions.get_function(FunctionName="by-digest")["Code"]["ResolvedImageUri"] == uri
    assert ask(functions, "by-digest") == "/run two "


REFUSED = [
    (
        "nobody has it",
        {"Code": {"ImageUri": f"{ECR}:none"}},
        f"Source image {ECR}:none does not exist. Provide a valid source image.",
    ),
    (
        "no name",
        {"Code": {"ImageUri": "dir:/etc"}},
        "Source image dir:/etc is not valid. Provide a valid source image.",
    ),
    (
        "a handler",
        {"Code": {"ImageUri": f"{ECR}:one"}, "Handler": "a.b"},
        "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image.",
    ),
]


@pytest.mark.parametrize(("more", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_refused(functions: Any, digests: dict[str, str], role: str, more: dict[str, Any], words: str) -> None:
    with pytest.raises(ClientError) as caught:
        functions.create_function(FunctionName="refused", Role=role, PackageType="Image", **more)
    assert caught.value.response["Error"] == {"Code": "InvalidParameterValueException", "Message": words}


def template(word: str, kind: str, **more: Any) -> str:
    """Return a template with a function from an image, as CloudFormation or as SAM has it."""
    if kind == "AWS::Serverless::Function":
        return json.dumps(
            {
                "Transform": "AWS::Serverless-2016-10-31",
                "Resources": {
                    "F": {"Type": kind, "Properties": {"PackageType": "Image", "ImageUri": f"{ECR}:{word}", **more}}
                },
                "Outputs": {"Name": {"Value": {"Ref": "F"}}},
            }
        )
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}
    properties = {
        "PackageType": "Image",
        "Code": {"ImageUri": f"{ECR}:{word}"},
        "Role": {"Fn::GetAtt": ["R", "Arn"]},
        **more,
    }
    return json.dumps(
        {
            "Resources": {"R": role, "F": {"Type": kind, "Properties": properties}},
            "Outputs": {"Name": {"Value": {"Ref": "F"}}},
        }
    )


@pytest.mark.parametrize("kind", ["AWS::Lambda::Function", "AWS::Serverless::Function"])
def test_a_stack(own_server: Server, functions: Any, digests: dict[str, str], kind: str) -> None:
    cfn, stack = own_server.client("cloudformation"), f"images-{kind.split(':')[2]}"

    def deploy(body: str, verb: str) -> str:
        capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
        getattr(cfn, f"{verb}_stack")(StackName=stack, TemplateBody=body, Capabilities=capabilities)
        try:
            cfn.get_waiter(f"stack_{verb}_complete").wait(StackName=stack, WaiterConfig=FAST)
        except WaiterError:
            events = cfn.describe_stack_events(StackName=stack)["StackEvents"]
            raise AssertionError([event.get("ResourceStatusReason") for event in events]) from None
        return str(cfn.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"][0]["OutputValue"])

    name = deploy(template("one", kind, ImageConfig={"Command": ["x"]}), "create")
    assert ask(functions, name) == "/run one x "
    assert deploy(template("two", kind), "update") == name
    assert ask(functions, name) == "/run two "
    cfn.delete_stack(StackName=stack)
    cfn.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig=FAST)
