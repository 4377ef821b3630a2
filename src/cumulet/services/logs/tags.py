"""Tags of log groups, by the group's bare ARN."""

from cumulet.errors import ServiceError
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.logs.arns import tagged_group, tagged_resource
from cumulet.services.logs.limits import TAGS_MAX
from cumulet.services.logs.records import GROUPS, LogGroup
from cumulet.store.api import ReadTx, WriteTx


@operation("TagResource", resource=tagged_resource, params="resourceArn tags")
def tag_resource(call: Call, tx: WriteTx, params: Params) -> Output:
    """Add tags, or give those of the same keys new values."""
    group = _get(call, tx, params)
    group.tags = {**group.tags, **params["tags"]}
    if len(group.tags) > TAGS_MAX:
        raise ServiceError(
            "TooManyTagsException",
            f"A resource can have no more than {TAGS_MAX} tags.",
            resourceName=params["resourceArn"],
        )
    GROUPS.save(tx, call.scope, group.name, record=group)
    return {}


@operation("UntagResource", resource=tagged_resource, params="resourceArn tagKeys")
def untag_resource(call: Call, tx: WriteTx, params: Params) -> Output:
    """Remove tags by their keys; keys that are not there are passed over."""
    group = _get(call, tx, params)
    group.tags = {key: value for key, value in group.tags.items() if key not in params["tagKeys"]}
    GROUPS.save(tx, call.scope, group.name, record=group)
    return {}


@operation("ListTagsForResource", resource=tagged_resource, params="resourceArn")
def list_tags_for_resource(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a group's tags."""
    return {"tags": _get(call, tx, params).tags}


def _get(call: Call, tx: ReadTx, params: Params) -> LogGroup:
    group = GROUPS.find(tx, call.scope, tagged_group(call, params))
    if group is None:
        raise ServiceError("ResourceNotFoundException", "The specified resource does not exist.")
    return group
