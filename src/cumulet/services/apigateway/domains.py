"""Custom domain names: whose they are, and which stage of which API answers below which path.

Both dialects have operations on them, and AWS shows what one of them made through the other as well; so there is one
record. A mapping's key is the base path of REST's dialect, which knows only keys of one level.
https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-mappings.html
"""

from functools import cached_property
from typing import Literal
from urllib.parse import unquote

import msgspec

from cumulet.scope import SYSTEM, Scope
from cumulet.services.apigateway.routing import ApiMapping, Routes, RoutingMode, RoutingRule
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import API_DOMAIN
from cumulet.store.records import Records
from cumulet.wire.message import Request

EndpointType = Literal["EDGE", "REGIONAL"]


class Configuration(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a domain name is served at one kind of endpoint."""

    endpoint_type: EndpointType
    certificate_arn: str
    gateway_name: str
    """The name that the domain's DNS record would point to: d-abc.execute-api..., or a distribution's."""
    uploaded_s: int
    certificate_name: str | None = None
    security_policy: str = "TLS_1_2"
    ip_address_type: str = "ipv4"
    ownership_certificate_arn: str | None = None
    access_mode: str | None = None


class Domain(msgspec.Struct, frozen=True, omit_defaults=True, dict=True):
    """A domain name in one region: AWS has a name once in each, and DNS chooses."""

    name: str
    account: str
    region: str
    created_s: int
    configurations: tuple[Configuration, ...]
    mappings: tuple[ApiMapping, ...] = ()
    tags: dict[str, str] = {}
    routing_mode: RoutingMode = "API_MAPPING_ONLY"
    rules: tuple[RoutingRule, ...] = ()

    @property
    def scope(self) -> Scope:
        """Whose it is, and where its APIs are."""
        return Scope(self.account, self.region)

    @cached_property
    def routes(self) -> Routes:
        """Where requests go: made of a record once, as records are decoded once."""
        return Routes(self.routing_mode, self.rules, self.mappings)


DOMAINS = Records(API_DOMAIN, Domain, cached=256)


class Mapped(msgspec.Struct, frozen=True):
    """Where a request to a custom domain name goes."""

    api_id: str
    stage: str | None
    path: str
    """What the API sees of the path, percent-encoded."""
    variables: dict[str, str]
    """What logs can tell of it: the key of the mapping, or the id of the rule.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-routing-rules-troubleshoot.html
    """


def find_in_region(tx: ReadTx, name: str, region: str) -> Domain | None:
    """Return the domain of that name in a region, whoever's it is."""
    return DOMAINS.find(tx, SYSTEM, name, region)


def save(tx: WriteTx, domain: Domain) -> None:
    """Make this the domain of its name in its region."""
    DOMAINS.save(tx, SYSTEM, domain.name, domain.region, record=domain)


def delete(tx: WriteTx, domain: Domain) -> None:
    """Remove a domain with its mappings."""
    DOMAINS.delete(tx, SYSTEM, domain.name, domain.region)


def domains_of(tx: ReadTx, scope: Scope) -> list[Domain]:
    """Return the domains of an account in a region, by name."""
    return [domain for domain in DOMAINS.scan(tx, SYSTEM) if domain.scope == scope]


def domains_with(tx: ReadTx, scope: Scope, api_id: str, stage: str | None = None) -> list[str]:
    """Return the names of the domains that have a mapping or a rule for an API, or for one of its stages."""

    def leads_there(target: ApiMapping | RoutingRule) -> bool:
        return target.api_id == api_id and stage in (None, target.stage)

    return [
        domain.name
        for domain in domains_of(tx, scope)
        if any(map(leads_there, domain.mappings)) or any(map(leads_there, domain.rules))
    ]


def find_mapped(tx: ReadTx, host: str, request: Request) -> Mapped | Literal["unmapped"] | None:
    """Return where a request goes, "unmapped" if nothing answers there, or None if the host is no domain of ours.

    The exact name wins over a wildcard of its parent. `host` is in lower case and has no port.
    """
    found = list(DOMAINS.scan(tx, SYSTEM, host)) or list(DOMAINS.scan(tx, SYSTEM, f"*.{host.partition('.')[2]}"))
    if not found:
        return None
    segments = request.path[1:].split("/")
    decoded = [unquote(segment) for segment in segments] if "%" in request.path else segments
    # A host says nothing of regions, where AWS has DNS: whatever region has a rule, then whichever has the longest key.
    for domain in found:
        if (ruled := domain.routes.find_rule(request, decoded)) is not None:
            rule, stripped = ruled
            variables = {"customDomain.routingRuleIdMatched": rule.rule_id}
            return Mapped(rule.api_id, rule.stage, "/" + "/".join(segments[stripped:]), variables)
    mapped = [one for domain in found if (one := domain.routes.find_mapping(decoded)) is not None]
    if not mapped:
        return "unmapped"
    mapping, levels = max(mapped, key=lambda one: one[1])
    variables = {"customDomain.basePathMatched": mapping.key or "(none)"}
    return Mapped(mapping.api_id, mapping.stage, "/" + "/".join(segments[levels:]), variables)
