"""Function records as AWS's outputs."""

from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal

import msgspec

from cumulet.services.kit import Output
from cumulet.services.lambda_.records import LATEST, ImageConfig, VersionRecord

Moment = Literal["creating", "updating", "settled", "listed"]
"""When a configuration is looked at.

AWS answers a creation with Pending and an update with InProgress, although it shows the new values; lists leave the
states out.
"""

_STATES: dict[Moment, Output] = {
    "creating": {"State": "Pending", "StateReason": "The function is being created.", "StateReasonCode": "Creating"},
    "updating": {
        "State": "Active",
        "LastUpdateStatus": "InProgress",
        "LastUpdateStatusReason": "The function is being created.",
        "LastUpdateStatusReasonCode": "Creating",
    },
    "settled": {"State": "Active", "LastUpdateStatus": "Successful"},
    "listed": {},
}


_SETTINGS = frozenset(
    (
        "Architectures",
        "Description",
        "Environment",
        "EphemeralStorage",
        "Handler",
        "ImageConfigResponse",
        "Layers",
        "LoggingConfig",
        "MemorySize",
        "PackageType",
        "Role",
        "Runtime",
        "TenancyConfig",
        "Timeout",
        "TracingConfig",
    )
)
"""The members of a configuration that its owner sets."""


def log_group(version: VersionRecord) -> str:
    """Return where the function's log goes."""
    return version.log_group or f"/aws/lambda/{version.function_name}"


def render_configuration(version: VersionRecord, moment: Moment = "settled", *, qualifier: str | None = None) -> Output:
    """Return a FunctionConfiguration; a qualifier that the caller gave is in its ARN."""
    configuration: dict[str, Any] = {
        "FunctionName": version.function_name,
        "FunctionArn": version.arn if qualifier is None else f"{version.arn}:{qualifier}",
        "Role": version.role,
        "CodeSize": version.code_size,
        "Description": version.description,
        "Timeout": version.timeout_s,
        "MemorySize": version.memory_mb,
        "LastModified": render_last_modified(version.last_modified_ms),
        "CodeSha256": version.code_sha256,
        "Version": version.version,
        "TracingConfig": {"Mode": version.tracing_mode},
        "RevisionId": version.revision_id,
        "PackageType": "Zip" if version.image is None else "Image",
        "Architectures": list(version.architectures),
        "EphemeralStorage": {"Size": version.ephemeral_storage_mb},
        "SnapStart": _render_snap_start(version),
        "LoggingConfig": render_logging(version),
        **(_render_state(version) if version.state and moment != "listed" else _STATES[moment]),
    }
    if version.image is None:
        configuration |= {"Runtime": version.runtime, "Handler": version.handler}
    elif version.image_config != ImageConfig():
        configuration["ImageConfigResponse"] = {"ImageConfig": _render_image_config(version.image_config)}
    if version.layers:
        configuration["Layers"] = [{"Arn": layer.arn, "CodeSize": layer.code_size} for layer in version.layers]
    if version.environment:
        configuration["Environment"] = {"Variables": dict(version.environment)}
    if version.per_tenant:
        configuration["TenancyConfig"] = {"TenantIsolationMode": "PER_TENANT"}
    configuration["ConfigSha256"] = _digest(configuration)
    return configuration


def _digest(configuration: Output) -> str:
    """Return what is the same as long as a configuration is, whatever the code is.

    AWS documents that it is a SHA-256, and not of what: it serves to compare.
    """
    settings = {name: value for name, value in configuration.items() if name in _SETTINGS}
    settings["SnapStart"] = configuration["SnapStart"]["ApplyOn"]
    return b64encode(sha256(msgspec.json.encode(settings, order="sorted")).digest()).decode()


def _render_image_config(config: ImageConfig) -> Output:
    members = {
        "EntryPoint": list(config.entry_point),
        "Command": list(config.command),
        "WorkingDirectory": config.working_directory,
    }
    return {name: value for name, value in members.items() if value}


def _render_snap_start(version: VersionRecord) -> Output:
    is_restored = version.snap_start and version.version != LATEST and not version.state
    return {
        "ApplyOn": "PublishedVersions" if version.snap_start else "None",
        "OptimizationStatus": "On" if is_restored else "Off",
    }


def _render_state(version: VersionRecord) -> Output:
    """Return the state of a version that is not, or not yet, to be invoked."""
    return {
        "State": version.state,
        "StateReason": version.state_reason,
        "StateReasonCode": version.state_reason_code,
        "LastUpdateStatus": "Successful",
    }


def render_logging(version: VersionRecord) -> Output:
    """Return a LoggingConfig; the text format has no levels."""
    config = {"LogFormat": version.log_format, "LogGroup": log_group(version)}
    if version.application_log_level:
        config["ApplicationLogLevel"] = version.application_log_level
        config["SystemLogLevel"] = version.system_log_level
    return config


def render_last_modified(epoch_ms: int) -> str:
    """Return a time as Lambda writes it: 2026-01-31T12:00:00.123+0000."""
    moment = datetime.fromtimestamp(epoch_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{epoch_ms % 1000:03d}+0000"
