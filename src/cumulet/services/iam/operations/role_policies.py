"""The policies and tags of roles."""

from cumulet.services.iam import held_policies as held
from cumulet.services.iam.condition_keys import holder_keys
from cumulet.services.iam.lookup import get_role, role_resource
from cumulet.services.iam.operations.roles import save_role
from cumulet.services.iam.paging import PAGED, page
from cumulet.services.iam.tags import add_tags, remove_tags, render_tags
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx


@operation("PutRolePolicy", resource=role_resource, params="RoleName PolicyName PolicyDocument", conditions=holder_keys)
def put_role_policy(call: Call, tx: WriteTx, params: Params) -> Output:
    """Give a role an inline policy."""
    role = get_role(tx, call.scope, params["RoleName"])
    held.put_inline_policy(role, params)
    save_role(tx, call.scope, role)
    return {}


@operation("GetRolePolicy", resource=role_resource, params="RoleName PolicyName")
def get_role_policy(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return an inline policy of a role."""
    role = get_role(tx, call.scope, params["RoleName"])
    return {"RoleName": role.name, **held.get_inline_policy(role, params)}


@operation("ListRolePolicies", resource=role_resource, params="RoleName" + PAGED)
def list_role_policies(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the names of a role's inline policies."""
    return held.list_inline_policies(get_role(tx, call.scope, params["RoleName"]), params)


@operation("DeleteRolePolicy", resource=role_resource, params="RoleName PolicyName", conditions=holder_keys)
def delete_role_policy(call: Call, tx: WriteTx, params: Params) -> Output:
    """Take an inline policy from a role."""
    role = get_role(tx, call.scope, params["RoleName"])
    held.delete_inline_policy(role, params)
    save_role(tx, call.scope, role)
    return {}


@operation("AttachRolePolicy", resource=role_resource, params="RoleName PolicyArn", conditions=holder_keys)
def attach_role_policy(call: Call, tx: WriteTx, params: Params) -> Output:
    """Attach a managed policy to a role."""
    role = get_role(tx, call.scope, params["RoleName"])
    held.attach_policy(tx, call.scope, role, params)
    save_role(tx, call.scope, role)
    return {}


@operation("DetachRolePolicy", resource=role_resource, params="RoleName PolicyArn", conditions=holder_keys)
def detach_role_policy(call: Call, tx: WriteTx, params: Params) -> Output:
    """Detach a managed policy from a role."""
    role = get_role(tx, call.scope, params["RoleName"])
    held.detach_policy(role, params)
    save_role(tx, call.scope, role)
    return {}


@operation("ListAttachedRolePolicies", resource=role_resource, params="RoleName PathPrefix" + PAGED)
def list_attached_role_policies(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the managed policies attached to a role."""
    return held.list_attached_policies(get_role(tx, call.scope, params["RoleName"]), params)


@operation("TagRole", resource=role_resource, params="RoleName Tags")
def tag_role(call: Call, tx: WriteTx, params: Params) -> Output:
    """Add tags to a role, or give them new values."""
    role = get_role(tx, call.scope, params["RoleName"])
    role.tags = add_tags(role.tags, params["Tags"])
    save_role(tx, call.scope, role)
    return {}


@operation("UntagRole", resource=role_resource, params="RoleName TagKeys")
def untag_role(call: Call, tx: WriteTx, params: Params) -> Output:
    """Take tags from a role."""
    role = get_role(tx, call.scope, params["RoleName"])
    role.tags = remove_tags(role.tags, params["TagKeys"])
    save_role(tx, call.scope, role)
    return {}


@operation("ListRoleTags", resource=role_resource, params="RoleName" + PAGED)
def list_role_tags(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a role's tags."""
    role = get_role(tx, call.scope, params["RoleName"])
    tags, more = page(params, render_tags(role.tags), lambda tag: tag["Key"].lower())
    return {"Tags": tags, **more}
