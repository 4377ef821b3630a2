"""API keys and usage plans: whether a request has a key for its stage, and what its plan still allows.

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-api-usage-plans.html
"""

import msgspec

from cumulet.services.apigateway import limits
from cumulet.services.apigateway.pipeline import log_words
from cumulet.services.apigateway.pipeline.buckets import Buckets
from cumulet.services.apigateway.pipeline.exchange import Matched
from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.services.apigateway.pipeline.quotas import Quotas
from cumulet.services.apigateway.plans import API_KEYS, USAGE_PLANS, ApiKey, PlanStage, Throttle, UsagePlan, key_id_of
from cumulet.services.kit import Ground
from cumulet.store.api import ReadTx


class Meter:
    """Lets requests pass that have a key, as often as the key's plan says."""

    def __init__(self, ground: Ground, buckets: Buckets) -> None:
        self._ground = ground
        self._buckets = buckets
        self._quotas = Quotas(ground)

    async def admit(self, matched: Matched) -> Matched:
        """Return the request with its key and plan. Raises Refused for a method that wants a key if there is none."""
        if not matched.route.api_key_required:
            return matched
        value = key_value(matched)
        found = None if not value else await self._ground.store.read(lambda tx: find_key(tx, matched, value))
        if found is None:
            raise Refused("bad_key", log_line=log_words.unknown_key(matched, value or ""))
        key, plan = found
        matched = msgspec.structs.replace(matched, api_key=key, plan=plan)
        if plan is not None:
            self._throttle(matched, key, plan, plan.find_stage(matched.arrival.api_id, matched.stage.name))
        return matched

    async def count(self, matched: Matched) -> None:
        """Count the request as one of its key's. Raises Refused if the plan allows the key no more."""
        key, plan = matched.api_key, matched.plan
        if key is None or plan is None:
            return
        if not await self._quotas.admit(matched.arrival.scope, plan.plan_id, key.key_id, plan.quota):
            raise Refused("quota_exceeded", log_line=log_words.exhausted(matched))

    async def finish(self) -> None:
        """Return once every request is counted."""
        await self._quotas.finish()

    def _throttle(self, matched: Matched, key: ApiKey, plan: UsagePlan, stage: PlanStage | None) -> None:
        throttle, place = plan_throttle(matched, plan, stage)
        if throttle is None:
            return
        rate = limits.ACCOUNT_RATE if throttle.rate_limit is None else throttle.rate_limit
        burst = limits.ACCOUNT_BURST if throttle.burst_limit is None else throttle.burst_limit
        bucket = (matched.arrival.scope, plan.plan_id, key.key_id, place)
        if not self._buckets.take(bucket, rate, burst, self._ground.clock.monotonic_s()):
            raise Refused("too_many", log_line=log_words.throttled(matched, rate, burst))


def key_value(matched: Matched) -> str | None:
    """Return the value of the API key that a request has, from where its API looks for it."""
    if matched.compiled.deployment.key_from_authorizer:
        return None if matched.authorized is None else matched.authorized.usage_key
    return matched.arrival.request.headers.get("x-api-key")


def find_key(tx: ReadTx, matched: Matched, value: str) -> tuple[ApiKey, UsagePlan | None] | None:
    """Return the key with this value and the plan under which it opens the request's stage; None if nothing does."""
    scope, api_id, stage = matched.arrival.scope, matched.arrival.api_id, matched.stage.name
    key = API_KEYS.find(tx, scope, key_id_of(scope, value))
    if key is None or key.value != value or not key.enabled:
        return None
    for plan_id in key.plans:
        plan = USAGE_PLANS.find(tx, scope, plan_id)
        if plan is not None and plan.find_stage(api_id, stage) is not None:
            return key, plan
    return (key, None) if f"{api_id}/{stage}" in key.stages else None


def plan_throttle(matched: Matched, plan: UsagePlan, stage: PlanStage | None) -> tuple[Throttle | None, str]:
    """Return what throttles a plan's key, and which requests share it: one method's, or all under the plan."""
    own = f"{matched.route.path}/{matched.route.key}"
    found = None if stage is None else stage.throttle.get(own)
    if found is None:
        return plan.throttle, ""
    return found, f"{matched.arrival.api_id}:{matched.stage.name}{own}"
