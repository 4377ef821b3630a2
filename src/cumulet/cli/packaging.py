"""From local folders and files to archives and files in S3, as `aws cloudformation package` and `sam build` do it."""

import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from cumulet.cli.builds import Order, build, files_of, order_of
from cumulet.cli.cdk import localise, members_of
from cumulet.cli.client import Connection, explain, is_error
from cumulet.cli.console import CliError
from cumulet.errors import ServiceError
from cumulet.services.cloudformation.core.include import INCLUDE
from cumulet.services.cloudformation.core.text import parse_text

# Where a template may name a local folder or file: the resource type, the property, and whether that takes an S3 URI or
# an object of bucket and key.
LOCAL_CODE: dict[str, tuple[str, bool]] = {
    "AWS::Serverless::Function": ("CodeUri", True),
    "AWS::Lambda::Function": ("Code", False),
    "AWS::Serverless::LayerVersion": ("ContentUri", True),
    "AWS::Lambda::LayerVersion": ("Content", False),
}
# Where it may name a local file that describes an API, in the same way.
LOCAL_FILES: dict[str, tuple[str, bool]] = {
    "AWS::Serverless::Api": ("DefinitionUri", True),
    "AWS::Serverless::HttpApi": ("DefinitionUri", True),
    "AWS::ApiGateway::RestApi": ("BodyS3Location", False),
    "AWS::ApiGatewayV2::Api": ("BodyS3Location", False),
}
# Where it may name another template.
LOCAL_STACKS = {"AWS::CloudFormation::Stack": "TemplateURL", "AWS::Serverless::Application": "Location"}
BUILT_BY_SAM = (".aws-sam", "build")
"""The folder in which `sam build` leaves a template whose code is as it is to run."""
NPM_SETTINGS = ".npmrc"
"""What npm needs while it installs. It may have the password of a registry, and no function needs that."""
COMPRESSION_LEVEL = 1
"""Archives stay on this machine or near it: bytes are cheaper than the seconds to save them."""


def package_template(connection: Connection, template: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the template with all that it names on this machine uploaded: code, descriptions, templates within it."""
    packaged = package_files(connection, localise(template), folder)
    return package_code(connection, _package_stacks(connection, packaged, folder, ()), folder)


def _package_stacks(
    connection: Connection, template: dict[str, Any], folder: Path, outer: tuple[Path, ...]
) -> dict[str, Any]:
    resources = members_of(template, "Resources")
    packaged: dict[str, Any] = {}
    for name, resource in resources.items():
        kind = resource.get("Type") if isinstance(resource, dict) else None
        member = LOCAL_STACKS.get(kind) if isinstance(kind, str) else None
        properties = members_of(resource, "Properties") if member else {}
        place = properties.get(member) if member else None
        if not isinstance(place, str) or place.startswith(("http://", "https://", "s3://")):
            continue
        file = (folder / place).resolve()
        if file in outer:
            raise CliError(f"{file} has itself as a stack within it")
        inner = package_files(connection, localise(read_template(file)), file.parent)
        inner = _package_stacks(connection, inner, file.parent, (*outer, file))
        url = upload_template(connection, json.dumps(package_code(connection, inner, file.parent), default=str))
        packaged[name] = {**resource, "Properties": {**properties, member: url}}
    return {**template, "Resources": {**resources, **packaged}} if packaged else template


def read_template(file: Path) -> dict[str, Any]:
    """Return what a template says. Raises CliError for a file that is none."""
    try:
        return parse_text(file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{file} could not be read: {error}") from error
    except ServiceError as error:
        raise CliError(f"{file}: {error.message}") from error


def package_code(connection: Connection, template: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the template with every local folder of code uploaded and replaced by its place in S3."""
    folder = folder.resolve()  # what is built runs in folders of its own
    of_all_functions = members_of(members_of(template, "Globals"), "Function")
    packaged: dict[str, Any] = {}
    uploaded: dict[Hashable, tuple[str, str]] = {}
    is_built = folder.parts[-2:] == BUILT_BY_SAM
    resources = members_of(template, "Resources")
    for name, resource in resources.items():
        found = _of_kind(LOCAL_CODE, resource)
        if found is None or not isinstance(resource.get("Properties") or {}, dict):
            continue
        property_name, as_uri = found
        own = properties = members_of(resource, "Properties")
        nowhere = None
        if resource["Type"] == "AWS::Serverless::Function":
            properties = {**of_all_functions, **properties}
            # A function that does not say where its code lies has it beside the template; an image's lies elsewhere.
            nowhere = None if properties.get("PackageType") == "Image" else "."
        place = properties.get(property_name, nowhere)
        if "InlineCode" in properties or not isinstance(place, str) or place.startswith("s3://"):
            continue
        source = folder / place
        order = Order(name, source) if is_built else order_of(name, resource, properties, source)
        if order.work not in uploaded:  # functions often share a folder
            uploaded[order.work] = _upload(connection, f"the code of {name}", _archive_of(order), ".zip")
        bucket, key = uploaded[order.work]
        value: Any = f"s3://{bucket}/{key}" if as_uri else {"S3Bucket": bucket, "S3Key": key}
        packaged[name] = {**resource, "Properties": {**own, property_name: value}}
    return {**template, "Resources": {**resources, **packaged}} if packaged else template


def package_files(connection: Connection, template: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the template with every local file that describes an API or is included uploaded, its place in S3 named.

    AWS::Include may stand anywhere; where its Location is no text, it is the stack's to resolve.
    """

    def place_of(local: str) -> tuple[str, str]:
        file = folder / local
        if not file.is_file():
            raise CliError(f"{file}, which the template names, does not exist")
        return _upload(connection, str(file), file.read_bytes(), file.suffix)

    def packaged(value: Any) -> Any:
        if isinstance(value, list):
            return [packaged(child) for child in value]
        if not isinstance(value, dict):
            return value
        value = {member: packaged(child) for member, child in value.items()}
        if value.get("Name") == INCLUDE and isinstance(parameters := value.get("Parameters"), dict):
            return {**value, "Parameters": _moved(parameters, "Location", True, place_of)}
        found = _of_kind(LOCAL_FILES, value)
        if found is not None and isinstance(properties := value.get("Properties"), dict):
            return {**value, "Properties": _moved(properties, *found, place_of)}
        return value

    moved: dict[str, Any] = packaged(template)
    return moved


def upload_template(connection: Connection, template: str) -> str:
    """Return the URL of a template that lies in S3 now."""
    bucket, key = _upload(connection, "the template", template.encode(), ".template")
    return f"{connection.settings.endpoint.rstrip('/')}/{bucket}/{key}"


def _of_kind(places: dict[str, tuple[str, bool]], resource: Any) -> tuple[str, bool] | None:
    """Return where a resource of its type may name something local, if it is one that may."""
    kind = resource.get("Type") if isinstance(resource, dict) else None
    return places.get(kind) if isinstance(kind, str) else None


def _moved(
    members: dict[str, Any], name: str, as_uri: bool, place_of: Callable[[str], tuple[str, str]]
) -> dict[str, Any]:
    """Return the members with the local file that one of them names replaced by its place in S3."""
    local = members.get(name)
    if not isinstance(local, str) or local.startswith("s3://"):
        return members
    bucket, key = place_of(local)
    return {**members, name: f"s3://{bucket}/{key}" if as_uri else {"Bucket": bucket, "Key": key}}


def _upload(connection: Connection, what: str, content: bytes, suffix: str) -> tuple[str, str]:
    """Put something into the artifact bucket unless it is there; return bucket and key."""
    bucket = _artifact_bucket(connection)
    key = f"{hashlib.sha256(content).hexdigest()}{suffix}"
    s3 = connection.client("s3")
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError:
        try:
            s3.put_object(Bucket=bucket, Key=key, Body=content)
        except ClientError as error:
            raise CliError(f"{what} could not be uploaded: {explain(error)}") from error
    return bucket, key


def _artifact_bucket(connection: Connection) -> str:
    account = connection.client("sts").get_caller_identity()["Account"]
    bucket = f"cumulet-artifacts-{account}-{connection.settings.region}"
    request: dict[str, Any] = {"Bucket": bucket}
    if connection.settings.region != "us-east-1":
        request["CreateBucketConfiguration"] = {"LocationConstraint": connection.settings.region}
    try:
        connection.client("s3").create_bucket(**request)
    except ClientError as error:
        if not is_error(error, "BucketAlreadyOwnedByYou"):
            raise CliError(explain(error)) from error
    return bucket


def _archive_of(order: Order) -> bytes:
    """Return the archive of what lies at a place, and of what is built of it."""
    source = order.source
    if source.is_file():
        if zipfile.is_zipfile(source):
            return source.read_bytes()
        return _zip([(source.name, source.read_bytes())])
    if not source.is_dir():
        raise CliError(f"the code of {order.logical_id} should lie in {source}, which does not exist")
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            files = [file for folder in build(order, Path(scratch)) for file in files_of(folder)]
            return _zip([(name, path.read_bytes()) for name, path in files if path.name != NPM_SETTINGS])
    except OSError as refused:
        raise CliError(f"the code of {order.logical_id} could not be read or written: {refused}") from refused


def _zip(files: list[tuple[str, bytes]]) -> bytes:
    """Return an archive whose bytes depend on names and contents alone, so that unchanged code has an unchanged key."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in dict(files).items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o755 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content, compresslevel=COMPRESSION_LEVEL)
    return buffer.getvalue()
