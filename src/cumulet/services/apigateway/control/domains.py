"""What both dialects' operations on custom domain names share: checks, in AWS's words, and changes of the record.

Certificates are recorded, not used: Cumulet serves plain HTTP behind whatever terminates TLS.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from cumulet.errors import ServiceError
from cumulet.scope import SYSTEM
from cumulet.services.apigateway import domains, limits
from cumulet.services.apigateway.control.security_policies import check_security, checked_ip_address_type
from cumulet.services.apigateway.domains import Configuration, Domain, EndpointType
from cumulet.services.apigateway.model import OWNERS, STAGES, ApiOwner
from cumulet.services.apigateway.routing import ApiMapping, RoutingMode
from cumulet.services.kit import Call, ConditionValues
from cumulet.store.api import ReadTx, WriteTx

MISSING = "mutual TLS, since Cumulet serves plain HTTP"

_NAME = re.compile(r"^(?=.{4,253}$)(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}\Z")
_CERTIFICATE = re.compile(r"^arn:aws[a-z-]*:acm:([a-z0-9-]+):\d{12}:certificate/[A-Za-z0-9-]+\Z")
_KEY = re.compile(r"^[A-Za-z0-9$\-_.+!*'()/]*\Z")

_EDGE_REGION = "us-east-1"
_EDGE_HOSTED_ZONE = "Z2FDTNDATAQYW2"
_HOSTED_ZONES = {
    "us-east-1": "Z1UJRXOUMOOFQ8",
    "us-east-2": "ZOJJZC49E0EPZ",
    "us-west-1": "Z2MUQ32089INYE",
    "us-west-2": "Z2OJLYMUO9EFXC",
    "eu-central-1": "Z1U9ULNL0V5AJ3",
    "eu-west-1": "ZLY8HYME6SFDD",
}
"""https://docs.aws.amazon.com/general/latest/gr/apigateway.html; names in other regions go without."""


def get_domain(tx: ReadTx, call: Call, name: str) -> Domain:
    """Return the caller's domain of that name."""
    domain = domains.find_in_region(tx, name.lower(), call.scope.region)
    if domain is None or domain.scope != call.scope:
        raise ServiceError("NotFoundException", "Invalid domain name identifier specified")
    return domain


def create(
    call: Call,
    tx: WriteTx,
    name: str,
    configurations: Sequence[Configuration],
    mode: RoutingMode,
    tags: dict[str, str],
) -> Domain:
    """A domain exists that nothing is mapped to yet."""
    name = name.lower()
    if not _NAME.match(name):
        raise _bad(f"Invalid domain name specified: {name}")
    if domains.find_in_region(tx, name, call.scope.region) is not None:
        # https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1151
        raise _bad("The domain name you provided already exists.")
    if len(domains.domains_of(tx, call.scope)) >= limits.DOMAINS_MAX:
        raise ServiceError("TooManyRequestsException", "Maximum number of domain names has been reached.")
    domain = Domain(
        name,
        call.scope.account,
        call.scope.region,
        call.now_ms // 1000,
        tuple(configurations),
        tags=tags,
        routing_mode=mode,
    )
    domains.save(tx, domain)
    return domain


def change(tx: WriteTx, domain: Domain) -> None:
    """The domain is this one, whose mappings go with its routing mode."""
    _check_mixture(tx, domain)
    domains.save(tx, domain)


def _check_mixture(tx: ReadTx, domain: Domain) -> None:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-routing-mode.html; the words are ours."""
    if domain.routing_mode == "API_MAPPING_ONLY":
        return
    owners = [OWNERS.find(tx, SYSTEM, mapping.api_id) for mapping in domain.mappings]
    if len({owner.kind for owner in owners if owner is not None}) > 1:
        raise _bad("Routing rules are not supported for domain names with API mappings to both REST and HTTP APIs")


def make_configuration(
    call: Call,
    kind: EndpointType,
    certificate_arn: str | None,
    before: Configuration | None = None,
    *,
    certificate_name: str | None = None,
    security_policy: str | None = None,
    ip_address_type: str | None = None,
    ownership_certificate_arn: str | None = None,
    access_mode: str | None = None,
) -> Configuration:
    """Return how a domain is served at one kind of endpoint. A new certificate counts as uploaded now."""
    _check_certificate(certificate_arn, _EDGE_REGION if kind == "EDGE" else call.scope.region)
    if ownership_certificate_arn is not None:
        _check_certificate(ownership_certificate_arn, None)
    security_policy = security_policy or "TLS_1_2"
    check_security(security_policy, access_mode, (kind,))
    if before is None:
        chance = call.ids.token(10)
        name = (
            f"d-{chance}.execute-api.{call.scope.region}.amazonaws.com"
            if kind == "REGIONAL"
            else f"d{chance}.cloudfront.net"
        )
    else:
        name = before.gateway_name
    kept = before is not None and before.certificate_arn == certificate_arn
    return Configuration(
        kind,
        certificate_arn or "",
        name,
        before.uploaded_s if before is not None and kept else call.now_ms // 1000,
        certificate_name,
        security_policy,
        checked_ip_address_type(ip_address_type),
        ownership_certificate_arn,
        access_mode,
    )


def _check_certificate(arn: str | None, region: str | None) -> None:
    found = _CERTIFICATE.match(arn or "")
    if found is None or region not in (None, found[1]):
        # https://github.com/amplify-education/serverless-domain-manager/pull/49
        where = f" Certificate must be in '{region}'." if region is not None else ""
        raise _bad(f"Invalid certificate ARN: {arn or 'null'}.{where}")


def parse_mode(given: str | None, names: Mapping[str, RoutingMode]) -> RoutingMode:
    """Return the routing mode that goes by one of a dialect's names. The words are ours."""
    if not given:
        return "API_MAPPING_ONLY"
    if given not in names:
        raise _bad(f"Invalid routing mode specified: {given}. Must be one of [{', '.join(names)}]")
    return names[given]


def routing_keys(mode: str | None) -> ConditionValues:
    """Return what a request says of a routing mode, for policies that allow some."""
    return {"apigateway:Request/RoutingMode": mode} if mode else {}


def checked_key(key: str) -> str:
    """Return a mapping's key of any number of levels. The words: aws/aws-cdk#9077."""
    if len(key) > limits.MAPPING_KEY_CHARS_MAX:
        raise _bad("An ApiMapping key may contain only letters, numbers and one of $-_.+!*'()/")
    return check_base_path(key, "An ApiMapping key", "API mapping key")


def check_base_path(path: str, what: str, short: str = "") -> str:
    """Return a path that is segments of the allowed characters, or nothing. The words: aws/aws-cdk#9077."""
    if not _KEY.match(path):
        raise _bad(f"{what} may contain only letters, numbers and one of $-_.+!*'()/")
    if path.startswith("/") or path.endswith("/") or "//" in path:
        raise _bad(f"{short or what} should not start with a '/' or have consecutive '/'s.")
    return path


def add_mapping(call: Call, tx: WriteTx, domain: Domain, mapping: ApiMapping, taken: str) -> None:
    """The domain has one more mapping. `taken` says, in the dialect's words, that its key is another's."""
    if domain.routing_mode == "ROUTING_RULE_ONLY":
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/set-routing-mode.html; the words are ours.
        raise _bad("API mappings cannot be created for a domain name with the routing mode ROUTING_RULE_ONLY")
    if len(domain.mappings) >= limits.MAPPINGS_PER_DOMAIN_MAX:
        raise ServiceError("TooManyRequestsException", "Maximum number of API mappings has been reached.")
    check_mapping(call, tx, domain, mapping, taken)
    change(tx, replace(domain, mappings=(*domain.mappings, mapping)))


def change_mapping(call: Call, tx: WriteTx, domain: Domain, mapping: ApiMapping, taken: str) -> None:
    """The domain has this mapping in place of the one with its id."""
    check_mapping(call, tx, domain, mapping, taken)
    changed = [mapping if mapping.mapping_id == old.mapping_id else old for old in domain.mappings]
    change(tx, replace(domain, mappings=tuple(changed)))


def remove_mapping(tx: WriteTx, domain: Domain, mapping: ApiMapping) -> None:
    """The domain no longer has that mapping."""
    domains.save(tx, replace(domain, mappings=tuple([other for other in domain.mappings if other != mapping])))


def check_mapping(call: Call, tx: ReadTx, domain: Domain, mapping: ApiMapping, taken: str) -> None:
    """Raise unless the API and the stage are there, the key is free, and the domain may have such a mapping."""
    if any(other.key == mapping.key and other.mapping_id != mapping.mapping_id for other in domain.mappings):
        raise ServiceError("ConflictException", taken)
    owner = get_target(call, tx, mapping.api_id, mapping.stage)
    if "/" in mapping.key or owner.kind == "HTTP":
        for configuration in domain.configurations:
            if configuration.endpoint_type != "REGIONAL" or configuration.security_policy == "TLS_1_0":
                # https://github.com/amplify-education/serverless-domain-manager/issues/359
                raise _bad(
                    "Only REGIONAL domain names can be managed through the API Gateway V2 API. For EDGE domain names, "
                    "please use the API Gateway V1 API. Also note that only REST APIs can be attached to EDGE domain "
                    "names."
                    if configuration.endpoint_type != "REGIONAL"
                    else "API mappings of HTTP APIs, and those with multiple levels, need the security policy TLS_1_2"
                )


def get_target(call: Call, tx: ReadTx, api_id: str, stage: str | None) -> ApiOwner:
    """Return whose API it is that a domain shall lead to. Raises unless it is the caller's, and has the stage."""
    owner = OWNERS.find(tx, SYSTEM, api_id)
    if owner is None or owner.scope != call.scope:
        raise _bad("Invalid API identifier specified")
    if stage is not None and STAGES.find(tx, call.scope, api_id, stage) is None:
        raise _bad("Invalid stage identifier specified")
    return owner


def find_mapping(domain: Domain, is_it: Callable[[ApiMapping], bool], absent: str) -> ApiMapping:
    """Return the domain's mapping that `is_it`. Raises NotFoundException in the dialect's words."""
    found = next((mapping for mapping in domain.mappings if is_it(mapping)), None)
    if found is None:
        raise ServiceError("NotFoundException", absent)
    return found


def require_unmapped(tx: ReadTx, call: Call, api_id: str, stage: str | None = None) -> None:
    """Raise BadRequestException while a domain leads to the API, or to its stage, that is to be deleted.

    The words for APIs: serverless/serverless#3638 and gruntwork-io/cloud-nuke#370. Those for stages are ours.
    """
    names = domains.domains_with(tx, call.scope, api_id, stage)
    if not names:
        return
    owner = OWNERS.find(tx, SYSTEM, api_id)
    what, name = ("stage", stage) if stage is not None else ("API", api_id)
    if owner is not None and owner.kind == "HTTP":
        raise _bad(
            f"Deleting {what} {name} failed. Please remove all API mappings for the {what} from your custom domain "
            "names."
        )
    what = "RestApi" if stage is None else what
    raise _bad(
        f"Deleting {what} {name} failed. Please remove all base path mappings related to the {what} in your domains: "
        f"{', '.join(names)}"
    )


def tags_of(tx: ReadTx, call: Call, name: str) -> tuple[dict[str, str], Callable[[WriteTx], None]]:
    """Return the tags of a domain name, and what saves them once they are changed."""
    domain = get_domain(tx, call, name)
    tags = dict(domain.tags)
    return tags, lambda write: domains.save(write, replace(domain, tags=tags))


def hosted_zone(domain: Domain, configuration: Configuration) -> str | None:
    """Return the id of Route 53's zone that a domain's alias record would point into."""
    return _EDGE_HOSTED_ZONE if configuration.endpoint_type == "EDGE" else _HOSTED_ZONES.get(domain.region)


def arn_of(domain: Domain) -> str:
    """Return a domain's ARN."""
    return f"arn:aws:apigateway:{domain.region}::/domainnames/{domain.name}"


def _bad(words: str) -> ServiceError:
    return ServiceError("BadRequestException", words)
