"""What the operations look up, with AWS's words for what is not there; and the ARNs that they act on."""

from cumulet.errors import ServiceError
from cumulet.ids import UPPER_ALPHANUMERIC, Ids
from cumulet.scope import Scope, account_of
from cumulet.services.iam.aws_managed import find_aws_managed, is_aws_managed
from cumulet.services.iam.records import ManagedPolicy, Named, Role, User, find_customer_policy, find_role, find_user
from cumulet.services.kit import Call, Params
from cumulet.store.api import ReadTx
from cumulet.store.keyspace import Family


def get_role(tx: ReadTx, scope: Scope, name: str) -> Role:
    """Return the role. Raises NoSuchEntity."""
    role = find_role(tx, scope, name)
    if role is None:
        raise ServiceError("NoSuchEntity", f"The role with name {name} cannot be found.")
    return role


OF_SERVICE_ROLES = "/aws-service-role/"
"""The path of the policies that only services attach, to roles that are linked to them."""


def get_user(tx: ReadTx, scope: Scope, name: str) -> User:
    """Return the user. Raises NoSuchEntity."""
    user = find_user(tx, scope, name)
    if user is None:
        raise ServiceError("NoSuchEntity", f"The user with name {name} cannot be found.")
    return user


def find_policy(tx: ReadTx, account: str, arn: str) -> ManagedPolicy | None:
    """Return the managed policy, AWS's or the account's, or None. Raises InvalidInput for what is no ARN."""
    if not arn.startswith("arn:"):
        raise ServiceError("InvalidInput", f"ARN {arn} is not valid.")
    if is_aws_managed(arn):
        return find_aws_managed(arn)
    return find_customer_policy(tx, arn) if account_of(arn) == account else None


def get_policy(tx: ReadTx, scope: Scope, arn: str) -> ManagedPolicy:
    """Return the managed policy. Raises NoSuchEntity."""
    policy = find_policy(tx, scope.account, arn)
    if policy is None:
        raise ServiceError("NoSuchEntity", f"Policy {arn} was not found.")
    return policy


def get_attachable_policy(tx: ReadTx, scope: Scope, arn: str) -> ManagedPolicy:
    """Return a managed policy that may be attached in the account. Raises NoSuchEntity, PolicyNotAttachable."""
    policy = find_policy(tx, scope.account, arn)
    if policy is None:
        raise ServiceError("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.")
    if is_aws_managed(arn) and policy.path == OF_SERVICE_ROLES:
        raise ServiceError("PolicyNotAttachable", "Cannot attach a Service Role Policy to a Customer Role.")
    return policy


def new_unique_id(named: type[Named], ids: Ids) -> str:
    """Return a fresh id of a role, user or policy."""
    return named.id_prefix + ids.token(17, UPPER_ALPHANUMERIC)


def check_quota(tx: ReadTx, scope: Scope, family: Family, limit: int, quota: str) -> None:
    """Raise LimitExceeded if the account has as many records of a family as it may have."""
    if sum(1 for _ in tx.scan(*family.range(scope), limit=limit)) >= limit:
        raise ServiceError("LimitExceeded", f"Cannot exceed quota for {quota}: {limit}")


def role_resource(tx: ReadTx, call: Call, params: Params) -> str:
    """Return the ARN of the role that the parameters name; a role that is not there has no path."""
    name = params["RoleName"]
    role = find_role(tx, call.scope, name)
    return role.arn(call.scope.account) if role else f"arn:aws:iam::{call.scope.account}:role/{name}"


def user_resource(tx: ReadTx, call: Call, params: Params) -> str:
    """Return the ARN of the user that the parameters name, or of the caller where they name none."""
    name = params.get("UserName") or (call.principal.name if call.principal.kind == "user" else "")
    user = find_user(tx, call.scope, name) if name else None
    return user.arn(call.scope.account) if user else f"arn:aws:iam::{call.scope.account}:user/{name}"


def policy_resource(call: Call, params: Params) -> str:
    """Return the ARN of the managed policy that the parameters name."""
    return str(params["PolicyArn"])


def user_name_of(call: Call, params: Params) -> str:
    """Return the user whom the parameters name, or else the caller. Raises ValidationError for one who is no user."""
    name: str | None = params.get("UserName")
    if name:
        return name
    if call.principal.kind != "user":
        raise ServiceError(
            "ValidationError", "Must specify userName when calling with non-User credentials", status=400
        )
    return call.principal.name
