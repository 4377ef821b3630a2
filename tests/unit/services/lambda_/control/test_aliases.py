"""Aliases: their life, their routing and their policies."""

from typing import Any

import pytest

ARN = "arn:aws:lambda:us-east-1:000000000000:function:notes"
LIVE = {"FunctionName": "notes", "Name": "live"}


@pytest.fixture
async def versions(house: Any) -> Any:
    """A house with the versions 1 and 2 of one function, and the alias `live` of 1."""
    await house.create(Publish=True)
    await house.call("lambda", "UpdateFunctionConfiguration", {"FunctionName": "notes", "Timeout": 9})
    await house.call("lambda", "PublishVersion", {"FunctionName": "notes"})
    await house.call("lambda", "CreateAlias", {**LIVE, "FunctionVersion": "1"})
    return house


async def test_an_alias_and_its_changes(versions: Any) -> None:
    found = await versions.call("lambda", "GetAlias", LIVE)
    assert found == {
        "AliasArn": f"{ARN}:live",
        "Name": "live",
        "FunctionVersion": "1",
        "Description": "",
        "RevisionId": found["RevisionId"],
    }
    weights = {"AdditionalVersionWeights": {"2": 0.25}}
    params = {**LIVE, "RoutingConfig": weights, "Description": "all", "RevisionId": found["RevisionId"]}
    changed = await versions.call("lambda", "UpdateAlias", params)
    assert (changed["RoutingConfig"], changed["Description"], changed["FunctionVersion"]) == (weights, "all", "1")
    assert changed["RevisionId"] != found["RevisionId"]
    ended = await versions.call("lambda", "UpdateAlias", {**LIVE, "FunctionVersion": "2", "RoutingConfig": {}})
    assert (ended["FunctionVersion"], "RoutingConfig" in ended) == ("2", False)
    for _ in range(2):
        assert await versions.call("lambda", "DeleteAlias", LIVE) == {}
    assert await versions.refusal("GetAlias", LIVE) == (
        "ResourceNotFoundException",
        f"Cannot find alias arn: {ARN}:live",
    )


async def test_what_an_alias_finds(versions: Any) -> None:
    found = await versions.call("lambda", "GetFunctionConfiguration", {"FunctionName": "notes:live"})
    assert (found["FunctionArn"], found["Version"], found["Timeout"]) == (f"{ARN}:live", "1", 3)
    await versions.call("lambda", "Invoke", {"FunctionName": "notes", "Qualifier": "live"})
    _scope, version, invocation = versions.execution.invocations[-1]
    assert (version.version, invocation.invoked_arn) == ("1", f"{ARN}:live")


async def test_weights_divide_invocations(versions: Any) -> None:
    for weight, expected in ((1.0, "2"), (0.0, "1")):
        routing = {"AdditionalVersionWeights": {"2": weight}}
        await versions.call("lambda", "UpdateAlias", {**LIVE, "RoutingConfig": routing})
        for _ in range(5):
            await versions.call("lambda", "Invoke", {"FunctionName": "notes:live"})
            assert versions.execution.invocations[-1][1].version == expected


async def test_lists_are_by_name_and_may_be_of_one_version(versions: Any) -> None:
    for name, version in (("beta", "2"), ("canary", "$LATEST")):
        params = {"FunctionName": "notes", "Name": name, "FunctionVersion": version}
        await versions.call("lambda", "CreateAlias", params)
    for more, names in (
        ({}, ["beta", "canary", "live"]),
        ({"FunctionVersion": "2"}, ["beta"]),
        ({"FunctionVersion": "$LATEST"}, ["canary"]),
        ({"FunctionVersion": "7"}, []),
    ):
        listed = await versions.call("lambda", "ListAliases", {"FunctionName": "notes", **more})
        assert [alias["Name"] for alias in listed["Aliases"]] == names
    first = await versions.call("lambda", "ListAliases", {"FunctionName": "notes", "MaxItems": 2})
    params = {"FunctionName": "notes", "MaxItems": 2, "Marker": first["NextMarker"]}
    second = await versions.call("lambda", "ListAliases", params)
    assert [alias["Name"] for alias in second["Aliases"]] == ["live"]
    assert "NextMarker" not in second


@pytest.mark.parametrize(
    ("operation", "more", "code", "words"),
    [
        ("CreateAlias", {"FunctionVersion": "1"}, "ResourceConflictException", f"Alias already exists: {ARN}:live"),
        ("CreateAlias", {"FunctionVersion": "7"}, "ResourceNotFoundException", f"Function not found: {ARN}:7"),
        ("UpdateAlias", {"Name": "other"}, "ResourceNotFoundException", f"Alias not found: {ARN}:other"),
        (
            "UpdateAlias",
            {"RevisionId": "old"},
            "PreconditionFailedException",
            "The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias API to "
            "retrieve the latest Revision Id",
        ),
        (
            "UpdateAlias",
            {"RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5}}},
            "InvalidParameterValueException",
            "Invalid function version 1. Function version 1 is already included in routing configuration.",
        ),
        (
            "UpdateAlias",
            {"RoutingConfig": {"AdditionalVersionWeights": {"2": 0.5, "3": 0.1}}},
            "InvalidParameterValueException",
            "Number of items in AdditionalVersionWeights cannot be greater than 1",
        ),
        (
            "UpdateAlias",
            {"FunctionVersion": "$LATEST", "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.5}}},
            "InvalidParameterValueException",
            "$LATEST is not supported for an alias pointing to more than 1 version",
        ),
        (
            "UpdateAlias",
            {"RoutingConfig": {"AdditionalVersionWeights": {"7": 0.5}}},
            "ResourceNotFoundException",
            f"Function not found: {ARN}:7",
        ),
        ("ListAliases", {"FunctionName": "absent"}, "ResourceNotFoundException", None),
        ("DeleteAlias", {"FunctionName": "absent"}, "ResourceNotFoundException", None),
    ],
)
async def test_what_is_refused(versions: Any, operation: str, more: Any, code: str, words: str | None) -> None:
    params = {**LIVE, **more}
    if operation == "ListAliases":
        del params["Name"]
    refused = await versions.refusal(operation, params)
    assert refused == (code, words or f"Function not found: {ARN[:-5]}absent")


PERMISSION = {"StatementId": "api", "Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com"}


async def test_versions_and_aliases_have_policies_of_their_own(versions: Any) -> None:
    for qualifier in ("1", "live"):
        named = {"FunctionName": "notes", "Qualifier": qualifier}
        await versions.call("lambda", "AddPermission", {**named, **PERMISSION})
        assert f'"Resource":"{ARN}:{qualifier}"' in (await versions.call("lambda", "GetPolicy", named))["Policy"]
    assert (await versions.refusal("GetPolicy", {"FunctionName": "notes"}))[0] == "ResourceNotFoundException"
    await versions.call("lambda", "RemovePermission", {"FunctionName": "notes:live", "StatementId": "api"})
    assert (await versions.refusal("GetPolicy", {"FunctionName": "notes:live"}))[0] == "ResourceNotFoundException"
    assert await versions.refusal("AddPermission", {"FunctionName": "notes:absent", **PERMISSION}) == (
        "ResourceNotFoundException",
        f"Cannot find alias arn: {ARN}:absent",
    )
    assert await versions.refusal("AddPermission", {"FunctionName": "notes:7", **PERMISSION}) == (
        "ResourceNotFoundException",
        f"Function not found: {ARN}:7",
    )
