"""What the settings of a REST API's stage may be: of its methods, its canary, its cache, its access log."""

import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.accounts import ACCOUNTS
from cumulet.services.apigateway.control.v1.patching import is_true
from cumulet.services.apigateway.control.v2.stage_settings import make_access_log
from cumulet.services.apigateway.model import DEPLOYMENTS, AccessLog, Canary, MethodSettings, Stage
from cumulet.services.kit import Call
from cumulet.store.api import ReadTx

CACHE_SIZES = ("0.5", "1.6", "6.1", "13.5", "28.4", "58.2", "118", "237")

_VARIABLE_NAME = re.compile(r"[A-Za-z0-9_]+")
_VARIABLE_VALUE = re.compile(r"[A-Za-z0-9\-._~:/?#&=,]*")
_LEVELS = ("OFF", "ERROR", "INFO")
_STRATEGIES = ("FAIL_WITH_403", "SUCCEED_WITH_RESPONSE_HEADER", "SUCCEED_WITHOUT_RESPONSE_HEADER")
_FLAGS = (
    "metricsEnabled",
    "dataTraceEnabled",
    "cachingEnabled",
    "cacheDataEncrypted",
    "requireAuthorizationForCacheControl",
)


def make_method_settings(given: Mapping[str, Any]) -> MethodSettings:
    """Return a method's settings from members, whose values may still be a patch's texts."""
    made: dict[str, Any] = dict(given)
    for name in _FLAGS:
        if isinstance(made.get(name), str):
            made[name] = is_true(made[name])
    if made.get("loggingLevel", "OFF") not in _LEVELS:
        raise _bad(f"Invalid logging level specified: {made['loggingLevel']}. Must be one of [OFF, ERROR, INFO]")
    strategy = made.get("unauthorizedCacheControlHeaderStrategy", _STRATEGIES[0])
    if strategy not in _STRATEGIES:
        raise _bad(f"Invalid strategy specified: {strategy}. Must be one of [{', '.join(_STRATEGIES)}]")
    if "cacheTtlInSeconds" in made:
        made["cacheTtlInSeconds"] = ttl = _whole(made["cacheTtlInSeconds"], "cache TTL")
        if ttl not in limits.CACHE_TTL_S:
            raise _bad(f"Invalid cache TTL specified: {ttl}. Must be between 0 and {limits.CACHE_TTL_S[-1]} seconds")
    if "throttlingBurstLimit" in made:
        made["throttlingBurstLimit"] = _whole(made["throttlingBurstLimit"], "burst limit")
    if "throttlingRateLimit" in made:
        made["throttlingRateLimit"] = _real(made["throttlingRateLimit"], "rate limit")
    return msgspec.convert(made, MethodSettings)


def make_canary(tx: ReadTx, call: Call, api_id: str, given: Mapping[str, Any]) -> Canary:
    """Return canary settings from members, whose values may still be a patch's texts."""
    percent = _real(given.get("percentTraffic") or 0.0, "percentage of traffic")
    if not 0 <= percent <= 100:
        raise _bad("Canary percent traffic must be between 0.0 and 100.0")
    deployment_id = given.get("deploymentId") or ""
    if DEPLOYMENTS.find(tx, call.scope, api_id, deployment_id) is None:
        raise _bad("Deployment id does not exist")
    return Canary(
        percent,
        deployment_id,
        checked_variables(given.get("stageVariableOverrides") or {}),
        bool(given.get("useStageCache")),
    )


def checked_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return stage variables if AWS would have them.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/how-to-set-stage-variables-aws-console.html
    """
    if len(variables) > limits.STAGE_VARIABLES_MAX:
        raise ServiceError(
            "LimitExceededException", "Maximum number of stage variables for this stage has been reached."
        )
    for name, value in variables.items():
        if len(name) > limits.STAGE_VARIABLE_NAME_CHARS_MAX or len(value) > limits.STAGE_VARIABLE_VALUE_CHARS_MAX:
            raise _bad(f"Stage variable too long: {name}. A name may have 64 characters, and a value 512")
        if not _VARIABLE_NAME.fullmatch(name):
            raise ServiceError(
                "BadRequestException", f"Invalid stage variable name: {name}. Please only use A-Z, a-z, 0-9 and _"
            )
        if not _VARIABLE_VALUE.fullmatch(value):
            raise ServiceError(
                "BadRequestException",
                f"Invalid stage variable value: {value}. Please use values with alphanumeric characters and the "
                "symbols ' ', -', '.', '_', ':', '/', '?', '&', '=', and ','.",
            )
    return dict(variables)


def set_cache(stage: Stage, enabled: bool, size: str | None, now_ms: int) -> None:
    """Give a stage a cache cluster of a size in GB, or none. Another cluster is an empty one."""
    if size is not None and size not in CACHE_SIZES:
        raise _bad(f"Invalid cache cluster size specified: {size}. Must be one of [{', '.join(CACHE_SIZES)}]")
    if enabled and size is None:
        size = CACHE_SIZES[0]
    if (enabled, size) != (stage.cache_enabled, stage.cache_size):
        stage.cache_enabled, stage.cache_size = enabled, size
        stage.cache_flushed_ms = max(now_ms, stage.cache_flushed_ms + 1)


def make_log(given: Mapping[str, Any] | None) -> AccessLog | None:
    """Return the access log that members describe."""
    if given is None:
        return None
    return make_access_log(None, {"DestinationArn": given.get("destinationArn"), "Format": given.get("format")})


def check_logging(tx: ReadTx, call: Call, stage: Stage) -> None:
    """Raise BadRequestException for a stage that writes logs while the account has no role for it."""
    levels = [settings.logging_level for settings in stage.method_settings.values()]
    if stage.access_log is None and all(level in (UNSET, "OFF") for level in levels):
        return
    account = ACCOUNTS.find(tx, call.scope)
    if account is None or account.log_role is None:
        raise _bad("CloudWatch Logs role ARN must be set in account settings to enable logging")


def _whole(given: Any, what: str) -> int:
    number = _real(given, what)
    if number != int(number):
        raise _bad(f"Invalid {what} specified: {given}")
    return int(number)


def _real(given: Any, what: str) -> float:
    try:
        number = float(given)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or abs(number) > 1e12:
        raise _bad(f"Invalid {what} specified: {given}")
    return number


def _bad(words: str) -> ServiceError:
    return ServiceError("BadRequestException", words)
