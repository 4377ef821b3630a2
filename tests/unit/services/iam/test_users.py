"""Users and their access keys, and AWS's words for bad requests."""

from typing import Any
from urllib.parse import unquote

import pytest

from cumulet.errors import ServiceError
from cumulet.services.kit import Principal
from iam_house import ACCOUNT, Iam, allow, document


async def refusal(house: Iam, operation: str, *, by: Principal | None = None, **params: Any) -> tuple[str, str]:
    with pytest.raises(ServiceError) as refused:
        await house.iam(operation, by=by, **params)
    return refused.value.code, refused.value.message


async def test_a_user_is_what_was_asked_for() -> None:
    house = Iam()

    user = (await house.iam("CreateUser", UserName="Ann", Path="/staff/"))["User"]

    assert user.pop("UserId").startswith("AIDA")
    assert user == {
        "Path": "/staff/",
        "UserName": "Ann",
        "Arn": f"arn:aws:iam::{ACCOUNT}:user/staff/Ann",
        "CreateDate": house.clock.now_ms() // 1000,
    }
    assert await refusal(house, "CreateUser", UserName="ann") == (
        "EntityAlreadyExists",
        "User with name ann already exists.",
    )
    assert [u["UserName"] for u in (await house.iam("ListUsers", PathPrefix="/staff/"))["Users"]] == ["Ann"]
    assert (await house.iam("ListUsers", PathPrefix="/other/"))["Users"] == []


async def test_a_user_is_the_default_of_their_own_requests() -> None:
    house = Iam()
    ann = await house.user("ann", allow("iam:*"))

    assert (await house.iam("GetUser", by=ann))["User"]["UserName"] == "ann"
    keys = (await house.iam("ListAccessKeys", by=ann))["AccessKeyMetadata"]
    assert [(key["AccessKeyId"], key["Status"]) for key in keys] == [(ann.access_key_id, "Active")]
    assert await refusal(house, "GetUser") == (
        "ValidationError",
        "Must specify userName when calling with non-User credentials",
    )


async def test_two_access_keys_are_the_most() -> None:
    house = Iam()
    ann = await house.user("ann")
    second = (await house.iam("CreateAccessKey", UserName="ann"))["AccessKey"]
    assert second["AccessKeyId"] != ann.access_key_id
    assert second["Status"] == "Active"

    assert await refusal(house, "CreateAccessKey", UserName="ann") == (
        "LimitExceeded",
        "Cannot exceed quota for AccessKeysPerUser: 2",
    )
    listed = (await house.iam("ListAccessKeys", UserName="ann"))["AccessKeyMetadata"]
    assert all("SecretAccessKey" not in key for key in listed)


async def test_the_key_of_someone_else_cannot_be_found() -> None:
    house = Iam()
    ann = await house.user("ann")
    await house.user("bob")

    for operation, more in (("DeleteAccessKey", {}), ("UpdateAccessKey", {"Status": "Inactive"})):
        assert await refusal(house, operation, UserName="bob", AccessKeyId=ann.access_key_id, **more) == (
            "NoSuchEntity",
            f"The Access Key with id {ann.access_key_id} cannot be found.",
        )


async def test_what_keeps_a_user_from_being_deleted() -> None:
    house = Iam()
    ann = await house.user("ann", allow("s3:*"))
    arn = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
    await house.iam("AttachUserPolicy", UserName="ann", PolicyArn=arn)

    undo = [
        ("must delete access keys first.", "DeleteAccessKey", {"AccessKeyId": ann.access_key_id}),
        ("must detach all policies first.", "DetachUserPolicy", {"PolicyArn": arn}),
        ("must delete policies first.", "DeleteUserPolicy", {"PolicyName": "inline"}),
    ]
    for words, operation, params in undo:
        assert await refusal(house, "DeleteUser", UserName="ann") == (
            "DeleteConflict",
            f"Cannot delete entity, {words}",
        )
        await house.iam(operation, UserName="ann", **params)
    await house.iam("DeleteUser", UserName="ann")

    assert await refusal(house, "GetUser", UserName="ann") == (
        "NoSuchEntity",
        "The user with name ann cannot be found.",
    )


async def test_policies_and_tags_of_a_user() -> None:
    house = Iam()
    await house.user("ann", allow("s3:*"))

    got = await house.iam("GetUserPolicy", UserName="ann", PolicyName="inline")
    assert (got["UserName"], unquote(got["PolicyDocument"])) == ("ann", document(allow("s3:*")))
    assert (await house.iam("ListUserPolicies", UserName="ann"))["PolicyNames"] == ["inline"]
    assert await refusal(house, "GetUserPolicy", UserName="ann", PolicyName="x") == (
        "NoSuchEntity",
        "The user policy with name x cannot be found.",
    )
    long = document(*(allow("s3:Get*", f"arn:aws:s3:::{'a' * 50}{n}") for n in range(30)))
    assert await refusal(house, "PutUserPolicy", UserName="ann", PolicyName="x", PolicyDocument=long) == (
        "LimitExceeded",
        "Maximum policy size of 2048 bytes exceeded for user ann",
    )
    await house.iam("TagUser", UserName="ann", Tags=[{"Key": "a", "Value": "1"}])
    assert (await house.iam("ListUserTags", UserName="ann"))["Tags"] == [{"Key": "a", "Value": "1"}]
    assert (await house.iam("GetUser", UserName="ann"))["User"]["Tags"] == [{"Key": "a", "Value": "1"}]


async def test_a_boundary_can_be_put_and_taken() -> None:
    house = Iam()
    await house.iam("CreateUser", UserName="ann")
    arn = "arn:aws:iam::aws:policy/PowerUserAccess"

    await house.iam("PutUserPermissionsBoundary", UserName="ann", PermissionsBoundary=arn)
    user = (await house.iam("GetUser", UserName="ann"))["User"]
    assert user["PermissionsBoundary"]["PermissionsBoundaryArn"] == arn
    await house.iam("DeleteUserPermissionsBoundary", UserName="ann")

    assert "PermissionsBoundary" not in (await house.iam("GetUser", UserName="ann"))["User"]


async def test_only_bounded_users_may_be_given_policies() -> None:
    house = Iam()
    boundary = "arn:aws:iam::aws:policy/PowerUserAccess"
    ann = await house.user("ann", allow("iam:*", Condition={"StringEquals": {"iam:PermissionsBoundary": boundary}}))
    await house.iam("CreateUser", UserName="bounded", PermissionsBoundary=boundary)
    await house.iam("CreateUser", UserName="free")

    for operation, params in (
        ("PutUserPolicy", {"PolicyName": "p", "PolicyDocument": document(allow("s3:*"))}),
        ("DeleteUserPolicy", {"PolicyName": "p"}),
        ("AttachUserPolicy", {"PolicyArn": boundary}),
        ("DetachUserPolicy", {"PolicyArn": boundary}),
        ("DeleteUserPermissionsBoundary", {}),
    ):
        await house.iam(operation, by=ann, UserName="bounded", **params)
        assert (await refusal(house, operation, by=ann, UserName="free", **params))[0] == "AccessDenied"
