"""Custom domain names: whose they are, and which stage of which API answers below which path.

Both dialects have operations on them, and AWS shows what one of them made through the other as well; so there is one
record. A mapping's key is the base path of REST's dialect, which knows only keys of one level.
https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-mappings.html
"""

from typing import Literal
from urllib.parse import unquote

import msgspec

from cumulet.scope import SYSTEM, Scope
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import API_DOMAIN
from cumulet.store.records import Records

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


class ApiMapping(msgspec.Struct, frozen=True, omit_defaults=True):
    """A path below a domain, and what answers there."""

    mapping_id: str
    api_id: str
    key: str = ""
    """Without slashes at its ends; empty for whatever no other mapping takes."""
    stage: str | None = None
    """None if callers name the stage behind the base path."""


class Domain(msgspec.Struct, frozen=True, omit_defaults=True):
    """A domain name in one region: AWS has a name once in each, and DNS chooses."""

    name: str
    account: str
    region: str
    created_s: int
    configurations: tuple[Configuration, ...]
    mappings: tuple[ApiMapping, ...] = ()
    tags: dict[str, str] = {}

    @property
    def scope(self) -> Scope:
        """Whose it is, and where its APIs are."""
        return Scope(self.account, self.region)


DOMAINS = Records(API_DOMAIN, Domain, cached=256)


class Mapped(msgspec.Struct, frozen=True):
    """Where a request to a custom domain name goes."""

    api_id: str
    stage: str | None
    path: str
    """What follows the base path, percent-encoded."""


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
    """Return the names of the domains that have a mapping to an API, or to one of its stages."""
    return [
        domain.name
        for domain in domains_of(tx, scope)
        if any(mapping.api_id == api_id and stage in (None, mapping.stage) for mapping in domain.mappings)
    ]


def find_mapped(tx: ReadTx, host: str, path: str) -> Mapped | Literal["unmapped"] | None:
    """Return where a request goes, "unmapped" if nothing answers there, or None if the host is no domain of ours.

    The exact name wins over a wildcard of its parent. `host` is in lower case and has no port.
    """
    found = list(DOMAINS.scan(tx, SYSTEM, host)) or list(DOMAINS.scan(tx, SYSTEM, f"*.{host.partition('.')[2]}"))
    if not found:
        return None
    segments = path[1:].split("/")
    decoded = [unquote(segment) for segment in segments] if "%" in path else segments
    # A host says nothing of regions, where AWS has DNS: whatever region has the longest key.
    best: ApiMapping | None = None
    for mapping in (mapping for domain in found for mapping in domain.mappings):
        if (best is None or len(mapping.key) > len(best.key)) and _covers(mapping.key, decoded):
            best = mapping
    if best is None:
        return "unmapped"
    levels = best.key.count("/") + 1 if best.key else 0
    return Mapped(best.api_id, best.stage, "/" + "/".join(segments[levels:]))


def _covers(key: str, segments: list[str]) -> bool:
    parts = key.split("/") if key else []
    return segments[: len(parts)] == parts
