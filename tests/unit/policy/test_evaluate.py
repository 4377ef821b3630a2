"""Who must allow what: the table of `evaluate`, row by row, with the reasons."""

import json
from typing import Any

import pytest

from cumulet.policy.documents import parse_document
from cumulet.policy.evaluate import Decision, Policy, Reason, Request, evaluate
from cumulet.policy.principals import Caller

ME, OTHER = "111111111111", "222222222222"
TABLE = f"arn:aws:dynamodb:us-east-1:{ME}:table/notes"
ROLE = f"arn:aws:iam::{ME}:role/app/worker"
SESSION = f"arn:aws:sts::{ME}:assumed-role/worker/one"

SESSION_CALLER = Caller("role", SESSION, ME, ROLE)
USER_CALLER = Caller("user", f"arn:aws:iam::{ME}:user/ann", ME)
ROOT_CALLER = Caller("root", f"arn:aws:iam::{ME}:root", ME)
SERVICE_CALLER = Caller("service", "s3.amazonaws.com")
ANYONE = Caller("anonymous", "anonymous")


def policy(effect: str = "Allow", name: str = "p", **more: Any) -> Policy:
    statement = {"Effect": effect, "Action": "*", "Resource": "*", **more}
    kind = "resource" if "Principal" in more or "NotPrincipal" in more else "identity"
    return Policy(name, parse_document(json.dumps({"Version": "2012-10-17", "Statement": [statement]}), kind))


ALLOW, DENY = policy(), policy("Deny", "d", Sid="Never")
ELSEWHERE = policy(Resource="arn:aws:s3:::x")


def decide(caller: Caller, *identity: Policy, own: bool = True, **more: Any) -> Decision:
    account = caller.account if own else OTHER
    request = Request(
        caller, "dynamodb:GetItem", TABLE, account, resource_must_allow=more.pop("resource_must_allow", False)
    )
    return evaluate(request, identity, **more)


def naming(principal: Any, effect: str = "Allow") -> list[Policy]:
    return [policy(effect, "r", Principal=principal)]


MATRIX: list[tuple[str, Decision, bool, str, bool]] = [
    ("nothing speaks", decide(SESSION_CALLER), False, "identity", False),
    ("identity allows", decide(SESSION_CALLER, ALLOW), True, "identity", False),
    ("another resource", decide(SESSION_CALLER, ELSEWHERE), False, "identity", False),
    ("a deny wins", decide(SESSION_CALLER, ALLOW, DENY), False, "identity", True),
    ("root needs no policy", decide(ROOT_CALLER), True, "identity", False),
    (
        "root is denied by the resource",
        decide(ROOT_CALLER, resource_policies=naming("*", "Deny")),
        False,
        "resource",
        True,
    ),
    ("boundary silent", decide(USER_CALLER, ALLOW, boundary=ELSEWHERE), False, "boundary", False),
    ("boundary denies", decide(USER_CALLER, ALLOW, boundary=DENY), False, "boundary", True),
    ("boundary allows, nothing else", decide(USER_CALLER, boundary=ALLOW), False, "identity", False),
    ("session silent", decide(SESSION_CALLER, ALLOW, session_policies=[ELSEWHERE]), False, "session", False),
    ("session empty", decide(SESSION_CALLER, ALLOW, session_policies=[]), False, "session", False),
    (
        "one of the session's",
        decide(SESSION_CALLER, ALLOW, session_policies=[ELSEWHERE, ALLOW]),
        True,
        "identity",
        False,
    ),
    ("session denies", decide(SESSION_CALLER, ALLOW, session_policies=[ALLOW, DENY]), False, "session", True),
    (
        "resource names the account",
        decide(SESSION_CALLER, resource_policies=naming({"AWS": ME})),
        False,
        "identity",
        False,
    ),
    (
        "resource names the role",
        decide(SESSION_CALLER, resource_policies=naming({"AWS": ROLE})),
        True,
        "resource",
        False,
    ),
    ("resource names everyone", decide(SESSION_CALLER, resource_policies=naming("*")), True, "resource", False),
    (
        "the role, but its boundary is silent",
        decide(SESSION_CALLER, boundary=ELSEWHERE, resource_policies=naming({"AWS": ROLE})),
        False,
        "boundary",
        False,
    ),
    (
        "the very session, whatever the boundary",
        decide(SESSION_CALLER, boundary=ELSEWHERE, session_policies=[], resource_policies=naming({"AWS": SESSION})),
        True,
        "resource",
        False,
    ),
    (
        "the very session, but someone denies",
        decide(SESSION_CALLER, DENY, resource_policies=naming({"AWS": SESSION})),
        False,
        "identity",
        True,
    ),
    (
        "resource denies the role",
        decide(SESSION_CALLER, ALLOW, resource_policies=naming({"AWS": ROLE}, "Deny")),
        False,
        "resource",
        True,
    ),
    (
        "resource denies the account",
        decide(SESSION_CALLER, ALLOW, resource_policies=naming({"AWS": ME}, "Deny")),
        False,
        "resource",
        True,
    ),
    (
        "resource denies another",
        decide(SESSION_CALLER, ALLOW, resource_policies=naming({"AWS": OTHER}, "Deny")),
        True,
        "identity",
        False,
    ),
    ("abroad, identity alone", decide(SESSION_CALLER, ALLOW, own=False), False, "resource", False),
    (
        "abroad, resource alone",
        decide(SESSION_CALLER, own=False, resource_policies=naming({"AWS": ROLE})),
        False,
        "identity",
        False,
    ),
    (
        "abroad, both",
        decide(SESSION_CALLER, ALLOW, own=False, resource_policies=naming({"AWS": ME})),
        True,
        "identity",
        False,
    ),
    ("abroad, root", decide(ROOT_CALLER, own=False), False, "resource", False),
    (
        "abroad, root, trusted",
        decide(ROOT_CALLER, own=False, resource_policies=naming({"AWS": ME})),
        True,
        "identity",
        False,
    ),
    ("trust: identity alone", decide(SESSION_CALLER, ALLOW, resource_must_allow=True), False, "resource", False),
    (
        "trust: the account, and identity",
        decide(USER_CALLER, ALLOW, resource_must_allow=True, resource_policies=naming({"AWS": ME})),
        True,
        "identity",
        False,
    ),
    (
        "trust: the account alone",
        decide(USER_CALLER, resource_must_allow=True, resource_policies=naming({"AWS": ME})),
        False,
        "identity",
        False,
    ),
    ("a service, unnamed", decide(SERVICE_CALLER), False, "resource", False),
    (
        "a service, named",
        decide(SERVICE_CALLER, resource_policies=naming({"Service": "s3.amazonaws.com"})),
        True,
        "resource",
        False,
    ),
    (
        "another service",
        decide(SERVICE_CALLER, resource_policies=naming({"Service": "sns.amazonaws.com"})),
        False,
        "resource",
        False,
    ),
    ("anyone, unnamed", decide(ANYONE, resource_policies=naming({"AWS": ME})), False, "resource", False),
    ("anyone, by everyone", decide(ANYONE, resource_policies=naming({"AWS": "*"})), True, "resource", False),
]


@pytest.mark.parametrize(
    ("decision", "allowed", "kind", "explicit"), [row[1:] for row in MATRIX], ids=[row[0] for row in MATRIX]
)
def test_who_decides(decision: Decision, allowed: bool, kind: str, explicit: bool) -> None:
    assert (decision.allowed, decision.kind, decision.explicit) == (allowed, kind, explicit)


def test_the_reasons_name_policy_and_statement() -> None:
    assert decide(USER_CALLER, ALLOW, DENY).reasons == (Reason("identity", "d", "Never"),)
    assert decide(USER_CALLER, ELSEWHERE, ALLOW).reasons == (Reason("identity", "p", "0"),)
    assert decide(USER_CALLER, ELSEWHERE).reasons == ()


SPARED: list[tuple[str, list[str], bool]] = [
    ("nobody spared", [f"arn:aws:iam::{OTHER}:root"], False),
    ("the role, but not its account", [ROLE], False),
    ("the role and its account, but not the session", [ROLE, ME], False),
    ("all three", [ROLE, f"arn:aws:iam::{ME}:root", SESSION], True),
]


@pytest.mark.parametrize(("listed", "allowed"), [row[1:] for row in SPARED], ids=[row[0] for row in SPARED])
def test_not_principal_with_deny_spares_only_who_is_listed_whole(listed: list[str], allowed: bool) -> None:
    denying = [policy("Deny", NotPrincipal={"AWS": listed})]

    assert decide(SESSION_CALLER, ALLOW, resource_policies=denying).allowed is allowed


@pytest.mark.parametrize(
    ("element", "allowed"),
    [
        ({"NotAction": "dynamodb:*"}, False),
        ({"NotAction": "s3:*"}, True),
        ({"NotResource": TABLE}, False),
        ({"NotResource": "arn:aws:s3:::*"}, True),
    ],
)
def test_what_a_statement_excepts(element: dict[str, str], allowed: bool) -> None:
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", **element}
    for name in element:
        del statement[name.removeprefix("Not")]
    excepting = Policy("p", parse_document(json.dumps({"Version": "2012-10-17", "Statement": statement})))

    assert decide(USER_CALLER, excepting).allowed is allowed
