"""What the keys of a usage plan have used of it, day by day, and how much the period still allows them."""

from datetime import date
from itertools import islice
from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control.arns import GET, PATCH, at
from cumulet.services.apigateway.control.v1 import patching
from cumulet.services.apigateway.control.v1.paging import page
from cumulet.services.apigateway.control.v1.plan_settings import checked_whole
from cumulet.services.apigateway.control.v1.usage_plans import get_plan, get_plan_key
from cumulet.services.apigateway.plans import (
    USAGE,
    Tally,
    UsagePlan,
    date_of,
    day_of,
    day_of_date,
    keys_of,
    load_period,
    load_tallies,
    period_start,
    remaining,
)
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

_PATCHABLE = patching.table("/remaining text replace")


@operation(
    "GetUsage",
    action=GET,
    resource=at("/usageplans/{usagePlanId}/usage"),
    params="usagePlanId keyId startDate endDate position limit",
)
def get_usage(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return, for each key of a plan and each day, how many requests it made and how many remained."""
    plan = get_plan(tx, call, params["usagePlanId"])
    first, last = _checked_date(params["startDate"]), _checked_date(params["endDate"])
    if last < first:
        raise ServiceError("BadRequestException", "Usage start date must not be after the end date")
    if last - first >= limits.USAGE_DAYS_MAX:
        raise ServiceError("BadRequestException", "Usage date range cannot be longer than 90 days")
    usage: dict[str, Any] = {
        "usagePlanId": plan.plan_id,
        "startDate": params["startDate"],
        "endDate": params["endDate"],
    }
    if params.get("keyId") is not None:
        key = get_plan_key(tx, call, params)
        return {**usage, "items": {key.key_id: _days(tx, call, plan, key.key_id, first, last)}}
    listed = page(
        params,
        lambda behind, limit: islice(keys_of(tx, call.scope, plan.plan_id, behind), limit),
        lambda key: key.key_id,
        lambda key: (key.key_id, _days(tx, call, plan, key.key_id, first, last)),
    )
    return {**usage, **listed, "items": dict(listed["items"])}


def _checked_date(text: str) -> int:
    try:
        day = day_of_date(date.fromisoformat(text))
    except ValueError:
        day = -1
    if day < 0:  # no text of a date, or one before the epoch: no period of a quota begins before the first of all days
        raise ServiceError("BadRequestException", f"Invalid date specified: {text}. Must be YYYY-MM-DD")
    return day


def _days(tx: ReadTx, call: Call, plan: UsagePlan, key_id: str, first: int, last: int) -> list[list[int]]:
    """Return used and remaining of each day."""
    before = first if plan.quota is None else period_start(plan.quota, first)
    tallies = load_tallies(tx, call.scope, plan.plan_id, key_id, before, last)
    days = []
    for day in range(first, last + 1):
        start = day if plan.quota is None else period_start(plan.quota, day)
        period = [tally for at, tally in tallies.items() if start <= at <= day]
        days.append([tallies[day].used if day in tallies else 0, remaining(plan.quota, period)])
    return days


@operation(
    "UpdateUsage",
    action=PATCH,
    resource=at("/usageplans/{usagePlanId}/keys/{keyId}/usage"),
    params="usagePlanId keyId patchOperations",
)
def update_usage(call: Call, tx: WriteTx, params: Params) -> Output:
    """The key has another number of requests left in the current period."""
    plan = get_plan(tx, call, params["usagePlanId"])
    key = get_plan_key(tx, call, params)
    day = day_of(call.now_ms)
    members = patching.patched({}, params.get("patchOperations"), _PATCHABLE)
    if "remaining" in members:
        if plan.quota is None:
            raise ServiceError("BadRequestException", f"Usage Plan {plan.plan_id} has no quota")
        tallies = load_period(tx, call.scope, plan.plan_id, plan.quota, key.key_id, day)
        left = plan.quota.limit + sum(tally.granted - tally.used for tally in tallies.values())
        tally = tallies.get(day, Tally())
        granted = tally.granted + checked_whole(members["remaining"], "remaining quota") - left
        USAGE.save(tx, call.scope, plan.plan_id, key.key_id, day, record=Tally(tally.used, granted))
    today = date_of(day).isoformat()
    return {
        "usagePlanId": plan.plan_id,
        "startDate": today,
        "endDate": today,
        "items": {key.key_id: _days(tx, call, plan, key.key_id, day, day)},
    }
