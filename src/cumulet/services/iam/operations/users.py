"""Users: CreateUser, GetUser, ListUsers, DeleteUser, and their permissions boundary."""

from typing import Any

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.iam.condition_keys import boundary_keys, holder_keys
from cumulet.services.iam.held_policies import render_boundary
from cumulet.services.iam.limits import USERS_MAX
from cumulet.services.iam.lookup import (
    check_quota,
    get_attachable_policy,
    get_user,
    new_unique_id,
    user_name_of,
    user_resource,
)
from cumulet.services.iam.paging import PAGED, page
from cumulet.services.iam.records import USERS, User, find_user
from cumulet.services.iam.tags import add_tags, render_tags
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import IAM_USER


def new_user_resource(call: Call, params: Params) -> str:
    """Return the ARN that the user will have."""
    return f"arn:aws:iam::{call.scope.account}:user{params.get('Path') or '/'}{params['UserName']}"


def users_resource(call: Call, params: Params) -> str:
    """Return what listing users acts on: a path."""
    return f"arn:aws:iam::{call.scope.account}:user{params.get('PathPrefix') or '/'}"


@operation(
    "CreateUser", resource=new_user_resource, params="Path UserName PermissionsBoundary Tags", conditions=boundary_keys
)
def create_user(call: Call, tx: WriteTx, params: Params) -> Output:
    """Create a user."""
    name = params["UserName"]
    if find_user(tx, call.scope, name) is not None:
        raise ServiceError("EntityAlreadyExists", f"User with name {name} already exists.")
    check_quota(tx, call.scope, IAM_USER, USERS_MAX, "UsersPerAccount")
    if boundary := params.get("PermissionsBoundary") or "":
        get_attachable_policy(tx, call.scope, boundary)
    user = User(
        name=name,
        unique_id=new_unique_id(User, call.ids),
        path=params.get("Path") or "/",
        created_ms=call.now_ms,
        boundary=boundary,
        tags=add_tags({}, params.get("Tags") or ()),
    )
    save_user(tx, call.scope, user)
    return {"User": render_user(call.scope, user)}


@operation("GetUser", resource=user_resource, params="UserName")
def get_user_operation(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one user; the caller, if none is named."""
    return {"User": render_user(call.scope, get_user(tx, call.scope, user_name_of(call, params)))}


@operation("ListUsers", resource=users_resource, params="PathPrefix" + PAGED)
def list_users(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of the users whose path begins with PathPrefix; without tags and boundary, as IAM lists them."""
    prefix = params.get("PathPrefix") or "/"
    users = (user for user in USERS.scan(tx, call.scope) if (user.path + user.name).startswith(prefix))
    found, more = page(params, users, lambda user: user.name.lower())
    return {"Users": [render_listed_user(call.scope, user) for user in found], **more}


@operation("DeleteUser", resource=user_resource, params="UserName")
def delete_user(call: Call, tx: WriteTx, params: Params) -> Output:
    """Delete a user that has no access keys and no policies any more."""
    user = get_user(tx, call.scope, params["UserName"])
    if user.access_key_ids:
        raise ServiceError("DeleteConflict", "Cannot delete entity, must delete access keys first.")
    if user.attached_policies:
        raise ServiceError("DeleteConflict", "Cannot delete entity, must detach all policies first.")
    if user.inline_policies:
        raise ServiceError("DeleteConflict", "Cannot delete entity, must delete policies first.")
    USERS.delete(tx, call.scope, user.name.lower())
    return {}


@operation(
    "PutUserPermissionsBoundary",
    resource=user_resource,
    params="UserName PermissionsBoundary",
    conditions=boundary_keys,
)
def put_user_permissions_boundary(call: Call, tx: WriteTx, params: Params) -> Output:
    """Make a managed policy the most that the user may do."""
    user = get_user(tx, call.scope, params["UserName"])
    get_attachable_policy(tx, call.scope, params["PermissionsBoundary"])
    user.boundary = params["PermissionsBoundary"]
    save_user(tx, call.scope, user)
    return {}


@operation("DeleteUserPermissionsBoundary", resource=user_resource, params="UserName", conditions=holder_keys)
def delete_user_permissions_boundary(call: Call, tx: WriteTx, params: Params) -> Output:
    """Leave the user's permissions unbounded."""
    user = get_user(tx, call.scope, params["UserName"])
    if not user.boundary:
        raise ServiceError("NoSuchEntity", f"User {user.name} does not have a permission boundary.")
    user.boundary = ""
    save_user(tx, call.scope, user)
    return {}


def save_user(tx: WriteTx, scope: Scope, user: User) -> None:
    """Keep the user as it is now."""
    USERS.save(tx, scope, user.name.lower(), record=user)


def render_listed_user(scope: Scope, user: User) -> dict[str, Any]:
    """Return a user as ListUsers shows it."""
    return {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.unique_id,
        "Arn": user.arn(scope.account),
        "CreateDate": user.created_ms // 1000,
    }


def render_user(scope: Scope, user: User) -> dict[str, Any]:
    """Return a user as GetUser shows it."""
    shown = render_listed_user(scope, user) | render_boundary(user)
    if user.tags:
        shown["Tags"] = render_tags(user.tags)
    return shown
