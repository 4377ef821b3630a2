"""Tags of functions."""

from collections.abc import Mapping

import msgspec

from cumulet.errors import NotImplementedHere
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_ import limits
from cumulet.services.lambda_.control.configuration import invalid
from cumulet.services.lambda_.control.lookup import load_function
from cumulet.services.lambda_.names import FunctionRef, parse_function
from cumulet.services.lambda_.records import FUNCTIONS
from cumulet.store.api import ReadTx, WriteTx


def _tagged(call: Call, params: Params) -> FunctionRef:
    arn: str = params["Resource"]
    if ":function:" not in arn:
        raise NotImplementedHere(f"Tags of {arn.split(':')[5]}s")
    ref = parse_function(call.scope, arn)
    if ref.qualifier is not None:
        raise invalid("Tags on function aliases and versions are not supported. Please specify a function ARN.")
    return ref


def _tagged_arn(call: Call, params: Params) -> str:
    return _tagged(call, params).unqualified_arn


def _policy(tx: ReadTx, call: Call, params: Params) -> str | None:
    ref = _tagged(call, params)
    function = FUNCTIONS.find(tx, ref.scope, ref.name)
    return None if function is None else function.policy


def check_tags(tags: Mapping[str, str]) -> None:
    """Raise AWS's error for more tags than a function may have."""
    if len(tags) > limits.TAGS_MAX:
        raise invalid("Number of tags exceeds resource tag limit.")


@operation(
    "TagResource",
    resource=_tagged_arn,
    resource_policy=_policy,
    params="Resource Tags",
    missing="functions only",
)
def tag_resource(call: Call, tx: WriteTx, params: Params) -> Output:
    """Add tags to a function, replacing those of the same keys."""
    ref = _tagged(call, params)
    function = load_function(tx, ref)
    tags = {**function.tags, **params["Tags"]}
    check_tags(tags)
    FUNCTIONS.save(tx, ref.scope, ref.name, record=msgspec.structs.replace(function, tags=tags))
    return {}


@operation(
    "UntagResource",
    resource=_tagged_arn,
    resource_policy=_policy,
    params="Resource TagKeys",
    missing="functions only",
)
def untag_resource(call: Call, tx: WriteTx, params: Params) -> Output:
    """Remove the tags of these keys; keys that are not there do no harm."""
    ref = _tagged(call, params)
    function = load_function(tx, ref)
    tags = {key: value for key, value in function.tags.items() if key not in params["TagKeys"]}
    FUNCTIONS.save(tx, ref.scope, ref.name, record=msgspec.structs.replace(function, tags=tags))
    return {}


@operation("ListTags", resource=_tagged_arn, resource_policy=_policy, params="Resource", missing="functions only")
def list_tags(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a function's tags."""
    return {"Tags": dict(load_function(tx, _tagged(call, params)).tags)}
