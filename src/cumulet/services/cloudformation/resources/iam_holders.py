"""What roles and users have alike: inline and managed policies, a permissions boundary, tags."""

import json
from typing import Any, Literal, TypeAlias

from cumulet.services.cloudformation.resources.kit import Desk, Properties, own_tags, tag_list

GONE = "NoSuchEntity"

Holder: TypeAlias = Literal["Role", "User"]


def document(value: Any) -> str | None:
    """Return a policy as IAM takes it, as text."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


async def set_policies(desk: Desk, holder: Holder, name: str, old: Properties, new: Properties) -> None:
    """Give a role or a user its inline policies and its managed ones."""
    who = {f"{holder}Name": name}
    before, after = set(old.get("ManagedPolicyArns") or []), set(new.get("ManagedPolicyArns") or [])
    for arn in sorted(after - before):
        await desk.call("iam", f"Attach{holder}Policy", {**who, "PolicyArn": arn})
    for arn in sorted(before - after):
        await desk.drop("iam", f"Detach{holder}Policy", {**who, "PolicyArn": arn}, GONE)
    inline_before, inline_after = _inline(old), _inline(new)
    for policy, text in inline_after.items():
        if inline_before.get(policy) != text:
            await desk.call("iam", f"Put{holder}Policy", {**who, "PolicyName": policy, "PolicyDocument": text})
    for policy in inline_before.keys() - inline_after.keys():
        await desk.drop("iam", f"Delete{holder}Policy", {**who, "PolicyName": policy}, GONE)


def _inline(properties: Properties) -> dict[str, str]:
    return {
        str(policy["PolicyName"]): document(policy["PolicyDocument"]) or ""
        for policy in properties.get("Policies") or []
    }


async def set_boundary(desk: Desk, holder: Holder, name: str, old: Properties, new: Properties) -> None:
    """Give a role or a user its permissions boundary."""
    boundary = new.get("PermissionsBoundary")
    if boundary == old.get("PermissionsBoundary"):
        return
    if boundary is None:
        await desk.drop("iam", f"Delete{holder}PermissionsBoundary", {f"{holder}Name": name}, GONE)
    else:
        params = {f"{holder}Name": name, "PermissionsBoundary": boundary}
        await desk.call("iam", f"Put{holder}PermissionsBoundary", params)


async def set_tags(desk: Desk, holder: Holder, name: str, old: Properties, new: Properties) -> None:
    """Give a role or a user its new tags, and the stack's."""
    tags = desk.merged_tags(new)
    if removed := sorted(own_tags(old).keys() - tags.keys()):
        await desk.call("iam", f"Untag{holder}", {f"{holder}Name": name, "TagKeys": removed})
    if tags and tags != own_tags(old):
        await desk.call("iam", f"Tag{holder}", {f"{holder}Name": name, "Tags": tag_list(tags)})
