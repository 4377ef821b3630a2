"""Inline and attached policies, and the boundary, of a role or user alike."""

import re
from typing import TypeVar
from urllib.parse import quote

from cumulet.errors import ServiceError
from cumulet.policy.documents import parse_document
from cumulet.scope import Scope
from cumulet.services.iam.limits import ATTACHED_POLICIES_MAX, ROLE_INLINE_CHARACTERS_MAX, USER_INLINE_CHARACTERS_MAX
from cumulet.services.iam.lookup import get_attachable_policy
from cumulet.services.iam.paging import page
from cumulet.services.iam.records import Holder
from cumulet.services.kit import Output, Params
from cumulet.store.api import ReadTx

H = TypeVar("H", bound=Holder)

_INLINE_CHARACTERS_MAX = {"role": ROLE_INLINE_CHARACTERS_MAX, "user": USER_INLINE_CHARACTERS_MAX}
_WHITE_SPACE = re.compile(r"\s+")


def render_document(text: str) -> str:
    """Return a policy document as the API sends it: percent-encoded. The SDKs decode it."""
    return quote(text, safe="")


def characters(text: str) -> int:
    """Return the size of a document as quotas count it: without white space."""
    return len(_WHITE_SPACE.sub("", text))


def put_inline_policy(holder: Holder, params: Params) -> None:
    """Give the holder an inline policy, in place of one of the same name. Raises LimitExceeded."""
    text = params["PolicyDocument"]
    parse_document(text)
    policies = holder.inline_policies | {params["PolicyName"]: text}
    limit = _INLINE_CHARACTERS_MAX[holder.noun]
    if sum(map(characters, policies.values())) > limit:
        raise ServiceError(
            "LimitExceeded", f"Maximum policy size of {limit} bytes exceeded for {holder.noun} {holder.name}"
        )
    holder.inline_policies = policies


def get_inline_policy(holder: Holder, params: Params) -> dict[str, str]:
    """Return an inline policy, but for its holder's name. Raises NoSuchEntity."""
    name = params["PolicyName"]
    return {"PolicyName": name, "PolicyDocument": render_document(_inline_policy(holder, name))}


def delete_inline_policy(holder: Holder, params: Params) -> None:
    """Take an inline policy from the holder. Raises NoSuchEntity."""
    name = params["PolicyName"]
    _inline_policy(holder, name)
    del holder.inline_policies[name]


def list_inline_policies(holder: Holder, params: Params) -> Output:
    """Return a page of the names of inline policies."""
    names, more = page(params, sorted(holder.inline_policies), str)
    return {"PolicyNames": names, **more}


def attach_policy(tx: ReadTx, scope: Scope, holder: Holder, params: Params) -> None:
    """Attach a managed policy; nothing happens if it is attached already. Raises LimitExceeded and NoSuchEntity."""
    arn = params["PolicyArn"]
    get_attachable_policy(tx, scope, arn)
    if arn in holder.attached_policies:
        return
    if len(holder.attached_policies) >= ATTACHED_POLICIES_MAX:
        quota = f"PoliciesPer{holder.noun.capitalize()}"
        raise ServiceError("LimitExceeded", f"Cannot exceed quota for {quota}: {ATTACHED_POLICIES_MAX}")
    holder.attached_policies.append(arn)


def detach_policy(holder: Holder, params: Params) -> None:
    """Detach a managed policy. Raises NoSuchEntity if it is not attached."""
    arn = params["PolicyArn"]
    if not arn.startswith("arn:"):
        raise ServiceError("InvalidInput", f"ARN {arn} is not valid.")
    if arn not in holder.attached_policies:
        raise ServiceError("NoSuchEntity", f"Policy {arn} was not found.")
    holder.attached_policies.remove(arn)


def list_attached_policies(holder: Holder, params: Params) -> Output:
    """Return a page of the attached managed policies, by name, whose path begins with PathPrefix."""
    prefix = params.get("PathPrefix") or "/"
    attached = sorted(
        (arn.rpartition("/")[2], arn)
        for arn in holder.attached_policies
        if arn.partition(":policy")[2].startswith(prefix)
    )
    policies, more = page(params, attached, lambda policy: policy[0])
    return {"AttachedPolicies": [{"PolicyName": name, "PolicyArn": arn} for name, arn in policies], **more}


def render_boundary(holder: Holder) -> dict[str, dict[str, str]]:
    """Return the permissions boundary as roles and users show it, if there is one."""
    if not holder.boundary:
        return {}
    return {"PermissionsBoundary": {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": holder.boundary}}


def _inline_policy(holder: Holder, name: str) -> str:
    text = holder.inline_policies.get(name)
    if text is None:
        raise ServiceError("NoSuchEntity", f"The {holder.noun} policy with name {name} cannot be found.")
    return text
