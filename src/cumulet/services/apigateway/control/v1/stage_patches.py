"""What patches make of a stage's members, path by path (pure).

The settings of methods are named by any resource's path, so a table of paths as the other records have it cannot tell.
https://docs.aws.amazon.com/apigateway/latest/api/patch-operations.html
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.apigateway.control.v1.patching import OPS, bad_value, is_true, unsupported
from cumulet.services.apigateway.model import METHODS

METHOD_SETTINGS = {
    "metrics/enabled": "metricsEnabled",
    "logging/dataTrace": "dataTraceEnabled",
    "logging/loglevel": "loggingLevel",
    "throttling/burstLimit": "throttlingBurstLimit",
    "throttling/rateLimit": "throttlingRateLimit",
    "caching/enabled": "cachingEnabled",
    "caching/ttlInSeconds": "cacheTtlInSeconds",
    "caching/dataEncrypted": "cacheDataEncrypted",
    "caching/requireAuthorizationForCacheControl": "requireAuthorizationForCacheControl",
    "caching/unauthorizedCacheControlHeaderStrategy": "unauthorizedCacheControlHeaderStrategy",
}

_LOG = ("/accessLogSettings/destinationArn", "/accessLogSettings/format")
_REPLACE = (
    *_LOG,
    "/cacheClusterEnabled",
    "/cacheClusterSize",
    "/canarySettings/deploymentId",
    "/canarySettings/percentTraffic",
    "/canarySettings/stageVariableOverrides",
    "/canarySettings/stageVariableOverrides/{name}",
    "/canarySettings/useStageCache",
    "/clientCertificateId",
    "/deploymentId",
    "/description",
    "/documentationVersion",
    "/methodSettings",
    "/tracingEnabled",
    "/variables",
    "/variables/{name}",
    *(f"/{{resourcePath}}/{{httpMethod}}/{name}" for name in METHOD_SETTINGS),
)
_VERBS = (*METHODS, "*")
_KNOWN = {
    "replace": _REPLACE,
    "add": _LOG,
    "remove": (
        "/accessLogSettings",
        *_LOG,
        "/canarySettings",
        "/canarySettings/stageVariableOverrides",
        "/canarySettings/stageVariableOverrides/{name}",
        "/variables",
        "/variables/{name}",
        "/{resourcePath}/{httpMethod}",
    ),
    "copy": ("/deploymentId", "/variables"),
}


def patched(members: dict[str, Any], operations: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    """Return a stage's members after the patch operations; values are still texts where AWS has numbers or flags."""
    for operation in operations or ():
        op, path = operation.get("op"), operation.get("path") or ""
        if op not in OPS:
            raise ServiceError("BadRequestException", f"Invalid patch operation specified: {op or 'null'}")
        raw = path[1:].split("/") if path.startswith("/") else []
        parts = [part.replace("~1", "/").replace("~0", "~") for part in raw]
        value = operation.get("value")
        if op == "remove":
            done = _remove(members, parts, raw)
        elif op == "copy":
            done = _copy(members, path, operation.get("from"))
        else:
            may = op == "replace" or (op == "add" and path in _LOG)
            done = may and _set(members, parts, raw, "" if value is None else value)
        if not done:
            raise _unknown(path, op, len(parts))
    return members


def _unknown(path: str, op: str, depth: int) -> ServiceError:
    if op == "replace" and depth > 2:
        # AWS takes a long path for that of a setting: https://github.com/hashicorp/terraform-provider-aws/issues/15855
        known = ", ".join(_REPLACE)
        return ServiceError("BadRequestException", f"Invalid method setting path: {path}. Must be one of: [{known}]")
    return unsupported(path, op, _KNOWN.get(op, ()))


def _set(members: dict[str, Any], parts: list[str], raw: list[str], value: str) -> bool:
    match parts:
        case [
            "description" | "deploymentId" | "documentationVersion" | "cacheClusterSize" | "clientCertificateId" as name
        ]:
            members[name] = value or None
        case ["cacheClusterEnabled" | "tracingEnabled" as name]:
            members[name] = is_true(value)
        case ["variables"]:
            members["variables"] = _object(parts, value, dict[str, str])
        case ["variables", name]:
            members["variables"][name] = value
        case ["methodSettings"]:
            members["methodSettings"] = _settings(parts, value)
        case ["accessLogSettings", "destinationArn" | "format" as name]:
            members["accessLogSettings"] = {**(members["accessLogSettings"] or {}), name: value}
        case ["canarySettings", "stageVariableOverrides"]:
            _canary(members)["stageVariableOverrides"] = _object(parts, value, dict[str, str])
        case ["canarySettings", "stageVariableOverrides", name]:
            _canary(members)["stageVariableOverrides"][name] = value
        case ["canarySettings", "percentTraffic" | "deploymentId" as name]:
            _canary(members)[name] = value
        case ["canarySettings", "useStageCache"]:
            _canary(members)["useStageCache"] = is_true(value)
        case [*_, verb, group, name] if (
            (member := METHOD_SETTINGS.get(f"{group}/{name}")) is not None
            and len(parts) > 3
            and verb in _VERBS
            and all(parts)
        ):
            _method(members, "/".join(raw[:-2]))[member] = value
        case _:
            return False
    return True


def _remove(members: dict[str, Any], parts: list[str], raw: list[str]) -> bool:
    match parts:
        case ["accessLogSettings" | "canarySettings" as name]:
            members[name] = None
        case ["accessLogSettings", "destinationArn" | "format" as name]:
            kept = {key: value for key, value in (members["accessLogSettings"] or {}).items() if key != name}
            members["accessLogSettings"] = kept or None
        case ["variables"]:
            members["variables"] = {}
        case ["variables", name]:
            members["variables"].pop(name, None)
        case ["canarySettings", "stageVariableOverrides"]:
            _get_canary(members)["stageVariableOverrides"] = {}
        case ["canarySettings", "stageVariableOverrides", name]:
            _get_canary(members)["stageVariableOverrides"].pop(name, None)
        case [_, *_, verb] if verb in _VERBS:
            if members["methodSettings"].pop("/".join(raw), None) is None:
                raise ServiceError("NotFoundException", "Invalid method setting path specified")
        case _:
            return False
    return True


def _copy(members: dict[str, Any], path: str, source: str | None) -> bool:
    canary = _get_canary(members)
    if (path, source) == ("/deploymentId", "/canarySettings/deploymentId"):
        members["deploymentId"] = canary["deploymentId"]
    elif (path, source) == ("/variables", "/canarySettings/stageVariableOverrides"):
        # What the canary did not override it saw as well, so it stays.
        members["variables"] |= canary["stageVariableOverrides"]
    else:
        return False
    return True


def _object(parts: list[str], value: str, kind: Any) -> Any:
    """Return the JSON object that a patch puts in the place of several members."""
    try:
        return msgspec.json.decode(value, type=kind)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise bad_value(parts, value) from None


def _settings(parts: list[str], value: str) -> dict[str, dict[str, Any]]:
    given: dict[str, dict[str, Any]] = _object(parts, value, dict[str, dict[str, bool | int | float | str]])
    settings: dict[str, dict[str, Any]] = {}
    for key, members in given.items():
        unknown, (path, _, verb) = members.keys() - METHOD_SETTINGS.values(), key.rpartition("/")
        if unknown or not path or verb not in _VERBS:
            raise ServiceError("BadRequestException", f"Invalid method setting specified: {min(unknown, default=key)}")
        texts = {
            name: one if isinstance(one, str) else msgspec.json.encode(one).decode() for name, one in members.items()
        }
        settings[key] = texts
    return settings


def _get_canary(members: dict[str, Any]) -> dict[str, Any]:
    canary: dict[str, Any] | None = members["canarySettings"]
    if canary is None:
        raise ServiceError("BadRequestException", "The stage has no canary settings")
    return canary


def _canary(members: dict[str, Any]) -> dict[str, Any]:
    if members["canarySettings"] is None:
        # A canary begins with the deployment that the stage has.
        members["canarySettings"] = {
            "percentTraffic": 0.0,
            "deploymentId": members["deploymentId"],
            "stageVariableOverrides": {},
            "useStageCache": False,
        }
    canary: dict[str, Any] = members["canarySettings"]
    return canary


def _method(members: dict[str, Any], key: str) -> dict[str, Any]:
    settings: dict[str, dict[str, Any]] = members["methodSettings"]
    if key not in settings:
        # A method's own settings are whole: they begin as those that held for it.
        settings[key] = dict(settings.get("*/*", {}))
    return settings[key]
