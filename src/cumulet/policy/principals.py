"""Who a request comes from, and which callers a Principal or NotPrincipal element names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple

CallerKind = Literal["root", "user", "role", "service", "anonymous"]


class Caller(NamedTuple):
    """The caller as policies see it."""

    kind: CallerKind
    arn: str
    """For a role session the session's ARN; for a service its host name."""
    account: str = ""
    """Empty for services and anonymous callers."""
    role_arn: str = ""
    """Of a role session."""


class Grant(IntEnum):
    """How closely a resource's policy names the caller: the closer, the less else must agree."""

    NONE = 0
    ACCOUNT = 1
    """The caller's account: that account's own policies decide further."""
    ROLE = 2
    """The role, or everyone: identity policies need not agree, but what narrows the session must."""
    CALLER = 3
    """The very caller: nothing else needs to agree."""


@dataclass(frozen=True, slots=True)
class Principals:
    """A compiled Principal or NotPrincipal element."""

    everyone: bool
    accounts: frozenset[str]
    arns: frozenset[str]
    services: frozenset[str]
    negated: bool = False

    def grant(self, caller: Caller) -> Grant:
        """Return how closely the element names the caller, for a statement that allows."""
        named = self._names(caller)
        if not self.negated:
            return named
        return Grant.ACCOUNT if named is Grant.NONE and caller.kind not in ("service", "anonymous") else Grant.NONE

    def denies(self, caller: Caller) -> bool:
        """Tell whether a statement that denies reaches the caller."""
        if not self.negated:
            return self._names(caller) is not Grant.NONE
        # IAM user guide, "NotPrincipal with Deny": a session is spared only if its account and its role are listed too.
        if caller.kind == "service":
            return caller.arn not in self.services
        spared = self.arns | {f"arn:aws:iam::{account}:root" for account in self.accounts}
        return not self.everyone and any(
            arn not in spared for arn in (f"arn:aws:iam::{caller.account}:root", caller.role_arn, caller.arn) if arn
        )

    def _names(self, caller: Caller) -> Grant:
        if caller.kind == "service":
            return Grant.CALLER if self.everyone or caller.arn in self.services else Grant.NONE
        if caller.kind == "anonymous":
            return Grant.CALLER if self.everyone else Grant.NONE
        if caller.arn in self.arns or (caller.kind == "root" and caller.account in self.accounts):
            return Grant.CALLER
        if self.everyone:
            return Grant.ROLE if caller.kind == "role" else Grant.CALLER
        if caller.role_arn and caller.role_arn in self.arns:
            return Grant.ROLE
        return Grant.ACCOUNT if caller.account in self.accounts else Grant.NONE


def compile_principals(element: str | Mapping[str, str | Sequence[str]], *, negated: bool = False) -> Principals:
    """Return a Principal (or, negated, NotPrincipal) element whose grammar has been checked."""
    if isinstance(element, str):
        return Principals(True, frozenset(), frozenset(), frozenset(), negated)
    listed = {kind: [names] if isinstance(names, str) else list(names) for kind, names in element.items()}
    accounts, arns = set(), set()
    for name in listed.get("AWS", []):
        account = name if name.isdigit() else account_of_root(name)
        if account:
            accounts.add(account)
        else:
            arns.add(name)
    return Principals("*" in arns, frozenset(accounts), frozenset(arns), frozenset(listed.get("Service", [])), negated)


def account_of_root(arn: str) -> str:
    """Return the account of an ARN that names a whole account (arn:aws:iam::...:root), or an empty string."""
    parts = arn.split(":")
    return parts[4] if len(parts) == 6 and parts[2] == "iam" and parts[5] == "root" else ""
