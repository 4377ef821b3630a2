"""AWS::ApiGateway::DomainName and BasePathMapping, AWS::ApiGatewayV2::DomainName, ApiMapping and RoutingRule."""

from operator import itemgetter
from typing import Any

from cumulet.services.cloudformation.resources.kit import Desk, Made, Properties, own_tags, resource_type

_GONE = "NotFoundException"


async def _set_tags(desk: Desk, name: str, old: Properties, new: Properties) -> None:
    arn = f"arn:aws:apigateway:{desk.scope.region}::/domainnames/{name}"
    tags = desk.merged_tags(new)
    if removed := sorted(own_tags(old).keys() - tags.keys()):
        await desk.call("apigatewayv2", "UntagResource", {"ResourceArn": arn, "TagKeys": removed})
    if tags and tags != own_tags(old):
        await desk.call("apigatewayv2", "TagResource", {"ResourceArn": arn, "Tags": tags})


# Domain names of the REST dialect

_ATTRIBUTES = "DistributionDomainName DistributionHostedZoneId DomainNameArn RegionalDomainName RegionalHostedZoneId"


def _endpoints(properties: Properties) -> dict[str, Any] | None:
    given = properties.get("EndpointConfiguration")
    return None if given is None else {f"{name[:1].lower()}{name[1:]}": value for name, value in given.items()}


async def _create_domain(desk: Desk, properties: Properties) -> Made:
    params = {
        "domainName": properties["DomainName"],
        "endpointAccessMode": properties.get("EndpointAccessMode"),
        "certificateArn": properties.get("CertificateArn"),
        "regionalCertificateArn": properties.get("RegionalCertificateArn"),
        "endpointConfiguration": _endpoints(properties),
        "ownershipVerificationCertificateArn": properties.get("OwnershipVerificationCertificateArn"),
        "routingMode": properties.get("RoutingMode"),
        "securityPolicy": properties.get("SecurityPolicy"),
        "tags": desk.merged_tags(properties) or None,
    }
    return _made_domain(await desk.make("apigateway", "CreateDomainName", params, itemgetter("domainName")))


def _made_domain(output: Any) -> Made:
    shown = {f"{name[:1].upper()}{name[1:]}": value for name, value in output.items()}
    return Made(output["domainName"], {name: shown[name] for name in _ATTRIBUTES.split() if name in shown})


async def _update_domain(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    before, after = _endpoints(old) or {}, _endpoints(new) or {}
    types_before, types_after = before.get("types") or ["EDGE"], after.get("types") or ["EDGE"]
    patches = [
        {"op": "add", "path": "/endpointConfiguration/types", "value": kind}
        for kind in types_after
        if kind not in types_before
    ]
    patches += [
        {"op": "remove", "path": "/endpointConfiguration/types", "value": kind}
        for kind in types_before
        if kind not in types_after
    ]
    members = ("CertificateArn", "RegionalCertificateArn", "OwnershipVerificationCertificateArn")
    for member in (*members, "SecurityPolicy", "EndpointAccessMode", "RoutingMode"):
        if new.get(member) != old.get(member):
            path = f"/{member[:1].lower()}{member[1:]}"
            patches.append({"op": "replace", "path": path, "value": new.get(member) or ""})
    if (kind := after.get("ipAddressType")) != before.get("ipAddressType"):
        patches.append({"op": "replace", "path": "/endpointConfiguration/ipAddressType", "value": kind or "ipv4"})
    if patches:
        params = {"domainName": made.physical_id, "patchOperations": patches}
        made = _made_domain(await desk.call("apigateway", "UpdateDomainName", params))
    await _set_tags(desk, made.physical_id, old, new)
    return made


async def _delete_domain(desk: Desk, name: str, properties: Properties) -> None:
    await desk.drop("apigateway", "DeleteDomainName", {"domainName": name}, _GONE)


DOMAIN_NAME = resource_type(
    "AWS::ApiGateway::DomainName",
    objects="EndpointConfiguration",
    entries={"Tags": "Key Value"},
    create=_create_domain,
    update=_update_domain,
    delete=_delete_domain,
    properties="CertificateArn DomainName EndpointAccessMode EndpointConfiguration"
    " OwnershipVerificationCertificateArn RegionalCertificateArn RoutingMode SecurityPolicy Tags",
    required="DomainName",
    immutable="DomainName",
    not_built="MutualTlsAuthentication",
    attributes=_ATTRIBUTES,
)


# Base path mappings

_NONE = "(none)"


async def _create_base_path(desk: Desk, properties: Properties) -> Made:
    params = {
        "domainName": properties["DomainName"],
        "basePath": properties.get("BasePath"),
        "restApiId": properties["RestApiId"],
        "stage": properties.get("Stage"),
    }

    def identify(output: Any) -> str:
        return f"{properties['DomainName']}|{output['basePath']}"

    return Made(identify(await desk.make("apigateway", "CreateBasePathMapping", params, identify)))


def _base_path(physical_id: str) -> dict[str, str]:
    domain, _, base = physical_id.partition("|")
    return {"domainName": domain, "basePath": base}


async def _update_base_path(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    patches = [
        {"op": "replace", "path": path, "value": new.get(member) or _NONE}
        for member, path in (("RestApiId", "/restapiId"), ("Stage", "/stage"))
        if new.get(member) != old.get(member)
    ]
    params = {**_base_path(made.physical_id), "patchOperations": patches}
    await desk.call("apigateway", "UpdateBasePathMapping", params)
    return made


async def _delete_base_path(desk: Desk, physical_id: str, properties: Properties) -> None:
    await desk.drop("apigateway", "DeleteBasePathMapping", _base_path(physical_id), _GONE)


BASE_PATH_MAPPING = resource_type(
    "AWS::ApiGateway::BasePathMapping",
    create=_create_base_path,
    update=_update_base_path,
    delete=_delete_base_path,
    properties="BasePath DomainName RestApiId Stage",
    required="DomainName RestApiId",
    immutable="BasePath DomainName",
    not_built="Id",
)


# Domain names of the HTTP dialect, and their mappings


async def _create_v2_domain(desk: Desk, properties: Properties) -> Made:
    params = {**properties, "Tags": desk.merged_tags(properties) or None}
    return _made_v2_domain(await desk.make("apigatewayv2", "CreateDomainName", params, itemgetter("DomainName")))


def _made_v2_domain(output: Any) -> Made:
    attributes = {
        "DomainNameArn": output["DomainNameArn"],
        "RegionalDomainName": output["DomainNameConfigurations"][0]["ApiGatewayDomainName"],
    }
    if (zone := output["DomainNameConfigurations"][0].get("HostedZoneId")) is not None:
        attributes["RegionalHostedZoneId"] = zone
    return Made(output["DomainName"], attributes)


async def _update_v2_domain(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    given = {name: value for name, value in new.items() if name != "Tags"}
    output = await desk.call("apigatewayv2", "UpdateDomainName", given)
    await _set_tags(desk, made.physical_id, old, new)
    return _made_v2_domain(output)


V2_DOMAIN_NAME = resource_type(
    "AWS::ApiGatewayV2::DomainName",
    objects="Tags",
    entries={"DomainNameConfigurations": "CertificateArn"},
    create=_create_v2_domain,
    update=_update_v2_domain,
    delete=_delete_domain,
    properties="DomainName DomainNameConfigurations RoutingMode Tags",
    required="DomainName",
    immutable="DomainName",
    not_built="MutualTlsAuthentication",
    attributes="DomainNameArn RegionalDomainName RegionalHostedZoneId",
)


async def _create_mapping(desk: Desk, properties: Properties) -> Made:
    identify = itemgetter("ApiMappingId")
    mapping_id = identify(await desk.make("apigatewayv2", "CreateApiMapping", properties, identify))
    return Made(mapping_id, {"ApiMappingId": mapping_id})


async def _update_mapping(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    given = {"ApiMappingKey": "", **new, "ApiMappingId": made.physical_id}
    await desk.call("apigatewayv2", "UpdateApiMapping", given)
    return made


async def _delete_mapping(desk: Desk, mapping_id: str, properties: Properties) -> None:
    params = {"DomainName": properties["DomainName"], "ApiMappingId": mapping_id}
    await desk.drop("apigatewayv2", "DeleteApiMapping", params, _GONE)


API_MAPPING = resource_type(
    "AWS::ApiGatewayV2::ApiMapping",
    create=_create_mapping,
    update=_update_mapping,
    delete=_delete_mapping,
    properties="ApiId ApiMappingKey DomainName Stage",
    required="ApiId DomainName Stage",
    immutable="DomainName",
    attributes="ApiMappingId",
)


def _rule_params(properties: Properties) -> dict[str, Any]:
    given = {name: properties[name] for name in ("Actions", "Conditions", "Priority")}
    return {"DomainName": properties["DomainNameArn"].rpartition("/")[2], **given}


def _made_rule(output: Any) -> Made:
    arn = output["RoutingRuleArn"]
    return Made(arn, {"RoutingRuleArn": arn, "RoutingRuleId": output["RoutingRuleId"]})


async def _create_rule(desk: Desk, properties: Properties) -> Made:
    params, identify = _rule_params(properties), itemgetter("RoutingRuleArn")
    return _made_rule(await desk.make("apigatewayv2", "CreateRoutingRule", params, identify))


async def _update_rule(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    params = {**_rule_params(new), "RoutingRuleId": made.attributes["RoutingRuleId"]}
    return _made_rule(await desk.call("apigatewayv2", "PutRoutingRule", params))


async def _delete_rule(desk: Desk, arn: str, properties: Properties) -> None:
    domain_arn, _, rule_id = arn.partition("/routingrules/")
    params = {"DomainName": domain_arn.rpartition("/")[2], "RoutingRuleId": rule_id}
    await desk.drop("apigatewayv2", "DeleteRoutingRule", params, _GONE)


ROUTING_RULE = resource_type(
    "AWS::ApiGatewayV2::RoutingRule",
    create=_create_rule,
    update=_update_rule,
    delete=_delete_rule,
    properties="Actions Conditions DomainNameArn Priority",
    required="Actions Conditions DomainNameArn Priority",
    immutable="DomainNameArn",
    attributes="RoutingRuleArn RoutingRuleId",
)
