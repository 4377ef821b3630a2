"""The names of log groups and streams: ARNs in and out, and what IAM decides on.

A group has two ARNs: `...:log-group:NAME:*`, which stands for the group and its streams, and the bare
`...:log-group:NAME`. IAM sees an operation on a group as one on `...:log-group:NAME:log-stream:`, which is what the
usual policies for `...:NAME:*` match.
"""

import re
from collections.abc import Mapping

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Call, Params
from cumulet.services.logs.records import GROUPS
from cumulet.store.api import ReadTx

_GROUP_ARN = re.compile(r"arn:aws:logs:([a-z0-9-]+):(\d{12}):log-group:([.\-_/#A-Za-z0-9]+)(:\*)?")
_IN_GROUP = re.compile(r"arn:aws:logs:([a-z0-9-]+):(\d{12}):log-group:([.\-_/#A-Za-z0-9]+)").match


def group_arn(call: Call, group_name: str) -> str:
    """Return the bare ARN of a log group of the caller's scope."""
    return f"arn:aws:logs:{call.scope.region}:{call.scope.account}:log-group:{group_name}"


def stream_arn(call: Call, group_name: str, stream_name: str) -> str:
    """Return the ARN of a log stream of the caller's scope."""
    return f"{group_arn(call, group_name)}:log-stream:{stream_name}"


def group_resource(call: Call, params: Params) -> str:
    """Return what IAM decides on for an operation on a group, or on all groups when there are no parameters."""
    return stream_arn(call, named_group(call, params) if params else "", "")


def stream_resource(call: Call, params: Params) -> str:
    """Return what IAM decides on for an operation on a stream."""
    return stream_arn(call, named_group(call, params), params["logStreamName"])


def tagged_resource(call: Call, params: Params) -> str:
    """Return what IAM decides on for tags: the bare ARN."""
    return group_arn(call, tagged_group(call, params))


def tags_of(tx: ReadTx, call: Call, arn: str) -> Mapping[str, str]:
    """Return the tags of the group that an ARN names or that a stream's ARN lies in."""
    found = _IN_GROUP(arn)
    group = None if found is None else GROUPS.find(tx, Scope(found[2], found[1]), found[3])
    return {} if group is None else group.tags


def named_group(call: Call, params: Params) -> str:
    """Return the group's name, from `logGroupName` or from `logGroupIdentifier`, which is a name or an ARN."""
    name, identifier = params.get("logGroupName"), params.get("logGroupIdentifier")
    if name is not None and identifier is not None:
        raise ServiceError(
            "InvalidParameterException", "LogGroup name and LogGroup ARN are mutually exclusive parameters."
        )
    if name is not None:
        return str(name)
    if identifier is None:
        raise ServiceError("InvalidParameterException", "Either logGroupName or logGroupIdentifier must be specified.")
    if not identifier.startswith("arn:"):
        return str(identifier)
    if (match := _GROUP_ARN.fullmatch(identifier)) is None or match[4]:
        raise ServiceError("InvalidParameterException", f"Invalid logGroupIdentifier: {identifier}")
    if (match[2], match[1]) != call.scope:
        raise ServiceError("ResourceNotFoundException", "The specified log group does not exist.")
    return match[3]


def tagged_group(call: Call, params: Params) -> str:
    """Return the name of the group whose tags are meant. Raises InvalidParameterException for other ARNs."""
    arn = params["resourceArn"]
    match = _GROUP_ARN.fullmatch(arn)
    if match is None or (match[2], match[1]) != call.scope:
        raise ServiceError("InvalidParameterException", f"Invalid resource ARN: {arn}")
    return match[3]
