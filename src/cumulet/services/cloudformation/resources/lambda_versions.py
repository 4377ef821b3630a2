"""What hangs on a function: AWS::Lambda::Version, Alias, EventInvokeConfig, Url, LayerVersion and its permission."""

from operator import itemgetter
from typing import Any

from cumulet.services.cloudformation.resources.kit import Desk, Made, Properties, ResourceFailed, resource_type
from cumulet.services.cloudformation.resources.lambda_ import settle_function

_GONE = "ResourceNotFoundException"


def _qualified(physical_id: str) -> tuple[str, str]:
    """Return function and qualifier of an ARN that ends with both."""
    function, _, qualifier = physical_id.rpartition(":")
    return function, qualifier


# Versions


async def _provision(desk: Desk, function: str, qualifier: str, old: Properties, new: Properties) -> None:
    """Have environments kept ready as the template says, and return once they are."""
    config = new.get("ProvisionedConcurrencyConfig")
    before = old.get("ProvisionedConcurrencyConfig")
    named = {"FunctionName": function, "Qualifier": qualifier}
    if config is None:
        if before is not None:
            await desk.call("lambda", "DeleteProvisionedConcurrencyConfig", named)
        return
    if config != before:
        await desk.call("lambda", "PutProvisionedConcurrencyConfig", {**named, **config})

    async def is_ready() -> bool:
        found = await desk.call("lambda", "GetProvisionedConcurrencyConfig", named)
        if found["Status"] == "FAILED":
            raise ResourceFailed(
                f"Provisioned Concurrency configuration failed to be applied. Reason: {found['StatusReason']}"
            )
        return bool(found["Status"] == "READY")

    await desk.settle(is_ready)


async def _publish(desk: Desk, properties: Properties) -> Made:
    params = {name: properties.get(name) for name in ("FunctionName", "CodeSha256", "Description")}
    made = await desk.make("lambda", "PublishVersion", params, _version_arn)
    arn = _version_arn(made)
    await settle_function(desk, arn)
    await _provision(desk, *_qualified(arn), {}, properties)
    return Made(arn, {"FunctionArn": arn, "Version": made["Version"]})


def _version_arn(made: Any) -> str:
    arn: str = made["FunctionArn"]
    return arn if arn.rpartition(":")[2] == made["Version"] else f"{arn}:{made['Version']}"


async def _unpublish(desk: Desk, physical_id: str, properties: Properties) -> None:
    function, version = _qualified(physical_id)
    await desk.drop("lambda", "DeleteFunction", {"FunctionName": function, "Qualifier": version}, _GONE)


VERSION = resource_type(
    "AWS::Lambda::Version",
    create=_publish,
    update=None,
    delete=_unpublish,
    objects="ProvisionedConcurrencyConfig",
    properties="FunctionName CodeSha256 Description ProvisionedConcurrencyConfig",
    required="FunctionName",
    not_built="FunctionScalingConfig RuntimePolicy",
    attributes="FunctionArn Version",
)

# Aliases


def _alias(properties: Properties) -> dict[str, Any]:
    params = {name: properties.get(name) for name in ("FunctionName", "Name", "FunctionVersion", "Description")}
    # CloudFormation lists the weights that Lambda's API has as a map.
    weights = (properties.get("RoutingConfig") or {}).get("AdditionalVersionWeights", ())
    try:
        routing = {weight["FunctionVersion"]: float(weight["FunctionWeight"]) for weight in weights}
    except (KeyError, TypeError, ValueError):
        raise ResourceFailed("RoutingConfig lists a FunctionVersion and a FunctionWeight for each version") from None
    return {**params, "RoutingConfig": {"AdditionalVersionWeights": routing}}


async def _create_alias(desk: Desk, properties: Properties) -> Made:
    arn: str = (await desk.make("lambda", "CreateAlias", _alias(properties), itemgetter("AliasArn")))["AliasArn"]
    await _provision(desk, *_qualified(arn), {}, properties)
    return Made(arn, {"AliasArn": arn})


async def _update_alias(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    await desk.call("lambda", "UpdateAlias", {**_alias(new), "Description": new.get("Description", "")})
    await _provision(desk, *_qualified(made.physical_id), old, new)
    return made


async def _delete_alias(desk: Desk, physical_id: str, properties: Properties) -> None:
    function, name = _qualified(physical_id)
    await desk.drop("lambda", "DeleteAlias", {"FunctionName": function, "Name": name}, _GONE)


ALIAS = resource_type(
    "AWS::Lambda::Alias",
    objects="ProvisionedConcurrencyConfig RoutingConfig",
    create=_create_alias,
    update=_update_alias,
    delete=_delete_alias,
    properties="Description FunctionName FunctionVersion Name ProvisionedConcurrencyConfig RoutingConfig",
    required="FunctionName FunctionVersion Name",
    immutable="FunctionName Name",
    attributes="AliasArn",
)

# Asynchronous invocation


async def _put_invoke_config(desk: Desk, properties: Properties) -> Made:
    physical_id = f"{properties['FunctionName']}|{properties['Qualifier']}"
    await desk.make("lambda", "PutFunctionEventInvokeConfig", properties, lambda _: physical_id)
    return Made(physical_id)


async def _update_invoke_config(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    return await _put_invoke_config(desk, new)


async def _delete_invoke_config(desk: Desk, physical_id: str, properties: Properties) -> None:
    params = {name: properties[name] for name in ("FunctionName", "Qualifier")}
    await desk.drop("lambda", "DeleteFunctionEventInvokeConfig", params, _GONE)


EVENT_INVOKE_CONFIG = resource_type(
    "AWS::Lambda::EventInvokeConfig",
    objects="DestinationConfig",
    create=_put_invoke_config,
    update=_update_invoke_config,
    delete=_delete_invoke_config,
    properties="DestinationConfig FunctionName MaximumEventAgeInSeconds MaximumRetryAttempts Qualifier",
    required="FunctionName Qualifier",
    immutable="FunctionName Qualifier",
)

# Function URLs

_URL = ("AuthType", "Cors", "InvokeMode", "Qualifier")


def _url_params(properties: Properties) -> dict[str, Any]:
    return {"FunctionName": properties["TargetFunctionArn"], **{name: properties.get(name) for name in _URL}}


def _url_made(output: Any) -> Made:
    return Made(output["FunctionArn"], {"FunctionArn": output["FunctionArn"], "FunctionUrl": output["FunctionUrl"]})


async def _create_url(desk: Desk, properties: Properties) -> Made:
    return _url_made(await desk.call("lambda", "CreateFunctionUrlConfig", _url_params(properties)))


async def _update_url(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    params = {**_url_params(new), "Cors": new.get("Cors", {}), "InvokeMode": new.get("InvokeMode", "BUFFERED")}
    return _url_made(await desk.call("lambda", "UpdateFunctionUrlConfig", params))


async def _delete_url(desk: Desk, physical_id: str, properties: Properties) -> None:
    params = {"FunctionName": properties["TargetFunctionArn"], "Qualifier": properties.get("Qualifier")}
    await desk.drop("lambda", "DeleteFunctionUrlConfig", params, _GONE)


URL = resource_type(
    "AWS::Lambda::Url",
    objects="Cors",
    create=_create_url,
    update=_update_url,
    delete=_delete_url,
    properties="AuthType Cors InvokeMode Qualifier TargetFunctionArn",
    required="AuthType TargetFunctionArn",
    immutable="Qualifier TargetFunctionArn",
    attributes="FunctionArn FunctionUrl",
)

# Layers


async def _publish_layer(desk: Desk, properties: Properties) -> Made:
    params = {"LayerName": desk.name, **properties}
    arn = (await desk.call("lambda", "PublishLayerVersion", params))["LayerVersionArn"]
    return Made(arn, {"LayerVersionArn": arn})


async def _delete_layer(desk: Desk, physical_id: str, properties: Properties) -> None:
    if not physical_id.startswith("arn:"):
        # A crash came before its number was known. Nobody else has published under this name.
        versions = (await desk.call("lambda", "ListLayerVersions", {"LayerName": physical_id}))["LayerVersions"]
        numbers = [version["Version"] for version in versions]
    else:
        physical_id, _, version = physical_id.rpartition(":")
        numbers = [int(version)]
    for number in numbers:
        params = {"LayerName": physical_id, "VersionNumber": number}
        await desk.drop("lambda", "DeleteLayerVersion", params, _GONE)


LAYER_VERSION = resource_type(
    "AWS::Lambda::LayerVersion",
    objects="Content",
    create=_publish_layer,
    update=None,
    delete=_delete_layer,
    properties="CompatibleArchitectures CompatibleRuntimes Content Description LayerName LicenseInfo",
    required="Content",
    attributes="LayerVersionArn",
    name_property="LayerName",
    named_ahead=True,
    name_max=140,
)


def _layer_params(properties: Properties, statement_id: str) -> dict[str, Any]:
    layer, version = _qualified(str(properties["LayerVersionArn"]))
    if not version.isdigit():
        raise ResourceFailed("LayerVersionArn ends with the number of a version")
    return {"LayerName": layer, "VersionNumber": int(version), "StatementId": statement_id}


async def _permit_layer(desk: Desk, properties: Properties) -> Made:
    given = {name: properties.get(name) for name in ("Action", "OrganizationId", "Principal")}
    params = {**_layer_params(properties, desk.name), **given}
    await desk.make("lambda", "AddLayerVersionPermission", params, lambda _: desk.name)
    return Made(desk.name, {"Id": desk.name})


async def _forbid_layer(desk: Desk, physical_id: str, properties: Properties) -> None:
    await desk.drop("lambda", "RemoveLayerVersionPermission", _layer_params(properties, physical_id), _GONE)


LAYER_VERSION_PERMISSION = resource_type(
    "AWS::Lambda::LayerVersionPermission",
    create=_permit_layer,
    update=None,
    delete=_forbid_layer,
    properties="Action LayerVersionArn OrganizationId Principal",
    required="Action LayerVersionArn Principal",
    attributes="Id",
    name_max=100,
)
