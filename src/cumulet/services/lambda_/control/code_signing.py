"""Code signing configurations, and which function's deployments are held against which.

No signature can be verified here, since there is no AWS Signer. With the policy Warn, AWS deploys code whatever its
signature is, so that is what happens; Enforce would have to block every deployment, and is refused by name.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-codesigning.html
"""

import re
from typing import Any

import msgspec

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_.control.configuration import check_tags, invalid
from cumulet.services.lambda_.control.lookup import function_policy, load_function, no_policy
from cumulet.services.lambda_.control.paging import marker, page_size, with_marker
from cumulet.services.lambda_.control.rendering import render_last_modified
from cumulet.services.lambda_.names import FunctionRef, function_of, unqualified_resource
from cumulet.services.lambda_.records import CODE_SIGNINGS, FUNCTIONS, CodeSigning
from cumulet.services.tokens import encode_token
from cumulet.store.api import ReadTx, WriteTx

_ARN = re.compile(r"arn:aws[a-zA-Z-]*:lambda:([a-z0-9-]+):(\d{12}):code-signing-config:(csc-[a-z0-9]{17})")
NOT_FOR_IMAGES = "Code signing is not supported for functions created with container images."
"""The rule is https://docs.aws.amazon.com/lambda/latest/dg/configuration-codesigning.html's, which has no words."""
_MISSING = "UntrustedArtifactOnDeployment Enforce is refused: signatures are not verified"


def _config_resource(call: Call, params: Params) -> str:
    arn: str = params["CodeSigningConfigArn"]
    return arn


def _demanded(call: Call, params: Params) -> list[str]:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
    return [unqualified_resource(call, params), params["CodeSigningConfigArn"]]


@operation(
    "CreateCodeSigningConfig",
    resource="*",
    params="Description AllowedPublishers CodeSigningPolicies Tags",
    missing=_MISSING,
)
def create_code_signing_config(call: Call, tx: WriteTx, params: Params) -> Output:
    """Record whose signatures are trusted."""
    _check_policy(params)
    tags = dict(params.get("Tags") or {})
    check_tags(tags)
    config_id = f"csc-{call.ids.token(17, '0123456789abcdef')}"
    config = CodeSigning(
        config_id=config_id,
        arn=f"arn:aws:lambda:{call.scope.region}:{call.scope.account}:code-signing-config:{config_id}",
        description=params.get("Description") or "",
        publishers=tuple(params["AllowedPublishers"]["SigningProfileVersionArns"]),
        tags=tags,
        changed_ms=call.now_ms,
    )
    CODE_SIGNINGS.save(tx, call.scope, config_id, record=config)
    return {"CodeSigningConfig": _render(config)}


@operation("GetCodeSigningConfig", resource=_config_resource, resource_policy=no_policy, params="CodeSigningConfigArn")
def get_code_signing_config(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a configuration."""
    return {"CodeSigningConfig": _render(load_code_signing(tx, call.scope, params["CodeSigningConfigArn"]))}


@operation(
    "UpdateCodeSigningConfig",
    resource=_config_resource,
    resource_policy=no_policy,
    params="CodeSigningConfigArn Description AllowedPublishers CodeSigningPolicies",
    missing=_MISSING,
)
def update_code_signing_config(call: Call, tx: WriteTx, params: Params) -> Output:
    """Change a configuration; what is not given stays."""
    _check_policy(params)
    config = load_code_signing(tx, call.scope, params["CodeSigningConfigArn"])
    changed: dict[str, Any] = {"changed_ms": call.now_ms}
    if params.get("Description") is not None:
        changed["description"] = params["Description"]
    if params.get("AllowedPublishers") is not None:
        changed["publishers"] = tuple(params["AllowedPublishers"]["SigningProfileVersionArns"])
    config = msgspec.structs.replace(config, **changed)
    save_code_signing(tx, config)
    return {"CodeSigningConfig": _render(config)}


@operation(
    "DeleteCodeSigningConfig", resource=_config_resource, resource_policy=no_policy, params="CodeSigningConfigArn"
)
def delete_code_signing_config(call: Call, tx: WriteTx, params: Params) -> Output:
    """Remove a configuration that no function has."""
    config = load_code_signing(tx, call.scope, params["CodeSigningConfigArn"])
    scope = _scope(config.arn)
    if any(function.code_signing_arn == config.arn for function in FUNCTIONS.scan(tx, scope)):
        # "You can delete the code signing configuration only if no function is using it"; the words are not documented.
        raise ServiceError(
            "ResourceConflictException",
            f"The code signing configuration {config.arn} is in use by one or more functions.",
            Type="User",
        )
    CODE_SIGNINGS.delete(tx, scope, config.config_id)
    return {}


@operation("ListCodeSigningConfigs", resource="*", params="Marker MaxItems")
def list_code_signing_configs(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of the account's configurations."""
    limit, behind = page_size(params), marker(params, str)
    found = list(CODE_SIGNINGS.scan(tx, call.scope, behind=None if behind is None else (behind,), limit=limit + 1))
    page = [_render(config) for config in found[:limit]]
    next_marker = encode_token(found[limit - 1].config_id) if len(found) > limit else None
    return with_marker({"CodeSigningConfigs": page}, next_marker)


@operation(
    "ListFunctionsByCodeSigningConfig",
    resource=_config_resource,
    resource_policy=no_policy,
    params="CodeSigningConfigArn Marker MaxItems",
)
def list_functions_by_code_signing_config(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of the functions that have a configuration, by name."""
    config = load_code_signing(tx, call.scope, params["CodeSigningConfigArn"])
    limit, behind = page_size(params), marker(params, str)
    functions = FUNCTIONS.scan(tx, _scope(config.arn), behind=None if behind is None else (behind,))
    found = [function.latest for function in functions if function.code_signing_arn == config.arn]
    next_marker = encode_token(found[limit - 1].function_name) if len(found) > limit else None
    return with_marker({"FunctionArns": [version.arn for version in found[:limit]]}, next_marker)


@operation(
    "PutFunctionCodeSigningConfig",
    resource=_demanded,
    resource_policy=function_policy,
    params="FunctionName CodeSigningConfigArn",
)
def put_function_code_signing_config(call: Call, tx: WriteTx, params: Params) -> Output:
    """Hold a function's deployments against a configuration from now on."""
    ref = function_of(call, params)
    arn = check_code_signing(tx, ref.scope, params["CodeSigningConfigArn"])
    if load_function(tx, ref).latest.image is not None:
        raise invalid(NOT_FOR_IMAGES)
    _save(tx, ref, arn)
    return {"CodeSigningConfigArn": arn, "FunctionName": ref.name}


@operation(
    "GetFunctionCodeSigningConfig",
    resource=unqualified_resource,
    resource_policy=function_policy,
    params="FunctionName",
)
def get_function_code_signing_config(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return which configuration a function has; nothing if it has none."""
    ref = function_of(call, params)
    arn = load_function(tx, ref).code_signing_arn
    return {"CodeSigningConfigArn": arn, "FunctionName": ref.name} if arn else {}


@operation(
    "DeleteFunctionCodeSigningConfig",
    resource=unqualified_resource,
    resource_policy=function_policy,
    params="FunctionName",
)
def delete_function_code_signing_config(call: Call, tx: WriteTx, params: Params) -> Output:
    """Take a function's configuration away from it."""
    _save(tx, function_of(call, params), "")
    return {}


def load_code_signing(tx: ReadTx, scope: Scope, arn: str) -> CodeSigning:
    """Return a configuration by its ARN. Raises ResourceNotFoundException, also for one of another region."""
    config = _find(tx, scope, arn)
    if config is None:
        raise ServiceError(
            "ResourceNotFoundException", f"The Lambda code signing configuration {arn} can not be found.", Type="User"
        )
    return config


def save_code_signing(tx: WriteTx, config: CodeSigning) -> None:
    """Make a configuration what its ARN stands for."""
    CODE_SIGNINGS.save(tx, _scope(config.arn), config.config_id, record=config)


def check_code_signing(tx: ReadTx, scope: Scope, arn: str) -> str:
    """Return the ARN of a configuration that a function is given. Raises CodeSigningConfigNotFoundException."""
    if _find(tx, scope, arn) is None:
        raise ServiceError(
            "CodeSigningConfigNotFoundException",
            "The code signing configuration cannot be found. Check that the provided configuration is not deleted: "
            f"{arn}.",
            Type="User",
        )
    return arn


def _find(tx: ReadTx, scope: Scope, arn: str) -> CodeSigning | None:
    match = _ARN.fullmatch(arn)
    if match is None or scope != Scope(match[2], match[1]):
        return None
    return CODE_SIGNINGS.find(tx, scope, match[3])


def _scope(arn: str) -> Scope:
    parts = arn.split(":")
    return Scope(parts[4], parts[3])


def _save(tx: WriteTx, ref: FunctionRef, arn: str) -> None:
    function = msgspec.structs.replace(load_function(tx, ref), code_signing_arn=arn)
    FUNCTIONS.save(tx, ref.scope, ref.name, record=function)


def _check_policy(params: Params) -> None:
    if (params.get("CodeSigningPolicies") or {}).get("UntrustedArtifactOnDeployment") == "Enforce":
        raise NotImplementedHere("UntrustedArtifactOnDeployment Enforce")


def _render(config: CodeSigning) -> Output:
    output: dict[str, Any] = {
        "CodeSigningConfigId": config.config_id,
        "CodeSigningConfigArn": config.arn,
        "AllowedPublishers": {"SigningProfileVersionArns": list(config.publishers)},
        "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Warn"},
        "LastModified": render_last_modified(config.changed_ms),
    }
    if config.description:
        output["Description"] = config.description
    return output
