"""Usage plans, and the keys that belong to them."""

from itertools import islice
from typing import Any

import msgspec

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control import tagging
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, POST, at
from cumulet.services.apigateway.control.v1 import patching
from cumulet.services.apigateway.control.v1.paging import page
from cumulet.services.apigateway.control.v1.plan_settings import (
    check_methods,
    make_quota,
    make_throttle,
    method_key,
    patch_stages,
)
from cumulet.services.apigateway.model import STAGES
from cumulet.services.apigateway.plans import (
    API_KEYS,
    USAGE,
    USAGE_PLANS,
    ApiKey,
    PlanStage,
    UsagePlan,
    keys_of,
)
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

PLANS = at("/usageplans")
PLAN = at("/usageplans/{usagePlanId}")
PLAN_KEYS = at("/usageplans/{usagePlanId}/keys")
PLAN_KEY = at("/usageplans/{usagePlanId}/keys/{keyId}")

# Those of stages are listed for whoever asks for a path that is none; `patch_stages` follows them.
_PATCHABLE = patching.table(
    """
    /name                                                                     text   replace
    /description                                                              text   replace
    /throttle                                                                 text   remove
    /throttle/rateLimit                                                       text   add replace
    /throttle/burstLimit                                                      text   add replace
    /quota                                                                    text   remove
    /quota/limit                                                              text   add replace
    /quota/offset                                                             text   add replace
    /quota/period                                                             text   add replace
    /apiStages                                                                stages add remove
    /apiStages/{apiId:stage}/throttle                                         stages add replace remove
    /apiStages/{apiId:stage}/throttle/{resourcePath}/{httpMethod}             stages remove
    /apiStages/{apiId:stage}/throttle/{resourcePath}/{httpMethod}/rateLimit   stages add replace
    /apiStages/{apiId:stage}/throttle/{resourcePath}/{httpMethod}/burstLimit  stages add replace
    """
)


@operation(
    "CreateUsagePlan",
    action=POST,
    resource=PLANS,
    params="name description apiStages throttle quota tags",
)
def create_usage_plan(call: Call, tx: WriteTx, params: Params) -> Output:
    """A plan exists, to which keys can be added."""
    if sum(1 for _ in USAGE_PLANS.scan(tx, call.scope)) >= limits.PLANS_MAX:
        raise ServiceError("LimitExceededException", "Maximum number of usage plans for this account has been reached.")
    stages = [
        PlanStage(
            given.get("apiId") or "",
            given.get("stage") or "",
            {
                method_key(method): throttle
                for method, members in (given.get("throttle") or {}).items()
                if (throttle := make_throttle(members)) is not None
            },
        )
        for given in params.get("apiStages") or ()
    ]
    plan = UsagePlan(
        plan_id=call.ids.token(6),
        name=checked_name(params["name"]),
        description=params.get("description") or None,
        stages=stages,
        throttle=make_throttle(params.get("throttle")),
        quota=make_quota(params.get("quota")),
        tags=tagging.checked(params.get("tags") or {}),
    )
    for stage in stages:
        check_stage(tx, call, stage)
        if plan.find_stage(stage.api_id, stage.stage) is not stage:
            raise ServiceError(
                "BadRequestException", f"API Stage {stage.api_id}:{stage.stage} is specified more than once"
            )
    USAGE_PLANS.save(tx, call.scope, plan.plan_id, record=plan)
    return show(plan)


def checked_name(name: str | None) -> str:
    """Return a plan's name."""
    if not name or not name.strip():
        raise ServiceError("BadRequestException", "Usage Plan name cannot be blank")
    return name


def check_stage(tx: ReadTx, call: Call, stage: PlanStage) -> None:
    """Raise NotFoundException if a plan's stage is not there."""
    if STAGES.find(tx, call.scope, stage.api_id, stage.stage) is None:
        raise ServiceError("NotFoundException", f"API Stage not found: {stage.api_id}:{stage.stage}")
    check_methods(stage)


def get_plan(tx: ReadTx, call: Call, plan_id: str) -> UsagePlan:
    """Return the plan of that id. Raises NotFoundException."""
    if (plan := USAGE_PLANS.find(tx, call.scope, plan_id)) is None:
        raise ServiceError("NotFoundException", "Invalid Usage Plan ID specified")
    return plan


@operation("GetUsagePlan", action=GET, resource=PLAN, params="usagePlanId")
def get_usage_plan(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one plan."""
    return show(get_plan(tx, call, params["usagePlanId"]))


@operation("GetUsagePlans", action=GET, resource=PLANS, params="position keyId limit")
def get_usage_plans(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the plans of an account in a region, or those of one key, a page at a time."""
    key_id = params.get("keyId")
    if key_id is not None:
        key = API_KEYS.find(tx, call.scope, key_id)
        plan_ids = [] if key is None else sorted(key.plans)
        return page(
            params,
            lambda behind, limit: (
                get_plan(tx, call, plan_id)
                for plan_id in [plan_id for plan_id in plan_ids if behind is None or plan_id > behind][:limit]
            ),
            lambda plan: plan.plan_id,
            show,
        )
    return page(
        params,
        lambda behind, limit: USAGE_PLANS.scan(tx, call.scope, behind=(behind,) if behind else None, limit=limit),
        lambda plan: plan.plan_id,
        show,
    )


@operation(
    "UpdateUsagePlan",
    action=PATCH,
    resource=PLAN,
    params="usagePlanId patchOperations",
    missing="the patch path /productCode (there is no marketplace)",
)
def update_usage_plan(call: Call, tx: WriteTx, params: Params) -> Output:
    """The plan has the patched values, in force from the next request on."""
    plan = get_plan(tx, call, params["usagePlanId"])
    before = {(stage.api_id, stage.stage) for stage in plan.stages}
    members = show(plan)
    for patch in params.get("patchOperations") or ():
        op, path = patch.get("op"), patch.get("path") or ""
        if path == "/productCode":
            raise NotImplementedHere("The patch path /productCode of apigateway:UpdateUsagePlan")
        if path == "/apiStages" or path.startswith("/apiStages/"):
            known = [line.path for line in _PATCHABLE if op in line.ops]
            patch_stages(plan.stages, op, path, patch.get("value"), known)
        else:
            members = patching.patched(members, [patch], _PATCHABLE)
    plan.name, plan.description = checked_name(members.get("name")), members.get("description")
    plan.throttle, plan.quota = make_throttle(members.get("throttle")), make_quota(members.get("quota"))
    for stage in plan.stages:
        if (stage.api_id, stage.stage) not in before:
            check_stage(tx, call, stage)
            for key in keys_of(tx, call.scope, plan.plan_id):
                check_not_subscribed(tx, call, plan, key)
    USAGE_PLANS.save(tx, call.scope, plan.plan_id, record=plan)
    return show(plan)


@operation("DeleteUsagePlan", action=DELETE, resource=PLAN, params="usagePlanId")
def delete_usage_plan(call: Call, tx: WriteTx, params: Params) -> Output:
    """The plan and what was counted under it are gone; its keys stay. Refused while it has stages."""
    plan = get_plan(tx, call, params["usagePlanId"])
    if plan.stages:
        # The words: https://github.com/aws/aws-sdk-js/issues/3841
        stages = ", ".join([f"{stage.api_id}:{stage.stage}" for stage in plan.stages])
        raise ServiceError(
            "BadRequestException",
            f"Cannot delete Usage Plan {plan.plan_id} because there are API Stages associated with it, including "
            f"{stages}",
        )
    for key in list(keys_of(tx, call.scope, plan.plan_id)):
        key.plans.remove(plan.plan_id)
        API_KEYS.save(tx, call.scope, key.key_id, record=key)
    USAGE.delete_all(tx, call.scope, plan.plan_id)
    USAGE_PLANS.delete(tx, call.scope, plan.plan_id)
    return {}


@operation("CreateUsagePlanKey", action=POST, resource=PLAN_KEYS, params="usagePlanId keyId keyType")
def create_usage_plan_key(call: Call, tx: WriteTx, params: Params) -> Output:
    """The key belongs to the plan, and opens its stages."""
    if params["keyType"] != "API_KEY":
        raise ServiceError("BadRequestException", "Invalid key type specified. Valid values are [API_KEY]")
    plan = get_plan(tx, call, params["usagePlanId"])
    if (key := API_KEYS.find(tx, call.scope, params["keyId"])) is None:
        raise ServiceError("NotFoundException", "Invalid API Key identifier specified")
    if plan.plan_id in key.plans:
        raise ServiceError(
            "ConflictException", f"Usage Plan {plan.plan_id} already contains a subscription for API Key {key.key_id}"
        )
    add_key(tx, call, plan, key)
    API_KEYS.save(tx, call.scope, key.key_id, record=key)
    return show_key(key)


def add_key(tx: ReadTx, call: Call, plan: UsagePlan, key: ApiKey) -> None:
    """Make a key, which the caller saves, one of the plan's. A key has one plan for each stage."""
    if len(key.plans) >= limits.PLANS_PER_KEY_MAX:
        raise ServiceError("LimitExceededException", "Maximum number of usage plans for this API key has been reached.")
    check_not_subscribed(tx, call, plan, key)
    key.plans.append(plan.plan_id)


def check_not_subscribed(tx: ReadTx, call: Call, plan: UsagePlan, key: ApiKey) -> None:
    """Raise ConflictException if another plan of the key has one of the plan's stages."""
    for plan_id in key.plans:
        other = None if plan_id == plan.plan_id else USAGE_PLANS.find(tx, call.scope, plan_id)
        taken = [] if other is None else [stage for stage in plan.stages if other.find_stage(stage.api_id, stage.stage)]
        if taken:
            stages = ", ".join([f"{stage.api_id}:{stage.stage}" for stage in taken])
            raise ServiceError(
                "ConflictException",
                f"API Key {key.key_id} cannot be added to Usage Plan {plan.plan_id} because API Stages {stages} are "
                "otherwise subscribed",
            )


def forget_key(tx: WriteTx, call: Call, plan_id: str, key_id: str) -> None:
    """Remove what was counted of a key's use of a plan."""
    USAGE.delete_all(tx, call.scope, plan_id, key_id)


def get_plan_key(tx: ReadTx, call: Call, params: Params) -> ApiKey:
    """Return the key that `keyId` names, if it belongs to the plan. Raises NotFoundException."""
    plan = get_plan(tx, call, params["usagePlanId"])
    key = API_KEYS.find(tx, call.scope, params["keyId"])
    if key is None or plan.plan_id not in key.plans:
        raise ServiceError("NotFoundException", "Invalid API Key identifier specified")
    return key


@operation("GetUsagePlanKey", action=GET, resource=PLAN_KEY, params="usagePlanId keyId")
def get_usage_plan_key(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one key of a plan."""
    return show_key(get_plan_key(tx, call, params))


@operation("GetUsagePlanKeys", action=GET, resource=PLAN_KEYS, params="usagePlanId position limit nameQuery")
def get_usage_plan_keys(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a plan's keys, or those whose names begin with `nameQuery`, a page at a time."""
    plan = get_plan(tx, call, params["usagePlanId"])
    prefix = params.get("nameQuery") or ""
    return page(
        params,
        lambda behind, limit: islice(
            (key for key in keys_of(tx, call.scope, plan.plan_id, behind) if (key.name or "").startswith(prefix)), limit
        ),
        lambda key: key.key_id,
        show_key,
    )


@operation("DeleteUsagePlanKey", action=DELETE, resource=PLAN_KEY, params="usagePlanId keyId")
def delete_usage_plan_key(call: Call, tx: WriteTx, params: Params) -> Output:
    """The key no longer belongs to the plan; what was counted of its use is forgotten."""
    key = get_plan_key(tx, call, params)
    key.plans.remove(params["usagePlanId"])
    API_KEYS.save(tx, call.scope, key.key_id, record=key)
    forget_key(tx, call, params["usagePlanId"], key.key_id)
    return {}


def show(plan: UsagePlan) -> dict[str, Any]:
    """Return a plan as AWS shows it."""
    shown: dict[str, Any] = {
        "id": plan.plan_id,
        "name": plan.name,
        "description": plan.description,
        "apiStages": msgspec.to_builtins(plan.stages),
        "throttle": msgspec.to_builtins(plan.throttle),
        "quota": None if plan.quota is None else {"offset": 0, **msgspec.to_builtins(plan.quota)},
        "tags": plan.tags or None,
    }
    return {name: value for name, value in shown.items() if value is not None}


def show_key(key: ApiKey) -> dict[str, Any]:
    """Return a key as its plans show it."""
    shown = {"id": key.key_id, "type": "API_KEY", "value": key.value, "name": key.name}
    return {name: value for name, value in shown.items() if value is not None}
