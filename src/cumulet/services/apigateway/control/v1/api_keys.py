"""API keys: made, imported, shown, changed, deleted. What they open is a matter of usage plans."""

import string
from itertools import islice
from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control import tagging
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, POST, at
from cumulet.services.apigateway.control.v1 import key_file, patching
from cumulet.services.apigateway.control.v1.paging import page
from cumulet.services.apigateway.control.v1.usage_plans import add_key, forget_key, get_plan
from cumulet.services.apigateway.model import STAGES
from cumulet.services.apigateway.plans import API_KEYS, ApiKey, key_id_of
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

KEYS = at("/apikeys")
KEY = at("/apikeys/{apiKey}")

_ALPHABET = string.ascii_letters + string.digits

_PATCHABLE = patching.table(
    """
    /name         text     replace
    /description  text     replace
    /enabled      flag     replace
    /labels       refused  add remove
    /customerId   text     replace
    /stages       members  add remove
    """
)


@operation(
    "CreateApiKey",
    action=POST,
    resource=KEYS,
    params="name description enabled generateDistinctId value stageKeys customerId tags",
)
def create_api_key(call: Call, tx: WriteTx, params: Params) -> Output:
    """A key exists, which opens nothing until it belongs to a usage plan.

    An id is distinct from its value in any case, as on AWS since generateDistinctId is deprecated.
    """
    value = params.get("value") or call.ids.token(limits.KEY_CHARS, _ALPHABET)
    check_value(value)
    check_name(params.get("name"))
    key_id = key_id_of(call.scope, value)
    if API_KEYS.find(tx, call.scope, key_id) is not None:
        raise ServiceError("ConflictException", "API Key already exists")
    if sum(1 for _ in tx.scan(*API_KEYS.family.range(call.scope))) >= limits.KEYS_MAX:
        raise ServiceError("LimitExceededException", "Maximum number of API keys for this account has been reached.")
    now_s = call.now_ms // 1000
    stages = [f"{stage.get('restApiId')}/{stage.get('stageName')}" for stage in params.get("stageKeys") or ()]
    key = ApiKey(
        key_id=key_id,
        value=value,
        created_s=now_s,
        updated_s=now_s,
        enabled=bool(params.get("enabled")),
        name=params.get("name") or None,
        description=params.get("description") or None,
        customer_id=params.get("customerId") or None,
        stages=checked_stages(tx, call, stages),
        tags=tagging.checked(params.get("tags") or {}),
    )
    API_KEYS.save(tx, call.scope, key_id, record=key)
    return show(key, with_value=True)


def check_value(value: str) -> None:
    """Raise BadRequestException unless a text can be a key's value."""
    if len(value) < limits.KEY_VALUE_CHARS.start:
        raise ServiceError("BadRequestException", "API Key value should be at least 20 characters")
    if len(value) not in limits.KEY_VALUE_CHARS:
        raise ServiceError("BadRequestException", "API Key value should be at most 128 characters")
    # Clients send it in a header.
    if not all("!" <= char <= "~" for char in value):
        raise ServiceError("BadRequestException", "API Key value should be alphanumeric")


def check_name(name: str | None) -> None:
    """Raise BadRequestException if a key's name is too long."""
    if name is not None and len(name) > limits.KEY_NAME_CHARS_MAX:
        raise ServiceError("BadRequestException", "API Key name should be at most 1024 characters")


def checked_stages(tx: ReadTx, call: Call, stages: list[str]) -> list[str]:
    """Return stages in the form api/stage. Raises BadRequestException for one that is not there."""
    for stage in stages:
        api_id, _, name = stage.partition("/")
        if STAGES.find(tx, call.scope, api_id, name) is None:
            raise ServiceError("BadRequestException", "Invalid stage identifier specified")
    return stages


def get_key(tx: ReadTx, call: Call, key_id: str) -> ApiKey:
    """Return the key of that id. Raises NotFoundException."""
    if (key := API_KEYS.find(tx, call.scope, key_id)) is None:
        raise ServiceError("NotFoundException", "Invalid API Key identifier specified")
    return key


@operation("GetApiKey", action=GET, resource=KEY, params="apiKey includeValue")
def get_api_key(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one key, with its value if that is asked for."""
    return show(get_key(tx, call, params["apiKey"]), with_value=bool(params.get("includeValue")))


@operation("GetApiKeys", action=GET, resource=KEYS, params="position limit nameQuery customerId includeValues")
def get_api_keys(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the keys of an account in a region, or those whose names begin with `nameQuery`, a page at a time."""
    prefix, customer_id = params.get("nameQuery") or "", params.get("customerId")
    return page(
        params,
        lambda behind, limit: islice(
            (
                key
                for key in API_KEYS.scan(tx, call.scope, behind=(behind,) if behind else None)
                if (key.name or "").startswith(prefix) and (not customer_id or key.customer_id == customer_id)
            ),
            limit,
        ),
        lambda key: key.key_id,
        lambda key: show(key, with_value=bool(params.get("includeValues"))),
    )


@operation("UpdateApiKey", action=PATCH, resource=KEY, params="apiKey patchOperations")
def update_api_key(call: Call, tx: WriteTx, params: Params) -> Output:
    """The key has the patched values, in force from the next request on."""
    key = get_key(tx, call, params["apiKey"])
    before = list(key.stages)
    members = patching.patched(
        {**show(key, with_value=False), "stages": before}, params.get("patchOperations"), _PATCHABLE
    )
    check_name(members.get("name"))
    key.name, key.description = members.get("name"), members.get("description")
    key.customer_id, key.enabled = members.get("customerId"), bool(members.get("enabled"))
    checked_stages(tx, call, [stage for stage in members["stages"] if stage not in before])
    key.stages = members["stages"]
    key.updated_s = call.now_ms // 1000
    API_KEYS.save(tx, call.scope, key.key_id, record=key)
    return show(key, with_value=False)


@operation("DeleteApiKey", action=DELETE, resource=KEY, params="apiKey")
def delete_api_key(call: Call, tx: WriteTx, params: Params) -> Output:
    """The key is gone, from its usage plans too."""
    key = get_key(tx, call, params["apiKey"])
    for plan_id in key.plans:
        forget_key(tx, call, plan_id, key.key_id)
    API_KEYS.delete(tx, call.scope, key.key_id)
    return {}


@operation("ImportApiKeys", action=POST, resource=KEYS, params="body format failOnWarnings")
def import_api_keys(call: Call, tx: WriteTx, params: Params) -> Output:
    """The keys of a file exist, and belong to the plans that it names; a key that was there before is overwritten."""
    if params["format"] != "csv":
        raise ServiceError("BadRequestException", "Invalid format specified. Only csv is supported")
    try:
        rows, warnings = key_file.parse(params["body"].decode())
    except UnicodeDecodeError:
        raise ServiceError("BadRequestException", "The imported file is not in UTF-8") from None
    except key_file.Malformed as malformed:
        raise ServiceError("BadRequestException", str(malformed)) from None
    if warnings and params.get("failOnWarnings"):
        raise ServiceError("BadRequestException", f"Warnings found during import: {'; '.join(warnings)}")
    kept = sum(1 for _ in tx.scan(*API_KEYS.family.range(call.scope)))
    if kept + len(rows) > limits.KEYS_MAX:
        raise ServiceError("LimitExceededException", "Maximum number of API keys for this account has been reached.")
    now_s = call.now_ms // 1000
    ids = dict[str, None]()
    for row in rows:
        check_value(row.value)
        key_id = key_id_of(call.scope, row.value)
        key = API_KEYS.find(tx, call.scope, key_id) or ApiKey(key_id, row.value, now_s, now_s)
        key.name, key.description, key.enabled = row.name or None, row.description or None, row.enabled
        key.updated_s = now_s
        for plan_id in row.plan_ids:
            if plan_id not in key.plans:
                add_key(tx, call, get_plan(tx, call, plan_id), key)
        API_KEYS.save(tx, call.scope, key_id, record=key)
        ids[key_id] = None
    return {"ids": list(ids), "warnings": warnings}


def show(key: ApiKey, *, with_value: bool) -> dict[str, Any]:
    """Return a key as AWS shows it."""
    shown: dict[str, Any] = {
        "id": key.key_id,
        "value": key.value if with_value else None,
        "name": key.name,
        "customerId": key.customer_id,
        "description": key.description,
        "enabled": key.enabled,
        "createdDate": key.created_s,
        "lastUpdatedDate": key.updated_s,
        "stageKeys": key.stages,
        "tags": key.tags or None,
    }
    return {name: value for name, value in shown.items() if value is not None}
