"""What a function is made of: an archive, which the store keeps, or a container image, which the machine's engine has.

https://docs.aws.amazon.com/lambda/latest/dg/images-create.html
"""

from dataclasses import dataclass
from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.kit import Call, Output, Params
from cumulet.services.lambda_.control.code_signing import NOT_FOR_IMAGES
from cumulet.services.lambda_.control.code_urls import render_code_url
from cumulet.services.lambda_.control.configuration import invalid, parse_image_config
from cumulet.services.lambda_.control.sources import fetch_code
from cumulet.services.lambda_.names import FunctionRef
from cumulet.services.lambda_.plane import LambdaPlane
from cumulet.services.lambda_.records import FunctionRecord, ImageConfig, VersionRecord
from cumulet.store import blobs
from cumulet.store.api import WriteTx

_PENDING = {
    "state": "Pending",
    "state_reason": "The function is being created.",
    "state_reason_code": "Creating",
}

_ARCHIVE_MEMBERS = ("ZipFile", "S3Bucket", "S3Key", "S3ObjectVersion")


@dataclass(frozen=True, slots=True)
class Package:
    """New code of a function."""

    fields: dict[str, Any]
    """Of its VersionRecord, but for the blob."""
    archive: bytes = b""
    """An image has none: nothing of it is in the store."""

    def save(self, tx: WriteTx) -> str:
        """Keep the archive, and return its blob's digest; nothing of an image."""
        return blobs.save(tx, self.archive) if self.archive else ""


def check_creation(params: Params) -> None:
    """Raise AWS's error for members of CreateFunction that do not go with its package type."""
    if params.get("PackageType") == "Image":
        check_image_members(params)
        if params.get("CodeSigningConfigArn"):
            raise invalid(NOT_FOR_IMAGES)
        if not params["Code"].get("ImageUri"):
            raise invalid("Please provide ImageUri when creating a function with packageType Image.")
        if any(params["Code"].get(name) for name in _ARCHIVE_MEMBERS):
            raise invalid("Please do not provide other FunctionCode parameters when providing an ImageUri.")
    else:
        check_archive_members(params)
        if not params.get("Runtime") or not params.get("Handler"):
            raise invalid(
                "Runtime and Handler are mandatory parameters for functions created with deployment packages."
            )
        if params["Code"].get("ImageUri"):
            # https://github.com/boto/boto3/issues/2705: an image is no source of this package type.
            raise invalid("Please provide a source for function code.")


def check_update(function: VersionRecord, params: Params) -> None:
    """Raise AWS's error for members of UpdateFunctionCode that do not go with a function's package type."""
    uri = params.get("ImageUri")
    if function.image is None and uri:
        raise invalid("Please don't provide ImageUri when updating a function with packageType Zip.")
    if function.image is not None and (not uri or any(params.get(name) for name in _ARCHIVE_MEMBERS)):
        raise invalid("Please provide ImageUri when updating a function with packageType Image.")


def check_members(function: VersionRecord, params: Params) -> None:
    """Raise AWS's error for members of a configuration that do not go with a function's package type."""
    if function.image is None:
        check_archive_members(params)
    else:
        check_image_members(params)


def check_image_members(params: Params) -> None:
    """Raise AWS's error for what only a function made of an archive has."""
    if params.get("Handler") or params.get("Runtime") or params.get("Layers"):
        raise invalid(
            "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."
        )


def check_archive_members(params: Params) -> None:
    """Raise an error for what only a function made of an image has."""
    if parse_image_config(params.get("ImageConfig") or {}) != ImageConfig():
        raise invalid("Please don't provide ImageConfig when the intended function PackageType is Zip.")


def check_not_pending(function: VersionRecord) -> None:
    """Raise AWS's error for a change to a function whose image is still being unpacked."""
    if function.state == "Pending":
        raise ServiceError(
            "ResourceConflictException",
            "The operation cannot be performed at this time. The function is currently in the following state: Pending",
            Type="User",
        )


def check_not_overtaken(ref: FunctionRef, before: VersionRecord, now: VersionRecord) -> None:
    """Raise AWS's error if a function was given another image while one was being unpacked: the later update holds.

    AWS refuses the later one, since the function says meanwhile that it is being updated.
    """
    if now.image != before.image:
        raise ServiceError(
            "ResourceConflictException",
            "The operation cannot be performed at this time. An update is in progress for resource: "
            f"{ref.unqualified_arn}",
            Type="User",
        )


async def fetch_package(
    plane: LambdaPlane,
    call: Call,
    code: Params,
    operation: str,
    architectures: tuple[str, ...],
    patience_s: float | None = None,
) -> Package:
    """Return the checked code that a FunctionCode (or UpdateFunctionCode's own members) names.

    An image is unpacked when this returns, or its function is Pending when that takes longer than `patience_s`.
    """
    uri = code.get("ImageUri")
    if not uri:
        archive = await fetch_code(plane.ground, call, code, operation)
        fields = {"code_sha256": archive.sha256, "code_size": len(archive.body), "unzipped_size": archive.unzipped_size}
        return Package(fields, archive.body)
    image = await plane.execution.find_image(uri)
    if image.architecture not in architectures:
        # AWS finds out when it runs the image, and says "exec format error".
        raise invalid(
            f"The source image {uri} is made for {image.architecture}, and the function's Architectures are "
            f"[{', '.join(architectures)}]."
        )
    is_ready = await plane.execution.unpack_image(image, patience_s)
    fields = {"code_sha256": image.digest, "code_size": 0, "unzipped_size": image.size, "image": image}
    return Package(fields if is_ready else fields | _PENDING)


def render_code(
    plane: LambdaPlane, call: Call, ref: FunctionRef, function: FunctionRecord, version: VersionRecord
) -> Output:
    """Return where a version's code is: a URL that serves the archive, or the image."""
    if (image := version.image) is not None:
        return {"RepositoryType": "ECR", "ImageUri": image.uri, "ResolvedImageUri": image.resolved_uri}
    return {"RepositoryType": "S3", "Location": render_code_url(plane.ground, call, ref.scope, function, version)}
