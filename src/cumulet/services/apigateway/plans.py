"""API keys, the usage plans that they belong to, and what is counted of their use.

Both sides read these records: the control plane keeps them, the pipeline asks them who may still call.

A key's id is derived from its value, so that the value in a request leads to the key without an index. What a plan's
quota still allows follows from the tallies of the days in its period.
"""

import hashlib
from calendar import SUNDAY
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Literal

import msgspec

from cumulet.ids import LOWER_ALPHANUMERIC
from cumulet.scope import Scope
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import API_KEY, API_USAGE, USAGE_PLAN
from cumulet.store.records import Records

Period = Literal["DAY", "WEEK", "MONTH"]

UNLIMITED = -1
"""What remains of a plan that has no quota."""

_KEY_ID_CHARS = 10
_EPOCH = date(1970, 1, 1)


class ApiKey(msgspec.Struct, omit_defaults=True):
    """A value that clients send, and which plans it belongs to."""

    key_id: str
    value: str
    created_s: int
    updated_s: int
    enabled: bool = False
    name: str | None = None
    description: str | None = None
    customer_id: str | None = None
    stages: list[str] = []
    """Stages ("api/stage") that the key opens without a plan, as keys did before there were plans."""
    plans: list[str] = []
    """The ids of its usage plans."""
    tags: dict[str, str] = {}


class Throttle(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """How many requests a second, and how many at once."""

    rate_limit: float | None = None
    burst_limit: int | None = None


class Quota(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """How many requests each key of a plan has in a period. `offset` is the day of the period on which it begins."""

    limit: int
    period: Period
    offset: int = 0


class PlanStage(msgspec.Struct, omit_defaults=True, rename="camel"):
    """A stage that a plan opens, with the throttling of single methods ("/pets/GET")."""

    api_id: str
    stage: str
    throttle: dict[str, Throttle] = {}


class UsagePlan(msgspec.Struct, omit_defaults=True):
    """Which stages a customer may call, and how often."""

    plan_id: str
    name: str
    description: str | None = None
    stages: list[PlanStage] = []
    throttle: Throttle | None = None
    quota: Quota | None = None
    tags: dict[str, str] = {}

    def find_stage(self, api_id: str, stage: str) -> PlanStage | None:
        """Return the plan's entry for a stage, or None."""
        return next((entry for entry in self.stages if entry.api_id == api_id and entry.stage == stage), None)


class Tally(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a key used of a plan on one day, and what it was granted beyond the plan's limit (or below it)."""

    used: int = 0
    granted: int = 0


API_KEYS = Records(API_KEY, ApiKey)
USAGE_PLANS = Records(USAGE_PLAN, UsagePlan)
USAGE = Records(API_USAGE, Tally)


def key_id_of(scope: Scope, value: str) -> str:
    """Return the id of the key with this value: the same value is the same key."""
    number = int.from_bytes(hashlib.sha256(f"{scope.account}/{scope.region}/{value}".encode()).digest())
    letters = []
    for _ in range(_KEY_ID_CHARS):
        number, digit = divmod(number, len(LOWER_ALPHANUMERIC))
        letters.append(LOWER_ALPHANUMERIC[digit])
    return "".join(letters)


def keys_of(tx: ReadTx, scope: Scope, plan_id: str, behind: str | None = None) -> Iterator[ApiKey]:
    """Yield the keys of a plan whose ids come after `behind`."""
    for key in API_KEYS.scan(tx, scope, behind=None if behind is None else (behind,)):
        if plan_id in key.plans:
            yield key


def forget_stages(tx: WriteTx, scope: Scope, api_id: str, stage: str | None = None) -> None:
    """Take a stage that is gone, or all of an API, out of plans and keys.

    AWS does so, too: https://github.com/hashicorp/terraform-provider-aws/issues/14100
    """
    for plan in list(USAGE_PLANS.scan(tx, scope)):
        left = [entry for entry in plan.stages if entry.api_id != api_id or stage not in (None, entry.stage)]
        if len(left) < len(plan.stages):
            plan.stages = left
            USAGE_PLANS.save(tx, scope, plan.plan_id, record=plan)
    for key in [key for key in API_KEYS.scan(tx, scope) if key.stages]:
        entries = [(name, *name.split("/")) for name in key.stages]
        kept = [name for name, api, named in entries if api != api_id or stage not in (None, named)]
        if len(kept) < len(key.stages):
            key.stages = kept
            API_KEYS.save(tx, scope, key.key_id, record=key)


def day_of(now_ms: int) -> int:
    """Return the day of a time, counted from the epoch, in UTC."""
    return now_ms // 86_400_000


def day_of_date(day: date) -> int:
    """Return the day of a calendar date."""
    return (day - _EPOCH).days


def date_of(day: int) -> date:
    """Return the calendar date of a day."""
    return _EPOCH + timedelta(days=day)


def period_start(quota: Quota, day: int) -> int:
    """Return the first day of the period that `day` lies in.

    Offset 0 begins a week on Sunday and a month on its first day.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-apigateway-usageplan-quotasettings.html
    """
    if quota.period == "DAY":
        return day
    at = date_of(day)
    if quota.period == "WEEK":
        return day - (at.weekday() - SUNDAY - quota.offset) % 7
    begins = at.replace(day=1 + quota.offset)
    if begins > at:
        begins = (at.replace(day=1) - timedelta(days=1)).replace(day=1 + quota.offset)
    return day_of_date(begins)


def remaining(quota: Quota | None, tallies: Iterable[Tally]) -> int:
    """Return how many requests a period still allows after the tallies of its days."""
    if quota is None:
        return UNLIMITED
    left = quota.limit
    for tally in tallies:
        left += tally.granted - tally.used
    return max(0, left)


def load_tallies(
    tx: ReadTx, scope: Scope, plan_id: str, key_id: str, first_day: int, last_day: int
) -> dict[int, Tally]:
    """Return the tallies of a key by day, from the first to the last day; days without any are absent."""
    start, _ = USAGE.family.range(scope, plan_id, key_id, first_day)
    _, end = USAGE.family.range(scope, plan_id, key_id, last_day)
    return {USAGE.family.parts_of(key)[2]: USAGE.decode(value) for key, value in tx.scan(start, end)}


def load_period(tx: ReadTx, scope: Scope, plan_id: str, quota: Quota | None, key_id: str, day: int) -> dict[int, Tally]:
    """Return the tallies of the period that `day` lies in, up to that day."""
    # Added up from its days each time, at most 31 of them: so a plan's period can change at any time.
    first_day = day if quota is None else period_start(quota, day)
    return load_tallies(tx, scope, plan_id, key_id, first_day, day)
