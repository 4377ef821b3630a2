"""Roles: CreateRole, GetRole, ListRoles, UpdateRole, UpdateRoleDescription, UpdateAssumeRolePolicy, DeleteRole."""

import json
from typing import Any

from cumulet.errors import ServiceError
from cumulet.policy.documents import parse_document
from cumulet.scope import Scope
from cumulet.services.iam.condition_keys import boundary_keys, holder_keys
from cumulet.services.iam.held_policies import characters, render_boundary, render_document
from cumulet.services.iam.limits import ROLES_MAX, SESSION_S_DEFAULT, TRUST_POLICY_CHARACTERS_MAX
from cumulet.services.iam.lookup import (
    check_quota,
    get_attachable_policy,
    get_role,
    new_unique_id,
    role_resource,
)
from cumulet.services.iam.paging import PAGED, page
from cumulet.services.iam.records import ROLES, Role, find_role, find_user
from cumulet.services.iam.tags import add_tags, render_tags
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import IAM_ROLE


def new_role_resource(call: Call, params: Params) -> str:
    """Return the ARN that the role will have."""
    return f"arn:aws:iam::{call.scope.account}:role{params.get('Path') or '/'}{params['RoleName']}"


def roles_resource(call: Call, params: Params) -> str:
    """Return what listing roles acts on: a path."""
    return f"arn:aws:iam::{call.scope.account}:role{params.get('PathPrefix') or '/'}"


@operation(
    "CreateRole",
    resource=new_role_resource,
    params="Path RoleName AssumeRolePolicyDocument Description MaxSessionDuration PermissionsBoundary Tags",
    conditions=boundary_keys,
)
def create_role(call: Call, tx: WriteTx, params: Params) -> Output:
    """Create a role."""
    name = params["RoleName"]
    check_trust_policy(tx, params["AssumeRolePolicyDocument"])
    if find_role(tx, call.scope, name) is not None:
        raise ServiceError("EntityAlreadyExists", f"Role with name {name} already exists.")
    check_quota(tx, call.scope, IAM_ROLE, ROLES_MAX, "RolesPerAccount")
    if boundary := params.get("PermissionsBoundary") or "":
        get_attachable_policy(tx, call.scope, boundary)
    role = Role(
        name=name,
        unique_id=new_unique_id(Role, call.ids),
        path=params.get("Path") or "/",
        created_ms=call.now_ms,
        trust_policy=params["AssumeRolePolicyDocument"],
        description=params.get("Description"),
        session_s_max=params.get("MaxSessionDuration") or SESSION_S_DEFAULT,
        boundary=boundary,
        tags=add_tags({}, params.get("Tags") or ()),
    )
    save_role(tx, call.scope, role)
    return {"Role": render_role(call.scope, role)}


@operation("GetRole", resource=role_resource, params="RoleName", conditions=holder_keys)
def get_role_operation(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one role."""
    return {"Role": render_role(call.scope, get_role(tx, call.scope, params["RoleName"]))}


@operation("ListRoles", resource=roles_resource, params="PathPrefix" + PAGED)
def list_roles(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of the roles whose path begins with PathPrefix; without tags and boundary, as IAM lists them."""
    prefix = params.get("PathPrefix") or "/"
    roles = (role for role in ROLES.scan(tx, call.scope) if (role.path + role.name).startswith(prefix))
    found, more = page(params, roles, lambda role: role.name.lower())
    return {"Roles": [render_listed_role(call.scope, role) for role in found], **more}


@operation(
    "UpdateRole", resource=role_resource, params="RoleName Description MaxSessionDuration", conditions=holder_keys
)
def update_role(call: Call, tx: WriteTx, params: Params) -> Output:
    """Change a role's description and the longest session; what is not given stays."""
    role = get_role(tx, call.scope, params["RoleName"])
    if params.get("Description") is not None:
        role.description = params["Description"]
    if params.get("MaxSessionDuration") is not None:
        role.session_s_max = params["MaxSessionDuration"]
    save_role(tx, call.scope, role)
    return {}


@operation("UpdateRoleDescription", resource=role_resource, params="RoleName Description", conditions=holder_keys)
def update_role_description(call: Call, tx: WriteTx, params: Params) -> Output:
    """Change a role's description."""
    role = get_role(tx, call.scope, params["RoleName"])
    role.description = params["Description"]
    save_role(tx, call.scope, role)
    return {"Role": render_role(call.scope, role)}


@operation("UpdateAssumeRolePolicy", resource=role_resource, params="RoleName PolicyDocument", conditions=holder_keys)
def update_assume_role_policy(call: Call, tx: WriteTx, params: Params) -> Output:
    """Replace a role's trust policy."""
    role = get_role(tx, call.scope, params["RoleName"])
    check_trust_policy(tx, params["PolicyDocument"])
    role.trust_policy = params["PolicyDocument"]
    save_role(tx, call.scope, role)
    return {}


@operation("DeleteRole", resource=role_resource, params="RoleName", conditions=holder_keys)
def delete_role(call: Call, tx: WriteTx, params: Params) -> Output:
    """Delete a role that holds no policies any more; its sessions end with it."""
    role = get_role(tx, call.scope, params["RoleName"])
    if role.attached_policies:
        raise ServiceError("DeleteConflict", "Cannot delete entity, must detach all policies first.")
    if role.inline_policies:
        raise ServiceError("DeleteConflict", "Cannot delete entity, must delete policies first.")
    ROLES.delete(tx, call.scope, role.name.lower())
    return {}


@operation(
    "PutRolePermissionsBoundary",
    resource=role_resource,
    params="RoleName PermissionsBoundary",
    conditions=boundary_keys,
)
def put_role_permissions_boundary(call: Call, tx: WriteTx, params: Params) -> Output:
    """Make a managed policy the most that the role may do."""
    role = get_role(tx, call.scope, params["RoleName"])
    get_attachable_policy(tx, call.scope, params["PermissionsBoundary"])
    role.boundary = params["PermissionsBoundary"]
    save_role(tx, call.scope, role)
    return {}


@operation("DeleteRolePermissionsBoundary", resource=role_resource, params="RoleName", conditions=holder_keys)
def delete_role_permissions_boundary(call: Call, tx: WriteTx, params: Params) -> Output:
    """Leave the role's permissions unbounded."""
    role = get_role(tx, call.scope, params["RoleName"])
    if not role.boundary:
        raise ServiceError("NoSuchEntity", f"Role {role.name} does not have a permission boundary.")
    role.boundary = ""
    save_role(tx, call.scope, role)
    return {}


def save_role(tx: WriteTx, scope: Scope, role: Role) -> None:
    """Keep the role as it is now."""
    ROLES.save(tx, scope, role.name.lower(), record=role)


def check_trust_policy(tx: ReadTx, text: str) -> None:
    """Raise MalformedPolicyDocument or LimitExceeded for a trust policy that a role cannot have."""
    document = parse_document(text, "trust")
    if characters(text) > TRUST_POLICY_CHARACTERS_MAX:
        raise ServiceError("LimitExceeded", f"Cannot exceed quota for ACLSizePerRole: {TRUST_POLICY_CHARACTERS_MAX}")
    for statement in document.statements:
        # IAM looks the named roles and users up, since it keeps their ids in place of their ARNs.
        for arn in sorted(statement.principals.arns) if statement.principals else ():
            if arn != "*" and not _exists(tx, arn):
                raise ServiceError("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":{json.dumps(arn)}')


def _exists(tx: ReadTx, arn: str) -> bool:
    parts = arn.split(":", 5)
    scope = Scope(parts[4], "").everywhere()
    noun, *path = parts[5].split("/")
    if noun == "user":
        user = find_user(tx, scope, path[-1])
        return user is not None and user.arn(scope.account) == arn
    if noun == "role":
        role = find_role(tx, scope, path[-1])
        return role is not None and role.arn(scope.account) == arn
    # A session's ARN has the role's name without its path.
    return noun == "assumed-role" and len(path) == 2 and find_role(tx, scope, path[0]) is not None


def render_listed_role(scope: Scope, role: Role) -> dict[str, Any]:
    """Return a role as ListRoles shows it."""
    shown: dict[str, Any] = {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.unique_id,
        "Arn": role.arn(scope.account),
        "CreateDate": role.created_ms // 1000,
        "AssumeRolePolicyDocument": render_document(role.trust_policy),
        "MaxSessionDuration": role.session_s_max,
    }
    if role.description is not None:
        shown["Description"] = role.description
    return shown


def render_role(scope: Scope, role: Role) -> dict[str, Any]:
    """Return a role as GetRole shows it."""
    shown = render_listed_role(scope, role) | render_boundary(role)
    if role.tags:
        shown["Tags"] = render_tags(role.tags)
    return shown
