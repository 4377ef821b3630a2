"""Reserved concurrency: what a function has for itself of the invocations that an account may run at once.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
"""

import msgspec

from cumulet.errors import InvariantViolated
from cumulet.scope import Scope
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_ import limits
from cumulet.services.lambda_.control.configuration import invalid
from cumulet.services.lambda_.control.lookup import function_policy, load_function
from cumulet.services.lambda_.names import FunctionRef, function_of, unqualified_resource
from cumulet.services.lambda_.provisioning import find_targets, pool_name
from cumulet.services.lambda_.records import (
    ALIASES,
    FUNCTIONS,
    RESERVED,
    SHARES,
    SHARES_WANTED,
    FunctionRecord,
    Reserved,
    reserved_total,
)
from cumulet.store.api import ReadTx, WriteTx


@operation(
    "PutFunctionConcurrency",
    resource=unqualified_resource,
    resource_policy=function_policy,
    params="FunctionName ReservedConcurrentExecutions",
)
def put_function_concurrency(call: Call, tx: WriteTx, params: Params) -> Output:
    """Reserve concurrency for a function: it has so much, and never more."""
    ref = _unqualified(call, params)
    function = load_function(tx, ref)
    reserved: int = params["ReservedConcurrentExecutions"]
    if reserved < (provisioned := provisioned_total(function)):
        raise invalid(
            f"ReservedConcurrentExecutions  {reserved} should not be lower than function's total provisioned "
            f"concurrency [{provisioned}]."
        )
    others = reserved_total(tx, ref.scope) - claimed(function)
    if limits.CONCURRENT_EXECUTIONS_MAX - others - reserved < limits.UNRESERVED_CONCURRENCY_MIN:
        raise invalid(
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
            f"below its minimum value of [{limits.UNRESERVED_CONCURRENCY_MIN}]."
        )
    save_claim(tx, ref, function, msgspec.structs.replace(function, reserved_concurrency=reserved))
    return {"ReservedConcurrentExecutions": reserved}


@operation(
    "GetFunctionConcurrency", resource=unqualified_resource, resource_policy=function_policy, params="FunctionName"
)
def get_function_concurrency(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return what a function has reserved; nothing if it has not."""
    return render_concurrency(load_function(tx, _unqualified(call, params)))


@operation(
    "DeleteFunctionConcurrency", resource=unqualified_resource, resource_policy=function_policy, params="FunctionName"
)
def delete_function_concurrency(call: Call, tx: WriteTx, params: Params) -> Output:
    """Let a function share with all others again."""
    ref = _unqualified(call, params)
    function = load_function(tx, ref)
    save_claim(tx, ref, function, msgspec.structs.replace(function, reserved_concurrency=None))
    return {}


def render_concurrency(function: FunctionRecord) -> Output:
    """Return a Concurrency; empty without a reservation."""
    reserved = function.reserved_concurrency
    return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}


def give_back(tx: WriteTx, scope: Scope, function: FunctionRecord) -> None:
    """Give what a function that goes has claimed back to the account."""
    _add(tx, scope, -claimed(function))


def provisioned_total(function: FunctionRecord) -> int:
    """Return how many environments of a function are to be kept ready."""
    return sum(config.requested for config in function.provisioned.values())


def claimed(function: FunctionRecord) -> int:
    """Return what a function takes of the account's concurrency: its reservation, or what is kept ready without one."""
    reserved = function.reserved_concurrency
    return provisioned_total(function) if reserved is None else reserved


def save_claim(tx: WriteTx, ref: FunctionRef, before: FunctionRecord, after: FunctionRecord) -> None:
    """Save a function that claims another concurrency than before."""
    FUNCTIONS.save(tx, ref.scope, ref.name, record=after)
    _add(tx, ref.scope, claimed(after) - claimed(before))
    aliases = {alias.name: alias for alias in ALIASES.scan(tx, ref.scope, ref.name)} if before.provisioned else {}
    versions = find_targets(before.provisioned, aliases)
    for pool in (ref.name, "", *(pool_name(ref.name, version) for version in versions)):
        # What processes have of the former limit is given back, and taken of the present one.
        if (shares := SHARES.find(tx, ref.scope, pool)) is not None:
            SHARES.save(tx, ref.scope, pool, record=msgspec.structs.replace(shares, wanted=True))
            tx.hint(SHARES_WANTED)


def _unqualified(call: Call, params: Params) -> FunctionRef:
    ref = function_of(call, params)
    if ref.qualifier is not None:
        raise invalid(
            "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. "
            "Please specify either a function name or an unqualified function ARN."
        )
    return ref


def _add(tx: WriteTx, scope: Scope, difference: int) -> None:
    if difference:
        total = reserved_total(tx, scope) + difference
        if total < 0:
            raise InvariantViolated(f"{scope} has {total} invocations claimed")
        RESERVED.save(tx, scope, record=Reserved(total=total))
