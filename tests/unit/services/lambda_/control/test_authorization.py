"""Who may do what with a function, decided by the real IAM over its own records."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.iam import IamAuthorizer
from cumulet.services.kit import Principal, Service
from cumulet.services.lambda_ import build
from harness import SCOPE, House

ROLE = "arn:aws:iam::000000000000:role/runs"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:notes"
STRANGERS = Scope("111111111111", "us-east-1")
API = "arn:aws:execute-api:us-east-1:000000000000:abc123/live/GET/notes"


class GuardedHouse(House):
    """Lambda with IAM and STS as they are; only the execution plane is the test's."""

    def __init__(self, execution: Any) -> None:
        self.execution = execution
        super().__init__("lambda", "iam", "sts", authorizer=IamAuthorizer())

    def _builder(self, name: str) -> Callable[[], Service]:
        if name == "lambda":
            return lambda: build(self.ground, self.execution)
        if name == "sts":
            from cumulet.services.iam import build_sts

            return lambda: build_sts(self.ground)
        builder: Callable[[], Service] = super()._builder(name)
        return builder

    async def create_role(self, service: str = "lambda.amazonaws.com", name: str = "runs") -> None:
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        await self.call("iam", "CreateRole", {"RoleName": name, "AssumeRolePolicyDocument": document})

    async def denied(self, operation: str, params: dict[str, Any], principal: Principal, scope: Scope = SCOPE) -> str:
        with pytest.raises(ServiceError) as caught:
            await self.call("lambda", operation, params, principal=principal, scope=scope)
        assert caught.value.code == "AccessDeniedException"
        return caught.value.message


@pytest.fixture
async def guarded(creation: Any, fake_execution: Any) -> GuardedHouse:
    house = GuardedHouse(fake_execution)
    await house.create_role()
    await house.call("lambda", "CreateFunction", creation(Role=ROLE))
    return house


async def test_a_role_that_trusts_someone_else_is_refused(guarded: GuardedHouse, creation: Any) -> None:
    await guarded.create_role("ec2.amazonaws.com", "for-machines")
    for role in ("for-machines", "nobody"):
        with pytest.raises(ServiceError, match="cannot be assumed by Lambda"):
            await guarded.call("lambda", "CreateFunction", creation("other", Role=f"{ROLE[:-4]}{role}"))


async def test_a_service_needs_a_statement_in_the_functions_policy(guarded: GuardedHouse) -> None:
    gateway = Principal.service("apigateway.amazonaws.com", source_arn=API)
    await guarded.denied("Invoke", {"FunctionName": ARN}, gateway)
    permission = {"StatementId": "api", "Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com"}
    source = {"SourceArn": "arn:aws:execute-api:us-east-1:000000000000:abc123/*/GET/notes"}
    await guarded.call("lambda", "AddPermission", {"FunctionName": "notes", **permission, **source})
    assert (await guarded.call("lambda", "Invoke", {"FunctionName": ARN}, principal=gateway))["StatusCode"] == 200
    elsewhere = Principal.service("apigateway.amazonaws.com", source_arn=API.replace("GET", "POST"))
    await guarded.denied("Invoke", {"FunctionName": ARN}, elsewhere)


async def test_layers_and_code_signing_are_for_their_own_account(guarded: GuardedHouse, make_zip: Any) -> None:
    published = await guarded.call(
        "lambda", "PublishLayerVersion", {"LayerName": "shared", "Content": {"ZipFile": make_zip()}}
    )
    profiles = {"SigningProfileVersionArns": ["arn:aws:signer:us-east-1:000000000000:/signing-profiles/one/1"]}
    made = await guarded.call("lambda", "CreateCodeSigningConfig", {"AllowedPublishers": profiles})
    config = {"CodeSigningConfigArn": made["CodeSigningConfig"]["CodeSigningConfigArn"]}
    layer = {"LayerName": published["LayerArn"]}
    version = {**layer, "VersionNumber": 1}
    statement = {"StatementId": "all", "Action": "lambda:GetLayerVersion", "Principal": "*"}
    await guarded.call("lambda", "AddLayerVersionPermission", {**version, **statement})
    stranger = Principal.root(STRANGERS.account)
    call = partial(guarded.call, "lambda", principal=stranger, scope=STRANGERS)
    assert (await call("GetLayerVersion", version))["Version"] == 1
    refused: list[tuple[str, dict[str, Any]]] = [
        ("PublishLayerVersion", {**layer, "Content": {"ZipFile": make_zip()}}),
        ("ListLayerVersions", layer),
        ("DeleteLayerVersion", version),
        ("AddLayerVersionPermission", {**version, **statement}),
        ("GetLayerVersionPolicy", version),
        ("RemoveLayerVersionPermission", {**version, "StatementId": "all"}),
        ("GetCodeSigningConfig", config),
        ("UpdateCodeSigningConfig", config),
        ("ListFunctionsByCodeSigningConfig", config),
        ("DeleteCodeSigningConfig", config),
    ]
    for operation, params in refused:
        arn = params.get("CodeSigningConfigArn") or published["LayerVersionArn"]
        if operation in ("PublishLayerVersion", "ListLayerVersions"):
            arn = published["LayerArn"]
        assert await guarded.denied(operation, params, stranger, STRANGERS) == (
            f"User: arn:aws:iam::111111111111:root is not authorized to perform: lambda:{operation} on resource: {arn} "
            f"because no resource-based policy allows the lambda:{operation} action"
        )


async def test_a_destination_is_one_that_the_role_may_invoke(guarded: GuardedHouse, creation: Any) -> None:
    await guarded.call("lambda", "CreateFunction", creation("audit", Role=ROLE))
    audit = ARN.replace("notes", "audit")
    told = {"FunctionName": "notes", "DestinationConfig": {"OnFailure": {"Destination": audit}}}
    with pytest.raises(ServiceError) as caught:
        await guarded.call("lambda", "PutFunctionEventInvokeConfig", told)
    assert (caught.value.code, caught.value.message) == (
        "InvalidParameterValueException",
        f"The function's execution role does not have permissions to call InvokeFunction on {audit}",
    )
    allowed = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": audit}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    policy = {"RoleName": "runs", "PolicyName": "tell", "PolicyDocument": document}
    await guarded.call("iam", "PutRolePolicy", policy)
    kept = await guarded.call("lambda", "PutFunctionEventInvokeConfig", told)
    assert kept["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {"Destination": audit}}
    await guarded.call("iam", "DeleteRolePolicy", {"RoleName": "runs", "PolicyName": "tell"})
    less = {"FunctionName": "notes", "DestinationConfig": {"OnFailure": {"Destination": ""}}}
    left = await guarded.call("lambda", "UpdateFunctionEventInvokeConfig", less)
    assert left["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {}}


async def test_another_account_needs_a_statement_too(guarded: GuardedHouse) -> None:
    stranger = Principal.root(STRANGERS.account)
    for operation in ("Invoke", "GetFunction", "DeleteFunction"):
        await guarded.denied(operation, {"FunctionName": ARN}, stranger, STRANGERS)
    permission = {"StatementId": "friend", "Action": "lambda:InvokeFunction", "Principal": STRANGERS.account}
    await guarded.call("lambda", "AddPermission", {"FunctionName": "notes", **permission})
    answer = await guarded.call("lambda", "Invoke", {"FunctionName": ARN}, principal=stranger, scope=STRANGERS)
    assert answer["StatusCode"] == 200
    await guarded.denied("DeleteFunction", {"FunctionName": ARN}, stranger, STRANGERS)


async def test_nobody_creates_functions_in_another_account(guarded: GuardedHouse, creation: Any) -> None:
    stranger = Principal.root(STRANGERS.account)
    await guarded.denied("CreateFunction", creation(f"{ARN}-2"), stranger, STRANGERS)


async def test_the_anonymous_are_denied(guarded: GuardedHouse) -> None:
    await guarded.denied("Invoke", {"FunctionName": "notes"}, Principal.anonymous())


async def test_a_role_without_permission_gets_awss_words(guarded: GuardedHouse) -> None:
    session = Principal("role", "000000000000", "arn:aws:sts::000000000000:assumed-role/runs/x", "AROAX:x", "runs")
    assert await guarded.denied("Invoke", {"FunctionName": "notes"}, session) == (
        "User: arn:aws:sts::000000000000:assumed-role/runs/x is not authorized to perform: lambda:InvokeFunction on "
        f"resource: {ARN} because no identity-based policy allows the lambda:InvokeFunction action"
    )


async def user_who_may(house: GuardedHouse, *statements: dict[str, Any]) -> Principal:
    user = (await house.call("iam", "CreateUser", {"UserName": "ada"}))["User"]
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    await house.call("iam", "PutUserPolicy", {"UserName": "ada", "PolicyName": "p", "PolicyDocument": document})
    return Principal("user", SCOPE.account, user["Arn"], unique_id=user["UserId"], name="ada")


EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
LAYER = "arn:aws:lambda:us-east-1:999999999999:layer:theirs:1"
FORBIDDEN: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "AddPermission",
        {"lambda:Principal": "*"},
        {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "*"},
    ),
    (
        "AddPermission",
        {"lambda:FunctionUrlAuthType": "NONE"},
        {"StatementId": "s", "Action": "lambda:InvokeFunctionUrl", "Principal": "*", "FunctionUrlAuthType": "NONE"},
    ),
    ("CreateFunctionUrlConfig", {"lambda:FunctionUrlAuthType": "NONE"}, {"AuthType": "NONE"}),
    ("UpdateFunctionUrlConfig", {"lambda:FunctionUrlAuthType": "NONE"}, {"AuthType": "NONE"}),
    ("UpdateFunctionConfiguration", {"lambda:Layer": LAYER}, {"Layers": [LAYER]}),
]


@pytest.mark.parametrize(
    ("operation", "keys", "params"), FORBIDDEN, ids=[f"{row[0]}, {next(iter(row[1]))}" for row in FORBIDDEN]
)
async def test_policies_say_what_a_function_may_be_given(
    guarded: GuardedHouse, operation: str, keys: dict[str, str], params: dict[str, Any]
) -> None:
    deny = {**EVERYTHING, "Effect": "Deny", "Condition": {"ForAnyValue:StringEquals": keys}}
    ada = await user_who_may(guarded, EVERYTHING, deny)
    refusal = await guarded.denied(operation, {"FunctionName": "notes", **params}, ada)
    assert refusal.endswith("with an explicit deny in an identity-based policy")
    await guarded.call("lambda", "GetFunction", {"FunctionName": "notes"}, principal=ada)


async def test_who_names_a_public_layer_that_lies_in_aws_is_told_what_to_do(guarded: GuardedHouse) -> None:
    params = {"FunctionName": "notes", "Layers": [LAYER]}
    refusal = await guarded.denied("UpdateFunctionConfiguration", params, Principal.root(SCOPE.account))
    assert refusal == (
        "User: arn:aws:iam::000000000000:root is not authorized to perform: lambda:GetLayerVersion on resource:"
        f" {LAYER} because no resource-based policy allows the lambda:GetLayerVersion action. Layers that lie in AWS"
        f" are not here: fetch its archive there (aws lambda get-layer-version-by-arn --arn {LAYER}), publish it here"
        " (aws lambda publish-layer-version), and name the ARN that this tells."
    )


async def test_a_layer_of_another_account_that_is_here_and_not_public_is_denied_in_awss_words(
    guarded: GuardedHouse, make_zip: Any
) -> None:
    params = {"LayerName": "theirs", "Content": {"ZipFile": make_zip()}}
    principal = Principal.root(STRANGERS.account)
    theirs = await guarded.call("lambda", "PublishLayerVersion", params, principal=principal, scope=STRANGERS)
    params = {"FunctionName": "notes", "Layers": [theirs["LayerVersionArn"]]}
    refusal = await guarded.denied("UpdateFunctionConfiguration", params, Principal.root(SCOPE.account))
    assert refusal.endswith("because no resource-based policy allows the lambda:GetLayerVersion action")


async def test_tags_are_for_who_may_list_them(guarded: GuardedHouse) -> None:
    await guarded.call("lambda", "TagResource", {"Resource": ARN, "Tags": {"team": "notes"}})
    deny = {**EVERYTHING, "Effect": "Deny", "Action": "lambda:ListTags"}
    ada = await user_who_may(guarded, EVERYTHING, deny)
    told = await guarded.call("lambda", "GetFunction", {"FunctionName": "notes"}, principal=ada)
    assert "Tags" not in told
    assert told["TagsError"] == {
        "ErrorCode": "AccessDeniedException",
        "Message": f"User: {ada.arn} is not authorized to perform: lambda:ListTags on resource: {ARN} with an explicit "
        "deny in an identity-based policy",
    }
    told = await guarded.call("lambda", "GetFunction", {"FunctionName": "notes"})
    assert told["Tags"] == {"team": "notes"}
