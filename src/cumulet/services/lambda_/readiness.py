"""What of a function is to be ready before it is invoked: environments that are kept, versions to be initialised."""

from typing import Any

import msgspec

from cumulet.scope import SYSTEM, Scope
from cumulet.services.lambda_.records import FUNCTION_CHANGED, READINESS, Readiness
from cumulet.store.api import WriteTx


def note_provisioned(tx: WriteTx, scope: Scope, function_name: str, *, is_provisioned: bool) -> None:
    """Have nodes keep environments of a function ready, or have them look no more."""
    _save(tx, scope, function_name, is_provisioned=is_provisioned)


def note_snapshot(tx: WriteTx, scope: Scope, function_name: str, version: str) -> None:
    """Have a version initialised."""
    _save(tx, scope, function_name, snapshots=(*_load(tx, scope, function_name).snapshots, version))


def forget_snapshot(tx: WriteTx, scope: Scope, function_name: str, version: str) -> None:
    """A version was initialised, or is gone."""
    left = tuple(other for other in _load(tx, scope, function_name).snapshots if other != version)
    _save(tx, scope, function_name, snapshots=left)


def forget_function(tx: WriteTx, scope: Scope, function_name: str) -> None:
    """A function is gone: nothing of it is to be ready."""
    READINESS.delete(tx, SYSTEM, scope.account, scope.region, function_name)


def _load(tx: WriteTx, scope: Scope, function_name: str) -> Readiness:
    key = (scope.account, scope.region, function_name)
    return READINESS.find(tx, SYSTEM, *key) or Readiness(
        account=scope.account, region=scope.region, function_name=function_name
    )


def _save(tx: WriteTx, scope: Scope, function_name: str, **fields: Any) -> None:
    record = msgspec.structs.replace(_load(tx, scope, function_name), **fields)
    if record.is_provisioned or record.snapshots:
        READINESS.save(tx, SYSTEM, scope.account, scope.region, function_name, record=record)
    else:
        forget_function(tx, scope, function_name)
    tx.hint(FUNCTION_CHANGED)
