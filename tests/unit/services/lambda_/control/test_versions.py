"""Publishing, listing and deleting versions; what a qualifier finds."""

from typing import Any

import pytest

from cumulet.scope import SYSTEM
from cumulet.store.keyspace import BLOB_REFS

ARN = "arn:aws:lambda:us-east-1:000000000000:function:notes"


async def publish(house: Any, **more: Any) -> Any:
    return await house.call("lambda", "PublishVersion", {"FunctionName": "notes", **more})


async def test_a_version_is_latest_as_it_was(house: Any, make_zip: Any) -> None:
    created = await house.create(Timeout=7)
    published = await publish(house, Description="first")
    assert (published["Version"], published["FunctionArn"]) == ("1", f"{ARN}:1")
    assert (published["State"], published["Description"], published["Timeout"]) == ("Active", "first", 7)
    assert published["RevisionId"] != created["RevisionId"]
    await house.call("lambda", "UpdateFunctionConfiguration", {"FunctionName": "notes", "Timeout": 9})
    code = make_zip({"app.py": b"changed"})
    await house.call("lambda", "UpdateFunctionCode", {"FunctionName": "notes", "ZipFile": code})
    kept = await house.call("lambda", "GetFunctionConfiguration", {"FunctionName": "notes", "Qualifier": "1"})
    assert kept == published
    await house.call("lambda", "Invoke", {"FunctionName": "notes:1"})
    _scope, version, invocation = house.execution.invocations[-1]
    assert (version.version, version.timeout_s, invocation.invoked_arn) == ("1", 7, f"{ARN}:1")


async def test_nothing_new_is_published_when_nothing_has_changed(house: Any) -> None:
    await house.create()
    first = await publish(house)
    assert await publish(house, Description="other words") == first
    await house.call("lambda", "UpdateFunctionConfiguration", {"FunctionName": "notes", "Description": "changed"})
    assert (await publish(house))["Version"] == "2"


async def test_creations_and_new_code_can_be_published_at_once(house: Any, make_zip: Any) -> None:
    assert (await house.create(Publish=True))["Version"] == "1"
    code = {"FunctionName": "notes", "ZipFile": make_zip({"app.py": b"changed"}), "Publish": True}
    updated = await house.call("lambda", "UpdateFunctionCode", code)
    assert (updated["Version"], updated["FunctionArn"]) == ("2", f"{ARN}:2")
    assert (await house.call("lambda", "UpdateFunctionCode", code))["Version"] == "2"


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (
            {"CodeSha256": "abc="},
            "InvalidParameterValueException",
            "CodeSHA256 (abc=) is different from current CodeSHA256 in $LATEST ({sha}). Please try again with the "
            "CodeSHA256 in $LATEST.",
        ),
        (
            {"RevisionId": "00000000-0000-4000-8000-000000000000"},
            "PreconditionFailedException",
            "The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias API to "
            "retrieve the latest Revision Id",
        ),
        (
            {"FunctionName": "notes:1"},
            "InvalidParameterValueException",
            "Current operation does not support versions other than $LATEST",
        ),
        ({"FunctionName": "absent"}, "ResourceNotFoundException", f"Function not found: {ARN[:-5]}absent"),
    ],
)
async def test_what_is_not_published(house: Any, more: dict[str, Any], code: str, words: str) -> None:
    created = await house.create()
    expected = words.format(sha=created["CodeSha256"])
    assert await house.refusal("PublishVersion", {"FunctionName": "notes", **more}) == (code, expected)
    assert len((await house.call("lambda", "ListVersionsByFunction", {"FunctionName": "notes"}))["Versions"]) == 1


async def test_lists_have_latest_first_and_go_on_behind_a_page(house: Any) -> None:
    await house.create("a")
    await house.create()
    for number in range(11):
        await house.call("lambda", "UpdateFunctionConfiguration", {"FunctionName": "notes", "Timeout": number + 1})
        await publish(house)
    whole = await house.call("lambda", "ListVersionsByFunction", {"FunctionName": "notes"})
    assert [version["Version"] for version in whole["Versions"]] == ["$LATEST", *map(str, range(1, 12))]
    paged: list[Any] = []
    functions: list[Any] = []
    for operation, found, member, more in (
        ("ListVersionsByFunction", paged, "Versions", {"FunctionName": "notes"}),
        ("ListFunctions", functions, "Functions", {"FunctionVersion": "ALL"}),
    ):
        marker: str | None = ""
        while marker is not None:
            page = await house.call("lambda", operation, {**more, "MaxItems": 5, "Marker": marker})
            found += page[member]
            marker = page.get("NextMarker")
    assert paged == whole["Versions"]
    assert [function["FunctionArn"] for function in functions] == [
        f"{ARN[:-5]}a:$LATEST",
        *(version["FunctionArn"] for version in paged),
    ]
    assert len((await house.call("lambda", "ListFunctions", {}))["Functions"]) == 2


async def test_versions_are_deleted_one_by_one_and_their_numbers_never_return(house: Any, creation: Any) -> None:
    await house.create(Publish=True)
    await house.call("lambda", "DeleteFunction", {"FunctionName": "notes", "Qualifier": "1"})
    await house.call("lambda", "DeleteFunction", {"FunctionName": "notes", "Qualifier": "1"})
    assert await house.refusal("GetFunction", {"FunctionName": "notes:1"}) == (
        "ResourceNotFoundException",
        f"Function not found: {ARN}:1",
    )
    await publish(house)
    await house.call("lambda", "DeleteFunction", {"FunctionName": "notes"})
    assert (await house.create(Publish=True))["Version"] == "3"


async def test_a_version_that_an_alias_names_stays(house: Any) -> None:
    await house.create(Publish=True)
    await house.call("lambda", "CreateAlias", {"FunctionName": "notes", "Name": "live", "FunctionVersion": "1"})
    assert await house.refusal("DeleteFunction", {"FunctionName": "notes", "Qualifier": "1"}) == (
        "ResourceConflictException",
        "Unable to delete version because the following aliases reference it: [live]",
    )
    assert await house.refusal("DeleteFunction", {"FunctionName": "notes", "Qualifier": "live"}) == (
        "InvalidParameterValueException",
        "Deletion of aliases is not currently supported.",
    )


async def test_no_code_is_left_behind(house: Any, make_zip: Any) -> None:
    await house.create(Publish=True)
    code = {"FunctionName": "notes", "ZipFile": make_zip({"app.py": b"changed"}), "Publish": True}
    await house.call("lambda", "UpdateFunctionCode", code)
    usage = (await house.call("lambda", "GetAccountSettings", {}))["AccountUsage"]
    assert (usage["FunctionCount"], usage["TotalCodeSize"] > 3 * 100) == (1, True)
    await house.call("lambda", "DeleteFunction", {"FunctionName": "notes"})
    assert await house.store.read(lambda tx: list(tx.scan(*BLOB_REFS.range(SYSTEM)))) == []


@pytest.mark.parametrize("qualifier", ["7", "01", "9" * 40, "live"])
async def test_qualifiers_that_name_nothing(house: Any, qualifier: str) -> None:
    await house.create(Publish=True)
    for operation in ("GetFunction", "GetFunctionConfiguration", "Invoke"):
        assert await house.refusal(operation, {"FunctionName": "notes", "Qualifier": qualifier}) == (
            "ResourceNotFoundException",
            f"Function not found: {ARN}:{qualifier}",
        )
