"""The policy evaluator against a naive one, and what must be true of any decision."""

import json
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.policy.documents import parse_document
from cumulet.policy.evaluate import Decision, Policy, Request, evaluate, narrow
from cumulet.policy.principals import Caller

pytestmark = pytest.mark.slow

ACCOUNTS = ["111111111111", "222222222222"]
ACTIONS = ["s3:GetObject", "s3:PutObject", "sqs:SendMessage"]
ACTION_PATTERNS = [*ACTIONS, "*", "s3:*", "S3:getobject", "s3:???Object", "*:*"]
RESOURCES = [f"arn:aws:sqs:{region}:{ACCOUNTS[0]}:{name}" for region in ("r1", "r2") for name in ("q/a", "q/b:c")]
RESOURCE_PATTERNS = [
    *RESOURCES,
    "*",
    "arn:aws:sqs:*:*:*",
    "arn:aws:sqs:r?:*:q/a",
    "arn:aws:sqs:*:q/a",
    "arn:aws:sqs:r1",
    "arn:aws:sqs:*:*:q/${tag}",
]
TAGS = ["a", "b:c", "z"]

CALLERS = [
    Caller("root", f"arn:aws:iam::{ACCOUNTS[0]}:root", ACCOUNTS[0]),
    Caller("user", f"arn:aws:iam::{ACCOUNTS[0]}:user/ann", ACCOUNTS[0]),
    Caller("role", f"arn:aws:sts::{ACCOUNTS[0]}:assumed-role/r/s", ACCOUNTS[0], f"arn:aws:iam::{ACCOUNTS[0]}:role/p/r"),
    Caller("service", "s3.amazonaws.com"),
    Caller("anonymous", "anonymous"),
]
PRINCIPALS: list[Any] = [
    "*",
    {"AWS": "*"},
    *({"AWS": account} for account in ACCOUNTS),
    {"AWS": f"arn:aws:iam::{ACCOUNTS[0]}:root"},
    *({"AWS": [caller.arn, caller.role_arn or caller.arn]} for caller in CALLERS[1:3]),
    {"AWS": CALLERS[2].role_arn},
    {"Service": "s3.amazonaws.com"},
    {"Service": "sns.amazonaws.com"},
]

conditions = st.dictionaries(
    st.sampled_from(["StringEquals", "StringNotEquals", "StringLike", "StringEqualsIfExists"]),
    st.dictionaries(
        st.sampled_from(["tag", "Tag", "other"]), st.lists(st.sampled_from([*TAGS, "*"]), min_size=1, max_size=2)
    ),
    max_size=2,
)


def statements(principals: bool) -> st.SearchStrategy[dict[str, Any]]:
    elements: dict[str, st.SearchStrategy[Any]] = {
        "Effect": st.sampled_from(["Allow", "Allow", "Deny"]),
        "Condition": st.one_of(st.just({}), conditions),
    }
    if principals:
        elements["Principal"] = st.sampled_from(PRINCIPALS)
    choices = [
        st.fixed_dictionaries(
            {
                **elements,
                action: st.lists(st.sampled_from(ACTION_PATTERNS), min_size=1, max_size=2),
                resource: st.lists(st.sampled_from(RESOURCE_PATTERNS), min_size=1, max_size=2),
            }
        )
        for action in ("Action", "NotAction")
        for resource in ("Resource", "NotResource")
    ]
    return st.one_of(choices)


def policies(principals: bool = False, most: int = 2) -> st.SearchStrategy[list[list[dict[str, Any]]]]:
    return st.lists(st.lists(statements(principals), min_size=1, max_size=3), max_size=most)


requests = st.builds(
    Request,
    caller=st.sampled_from(CALLERS),
    action=st.sampled_from(ACTIONS),
    resource=st.sampled_from(RESOURCES),
    resource_account=st.sampled_from(ACCOUNTS),
    context=st.dictionaries(st.just("tag"), st.sampled_from(TAGS)),
    resource_must_allow=st.booleans(),
)

worlds = st.fixed_dictionaries(
    {
        "identity": policies(),
        "resource": policies(principals=True),
        "boundary": st.one_of(st.none(), policies(most=1)),
        "session": st.one_of(st.none(), policies()),
    }
)
World = dict[str, Any]


def decide(request: Request, world: World) -> Decision:
    return decide_compiled(request, compile_world(world))


def compile_world(world: World) -> dict[str, Any]:
    def compiled(group: str) -> tuple[Policy, ...]:
        kind: Any = "resource" if group == "resource" else "identity"
        return tuple(
            Policy(str(n), parse_document(json.dumps({"Version": "2012-10-17", "Statement": each}), kind))
            for n, each in enumerate(world[group] or [])
        )

    return {group: None if policies is None else compiled(group) for group, policies in world.items()}


def decide_compiled(request: Request, compiled: dict[str, Any]) -> Decision:
    boundary = compiled["boundary"]
    return evaluate(
        request,
        compiled["identity"],
        compiled["resource"],
        boundary[0] if boundary else None,
        compiled["session"],
    )


# The naive evaluator: every rule spelled out as AWS's user guide tells it, nothing compiled and nothing shared.


def naive_allowed(request: Request, world: World) -> bool:
    def speaking(group: str, effect: str, extra: Callable[[dict[str, Any]], bool] = lambda statement: True) -> bool:
        return any(
            statement["Effect"] == effect and naive_covers(statement, request) and extra(statement)
            for policy in world[group] or []
            for statement in policy
        )

    caller = request.caller
    account_arn = f"arn:aws:iam::{caller.account}:root"

    def names(statement: dict[str, Any], *who: str) -> bool:
        principal = statement["Principal"]
        if principal == "*":
            return "*" in who
        [(kind, listed)] = principal.items()
        listed = listed if isinstance(listed, list) else [listed]
        listed = [f"arn:aws:iam::{name}:root" if name in ACCOUNTS else name for name in listed]
        return (kind == "Service") == (caller.kind == "service" and "*" not in listed) and bool(set(listed) & set(who))

    everything_of_me = [arn for arn in ("*", caller.account and account_arn, caller.role_arn, caller.arn) if arn]
    if any(speaking(group, "Deny") for group in ("identity", "boundary", "session")):
        return False
    if speaking("resource", "Deny", lambda s: names(s, *everything_of_me)):
        return False

    by_resource = speaking("resource", "Allow", lambda s: names(s, *everything_of_me))
    if caller.kind in ("service", "anonymous"):
        return by_resource
    unbounded = world["boundary"] in (None, []) or speaking("boundary", "Allow")
    unnarrowed = world["session"] is None or speaking("session", "Allow")
    by_identity = caller.kind == "root" or speaking("identity", "Allow")

    if caller.account != request.resource_account:
        return by_resource and by_identity and unbounded and unnarrowed
    if request.resource_must_allow and not by_resource:
        return False
    direct = [caller.arn] if caller.kind == "role" else [caller.arn, "*"]
    if speaking("resource", "Allow", lambda s: names(s, *direct)):
        return True
    if caller.kind == "role" and speaking("resource", "Allow", lambda s: names(s, caller.role_arn, "*")):
        return unbounded and unnarrowed
    return by_identity and unbounded and unnarrowed


def naive_covers(statement: dict[str, Any], request: Request) -> bool:
    def action_matches(pattern: str) -> bool:
        return fnmatchcase(request.action.lower(), pattern.lower())

    def resource_matches(pattern: str) -> bool:
        if "${tag}" in pattern:
            if "tag" not in request.context:
                return False
            pattern = pattern.replace("${tag}", str(request.context["tag"]))
        if pattern == "*":
            return True
        wanted, has = pattern.split(":", 5), request.resource.split(":", 5)
        wanted += ["*"] * (6 - len(wanted))
        return all(fnmatchcase(*pair) for pair in zip(has, wanted, strict=True))

    def condition_holds(operator: str, key: str, wanted: list[str]) -> bool:
        value = request.context.get(key.lower())
        if value is None:
            return operator in ("StringNotEquals", "StringEqualsIfExists")
        if operator == "StringLike":
            return any(fnmatchcase(str(value), pattern) for pattern in wanted)
        return (value in wanted) is not (operator == "StringNotEquals")

    if "Action" in statement and not any(map(action_matches, statement["Action"])):
        return False
    if "NotAction" in statement and any(map(action_matches, statement["NotAction"])):
        return False
    if "Resource" in statement and not any(map(resource_matches, statement["Resource"])):
        return False
    if "NotResource" in statement and any(map(resource_matches, statement["NotResource"])):
        return False
    return all(
        condition_holds(operator, key, values)
        for operator, keys in statement["Condition"].items()
        for key, values in keys.items()
    )


@settings(max_examples=300, deadline=None)
@given(requests, worlds)
def test_the_evaluator_agrees_with_the_naive_one(request: Request, world: World) -> None:
    assert decide(request, world).allowed == naive_allowed(request, world)


@settings(max_examples=200, deadline=None)
@given(requests, worlds, st.dictionaries(st.just("tag"), st.sampled_from(TAGS)))
def test_narrowed_policies_decide_the_same_and_see_what_circumstances_can_change(
    request: Request, world: World, other: dict[str, str]
) -> None:
    compiled = compile_world(world)
    narrowed = {
        group: policies and narrow(policies, request.caller, request.action, request.resource)
        for group, policies in compiled.items()
    }

    assert decide_compiled(request, narrowed) == decide_compiled(request, compiled)

    left = [one for policies in narrowed.values() for _, document in policies or () for one in document.statements]
    if not any(statement.conditions or statement.has_variables for statement in left):
        elsewhere = request._replace(context=other)
        assert decide_compiled(elsewhere, compiled) == decide_compiled(request, compiled)


@settings(max_examples=60, deadline=None)
@given(requests, worlds, st.data())
def test_another_deny_never_allows_more(request: Request, world: World, data: st.DataObject) -> None:
    group = data.draw(st.sampled_from(["identity", "resource"]))
    denying = {**data.draw(statements(principals=group == "resource")), "Effect": "Deny"}

    more = {**world, group: [*world[group], [denying]]}

    assert decide(request, more).allowed <= decide(request, world).allowed


@settings(max_examples=60, deadline=None)
@given(requests, worlds, st.data())
def test_another_allow_never_allows_less(request: Request, world: World, data: st.DataObject) -> None:
    group = data.draw(st.sampled_from(["identity", "resource"]))
    allowing = {**data.draw(statements(principals=group == "resource")), "Effect": "Allow"}

    more = {**world, group: [*world[group], [allowing]]}

    assert decide(request, more).allowed >= decide(request, world).allowed


@settings(max_examples=60, deadline=None)
@given(requests, worlds, st.randoms(use_true_random=False))
def test_the_order_of_policies_and_statements_does_not_matter(request: Request, world: World, random: Any) -> None:
    shuffled = {
        group: found and [random.sample(policy, len(policy)) for policy in random.sample(found, len(found))]
        for group, found in world.items()
    }

    before, after = decide(request, world), decide(request, shuffled)

    assert (before.allowed, before.kind, before.explicit) == (after.allowed, after.kind, after.explicit)


@settings(max_examples=60, deadline=None)
@given(requests, worlds)
def test_what_narrows_only_narrows(request: Request, world: World) -> None:
    free = decide(request, {**world, "boundary": None, "session": None})

    assert decide(request, world).allowed <= free.allowed


@settings(max_examples=60, deadline=None)
@given(requests, worlds)
def test_a_decision_has_reasons_unless_the_want_of_one_decided(request: Request, world: World) -> None:
    decision = decide(request, world)

    if decision.explicit:
        assert not decision.allowed
        assert decision.reasons
    elif not decision.allowed:
        assert not decision.reasons
    else:
        assert decision.reasons or request.caller.kind == "root"
    assert all(reason.kind == decision.kind for reason in decision.reasons)
