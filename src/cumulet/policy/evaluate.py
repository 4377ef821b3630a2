"""The decision: from a request and the policies that speak to it, to allow or deny, with the reasons.

IAM user guide, "Policy evaluation logic". One Deny anywhere decides. Otherwise, what must allow:

                          identity policy    resource policy    boundary and session policy
    own account           yes, unless the    no, but for a      yes, unless the resource policy
                          resource policy    role's trust       names the very caller
                          names the caller   policy
                          or the role
    another account's     yes                yes                yes
    a service, anonymous  -                  yes                -

Where a boundary or session policy exists, that is; the account's root has neither, and needs no identity policy.
"""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

from cumulet.policy.documents import Document, Statement
from cumulet.policy.matching import Context
from cumulet.policy.principals import Caller, Grant

PolicyKind = Literal["identity", "resource", "boundary", "session"]


class Policy(NamedTuple):
    """A document and where it comes from: an ARN, or the name of an inline policy."""

    name: str
    document: Document


class Reason(NamedTuple):
    """A statement that decided."""

    kind: PolicyKind
    policy: str
    statement: str


class Request(NamedTuple):
    """What someone wants to do."""

    caller: Caller
    action: str
    resource: str
    resource_account: str
    context: Context = MappingProxyType({})
    resource_must_allow: bool = False
    """The resource's policy must allow even its own account: a role's trust policy."""


class Decision(NamedTuple):
    """The answer, and why."""

    allowed: bool
    kind: PolicyKind
    """Which kind of policy decided: the one that denied, that did not allow, or that allowed."""
    explicit: bool = False
    """Denied by a statement, rather than for want of one that allows."""
    reasons: tuple[Reason, ...] = ()
    """The statements that denied or allowed; none when the want of one decided."""


def evaluate(
    request: Request,
    identity_policies: Sequence[Policy],
    resource_policies: Sequence[Policy] = (),
    boundary: Policy | None = None,
    session_policies: Sequence[Policy] | None = None,
) -> Decision:
    """Return whether the request is allowed, and why. Without a session policy (None) nothing narrows a session."""
    identity = _speaking(request, identity_policies)
    resource = _speaking(request, resource_policies) if resource_policies else []
    bounds = _speaking(request, (boundary,)) if boundary else []
    session = _speaking(request, session_policies) if session_policies else []

    groups: tuple[tuple[PolicyKind, _Speaking], ...] = (
        ("identity", identity),
        ("resource", resource),
        ("boundary", bounds),
        ("session", session),
    )
    for kind, speaking in groups:
        if denying := [entry for entry in speaking if not entry[1].allows]:
            return Decision(False, kind, explicit=True, reasons=_reasons(kind, denying))

    # From here on, every statement that speaks allows.
    caller = request.caller
    grant = max([_grant(statement, caller) for _, statement in resource]) if resource else Grant.NONE
    if caller.kind in ("service", "anonymous"):
        return _allowed("resource", resource) if grant is Grant.CALLER else Decision(False, "resource")
    own = caller.account == request.resource_account
    if grant is Grant.NONE and (request.resource_must_allow or not own):
        return Decision(False, "resource")
    if own and grant is Grant.CALLER:
        return _allowed("resource", resource)
    by_role = own and grant is Grant.ROLE
    if not (identity or by_role or caller.kind == "root"):
        return Decision(False, "identity")
    if boundary is not None and not bounds:
        return Decision(False, "boundary")
    if session_policies is not None and not session:
        return Decision(False, "session")
    return _allowed("resource", resource) if by_role else _allowed("identity", identity)


def narrow(policies: Sequence[Policy], caller: Caller, action: str, resource: str) -> tuple[Policy, ...]:
    """Return the policies with those of their statements that can speak of this, whatever the circumstances.

    `evaluate` says the same of them.
    """
    narrowed = []
    for name, document in policies:
        statements = [one for one in document.statements if one.may_cover(action, resource) and _reaches(one, caller)]
        narrowed.append(Policy(name, Document(tuple(statements), document.version)))
    return tuple(narrowed)


_Speaking = list[tuple[str, Statement]]


def _speaking(request: Request, policies: Sequence[Policy]) -> _Speaking:
    """Return the statements that speak of this request, with the names of their policies."""
    action, resource, context, caller = request.action, request.resource, request.context, request.caller
    return [
        (name, statement)
        for name, document in policies
        for statement in document.statements
        if statement.covers(action, resource, context) and _reaches(statement, caller)
    ]


def _reaches(statement: Statement, caller: Caller) -> bool:
    principals = statement.principals
    if principals is None:
        return True
    return principals.grant(caller) is not Grant.NONE if statement.allows else principals.denies(caller)


def _grant(statement: Statement, caller: Caller) -> Grant:
    return statement.principals.grant(caller) if statement.principals else Grant.NONE


def _allowed(kind: PolicyKind, speaking: _Speaking) -> Decision:
    return Decision(True, kind, reasons=_reasons(kind, speaking))


def _reasons(kind: PolicyKind, speaking: _Speaking) -> tuple[Reason, ...]:
    return tuple([Reason(kind, policy, statement.name) for policy, statement in speaking])
