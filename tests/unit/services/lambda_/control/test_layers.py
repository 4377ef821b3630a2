"""Layers: publish, get, list, delete, and who else may use them."""

import json
from typing import Any

import msgspec
import pytest

from cumulet.scope import SYSTEM, Scope
from cumulet.services.lambda_.control.code_urls import CODE_PREFIX, load_code
from cumulet.services.lambda_.records import LAYERS
from cumulet.store.keyspace import BLOB_REFS
from harness import SCOPE

ARN = "arn:aws:lambda:us-east-1:000000000000:layer:shared"
ELSEWHERE = ARN.replace("us-east-1", "eu-west-1")
SHARED = {"LayerName": "shared"}


async def publish(house: Any, archive: bytes, **more: Any) -> Any:
    params = {**SHARED, "Content": {"ZipFile": archive}, **more}
    return await house.call("lambda", "PublishLayerVersion", params)


async def test_a_layer_version_is_published_and_found(house: Any, make_zip: Any) -> None:
    archive = make_zip({"python/shared.py": b"X = 1"})
    more = {"CompatibleRuntimes": ["python3.12"], "LicenseInfo": "MIT", "Description": "what all need"}
    published = await publish(house, archive, **more)
    content = published.pop("Content")
    assert published == {
        "LayerArn": ARN,
        "LayerVersionArn": f"{ARN}:1",
        "Version": 1,
        "CreatedDate": "2025-10-09T08:53:20.000+0000",
        **more,
    }
    assert content["CodeSize"] == len(archive)
    path = content["Location"].partition(CODE_PREFIX)[2]
    assert await load_code(house.ground, path) == archive
    assert await load_code(house.ground, path[:-2] + "AA") is None
    for operation, params in (
        ("GetLayerVersion", {**SHARED, "VersionNumber": 1}),
        ("GetLayerVersion", {"LayerName": ARN, "VersionNumber": 1}),
        ("GetLayerVersionByArn", {"Arn": f"{ARN}:1"}),
    ):
        found = await house.call("lambda", operation, params)
        assert found.pop("Content") == content
        assert found == published


async def test_lists(house: Any, make_zip: Any) -> None:
    await publish(house, make_zip(), CompatibleRuntimes=["python3.12"])
    await publish(house, make_zip(), CompatibleRuntimes=["nodejs22.x"], CompatibleArchitectures=["arm64"])
    await publish(house, make_zip(), LayerName="other")
    listed = (await house.call("lambda", "ListLayers", {}))["Layers"]
    newest = [(layer["LayerName"], layer["LatestMatchingVersion"]["Version"]) for layer in listed]
    assert newest == [("other", 1), ("shared", 2)]
    listed = (await house.call("lambda", "ListLayers", {"CompatibleRuntime": "python3.12"}))["Layers"]
    assert [layer["LatestMatchingVersion"]["LayerVersionArn"] for layer in listed] == [f"{ARN}:1"]
    first = await house.call("lambda", "ListLayers", {"MaxItems": 1})
    second = await house.call("lambda", "ListLayers", {"MaxItems": 1, "Marker": first["NextMarker"]})
    assert ([layer["LayerName"] for layer in second["Layers"]], "NextMarker" in second) == (["shared"], False)
    for more, versions in (({}, [2, 1]), ({"CompatibleArchitecture": "arm64"}, [2])):
        page = await house.call("lambda", "ListLayerVersions", {**SHARED, **more})
        assert [version["Version"] for version in page["LayerVersions"]] == versions
    first = await house.call("lambda", "ListLayerVersions", {**SHARED, "MaxItems": 1})
    params = {**SHARED, "MaxItems": 1, "Marker": first["NextMarker"]}
    second = await house.call("lambda", "ListLayerVersions", params)
    assert [version["Version"] for version in second["LayerVersions"]] == [1]


async def test_a_deleted_version_is_gone_and_its_number_too(house: Any, make_zip: Any) -> None:
    await publish(house, make_zip())
    for _ in range(2):
        assert await house.call("lambda", "DeleteLayerVersion", {**SHARED, "VersionNumber": 1}) == {}
    assert await house.store.read(lambda tx: list(tx.scan(*BLOB_REFS.range(SYSTEM)))) == []
    assert (await house.call("lambda", "ListLayers", {}))["Layers"] == []
    assert (await publish(house, make_zip()))["Version"] == 2


GRANT = {**SHARED, "VersionNumber": 1, "StatementId": "all", "Action": "lambda:GetLayerVersion", "Principal": "*"}
VERSION = {**SHARED, "VersionNumber": 1}


async def test_permissions(house: Any, make_zip: Any) -> None:
    await publish(house, make_zip())
    added = await house.call("lambda", "AddLayerVersionPermission", GRANT)
    statement = {
        "Sid": "all",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "lambda:GetLayerVersion",
        "Resource": f"{ARN}:1",
    }
    assert json.loads(added["Statement"]) == statement
    policy = await house.call("lambda", "GetLayerVersionPolicy", VERSION)
    assert json.loads(policy["Policy"])["Statement"] == [statement]
    assert policy["RevisionId"] == added["RevisionId"]
    assert (await house.refusal("AddLayerVersionPermission", GRANT))[0] == "ResourceConflictException"
    stale = {**VERSION, "StatementId": "all", "RevisionId": "old"}
    assert (await house.refusal("RemoveLayerVersionPermission", stale))[0] == "PreconditionFailedException"
    assert await house.refusal("RemoveLayerVersionPermission", {**VERSION, "StatementId": "none"}) == (
        "ResourceNotFoundException",
        "Statement none is not found in resource policy.",
    )
    await house.call("lambda", "RemoveLayerVersionPermission", {**VERSION, "StatementId": "all"})
    for operation, more in (("GetLayerVersionPolicy", {}), ("RemoveLayerVersionPermission", {"StatementId": "all"})):
        assert await house.refusal(operation, {**VERSION, **more}) == (
            "ResourceNotFoundException",
            "No policy is associated with the given resource.",
        )


@pytest.mark.parametrize(
    ("operation", "params", "code", "words"),
    [
        ("GetLayerVersion", VERSION, "ResourceNotFoundException", "The resource you requested does not exist."),
        (
            "GetLayerVersionByArn",
            {"Arn": f"{ARN}:1"},
            "ResourceNotFoundException",
            "The resource you requested does not exist.",
        ),
        (
            "GetLayerVersion",
            {**SHARED, "VersionNumber": 0},
            "InvalidParameterValueException",
            "Layer Version Cannot be less than 1",
        ),
        (
            "GetLayerVersionPolicy",
            {**SHARED, "VersionNumber": 0},
            "InvalidParameterValueException",
            "Layer Version Cannot be less than 1",
        ),
        (
            "GetLayerVersionByArn",
            {"Arn": f"{ELSEWHERE}:1"},
            "ResourceNotFoundException",
            "The resource you requested does not exist.",
        ),
        (
            "ListLayerVersions",
            {"LayerName": ELSEWHERE},
            "InvalidParameterValueException",
            f"Invalid Layer name: {ELSEWHERE}",
        ),
        ("AddLayerVersionPermission", GRANT, "ResourceNotFoundException", f"Layer version {ARN}:1 does not exist."),
        ("GetLayerVersionPolicy", VERSION, "ResourceNotFoundException", f"Layer version {ARN}:1 does not exist."),
        (
            "PublishLayerVersion",
            {**SHARED, "Content": {"ZipFile": b"no zip"}},
            "InvalidParameterValueException",
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
        ),
    ],
)
async def test_refusals(house: Any, operation: str, params: Any, code: str, words: str) -> None:
    assert await house.refusal(operation, params) == (code, words)


@pytest.mark.parametrize(
    ("operation", "params", "shown", "member"),
    [
        ("PublishLayerVersion", {"CompatibleRuntimes": ["python3.12", "perl5"]}, "[python3.12, perl5]", "Runtimes"),
        ("PublishLayerVersion", {"CompatibleRuntimes": ["python2.7"]}, "[python2.7]", "Runtimes"),
        ("ListLayers", {"CompatibleRuntime": "perl5"}, "perl5", "Runtime"),
        ("ListLayerVersions", {"CompatibleRuntime": "perl5"}, "perl5", "Runtime"),
    ],
)
async def test_runtimes_that_aws_does_not_have(
    house: Any, make_zip: Any, operation: str, params: Any, shown: str, member: str
) -> None:
    needed = {} if operation == "ListLayers" else SHARED
    content = {"Content": {"ZipFile": make_zip()}} if operation == "PublishLayerVersion" else {}
    assert await house.refusal(operation, {**needed, **content, **params}) == (
        "ValidationException",
        f"1 validation error detected: Value '{shown}' at 'compatible{member}' failed to satisfy constraint: Member "
        "must satisfy enum value set: [dotnet6, dotnet8, dotnet10, ruby3.2, ruby3.3, ruby3.4, python3.8, python3.9, "
        "python3.10, python3.11, python3.12, python3.13, python3.14, nodejs16.x, nodejs18.x, nodejs20.x, nodejs22.x, "
        "nodejs24.x, provided.al2, provided.al2023, java8.al2, java11, java17, java21, java25]",
    )


async def test_functions_name_layers(house: Any, make_zip: Any) -> None:
    arns = []
    for name in ("low", "high"):
        layer = await publish(house, make_zip({name: b"x" * 10}), LayerName=name)
        arns.append(layer["LayerVersionArn"])
    created = await house.create(Layers=arns, Publish=True)
    assert [layer["Arn"] for layer in created["Layers"]] == arns
    for name in ("low", "high"):
        await house.call("lambda", "DeleteLayerVersion", {"LayerName": name, "VersionNumber": 1})
    kept = await house.call("lambda", "GetFunctionConfiguration", {"FunctionName": "notes:1"})
    assert kept["Layers"] == created["Layers"]
    changed = await house.call("lambda", "UpdateFunctionConfiguration", {"FunctionName": "notes", "Layers": []})
    assert "Layers" not in changed
    await house.call("lambda", "Invoke", {"FunctionName": "notes:1"})
    assert [layer.arn for layer in house.execution.invocations[0][1].layers] == arns
    await house.call("lambda", "DeleteFunction", {"FunctionName": "notes"})
    assert await house.store.read(lambda tx: list(tx.scan(*BLOB_REFS.range(SYSTEM)))) == []


@pytest.mark.parametrize(
    ("arns", "words"),
    [
        ([f"{ARN}:{n}" for n in range(6)], "Cannot reference more than 5 layers."),
        ([f"{ARN}:7"], f"Layer version {ARN}:7 does not exist."),
        (
            [f"{ELSEWHERE}:1"],
            "Layers are not in the same region as the function. Layers are expected to be in region us-east-1.",
        ),
        (
            [f"{ARN}:1", f"{ARN}:2"],
            "Two different versions of the same layer are not allowed to be referenced in the same function. "
            f"{ARN}:1 and {ARN}:2.",
        ),
    ],
)
async def test_layers_that_functions_cannot_have(house: Any, make_zip: Any, arns: list[str], words: str) -> None:
    await publish(house, make_zip())
    await house.call(
        "lambda",
        "PublishLayerVersion",
        {**SHARED, "Content": {"ZipFile": make_zip()}},
        scope=Scope("0" * 12, "eu-west-1"),
    )
    await house.create()
    params = {"FunctionName": "notes", "Layers": arns}
    assert await house.refusal("UpdateFunctionConfiguration", params) == ("InvalidParameterValueException", words)


async def test_code_and_layers_have_a_limit_together(house: Any, make_zip: Any) -> None:
    half = make_zip({"big": b"\0" * 1})
    await publish(house, half)
    layer = await house.store.read(lambda tx: LAYERS.find(tx, SCOPE, "shared", 1))
    large = msgspec.structs.replace(layer, unzipped_size=262_144_000)
    await house.store.write(lambda tx: LAYERS.save(tx, SCOPE, "shared", 1, record=large))
    await house.create()
    code, words = await house.refusal("UpdateFunctionConfiguration", {"FunctionName": "notes", "Layers": [f"{ARN}:1"]})
    assert code == "InvalidParameterValueException"
    assert words.startswith("Function code combined with layers exceeds the maximum allowed size of 262144000 bytes.")
