"""Access keys of users: CreateAccessKey, ListAccessKeys, UpdateAccessKey, DeleteAccessKey."""

import base64
from typing import Any

from msgspec.structs import replace

from cumulet.errors import ServiceError
from cumulet.services.iam.limits import ACCESS_KEYS_MAX
from cumulet.services.iam.lookup import get_user, user_name_of, user_resource
from cumulet.services.iam.operations.users import save_user
from cumulet.services.iam.paging import PAGED, page
from cumulet.services.iam.records import ACCESS_KEYS, AccessKey, User
from cumulet.services.iam.sessions import load_signing_secret, new_key_id
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

KEY_PREFIX = "AKIA"
SECRET_BYTES = 30
"""Forty characters of base64, as AWS's secret access keys have."""


@operation("CreateAccessKey", resource=user_resource, params="UserName")
def create_access_key(call: Call, tx: WriteTx, params: Params) -> Output:
    """Give a user an access key; its secret is shown this once."""
    user = get_user(tx, call.scope, user_name_of(call, params))
    if len(user.access_key_ids) >= ACCESS_KEYS_MAX:
        raise ServiceError("LimitExceeded", f"Cannot exceed quota for AccessKeysPerUser: {ACCESS_KEYS_MAX}")
    signing_secret = load_signing_secret(tx, call.ids)
    key_id = new_key_id(signing_secret, KEY_PREFIX, call.scope.account, call.ids)
    while ACCESS_KEYS.find(tx, call.scope, key_id) is not None:
        key_id = new_key_id(signing_secret, KEY_PREFIX, call.scope.account, call.ids)
    key = AccessKey(
        access_key_id=key_id,
        user_name=user.name,
        secret=base64.b64encode(call.ids.secret(SECRET_BYTES)).decode(),
        created_ms=call.now_ms,
    )
    ACCESS_KEYS.save(tx, call.scope, key.access_key_id, record=key)
    user.access_key_ids.append(key.access_key_id)
    save_user(tx, call.scope, user)
    return {"AccessKey": {**_render_key(key), "SecretAccessKey": key.secret}}


@operation("ListAccessKeys", resource=user_resource, params="UserName" + PAGED)
def list_access_keys(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a user's access keys, without their secrets."""
    user = get_user(tx, call.scope, user_name_of(call, params))
    ids, more = page(params, sorted(user.access_key_ids), str)
    keys = [_get_key(call, tx, user, key_id) for key_id in ids]
    return {"AccessKeyMetadata": [_render_key(key) for key in keys], **more}


@operation("UpdateAccessKey", resource=user_resource, params="UserName AccessKeyId Status")
def update_access_key(call: Call, tx: WriteTx, params: Params) -> Output:
    """Activate or deactivate an access key."""
    user = get_user(tx, call.scope, user_name_of(call, params))
    key = _get_key(call, tx, user, params["AccessKeyId"])
    if params["Status"] == "Expired":
        raise ServiceError("InvalidInput", "The status Expired cannot be set.")
    changed = replace(key, active=params["Status"] == "Active")
    ACCESS_KEYS.save(tx, call.scope, key.access_key_id, record=changed)
    return {}


@operation("DeleteAccessKey", resource=user_resource, params="UserName AccessKeyId")
def delete_access_key(call: Call, tx: WriteTx, params: Params) -> Output:
    """Delete an access key."""
    user = get_user(tx, call.scope, user_name_of(call, params))
    key = _get_key(call, tx, user, params["AccessKeyId"])
    ACCESS_KEYS.delete(tx, call.scope, key.access_key_id)
    user.access_key_ids.remove(key.access_key_id)
    save_user(tx, call.scope, user)
    return {}


def _get_key(call: Call, tx: ReadTx, user: User, key_id: str) -> AccessKey:
    key = ACCESS_KEYS.find(tx, call.scope, key_id)
    if key is None or key_id not in user.access_key_ids:
        raise ServiceError("NoSuchEntity", f"The Access Key with id {key_id} cannot be found.")
    return key


def _render_key(key: AccessKey) -> dict[str, Any]:
    return {
        "UserName": key.user_name,
        "AccessKeyId": key.access_key_id,
        "Status": "Active" if key.active else "Inactive",
        "CreateDate": key.created_ms // 1000,
    }
