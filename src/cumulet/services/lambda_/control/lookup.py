"""Finding a function, a version of it or an alias, in AWS's words when there is none."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.kit import Call, Params
from cumulet.services.lambda_.names import FunctionRef, function_arn, function_of
from cumulet.services.lambda_.provisioning import find_targets
from cumulet.services.lambda_.records import (
    ALIASES,
    FUNCTIONS,
    LATEST,
    POLICIES,
    AliasRecord,
    FunctionRecord,
    VersionRecord,
    find_version,
)
from cumulet.store.api import ReadTx


def not_found(arn: str) -> ServiceError:
    """Return AWS's error for a function or a version that is not there."""
    return ServiceError("ResourceNotFoundException", f"Function not found: {arn}", Type="User")


def load_function(tx: ReadTx, ref: FunctionRef) -> FunctionRecord:
    """Return the function, whatever the qualifier is."""
    if ref.qualifier == "$LATEST.PUBLISHED":
        raise NotImplementedHere("The qualifier $LATEST.PUBLISHED")
    function = FUNCTIONS.find(tx, ref.scope, ref.name)
    if function is None:
        raise not_found(ref.arn)
    return function


def load_version(tx: ReadTx, ref: FunctionRef) -> VersionRecord:
    """Return the version that the qualifier names: of an alias its main one, without qualifier $LATEST."""
    function = load_function(tx, ref)
    if ref.qualifier in (None, LATEST):
        return function.latest
    version = find_version(tx, ref.scope, ref.name, _version_of(tx, ref))
    if version is None:
        raise not_found(ref.arn)
    return version


Routes: TypeAlias = list[tuple[VersionRecord, float]]


class Target(NamedTuple):
    """What an invocation may run."""

    function: FunctionRecord
    routes: Routes
    """The versions among which invocations of this name are divided, with their shares."""
    provisioned: Mapping[str, int]
    """By version how many environments are to be ready."""


def load_target(tx: ReadTx, ref: FunctionRef) -> Target:
    """Return what invocations of this name may run."""
    function = load_function(tx, ref)
    if not function.provisioned:
        return Target(function, _load_routes(tx, ref, function), {})
    aliases = {alias.name: alias for alias in ALIASES.scan(tx, ref.scope, ref.name)}
    return Target(function, _load_routes(tx, ref, function), find_targets(function.provisioned, aliases))


def _load_routes(tx: ReadTx, ref: FunctionRef, function: FunctionRecord) -> Routes:
    if ref.qualifier is None:
        return [(function.latest, 1.0)]
    alias = ALIASES.find(tx, ref.scope, ref.name, ref.qualifier)
    main = load_version(tx, ref)
    if alias is None or not alias.weights:
        return [(main, 1.0)]
    more = [(find_version(tx, ref.scope, ref.name, version), share) for version, share in alias.weights.items()]
    others = [(version, share) for version, share in more if version is not None]
    return [(main, 1.0 - sum(share for _, share in others)), *others]


def load_alias(tx: ReadTx, ref: FunctionRef, name: str) -> AliasRecord:
    """Return an alias of a function. Raises ResourceNotFoundException if there is none."""
    alias = ALIASES.find(tx, ref.scope, ref.name, name)
    if alias is None:
        arn = f"{function_arn(ref.scope, ref.name)}:{name}"
        raise ServiceError("ResourceNotFoundException", f"Cannot find alias arn: {arn}", Type="User")
    return alias


def check_qualifier(tx: ReadTx, ref: FunctionRef) -> FunctionRecord:
    """Return the function, whose version or alias of that qualifier is there. Raises ResourceNotFoundException."""
    function = load_function(tx, ref)
    if ref.qualifier is not None and ref.qualifier != LATEST:
        if ref.qualifier.isdigit():
            load_version(tx, ref)
        else:
            load_alias(tx, ref, ref.qualifier)
    return function


def function_policy(tx: ReadTx, call: Call, params: Params) -> str | None:
    """Return the resource policy of what the call names: function, version or alias; None if it has none."""
    ref = function_of(call, params)
    if ref.qualifier is None or ref.qualifier == LATEST:
        function = FUNCTIONS.find(tx, ref.scope, ref.name)
        return None if function is None else function.policy
    own = POLICIES.find(tx, ref.scope, ref.name, ref.qualifier)
    return None if own is None else own.policy


def no_policy(tx: ReadTx, call: Call, params: Params) -> None:
    """Return None: what has no resource policy is for its own account alone, whose root is looked at for this."""


def _version_of(tx: ReadTx, ref: FunctionRef) -> str:
    assert ref.qualifier is not None
    if ref.qualifier.isdigit():
        return ref.qualifier
    alias = ALIASES.find(tx, ref.scope, ref.name, ref.qualifier)
    if alias is None:
        raise not_found(ref.arn)
    return alias.version
