"""Functions: create, describe, list, change, delete. There is one version of each, $LATEST."""

from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_ import limits
from cumulet.services.lambda_.control.account import check_code_storage
from cumulet.services.lambda_.control.archives import Archive
from cumulet.services.lambda_.control.code_urls import render_code_url
from cumulet.services.lambda_.control.configuration import (
    EMPTY_ONLY,
    check_no_version,
    invalid,
    parse_architectures,
    parse_configuration,
)
from cumulet.services.lambda_.control.lookup import function_policy, load_function
from cumulet.services.lambda_.control.rendering import render_configuration
from cumulet.services.lambda_.control.roles import check_role
from cumulet.services.lambda_.control.sources import fetch_code
from cumulet.services.lambda_.control.tags import check_tags
from cumulet.services.lambda_.names import LATEST, FunctionRef, function_of, resource, unqualified_resource
from cumulet.services.lambda_.plane import LambdaPlane
from cumulet.services.lambda_.records import FUNCTION_CHANGED, FUNCTIONS, FunctionRecord, VersionRecord
from cumulet.services.tokens import decode_token, encode_token
from cumulet.store import blobs
from cumulet.store.api import ReadTx, WriteTx

_DEFAULT_ONLY = (
    f"{', '.join(EMPTY_ONLY.split())} are taken only when they are empty; Architectures is recorded, but code runs on "
    "the processor that is there; LoggingConfig: text only; TracingConfig: PassThrough only"
)


@operation(
    "CreateFunction",
    resource=unqualified_resource,
    resource_policy=function_policy,
    params="FunctionName Runtime Role Handler Code Description Timeout MemorySize Publish PackageType Environment "
    f"TracingConfig Tags Architectures EphemeralStorage LoggingConfig {EMPTY_ONLY}",
    missing=f"{_DEFAULT_ONLY}; Publish and PackageType Image are refused; runtimes: Python",
)
async def create_function(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Make a function out of code and configuration.

    It can be invoked at once, though the answer says Pending as AWS's does.
    """
    ref = function_of(call, params)
    check_no_version(params, "CreateFunction")
    fields = parse_configuration(params)
    if not params.get("Runtime") or not params.get("Handler"):
        raise invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
    tags = dict(params.get("Tags") or {})
    check_tags(tags)
    await check_role(plane.ground, call, ref, params["Role"])
    await plane.ground.store.read(lambda tx: _check_absent(tx, ref))
    archive = await fetch_code(plane.ground, call, params["Code"], "CreateFunction")
    revision_id, secret = call.ids.uuid(), call.ids.secret(32)

    def create(tx: WriteTx) -> VersionRecord:
        _check_absent(tx, ref)
        check_code_storage(tx, ref.scope, len(archive.body))
        version = VersionRecord(
            function_name=ref.name,
            arn=ref.unqualified_arn,
            revision_id=revision_id,
            code_sha256=archive.sha256,
            code_size=len(archive.body),
            code_blob=blobs.save(tx, archive.body),
            last_modified_ms=call.now_ms,
            **fields,
        )
        FUNCTIONS.save(
            tx, ref.scope, ref.name, record=FunctionRecord(latest=version, tags=tags, code_url_secret=secret)
        )
        return version

    version = await plane.ground.store.write(create)
    plane.execution.prepare(version.runtime)
    return render_configuration(version, "creating")


@operation("GetFunction", resource=resource, resource_policy=function_policy, params="FunctionName Qualifier")
async def get_function(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Return a function's configuration and tags, and a URL that serves its code."""
    ref = function_of(call, params)
    function = await plane.ground.store.read(lambda tx: load_function(tx, ref))
    output: dict[str, Any] = {
        "Configuration": render_configuration(function.latest, qualified=ref.qualifier is not None),
        "Code": {"RepositoryType": "S3", "Location": render_code_url(plane.ground, call, ref.scope, function)},
    }
    if function.tags:
        output["Tags"] = dict(function.tags)
    return output


@operation(
    "GetFunctionConfiguration", resource=resource, resource_policy=function_policy, params="FunctionName Qualifier"
)
def get_function_configuration(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return what a function runs with."""
    ref = function_of(call, params)
    return render_configuration(load_function(tx, ref).latest, qualified=ref.qualifier is not None)


@operation("ListFunctions", resource="*", params="FunctionVersion Marker MaxItems")
def list_functions(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of the functions of this account and region, by name."""
    return _page(tx, call.scope, params, qualified=params.get("FunctionVersion") == "ALL")


@operation(
    "ListVersionsByFunction",
    resource=unqualified_resource,
    resource_policy=function_policy,
    params="FunctionName Marker MaxItems",
)
def list_versions_by_function(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the versions of a function: $LATEST, since none can be published."""
    function = load_function(tx, function_of(call, params))
    return {"Versions": [render_configuration(function.latest, "listed", qualified=True)]}


@operation(
    "UpdateFunctionCode",
    resource=unqualified_resource,
    resource_policy=function_policy,
    params="FunctionName ZipFile S3Bucket S3Key S3ObjectVersion S3ObjectStorageMode Architectures Publish "
    "DryRun RevisionId",
    missing="Publish and S3ObjectStorageMode REFERENCE are refused; Architectures is recorded, but code runs on the "
    "processor that is there",
)
async def update_function_code(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Replace a function's code. With DryRun, return what would be and change nothing."""
    ref = function_of(call, params)
    check_no_version(params, "UpdateFunctionCode")
    fields: dict[str, Any] = {}
    if params.get("Architectures"):
        fields["architectures"] = parse_architectures(params["Architectures"])
    await plane.ground.store.read(lambda tx: _load_for_update(tx, ref, params))
    archive = await fetch_code(plane.ground, call, params, "UpdateFunctionCode")
    fields |= {"code_sha256": archive.sha256, "code_size": len(archive.body)}
    if params.get("DryRun"):
        function = await plane.ground.store.read(lambda tx: load_function(tx, ref))
        return render_configuration(msgspec.structs.replace(function.latest, **fields))
    revision_id = call.ids.uuid()

    def update(tx: WriteTx) -> VersionRecord:
        function = _load_for_update(tx, ref, params)
        check_code_storage(tx, ref.scope, len(archive.body) - function.latest.code_size)
        return _save_changed(
            tx, call, ref, function, revision_id, code_blob=_replace_blob(tx, function, archive), **fields
        )

    return render_configuration(await plane.ground.store.write(update), "updating")


@operation(
    "UpdateFunctionConfiguration",
    resource=unqualified_resource,
    resource_policy=function_policy,
    params="FunctionName Role Handler Description Timeout MemorySize Environment Runtime TracingConfig RevisionId "
    f"EphemeralStorage LoggingConfig {EMPTY_ONLY}",
    missing=f"{_DEFAULT_ONLY}; runtimes: Python",
)
async def update_function_configuration(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Change what a function runs with; what is not given stays."""
    ref = function_of(call, params)
    fields = parse_configuration(params)
    await plane.ground.store.read(lambda tx: _load_for_update(tx, ref, params))
    if params.get("Role") is not None:
        await check_role(plane.ground, call, ref, params["Role"])
    revision_id = call.ids.uuid()

    def update(tx: WriteTx) -> VersionRecord:
        return _save_changed(tx, call, ref, _load_for_update(tx, ref, params), revision_id, **fields)

    version = await plane.ground.store.write(update)
    if "runtime" in fields:
        plane.execution.prepare(version.runtime)
    return render_configuration(version, "updating")


@operation("DeleteFunction", resource=resource, resource_policy=function_policy, params="FunctionName Qualifier")
def delete_function(call: Call, tx: WriteTx, params: Params) -> Output:
    """Remove a function with its policy and tags. Its log group stays, as on AWS."""
    ref = function_of(call, params)
    function = load_function(tx, ref)
    if ref.qualifier == LATEST:
        raise invalid("$LATEST version cannot be deleted without deleting the function.")
    blobs.release(tx, function.latest.code_blob)
    FUNCTIONS.delete(tx, ref.scope, ref.name)
    tx.hint(FUNCTION_CHANGED)
    return {"StatusCode": 204}


def _check_absent(tx: ReadTx, ref: FunctionRef) -> None:
    if FUNCTIONS.find(tx, ref.scope, ref.name) is not None:
        raise ServiceError("ResourceConflictException", f"Function already exist: {ref.name}", Type="User")


def _load_for_update(tx: ReadTx, ref: FunctionRef, params: Params) -> FunctionRecord:
    function = load_function(tx, ref)
    if params.get("RevisionId") not in (None, function.latest.revision_id):
        raise ServiceError(
            "PreconditionFailedException",
            "The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias API to "
            "retrieve the latest Revision Id",
            Type="User",
        )
    return function


def _replace_blob(tx: WriteTx, function: FunctionRecord, archive: Archive) -> str:
    digest = blobs.save(tx, archive.body)
    blobs.release(tx, function.latest.code_blob)
    return digest


def _save_changed(
    tx: WriteTx, call: Call, ref: FunctionRef, function: FunctionRecord, revision_id: str, **fields: Any
) -> VersionRecord:
    version = msgspec.structs.replace(function.latest, revision_id=revision_id, last_modified_ms=call.now_ms, **fields)
    FUNCTIONS.save(tx, ref.scope, ref.name, record=msgspec.structs.replace(function, latest=version))
    tx.hint(FUNCTION_CHANGED)
    return version


def _page(tx: ReadTx, scope: Scope, params: Params, *, qualified: bool) -> Output:
    limit = min(params.get("MaxItems") or limits.PAGE_ITEMS_MAX, limits.PAGE_ITEMS_MAX)
    behind = decode_token(params.get("Marker") or None, str, _invalid_marker)
    found = list(FUNCTIONS.scan(tx, scope, behind=None if behind is None else (behind,), limit=limit + 1))
    page = found[:limit]
    output: dict[str, Any] = {
        "Functions": [render_configuration(function.latest, "listed", qualified=qualified) for function in page]
    }
    if len(found) > limit:
        output["NextMarker"] = encode_token(page[-1].latest.function_name)
    return output


def _invalid_marker() -> ServiceError:
    # The code is the model's; AWS documents no words.
    return ServiceError("InvalidParameterValueException", "Invalid marker")
