"""Functions made of container images: what goes with them, what they answer, and what becomes of them."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from cumulet.scope import SYSTEM
from cumulet.services.lambda_.records import FUNCTIONS, READINESS, ImageConfig, ImageUse
from harness import SCOPE

ECR = "000000000000.dkr.ecr.us-east-1.amazonaws.com/notes"
DIGEST, OTHER = "d" * 64, "e" * 64


def make_image(uri: str, digest: str = DIGEST, architecture: str = "x86_64") -> ImageUse:
    return ImageUse(
        uri=uri,
        resolved_uri=f"{ECR}@sha256:{digest}",
        digest=digest,
        image_id=digest,
        size=1000,
        architecture=architecture,
        entry_point=("/run",),
    )


@pytest.fixture
def house(lambda_house: Any) -> Any:
    """A house whose engine has two images, and one for another processor."""
    made = lambda_house()
    for tag, digest in (("1", DIGEST), ("2", OTHER)):
        made.execution.images[f"{ECR}:{tag}"] = make_image(f"{ECR}:{tag}", digest)
    made.execution.images["arm"] = make_image("arm", architecture="arm64")
    return made


async def create(house: Any, **more: Any) -> Any:
    of_image = {"Runtime": None, "Handler": None, "PackageType": "Image", "Code": {"ImageUri": f"{ECR}:1"}}
    return await house.create(**{**of_image, **more})


def configuration(house: Any, **more: Any) -> Any:
    return house.call("lambda", "GetFunctionConfiguration", {"FunctionName": "notes", **more})


async def test_what_is_told_of_a_function(house: Any) -> None:
    created = await create(house, ImageConfig={"Command": ["app.handler"], "EntryPoint": [], "WorkingDirectory": "/x"})
    for told in (created, await configuration(house)):
        assert told["PackageType"] == "Image"
        assert (told["CodeSha256"], told["CodeSize"]) == (DIGEST, 0)
        assert told["ImageConfigResponse"] == {"ImageConfig": {"Command": ["app.handler"], "WorkingDirectory": "/x"}}
        assert not told.keys() & {"Runtime", "Handler", "Layers", "RuntimeVersionConfig"}
    assert (created["State"], created["StateReasonCode"]) == ("Pending", "Creating")
    assert (await configuration(house))["State"] == "Active"
    code = (await house.call("lambda", "GetFunction", {"FunctionName": "notes"}))["Code"]
    assert code == {"RepositoryType": "ECR", "ImageUri": f"{ECR}:1", "ResolvedImageUri": f"{ECR}@sha256:{DIGEST}"}
    assert [one["PackageType"] for one in (await house.call("lambda", "ListFunctions", {}))["Functions"]] == ["Image"]
    await house.call("lambda", "DeleteFunction", {"FunctionName": "notes"})


async def test_an_invocation_runs_the_image(house: Any) -> None:
    await create(house)
    await house.call("lambda", "Invoke", {"FunctionName": "notes"})
    version = house.execution.invocations[0][1]
    assert (version.image.digest, version.code_blob, version.runtime) == (DIGEST, "", "")


async def test_a_version_keeps_its_image(house: Any) -> None:
    await create(house, Publish=True)
    updated = await house.call("lambda", "UpdateFunctionCode", {"FunctionName": "notes", "ImageUri": f"{ECR}:2"})
    assert (updated["CodeSha256"], updated["LastUpdateStatus"]) == (OTHER, "InProgress")
    digests = [(await configuration(house, Qualifier=qualifier))["CodeSha256"] for qualifier in ("1", "$LATEST")]
    assert digests == [DIGEST, OTHER]
    # The same image under the same name again is no other version.
    published = await house.call("lambda", "PublishVersion", {"FunctionName": "notes"})
    again = await house.call("lambda", "UpdateFunctionCode", {"FunctionName": "notes", "ImageUri": f"{ECR}:2"})
    assert again["RevisionId"] != published["RevisionId"]
    assert (await house.call("lambda", "PublishVersion", {"FunctionName": "notes"}))["Version"] == "2"


async def test_a_dry_run_changes_nothing(house: Any) -> None:
    await create(house)
    params = {"FunctionName": "notes", "ImageUri": f"{ECR}:2", "DryRun": True}
    assert (await house.call("lambda", "UpdateFunctionCode", params))["CodeSha256"] == OTHER
    assert (await configuration(house))["CodeSha256"] == DIGEST


async def test_what_the_image_says_can_be_replaced_and_come_back(house: Any) -> None:
    await create(house, ImageConfig={"Command": ["x"], "EntryPoint": ["/y"]})
    changes: list[tuple[dict[str, Any], ImageConfig]] = [
        ({"Description": "of something else"}, ImageConfig(command=("x",), entry_point=("/y",))),
        ({"ImageConfig": {"Command": [], "EntryPoint": ["/z"]}}, ImageConfig(entry_point=("/z",))),
        ({"ImageConfig": {"WorkingDirectory": "/w"}}, ImageConfig(working_directory="/w")),
        ({"ImageConfig": {}}, ImageConfig()),
    ]
    for change, expected in changes:
        told = await house.call("lambda", "UpdateFunctionConfiguration", {"FunctionName": "notes", **change})
        function = await house.store.read(lambda tx: FUNCTIONS.find(tx, SCOPE, "notes"))
        assert function.latest.image_config == expected
        assert ("ImageConfigResponse" in told) == (expected != ImageConfig())


NOT_FOR_IMAGES = "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."
MANDATORY = "Runtime and Handler are mandatory parameters for functions created with deployment packages."
CREATIONS = [
    ("a handler", {"Handler": "app.handler"}, NOT_FOR_IMAGES),
    ("a runtime", {"Runtime": "python3.12"}, NOT_FOR_IMAGES),
    ("layers", {"Layers": ["arn:aws:lambda:us-east-1:000000000000:layer:l:1"]}, NOT_FOR_IMAGES),
    (
        "no image",
        {"Code": {"ZipFile": b"x"}},
        "Please provide ImageUri when creating a function with packageType Image.",
    ),
    (
        "an image and an archive",
        {"Code": {"ImageUri": f"{ECR}:1", "ZipFile": b"x"}},
        "Please do not provide other FunctionCode parameters when providing an ImageUri.",
    ),
    ("no package type", {"PackageType": None}, MANDATORY),
    (
        "an archive's package type",
        {"PackageType": None, "Runtime": "python3.12", "Handler": "a.b"},
        "Please provide a source for function code.",
    ),
    (
        "another processor",
        {"Code": {"ImageUri": "arm"}},
        "The source image arm is made for arm64, and the function's Architectures are [x86_64].",
    ),
    (
        "a snapshot",
        {"SnapStart": {"ApplyOn": "PublishedVersions"}},
        "Container images are not supported for SnapStart enabled functions.",
    ),
    (
        "a signature",
        {"CodeSigningConfigArn": "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-0123456789abcdef0"},
        "Code signing is not supported for functions created with container images.",
    ),
]


@pytest.mark.parametrize(("more", "words"), [row[1:] for row in CREATIONS], ids=[row[0] for row in CREATIONS])
async def test_what_does_not_go_together(
    house: Any, creation: Callable[..., Any], more: dict[str, Any], words: str
) -> None:
    of_image = {"Runtime": None, "Handler": None, "PackageType": "Image", "Code": {"ImageUri": f"{ECR}:1"}}
    refusal = await house.refusal("CreateFunction", creation(**{**of_image, **more}))
    assert refusal == ("InvalidParameterValueException", words)
    assert (await house.call("lambda", "ListFunctions", {}))["Functions"] == []


async def test_an_image_for_another_processor_runs_if_that_is_said(house: Any) -> None:
    created = await create(house, Code={"ImageUri": "arm"}, Architectures=["arm64"])
    assert created["Architectures"] == ["arm64"]
    refusal = await house.refusal("UpdateFunctionCode", {"FunctionName": "notes", "ImageUri": f"{ECR}:1"})
    assert refusal[1].endswith("is made for x86_64, and the function's Architectures are [arm64].")


async def test_a_package_type_is_for_ever(house: Any, make_zip: Any) -> None:
    await create(house)
    await house.create("zipped")
    provide = "Please provide ImageUri when updating a function with packageType Image."
    refusals = [
        await house.refusal("UpdateFunctionCode", {"FunctionName": "notes", "ZipFile": make_zip()}),
        await house.refusal("UpdateFunctionCode", {"FunctionName": "notes"}),
        await house.refusal("UpdateFunctionCode", {"FunctionName": "zipped", "ImageUri": f"{ECR}:1"}),
        await house.refusal("UpdateFunctionConfiguration", {"FunctionName": "notes", "Runtime": "python3.12"}),
        await house.refusal(
            "UpdateFunctionConfiguration", {"FunctionName": "zipped", "ImageConfig": {"Command": ["x"]}}
        ),
    ]
    assert [words for _, words in refusals] == [
        provide,
        provide,
        "Please don't provide ImageUri when updating a function with packageType Zip.",
        NOT_FOR_IMAGES,
        "Please don't provide ImageConfig when the intended function PackageType is Zip.",
    ]
    # What asks for nothing goes with both.
    params = {"FunctionName": "zipped", "ImageConfig": {"Command": [], "EntryPoint": []}}
    assert "ImageConfigResponse" not in await house.call("lambda", "UpdateFunctionConfiguration", params)


async def test_of_two_updates_at_once_the_later_one_holds(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await create(house)
    house.execution.images[f"{ECR}:slow"] = make_image(f"{ECR}:slow", "f" * 64)

    async def unpack(image: ImageUse, patience_s: float | None) -> bool:
        if image.uri == f"{ECR}:slow":
            await house.call("lambda", "UpdateFunctionConfiguration", {"FunctionName": "notes", "Description": "x"})
            await house.call("lambda", "UpdateFunctionCode", {"FunctionName": "notes", "ImageUri": f"{ECR}:2"})
        return True

    monkeypatch.setattr(house.execution, "unpack_image", unpack)
    refusal = await house.refusal("UpdateFunctionCode", {"FunctionName": "notes", "ImageUri": f"{ECR}:slow"})
    words = "The operation cannot be performed at this time. An update is in progress for resource: "
    arn = "arn:aws:lambda:us-east-1:000000000000:function:notes"
    assert refusal == ("ResourceConflictException", words + arn)
    told = await configuration(house)
    assert (told["CodeSha256"], told["Description"]) == (OTHER, "x")


async def test_what_a_function_says_instead_of_its_image_has_a_limit(house: Any) -> None:
    refused = ("InvalidParameterValueException", "ImageConfig must be smaller than 16384 bytes.")
    await create(house, ImageConfig={"Command": ["x" * 16_000]})
    params = {"FunctionName": "notes", "ImageConfig": {"Command": ["é" * 8_200]}}
    assert await house.refusal("UpdateFunctionConfiguration", params) == refused


async def test_an_image_is_not_signed(house: Any) -> None:
    publishers = {"SigningProfileVersionArns": ["arn:aws:signer:us-east-1:000000000000:/signing-profiles/p/0123456789"]}
    made = await house.call("lambda", "CreateCodeSigningConfig", {"AllowedPublishers": publishers})
    await create(house)
    params = {"FunctionName": "notes", "CodeSigningConfigArn": made["CodeSigningConfig"]["CodeSigningConfigArn"]}
    words = "Code signing is not supported for functions created with container images."
    refusal = await house.refusal("PutFunctionCodeSigningConfig", params)
    assert refusal == ("InvalidParameterValueException", words)


async def test_a_function_whose_image_takes_long_is_pending(house: Any) -> None:
    house.execution.unpacks_at_once = False
    await create(house)
    told = await configuration(house)
    assert (told["State"], told["StateReasonCode"]) == ("Pending", "Creating")
    pending = (
        "ResourceConflictException",
        "The operation cannot be performed at this time. The function is currently in the following state: Pending",
    )
    for operation, more in (
        ("UpdateFunctionCode", {"ImageUri": f"{ECR}:2"}),
        ("UpdateFunctionConfiguration", {"Description": "x"}),
        ("PublishVersion", {}),
    ):
        assert await house.refusal(operation, {"FunctionName": "notes", **more}) == pending
    # Whoever invokes it waits for the image.
    await house.call("lambda", "Invoke", {"FunctionName": "notes"})
    assert [version.function_name for version in house.execution.prepared] == ["notes"]
    # A later process unpacks it if this one ends before.
    noted = await house.store.read(lambda tx: list(READINESS.scan(tx, SYSTEM)))
    assert [(one.function_name, one.snapshots) for one in noted] == [("notes", ("$LATEST",))]


@pytest.mark.parametrize(
    ("code", "runs"), [("ImageDeleted", True), ("ImageAccessDenied", True), ("InvalidImage", False)]
)
async def test_a_function_whose_image_failed_is_tried_again_if_that_can_help(house: Any, code: str, runs: bool) -> None:
    await create(house)

    def fail(tx: Any) -> None:
        function = FUNCTIONS.find(tx, SCOPE, "notes")
        latest = msgspec.structs.replace(
            function.latest, state="Failed", state_reason="It is gone.", state_reason_code=code
        )
        FUNCTIONS.save(tx, SCOPE, "notes", record=msgspec.structs.replace(function, latest=latest))

    await house.store.write(fail)
    told = await configuration(house)
    assert (told["State"], told["StateReason"], told["StateReasonCode"]) == ("Failed", "It is gone.", code)
    if runs:
        await house.call("lambda", "Invoke", {"FunctionName": "notes"})
    else:
        assert (await house.refusal("Invoke", {"FunctionName": "notes"}))[0] == "ResourceConflictException"
    updated = await house.call("lambda", "UpdateFunctionCode", {"FunctionName": "notes", "ImageUri": f"{ECR}:2"})
    assert updated["State"] == "Active"
