"""May this caller do that? Finds the policies that speak to a call, asks `policy.evaluate`, and finds AWS's words.

Records are read in the caller's transaction, so a changed policy is in force for the next request; documents are
compiled once per text.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from cumulet.policy.documents import parse_document
from cumulet.policy.evaluate import Decision, Policy, PolicyKind, Request, evaluate, narrow
from cumulet.policy.matching import Context
from cumulet.policy.principals import Caller
from cumulet.scope import account_of
from cumulet.services.iam.circumstances import Circumstances, find_source_account
from cumulet.services.iam.standing import find_own_standing, held_policies, managed_policy
from cumulet.services.kit import Call, Demand, Principal, ResourceTags, Ruling
from cumulet.store.api import ReadTx

_ASSUME: Final = "sts:AssumeRole"

# IAM user guide, "Troubleshoot access denied error messages".
_EXPLICITLY: Final[Mapping[PolicyKind, str]] = {
    "identity": "an identity-based policy",
    "resource": "a resource-based policy",
    "boundary": "a permissions boundary",
    "session": "a session policy",
}
_FOR_WANT_OF: Final[Mapping[PolicyKind, str]] = {
    "identity": "identity-based policy",
    "resource": "resource-based policy",
    "boundary": "permissions boundary",
    "session": "session policy",
}

_REMEMBERED_CHARACTERS_MAX: Final = 1024
"""Of a resource: strangers name an API's paths, which can be sixty times as long."""


class _Policies(NamedTuple):
    """All that may have a say about a call."""

    held: tuple[Policy, ...]
    own: tuple[Policy, ...]
    """The resource's."""
    boundary: Policy | None
    session: tuple[Policy, ...]


class _Source(NamedTuple):
    """On whose behalf a service calls."""

    arn: str
    account: str


class _Asked(Exception):
    """A policy asks for circumstances."""


class _SourceAlone:
    """The `Context` of every call on behalf of one resource, or of none: whatever else is asked for is not known."""

    def __init__(self, source: _Source | None) -> None:
        self._told: dict[str, str | None] = {}
        if source is not None:
            self._told = {"aws:sourcearn": source.arn or None, "aws:sourceaccount": find_source_account(*source)}

    def get(self, key: str, /) -> str | None:
        """Return what the key stands for. Raises _Asked where that may differ between such calls."""
        if key not in self._told:
            raise _Asked
        return self._told[key]


class IamAuthorizer:
    """The kit's Authorizer over the records of the IAM service."""

    def decide(
        self, tx: ReadTx, call: Call, demand: Demand, resource_policy: str | None, resource_tags: ResourceTags | None
    ) -> Ruling:
        """Return whether the caller may do what is demanded."""
        principal, action, resource = call.principal, demand.action, demand.resource
        standing = find_own_standing(tx, principal)
        caller = Caller(
            principal.kind,
            principal.arn,
            principal.account,
            standing.arn if standing is not None and principal.kind == "role" else "",
        )
        account = account_of(resource) or call.scope.account
        if standing is None and principal.kind in ("role", "user"):
            # Gone since they signed, and with them every grant.
            return _ruling(_request(caller, action, resource, account, {}), Decision(False, "identity"))
        policies = _Policies(
            () if standing is None else held_policies(tx, standing),
            _own_policies(action, resource_policy) if resource_policy else (),
            managed_policy(tx, standing.boundary) if standing is not None and standing.boundary else None,
            tuple([_session_policy(tx, source) for source in principal.session_policies]),
        )
        foresee = _foresee if len(resource) <= _REMEMBERED_CHARACTERS_MAX else _foresee.__wrapped__
        foreseen = foresee(caller, action, resource, account, policies, _source_of(principal))
        if isinstance(foreseen, Ruling):
            return foreseen
        context = Circumstances(tx, call, demand, standing, account, resource_tags)
        return _rule(_request(caller, action, resource, account, context), foreseen)


@lru_cache(maxsize=4096)  # a function does one thing all day long
def _foresee(
    caller: Caller, action: str, resource: str, account: str, policies: _Policies, source: _Source | None
) -> Ruling | _Policies:
    """Return the ruling, if circumstances cannot change it, else what of the policies can speak of such a call."""

    def narrowed(group: tuple[Policy, ...]) -> tuple[Policy, ...]:
        return narrow(group, caller, action, resource)

    held, own, session = narrowed(policies.held), narrowed(policies.own), narrowed(policies.session)
    boundary = narrowed((policies.boundary,)) if policies.boundary else ()
    left = _Policies(held, own, boundary[0] if boundary else None, session)
    try:
        return _rule(_request(caller, action, resource, account, _SourceAlone(source)), left)
    except _Asked:
        return left


def _source_of(principal: Principal) -> _Source | None:
    return _Source(principal.source_arn, principal.source_account) if principal.kind == "service" else None


def _request(caller: Caller, action: str, resource: str, account: str, context: Context) -> Request:
    return Request(caller, action, resource, account, context, resource_must_allow=action == _ASSUME)


def _rule(request: Request, policies: _Policies) -> Ruling:
    held, own, boundary, session = policies
    return _ruling(request, evaluate(request, held, own, boundary, session or None))


def _ruling(request: Request, decision: Decision) -> Ruling:
    return Ruling(True) if decision.allowed else Ruling(False, _render_denial(request, decision), decision.explicit)


def _render_denial(request: Request, decision: Decision) -> str:
    caller, action = request.caller, request.action
    if caller.kind == "anonymous":
        return "Access Denied"  # S3, which alone serves strangers, tells them no more
    words = f"User: {caller.arn} is not authorized to perform: {action} on resource: {request.resource}"
    if action == _ASSUME:
        # STS does not tell outsiders what a trust policy says.
        return words
    if decision.explicit:
        return f"{words} with an explicit deny in {_EXPLICITLY[decision.kind]}"
    return f"{words} because no {_FOR_WANT_OF[decision.kind]} allows the {action} action"


def _own_policies(action: str, text: str) -> tuple[Policy, ...]:
    return (Policy("", parse_document(text, "trust" if action == _ASSUME else "resource")),)


def _session_policy(tx: ReadTx, source: str) -> Policy:
    return managed_policy(tx, source) if source.startswith("arn:") else Policy("", parse_document(source))
