"""Calls of users, sessions, services and strangers, and AWS's words for those that are refused."""

from typing import Any

import pytest

from cumulet.scope import Scope
from cumulet.services.iam.authorizer import IamAuthorizer, _foresee
from cumulet.services.iam.records import POLICIES
from cumulet.services.kit import Call, Demand, Principal
from harness import SCOPE
from iam_house import ACCOUNT, GLOBAL, LAMBDA, Iam, allow, deny, document

TABLE = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/notes"
REFUSED = f"is not authorized to perform: dynamodb:GetItem on resource: {TABLE}"


async def denial(
    house: Iam,
    principal: Principal,
    resource_policy: str | None = None,
    *,
    action: str = "dynamodb:GetItem",
    resource: str = TABLE,
    conditions: dict[str, Any] | None = None,
    scope: Scope = SCOPE,
    **facts: Any,
) -> str | None:
    call = Call(scope, principal, "id", house.clock.now_ms(), house.ids, **facts)
    demand = Demand(action, resource, lambda: conditions or {})
    ruling = await house.store.read(lambda tx: IamAuthorizer().decide(tx, call, demand, resource_policy, None))
    return None if ruling.allowed else ruling.denial


def resource_policy(effect: str, principal: Any, **more: Any) -> str:
    return document({"Effect": effect, "Principal": principal, "Action": "*", "Resource": "*", **more})


async def test_a_role_may_what_its_policies_allow() -> None:
    house = Iam()
    session = await house.session(await house.role("notes", LAMBDA, allow("dynamodb:GetItem", TABLE)))

    assert await denial(house, session) is None
    assert await denial(house, session, action="dynamodb:PutItem") == (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/notes/one is not authorized to perform: dynamodb:PutItem "
        f"on resource: {TABLE} because no identity-based policy allows the dynamodb:PutItem action"
    )


async def test_a_changed_policy_is_in_force_at_once() -> None:
    house = Iam()
    session = await house.session(await house.role("notes", LAMBDA, allow("dynamodb:*")))
    assert await denial(house, session) is None

    await house.iam("PutRolePolicy", RoleName="notes", PolicyName="inline", PolicyDocument=document(allow("s3:*")))

    assert await denial(house, session) is not None


@pytest.mark.parametrize(
    ("facts", "secure"),
    [
        ({"secure": True, "source_ip": "203.0.113.9"}, True),
        ({"source_ip": "203.0.113.9"}, False),
        ({"source_ip": "10.0.0.1"}, False),
        ({"source_ip": "127.0.0.1"}, True),
        ({"source_ip": "::1"}, True),
        ({"source_ip": "::ffff:127.0.0.1"}, True),
    ],
)
async def test_what_stays_on_the_machine_is_secure(facts: dict[str, Any], secure: bool) -> None:
    """Decision 0049."""
    policy = resource_policy("Deny", "*", Condition={"Bool": {"aws:SecureTransport": "false"}})

    assert (await denial(Iam(), Principal.root(ACCOUNT), policy, **facts) is None) == secure


async def test_only_decisions_about_resources_of_a_usual_length_are_remembered() -> None:
    house = Iam()
    session = await house.session(await house.role("notes", LAMBDA, allow("dynamodb:GetItem")))
    _foresee.cache_clear()

    for resource, remembered in ((TABLE, 1), (TABLE + "x" * 4096, 1), (f"{TABLE}2", 2)):
        assert await denial(house, session, resource=resource) is None
        assert _foresee.cache_info().currsize == remembered


async def test_a_function_is_told_from_others_with_its_role() -> None:
    house = Iam()
    function = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:notes"
    only = allow("dynamodb:*", Condition={"ArnEquals": {"lambda:SourceFunctionArn": function}})
    role = await house.role("notes", {**LAMBDA, "AWS": ACCOUNT}, only, allow("sts:*"))
    its_own, of_another = [
        await house.session(role, Principal.service("lambda.amazonaws.com", source_arn=arn, source_account=ACCOUNT))
        for arn in (f"{function}:7", f"{function}2")
    ]
    of_gateway = await house.role("gateway", {"Service": "apigateway.amazonaws.com"}, only)
    elsewhere = await house.session(of_gateway, Principal.service("apigateway.amazonaws.com", source_arn=function))

    assert await denial(house, its_own) is None
    assert await denial(house, of_another) is not None
    assert await denial(house, elsewhere) is not None
    # What a function does with another session, it does not do with its own.
    assert await denial(house, await house.session(role, its_own)) is not None


VIA = "cloudformation.amazonaws.com"


@pytest.mark.parametrize(
    ("services", "condition", "denied"),
    [
        ([], {"Bool": {"aws:ViaAWSService": "true"}}, False),
        (["lambda"], {"Bool": {"aws:ViaAWSService": "true"}}, True),
        (["lambda"], {"Null": {"aws:CalledVia": "true"}}, True),
        ([], {"ForAnyValue:StringEquals": {"aws:CalledVia": VIA}}, False),
        (["cloudformation"], {"ForAnyValue:StringEquals": {"aws:CalledVia": VIA}}, True),
        (["cloudformation", "lambda"], {"StringEquals": {"aws:CalledViaLast": VIA}}, True),
        (["cloudformation", "dynamodb"], {"StringEquals": {"aws:CalledViaFirst": VIA}}, True),
        (["cloudformation", "dynamodb"], {"StringEquals": {"aws:CalledViaLast": VIA}}, False),
    ],
)
async def test_what_a_service_calls_on_its_callers_behalf(
    services: list[str], condition: dict[str, Any], denied: bool
) -> None:
    house = Iam()
    ann = await house.user("ann", allow("dynamodb:*"), deny("dynamodb:*", Condition=condition))
    for service in services:
        ann = ann.through(f"{service}.amazonaws.com")

    assert (await denial(house, ann) is not None) == denied


@pytest.mark.parametrize("kind", ["boundary", "session", "attached"])
async def test_a_policy_that_is_gone_allows_nothing_which_is_remembered(kind: str) -> None:
    house = Iam()
    text = document(allow("dynamodb:*"))
    arn = (await house.iam("CreatePolicy", PolicyName="gone", PolicyDocument=text))["Policy"]["Arn"]
    role = await house.role(
        "notes",
        LAMBDA,
        *([] if kind == "attached" else [allow("dynamodb:GetItem")]),
        **({"PermissionsBoundary": arn} if kind == "boundary" else {}),
    )
    if kind == "attached":
        await house.iam("AttachRolePolicy", RoleName="notes", PolicyArn=arn)
    session = await house.session(role, **({"PolicyArns": [{"arn": arn}]} if kind == "session" else {}))
    assert await denial(house, session) is None
    await house.store.write(lambda tx: POLICIES.delete(tx, GLOBAL, "gone"))
    _foresee.cache_clear()

    assert [await denial(house, session) is None for _ in range(3)] == [False] * 3
    assert (_foresee.cache_info().misses, _foresee.cache_info().hits) == (1, 2)


@pytest.mark.parametrize(
    ("condition", "other", "looks"),
    [
        ({"ArnLike": {"aws:SourceArn": "arn:aws:execute-api:*:*:a/*/*"}}, {"source_arn": "arn:aws:sns:::b"}, 2),
        ({"StringEquals": {"aws:SourceAccount": ACCOUNT}}, {"source_account": "9" * 12}, 2),
        ({"IpAddress": {"aws:SourceIp": "::1"}}, {}, 1),
        ({"StringNotEquals": {"aws:SourceArn": "${aws:EpochTime}"}, "Null": {"aws:CurrentTime": True}}, {}, 1),
    ],
    ids=["its ARN", "its account", "something else", "something else in a variable"],
)
async def test_on_whose_behalf_a_service_calls_is_a_part_of_what_is_remembered(
    condition: dict[str, Any], other: dict[str, str], looks: int
) -> None:
    house = Iam()
    policy = resource_policy("Allow", {"Service": "apigateway.amazonaws.com"}, Condition=condition)
    source = {"source_arn": f"arn:aws:execute-api:us-east-1:{ACCOUNT}:a/*/*", "source_account": ACCOUNT}
    gateway = Principal.service("apigateway.amazonaws.com", **source)
    another = Principal.service("apigateway.amazonaws.com", **{**source, **other})
    _foresee.cache_clear()

    said = [await denial(house, caller, policy) is None for caller in (gateway, another, gateway, another)]

    assert said == [looks == 2, False] * 2
    assert _foresee.cache_info().misses == looks


@pytest.mark.parametrize(
    "narrowed",
    [
        allow("dynamodb:*", Condition={"DateLessThan": {"aws:CurrentTime": "2025-10-09T09:00:00Z"}}),
        allow("dynamodb:*", "arn:aws:dynamodb:*:*:table/${aws:EpochTime}"),
    ],
    ids=["a condition", "a variable"],
)
async def test_what_depends_on_the_moment_is_decided_anew(narrowed: dict[str, Any]) -> None:
    house = Iam()
    session = await house.session(await house.role("notes", LAMBDA, narrowed))
    table = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{house.clock.now_ms() // 1000}"

    assert await denial(house, session, resource=table) is None
    house.clock.advance(3600)

    assert await denial(house, session, resource=table) is not None


async def test_an_aws_managed_policy_counts() -> None:
    house = Iam()
    session = await house.session(await house.role("notes", LAMBDA))
    await house.iam(
        "AttachRolePolicy",
        RoleName="notes",
        PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
    )

    assert await denial(house, session, action="logs:PutLogEvents") is None
    assert await denial(house, session) is not None


async def test_a_customer_policy_counts_in_its_default_version() -> None:
    house = Iam()
    session = await house.session(await house.role("notes", LAMBDA))
    policy = await house.iam("CreatePolicy", PolicyName="p", PolicyDocument=document(allow("s3:*")))
    arn = policy["Policy"]["Arn"]
    await house.iam("AttachRolePolicy", RoleName="notes", PolicyArn=arn)
    assert await denial(house, session) is not None

    await house.iam(
        "CreatePolicyVersion", PolicyArn=arn, PolicyDocument=document(allow("dynamodb:*")), SetAsDefault=True
    )

    assert await denial(house, session) is None


async def test_the_words_say_which_kind_of_policy_refused() -> None:
    house = Iam()
    arn = await house.role("notes", LAMBDA, allow("*"), deny("dynamodb:GetItem"))
    session = await house.session(arn)
    who = f"User: {session.arn} {REFUSED}"
    assert await denial(house, session) == f"{who} with an explicit deny in an identity-based policy"

    await house.iam("PutRolePolicy", RoleName="notes", PolicyName="inline", PolicyDocument=document(allow("*")))
    assert await denial(house, session, resource_policy("Deny", "*")) == (
        f"{who} with an explicit deny in a resource-based policy"
    )

    narrowed = await house.session(arn, Policy=document(allow("s3:*")))
    assert await denial(house, narrowed) == f"{who} because no session policy allows the dynamodb:GetItem action"
    denied = await house.session(arn, Policy=document(allow("*"), deny("dynamodb:*")))
    assert await denial(house, denied) == f"{who} with an explicit deny in a session policy"
    by_arn = await house.session(arn, PolicyArns=[{"arn": "arn:aws:iam::aws:policy/AmazonS3FullAccess"}])
    assert await denial(house, by_arn) == f"{who} because no session policy allows the dynamodb:GetItem action"

    await house.iam(
        "PutRolePermissionsBoundary",
        RoleName="notes",
        PermissionsBoundary="arn:aws:iam::aws:policy/AmazonS3FullAccess",
    )
    assert await denial(house, session) == (f"{who} because no permissions boundary allows the dynamodb:GetItem action")

    abroad = await denial(house, session, resource=TABLE.replace(ACCOUNT, "999999999999"))
    assert abroad is not None
    assert abroad.endswith("because no resource-based policy allows the dynamodb:GetItem action")


async def test_a_namesake_of_the_role_that_signed_gets_nothing() -> None:
    house = Iam()
    session = await house.session(await house.role("notes", LAMBDA, allow("*")))
    await house.iam("DeleteRolePolicy", RoleName="notes", PolicyName="inline")
    await house.iam("DeleteRole", RoleName="notes")
    await house.role("notes", LAMBDA, allow("*"))

    assert await denial(house, session) is not None
    assert await denial(house, session, resource_policy("Allow", {"AWS": session.arn})) is not None


async def test_root_may_everything_but_what_a_resource_denies() -> None:
    house = Iam()

    assert await denial(house, Principal.root(ACCOUNT)) is None
    assert await denial(house, Principal.root(ACCOUNT), resource_policy("Deny", {"AWS": ACCOUNT})) == (
        f"User: arn:aws:iam::{ACCOUNT}:root {REFUSED} with an explicit deny in a resource-based policy"
    )
    assert await denial(house, Principal.root("999999999999")) is not None


async def test_a_service_needs_the_resources_consent() -> None:
    house = Iam()
    gateway = Principal.service("apigateway.amazonaws.com", source_arn=f"arn:aws:execute-api:us-east-1:{ACCOUNT}:a/*/*")
    from_a = {"ArnLike": {"AWS:SourceArn": f"arn:aws:execute-api:us-east-1:{ACCOUNT}:a/*"}}
    from_b = {"ArnLike": {"AWS:SourceArn": f"arn:aws:execute-api:us-east-1:{ACCOUNT}:b/*"}}
    named = {"Service": "apigateway.amazonaws.com"}

    assert await denial(house, gateway, resource_policy("Allow", named, Condition=from_a)) is None
    assert await denial(house, gateway, resource_policy("Allow", named, Condition=from_b)) == (
        f"User: apigateway.amazonaws.com {REFUSED} because no resource-based policy allows the dynamodb:GetItem action"
    )
    assert (
        await denial(
            house,
            gateway,
            resource_policy("Allow", named, Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}}),
        )
        is None
    )


async def test_a_stranger_needs_a_resource_that_is_open_to_all() -> None:
    house = Iam()

    assert await denial(house, Principal.anonymous(), resource_policy("Allow", "*")) is None
    assert await denial(house, Principal.anonymous(), resource_policy("Allow", {"AWS": ACCOUNT})) is not None


CONDITIONS: list[tuple[str, dict[str, Any], bool]] = [
    ("the time", {"DateGreaterThan": {"aws:CurrentTime": "2025-10-09T00:00:00Z"}}, True),
    ("another time", {"DateLessThan": {"aws:CurrentTime": "2025-10-09T00:00:00Z"}}, False),
    ("the time as a number", {"NumericEquals": {"aws:EpochTime": "1760000000"}}, True),
    ("the address", {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, True),
    ("another address", {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, False),
    ("the agent", {"StringLike": {"aws:UserAgent": "Boto3/*"}}, True),
    ("no TLS", {"Bool": {"aws:SecureTransport": "true"}}, False),
    ("the region", {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, True),
    ("the role", {"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/app/notes"}}, True),
    ("the account", {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}, True),
    ("the resource's account", {"StringEquals": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}}, True),
    ("the kind of principal", {"StringEquals": {"aws:PrincipalType": "AssumedRole"}}, True),
    ("the session", {"StringLike": {"aws:userid": "AROA*:one"}}, True),
    ("no user", {"Null": {"aws:username": "true"}}, True),
    ("a tag of the role", {"StringEquals": {"aws:PrincipalTag/Team": "blue"}}, True),
    ("another team", {"StringEquals": {"aws:PrincipalTag/Team": "red"}}, False),
    ("no second factor", {"Bool": {"aws:MultiFactorAuthPresent": "true"}}, False),
    ("the session's age", {"DateLessThan": {"aws:TokenIssueTime": "2025-10-09T00:00:00Z"}}, False),
    ("a key of the service", {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["a", "b"]}}, True),
    ("another of it", {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["a"]}}, False),
]


@pytest.mark.parametrize(("condition", "allowed"), [row[1:] for row in CONDITIONS], ids=[row[0] for row in CONDITIONS])
async def test_condition_keys(condition: dict[str, Any], allowed: bool) -> None:
    house = Iam()
    arn = await house.role(
        "notes", LAMBDA, allow("*", Condition=condition), Path="/app/", Tags=[{"Key": "Team", "Value": "blue"}]
    )
    session = await house.session(arn)

    found = await denial(
        house,
        session,
        conditions={"dynamodb:LeadingKeys": ["a", "b"]},
        source_ip="203.0.113.9",
        user_agent="Boto3/1.40",
    )

    assert (found is None) is allowed


async def test_a_user_has_a_name() -> None:
    house = Iam()
    ann = await house.user("ann", allow("s3:*", "arn:aws:s3:::home/${aws:username}/*"))

    assert await denial(house, ann, action="s3:GetObject", resource="arn:aws:s3:::home/ann/x") is None
    assert await denial(house, ann, action="s3:GetObject", resource="arn:aws:s3:::home/bob/x") is not None
