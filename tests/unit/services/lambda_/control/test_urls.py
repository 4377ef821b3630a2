"""Function URLs: create, get, update, list, delete, and the permissions that open them."""

import json
from typing import Any

import pytest

ARN = "arn:aws:lambda:us-east-1:000000000000:function:notes"
NOTES = {"FunctionName": "notes"}


async def test_the_life_of_an_address(house: Any) -> None:
    await house.create()
    cors = {"AllowOrigins": ["*"]}
    created = await house.call("lambda", "CreateFunctionUrlConfig", {**NOTES, "AuthType": "NONE", "Cors": cors})
    assert created["FunctionUrl"].endswith(".lambda-url.us-east-1.localhost:4566/")
    assert (created["FunctionArn"], created["AuthType"], created["InvokeMode"]) == (ARN, "NONE", "BUFFERED")
    found = await house.call("lambda", "GetFunctionUrlConfig", NOTES)
    assert found == {**created, "LastModifiedTime": created["CreationTime"]}
    house.clock.advance(1)
    updated = await house.call("lambda", "UpdateFunctionUrlConfig", {**NOTES, "AuthType": "AWS_IAM"})
    assert updated == {**found, "AuthType": "AWS_IAM", "LastModifiedTime": updated["LastModifiedTime"]}
    assert updated["LastModifiedTime"] != found["LastModifiedTime"]
    updated = await house.call("lambda", "UpdateFunctionUrlConfig", {**NOTES, "InvokeMode": "RESPONSE_STREAM"})
    assert (updated["AuthType"], updated["InvokeMode"]) == ("AWS_IAM", "RESPONSE_STREAM")
    assert (await house.call("lambda", "ListFunctionUrlConfigs", NOTES))["FunctionUrlConfigs"] == [updated]
    assert await house.call("lambda", "DeleteFunctionUrlConfig", NOTES) == {}
    for operation in ("GetFunctionUrlConfig", "UpdateFunctionUrlConfig", "DeleteFunctionUrlConfig"):
        assert await house.refusal(operation, NOTES) == (
            "ResourceNotFoundException",
            "The resource you requested does not exist.",
        )


async def test_aliases_have_addresses_of_their_own(house: Any) -> None:
    await house.create(Publish=True)
    await house.call("lambda", "CreateAlias", {**NOTES, "Name": "live", "FunctionVersion": "1"})
    live = {**NOTES, "Qualifier": "live", "AuthType": "NONE"}
    created = await house.call("lambda", "CreateFunctionUrlConfig", live)
    assert created["FunctionArn"] == f"{ARN}:live"
    await house.call("lambda", "CreateFunctionUrlConfig", {**NOTES, "AuthType": "NONE"})
    listed = await house.call("lambda", "ListFunctionUrlConfigs", NOTES)
    assert [config["FunctionArn"] for config in listed["FunctionUrlConfigs"]] == [ARN, f"{ARN}:live"]
    assert await house.refusal("CreateFunctionUrlConfig", live) == (
        "ResourceConflictException",
        f"Failed to create function url config for [functionArn = {ARN}:live]. Error message:  FunctionUrlConfig "
        "exists for this Lambda function",
    )
    await house.call("lambda", "DeleteAlias", {**NOTES, "Name": "live"})
    listed = await house.call("lambda", "ListFunctionUrlConfigs", NOTES)
    assert [config["FunctionArn"] for config in listed["FunctionUrlConfigs"]] == [ARN]


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ({"FunctionName": "absent"}, "ResourceNotFoundException", "Function does not exist"),
        ({"Qualifier": "absent"}, "ResourceNotFoundException", "Function does not exist"),
    ],
)
async def test_what_is_refused(house: Any, more: Any, code: str, words: str) -> None:
    await house.create()
    params = {**NOTES, "AuthType": "NONE", **more}
    assert await house.refusal("CreateFunctionUrlConfig", params) == (code, words)


async def test_permissions_for_addresses(house: Any) -> None:
    await house.create()
    params = {**NOTES, "StatementId": "open", "Principal": "*"}
    added = await house.call(
        "lambda",
        "AddPermission",
        {**params, "Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"},
    )
    conditions = json.loads(added["Statement"])["Condition"]
    assert conditions == {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}}
    params = {**params, "StatementId": "run", "Action": "lambda:InvokeFunction"}
    assert await house.refusal("AddPermission", {**params, "FunctionUrlAuthType": "NONE"}) == (
        "InvalidParameterValueException",
        "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action",
    )
    added = await house.call("lambda", "AddPermission", {**params, "InvokedViaFunctionUrl": True})
    assert json.loads(added["Statement"])["Condition"] == {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}
