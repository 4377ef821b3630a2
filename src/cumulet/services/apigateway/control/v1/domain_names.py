"""Custom domain names and their base path mappings, as the REST dialect has them."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway import domains
from cumulet.services.apigateway.control import tagging
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, POST, at
from cumulet.services.apigateway.control.domains import (
    MISSING,
    add_mapping,
    arn_of,
    change,
    change_mapping,
    checked_key,
    create,
    find_mapping,
    get_domain,
    hosted_zone,
    make_configuration,
    parse_mode,
    remove_mapping,
)
from cumulet.services.apigateway.control.listing import scanning
from cumulet.services.apigateway.control.v1 import condition_keys, patching
from cumulet.services.apigateway.control.v1.paging import page
from cumulet.services.apigateway.domains import Configuration, Domain
from cumulet.services.apigateway.routing import ApiMapping, RoutingMode
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

DOMAIN = at("/domainnames/{domainName}")
MAPPINGS = at("/domainnames/{domainName}/basepathmappings")
MAPPING = at("/domainnames/{domainName}/basepathmappings/{basePath}")

DOMAIN_PATCHES = patching.table(
    """
    /certificateArn                       text    add replace remove
    /certificateName                      text    add replace remove
    /regionalCertificateArn               text    add replace remove
    /regionalCertificateName              text    add replace remove
    /ownershipVerificationCertificateArn  text    add replace remove
    /securityPolicy                       text    replace
    /endpointConfiguration/ipAddressType  text    replace
    /endpointConfiguration/types          members add remove
    /endpointConfiguration/types/{type}   listed  replace
    /routingMode                          text    replace
    /endpointAccessMode                   text    replace
    /mutualTlsAuthentication/{member}     refused add replace remove
    /policy                               refused replace
    /managementPolicy                     refused replace
    """
)
MAPPING_PATCHES = patching.table(
    """
    /basePath   text replace
    /basepath   text replace
    /restapiId  text replace
    /stage      text replace
    """
)

_MISSING = f"private domain names; {MISSING}"
_CERTIFICATES = {"EDGE": "certificate", "REGIONAL": "regionalCertificate"}
"""With what the members of each endpoint type's certificate begin."""
MODES: Mapping[str, RoutingMode] = {
    "BASE_PATH_MAPPING_ONLY": "API_MAPPING_ONLY",
    "ROUTING_RULE_ONLY": "ROUTING_RULE_ONLY",
    "ROUTING_RULE_THEN_BASE_PATH_MAPPING": "ROUTING_RULE_THEN_API_MAPPING",
}
"""The routing modes by the names that this dialect has for them."""
_MODE_NAMES = {mode: name for name, mode in MODES.items()}
_NONE = "(none)"
_KEY_TAKEN = "Base path already exists for this domain name"
_NO_MAPPING = "Invalid base path mapping identifier specified"


def _found(tx: ReadTx, call: Call, params: Params) -> Mapping[str, Any]:
    domain = domains.find_in_region(tx, params["domainName"].lower(), call.scope.region)
    return {} if domain is None or domain.scope != call.scope else show(domain)


@operation(
    "CreateDomainName",
    action=POST,
    resource=at("/domainnames"),
    params=(
        "domainName certificateName certificateArn regionalCertificateName regionalCertificateArn "
        "endpointConfiguration tags securityPolicy endpointAccessMode ownershipVerificationCertificateArn routingMode"
    ),
    conditions=condition_keys.asked(condition_keys.DOMAIN),
    missing=_MISSING,
)
def create_domain_name(call: Call, tx: WriteTx, params: Params) -> Output:
    """Requests with this host are for the caller's mappings and rules."""
    mode = parse_mode(params.get("routingMode"), MODES)
    tags = tagging.checked(params.get("tags") or {})
    return show(create(call, tx, params["domainName"], _configurations(call, params, ()), mode, tags))


def _configurations(call: Call, given: Params, before: tuple[Configuration, ...]) -> list[Configuration]:
    """Return a domain's configurations as the members of CreateDomainName describe them."""
    endpoints = given.get("endpointConfiguration") or {}
    types = endpoints.get("types") or ["EDGE"]
    if "PRIVATE" in types or endpoints.get("vpcEndpointIds"):
        raise NotImplementedHere("The endpoint type PRIVATE of API Gateway")
    if not types or len(set(types)) < len(types) or not set(types) <= _CERTIFICATES.keys():
        raise ServiceError("BadRequestException", "Invalid endpoint types specified. Must be of [EDGE, REGIONAL]")
    for kind, prefix in _CERTIFICATES.items():
        if kind not in types and given.get(f"{prefix}Arn"):
            raise ServiceError("BadRequestException", f"{prefix}Arn is for domain names with the endpoint type {kind}")
    return [
        make_configuration(
            call,
            kind,
            given.get(f"{_CERTIFICATES[kind]}Arn"),
            next((one for one in before if one.endpoint_type == kind), None),
            certificate_name=given.get(f"{_CERTIFICATES[kind]}Name"),
            security_policy=given.get("securityPolicy"),
            ip_address_type=endpoints.get("ipAddressType"),
            ownership_certificate_arn=given.get("ownershipVerificationCertificateArn"),
            access_mode=given.get("endpointAccessMode"),
        )
        for kind in types
    ]


@operation("GetDomainName", action=GET, resource=DOMAIN, params="domainName", missing="private domain names")
def get_domain_name(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one domain name."""
    return show(get_domain(tx, call, params["domainName"]))


@operation("GetDomainNames", action=GET, resource=at("/domainnames"), params="position limit resourceOwner")
def get_domain_names(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the caller's domain names. Other accounts share only private ones, which nobody has here."""
    if params.get("resourceOwner") == "OTHER_ACCOUNTS":
        return {"items": []}
    return page(params, scanning(domains.domains_of(tx, call.scope), _name), _name, show)


@operation(
    "UpdateDomainName",
    action=PATCH,
    resource=DOMAIN,
    params="domainName patchOperations",
    conditions=condition_keys.patched(condition_keys.DOMAIN, _found),
    missing=_MISSING,
)
def update_domain_name(call: Call, tx: WriteTx, params: Params) -> Output:
    """The domain name has the patched values."""
    before = get_domain(tx, call, params["domainName"])
    given = patching.patched(show(before), params.get("patchOperations"), DOMAIN_PATCHES)
    # What belonged to a type that was taken away goes with it, as in the guide's own migration.
    types = given["endpointConfiguration"]["types"]
    for kind, prefix in _CERTIFICATES.items():
        if kind not in types:
            given[f"{prefix}Arn"] = None
    domain = replace(
        before,
        configurations=tuple(_configurations(call, given, before.configurations)),
        routing_mode=parse_mode(given["routingMode"], MODES),
    )
    change(tx, domain)
    return show(domain)


@operation(
    "DeleteDomainName",
    action=DELETE,
    resource=DOMAIN,
    params="domainName",
    conditions=condition_keys.kept(condition_keys.DOMAIN, _found),
    missing="private domain names",
)
def delete_domain_name(call: Call, tx: WriteTx, params: Params) -> Output:
    """The domain name is gone, with its mappings."""
    domains.delete(tx, get_domain(tx, call, params["domainName"]))
    return {}


@operation(
    "CreateBasePathMapping",
    action=POST,
    resource=MAPPINGS,
    params="domainName basePath restApiId stage",
    missing="private domain names",
)
def create_base_path_mapping(call: Call, tx: WriteTx, params: Params) -> Output:
    """Requests below the base path are for the API, at the given stage or at the one that they name."""
    domain = get_domain(tx, call, params["domainName"])
    mapping = _make_mapping(call.ids.token(6), params)
    add_mapping(call, tx, domain, mapping, _KEY_TAKEN)
    return show_mapping(mapping)


def _make_mapping(mapping_id: str, given: Params) -> ApiMapping:
    base, stage = given.get("basePath") or "", given.get("stage") or ""
    if "/" in base:
        # https://github.com/hashicorp/terraform-provider-aws/issues/21986
        raise ServiceError(
            "BadRequestException",
            "API Gateway V1 doesn't support the slash character (/) in base path mappings. To create a multi-level "
            "base path mapping, use API Gateway V2.",
        )
    return ApiMapping(
        mapping_id,
        given["restApiId"],
        "" if base == _NONE else checked_key(base),
        None if stage in ("", _NONE) else stage,
    )


def _mapping(tx: ReadTx, call: Call, params: Params) -> tuple[Domain, ApiMapping]:
    domain = get_domain(tx, call, params["domainName"])
    wanted = "" if params["basePath"] == _NONE else params["basePath"]
    return domain, find_mapping(domain, lambda mapping: mapping.key == wanted, _NO_MAPPING)


@operation(
    "GetBasePathMapping",
    action=GET,
    resource=MAPPING,
    params="domainName basePath",
    missing="private domain names",
)
def get_base_path_mapping(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one mapping of a domain name."""
    return show_mapping(_mapping(tx, call, params)[1])


@operation(
    "GetBasePathMappings",
    action=GET,
    resource=MAPPINGS,
    params="domainName position limit",
    missing="private domain names",
)
def get_base_path_mappings(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the mappings of a domain name."""
    domain = get_domain(tx, call, params["domainName"])
    return page(params, scanning(domain.mappings, _key), _key, show_mapping)


@operation(
    "UpdateBasePathMapping",
    action=PATCH,
    resource=MAPPING,
    params="domainName basePath patchOperations",
    missing="private domain names",
)
def update_base_path_mapping(call: Call, tx: WriteTx, params: Params) -> Output:
    """The mapping has the patched values."""
    domain, before = _mapping(tx, call, params)
    shown = {"basePath": before.key, "restapiId": before.api_id, "stage": before.stage}
    given = patching.patched(shown, params.get("patchOperations"), MAPPING_PATCHES)
    if "basepath" in given:  # so the table spells what every answer has as basePath
        given["basePath"] = given["basepath"]
    mapping = _make_mapping(before.mapping_id, {**given, "restApiId": given["restapiId"]})
    change_mapping(call, tx, domain, mapping, _KEY_TAKEN)
    return show_mapping(mapping)


@operation(
    "DeleteBasePathMapping",
    action=DELETE,
    resource=MAPPING,
    params="domainName basePath",
    missing="private domain names",
)
def delete_base_path_mapping(call: Call, tx: WriteTx, params: Params) -> Output:
    """The mapping is gone."""
    remove_mapping(tx, *_mapping(tx, call, params))
    return {}


def _name(domain: Domain) -> str:
    return domain.name


def _key(mapping: ApiMapping) -> str:
    return mapping.key


def show(domain: Domain) -> dict[str, Any]:
    """Return a domain name as the REST dialect shows it."""
    first = domain.configurations[0]
    shown: dict[str, Any] = {
        "domainName": domain.name,
        "domainNameArn": arn_of(domain),
        "domainNameStatus": "AVAILABLE",
        "endpointConfiguration": {
            "types": [one.endpoint_type for one in domain.configurations],
            "ipAddressType": first.ip_address_type,
        },
        "securityPolicy": first.security_policy,
        "endpointAccessMode": first.access_mode,
        "routingMode": _MODE_NAMES[domain.routing_mode],
        "tags": domain.tags,
        "ownershipVerificationCertificateArn": first.ownership_certificate_arn,
    }
    for one in domain.configurations:
        if one.endpoint_type == "EDGE":
            shown["certificateArn"] = one.certificate_arn
            shown["certificateName"] = one.certificate_name
            shown["certificateUploadDate"] = one.uploaded_s
            shown["distributionDomainName"] = one.gateway_name
            shown["distributionHostedZoneId"] = hosted_zone(domain, one)
        else:
            shown["regionalCertificateArn"] = one.certificate_arn
            shown["regionalCertificateName"] = one.certificate_name
            shown["regionalDomainName"] = one.gateway_name
            shown["regionalHostedZoneId"] = hosted_zone(domain, one)
    return {name: value for name, value in shown.items() if value is not None}


def show_mapping(mapping: ApiMapping) -> dict[str, Any]:
    """Return a mapping as the REST dialect shows it."""
    shown = {"basePath": mapping.key or _NONE, "restApiId": mapping.api_id}
    if mapping.stage is not None:
        shown["stage"] = mapping.stage
    return shown
