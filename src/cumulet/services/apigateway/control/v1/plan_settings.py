"""What a usage plan's throttling, quota and stages may be, given as members or as patches (pure).

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-api-usage-plans.html
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control.v1.patching import unsupported
from cumulet.services.apigateway.model import METHODS
from cumulet.services.apigateway.plans import PlanStage, Quota, Throttle

_OFFSETS = {"DAY": range(1), "WEEK": range(7), "MONTH": range(28)}


def make_throttle(given: Mapping[str, Any] | None) -> Throttle | None:
    """Return the throttling that members (numbers, or a patch's texts) describe; None without any."""
    if not given:
        return None
    if unknown := given.keys() - {"rateLimit", "burstLimit"}:
        raise _bad(f"Invalid throttle setting specified: {min(unknown)}")
    rate, burst = given.get("rateLimit"), given.get("burstLimit")
    throttle = Throttle(
        None if rate is None else checked_rate(rate), None if burst is None else checked_whole(burst, "burst limit")
    )
    return None if throttle == Throttle() else throttle


def make_quota(given: Mapping[str, Any] | None) -> Quota | None:
    """Return the quota that members (numbers, or a patch's texts) describe; None without any."""
    if not given or all(value is None for value in given.values()):
        return None
    period = given.get("period")
    if period not in _OFFSETS:
        raise _bad("Usage Plan quota period must be one of [DAY, WEEK, MONTH]")
    if given.get("limit") is None:
        raise _bad("Usage Plan quota limit must be specified")
    offset = checked_whole(given.get("offset") or 0, "quota offset")
    if offset not in _OFFSETS[period]:
        # The words that Terraform's provider has from AWS.
        if period == "DAY":
            raise _bad("Usage Plan quota offset must be zero in the DAY period")
        last = _OFFSETS[period][-1]
        raise _bad(f"Usage Plan quota offset must be between 0 and {last} inclusive in the {period} period")
    return Quota(checked_whole(given["limit"], "quota limit"), period, offset)


def checked_rate(given: Any) -> float:
    """Return requests a second."""
    try:
        rate = float(given)
    except (TypeError, ValueError, OverflowError):  # a patch's value may be any JSON
        rate = -1
    if not (math.isfinite(rate) and rate >= 0):
        raise _bad(f"Invalid rate limit specified: {given}")
    return rate


def checked_whole(given: Any, what: str) -> int:
    """Return a number of requests."""
    text = str(given)
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise _bad(f"Invalid {what} specified: {given}")
    return int(text)


def patch_stages(stages: list[PlanStage], op: str, path: str, value: str | None, known: Sequence[str]) -> None:
    """Change a plan's stages as one patch says, whose path begins with /apiStages. `known` are the op's paths.

    AWS's own examples leave the slashes of a resource's path as they are or write them as ~1; both are understood.
    """
    where = path.removeprefix("/apiStages")
    name, throttle, rest = where[1:].partition("/throttle")
    method = rest[1:].replace("~1", "/").replace("~0", "~")
    member = next((name for name in ("rateLimit", "burstLimit") if method.endswith(f"/{name}")), None)
    ops: tuple[str, ...] = ("add", "replace", "remove")
    if member is not None:
        ops = ("add", "replace")
    elif method:
        ops = ("remove",)
    elif not where:
        ops = ("add", "remove")
    if op not in ops or (where and not throttle):
        raise unsupported(path, op, known)
    if not where:
        _patch_stage_list(stages, op, value or "")
        return
    stage = _get_stage(stages, name.replace("~1", "/").replace("~0", "~"))
    if member is not None:
        _patch_member(stage, method_key(method.removesuffix(f"/{member}")), member, value)
    elif method:
        stage.throttle.pop(method_key(method), None)
    else:
        stage.throttle = {}
        if op != "remove":
            for key, given in _object(value).items():
                _set_method(stage, method_key(key), make_throttle(given if isinstance(given, dict) else {"": given}))
    check_methods(stage)


def check_methods(stage: PlanStage) -> None:
    """Raise LimitExceededException if too many methods of a stage have throttling of their own."""
    if len(stage.throttle) > limits.PLAN_METHODS_MAX:
        raise ServiceError(
            "LimitExceededException",
            "Maximum number of method-level throttling settings for a stage in a usage plan has been reached.",
        )


def _patch_stage_list(stages: list[PlanStage], op: str, value: str) -> None:
    if op == "remove":
        stages.remove(_get_stage(stages, value))
    else:
        api_id, _, stage = value.partition(":")
        if all(api_id != entry.api_id or stage != entry.stage for entry in stages):
            stages.append(PlanStage(api_id, stage))


def _patch_member(stage: PlanStage, method: str, member: str, value: str | None) -> None:
    kept: dict[str, Any] = msgspec.to_builtins(stage.throttle.get(method, Throttle()))
    _set_method(stage, method, make_throttle({**kept, member: value}))


def _set_method(stage: PlanStage, method: str, throttle: Throttle | None) -> None:
    if throttle is None:
        stage.throttle.pop(method, None)
    else:
        stage.throttle[method] = throttle


def _get_stage(stages: list[PlanStage], name: str) -> PlanStage:
    api_id, _, stage = name.partition(":")
    for entry in stages:
        if entry.api_id == api_id and entry.stage == stage:
            return entry
    raise ServiceError("NotFoundException", f"API Stage not found: {name}")


def method_key(method: str) -> str:
    """Return how a plan names a method: /pets/GET. Raises BadRequestException for what names none."""
    if method.rpartition("/")[2] not in METHODS:
        raise _bad(f"Invalid method specified: {method}. Must be a resource's path and an HTTP method")
    return method if method.startswith("/") else f"/{method}"


def _object(value: str | None) -> dict[str, Any]:
    try:
        return msgspec.json.decode(value or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise _bad("Invalid throttle settings specified: not a JSON object") from None


def _bad(words: str) -> ServiceError:
    return ServiceError("BadRequestException", words)
