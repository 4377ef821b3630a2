"""What IAM keeps: roles, users with their access keys, and customer-managed policies.

Names are unique without regard to case, so keys hold them in lower case; that is also the order of listings.
"""

from typing import ClassVar

import msgspec

from cumulet.scope import Scope
from cumulet.store.api import ReadTx
from cumulet.store.keyspace import IAM_ACCESS_KEY, IAM_POLICY, IAM_ROLE, IAM_USER
from cumulet.store.records import Records


class Named(msgspec.Struct, kw_only=True):
    """What every IAM resource has: a name under a path, an id, and tags."""

    noun: ClassVar[str] = ""
    id_prefix: ClassVar[str] = ""

    name: str
    unique_id: str
    """A new one each time, so that a namesake is not the same principal."""
    path: str
    created_ms: int
    tags: dict[str, str] = {}

    def arn(self, account: str) -> str:
        """Return the ARN, which AWS forms from path and name."""
        return f"arn:aws:iam::{account}:{self.noun}{self.path}{self.name}"


class Holder(Named, kw_only=True):
    """What roles and users have in common: they hold policies."""

    inline_policies: dict[str, str] = {}
    attached_policies: list[str] = []
    """ARNs, in the order of attachment."""
    boundary: str = ""
    """The ARN of the managed policy that bounds the permissions, or empty."""


class Role(Holder, kw_only=True):
    """A role."""

    noun: ClassVar[str] = "role"
    id_prefix: ClassVar[str] = "AROA"

    trust_policy: str
    description: str | None = None
    session_s_max: int


class User(Holder, kw_only=True):
    """A user."""

    noun: ClassVar[str] = "user"
    id_prefix: ClassVar[str] = "AIDA"

    access_key_ids: list[str] = []


class AccessKey(msgspec.Struct, frozen=True, kw_only=True):
    """A permanent access key of a user."""

    access_key_id: str
    user_name: str
    secret: str
    active: bool = True
    created_ms: int


class PolicyVersion(msgspec.Struct):
    """One version of a managed policy."""

    number: int
    document: str
    created_ms: int


class ManagedPolicy(Named, kw_only=True):
    """A customer-managed policy."""

    noun: ClassVar[str] = "policy"
    id_prefix: ClassVar[str] = "ANPA"

    description: str | None = None
    updated_ms: int
    default_number: int = 1
    newest_number: int = 1
    """Numbers are not used again when a version is deleted."""
    versions: list[PolicyVersion]

    def default(self) -> PolicyVersion:
        """Return the version in force."""
        return next(version for version in self.versions if version.number == self.default_number)


ROLES = Records(IAM_ROLE, Role)
USERS = Records(IAM_USER, User)
ACCESS_KEYS = Records(IAM_ACCESS_KEY, AccessKey, cached=1024)
POLICIES = Records(IAM_POLICY, ManagedPolicy)


def find_role(tx: ReadTx, scope: Scope, name: str) -> Role | None:
    """Return the role of that name, or None."""
    return ROLES.find(tx, scope, name.lower())


def find_user(tx: ReadTx, scope: Scope, name: str) -> User | None:
    """Return the user of that name, or None."""
    return USERS.find(tx, scope, name.lower())


def find_role_by_arn(tx: ReadTx, arn: str) -> tuple[str, Role] | None:
    """Return the account and the role that an ARN names, or None."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or not parts[5].startswith("role/"):
        return None
    account = parts[4]
    role = find_role(tx, Scope(account, "").everywhere(), parts[5].rpartition("/")[2])
    return (account, role) if role is not None and role.arn(account) == arn else None


def find_customer_policy(tx: ReadTx, arn: str) -> ManagedPolicy | None:
    """Return the customer-managed policy that an ARN names, or None."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or not parts[5].startswith("policy/"):
        return None
    account = parts[4]
    policy = POLICIES.find(tx, Scope(account, "").everywhere(), parts[5].rpartition("/")[2].lower())
    return policy if policy is not None and policy.arn(account) == arn else None


def tags_of(tx: ReadTx, arn: str) -> dict[str, str]:
    """Return the tags of the role, user or policy that an ARN names; none if nobody has that name."""
    account, _, named = arn.partition("arn:aws:iam::")[2].partition(":")
    scope, name = Scope(account, "").everywhere(), named.rpartition("/")[2].lower()
    found: Named | None = None
    if named.startswith("role/"):
        found = ROLES.find(tx, scope, name)
    elif named.startswith("user/"):
        found = USERS.find(tx, scope, name)
    elif named.startswith("policy/"):
        found = POLICIES.find(tx, scope, name)
    return {} if found is None else found.tags
