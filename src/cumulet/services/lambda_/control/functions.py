"""Functions: create, describe, list, change, delete. What changes is $LATEST; `versions` keeps what is published."""

from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_.control.account import check_code_storage
from cumulet.services.lambda_.control.code_signing import check_code_signing
from cumulet.services.lambda_.control.concurrency import give_back, render_concurrency
from cumulet.services.lambda_.control.condition_keys import member_keys
from cumulet.services.lambda_.control.configuration import (
    DEFAULT_ARCHITECTURES,
    EMPTY_ONLY,
    check_snap_start,
    check_tags,
    invalid,
    parse_architectures,
    parse_configuration,
    parse_logging,
)
from cumulet.services.lambda_.control.holdings import (
    check_layers,
    check_unzipped,
    find_uses,
    keep_layers,
    release_all,
    release_code,
    release_layers,
)
from cumulet.services.lambda_.control.lookup import function_policy, load_function, load_version
from cumulet.services.lambda_.control.packages import (
    Package,
    check_creation,
    check_members,
    check_not_overtaken,
    check_not_pending,
    check_update,
    fetch_package,
    render_code,
)
from cumulet.services.lambda_.control.paging import marker, page_size, with_marker
from cumulet.services.lambda_.control.rendering import render_configuration
from cumulet.services.lambda_.control.roles import check_role
from cumulet.services.lambda_.control.runtime_management import check_runtime_kept
from cumulet.services.lambda_.control.runtime_versions import render_function
from cumulet.services.lambda_.control.urls import drop_urls
from cumulet.services.lambda_.control.versions import (
    check_latest_only,
    check_revision,
    delete_version,
    delete_versions,
    publish,
)
from cumulet.services.lambda_.execution.limits import IMAGE_WAIT_S
from cumulet.services.lambda_.names import FunctionRef, function_of, resource, unqualified_resource
from cumulet.services.lambda_.plane import LambdaPlane
from cumulet.services.lambda_.readiness import forget_function, note_snapshot
from cumulet.services.lambda_.records import (
    FUNCTION_CHANGED,
    FUNCTIONS,
    LATEST,
    STATE_FIELDS,
    VERSIONS,
    FunctionRecord,
    VersionRecord,
)
from cumulet.services.tokens import encode_token
from cumulet.store.api import ReadTx, WriteTx

_RUNTIMES = "runtimes: Python, Node.js, Java and provided"
_IMAGES = "PackageType Image: where podman or docker has the image and the machine permits namespaces"
_DEFAULT_ONLY = (
    f"{', '.join(EMPTY_ONLY.split())} are taken only when they are empty; Architectures is recorded, but code runs on "
    "the processor that is there; TracingConfig: what is sampled goes nowhere, as there is no X-Ray; SnapStart: "
    "outside Python each environment is initialised by itself, ahead of the invocation for which it is restored"
)


@operation(
    "CreateFunction",
    resource=unqualified_resource,
    resource_policy=function_policy,
    conditions=member_keys,
    params="FunctionName Runtime Role Handler Code Description Timeout MemorySize Publish PackageType Environment "
    "ImageConfig TracingConfig Tags Architectures EphemeralStorage LoggingConfig Layers CodeSigningConfigArn "
    f"SnapStart TenancyConfig {EMPTY_ONLY}",
    missing=f"{_DEFAULT_ONLY}; {_IMAGES}; {_RUNTIMES}",
)
async def create_function(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Make a function out of code and configuration.

    It can be invoked at once, though the answer says Pending as AWS's does; an image may indeed still be unpacked.
    """
    ref = function_of(call, params)
    check_latest_only(ref)
    fields = {"runtime": "", "handler": ""} | parse_configuration(params)
    fields |= parse_logging(params.get("LoggingConfig"), None)
    check_creation(params)
    tags = dict(params.get("Tags") or {})
    check_tags(tags)
    await check_role(plane.ground, call, ref, params["Role"])
    await plane.ground.store.read(lambda tx: _check_absent(tx, ref))
    architectures = fields.get("architectures", DEFAULT_ARCHITECTURES)
    package = await fetch_package(plane, call, params["Code"], "CreateFunction", architectures, IMAGE_WAIT_S)
    layers = params.get("Layers") or ()
    await check_layers(plane.ground, call, layers)
    revision_id, secret = call.ids.uuid(), call.ids.secret(32)

    def create(tx: WriteTx) -> VersionRecord:
        _check_absent(tx, ref)
        check_code_storage(tx, ref.scope, len(package.archive))
        version = VersionRecord(
            function_name=ref.name,
            arn=ref.unqualified_arn,
            revision_id=revision_id,
            code_blob=package.save(tx),
            layers=find_uses(tx, ref.scope, layers),
            last_modified_ms=call.now_ms,
            **package.fields,
            **fields,
        )
        check_unzipped(version)
        check_snap_start(version)
        keep_layers(tx, version.layers)
        signing = params.get("CodeSigningConfigArn")
        function = FunctionRecord(
            latest=version,
            tags=tags,
            code_url_secret=secret,
            code_signing_arn=check_code_signing(tx, ref.scope, signing) if signing else "",
        )
        FUNCTIONS.save(tx, ref.scope, ref.name, record=function)
        if version.state == "Pending":
            note_snapshot(tx, ref.scope, ref.name, LATEST)  # or nobody would go on where this process ended
        return publish(tx, call, ref.scope, function, None) if params.get("Publish") else version

    version = await plane.ground.store.write(create)
    plane.execution.prepare(version)
    return await render_function(plane, ref.scope, version, "creating")


@operation("GetFunction", resource=resource, resource_policy=function_policy, params="FunctionName Qualifier")
async def get_function(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Return a function's configuration and tags, and a URL that serves its code."""
    ref = function_of(call, params)
    function, version = await plane.ground.store.read(lambda tx: (load_function(tx, ref), load_version(tx, ref)))
    output: dict[str, Any] = {
        "Configuration": await render_function(plane, ref.scope, version, qualifier=ref.qualifier),
        "Code": render_code(plane, call, ref, function, version),
    }
    if function.reserved_concurrency is not None:
        output["Concurrency"] = render_concurrency(function)
    return {**output, **await _render_tags(plane, call, ref, function)}


async def _render_tags(plane: LambdaPlane, call: Call, ref: FunctionRef, function: FunctionRecord) -> Output:
    """Return the tags of a function for who may list them, or why not."""
    try:
        await plane.ground.operations.authorize(call, "lambda:ListTags", ref.unqualified_arn, service="lambda")
    except ServiceError as denied:
        return {"TagsError": {"ErrorCode": denied.code, "Message": denied.message}}
    return {"Tags": dict(function.tags)} if function.tags else {}


@operation(
    "GetFunctionConfiguration", resource=resource, resource_policy=function_policy, params="FunctionName Qualifier"
)
async def get_function_configuration(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Return what a function runs with."""
    ref = function_of(call, params)
    version = await plane.ground.store.read(lambda tx: load_version(tx, ref))
    return await render_function(plane, ref.scope, version, qualifier=ref.qualifier)


@operation("ListFunctions", resource="*", params="MasterRegion FunctionVersion Marker MaxItems")
def list_functions(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of the functions of this account and region, by name; with ALL also their versions.

    A MasterRegion asks for replicas that CloudFront's functions have in other regions: there are none.
    """
    if params.get("MasterRegion") is not None:
        if params.get("FunctionVersion") != "ALL":
            raise invalid("FunctionVersion must be set to ALL when MasterRegion is specified.")
        return {"Functions": []}
    limit, behind = page_size(params), marker(params, tuple[str, int])
    if params.get("FunctionVersion") == "ALL":
        found, qualified = _find_versions(tx, call.scope, behind, limit + 1), True
    else:
        functions = FUNCTIONS.scan(tx, call.scope, behind=None if behind is None else behind[:1], limit=limit + 1)
        found, qualified = [function.latest for function in functions], False
    page = found[:limit]
    rendered = [
        render_configuration(version, "listed", qualifier=version.version if qualified else None) for version in page
    ]
    position = (page[-1].function_name, 0 if page[-1].version == LATEST else int(page[-1].version)) if page else None
    return with_marker({"Functions": rendered}, encode_token(position) if len(found) > limit else None)


def _find_versions(tx: ReadTx, scope: Scope, behind: tuple[str, int] | None, limit: int) -> list[VersionRecord]:
    """Return up to `limit` versions of all functions: of each $LATEST, then the published ones."""
    found: list[VersionRecord] = []
    if behind is not None:
        found += VERSIONS.scan(tx, scope, behind[0], behind=behind, limit=limit)
    for function in FUNCTIONS.scan(tx, scope, behind=None if behind is None else behind[:1]):
        if len(found) >= limit:
            break
        found.append(function.latest)
        found += VERSIONS.scan(tx, scope, function.latest.function_name, limit=limit)
    return found[:limit]


@operation(
    "UpdateFunctionCode",
    resource=unqualified_resource,
    resource_policy=function_policy,
    params="FunctionName ZipFile S3Bucket S3Key S3ObjectVersion S3ObjectStorageMode ImageUri Architectures Publish "
    "DryRun RevisionId",
    missing="S3ObjectStorageMode REFERENCE is refused; Architectures is recorded, but code runs on the "
    f"processor that is there; {_IMAGES}",
)
async def update_function_code(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Replace a function's code. With DryRun, return what would be and change nothing.

    Until an image is unpacked nothing changes, and what is invoked is the one before.
    """
    ref = function_of(call, params)
    fields: dict[str, Any] = {}
    if params.get("Architectures"):
        fields["architectures"] = parse_architectures(params["Architectures"])
    present = (await plane.ground.store.read(lambda tx: _load_for_update(tx, ref, params))).latest
    check_update(present, params)
    architectures = fields.get("architectures", present.architectures)
    package = await fetch_package(plane, call, params, "UpdateFunctionCode", architectures)
    # A new image may be well, whatever became of the one before.
    fields = dict.fromkeys(STATE_FIELDS, "") | fields | package.fields
    if params.get("DryRun"):
        function = await plane.ground.store.read(lambda tx: load_function(tx, ref))
        return await render_function(plane, ref.scope, msgspec.structs.replace(function.latest, **fields))
    revision_id = call.ids.uuid()

    def update(tx: WriteTx) -> VersionRecord:
        function = _load_for_update(tx, ref, params)
        check_update(function.latest, params)
        check_not_overtaken(ref, present, function.latest)
        check_code_storage(tx, ref.scope, len(package.archive) - function.latest.code_size)
        changed = _save_changed(
            tx, call, ref, function, revision_id, code_blob=_replace_blob(tx, function, package), **fields
        )
        return publish(tx, call, ref.scope, changed, None) if params.get("Publish") else changed.latest

    version = await plane.ground.store.write(update)
    plane.execution.prepare(version)
    if params.get("Publish"):
        return await render_function(plane, ref.scope, version, qualifier=version.version)
    return await render_function(plane, ref.scope, version, "updating")


@operation(
    "UpdateFunctionConfiguration",
    resource=unqualified_resource,
    resource_policy=function_policy,
    conditions=member_keys,
    params="FunctionName Role Handler Description Timeout MemorySize Environment Runtime TracingConfig RevisionId "
    f"EphemeralStorage LoggingConfig Layers SnapStart ImageConfig {EMPTY_ONLY}",
    missing=f"{_DEFAULT_ONLY}; {_RUNTIMES}",
)
async def update_function_configuration(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Change what a function runs with; what is not given stays."""
    ref = function_of(call, params)
    fields = parse_configuration(params)
    present = await plane.ground.store.read(lambda tx: _load_for_update(tx, ref, params))
    check_members(present.latest, params)
    if params.get("Role") is not None:
        await check_role(plane.ground, call, ref, params["Role"])
    layers = params.get("Layers")
    await check_layers(plane.ground, call, layers or ())
    revision_id = call.ids.uuid()

    def update(tx: WriteTx) -> VersionRecord:
        function = _load_for_update(tx, ref, params)
        check_members(function.latest, params)
        changed = fields | parse_logging(params.get("LoggingConfig"), function.latest)
        if layers is not None:
            changed["layers"] = find_uses(tx, ref.scope, layers)
            keep_layers(tx, changed["layers"])
            release_layers(tx, function.latest.layers)
        return _save_changed(tx, call, ref, function, revision_id, **changed).latest

    version = await plane.ground.store.write(update)
    if "runtime" in fields or layers is not None:
        plane.execution.prepare(version)
    return await render_function(plane, ref.scope, version, "updating")


@operation("DeleteFunction", resource=resource, resource_policy=function_policy, params="FunctionName Qualifier")
def delete_function(call: Call, tx: WriteTx, params: Params) -> Output:
    """Remove a function with all that is its own, or one of its versions. Its log group stays, as on AWS."""
    ref = function_of(call, params)
    function = load_function(tx, ref)
    if ref.qualifier is not None:
        delete_version(tx, ref)
        return {"StatusCode": 204}
    delete_versions(tx, ref)
    drop_urls(tx, ref)
    give_back(tx, ref.scope, function)
    forget_function(tx, ref.scope, ref.name)
    release_all(tx, function.latest)
    FUNCTIONS.delete(tx, ref.scope, ref.name)
    tx.hint(FUNCTION_CHANGED)
    return {"StatusCode": 204}


def _check_absent(tx: ReadTx, ref: FunctionRef) -> None:
    if FUNCTIONS.find(tx, ref.scope, ref.name) is not None:
        raise ServiceError("ResourceConflictException", f"Function already exist: {ref.name}", Type="User")


def _load_for_update(tx: ReadTx, ref: FunctionRef, params: Params) -> FunctionRecord:
    function = load_function(tx, ref)
    check_latest_only(ref)
    check_not_pending(function.latest)
    check_revision(function, params)
    return function


def _replace_blob(tx: WriteTx, function: FunctionRecord, package: Package) -> str:
    digest = package.save(tx)
    release_code(tx, function.latest)
    return digest


def _save_changed(
    tx: WriteTx, call: Call, ref: FunctionRef, function: FunctionRecord, revision_id: str, **fields: Any
) -> FunctionRecord:
    version = msgspec.structs.replace(function.latest, revision_id=revision_id, last_modified_ms=call.now_ms, **fields)
    check_runtime_kept(function.latest, version)
    check_unzipped(version)
    check_snap_start(version)
    changed = msgspec.structs.replace(function, latest=version)
    FUNCTIONS.save(tx, ref.scope, ref.name, record=changed)
    tx.hint(FUNCTION_CHANGED)
    return changed
