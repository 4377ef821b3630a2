"""The condition keys of one call. IAM user guide, "AWS global condition context keys".

A key is looked up when a policy asks for it, and at no other time: most policies ask for none.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from cumulet.policy.matching import NotTold
from cumulet.scope import GLOBAL_REGION, account_of
from cumulet.services.iam.records import tags_of
from cumulet.services.iam.standing import Standing
from cumulet.services.kit import Call, Demand, ResourceTags
from cumulet.settings import is_loopback
from cumulet.store.api import ReadTx

GLOBAL_SERVICE_REGION: Final = "us-east-1"
"""What aws:RequestedRegion says for services that have no regions."""

_IN_CALLED_VIA: Final = frozenset({"cloudformation.amazonaws.com", "dynamodb.amazonaws.com"})
"""The services here that aws:CalledVia names. Lambda, which fetches code for its caller, is not among them."""

_PRINCIPAL_TYPES: Final = {"root": "Account", "user": "User", "role": "AssumedRole", "anonymous": "Anonymous"}


class Circumstances:
    """The `Context` of a call to the evaluator."""

    __slots__ = ("_given", "call", "demand", "principal", "resource_account", "resource_tags", "standing", "tx")

    def __init__(
        self,
        tx: ReadTx,
        call: Call,
        demand: Demand,
        standing: Standing | None,
        resource_account: str,
        resource_tags: ResourceTags | None,
    ) -> None:
        self.tx = tx
        self.call = call
        self.demand = demand
        self.principal = call.principal
        self.standing = standing
        self.resource_account = resource_account
        self.resource_tags = resource_tags
        self._given: dict[str, str | Sequence[str]] | None = None

    def get(self, key: str, /) -> str | Sequence[str] | None:
        """Return what the key, in lower case, stands for. Raises NotTold for a tag of which nobody knows."""
        if (find := _GLOBAL.get(key)) is not None:
            return find(self)
        prefix, _, name = key.partition("/")
        if prefix == "aws:principaltag":
            return self.standing.tags.get(name) if self.standing else None
        if prefix.endswith(":resourcetag"):
            tags = self._tags()
            return tags.get(name) if prefix in ("aws:resourcetag", "iam:resourcetag") else None
        if self._given is None:
            self._given = {key.lower(): value for key, value in self.demand.conditions().items()}
        return self._given.get(key)

    def _tags(self) -> Mapping[str, str]:
        resource = self.demand.resource
        if resource.startswith("arn:aws:iam:"):
            # Whoever asks: Lambda and others ask about roles that they are to assume.
            tags: Mapping[str, str] = tags_of(self.tx, resource)
        elif resource == "*":
            return {}
        elif self.resource_tags is None:
            raise NotTold(resource)
        else:
            tags = self.resource_tags()
        return {key.lower(): value for key, value in tags.items()}


def _source_account(it: Circumstances) -> str | None:
    if it.principal.kind != "service":
        return None
    return find_source_account(it.principal.source_arn, it.principal.source_account)


def _called_via(it: Circumstances) -> list[str] | None:
    return [service for service in it.principal.through_services if service in _IN_CALLED_VIA] or None


def _called_via_at(it: Circumstances, at: int) -> str | None:
    services = _called_via(it)
    return services[at] if services else None


def _principal_arn(it: Circumstances) -> str | None:
    if not it.principal.account:
        return None
    return it.standing.arn if it.standing and it.principal.kind == "role" else it.principal.arn


def _requested_region(it: Circumstances) -> str:
    region = it.call.scope.region
    return GLOBAL_SERVICE_REGION if region == GLOBAL_REGION else region


def _token_issue_time(it: Circumstances) -> str | None:
    principal = it.principal
    return _iso(principal.issued_ms // 1000) if principal.kind == "role" and principal.issued_ms else None


def find_source_account(arn: str, account: str) -> str | None:
    """Return whose resource a service calls for: it may say so, or name the resource, or neither."""
    return account or account_of(arn) or None


@lru_cache(maxsize=64)
def _iso(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# None stands for a key that the call does not have.
_GLOBAL: Final[Mapping[str, Callable[[Circumstances], str | Sequence[str] | None]]] = {
    "aws:calledvia": _called_via,
    "aws:calledviafirst": lambda it: _called_via_at(it, 0),
    "aws:calledvialast": lambda it: _called_via_at(it, -1),
    "aws:currenttime": lambda it: _iso(it.call.now_ms // 1000),
    "aws:epochtime": lambda it: str(it.call.now_ms // 1000),
    "aws:multifactorauthpresent": lambda it: "false" if it.principal.kind == "role" else None,
    "aws:principalaccount": lambda it: it.principal.account or None,
    "aws:principalarn": _principal_arn,
    "aws:principalisawsservice": lambda it: "true" if it.principal.kind == "service" else "false",
    "aws:principalservicename": lambda it: it.principal.arn if it.principal.kind == "service" else None,
    "aws:principaltype": lambda it: _PRINCIPAL_TYPES.get(it.principal.kind),
    "aws:requestedregion": _requested_region,
    "aws:resourceaccount": lambda it: it.resource_account,
    # What stays on this machine nobody hears on its way (decision 0049).
    "aws:securetransport": lambda it: "true" if it.call.secure or is_loopback(it.call.source_ip) else "false",
    "aws:sourceaccount": _source_account,
    "aws:sourcearn": lambda it: it.principal.source_arn or None,
    "aws:sourceip": lambda it: None if it.principal.kind == "service" else it.call.source_ip,
    "aws:tokenissuetime": _token_issue_time,
    "aws:useragent": lambda it: it.call.user_agent or None,
    "aws:userid": lambda it: None if it.principal.kind == "service" else it.principal.unique_id or it.principal.arn,
    "aws:username": lambda it: it.principal.name if it.principal.kind == "user" else None,
    "aws:viaawsservice": lambda it: "true" if it.principal.through_services else "false",
    "lambda:sourcefunctionarn": lambda it: it.principal.function_arn or None,
}
