"""How asynchronous invocations of a function, a version or an alias are retried, and where their results go."""

from typing import Any

import msgspec

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_.control.configuration import invalid
from cumulet.services.lambda_.control.lookup import check_qualifier, function_policy
from cumulet.services.lambda_.control.paging import marker, page_size, with_marker
from cumulet.services.lambda_.names import FunctionRef, function_of, parse_function, resource, unqualified_resource
from cumulet.services.lambda_.records import EVENT_CONFIGS, FUNCTIONS, LATEST, EventConfig
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
def put_function_event_invoke_config(call: Call, tx: WriteTx, params: Params) -> Output:
    """Set how events are retried and where their results go; what is not given is AWS's default again."""
    return _save(call, tx, params, EventConfig(qualifier="", changed_ms=call.now_ms))


@operation(
    "UpdateFunctionEventInvokeConfig",
    resource=resource,
    resource_policy=function_policy,
    params=_SETTINGS,
    missing=_MISSING,
)
def update_function_event_invoke_config(call: Call, tx: WriteTx, params: Params) -> Output:
    """Change some of it; what is not given stays."""
    ref = _function(call, tx, params)
    return _save(call, tx, params, _load(tx, ref))


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


def _save(call: Call, tx: WriteTx, params: Params, before: EventConfig) -> Output:
    fields: dict[str, Any] = {}
    for member, field in (("MaximumRetryAttempts", "retries_max"), ("MaximumEventAgeInSeconds", "age_s_max")):
        if params.get(member) is not None:
            fields[field] = params[member]
    destinations = params.get("DestinationConfig")
    if not fields and destinations is None:
        raise invalid("You must specify at least one of error handling or destination setting.")
    ref = _function(call, tx, params)
    for member, field in (("OnSuccess", "on_success"), ("OnFailure", "on_failure")):
        arn = ((destinations or {}).get(member) or {}).get("Destination")
        if arn is not None:
            _check_destination(call, tx, ref, arn)
            fields[field] = arn
    qualifier = ref.qualifier or LATEST
    config = msgspec.structs.replace(before, qualifier=qualifier, changed_ms=call.now_ms, **fields)
    EVENT_CONFIGS.save(tx, ref.scope, ref.name, qualifier, record=config)
    return render_event_config(ref, config)


def _check_destination(call: Call, tx: ReadTx, ref: FunctionRef, arn: str) -> None:
    if not arn:
        return
    parts = arn.split(":")
    if parts[0] == "arn" and parts[2] in _NOT_HERE:
        raise NotImplementedHere(f"A destination of the service {parts[2]}")
    if parts[2:4] != ["lambda", ref.scope.region] or parts[5] != "function":
        raise invalid(f"The destination ARN {arn} is invalid.")
    named = parse_function(call.scope, arn)
    if named.scope == ref.scope and named.name == ref.name:
        raise invalid("You can't specify the function as a destination for itself.")
    if FUNCTIONS.find(tx, named.scope, named.name) is None:
        raise invalid(f"The destination ARN {arn} is invalid.")
