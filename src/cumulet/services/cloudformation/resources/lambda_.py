"""AWS::Lambda::Function, AWS::Lambda::Permission and AWS::Lambda::CodeSigningConfig."""

import io
import zipfile
from typing import Any

from cumulet.services.cloudformation.resources.inline_modules import modules_of
from cumulet.services.cloudformation.resources.kit import (
    Desk,
    Made,
    Properties,
    ResourceFailed,
    own_tags,
    resource_type,
)

_CONFIGURATION = (
    "DeadLetterConfig Description Environment EphemeralStorage FileSystemConfigs Handler ImageConfig KMSKeyArn Layers"
    " LoggingConfig MemorySize Role Runtime SnapStart Timeout TracingConfig VpcConfig"
)
_UNSET: dict[str, Any] = {
    "Description": "",
    "Environment": {"Variables": {}},
    "EphemeralStorage": {"Size": 512},
    "ImageConfig": {},
    "Layers": [],
    "MemorySize": 128,
    "SnapStart": {"ApplyOn": "None"},
    "Timeout": 3,
    "TracingConfig": {"Mode": "PassThrough"},
}
"""What a configuration goes back to when the template no longer has it."""

INLINE_CODE_CHARACTERS_MAX = 4 * 1024 * 1024


def _code(properties: Properties) -> dict[str, Any]:
    """Return the Code parameter: a place in S3, a container image, or an archive made of inline source."""
    code = dict(properties["Code"])
    source = code.get("ZipFile")
    if source is None:
        return code
    if not isinstance(source, str) or len(source) > INLINE_CODE_CHARACTERS_MAX:
        raise ResourceFailed(f"ZipFile is a text of at most {INLINE_CODE_CHARACTERS_MAX} characters")
    runtime = str(properties.get("Runtime", ""))
    language = next((name for name in ("python", "nodejs") if runtime.startswith(name)), None)
    if language is None:
        raise ResourceFailed("ZipFile can only be used when Runtime is set to either of nodejs or python")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        name = "index.py" if language == "python" else "index.js"
        for member, text in {name: source, **modules_of(language, source)}.items():
            # A fixed date, so that the same source has the same hash.
            entry = zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            file.writestr(entry, text)
    return {**code, "ZipFile": archive.getvalue()}


async def settle_function(desk: Desk, name: str) -> dict[str, Any]:
    """Return the configuration of a function or a version once it is active and its last update is through."""
    found: dict[str, Any] = {}

    async def is_ready() -> bool:
        configuration = await desk.call("lambda", "GetFunctionConfiguration", {"FunctionName": name})
        found.update(configuration)
        if configuration.get("State") == "Failed" or configuration.get("LastUpdateStatus") == "Failed":
            raise ResourceFailed(str(configuration.get("StateReason") or configuration.get("LastUpdateStatusReason")))
        return configuration.get("State") != "Pending" and configuration.get("LastUpdateStatus") != "InProgress"

    await desk.settle(is_ready)
    return found


async def _settled(desk: Desk, name: str) -> Made:
    found = await settle_function(desk, name)
    snap_start = {f"SnapStartResponse.{key}": value for key, value in found["SnapStart"].items()}
    return Made(name, {"Arn": found["FunctionArn"], **snap_start})


async def _create(desk: Desk, properties: Properties) -> Made:
    name = desk.name
    params = {
        "FunctionName": name,
        "Code": _code(properties),
        "Tags": desk.merged_tags(properties) or None,
        "Architectures": properties.get("Architectures"),
        "PackageType": properties.get("PackageType"),
        "CodeSigningConfigArn": properties.get("CodeSigningConfigArn"),
        "TenancyConfig": properties.get("TenancyConfig"),
        **{member: properties.get(_property(member)) for member in _CONFIGURATION.split()},
    }
    await desk.call("lambda", "CreateFunction", params)
    await _set_beside(desk, name, {"CodeSigningConfigArn": properties.get("CodeSigningConfigArn")}, properties)
    return await _settled(desk, name)


async def _set_beside(desk: Desk, name: str, old: Properties, new: Properties) -> None:
    """Set what operations of its own set, where it is to change; what the template does not have is AWS's default."""
    if (reserved := new.get("ReservedConcurrentExecutions")) != old.get("ReservedConcurrentExecutions"):
        await _reserve(desk, name, reserved)
    if (recursion := new.get("RecursiveLoop")) != old.get("RecursiveLoop"):
        params = {"FunctionName": name, "RecursiveLoop": recursion or "Terminate"}
        await desk.call("lambda", "PutFunctionRecursionConfig", params)
    if (updates := new.get("RuntimeManagementConfig")) != old.get("RuntimeManagementConfig"):
        params = {"FunctionName": name, **(updates or {"UpdateRuntimeOn": "Auto"})}
        await desk.call("lambda", "PutRuntimeManagementConfig", params)
    if (signing := new.get("CodeSigningConfigArn")) != old.get("CodeSigningConfigArn"):
        if signing is None:
            await desk.call("lambda", "DeleteFunctionCodeSigningConfig", {"FunctionName": name})
        else:
            params = {"FunctionName": name, "CodeSigningConfigArn": signing}
            await desk.call("lambda", "PutFunctionCodeSigningConfig", params)


async def _reserve(desk: Desk, name: str, reserved: Any) -> None:
    if reserved is None:
        await desk.call("lambda", "DeleteFunctionConcurrency", {"FunctionName": name})
    else:
        params = {"FunctionName": name, "ReservedConcurrentExecutions": reserved}
        await desk.call("lambda", "PutFunctionConcurrency", params)


def _property(member: str) -> str:
    return "KmsKeyArn" if member == "KMSKeyArn" else member


async def _update(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    name = made.physical_id
    changed: dict[str, Any] = {}
    for member in _CONFIGURATION.split():
        value = new.get(_property(member))
        if value != old.get(_property(member)):
            changed[member] = _UNSET.get(member) if value is None else value
    if new["Code"] != old["Code"] or new.get("Architectures") != old.get("Architectures"):
        params = {"FunctionName": name, **_code(new), "Architectures": new.get("Architectures")}
        await desk.call("lambda", "UpdateFunctionCode", params)
        await _settled(desk, name)
    if changed:
        await desk.call("lambda", "UpdateFunctionConfiguration", {"FunctionName": name, **changed})
    await _set_beside(desk, name, old, new)
    await _tag(desk, made.attributes["Arn"], old, new)
    return await _settled(desk, name)


async def _tag(desk: Desk, arn: str, old: Properties, new: Properties) -> None:
    tags = desk.merged_tags(new)
    if removed := sorted(own_tags(old).keys() - tags.keys()):
        await desk.call("lambda", "UntagResource", {"Resource": arn, "TagKeys": removed})
    if tags and tags != own_tags(old):
        await desk.call("lambda", "TagResource", {"Resource": arn, "Tags": tags})


async def _delete(desk: Desk, name: str, properties: Properties) -> None:
    await desk.drop("lambda", "DeleteFunction", {"FunctionName": name}, "ResourceNotFoundException")


FUNCTION = resource_type(
    "AWS::Lambda::Function",
    objects="Code RuntimeManagementConfig",
    entries={"Tags": "Key Value"},
    create=_create,
    update=_update,
    delete=_delete,
    properties="Architectures Code CodeSigningConfigArn DeadLetterConfig Description Environment EphemeralStorage"
    " FileSystemConfigs FunctionName Handler ImageConfig KmsKeyArn Layers LoggingConfig MemorySize PackageType"
    " RecursiveLoop ReservedConcurrentExecutions Role Runtime RuntimeManagementConfig SnapStart Tags"
    " TenancyConfig Timeout TracingConfig VpcConfig",
    required="Code Role",
    immutable="FunctionName PackageType TenancyConfig",
    not_built="CapacityProviderConfig DurableConfig FunctionScalingConfig PublishToLatestPublished",
    attributes="Arn SnapStartResponse.ApplyOn SnapStartResponse.OptimizationStatus",
    name_property="FunctionName",
    named_ahead=True,
    name_max=64,
)

_PERMISSION = (
    "Action EventSourceToken FunctionName FunctionUrlAuthType InvokedViaFunctionUrl Principal PrincipalOrgID"
    " SourceAccount SourceArn"
)


async def _add_permission(desk: Desk, properties: Properties) -> Made:
    await desk.call("lambda", "AddPermission", {"StatementId": desk.name, **properties})
    return Made(desk.name, {"Id": desk.name})


async def _remove_permission(desk: Desk, statement_id: str, properties: Properties) -> None:
    params = {"FunctionName": properties["FunctionName"], "StatementId": statement_id}
    await desk.drop("lambda", "RemovePermission", params, "ResourceNotFoundException")


PERMISSION = resource_type(
    "AWS::Lambda::Permission",
    named_ahead=True,
    create=_add_permission,
    update=None,
    delete=_remove_permission,
    properties=_PERMISSION,
    required="Action FunctionName Principal",
    attributes="Id",
    name_max=100,
)

# Code signing


def _signing_made(output: Any) -> Made:
    config = output["CodeSigningConfig"]
    arn = config["CodeSigningConfigArn"]
    return Made(arn, {"CodeSigningConfigArn": arn, "CodeSigningConfigId": config["CodeSigningConfigId"]})


async def _create_signing(desk: Desk, properties: Properties) -> Made:
    params = {**properties, "Tags": desk.merged_tags(properties) or None}
    return _signing_made(await desk.make("lambda", "CreateCodeSigningConfig", params, _signing_arn))


def _signing_arn(output: Any) -> str:
    return str(output["CodeSigningConfig"]["CodeSigningConfigArn"])


async def _update_signing(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    arn = made.physical_id
    changed = {name: new.get(name) for name in ("AllowedPublishers", "CodeSigningPolicies")}
    params = {"CodeSigningConfigArn": arn, "Description": new.get("Description", ""), **changed}
    await desk.call("lambda", "UpdateCodeSigningConfig", params)
    await _tag(desk, arn, old, new)
    return made


async def _delete_signing(desk: Desk, arn: str, properties: Properties) -> None:
    params = {"CodeSigningConfigArn": arn}
    await desk.drop("lambda", "DeleteCodeSigningConfig", params, "ResourceNotFoundException")


CODE_SIGNING_CONFIG = resource_type(
    "AWS::Lambda::CodeSigningConfig",
    objects="AllowedPublishers CodeSigningPolicies",
    entries={"Tags": "Key Value"},
    create=_create_signing,
    update=_update_signing,
    delete=_delete_signing,
    properties="AllowedPublishers CodeSigningPolicies Description Tags",
    required="AllowedPublishers",
    attributes="CodeSigningConfigArn CodeSigningConfigId",
)
