"""Layers: archives that functions can share, published as versions that never change.

https://docs.aws.amazon.com/lambda/latest/dg/chapter-layers.html
"""

import re
from collections.abc import Mapping
from typing import Any

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_.control.account import check_code_storage
from cumulet.services.lambda_.control.code_urls import render_blob_url
from cumulet.services.lambda_.control.configuration import invalid
from cumulet.services.lambda_.control.lookup import no_policy
from cumulet.services.lambda_.control.paging import marker, page_size, with_marker
from cumulet.services.lambda_.control.rendering import render_last_modified
from cumulet.services.lambda_.control.runtimes import check_compatible
from cumulet.services.lambda_.control.sources import fetch_code
from cumulet.services.lambda_.plane import LambdaPlane
from cumulet.services.lambda_.records import LAYER_NUMBERS, LAYERS, LayerRecord, VersionNumber
from cumulet.services.tokens import encode_token
from cumulet.store import blobs
from cumulet.store.api import ReadTx, WriteTx

_LAYER_ARN = re.compile(r"arn:aws[a-zA-Z-]*:lambda:([a-z0-9-]+):(\d{12}):layer:([a-zA-Z0-9_-]+)(?::([0-9]{1,15}))?")


def layer_arn(call: Call, params: Params) -> str:
    """Return the ARN of the layer that a call names, by name or by ARN."""
    scope, name = named_layer(call, params["LayerName"])
    return f"arn:aws:lambda:{scope.region}:{scope.account}:layer:{name}"


def version_arn(call: Call, params: Params) -> str:
    """Return the ARN of the layer version that a call names, in whichever of the two ways."""
    if "Arn" in params:
        arn: str = params["Arn"]
        return arn
    return f"{layer_arn(call, params)}:{params['VersionNumber']}"


def named_layer(call: Call, text: str) -> tuple[Scope, str]:
    """Return where a layer is, and its name. Raises AWS's error for a layer of another region."""
    if (match := _LAYER_ARN.fullmatch(text)) is None:
        return call.scope, text
    if match[1] != call.scope.region:
        raise invalid(f"Invalid Layer name: {text}")
    return Scope(match[2], match[1]), match[3]


def layer_policy(tx: ReadTx, call: Call, params: Params) -> str | None:
    """Return the resource policy of the layer version that a call names; None without policy or version."""
    layer = find_layer(tx, version_arn(call, params))
    return None if layer is None else layer.policy


def find_layer(tx: ReadTx, arn: str) -> LayerRecord | None:
    """Return a layer version by its ARN."""
    match = _LAYER_ARN.fullmatch(arn)
    if match is None or match[4] is None:
        return None
    return LAYERS.find(tx, Scope(match[2], match[1]), match[3], int(match[4]))


@operation(
    "PublishLayerVersion",
    resource=layer_arn,
    resource_policy=no_policy,
    params="LayerName Description Content CompatibleRuntimes CompatibleArchitectures LicenseInfo",
    missing="S3ObjectStorageMode REFERENCE is refused",
)
async def publish_layer_version(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Make a version of a layer out of an archive."""
    scope, name = named_layer(call, params["LayerName"])
    runtimes = params.get("CompatibleRuntimes") or ()
    check_compatible("compatibleRuntimes", runtimes, f"[{', '.join(runtimes)}]")
    archive = await fetch_code(plane.ground, call, params["Content"], "PublishLayerVersion")
    secret = call.ids.secret(32)

    def publish(tx: WriteTx) -> LayerRecord:
        check_code_storage(tx, scope, len(archive.body))
        last = LAYER_NUMBERS.find(tx, scope, name)
        number = 1 if last is None else last.number + 1
        layer = LayerRecord(
            name=name,
            version=number,
            arn=f"{layer_arn(call, params)}:{number}",
            description=params.get("Description") or "",
            license_info=params.get("LicenseInfo"),
            runtimes=tuple(runtimes),
            architectures=tuple(params.get("CompatibleArchitectures") or ()),
            code_blob=blobs.save(tx, archive.body),
            code_sha256=archive.sha256,
            code_size=len(archive.body),
            unzipped_size=archive.unzipped_size,
            code_url_secret=secret,
            created_ms=call.now_ms,
        )
        LAYERS.save(tx, scope, name, number, record=layer)
        LAYER_NUMBERS.save(tx, scope, name, record=VersionNumber(number=number))
        return layer

    return _render_whole(plane, call, scope, await plane.ground.store.write(publish))


@operation("GetLayerVersion", resource=version_arn, resource_policy=layer_policy, params="LayerName VersionNumber")
async def get_layer_version(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Return what is known of a layer version, and a URL that serves it."""
    check_number(params)
    return await _get(call, plane, version_arn(call, params))


@operation(
    "GetLayerVersionByArn",
    action="lambda:GetLayerVersion",
    resource=version_arn,
    resource_policy=layer_policy,
    params="Arn",
)
async def get_layer_version_by_arn(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Return the same, for whoever has the ARN."""
    return await _get(call, plane, params["Arn"])


@operation("ListLayers", resource="*", params="CompatibleRuntime CompatibleArchitecture Marker MaxItems")
def list_layers(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of the layers by name, each with its newest version that matches."""
    _check_filter(params)
    limit, behind = page_size(params), marker(params, str)
    newest: dict[str, LayerRecord] = {}
    for layer in LAYERS.scan(tx, call.scope, behind=None if behind is None else (behind, 1 << 60)):
        if _matches(layer, params):
            newest[layer.name] = layer
            if len(newest) > limit:
                break
    names = list(newest)[:limit]
    listed = [
        {
            "LayerName": name,
            "LayerArn": newest[name].arn.rpartition(":")[0],
            "LatestMatchingVersion": _render(newest[name]),
        }
        for name in names
    ]
    return with_marker({"Layers": listed}, encode_token(names[-1]) if len(newest) > limit else None)


@operation(
    "ListLayerVersions",
    resource=layer_arn,
    resource_policy=no_policy,
    params="LayerName CompatibleRuntime CompatibleArchitecture Marker MaxItems",
)
def list_layer_versions(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of a layer's versions, the newest first."""
    _check_filter(params)
    scope, name = named_layer(call, params["LayerName"])
    limit, behind = page_size(params), marker(params, int)
    found: list[LayerRecord] = []
    for layer in LAYERS.scan(tx, scope, name, behind=None if behind is None else (name, behind), reverse=True):
        if _matches(layer, params):
            found.append(layer)
            if len(found) > limit:
                break
    next_marker = encode_token(found[limit - 1].version) if len(found) > limit else None
    return with_marker({"LayerVersions": [_render(layer) for layer in found[:limit]]}, next_marker)


@operation("DeleteLayerVersion", resource=version_arn, resource_policy=layer_policy, params="LayerName VersionNumber")
def delete_layer_version(call: Call, tx: WriteTx, params: Params) -> Output:
    """Take a version away from those who would use it from now on; nothing happens if it is not there."""
    check_number(params)
    scope, name = named_layer(call, params["LayerName"])
    layer = LAYERS.find(tx, scope, name, params["VersionNumber"])
    if layer is not None:
        blobs.release(tx, layer.code_blob)
        LAYERS.delete(tx, scope, name, layer.version)
    return {}


def check_number(params: Params) -> None:
    """Raise AWS's error for a number that no version of a layer has."""
    if params["VersionNumber"] < 1:
        raise invalid("Layer Version Cannot be less than 1")


async def _get(call: Call, plane: LambdaPlane, arn: str) -> Output:
    layer = await plane.ground.store.read(lambda tx: find_layer(tx, arn))
    if layer is None or arn.split(":")[3] != call.scope.region:
        raise ServiceError("ResourceNotFoundException", "The resource you requested does not exist.", Type="User")
    return _render_whole(plane, call, named_layer(call, layer.arn.rpartition(":")[0])[0], layer)


def _check_filter(params: Params) -> None:
    if (runtime := params.get("CompatibleRuntime")) is not None:
        check_compatible("compatibleRuntime", (runtime,), runtime)


def _matches(layer: LayerRecord, params: Params) -> bool:
    runtime, architecture = params.get("CompatibleRuntime"), params.get("CompatibleArchitecture")
    return (runtime is None or runtime in layer.runtimes) and (
        architecture is None or architecture in layer.architectures
    )


def _render(layer: LayerRecord) -> Mapping[str, Any]:
    output: dict[str, Any] = {
        "LayerVersionArn": layer.arn,
        "Version": layer.version,
        "Description": layer.description,
        "CreatedDate": render_last_modified(layer.created_ms),
    }
    if layer.runtimes:
        output["CompatibleRuntimes"] = list(layer.runtimes)
    if layer.architectures:
        output["CompatibleArchitectures"] = list(layer.architectures)
    if layer.license_info is not None:
        output["LicenseInfo"] = layer.license_info
    return output


def _render_whole(plane: LambdaPlane, call: Call, scope: Scope, layer: LayerRecord) -> Output:
    name, version = f"layer:{layer.name}", str(layer.version)
    return {
        **_render(layer),
        "LayerArn": layer.arn.rpartition(":")[0],
        "Content": {
            "Location": render_blob_url(
                plane.ground, call, scope, name, version, layer.code_url_secret, layer.code_blob
            ),
            "CodeSha256": layer.code_sha256,
            "CodeSize": layer.code_size,
        },
    }
