"""A function's configuration from parameters: what AWS checks beyond the model, in its words, and what is refused here.

Pure. Whether the role can be assumed and where the code comes from is not decided here.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.kit import Params
from cumulet.services.lambda_ import limits
from cumulet.services.lambda_.control.runtimes import SNAP_START_RUNTIMES, check_runtime
from cumulet.services.lambda_.records import ImageConfig, VersionRecord

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
RESERVED_VARIABLES = frozenset(
    (
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    )
)

EMPTY_ONLY = "VpcConfig DeadLetterConfig KMSKeyArn FileSystemConfigs"
"""Members of a configuration that are honoured in one value only, the one that asks for nothing.

Deployment tools send them so; anything more is refused by name.
"""


DEFAULT_ARCHITECTURES = ("x86_64",)


def invalid(message: str) -> ServiceError:
    """Return Lambda's usual error for a parameter."""
    return ServiceError("InvalidParameterValueException", message, Type="User")


def check_empty_defaults(params: Params) -> None:
    """Raise NotImplementedHere for a member that asks for something that is not built."""
    for name in EMPTY_ONLY.split():
        if _says_something(params.get(name)):
            raise NotImplementedHere(f"The parameter {name} of Lambda functions")


def parse_configuration(params: Params) -> dict[str, Any]:
    """Return the fields of a VersionRecord that these parameters set; an absent parameter sets none.

    LoggingConfig is another matter (`parse_logging`): what it leaves out depends on what was set before.
    """
    check_empty_defaults(params)
    fields: dict[str, Any] = {}
    for name, field in (("Handler", "handler"), ("Role", "role"), ("Description", "description")):
        if params.get(name) is not None:
            fields[field] = params[name]
    if (runtime := params.get("Runtime")) is not None:
        check_runtime(runtime)
        fields["runtime"] = runtime
    if (timeout := params.get("Timeout")) is not None:
        fields["timeout_s"] = timeout
    if (memory := params.get("MemorySize")) is not None:
        fields["memory_mb"] = memory
    if (storage := params.get("EphemeralStorage")) is not None:
        fields["ephemeral_storage_mb"] = storage["Size"]
    if (environment := params.get("Environment")) is not None:
        fields["environment"] = parse_environment(environment.get("Variables") or {})
    if (tracing := params.get("TracingConfig")) is not None:
        fields["tracing_mode"] = tracing.get("Mode") or "PassThrough"
    if (snap_start := params.get("SnapStart")) is not None:
        fields["snap_start"] = snap_start.get("ApplyOn") == "PublishedVersions"
    if (architectures := params.get("Architectures")) is not None:
        fields["architectures"] = parse_architectures(architectures)
    if params.get("TenancyConfig") is not None:
        fields["per_tenant"] = True  # the one mode that the model has
    if (image_config := params.get("ImageConfig")) is not None:
        fields["image_config"] = parse_image_config(image_config)
    return fields


def parse_image_config(config: Params) -> ImageConfig:
    """Return what is to hold instead of what the image says; what is empty or absent is as the image says."""
    parsed = ImageConfig(
        entry_point=tuple(config.get("EntryPoint") or ()),
        command=tuple(config.get("Command") or ()),
        working_directory=config.get("WorkingDirectory") or "",
    )
    if len(msgspec.json.encode(parsed)) > limits.IMAGE_SETTINGS_BYTES_MAX:
        # AWS documents the limit alone.
        raise invalid(f"ImageConfig must be smaller than {limits.IMAGE_SETTINGS_BYTES_MAX} bytes.")
    return parsed


def parse_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return a function's variables. Raises AWS's errors for reserved names and for more than 4 KB."""
    reserved = [name for name in variables if name in RESERVED_VARIABLES]
    if reserved:
        raise invalid(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
    text = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(text.encode()) > limits.ENVIRONMENT_BYTES_MAX:
        raise invalid(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            f"provided exceeded the 4KB limit. String measured: {text}"
        )
    return dict(variables)


def parse_architectures(architectures: Sequence[str]) -> tuple[str, ...]:
    """Return the architectures as recorded. They change nothing: code runs on the processor that is there."""
    return tuple(architectures)


def check_snap_start(version: VersionRecord) -> None:
    """Raise AWS's error for a function that SnapStart is not for."""
    if not version.snap_start:
        return
    if version.image is not None:
        # https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html has the rule, and no words.
        raise invalid("Container images are not supported for SnapStart enabled functions.")
    if version.per_tenant:
        # https://docs.aws.amazon.com/lambda/latest/dg/tenant-isolation.html; the words as of function URLs.
        raise invalid("SnapStart is not supported for functions enabled with tenancy configuration")
    if version.runtime not in SNAP_START_RUNTIMES:
        raise invalid(f"{version.runtime} is not supported for SnapStart enabled functions.")
    if version.ephemeral_storage_mb > limits.SNAP_START_STORAGE_MB_MAX:
        # https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html has the limit, and no words.
        raise invalid(
            f"Ephemeral storage greater than {limits.SNAP_START_STORAGE_MB_MAX} MB is not supported for SnapStart "
            "enabled functions."
        )


def check_tags(tags: Mapping[str, str]) -> None:
    """Raise AWS's errors for more tags than a resource may have, for AWS's own, and for one without a value."""
    if any(key.lower().startswith("aws:") for key in tags):
        # The rule is in every guide; the words are those of the services whose answer is on record.
        raise invalid("aws: prefixed tag key names are not allowed for external use.")
    if len(tags) > limits.TAGS_MAX:
        raise invalid("Number of tags exceeds resource tag limit.")


def parse_logging(logging: Params | None, before: VersionRecord | None) -> dict[str, Any]:
    """Return the fields that a LoggingConfig sets; a member that is absent stays as it was, unless the format changes.

    Levels belong to the JSON format, and are INFO where it is new.
    """
    if logging is None:
        return {}
    log_format = logging.get("LogFormat") or (before.log_format if before is not None else "Text")
    log_group = logging.get("LogGroup") or (before.log_group if before is not None else "")
    fields = {"log_group": log_group, "log_format": log_format}
    for name, field in (("ApplicationLogLevel", "application_log_level"), ("SystemLogLevel", "system_log_level")):
        level = logging.get(name)
        if log_format == "Text":
            if level is not None:
                raise invalid(f"{name} cannot be set when LogFormat is Text")
            fields[field] = ""
        else:
            fields[field] = level or (getattr(before, field) if before is not None else "") or "INFO"
    return fields


def _says_something(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_says_something(member) for member in value.values())
    return bool(value)
