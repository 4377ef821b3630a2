"""Tags of functions and of code signing configurations."""

from collections.abc import Mapping

import msgspec

from cumulet.errors import NotImplementedHere
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_.control.code_signing import load_code_signing, save_code_signing
from cumulet.services.lambda_.control.configuration import check_tags, invalid
from cumulet.services.lambda_.control.lookup import load_function
from cumulet.services.lambda_.names import FunctionRef, parse_function
from cumulet.services.lambda_.records import FUNCTIONS
from cumulet.store.api import ReadTx, WriteTx

_MISSING = "functions and code signing configurations only"


def _function(call: Call, params: Params) -> FunctionRef | None:
    """Return the function whose tags are meant; None for a code signing configuration."""
    arn: str = params["Resource"]
    if ":code-signing-config:" in arn:
        return None
    if ":function:" not in arn:
        raise NotImplementedHere(f"Tags of {arn.split(':')[5]}s")
    ref = parse_function(call.scope, arn)
    if ref.qualifier is not None:
        raise invalid("Tags on function aliases and versions are not supported. Please specify a function ARN.")
    return ref


def _tagged_arn(call: Call, params: Params) -> str:
    ref = _function(call, params)
    arn: str = params["Resource"]
    return arn if ref is None else ref.unqualified_arn


def _policy(tx: ReadTx, call: Call, params: Params) -> str | None:
    ref = _function(call, params)
    function = None if ref is None else FUNCTIONS.find(tx, ref.scope, ref.name)
    return None if function is None else function.policy


@operation("TagResource", resource=_tagged_arn, resource_policy=_policy, params="Resource Tags", missing=_MISSING)
def tag_resource(call: Call, tx: WriteTx, params: Params) -> Output:
    """Add tags to a resource, replacing those of the same keys."""
    tags = {**_load(call, tx, params), **params["Tags"]}
    check_tags(tags)
    _save(call, tx, params, tags)
    return {}


@operation("UntagResource", resource=_tagged_arn, resource_policy=_policy, params="Resource TagKeys", missing=_MISSING)
def untag_resource(call: Call, tx: WriteTx, params: Params) -> Output:
    """Remove the tags of these keys; keys that are not there do no harm."""
    tags = {key: value for key, value in _load(call, tx, params).items() if key not in params["TagKeys"]}
    _save(call, tx, params, tags)
    return {}


@operation("ListTags", resource=_tagged_arn, resource_policy=_policy, params="Resource", missing=_MISSING)
def list_tags(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a resource's tags."""
    return {"Tags": dict(_load(call, tx, params))}


def _load(call: Call, tx: ReadTx, params: Params) -> Mapping[str, str]:
    ref = _function(call, params)
    return load_code_signing(tx, call.scope, params["Resource"]).tags if ref is None else load_function(tx, ref).tags


def _save(call: Call, tx: WriteTx, params: Params, tags: dict[str, str]) -> None:
    ref = _function(call, params)
    if ref is None:
        save_code_signing(tx, msgspec.structs.replace(load_code_signing(tx, call.scope, params["Resource"]), tags=tags))
    else:
        FUNCTIONS.save(tx, ref.scope, ref.name, record=msgspec.structs.replace(load_function(tx, ref), tags=tags))
