"""What the requests of a role or a user are judged by: its record, compiled.

Authentication and authorization ask for it at every request, so what was made of a record is kept by the record's
bytes: a change is in force for the next request, on every node.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from cumulet.policy.documents import Document, parse_document
from cumulet.policy.evaluate import Policy
from cumulet.scope import GLOBAL_REGION, Scope
from cumulet.services.iam.aws_managed import find_aws_managed, is_aws_managed
from cumulet.services.iam.records import POLICIES, ROLES, USERS, Holder, ManagedPolicy
from cumulet.services.kit import Principal
from cumulet.store.api import ReadTx

HolderKind = Literal["role", "user"]

_NOTHING: Final = Document(())
"""What a policy allows that is gone. One document for all: each is only equal to itself, and rulings are remembered by
them."""

_FAMILIES: Final = {"role": ROLES.family, "user": USERS.family, "policy": POLICIES.family}


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """A role or user as its record has it. Each is only equal to itself, so that it costs nothing to look up by it."""

    name: str
    arn: str
    unique_id: str
    tags: dict[str, str]
    """By their keys in lower case, as conditions name them."""
    policies: tuple[Policy, ...]
    """The inline ones, and the attached ones of AWS."""
    customer_policies: tuple[str, ...]
    """The ARNs of the attached ones that have records of their own."""
    boundary: str
    """The ARN of the managed policy that bounds the permissions, or empty."""


def find_standing(tx: ReadTx, kind: HolderKind, account: str, name: str) -> Standing | None:
    """Return how a role or user stands, or None if nobody has that name."""
    value = tx.get(_key(kind, account, name))
    return None if value is None else _compile_holder(kind, account, value)


def find_own_standing(tx: ReadTx, principal: Principal) -> Standing | None:
    """Return how the caller stands: None for one who is no role or user, who is gone, or a namesake of who signed."""
    kind = principal.kind
    if kind != "role" and kind != "user":
        return None
    standing = find_standing(tx, kind, principal.account, principal.name)
    return standing if standing and principal.unique_id.partition(":")[0] == standing.unique_id else None


def held_policies(tx: ReadTx, standing: Standing) -> tuple[Policy, ...]:
    """Return the policies that a role or user holds."""
    if not standing.customer_policies:
        return standing.policies
    return (*standing.policies, *[managed_policy(tx, arn) for arn in standing.customer_policies])


def managed_policy(tx: ReadTx, arn: str) -> Policy:
    """Return the managed policy of that ARN. One that is gone allows nothing."""
    if is_aws_managed(arn):
        return _policy(arn, find_aws_managed(arn))
    account, _, named = arn.partition("arn:aws:iam::")[2].partition(":")
    value = tx.get(_key("policy", account, named.rpartition("/")[2]))
    return _policy(arn, None) if value is None else _compile_policy(arn, account, value)


@lru_cache(maxsize=4096)
def _key(kind: str, account: str, name: str) -> bytes:
    return _FAMILIES[kind].key(Scope(account, GLOBAL_REGION), name.lower())


@lru_cache(maxsize=1024)
def _compile_holder(kind: HolderKind, account: str, value: bytes) -> Standing:
    holder: Holder = ROLES.decode(value) if kind == "role" else USERS.decode(value)
    attached = holder.attached_policies
    inline = [Policy(name, parse_document(text)) for name, text in holder.inline_policies.items()]
    published = [_policy(arn, find_aws_managed(arn)) for arn in attached if is_aws_managed(arn)]
    return Standing(
        name=holder.name,
        arn=holder.arn(account),
        unique_id=holder.unique_id,
        tags={key.lower(): value for key, value in holder.tags.items()},
        policies=(*inline, *published),
        customer_policies=tuple([arn for arn in attached if not is_aws_managed(arn)]),
        boundary=holder.boundary,
    )


@lru_cache(maxsize=1024)
def _compile_policy(arn: str, account: str, value: bytes) -> Policy:
    found = POLICIES.decode(value)
    return _policy(arn, found if found.arn(account) == arn else None)


def _policy(arn: str, found: ManagedPolicy | None) -> Policy:
    return Policy(arn, parse_document(found.default().document) if found else _NOTHING)
