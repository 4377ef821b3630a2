"""What is set beside a function's configuration: recursion, runtime updates; and the oldest way to invoke."""

from collections.abc import Callable
from typing import Any

import pytest

from cumulet.scope import SYSTEM
from cumulet.services.lambda_.execution.runtime_names import runtime_version
from cumulet.services.lambda_.records import ImageUse
from cumulet.store.keyspace import LAMBDA_EVENT

NOTES = {"FunctionName": "notes"}
ARN = "arn:aws:lambda:us-east-1:000000000000:function:notes"


def version_arn(runtime: str) -> str:
    """Return the ARN of what the house says it runs every runtime on."""
    return runtime_version(runtime, "us-east-1", "3.12.1")[1]


async def test_loops_are_ended_unless_they_are_allowed(house: Any) -> None:
    await house.create()
    assert await house.call("lambda", "GetFunctionRecursionConfig", NOTES) == {"RecursiveLoop": "Terminate"}
    allow = {"RecursiveLoop": "Allow"}
    assert await house.call("lambda", "PutFunctionRecursionConfig", {**NOTES, **allow}) == allow
    assert await house.call("lambda", "GetFunctionRecursionConfig", NOTES) == allow


async def test_each_version_has_its_runtime_updates(house: Any) -> None:
    await house.create(Publish=True)
    auto = {"UpdateRuntimeOn": "Auto", "FunctionArn": f"{ARN}:$LATEST"}
    assert await house.call("lambda", "GetRuntimeManagementConfig", NOTES) == auto
    one = {**NOTES, "Qualifier": "1"}
    put = await house.call("lambda", "PutRuntimeManagementConfig", {**one, "UpdateRuntimeOn": "FunctionUpdate"})
    assert put == {"UpdateRuntimeOn": "FunctionUpdate", "FunctionArn": f"{ARN}:1"}
    assert await house.call("lambda", "GetRuntimeManagementConfig", one) == put
    assert await house.call("lambda", "GetRuntimeManagementConfig", NOTES) == auto


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (
            {"UpdateRuntimeOn": "Manual"},
            "InvalidParameterValueException",
            "You must specify the RuntimeVersionArn when UpdateRuntimeOn is set to Manual.",
        ),
        (
            {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": "arn:aws:lambda:us-east-1::runtime:abc"},
            "InvalidParameterValueException",
            "The runtime version arn:aws:lambda:us-east-1::runtime:abc is not a version of the runtime python3.12.",
        ),
        (
            {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": version_arn("python3.13")},
            "InvalidParameterValueException",
            f"The runtime version {version_arn('python3.13')} is not a version of the runtime python3.12.",
        ),
        (
            {"RuntimeVersionArn": "arn:aws:lambda:us-east-1::runtime:abc"},
            "InvalidParameterValueException",
            "You can only specify the RuntimeVersionArn when UpdateRuntimeOn is set to Manual.",
        ),
        ({"Qualifier": "7"}, "ResourceNotFoundException", f"Function not found: {ARN}:7"),
        (
            {"Qualifier": "live"},
            "InvalidParameterValueException",
            f"The provided function name {ARN}:live is invalid. Aliases are not allowed.",
        ),
    ],
)
async def test_runtime_updates_that_are_refused(house: Any, more: Any, code: str, words: str) -> None:
    await house.create()
    refused = await house.refusal("PutRuntimeManagementConfig", {**NOTES, "UpdateRuntimeOn": "Auto", **more})
    assert refused[0] == code
    assert refused[1].startswith(words)


async def test_a_function_keeps_the_version_of_its_runtime(house: Any, make_zip: Callable[[], bytes]) -> None:
    pinned = (await house.create(Publish=True))["RuntimeVersionConfig"]["RuntimeVersionArn"]
    assert pinned == version_arn("python3.12")
    manual = {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": pinned}
    for qualifier in ("$LATEST", "1"):
        one = {**NOTES, "Qualifier": qualifier}
        told = {**manual, "FunctionArn": f"{ARN}:{qualifier}"}
        assert await house.call("lambda", "PutRuntimeManagementConfig", {**one, **manual}) == told
        assert await house.call("lambda", "GetRuntimeManagementConfig", one) == told
    words = "The runtime and the architecture cannot be changed while UpdateRuntimeOn is set to Manual."
    refused = await house.refusal("UpdateFunctionConfiguration", {**NOTES, "Runtime": "python3.13"})
    assert refused[1].startswith(words)
    refused = await house.refusal("UpdateFunctionCode", {**NOTES, "ZipFile": make_zip(), "Architectures": ["arm64"]})
    assert refused[1].startswith(words)
    await house.call("lambda", "UpdateFunctionConfiguration", {**NOTES, "Runtime": "python3.12", "Timeout": 9})
    await house.call("lambda", "PutRuntimeManagementConfig", {**NOTES, "UpdateRuntimeOn": "Auto"})
    changed = await house.call("lambda", "UpdateFunctionConfiguration", {**NOTES, "Runtime": "python3.13"})
    assert changed["RuntimeVersionConfig"]["RuntimeVersionArn"] == version_arn("python3.13")
    told = await house.call("lambda", "GetFunction", {**NOTES, "Qualifier": "1"})
    assert told["Configuration"]["RuntimeVersionConfig"] == {"RuntimeVersionArn": pinned}


@pytest.mark.parametrize("update_on", ["FunctionUpdate", "Manual"])
async def test_a_published_version_goes_on_as_it_was(house: Any, update_on: str) -> None:
    pinned = (await house.create())["RuntimeVersionConfig"]["RuntimeVersionArn"]
    how = {"UpdateRuntimeOn": update_on, **({"RuntimeVersionArn": pinned} if update_on == "Manual" else {})}
    await house.call("lambda", "PutRuntimeManagementConfig", {**NOTES, **how})
    published = await house.call("lambda", "PublishVersion", NOTES)
    assert published["RuntimeVersionConfig"] == {"RuntimeVersionArn": pinned}
    await house.call("lambda", "PutRuntimeManagementConfig", {**NOTES, "UpdateRuntimeOn": "Auto"})
    one = {**NOTES, "Qualifier": "1"}
    assert await house.call("lambda", "GetRuntimeManagementConfig", one) == {**how, "FunctionArn": f"{ARN}:1"}
    assert (await house.call("lambda", "PublishVersion", NOTES))["Version"] == "1"


async def test_what_runs_a_runtime_is_told_of_one_function_alone(house: Any) -> None:
    assert "Arn" not in (await house.create("java", Runtime="java21"))["RuntimeVersionConfig"]
    told = await house.call("lambda", "GetFunctionConfiguration", {"FunctionName": "java"})
    assert told["RuntimeVersionConfig"]["Error"]["ErrorCode"] == "NotImplementedException"
    assert "RuntimeVersionConfig" not in (await house.call("lambda", "ListFunctions", {}))["Functions"][0]


async def test_invoke_async_accepts_an_event(house: Any) -> None:
    await house.create()
    answer = await house.call("lambda", "InvokeAsync", {**NOTES, "InvokeArgs": b'{"n": 1}'})
    assert answer == {"Status": 202}
    events = await house.store.read(lambda tx: list(tx.scan(*LAMBDA_EVENT.range(SYSTEM))))
    assert len(events) == 1
    code, _ = await house.refusal("InvokeAsync", {**NOTES, "InvokeArgs": b"{"})
    assert code == "InvalidRequestContentException"


async def test_an_image_brings_its_own_runtime(house: Any) -> None:
    uri = "000000000000.dkr.ecr.us-east-1.amazonaws.com/notes:1"
    house.execution.images[uri] = ImageUse(
        uri=uri, resolved_uri=uri, digest="d" * 64, image_id="d" * 64, size=1, architecture="x86_64"
    )
    await house.create(Runtime=None, Handler=None, PackageType="Image", Code={"ImageUri": uri})
    manual = {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": version_arn("python3.12")}
    assert await house.refusal("PutRuntimeManagementConfig", {**NOTES, **manual}) == (
        "InvalidParameterValueException",
        "UpdateRuntimeOn Manual is not supported for functions with PackageType Image.",
    )
    told = await house.call("lambda", "GetFunctionConfiguration", NOTES)
    assert "RuntimeVersionConfig" not in told
