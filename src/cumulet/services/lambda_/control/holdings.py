"""What a version of a function holds of the store's blobs: its own code, and the layers beneath it.

A layer that is deleted stays with the functions that name it, so each version has a reference of its own.
"""

from collections.abc import Sequence

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Call, Ground
from cumulet.services.lambda_ import limits
from cumulet.services.lambda_.control.configuration import invalid
from cumulet.services.lambda_.control.layers import find_layer
from cumulet.services.lambda_.records import LayerUse, VersionRecord
from cumulet.store import blobs
from cumulet.store.api import ReadTx, WriteTx


async def check_layers(ground: Ground, call: Call, arns: Sequence[str]) -> None:
    """Raise AWS's error unless these layers are there, go together, and are for the caller to use."""
    if len(arns) > limits.LAYERS_MAX:
        raise invalid(f"Cannot reference more than {limits.LAYERS_MAX} layers.")
    seen: dict[str, str] = {}
    for arn in arns:
        layer = arn.rpartition(":")[0]
        if layer in seen:
            raise invalid(
                "Two different versions of the same layer are not allowed to be referenced in the same function. "
                f"{seen[layer]} and {arn}."
            )
        seen[layer] = arn
        try:
            await ground.operations.call(call.principal, call.scope, "lambda", "GetLayerVersionByArn", {"Arn": arn})
        except NotImplementedHere:
            raise
        except ServiceError as refused:
            if refused.code == "ResourceNotFoundException":
                raise _absent(call.scope, arn) from None
            if "because no resource-based policy allows" in refused.message:
                await _advise(ground, arn, refused)
            raise


async def _advise(ground: Ground, arn: str, refused: ServiceError) -> None:
    """Say how to have a public layer of AWS's, if nobody has made one of this ARN here: AWS's words mislead then."""
    if await ground.store.read(lambda tx: find_layer(tx, arn)) is None:
        raise ServiceError(
            refused.code,
            f"{refused.message}. Layers that lie in AWS are not here: fetch its archive there (aws lambda"
            f" get-layer-version-by-arn --arn {arn}), publish it here (aws lambda publish-layer-version), and name the"
            " ARN that this tells.",
            status=refused.status,
        )


def find_uses(tx: ReadTx, scope: Scope, arns: Sequence[str]) -> tuple[LayerUse, ...]:
    """Return what a version records of its layers."""
    uses = []
    for arn in arns:
        layer = find_layer(tx, arn)
        if layer is None:
            raise _absent(scope, arn)
        uses.append(LayerUse(layer.arn, layer.code_size, layer.unzipped_size, layer.code_blob))
    return tuple(uses)


def check_unzipped(version: VersionRecord) -> None:
    """Raise AWS's error for a version whose code and layers are too large together."""
    total = version.unzipped_size + sum(layer.unzipped_size for layer in version.layers)
    if version.layers and total > limits.UNZIPPED_CODE_BYTES_MAX:
        raise invalid(
            "Function code combined with layers exceeds the maximum allowed size of "
            f"{limits.UNZIPPED_CODE_BYTES_MAX} bytes. The actual size is {total} bytes."
        )


def keep_layers(tx: WriteTx, layers: Sequence[LayerUse]) -> None:
    """Take a reference to each layer's archive."""
    for layer in layers:
        blobs.keep(tx, layer.code_blob)


def release_layers(tx: WriteTx, layers: Sequence[LayerUse]) -> None:
    """Give the references back."""
    for layer in layers:
        blobs.release(tx, layer.code_blob)


def keep_all(tx: WriteTx, version: VersionRecord) -> None:
    """Take a reference to all that a version is made of."""
    if version.code_blob:
        blobs.keep(tx, version.code_blob)
    keep_layers(tx, version.layers)


def release_all(tx: WriteTx, version: VersionRecord) -> None:
    """Give every reference of a version back."""
    release_code(tx, version)
    release_layers(tx, version.layers)


def release_code(tx: WriteTx, version: VersionRecord) -> None:
    """Give the reference to a version's own code back. What is unpacked of an image goes when its place is needed."""
    if version.code_blob:
        blobs.release(tx, version.code_blob)


def _absent(scope: Scope, arn: str) -> ServiceError:
    if arn.split(":")[3] not in ("", scope.region):  # AWS's own layers have no region
        return invalid(
            f"Layers are not in the same region as the function. Layers are expected to be in region {scope.region}."
        )
    return invalid(f"Layer version {arn} does not exist.")
