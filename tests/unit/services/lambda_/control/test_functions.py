"""Create, get, list, update and delete functions."""

from base64 import b64decode
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.scope import SYSTEM
from cumulet.services.kit import Call, Demand, Ruling
from cumulet.services.lambda_.control import code_urls
from cumulet.services.lambda_.control.code_urls import load_code
from cumulet.services.lambda_.execution.runtime_names import runtime_version
from cumulet.store.api import ReadTx
from cumulet.store.keyspace import BLOB_REFS

ARN = "arn:aws:lambda:us-east-1:000000000000:function:notes"
ROLE = "arn:aws:iam::000000000000:role/runs-notes"


async def test_a_creation_answers_as_aws_does(house: Any, make_zip: Any) -> None:
    archive = make_zip()
    created = await house.create(Description="keeps notes", Environment={"Variables": {"TABLE": "notes"}})
    assert created == {
        "FunctionName": "notes",
        "FunctionArn": ARN,
        "Runtime": "python3.12",
        "Role": ROLE,
        "Handler": "app.handler",
        "CodeSize": len(archive),
        "Description": "keeps notes",
        "Timeout": 3,
        "MemorySize": 128,
        "LastModified": "2025-10-09T08:53:20.000+0000",
        "CodeSha256": created["CodeSha256"],
        "Version": "$LATEST",
        "TracingConfig": {"Mode": "PassThrough"},
        "RevisionId": created["RevisionId"],
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/notes"},
        "Environment": {"Variables": {"TABLE": "notes"}},
        "State": "Pending",
        "StateReason": "The function is being created.",
        "StateReasonCode": "Creating",
        "ConfigSha256": created["ConfigSha256"],
        "RuntimeVersionConfig": {"RuntimeVersionArn": runtime_version("python3.12", "us-east-1", "3.12.1")[1]},
    }


async def test_a_created_function_is_active(house: Any) -> None:
    await house.create()
    configuration = await house.call("lambda", "GetFunctionConfiguration", {"FunctionName": "notes"})
    assert (configuration["State"], configuration["LastUpdateStatus"]) == ("Active", "Successful")
    assert "StateReason" not in configuration
    assert "Environment" not in configuration


async def test_a_second_function_of_that_name_is_refused(house: Any, creation: Any) -> None:
    await house.create()
    assert await house.refusal("CreateFunction", creation()) == (
        "ResourceConflictException",
        "Function already exist: notes",
    )


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (
            {"Runtime": None},
            "InvalidParameterValueException",
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
        ),
        (
            {"Handler": None},
            "InvalidParameterValueException",
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
        ),
        (
            {"Role": "arn:aws:iam::000000000000:role/nobody"},
            "InvalidParameterValueException",
            "The role defined for the function cannot be assumed by Lambda.",
        ),
        (
            {"Role": "arn:aws:iam::111111111111:role/runs-notes"},
            "AccessDeniedException",
            "Cross-account pass role is not allowed.",
        ),
        ({"Code": {}}, "InvalidParameterValueException", "Please provide a source for function code."),
        (
            {"Code": {"ZipFile": b""}},
            "InvalidParameterValueException",
            "Uploaded file must be a non-empty zip",
        ),
        (
            {"Code": {"ZipFile": b"not a zip"}},
            "InvalidParameterValueException",
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
        ),
        (
            {"Code": {"ZipFile": b"x", "S3Bucket": "artifacts", "S3Key": "k"}},
            "InvalidParameterValueException",
            "Please do not provide other FunctionCode parameters when providing a ZipFile.",
        ),
        (
            {"Code": {"S3Bucket": "artifacts", "S3Key": "absent.zip"}},
            "InvalidParameterValueException",
            "Error occurred while GetObject. S3 Error Code: NoSuchKey. "
            "S3 Error Message: The specified key does not exist.",
        ),
        (
            {"Tags": {f"key{n}": "" for n in range(51)}},
            "InvalidParameterValueException",
            "Number of tags exceeds resource tag limit.",
        ),
        (
            {"FunctionName": "notes:1"},
            "InvalidParameterValueException",
            "Current operation does not support versions other than $LATEST",
        ),
        (
            {"FunctionName": "n" * 65},
            "ValidationException",
            f"1 validation error detected: Value '{'n' * 65}' at 'functionName' failed to satisfy constraint: "
            "Member must have length less than or equal to 64",
        ),
    ],
)
async def test_a_creation_that_aws_refuses(
    house: Any, creation: Any, more: dict[str, Any], code: str, words: str
) -> None:
    assert await house.refusal("CreateFunction", creation(**more)) == (code, words)
    assert (await house.call("lambda", "ListFunctions", {}))["Functions"] == []


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"KMSKeyArn": "arn:aws:kms:us-east-1:0:key/x"}, "The parameter KMSKeyArn of Lambda functions"),
        ({"PublishTo": "LATEST_PUBLISHED"}, "The parameter PublishTo of lambda:CreateFunction"),
        ({"Code": {"S3Bucket": "b", "S3Key": "k", "SourceKMSKeyArn": "x"}}, "The parameter SourceKMSKeyArn"),
    ],
)
async def test_what_is_not_built_is_refused_by_name(
    house: Any, creation: Any, more: dict[str, Any], named: str
) -> None:
    code, words = await house.refusal("CreateFunction", creation(**more))
    assert code == "NotImplementedException"
    assert words.startswith(named)


async def test_code_comes_from_a_bucket_too(house: Any, make_zip: Any) -> None:
    house.objects["artifacts", "notes.zip"] = make_zip()
    from_bucket = await house.create(Code={"S3Bucket": "artifacts", "S3Key": "notes.zip"})
    from_request = await house.create("other")
    assert from_bucket["CodeSha256"] == from_request["CodeSha256"]


async def test_the_code_url_serves_the_code_for_ten_minutes(house: Any, make_zip: Any) -> None:
    await house.create()
    location = (await house.call("lambda", "GetFunction", {"FunctionName": "notes"}))["Code"]["Location"]
    start = f"{house.settings.endpoint}{code_urls.CODE_PREFIX}"
    assert location.startswith(start)
    path = location.removeprefix(start)
    assert await load_code(house.ground, path) == make_zip()
    assert await load_code(house.ground, path[:-1] + ("A" if path[-1] != "A" else "B")) is None
    assert await load_code(house.ground, path.replace("/notes/", "/others/")) is None
    assert await load_code(house.ground, "000000000000/us-east-1/notes/x/y") is None
    house.clock.advance(601)
    assert await load_code(house.ground, path) is None


async def test_a_code_url_ends_with_its_code(house: Any, make_zip: Any) -> None:
    await house.create()
    location = (await house.call("lambda", "GetFunction", {"FunctionName": "notes"}))["Code"]["Location"]
    await house.call("lambda", "UpdateFunctionCode", {"FunctionName": "notes", "ZipFile": make_zip({"b.py": b""})})
    assert await load_code(house.ground, location.partition(code_urls.CODE_PREFIX)[2]) is None


@pytest.mark.parametrize(
    ("name", "qualifier", "arn"),
    [("notes", None, ARN), ("notes", "$LATEST", f"{ARN}:$LATEST"), ("notes:$LATEST", None, f"{ARN}:$LATEST")],
)
async def test_a_qualified_question_gets_a_qualified_arn(
    house: Any, name: str, qualifier: str | None, arn: str
) -> None:
    await house.create()
    found = await house.call("lambda", "GetFunction", {"FunctionName": name, "Qualifier": qualifier})
    assert found["Configuration"]["FunctionArn"] == arn


async def test_functions_are_listed_by_name_in_pages(house: Any) -> None:
    for name in ("c", "a", "b"):
        await house.create(name)
    first = await house.call("lambda", "ListFunctions", {"MaxItems": 2})
    assert [function["FunctionName"] for function in first["Functions"]] == ["a", "b"]
    assert "State" not in first["Functions"][0]
    second = await house.call("lambda", "ListFunctions", {"MaxItems": 2, "Marker": first["NextMarker"]})
    assert [function["FunctionName"] for function in second["Functions"]] == ["c"]
    assert "NextMarker" not in second
    every = await house.call("lambda", "ListFunctions", {"FunctionVersion": "ALL"})
    assert every["Functions"][0]["FunctionArn"].endswith(":a:$LATEST")


async def test_the_one_version_is_listed(house: Any) -> None:
    await house.create()
    versions = (await house.call("lambda", "ListVersionsByFunction", {"FunctionName": "notes"}))["Versions"]
    assert [(version["Version"], version["FunctionArn"]) for version in versions] == [("$LATEST", f"{ARN}:$LATEST")]


async def test_new_code_makes_a_new_revision(house: Any, make_zip: Any) -> None:
    created = await house.create()
    updated = await house.call(
        "lambda", "UpdateFunctionCode", {"FunctionName": "notes", "ZipFile": make_zip({"b.py": b"1"})}
    )
    assert updated["CodeSha256"] != created["CodeSha256"]
    assert updated["RevisionId"] != created["RevisionId"]
    assert (updated["State"], updated["LastUpdateStatus"]) == ("Active", "InProgress")
    found = await house.call("lambda", "GetFunctionConfiguration", {"FunctionName": "notes"})
    assert (found["CodeSha256"], found["LastUpdateStatus"]) == (updated["CodeSha256"], "Successful")


async def test_a_dry_run_of_new_code_changes_nothing(house: Any, make_zip: Any) -> None:
    created = await house.create()
    dry = await house.call(
        "lambda", "UpdateFunctionCode", {"FunctionName": "notes", "ZipFile": make_zip({"b.py": b"1"}), "DryRun": True}
    )
    assert dry["CodeSha256"] != created["CodeSha256"]
    found = await house.call("lambda", "GetFunctionConfiguration", {"FunctionName": "notes"})
    assert (found["CodeSha256"], found["RevisionId"]) == (created["CodeSha256"], created["RevisionId"])


async def test_a_new_configuration_keeps_what_is_not_given(house: Any) -> None:
    await house.create(Timeout=10, Environment={"Variables": {"TABLE": "notes"}})
    updated = await house.call("lambda", "UpdateFunctionConfiguration", {"FunctionName": "notes", "MemorySize": 512})
    assert (updated["MemorySize"], updated["Timeout"]) == (512, 10)
    assert updated["Environment"] == {"Variables": {"TABLE": "notes"}}
    emptied = await house.call(
        "lambda", "UpdateFunctionConfiguration", {"FunctionName": "notes", "Environment": {"Variables": {}}}
    )
    assert "Environment" not in emptied


@pytest.mark.parametrize("operation", ["UpdateFunctionCode", "UpdateFunctionConfiguration"])
async def test_an_update_of_an_old_revision_is_refused(house: Any, make_zip: Any, operation: str) -> None:
    created = await house.create()
    params: dict[str, Any] = {"FunctionName": "notes"}
    if operation == "UpdateFunctionCode":
        params["ZipFile"] = make_zip({"b.py": b"1"})
    await house.call("lambda", operation, {**params, "RevisionId": created["RevisionId"]})
    assert await house.refusal(operation, {**params, "RevisionId": created["RevisionId"]}) == (
        "PreconditionFailedException",
        "The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias API to retrieve "
        "the latest Revision Id",
    )


async def test_a_deleted_function_is_gone_and_its_code_too(house: Any) -> None:
    await house.create()
    assert await _blobs(house) == 1
    await house.create("twin")
    assert await _blobs(house) == 1, "equal archives are stored once"
    assert await house.call("lambda", "DeleteFunction", {"FunctionName": "notes"}) == {"StatusCode": 204}
    assert await house.refusal("GetFunction", {"FunctionName": "notes"}) == (
        "ResourceNotFoundException",
        f"Function not found: {ARN}",
    )
    await house.call("lambda", "DeleteFunction", {"FunctionName": "twin"})
    assert await _blobs(house) == 0


async def test_latest_cannot_be_deleted_alone(house: Any) -> None:
    await house.create()
    assert await house.refusal("DeleteFunction", {"FunctionName": "notes", "Qualifier": "$LATEST"}) == (
        "InvalidParameterValueException",
        "$LATEST version cannot be deleted without deleting the function.",
    )


async def test_the_account_is_told_what_it_uses(house: Any, make_zip: Any) -> None:
    await house.create()
    settings = await house.call("lambda", "GetAccountSettings", {})
    assert settings["AccountUsage"] == {"TotalCodeSize": len(make_zip()), "FunctionCount": 1}
    assert settings["AccountLimit"]["ConcurrentExecutions"] == 1000


class NoPassRole:
    """An authorizer that lets nobody pass a role."""

    def decide(self, tx: ReadTx, call: Call, demand: Demand, *more: Any) -> Ruling:
        action, resource, conditions = demand
        if action == "iam:PassRole":
            assert conditions() == {"iam:PassedToService": "lambda.amazonaws.com"}
            words = f"User: {call.principal.arn} is not authorized to perform: iam:PassRole on resource: {resource}"
            return Ruling(False, words)
        return Ruling(True)


async def test_a_role_must_be_passed(lambda_house: Any) -> None:
    house = lambda_house(NoPassRole())
    with pytest.raises(ServiceError, match="iam:PassRole on resource: " + ROLE) as caught:
        await house.create()
    assert (caught.value.code, caught.value.status) == ("AccessDeniedException", 403)


async def _blobs(house: Any) -> int:
    count: int = await house.store.read(lambda tx: len(list(tx.scan(*BLOB_REFS.range(SYSTEM)))))
    return count


async def test_what_a_function_starts_from_is_made_ready_when_it_is_deployed(house: Any, make_zip: Any) -> None:
    prepared = house.execution.prepared
    await house.create(Runtime="python3.12")
    change = {"FunctionName": "notes", "MemorySize": 256}
    await house.call("lambda", "UpdateFunctionConfiguration", change)
    assert [one.runtime for one in prepared] == ["python3.12"]
    await house.call("lambda", "UpdateFunctionConfiguration", {**change, "Runtime": "python3.13"})
    assert [one.runtime for one in prepared] == ["python3.12", "python3.13"]
    code = {"FunctionName": "notes", "ZipFile": make_zip({"other.py": b""})}
    await house.call("lambda", "UpdateFunctionCode", {**code, "DryRun": True})
    assert len(prepared) == 2
    await house.call("lambda", "UpdateFunctionCode", code)
    assert len({one.code_blob for one in prepared}) == 2
    assert len(prepared) == 3


async def test_no_function_is_a_replica_of_another_region(house: Any) -> None:
    await house.create()
    replicas = {"MasterRegion": "ALL", "FunctionVersion": "ALL"}
    assert await house.call("lambda", "ListFunctions", replicas) == {"Functions": []}
    code, _ = await house.refusal("ListFunctions", {"MasterRegion": "us-east-1"})
    assert code == "InvalidParameterValueException"


async def test_the_digest_of_a_configuration_is_another_when_that_is(house: Any, make_zip: Any) -> None:
    async def digest(operation: str, **params: Any) -> str:
        told: str = (await house.call("lambda", operation, {"FunctionName": "notes", **params}))["ConfigSha256"]
        return told

    first = (await house.create())["ConfigSha256"]
    assert len(b64decode(first)) == 32
    assert await digest("UpdateFunctionCode", ZipFile=make_zip({"app.py": b"handler = print"})) == first
    assert await digest("PublishVersion") == first
    seen = {first}
    for change in (
        {"Timeout": 7},
        {"Environment": {"Variables": {"A": "1"}}},
        {"SnapStart": {"ApplyOn": "PublishedVersions"}},
    ):
        seen.add(await digest("UpdateFunctionConfiguration", **change))
    assert len(seen) == 4
    assert await digest("GetFunctionConfiguration", Qualifier="1") == first
