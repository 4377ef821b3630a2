"""AssumeRole, GetCallerIdentity, and whom an access key belongs to."""

import pytest

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.iam import KeyIsGone
from cumulet.services.iam.key_ids import access_key_id, split_access_key_id
from cumulet.services.kit import Principal
from iam_house import ACCOUNT, LAMBDA, Iam, allow, document

INVALID = ("UnrecognizedClientException", "The security token included in the request is invalid.")


async def refusal(awaitable: object) -> tuple[str, str]:
    with pytest.raises(ServiceError) as refused:
        await awaitable  # type: ignore[misc]
    return refused.value.code, refused.value.message


async def test_assume_role_returns_credentials_of_the_session() -> None:
    house = Iam()
    arn = await house.role("notes", LAMBDA, Path="/app/")

    answer = await house.sts(
        "AssumeRole",
        by=Principal.service("lambda.amazonaws.com"),
        RoleArn=arn,
        RoleSessionName="NotesFunction",
        DurationSeconds=900,
    )
    credentials = answer["Credentials"]
    identity = await house.identify(credentials["AccessKeyId"], credentials["SessionToken"])

    assert identity is not None
    assert identity.secret == credentials["SecretAccessKey"]
    assert len(identity.secret) == 40
    assert credentials["AccessKeyId"].startswith("ASIA")
    assert len(credentials["AccessKeyId"]) == 20
    assert credentials["Expiration"] == house.clock.now_ms() // 1000 + 900
    session_arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/notes/NotesFunction"
    role_id = (await house.iam("GetRole", RoleName="notes"))["Role"]["RoleId"]
    assert answer["AssumedRoleUser"] == {"AssumedRoleId": f"{role_id}:NotesFunction", "Arn": session_arn}
    assert await house.sts("GetCallerIdentity", by=identity.principal) == {
        "UserId": f"{role_id}:NotesFunction",
        "Account": ACCOUNT,
        "Arn": session_arn,
    }


async def test_root_is_its_account() -> None:
    assert await Iam().sts("GetCallerIdentity") == {
        "UserId": ACCOUNT,
        "Account": ACCOUNT,
        "Arn": f"arn:aws:iam::{ACCOUNT}:root",
    }


async def test_who_may_assume_a_role() -> None:
    house = Iam()
    ann = await house.user("ann", allow("sts:AssumeRole"))
    bob = await house.user("bob")
    by_account = await house.role("by-account", {"AWS": ACCOUNT})
    by_name = await house.role("by-name", {"AWS": bob.arn})
    for_lambda = await house.role("for-lambda", LAMBDA)

    def assume(who: Principal, arn: str) -> object:
        return house.sts("AssumeRole", by=who, RoleArn=arn, RoleSessionName="s" * 2)

    def denied(who: Principal, arn: str) -> tuple[str, str]:
        return (
            "AccessDenied",
            f"User: {who.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}",
        )

    assert (await house.session(by_account, ann)).name == "by-account"
    assert await refusal(assume(bob, by_account)) == denied(bob, by_account)
    assert (await house.session(by_name, bob)).name == "by-name"
    assert await refusal(assume(ann, by_name)) == denied(ann, by_name)
    assert await refusal(assume(ann, for_lambda)) == denied(ann, for_lambda)
    assert await refusal(assume(Principal.root(ACCOUNT), for_lambda)) == denied(Principal.root(ACCOUNT), for_lambda)
    assert (await house.session(by_account, Principal.root(ACCOUNT))).name == "by-account"
    nowhere = f"arn:aws:iam::{ACCOUNT}:role/nowhere"
    assert await refusal(assume(ann, nowhere)) == denied(ann, nowhere)
    other_path = by_account.replace("role/", "role/other/")
    assert await refusal(assume(ann, other_path)) == denied(ann, other_path)


async def test_a_role_of_another_account() -> None:
    house = Iam()
    ann = await house.user("ann", allow("sts:AssumeRole"))
    other = Scope("999999999999", "us-east-1")
    trust = document({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"})
    params = {"RoleName": "guest", "AssumeRolePolicyDocument": trust}
    role = await house.call("iam", "CreateRole", params, scope=other)

    session = await house.session(role["Role"]["Arn"], ann)

    assert session.account == "999999999999"


async def test_the_external_id_must_be_the_one_that_the_role_asks_for() -> None:
    house = Iam()
    ann = await house.user("ann", allow("sts:AssumeRole"))
    arn = await house.role("asks", {"AWS": ACCOUNT})
    asking = {"StringEquals": {"sts:ExternalId": "secret"}}
    trust = document(
        {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole", "Condition": asking}
    )
    await house.iam("UpdateAssumeRolePolicy", RoleName="asks", PolicyDocument=trust)

    assert (await house.session(arn, ann, ExternalId="secret")).name == "asks"
    for given in ({}, {"ExternalId": "guess"}):
        assert (await refusal(house.session(arn, ann, **given)))[0] == "AccessDenied"


async def test_how_long_a_session_may_last() -> None:
    house = Iam()
    ann = await house.user("ann", allow("*"))
    arn = await house.role("worker", {"AWS": ACCOUNT}, allow("*"), MaxSessionDuration=7200)

    session = await house.session(arn, ann, DurationSeconds=7200)

    assert await refusal(house.session(arn, ann, DurationSeconds=7201)) == (
        "ValidationError",
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    )
    assert await refusal(house.session(arn, session, DurationSeconds=7200)) == (
        "ValidationError",
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
    )
    for_lambda = await house.role("for-lambda", LAMBDA)
    assert (await house.session(for_lambda, DurationSeconds=43200)).name == "for-lambda"


async def test_a_session_ends() -> None:
    house = Iam()
    arn = await house.role("notes", LAMBDA)
    answer = await house.sts(
        "AssumeRole", by=Principal.service("lambda.amazonaws.com"), RoleArn=arn, RoleSessionName="one"
    )
    key_id, token = answer["Credentials"]["AccessKeyId"], answer["Credentials"]["SessionToken"]

    house.clock.advance(3599)
    assert await house.identify(key_id, token) is not None
    house.clock.advance(1)

    assert await refusal(house.identify(key_id, token)) == (
        "ExpiredTokenException",
        "The security token included in the request is expired",
    )


async def test_a_deleted_role_has_no_sessions_nor_has_its_namesake() -> None:
    house = Iam()
    session = await house.sts(
        "AssumeRole",
        by=Principal.service("lambda.amazonaws.com"),
        RoleArn=await house.role("notes", LAMBDA),
        RoleSessionName="one",
    )
    key_id, token = session["Credentials"]["AccessKeyId"], session["Credentials"]["SessionToken"]
    await house.iam("DeleteRole", RoleName="notes")
    assert await refusal(house.identify(key_id, token)) == INVALID

    await house.role("notes", LAMBDA)

    assert await refusal(house.identify(key_id, token)) == INVALID


async def test_a_token_that_is_not_the_keys_own_is_refused() -> None:
    house = Iam()
    arn = await house.role("notes", LAMBDA)
    by = Principal.service("lambda.amazonaws.com")
    first, second = [
        (await house.sts("AssumeRole", by=by, RoleArn=arn, RoleSessionName="one"))["Credentials"] for _ in range(2)
    ]
    token = first["SessionToken"]
    tampered = token[:20] + ("A" if token[20] != "A" else "B") + token[21:]

    for bad in (None, "", "not base64!", "AAAA", second["SessionToken"], tampered, token[:-4]):
        assert await refusal(house.identify(first["AccessKeyId"], bad)) == INVALID
    assert await house.identify(first["AccessKeyId"], token) is not None


async def test_keys_that_were_never_issued_belong_to_nobody() -> None:
    house = Iam()
    await house.session(await house.role("notes", LAMBDA))

    for foreign in ("test", ACCOUNT, "AKIAIOSFODNN7EXAMPLE", "AKIAQAAAAAAAAAAAAAAA", "ASIAIOSFODNN7EXAMPLE", "ASIA"):
        assert await house.identify(foreign) is None
    assert await house.identify("ASIAQAAAAAAABBBBBBBB", "a foreign token") is None


async def test_a_users_key() -> None:
    house = Iam()
    ann = await house.user("ann")
    identity = await house.identify(ann.access_key_id)
    assert identity is not None
    assert (ann.kind, ann.name, ann.arn) == ("user", "ann", f"arn:aws:iam::{ACCOUNT}:user/ann")
    assert ann.unique_id.startswith("AIDA")
    assert len(identity.secret) == 40

    await house.iam("UpdateAccessKey", UserName="ann", AccessKeyId=ann.access_key_id, Status="Inactive")
    assert await refusal(house.identify(ann.access_key_id)) == INVALID

    await house.iam("DeleteAccessKey", UserName="ann", AccessKeyId=ann.access_key_id)
    with pytest.raises(KeyIsGone):
        await house.identify(ann.access_key_id)


async def test_session_policies_are_packed_and_checked() -> None:
    house = Iam()
    arn = await house.role("notes", LAMBDA)
    by = Principal.service("lambda.amazonaws.com")
    policy = document(allow("s3:*"))

    answer = await house.sts("AssumeRole", by=by, RoleArn=arn, RoleSessionName="one", Policy=policy)
    assert 0 < answer["PackedPolicySize"] <= 100

    refused = await refusal(house.sts("AssumeRole", by=by, RoleArn=arn, RoleSessionName="one", Policy="{"))
    assert refused[0] == "MalformedPolicyDocument"
    elsewhere = {"PolicyName": "theirs", "PolicyDocument": policy}
    theirs = await house.call("iam", "CreatePolicy", elsewhere, scope=Scope("123456789012", "us-east-1"))
    for absent in ("arn:aws:iam::aws:policy/Nothing", theirs["Policy"]["Arn"]):
        refused = await refusal(house.session(arn, PolicyArns=[{"arn": absent}]))
        assert refused == ("ValidationError", f"Policy {absent} does not exist or is not attachable.")


@pytest.mark.parametrize("account", ["000000000000", "123456789012", "999999999999"])
def test_an_access_key_id_carries_its_account(account: str) -> None:
    key_id = access_key_id("AKIA", account, 12345)

    assert len(key_id) == 20
    assert split_access_key_id(key_id) == (account, 12345)
