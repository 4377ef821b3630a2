"""Code signing configurations, and the functions that have one."""

from typing import Any

import pytest

from cumulet.scope import Scope

PUBLISHER = "arn:aws:signer:us-east-1:000000000000:/signing-profiles/team/abcdefghij"
PUBLISHERS = {"SigningProfileVersionArns": [PUBLISHER]}
ABSENT = "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-0123456789abcdef0"


async def make(house: Any, **more: Any) -> Any:
    created = await house.call("lambda", "CreateCodeSigningConfig", {"AllowedPublishers": PUBLISHERS, **more})
    return created["CodeSigningConfig"]


async def test_a_configuration_is_made_changed_and_deleted(house: Any) -> None:
    made = await make(house, Description="ours", Tags={"team": "notes"})
    assert made["CodeSigningConfigArn"].endswith(f":code-signing-config:{made['CodeSigningConfigId']}")
    assert made["CodeSigningPolicies"] == {"UntrustedArtifactOnDeployment": "Warn"}
    named = {"CodeSigningConfigArn": made["CodeSigningConfigArn"]}
    changed = await house.call("lambda", "UpdateCodeSigningConfig", {**named, "Description": "theirs"})
    assert changed["CodeSigningConfig"] == {**made, "Description": "theirs"}
    assert await house.call("lambda", "GetCodeSigningConfig", named) == changed
    assert await house.call("lambda", "ListCodeSigningConfigs", {}) == {
        "CodeSigningConfigs": [changed["CodeSigningConfig"]]
    }
    tagged = {"Resource": made["CodeSigningConfigArn"]}
    await house.call("lambda", "TagResource", {**tagged, "Tags": {"stage": "live"}})
    await house.call("lambda", "UntagResource", {**tagged, "TagKeys": ["team"]})
    assert await house.call("lambda", "ListTags", tagged) == {"Tags": {"stage": "live"}}
    await house.call("lambda", "DeleteCodeSigningConfig", named)
    words = f"The Lambda code signing configuration {made['CodeSigningConfigArn']} can not be found."
    assert await house.refusal("GetCodeSigningConfig", named) == ("ResourceNotFoundException", words)


async def test_a_function_has_one_or_none(house: Any) -> None:
    made = await make(house)
    named = {"CodeSigningConfigArn": made["CodeSigningConfigArn"]}
    await house.create("signed", **named)
    await house.create("plain")
    has = {**named, "FunctionName": "signed"}
    assert await house.call("lambda", "GetFunctionCodeSigningConfig", {"FunctionName": "signed"}) == has
    assert await house.call("lambda", "GetFunctionCodeSigningConfig", {"FunctionName": "plain"}) == {}
    await house.call("lambda", "PutFunctionCodeSigningConfig", {**named, "FunctionName": "plain"})
    arns = [f"arn:aws:lambda:us-east-1:000000000000:function:{name}" for name in ("plain", "signed")]
    first = await house.call("lambda", "ListFunctionsByCodeSigningConfig", {**named, "MaxItems": 1})
    assert first["FunctionArns"] == arns[:1]
    rest = await house.call(
        "lambda", "ListFunctionsByCodeSigningConfig", {**named, "MaxItems": 1, "Marker": first["NextMarker"]}
    )
    assert rest == {"FunctionArns": arns[1:]}
    code, _ = await house.refusal("DeleteCodeSigningConfig", named)
    assert code == "ResourceConflictException"
    await house.call("lambda", "DeleteFunctionCodeSigningConfig", {"FunctionName": "plain"})
    await house.call("lambda", "DeleteFunction", {"FunctionName": "signed"})
    await house.call("lambda", "DeleteCodeSigningConfig", named)


@pytest.mark.parametrize("operation", ["CreateFunction", "PutFunctionCodeSigningConfig"])
async def test_a_configuration_that_is_not_there(house: Any, creation: Any, operation: str) -> None:
    params = {"FunctionName": "notes", "CodeSigningConfigArn": ABSENT}
    if operation == "CreateFunction":
        params = creation(name="other", CodeSigningConfigArn=ABSENT)
    await house.create()
    assert await house.refusal(operation, params) == (
        "CodeSigningConfigNotFoundException",
        f"The code signing configuration cannot be found. Check that the provided configuration is not deleted: "
        f"{ABSENT}.",
    )


@pytest.mark.parametrize("elsewhere", [Scope("0" * 12, "eu-west-1"), Scope("1" * 12, "us-east-1")])
async def test_configurations_are_of_one_account_and_region(house: Any, creation: Any, elsewhere: Scope) -> None:
    made = await house.call("lambda", "CreateCodeSigningConfig", {"AllowedPublishers": PUBLISHERS}, scope=elsewhere)
    arn = made["CodeSigningConfig"]["CodeSigningConfigArn"]
    named = {"CodeSigningConfigArn": arn}
    await house.create()
    unknown = (
        "CodeSigningConfigNotFoundException",
        f"The code signing configuration cannot be found. Check that the provided configuration is not deleted: {arn}.",
    )
    assert await house.refusal("CreateFunction", creation("other", **named)) == unknown
    assert await house.refusal("PutFunctionCodeSigningConfig", {"FunctionName": "notes", **named}) == unknown
    for operation, params in (
        *((name, named) for name in ("GetCodeSigningConfig", "UpdateCodeSigningConfig", "DeleteCodeSigningConfig")),
        ("ListTags", {"Resource": arn}),
    ):
        assert await house.refusal(operation, params) == (
            "ResourceNotFoundException",
            f"The Lambda code signing configuration {arn} can not be found.",
        )


async def test_what_would_need_a_verified_signature_is_refused(house: Any) -> None:
    enforce = {"CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Enforce"}}
    code, words = await house.refusal("CreateCodeSigningConfig", {"AllowedPublishers": PUBLISHERS, **enforce})
    assert (code, words.partition(" is not")[0]) == ("NotImplementedException", "UntrustedArtifactOnDeployment Enforce")
