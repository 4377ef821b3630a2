"""May this caller do that? Loads the policies that speak to a call, asks `policy.evaluate`, and finds AWS's words.

Records are read in the caller's transaction, so a changed policy is in force for the next request; documents are
compiled once per text.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from cumulet.policy.documents import RESOURCE_TAG, Document, DocumentKind, parse_document
from cumulet.policy.evaluate import Decision, Policy, PolicyKind, Request, evaluate
from cumulet.policy.matching import NotTold
from cumulet.policy.principals import Caller
from cumulet.scope import GLOBAL_REGION, Scope
from cumulet.services.iam.aws_managed import aws_managed_policies, is_aws_managed
from cumulet.services.iam.records import Holder, find_customer_policy, find_role, find_user, tags_of
from cumulet.services.kit import Call, ConditionValues, Demand, Principal, ResourceTags, Ruling
from cumulet.store.api import ReadTx

# IAM user guide, "Troubleshoot access denied error messages".
_EXPLICITLY: Final[Mapping[PolicyKind, str]] = {
    "identity": "an identity-based policy",
    "resource": "a resource-based policy",
    "boundary": "a permissions boundary",
    "session": "a session policy",
}
_FOR_WANT_OF: Final[Mapping[PolicyKind, str]] = {
    "identity": "identity-based policy",
    "resource": "resource-based policy",
    "boundary": "permissions boundary",
    "session": "session policy",
}
_PRINCIPAL_TYPES: Final = {"root": "Account", "user": "User", "role": "AssumedRole", "anonymous": "Anonymous"}

_REMEMBERED_CHARACTERS_MAX: Final = 2048
"""Of a resource: strangers name an API's paths, which can be thirty times as long."""

GLOBAL_SERVICE_REGION: Final = "us-east-1"
"""What aws:RequestedRegion says for services that have no regions."""


class IamAuthorizer:
    """The kit's Authorizer over the records of the IAM service."""

    def decide(
        self, tx: ReadTx, call: Call, demand: Demand, resource_policy: str | None, resource_tags: ResourceTags | None
    ) -> Ruling:
        """Return whether the caller may do what is demanded."""
        decision = _decide(tx, call, demand, resource_policy, resource_tags)
        if decision.allowed:
            return Ruling(True)
        return Ruling(False, _render_denial(call.principal, demand, decision), decision.explicit)


def _decide(
    tx: ReadTx, call: Call, demand: Demand, resource_policy: str | None, resource_tags: ResourceTags | None
) -> Decision:
    principal = call.principal
    action, resource, conditions = demand
    holder = _find_holder(tx, principal)
    if holder is None and principal.kind in ("role", "user"):
        return Decision(False, "identity")  # gone since they signed, and with them every grant
    assuming = action == "sts:AssumeRole"
    resource_account = _account_of(resource) or call.scope.account
    held = _held_policies(tx, holder) if holder else ()
    kind: DocumentKind = "trust" if assuming else "resource"
    own = (Policy("", parse_document(resource_policy, kind)),) if resource_policy else ()
    boundary = _managed_policy(tx, holder.boundary) if holder and holder.boundary else None
    session = tuple([_session_policy(tx, source) for source in principal.session_policies])
    role_arn = holder.arn(principal.account) if principal.kind == "role" and holder else ""
    caller = Caller(principal.kind, principal.arn, principal.account, role_arn)
    documents = [policy.document for policy in (*held, *own, *session, *((boundary,) if boundary else ()))]
    if not any(document.depends_on_context for document in documents):
        once = _decide_at_all_times if len(resource) <= _REMEMBERED_CHARACTERS_MAX else _decide_at_all_times.__wrapped__
        return once(caller, action, resource, resource_account, assuming, held, own, boundary, session)
    context = _context(call, holder, resource_account, conditions)
    if any(document.asks_for_tags for document in documents):
        context = _with_tags(tx, context, resource, resource_tags)
    request = Request(caller, action, resource, resource_account, context, resource_must_allow=assuming)
    return evaluate(request, held, own, boundary, session or None)


@lru_cache(maxsize=4096)
def _decide_at_all_times(
    caller: Caller,
    action: str,
    resource: str,
    resource_account: str,
    assuming: bool,
    held: tuple[Policy, ...],
    own: tuple[Policy, ...],
    boundary: Policy | None,
    session: tuple[Policy, ...],
) -> Decision:
    """Return the decision of policies without conditions and variables: a function does the same thing all day long."""
    request = Request(caller, action, resource, resource_account, resource_must_allow=assuming)
    return evaluate(request, held, own, boundary, session or None)


def _render_denial(principal: Principal, demand: Demand, decision: Decision) -> str:
    if principal.kind == "anonymous":
        return "Access Denied"  # S3, which alone serves strangers, tells them no more
    action, resource, _ = demand
    words = f"User: {principal.arn} is not authorized to perform: {action} on resource: {resource}"
    if action == "sts:AssumeRole":
        # STS does not tell outsiders what a trust policy says.
        return words
    if decision.explicit:
        return f"{words} with an explicit deny in {_EXPLICITLY[decision.kind]}"
    return f"{words} because no {_FOR_WANT_OF[decision.kind]} allows the {action} action"


def _find_holder(tx: ReadTx, principal: Principal) -> Holder | None:
    """Return the role or user behind the principal, unless it is gone or a namesake of the one that signed."""
    scope = Scope(principal.account, GLOBAL_REGION)
    holder: Holder | None = None
    if principal.kind == "role":
        holder = find_role(tx, scope, principal.name)
    elif principal.kind == "user":
        holder = find_user(tx, scope, principal.name)
    return holder if holder and principal.unique_id.partition(":")[0] == holder.unique_id else None


def _held_policies(tx: ReadTx, holder: Holder) -> tuple[Policy, ...]:
    held = [Policy(name, parse_document(text)) for name, text in holder.inline_policies.items()]
    held.extend([_managed_policy(tx, arn) for arn in holder.attached_policies])
    return tuple(held)


def _session_policy(tx: ReadTx, source: str) -> Policy:
    return _managed_policy(tx, source) if source.startswith("arn:") else Policy("", parse_document(source))


def _managed_policy(tx: ReadTx, arn: str) -> Policy:
    found = aws_managed_policies().get(arn) if is_aws_managed(arn) else find_customer_policy(tx, arn)
    # A boundary or session policy that is gone allows nothing.
    return Policy(arn, parse_document(found.default().document) if found else Document(()))


def _account_of(arn: str) -> str:
    """Return the account in an ARN; S3's have none, and AWS's own policies have no number."""
    parts = arn.split(":", 5)
    return parts[4] if len(parts) > 5 and parts[4].isdigit() else ""


def _context(
    call: Call, holder: Holder | None, resource_account: str, conditions: ConditionValues
) -> dict[str, str | Sequence[str]]:
    """Return the condition keys of a call. IAM user guide, "AWS global condition context keys"."""
    principal = call.principal
    seconds = call.now_ms // 1000
    region = call.scope.region
    context: dict[str, str | Sequence[str]] = {
        "aws:currenttime": _iso(seconds),
        "aws:epochtime": str(seconds),
        "aws:securetransport": "true" if call.secure else "false",
        "aws:requestedregion": GLOBAL_SERVICE_REGION if region == GLOBAL_REGION else region,
        "aws:resourceaccount": resource_account,
        "aws:principalisawsservice": "false",
        "aws:viaawsservice": "false",
    }
    if call.user_agent:
        context["aws:useragent"] = call.user_agent
    if principal.kind == "service":
        context["aws:principalisawsservice"] = "true"
        context["aws:principalservicename"] = principal.arn
        if principal.source_arn:
            context["aws:sourcearn"] = principal.source_arn
        if account := principal.source_account or _account_of(principal.source_arn):
            context["aws:sourceaccount"] = account
    else:
        context["aws:sourceip"] = call.source_ip
        context["aws:principaltype"] = _PRINCIPAL_TYPES[principal.kind]
        context["aws:userid"] = principal.unique_id or principal.arn
    if principal.account:
        context["aws:principalaccount"] = principal.account
        context["aws:principalarn"] = principal.arn
    if principal.kind == "user":
        context["aws:username"] = principal.name
    if principal.kind == "role":
        context["aws:multifactorauthpresent"] = "false"
        if principal.issued_ms:
            context["aws:tokenissuetime"] = _iso(principal.issued_ms // 1000)
    if holder is not None:
        if principal.kind == "role":
            context["aws:principalarn"] = holder.arn(principal.account)
        for key, value in holder.tags.items():
            context["aws:principaltag/" + key.lower()] = value
    for key, given in conditions.items():
        context[key.lower()] = given
    return context


class _WithoutTags(dict[str, str | Sequence[str]]):
    """Circumstances of which the resource's tags are not known."""

    def get(self, key: str, default: Any = None) -> Any:
        if RESOURCE_TAG in key:
            raise NotTold(key)
        return super().get(key, default)


def _with_tags(
    tx: ReadTx, context: dict[str, str | Sequence[str]], resource: str, resource_tags: ResourceTags | None
) -> dict[str, str | Sequence[str]]:
    """Return the circumstances with the resource's tags; what acts on no resource in particular has none."""
    tags: Mapping[str, str] = {}
    if resource.startswith("arn:aws:iam:"):
        tags = tags_of(tx, resource)  # whoever asks: Lambda and others ask about roles that they are to assume
    elif resource != "*":
        if resource_tags is None:
            return _WithoutTags(context)
        tags = resource_tags()
    for key, value in tags.items():
        for prefix in ("aws", "iam"):
            context[f"{prefix}{RESOURCE_TAG}{key.lower()}"] = value
    return context


@lru_cache(maxsize=64)
def _iso(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
