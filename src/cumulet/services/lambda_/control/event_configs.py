"""How asynchronous invocations of a function, a version or an alias are retried, and where their results go."""

from typing import Any

import msgspec

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_.control.configuration import invalid
from cumulet.services.lambda_.control.lookup import check_qualifier, function_policy, load_version
from cumulet.services.lambda_.control.paging import marker, page_size, with_marker
from cumulet.services.lambda_.execution.sessions import assume_role
from cumulet.services.lambda_.names import FunctionRef, function_of, parse_function, resource, unqualified_resource
from cumulet.services.lambda_.plane import LambdaPlane
from cumulet.services.lambda_.records import EVENT_CONFIGS, FUNCTIONS, LATEST, EventConfig, VersionRecord
from cumulet.services.tokens import encode_token
from cumulet.store.api import ReadTx, WriteTx

_SETTINGS = "FunctionName Qualifier MaximumRetryAttempts MaximumEventAgeInSeconds DestinationConfig"
_MISSING = "destinations other than Lambda functions"
_NOT_HERE = ("sqs", "sns", "events", "s3")
"""https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html; AWS takes no other services."""


@operation(
    "PutFunctionEventInvokeConfig",
    resource=resource,
    resource_policy=function_policy,
    params=_SETTINGS,
    missing=_MISSING,
)
async def put_function_event_invoke_config(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Set how events are retried and where their results go; what is not given is AWS's default again."""
    await _check_reach(call, plane, params)
    new = EventConfig(qualifier="", changed_ms=call.now_ms)
    return await plane.ground.store.write(lambda tx: _save(call, tx, params, new))


@operation(
    "UpdateFunctionEventInvokeConfig",
    resource=resource,
    resource_policy=function_policy,
    params=_SETTINGS,
    missing=_MISSING,
)
async def update_function_event_invoke_config(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Change some of it; what is not given stays."""
    await _check_reach(call, plane, params)
    return await plane.ground.store.write(lambda tx: _save(call, tx, params, _load(tx, _function(call, tx, params))))


@operation(
    "GetFunctionEventInvokeConfig", resource=resource, resource_policy=function_policy, params="FunctionName Qualifier"
)
def get_function_event_invoke_config(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return what was set."""
    ref = _function(call, tx, params)
    return render_event_config(ref, _load(tx, ref))


@operation(
    "ListFunctionEventInvokeConfigs",
    resource=unqualified_resource,
    resource_policy=function_policy,
    params="FunctionName Marker MaxItems",
)
def list_function_event_invoke_configs(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of what was set for a function, its versions and its aliases."""
    ref = _function(call, tx, params)
    limit, behind = page_size(params), marker(params, str)
    first = None if behind is None else (ref.name, behind)
    found = list(EVENT_CONFIGS.scan(tx, ref.scope, ref.name, behind=first, limit=limit + 1))
    page = [render_event_config(ref, config) for config in found[:limit]]
    next_marker = encode_token(found[limit - 1].qualifier) if len(found) > limit else None
    return with_marker({"FunctionEventInvokeConfigs": page}, next_marker)


@operation(
    "DeleteFunctionEventInvokeConfig",
    resource=resource,
    resource_policy=function_policy,
    params="FunctionName Qualifier",
)
def delete_function_event_invoke_config(call: Call, tx: WriteTx, params: Params) -> Output:
    """Go back to AWS's defaults."""
    ref = _function(call, tx, params)
    EVENT_CONFIGS.delete(tx, ref.scope, ref.name, _load(tx, ref).qualifier)
    return {}


def render_event_config(ref: FunctionRef, config: EventConfig) -> Output:
    """Return a FunctionEventInvokeConfig."""
    output: dict[str, Any] = {
        "LastModified": config.changed_ms / 1000,
        "FunctionArn": f"{ref.unqualified_arn}:{config.qualifier}",
        "DestinationConfig": {
            "OnSuccess": {"Destination": config.on_success} if config.on_success else {},
            "OnFailure": {"Destination": config.on_failure} if config.on_failure else {},
        },
    }
    if config.retries_max is not None:
        output["MaximumRetryAttempts"] = config.retries_max
    if config.age_s_max is not None:
        output["MaximumEventAgeInSeconds"] = config.age_s_max
    return output


def _function(call: Call, tx: ReadTx, params: Params) -> FunctionRef:
    ref = function_of(call, params)
    try:
        check_qualifier(tx, ref)
    except NotImplementedHere:
        raise
    except ServiceError:
        raise ServiceError("ResourceNotFoundException", "The function doesn't exist.", Type="User") from None
    return ref


def _load(tx: ReadTx, ref: FunctionRef) -> EventConfig:
    config = EVENT_CONFIGS.find(tx, ref.scope, ref.name, ref.qualifier or LATEST)
    if config is None:
        arn = f"{ref.unqualified_arn}:{ref.qualifier or LATEST}"
        raise ServiceError(
            "ResourceNotFoundException", f"The function {arn} doesn't have an EventInvokeConfig", Type="User"
        )
    return config


async def _check_reach(call: Call, plane: LambdaPlane, params: Params) -> None:
    """Raise AWS's errors unless the destinations are there, and the function's role may invoke them."""
    arns = [arn for arn in _destinations(params).values() if arn]
    if not arns:
        return

    def find(tx: ReadTx) -> tuple[Scope, VersionRecord]:
        ref = _function(call, tx, params)
        for arn in arns:
            _check_destination(call, tx, ref, arn)
        return ref.scope, load_version(tx, ref)

    scope, version = await plane.ground.store.read(find)
    for arn in arns:
        try:
            session = await assume_role(plane.ground, scope, version)
            role = msgspec.structs.replace(session.principal, function_arn="")  # as it will be told
            tried = {"FunctionName": arn, "InvocationType": "DryRun"}
            await plane.ground.operations.call(role, scope, "lambda", "Invoke", tried)
        except ServiceError as refused:
            if refused.code == "ResourceNotFoundException":
                raise _no_destination(arn) from None
            if refused.code != "AccessDeniedException":
                raise
            # Words for SNS: hashicorp/terraform-provider-aws, internal/service/lambda/function_event_invoke_config.go.
            raise invalid(
                f"The function's execution role does not have permissions to call InvokeFunction on {arn}"
            ) from None


def _save(call: Call, tx: WriteTx, params: Params, before: EventConfig) -> Output:
    fields: dict[str, Any] = {}
    for member, field in (("MaximumRetryAttempts", "retries_max"), ("MaximumEventAgeInSeconds", "age_s_max")):
        if params.get(member) is not None:
            fields[field] = params[member]
    if not fields and params.get("DestinationConfig") is None:
        raise invalid("You must specify at least one of error handling or destination setting.")
    ref = _function(call, tx, params)
    fields |= _destinations(params)
    qualifier = ref.qualifier or LATEST
    config = msgspec.structs.replace(before, qualifier=qualifier, changed_ms=call.now_ms, **fields)
    EVENT_CONFIGS.save(tx, ref.scope, ref.name, qualifier, record=config)
    return render_event_config(ref, config)


def _destinations(params: Params) -> dict[str, str]:
    """Return the destinations that are given, by field of an EventConfig; an empty one takes away what was there."""
    given = params.get("DestinationConfig") or {}
    fields = {"on_success": given.get("OnSuccess"), "on_failure": given.get("OnFailure")}
    arns = {field: (place or {}).get("Destination") for field, place in fields.items()}
    return {field: arn for field, arn in arns.items() if arn is not None}


def _check_destination(call: Call, tx: ReadTx, ref: FunctionRef, arn: str) -> None:
    parts = arn.split(":")
    if parts[0] == "arn" and parts[2] in _NOT_HERE:
        raise NotImplementedHere(f"A destination of the service {parts[2]}")
    if parts[2:4] != ["lambda", ref.scope.region] or parts[5] != "function":
        raise _no_destination(arn)
    try:
        named = parse_function(call.scope, arn)
    except ServiceError:
        raise _no_destination(arn) from None
    if named.scope == ref.scope and named.name == ref.name:
        raise invalid("You can't specify the function as a destination for itself.")
    if FUNCTIONS.find(tx, named.scope, named.name) is None:
        raise _no_destination(arn)


def _no_destination(arn: str) -> ServiceError:
    return invalid(f"The destination ARN {arn} is invalid.")
