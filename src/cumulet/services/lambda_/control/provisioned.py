"""Provisioned concurrency: environments of a version or an alias that are initialised before they are needed.

What is asked for stands in the function's record. Each node keeps a part of it ready, and writes down how much that is;
what is answered here is the sum. https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.scope import SYSTEM
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_ import limits
from cumulet.services.lambda_.control.concurrency import claimed, provisioned_total, save_claim
from cumulet.services.lambda_.control.configuration import invalid
from cumulet.services.lambda_.control.lookup import check_qualifier, function_policy, load_function, load_version
from cumulet.services.lambda_.control.paging import marker, page_size, with_marker
from cumulet.services.lambda_.control.tenants import check_shared
from cumulet.services.lambda_.names import FunctionRef, function_of, resource, unqualified_resource
from cumulet.services.lambda_.provisioning import divide
from cumulet.services.lambda_.readiness import note_provisioned
from cumulet.services.lambda_.records import (
    ALIASES,
    ALLOTMENTS,
    FUNCTION_CHANGED,
    LATEST,
    AliasRecord,
    Allotment,
    FunctionRecord,
    Provisioned,
    reserved_total,
)
from cumulet.services.tokens import encode_token
from cumulet.store import leases
from cumulet.store.api import ReadTx, WriteTx


@operation(
    "PutProvisionedConcurrencyConfig",
    resource=resource,
    resource_policy=function_policy,
    params="FunctionName Qualifier ProvisionedConcurrentExecutions",
)
def put_provisioned_concurrency_config(call: Call, tx: WriteTx, params: Params) -> Output:
    """Ask for environments to be kept ready; they come to be behind the answer."""
    ref = function_of(call, params)
    if ref.qualifier == LATEST:
        raise _unpublished()
    function = check_qualifier(tx, ref)
    assert ref.qualifier is not None
    requested: int = params["ProvisionedConcurrentExecutions"]
    if load_version(tx, ref).snap_start:
        # "SnapStart does not support provisioned concurrency"; AWS documents no words.
        raise invalid("Provisioned concurrency is not supported for SnapStart enabled functions.")
    check_shared(function.latest, "Provisioned concurrency")
    _check_apart(tx, ref, function)
    others = provisioned_total(function) - _requested(function, ref.qualifier)
    _check_room(tx, ref, function, others + requested)
    config = Provisioned(requested=requested, changed_ms=call.now_ms, stamp=call.ids.uuid())
    save_provisioned(tx, ref, function, {**function.provisioned, ref.qualifier: config})
    return _render(config, "IN_PROGRESS", 0, "")


@operation(
    "GetProvisionedConcurrencyConfig",
    resource=resource,
    resource_policy=function_policy,
    params="FunctionName Qualifier",
)
def get_provisioned_concurrency_config(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return what was asked for, and how much of it is ready."""
    ref = function_of(call, params)
    function = _load(tx, ref)
    config = function.provisioned.get(ref.qualifier or "")
    if config is None:
        raise ServiceError(
            "ProvisionedConcurrencyConfigNotFoundException",
            "No Provisioned Concurrency Config found for this function",
            Type="User",
        )
    return _describe(tx, ref, ref.qualifier or "", config)


@operation(
    "DeleteProvisionedConcurrencyConfig",
    resource=resource,
    resource_policy=function_policy,
    params="FunctionName Qualifier",
)
def delete_provisioned_concurrency_config(call: Call, tx: WriteTx, params: Params) -> Output:
    """Keep no more environments ready; nothing happens if none are."""
    ref = function_of(call, params)
    drop_provisioned(tx, ref, _load(tx, ref), ref.qualifier or "")
    return {}


@operation(
    "ListProvisionedConcurrencyConfigs",
    resource=unqualified_resource,
    resource_policy=function_policy,
    params="FunctionName Marker MaxItems",
)
def list_provisioned_concurrency_configs(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of what is kept ready of a function, by version or alias."""
    ref = function_of(call, params)
    function = load_function(tx, ref)
    limit, behind = page_size(params), marker(params, str)
    found = [name for name in sorted(function.provisioned) if behind is None or name > behind]
    configs = [
        {
            "FunctionArn": f"{ref.unqualified_arn}:{name}",
            **_describe(tx, ref, name, function.provisioned[name]),
        }
        for name in found[:limit]
    ]
    next_marker = encode_token(found[limit - 1]) if len(found) > limit else None
    return with_marker({"ProvisionedConcurrencyConfigs": configs}, next_marker)


def save_provisioned(
    tx: WriteTx, ref: FunctionRef, function: FunctionRecord, provisioned: Mapping[str, Provisioned]
) -> None:
    """Record what is to be kept ready of a function, for the nodes to find."""
    save_claim(tx, ref, function, msgspec.structs.replace(function, provisioned=dict(provisioned)))
    note_provisioned(tx, ref.scope, ref.name, is_provisioned=bool(provisioned))


def drop_provisioned(tx: WriteTx, ref: FunctionRef, function: FunctionRecord, qualifier: str) -> None:
    """Forget what was asked for a version or an alias; nothing happens if that is nothing."""
    if qualifier in function.provisioned:
        left = {name: config for name, config in function.provisioned.items() if name != qualifier}
        save_provisioned(tx, ref, function, left)


def check_alias_change(tx: WriteTx, ref: FunctionRef, function: FunctionRecord, alias: AliasRecord) -> None:
    """Raise AWS's errors for an alias whose environments are kept ready and cannot be those of these versions."""
    if alias.name not in function.provisioned:
        return
    if alias.version == LATEST:
        raise _unpublished()
    if any(version in function.provisioned for version in (alias.version, *alias.weights)):
        raise _already_version()
    tx.hint(FUNCTION_CHANGED)


def _load(tx: ReadTx, ref: FunctionRef) -> FunctionRecord:
    if ref.qualifier == LATEST:
        raise invalid("The function resource provided must be an alias or a published version.")
    return check_qualifier(tx, ref)


def _check_apart(tx: ReadTx, ref: FunctionRef, function: FunctionRecord) -> None:
    """Raise AWS's errors for an alias that no environments can be kept for, and for a version that has two requests."""
    qualifier = ref.qualifier or ""
    if qualifier.isdigit():
        for alias in ALIASES.scan(tx, ref.scope, ref.name):
            if alias.name in function.provisioned and qualifier in (alias.version, *alias.weights):
                raise ServiceError(
                    "ResourceConflictException", "Version is pointed by a Provisioned Concurrency alias", Type="User"
                )
        return
    found = ALIASES.find(tx, ref.scope, ref.name, qualifier)
    assert found is not None
    if found.version == LATEST:
        raise _unpublished()
    if found.weights:
        raise invalid("Alias with weights can not be used with Provisioned Concurrency")
    if found.version in function.provisioned:
        raise _already_version()


def _check_room(tx: ReadTx, ref: FunctionRef, function: FunctionRecord, total: int) -> None:
    """Raise AWS's errors if a function may not have so many environments kept ready together."""
    if function.reserved_concurrency is not None:
        if total > function.reserved_concurrency:
            raise invalid(
                "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for "
                "function"
            )
        return
    unreserved = limits.CONCURRENT_EXECUTIONS_MAX - reserved_total(tx, ref.scope) + claimed(function)
    if total > unreserved:
        raise invalid(
            "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency "
            f"[{unreserved}]."
        )
    if unreserved - total < limits.UNRESERVED_CONCURRENCY_MIN:
        raise invalid(
            "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its "
            f"minimum value of [{limits.UNRESERVED_CONCURRENCY_MIN}]."
        )


def _unpublished() -> ServiceError:
    return invalid("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")


def _already_version() -> ServiceError:
    return ServiceError(
        "ResourceConflictException",
        "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version",
        Type="User",
    )


def _requested(function: FunctionRecord, qualifier: str) -> int:
    config = function.provisioned.get(qualifier)
    return 0 if config is None else config.requested


def _describe(tx: ReadTx, ref: FunctionRef, qualifier: str, config: Provisioned) -> Output:
    alias = None if qualifier.isdigit() else ALIASES.find(tx, ref.scope, ref.name, qualifier)
    parts = {qualifier: config.requested} if alias is None else divide(config.requested, alias)
    ready, reason = 0, ""
    for version, wanted in parts.items():
        allotments = _living_allotments(tx, ref, version)
        ready += min(wanted, sum(allotment.ready for allotment in allotments))
        reason = reason or next((one.reason for one in allotments if config.stamp in one.stamp), "")
    if ready >= config.requested:
        return _render(config, "READY", ready, "")
    return _render(config, "FAILED" if reason else "IN_PROGRESS", ready, reason)


def _living_allotments(tx: ReadTx, ref: FunctionRef, version: str) -> list[Allotment]:
    """Return what the nodes that live keep ready of a version."""
    found = ALLOTMENTS.scan(tx, SYSTEM, ref.scope.account, ref.scope.region, ref.name, version)
    return [one for one in found if leases.is_alive(tx, one.slot, one.epoch)]


def _render(config: Provisioned, status: str, ready: int, reason: str) -> Output:
    output: dict[str, Any] = {
        "RequestedProvisionedConcurrentExecutions": config.requested,
        "AllocatedProvisionedConcurrentExecutions": ready,
        "AvailableProvisionedConcurrentExecutions": ready,
        "Status": status,
        "LastModified": f"{datetime.fromtimestamp(config.changed_ms // 1000, UTC):%Y-%m-%dT%H:%M:%S+0000}",
    }
    if reason:
        output["StatusReason"] = reason
    return output
