"""Managed policies: CreatePolicy, GetPolicy, ListPolicies, ListEntitiesForPolicy, DeletePolicy, and their tags."""

from collections import Counter
from typing import Any

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.policy.documents import CURRENT_VERSION, parse_document
from cumulet.scope import Scope
from cumulet.services.iam.aws_managed import OWNER, aws_managed_policies, is_aws_managed
from cumulet.services.iam.held_policies import characters
from cumulet.services.iam.limits import MANAGED_POLICY_CHARACTERS_MAX, POLICIES_MAX
from cumulet.services.iam.lookup import check_quota, get_policy, new_unique_id, policy_resource
from cumulet.services.iam.paging import PAGED, page
from cumulet.services.iam.records import POLICIES, ROLES, USERS, ManagedPolicy, PolicyVersion
from cumulet.services.iam.tags import add_tags, remove_tags, render_tags
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import IAM_POLICY


def new_policy_resource(call: Call, params: Params) -> str:
    """Return the ARN that the policy will have."""
    return f"arn:aws:iam::{call.scope.account}:policy{params.get('Path') or '/'}{params['PolicyName']}"


@operation(
    "CreatePolicy",
    resource=new_policy_resource,
    params="PolicyName Path PolicyDocument Description Tags",
)
def create_policy(call: Call, tx: WriteTx, params: Params) -> Output:
    """Create a customer-managed policy with its first version."""
    name = params["PolicyName"]
    check_document(params["PolicyDocument"])
    if POLICIES.find(tx, call.scope, name.lower()) is not None:
        raise ServiceError(
            "EntityAlreadyExists", f"A policy called {name} already exists. Duplicate names are not allowed."
        )
    check_quota(tx, call.scope, IAM_POLICY, POLICIES_MAX, "PoliciesPerAccount")
    policy = ManagedPolicy(
        name=name,
        unique_id=new_unique_id(ManagedPolicy, call.ids),
        path=params.get("Path") or "/",
        description=params.get("Description"),
        created_ms=call.now_ms,
        updated_ms=call.now_ms,
        versions=[PolicyVersion(1, params["PolicyDocument"], call.now_ms)],
        tags=add_tags({}, params.get("Tags") or ()),
    )
    save_policy(tx, call.scope, policy)
    shown = render_policy(call.scope.account, policy, 0, 0)
    # CreatePolicy does not repeat the description.
    return {"Policy": {**shown, "Tags": render_tags(policy.tags)} if policy.tags else shown}


@operation("GetPolicy", resource=policy_resource, params="PolicyArn")
def get_policy_operation(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one managed policy, without its document."""
    arn = params["PolicyArn"]
    policy = get_policy(tx, call.scope, arn)
    attached, bounding = count_uses(tx, call.scope)
    owner = OWNER if is_aws_managed(arn) else call.scope.account
    shown = render_policy(owner, policy, attached[arn], bounding[arn])
    shown["Tags"] = render_tags(policy.tags)
    if policy.description is not None:
        shown["Description"] = policy.description
    return {"Policy": shown}


@operation("ListPolicies", resource="*", params="Scope OnlyAttached PathPrefix PolicyUsageFilter" + PAGED)
def list_policies(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of the managed policies, of AWS, of the account, or both; without tags and description."""
    attached, bounding = count_uses(tx, call.scope)
    used = _uses_counted(params, attached, bounding)
    prefix = params.get("PathPrefix") or "/"

    def wanted(arn: str, policy: ManagedPolicy) -> bool:
        return policy.path.startswith(prefix) and (used is None or used[arn] > 0)

    found: list[tuple[str, str, ManagedPolicy]] = []
    if params.get("Scope") != "AWS":
        account = call.scope.account
        found += [(account, policy.arn(account), policy) for policy in POLICIES.scan(tx, call.scope)]
    if params.get("Scope") != "Local":
        found += [(OWNER, arn, policy) for arn, policy in aws_managed_policies().items()]
    policies, more = page(
        params,
        sorted((entry for entry in found if wanted(entry[1], entry[2])), key=lambda entry: _order(entry[1])),
        lambda entry: _order(entry[1]),
    )
    return {
        "Policies": [render_policy(owner, policy, attached[arn], bounding[arn]) for owner, arn, policy in policies],
        **more,
    }


@operation("ListEntitiesForPolicy", resource=policy_resource, params="PolicyArn EntityFilter PathPrefix" + PAGED)
def list_entities_for_policy(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of the roles and users that a managed policy is attached to."""
    arn = params["PolicyArn"]
    get_policy(tx, call.scope, arn)
    wanted = params.get("EntityFilter")
    if wanted in ("Group", "LocalManagedPolicy", "AWSManagedPolicy"):
        raise NotImplementedHere(f"The EntityFilter {wanted} of iam:ListEntitiesForPolicy")
    prefix = params.get("PathPrefix") or "/"
    holders = [
        *(ROLES.scan(tx, call.scope) if wanted in (None, "Role") else ()),
        *(USERS.scan(tx, call.scope) if wanted in (None, "User") else ()),
    ]
    attached = [holder for holder in holders if arn in holder.attached_policies and holder.path.startswith(prefix)]
    found, more = page(params, attached, lambda holder: f"{holder.noun}/{holder.name.lower()}")
    return {
        "PolicyGroups": [],
        "PolicyRoles": [{"RoleName": h.name, "RoleId": h.unique_id} for h in found if h.noun == "role"],
        "PolicyUsers": [{"UserName": h.name, "UserId": h.unique_id} for h in found if h.noun == "user"],
        **more,
    }


@operation("DeletePolicy", resource=policy_resource, params="PolicyArn")
def delete_policy(call: Call, tx: WriteTx, params: Params) -> Output:
    """Delete a customer-managed policy that is attached nowhere and has its default version alone."""
    arn = params["PolicyArn"]
    policy = get_own_policy(call, tx, arn, "iam:DeletePolicy")
    attached, bounding = count_uses(tx, call.scope)
    if attached[arn] or bounding[arn]:
        raise ServiceError("DeleteConflict", "Cannot delete a policy attached to entities.")
    if len(policy.versions) > 1:
        raise ServiceError(
            "DeleteConflict",
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "
            "The default version is deleted with the policy.",
        )
    POLICIES.delete(tx, call.scope, policy.name.lower())
    return {}


@operation("TagPolicy", resource=policy_resource, params="PolicyArn Tags")
def tag_policy(call: Call, tx: WriteTx, params: Params) -> Output:
    """Add tags to a customer-managed policy, or give them new values."""
    policy = get_own_policy(call, tx, params["PolicyArn"], "iam:TagPolicy")
    policy.tags = add_tags(policy.tags, params["Tags"])
    save_policy(tx, call.scope, policy)
    return {}


@operation("UntagPolicy", resource=policy_resource, params="PolicyArn TagKeys")
def untag_policy(call: Call, tx: WriteTx, params: Params) -> Output:
    """Take tags from a customer-managed policy."""
    policy = get_own_policy(call, tx, params["PolicyArn"], "iam:UntagPolicy")
    policy.tags = remove_tags(policy.tags, params["TagKeys"])
    save_policy(tx, call.scope, policy)
    return {}


@operation("ListPolicyTags", resource=policy_resource, params="PolicyArn" + PAGED)
def list_policy_tags(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a managed policy's tags."""
    policy = get_policy(tx, call.scope, params["PolicyArn"])
    tags, more = page(params, render_tags(policy.tags), lambda tag: tag["Key"].lower())
    return {"Tags": tags, **more}


def get_own_policy(call: Call, tx: ReadTx, arn: str, action: str) -> ManagedPolicy:
    """Return a policy that the account may change. Raises NoSuchEntity, and AccessDenied for AWS's own policies."""
    policy = get_policy(tx, call.scope, arn)
    if is_aws_managed(arn):
        raise ServiceError(
            "AccessDenied",
            f"User: {call.principal.arn} is not authorized to perform: {action} on resource: policy {arn}",
            status=403,
        )
    return policy


def save_policy(tx: WriteTx, scope: Scope, policy: ManagedPolicy) -> None:
    """Keep the policy as it is now."""
    POLICIES.save(tx, scope, policy.name.lower(), record=policy)


def check_document(text: str) -> None:
    """Raise MalformedPolicyDocument or LimitExceeded for a document that a managed policy cannot have."""
    if parse_document(text).version != CURRENT_VERSION:
        # Inline policies may be of the old one, and those of SAM's policy templates name none.
        raise ServiceError(
            "MalformedPolicyDocument", f"Policy document must be version {CURRENT_VERSION} or greater.", status=400
        )
    if characters(text) > MANAGED_POLICY_CHARACTERS_MAX:
        raise ServiceError("LimitExceeded", f"Cannot exceed quota for PolicySize: {MANAGED_POLICY_CHARACTERS_MAX}")


def count_uses(tx: ReadTx, scope: Scope) -> tuple[Counter[str], Counter[str]]:
    """Return how often each managed policy is attached in the account, and how often it is a boundary, by ARN."""
    attached: Counter[str] = Counter()
    bounding: Counter[str] = Counter()
    for records in (ROLES.scan(tx, scope), USERS.scan(tx, scope)):
        for holder in records:
            attached.update(holder.attached_policies)
            if holder.boundary:
                bounding[holder.boundary] += 1
    return attached, bounding


def render_policy(owner: str, policy: ManagedPolicy, attached: int, bounding: int) -> dict[str, Any]:
    """Return a managed policy as ListPolicies shows it."""
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.unique_id,
        "Arn": policy.arn(owner),
        "Path": policy.path,
        "DefaultVersionId": f"v{policy.default_number}",
        "AttachmentCount": attached,
        "PermissionsBoundaryUsageCount": bounding,
        "IsAttachable": True,
        "CreateDate": policy.created_ms // 1000,
        "UpdateDate": policy.updated_ms // 1000,
    }


def _uses_counted(params: Params, attached: Counter[str], bounding: Counter[str]) -> Counter[str] | None:
    """Return the uses of which a listed policy must have one, or None if unused ones are listed too."""
    usage = params.get("PolicyUsageFilter")
    if usage is None and not params.get("OnlyAttached"):
        return None
    if usage == "PermissionsBoundary":
        return bounding
    return attached if usage == "PermissionsPolicy" else attached + bounding


def _order(arn: str) -> str:
    return arn.rpartition("/")[2].lower() + " " + arn
