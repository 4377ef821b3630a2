"""Custom domain names and their API mappings, as the HTTP dialect has them."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from msgspec.structs import replace

from cumulet.errors import ServiceError
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
    routing_keys,
)
from cumulet.services.apigateway.control.listing import scanning
from cumulet.services.apigateway.control.v2.paging import page
from cumulet.services.apigateway.domains import Configuration, Domain
from cumulet.services.apigateway.routing import ApiMapping, RoutingMode
from cumulet.services.kit import Call, ConditionValues, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

DOMAIN = at("/domainnames/{DomainName}")
MAPPINGS = at("/domainnames/{DomainName}/apimappings")
MAPPING = at("/domainnames/{DomainName}/apimappings/{ApiMappingId}")

MODES: Mapping[str, RoutingMode] = {mode: mode for mode in get_args(RoutingMode)}

_KEY_TAKEN = "ApiMapping key already exists for this domain name"
_NO_MAPPING = "Invalid API mapping identifier specified"


def _asked(call: Call, params: Params) -> ConditionValues:
    return routing_keys(params.get("RoutingMode"))


@operation(
    "CreateDomainName",
    action=POST,
    resource=at("/domainnames"),
    params="DomainName DomainNameConfigurations RoutingMode Tags",
    conditions=_asked,
    missing=MISSING,
)
def create_domain_name(call: Call, tx: WriteTx, params: Params) -> Output:
    """Requests with this host are for the caller's mappings and rules."""
    mode = parse_mode(params.get("RoutingMode"), MODES)
    configuration = _configuration(call, params.get("DomainNameConfigurations") or (), None)
    tags = tagging.checked(params.get("Tags") or {})
    return show(create(call, tx, params["DomainName"], [configuration], mode, tags))


def _configuration(call: Call, given: Sequence[Mapping[str, Any]], before: Configuration | None) -> Configuration:
    """Return the one configuration that a request gives, over the one that was `before`."""
    if len(given) != 1:
        # https://github.com/hashicorp/terraform-provider-awscc/issues/1667
        raise ServiceError("BadRequestException", "Expected one domain name configuration")
    one = given[0]
    if one.get("EndpointType") not in (None, "REGIONAL"):
        raise ServiceError(
            "BadRequestException",
            "Only REGIONAL domain names can be managed through the API Gateway V2 API. For EDGE domain names, please "
            "use the API Gateway V1 API. Also note that only REST APIs can be attached to EDGE domain names.",
        )
    merged = {**(_show_configuration(before) if before is not None else {}), **one}
    return make_configuration(
        call,
        "REGIONAL",
        merged.get("CertificateArn"),
        before,
        certificate_name=merged.get("CertificateName"),
        security_policy=merged.get("SecurityPolicy"),
        ip_address_type=merged.get("IpAddressType"),
        ownership_certificate_arn=merged.get("OwnershipVerificationCertificateArn"),
        # This dialect has no word for it: it belongs to the policy that the other one gave.
        access_mode=before.access_mode if before and merged.get("SecurityPolicy") == before.security_policy else None,
    )


@operation("GetDomainName", action=GET, resource=DOMAIN, params="DomainName")
def get_domain_name(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one domain name."""
    return show(get_domain(tx, call, params["DomainName"]))


@operation("GetDomainNames", action=GET, resource=at("/domainnames"), params="MaxResults NextToken")
def get_domain_names(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the caller's domain names."""
    return page(params, scanning(domains.domains_of(tx, call.scope), _name), _name, show)


@operation(
    "UpdateDomainName",
    action=PATCH,
    resource=DOMAIN,
    params="DomainName DomainNameConfigurations RoutingMode",
    conditions=_asked,
    missing=MISSING,
)
def update_domain_name(call: Call, tx: WriteTx, params: Params) -> Output:
    """The domain name has the given configuration and routing mode."""
    domain = get_domain(tx, call, params["DomainName"])
    if (mode := params.get("RoutingMode")) is not None:
        domain = replace(domain, routing_mode=parse_mode(mode, MODES))
    if params.get("DomainNameConfigurations") is not None:
        before = next((one for one in domain.configurations if one.endpoint_type == "REGIONAL"), None)
        changed = _configuration(call, params["DomainNameConfigurations"], before)
        others = [one for one in domain.configurations if one.endpoint_type != "REGIONAL"]
        domain = replace(domain, configurations=(*others, changed))
    change(tx, domain)
    return show(domain)


@operation("DeleteDomainName", action=DELETE, resource=DOMAIN, params="DomainName")
def delete_domain_name(call: Call, tx: WriteTx, params: Params) -> Output:
    """The domain name is gone, with its mappings."""
    domains.delete(tx, get_domain(tx, call, params["DomainName"]))
    return {}


@operation("CreateApiMapping", action=POST, resource=MAPPINGS, params="DomainName ApiId ApiMappingKey Stage")
def create_api_mapping(call: Call, tx: WriteTx, params: Params) -> Output:
    """Requests below the key are for the API's stage."""
    domain = get_domain(tx, call, params["DomainName"])
    mapping = ApiMapping(
        call.ids.token(6), params["ApiId"], checked_key(params.get("ApiMappingKey") or ""), params["Stage"]
    )
    add_mapping(call, tx, domain, mapping, _KEY_TAKEN)
    return show_mapping(mapping)


def _mapping(tx: ReadTx, call: Call, params: Params) -> tuple[Domain, ApiMapping]:
    domain = get_domain(tx, call, params["DomainName"])
    wanted = params["ApiMappingId"]
    return domain, find_mapping(domain, lambda mapping: mapping.mapping_id == wanted, _NO_MAPPING)


@operation("GetApiMapping", action=GET, resource=MAPPING, params="DomainName ApiMappingId")
def get_api_mapping(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one mapping of a domain name."""
    return show_mapping(_mapping(tx, call, params)[1])


@operation("GetApiMappings", action=GET, resource=MAPPINGS, params="DomainName MaxResults NextToken")
def get_api_mappings(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the mappings of a domain name."""
    domain = get_domain(tx, call, params["DomainName"])
    return page(params, scanning(domain.mappings, _mapping_id), _mapping_id, show_mapping)


@operation(
    "UpdateApiMapping", action=PATCH, resource=MAPPING, params="DomainName ApiMappingId ApiId ApiMappingKey Stage"
)
def update_api_mapping(call: Call, tx: WriteTx, params: Params) -> Output:
    """The mapping has the given values."""
    domain, before = _mapping(tx, call, params)
    given = params.get("ApiMappingKey")
    mapping = ApiMapping(
        before.mapping_id,
        params["ApiId"],
        before.key if given is None else checked_key(given),
        params.get("Stage") or before.stage,
    )
    change_mapping(call, tx, domain, mapping, _KEY_TAKEN)
    return show_mapping(mapping)


@operation("DeleteApiMapping", action=DELETE, resource=MAPPING, params="DomainName ApiMappingId")
def delete_api_mapping(call: Call, tx: WriteTx, params: Params) -> Output:
    """The mapping is gone."""
    remove_mapping(tx, *_mapping(tx, call, params))
    return {}


def _name(domain: Domain) -> str:
    return domain.name


def _mapping_id(mapping: ApiMapping) -> str:
    return mapping.mapping_id


def show(domain: Domain) -> dict[str, Any]:
    """Return a domain name as the HTTP dialect shows it."""
    return {
        "ApiMappingSelectionExpression": "$request.basepath",
        "DomainName": domain.name,
        "DomainNameArn": arn_of(domain),
        "DomainNameConfigurations": [_show_in(domain, one) for one in domain.configurations],
        "RoutingMode": domain.routing_mode,
        "Tags": domain.tags,
    }


def _show_in(domain: Domain, configuration: Configuration) -> dict[str, Any]:
    zone = hosted_zone(domain, configuration)
    return _show_configuration(configuration) | ({} if zone is None else {"HostedZoneId": zone})


def _show_configuration(configuration: Configuration) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "ApiGatewayDomainName": configuration.gateway_name,
        "CertificateArn": configuration.certificate_arn,
        "CertificateName": configuration.certificate_name,
        "CertificateUploadDate": configuration.uploaded_s,
        "DomainNameStatus": "AVAILABLE",
        "EndpointType": configuration.endpoint_type,
        "IpAddressType": configuration.ip_address_type,
        "OwnershipVerificationCertificateArn": configuration.ownership_certificate_arn,
        "SecurityPolicy": configuration.security_policy,
    }
    return {name: value for name, value in shown.items() if value is not None}


def show_mapping(mapping: ApiMapping) -> dict[str, Any]:
    """Return a mapping as the HTTP dialect shows it."""
    shown = {"ApiId": mapping.api_id, "ApiMappingId": mapping.mapping_id, "Stage": mapping.stage or ""}
    if mapping.key:
        shown["ApiMappingKey"] = mapping.key
    return shown
