"""The policies and tags of users."""

from cumulet.services.iam import held_policies as held
from cumulet.services.iam.condition_keys import holder_keys
from cumulet.services.iam.lookup import get_user, user_resource
from cumulet.services.iam.operations.users import save_user
from cumulet.services.iam.paging import PAGED, page
from cumulet.services.iam.tags import add_tags, remove_tags, render_tags
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx


@operation("PutUserPolicy", resource=user_resource, params="UserName PolicyName PolicyDocument", conditions=holder_keys)
def put_user_policy(call: Call, tx: WriteTx, params: Params) -> Output:
    """Give a user an inline policy."""
    user = get_user(tx, call.scope, params["UserName"])
    held.put_inline_policy(user, params)
    save_user(tx, call.scope, user)
    return {}


@operation("GetUserPolicy", resource=user_resource, params="UserName PolicyName")
def get_user_policy(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return an inline policy of a user."""
    user = get_user(tx, call.scope, params["UserName"])
    return {"UserName": user.name, **held.get_inline_policy(user, params)}


@operation("ListUserPolicies", resource=user_resource, params="UserName" + PAGED)
def list_user_policies(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the names of a user's inline policies."""
    return held.list_inline_policies(get_user(tx, call.scope, params["UserName"]), params)


@operation("DeleteUserPolicy", resource=user_resource, params="UserName PolicyName", conditions=holder_keys)
def delete_user_policy(call: Call, tx: WriteTx, params: Params) -> Output:
    """Take an inline policy from a user."""
    user = get_user(tx, call.scope, params["UserName"])
    held.delete_inline_policy(user, params)
    save_user(tx, call.scope, user)
    return {}


@operation("AttachUserPolicy", resource=user_resource, params="UserName PolicyArn", conditions=holder_keys)
def attach_user_policy(call: Call, tx: WriteTx, params: Params) -> Output:
    """Attach a managed policy to a user."""
    user = get_user(tx, call.scope, params["UserName"])
    held.attach_policy(tx, call.scope, user, params)
    save_user(tx, call.scope, user)
    return {}


@operation("DetachUserPolicy", resource=user_resource, params="UserName PolicyArn", conditions=holder_keys)
def detach_user_policy(call: Call, tx: WriteTx, params: Params) -> Output:
    """Detach a managed policy from a user."""
    user = get_user(tx, call.scope, params["UserName"])
    held.detach_policy(user, params)
    save_user(tx, call.scope, user)
    return {}


@operation("ListAttachedUserPolicies", resource=user_resource, params="UserName PathPrefix" + PAGED)
def list_attached_user_policies(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the managed policies attached to a user."""
    return held.list_attached_policies(get_user(tx, call.scope, params["UserName"]), params)


@operation("TagUser", resource=user_resource, params="UserName Tags")
def tag_user(call: Call, tx: WriteTx, params: Params) -> Output:
    """Add tags to a user, or give them new values."""
    user = get_user(tx, call.scope, params["UserName"])
    user.tags = add_tags(user.tags, params["Tags"])
    save_user(tx, call.scope, user)
    return {}


@operation("UntagUser", resource=user_resource, params="UserName TagKeys")
def untag_user(call: Call, tx: WriteTx, params: Params) -> Output:
    """Take tags from a user."""
    user = get_user(tx, call.scope, params["UserName"])
    user.tags = remove_tags(user.tags, params["TagKeys"])
    save_user(tx, call.scope, user)
    return {}


@operation("ListUserTags", resource=user_resource, params="UserName" + PAGED)
def list_user_tags(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a user's tags."""
    user = get_user(tx, call.scope, params["UserName"])
    tags, more = page(params, render_tags(user.tags), lambda tag: tag["Key"].lower())
    return {"Tags": tags, **more}
