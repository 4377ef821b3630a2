"""Versions: $LATEST as it was when it was published, and never changed from then on.

A version is a record of its own with a reference of its own to the code's blob, so nothing that happens to $LATEST
touches it. Numbers are not used again, even by another function of the same name.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html
"""

import msgspec

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_.control.account import check_code_storage
from cumulet.services.lambda_.control.configuration import invalid
from cumulet.services.lambda_.control.holdings import keep_all, release_all
from cumulet.services.lambda_.control.lookup import function_policy, load_function
from cumulet.services.lambda_.control.packages import check_not_pending
from cumulet.services.lambda_.control.paging import marker, page_size, with_marker
from cumulet.services.lambda_.control.provisioned import drop_provisioned
from cumulet.services.lambda_.control.rendering import render_configuration
from cumulet.services.lambda_.control.runtime_versions import render_function
from cumulet.services.lambda_.names import FunctionRef, function_of, unqualified_resource
from cumulet.services.lambda_.plane import LambdaPlane
from cumulet.services.lambda_.readiness import note_snapshot
from cumulet.services.lambda_.records import (
    ALIASES,
    EVENT_CONFIGS,
    FUNCTION_CHANGED,
    FUNCTIONS,
    LATEST,
    POLICIES,
    STATE_FIELDS,
    VERSION_NUMBERS,
    VERSIONS,
    FunctionRecord,
    VersionNumber,
    VersionRecord,
    find_version,
)
from cumulet.services.tokens import encode_token
from cumulet.store.api import ReadTx, WriteTx

_OF_THE_VERSION_ALONE = frozenset(
    (
        "version",
        "revision_id",
        "last_modified_ms",
        "description",
        "latest_description",
        "runtime_version_arn",
        *STATE_FIELDS,
    )
)
_COMPARED = tuple(name for name in VersionRecord.__struct_fields__ if name not in _OF_THE_VERSION_ALONE)


@operation(
    "PublishVersion",
    resource=unqualified_resource,
    resource_policy=function_policy,
    params="FunctionName CodeSha256 Description RevisionId",
)
async def publish_version(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Make a version of what $LATEST is now; if nothing has changed since the last one, that is the answer."""
    ref = function_of(call, params)
    version = await plane.ground.store.write(lambda tx: _publish_checked(tx, call, ref, params))
    return await render_function(plane, ref.scope, version, qualifier=version.version)


def _publish_checked(tx: WriteTx, call: Call, ref: FunctionRef, params: Params) -> VersionRecord:
    function = load_function(tx, ref)
    check_latest_only(ref)
    check_not_pending(function.latest)
    check_revision(function, params)
    if params.get("CodeSha256") not in (None, "", function.latest.code_sha256):
        raise invalid(
            f"CodeSHA256 ({params['CodeSha256']}) is different from current CodeSHA256 in $LATEST "
            f"({function.latest.code_sha256}). Please try again with the CodeSHA256 in $LATEST."
        )
    return publish(tx, call, ref.scope, function, params.get("Description"))


@operation(
    "ListVersionsByFunction",
    resource=unqualified_resource,
    resource_policy=function_policy,
    params="FunctionName Marker MaxItems",
)
def list_versions_by_function(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of the versions of a function: $LATEST, then the published ones by number."""
    ref = function_of(call, params)
    function = load_function(tx, ref)
    limit, behind = page_size(params), marker(params, int)
    found = [] if behind is not None else [function.latest]
    first = None if not behind else (ref.name, behind)
    found += VERSIONS.scan(tx, ref.scope, ref.name, behind=first, limit=limit + 1)
    page = found[:limit]
    versions = [render_configuration(version, "listed", qualifier=version.version) for version in page]
    return with_marker({"Versions": versions}, encode_token(_number(page[-1])) if len(found) > limit else None)


def publish(tx: WriteTx, call: Call, scope: Scope, function: FunctionRecord, description: str | None) -> VersionRecord:
    """Return the version that $LATEST is: the newest one if that is the same, else one that comes to be.

    How the runtime is updated goes with it, so that code, configuration and runtime are kept together:
    https://docs.aws.amazon.com/lambda/latest/dg/runtime-management-rollback.html
    """
    latest = function.latest
    name = latest.function_name
    newest = next(VERSIONS.scan(tx, scope, name, limit=1, reverse=True), None)
    if newest is not None and _is_same(newest, latest):
        return newest
    check_code_storage(tx, scope, latest.code_size)
    last = VERSION_NUMBERS.find(tx, scope, name)
    number = 1 if last is None else last.number + 1
    version = msgspec.structs.replace(
        latest,
        version=str(number),
        revision_id=call.ids.uuid(),
        last_modified_ms=call.now_ms,
        description=latest.description if description is None else description,
        latest_description=latest.description,
    )
    if latest.snap_start:
        version = msgspec.structs.replace(
            version,
            state="Pending",
            state_reason="The function is being created.",
            state_reason_code="Creating",
        )
        note_snapshot(tx, scope, name, version.version)
    keep_all(tx, latest)
    VERSIONS.save(tx, scope, name, number, record=version)
    VERSION_NUMBERS.save(tx, scope, name, record=VersionNumber(number=number))
    if (update_on := function.runtime_updates.get(LATEST)) is not None:
        updates = {**function.runtime_updates, version.version: update_on}
        FUNCTIONS.save(tx, scope, name, record=msgspec.structs.replace(function, runtime_updates=updates))
    return version


def delete_version(tx: WriteTx, ref: FunctionRef) -> None:
    """Remove the version that the qualifier names; nothing happens if it is not there."""
    assert ref.qualifier is not None
    if ref.qualifier == LATEST:
        raise invalid("$LATEST version cannot be deleted without deleting the function.")
    if not ref.qualifier.isdigit():
        raise invalid("Deletion of aliases is not currently supported.")
    version = find_version(tx, ref.scope, ref.name, ref.qualifier)
    if version is None:
        return
    aliases = [
        alias.name
        for alias in ALIASES.scan(tx, ref.scope, ref.name)
        if ref.qualifier == alias.version or ref.qualifier in alias.weights
    ]
    if aliases:
        raise ServiceError(
            "ResourceConflictException",
            f"Unable to delete version because the following aliases reference it: [{', '.join(aliases)}]",
            Type="User",
        )
    release_all(tx, version)
    VERSIONS.delete(tx, ref.scope, ref.name, _number(version))
    drop_provisioned(tx, ref, load_function(tx, ref), ref.qualifier)
    function = load_function(tx, ref)
    if ref.qualifier in function.runtime_updates:
        updates = {name: when for name, when in function.runtime_updates.items() if name != ref.qualifier}
        FUNCTIONS.save(tx, ref.scope, ref.name, record=msgspec.structs.replace(function, runtime_updates=updates))
    POLICIES.delete(tx, ref.scope, ref.name, ref.qualifier)
    EVENT_CONFIGS.delete(tx, ref.scope, ref.name, ref.qualifier)
    tx.hint(FUNCTION_CHANGED)


def delete_versions(tx: WriteTx, ref: FunctionRef) -> None:
    """Remove every published version of a function, its aliases and their policies."""
    for version in VERSIONS.scan(tx, ref.scope, ref.name):
        release_all(tx, version)
    for records in (VERSIONS, ALIASES, POLICIES, EVENT_CONFIGS):
        records.delete_all(tx, ref.scope, ref.name)


def check_latest_only(ref: FunctionRef) -> None:
    """Raise AWS's error for a change to anything else than $LATEST."""
    if ref.qualifier not in (None, LATEST):
        raise invalid("Current operation does not support versions other than $LATEST")


def check_revision(function: FunctionRecord, params: Params) -> None:
    """Raise AWS's error if the caller has seen another revision of $LATEST than there is."""
    if params.get("RevisionId") not in (None, function.latest.revision_id):
        raise ServiceError(
            "PreconditionFailedException",
            "The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias API to "
            "retrieve the latest Revision Id",
            Type="User",
        )


def _is_same(published: VersionRecord, latest: VersionRecord) -> bool:
    return published.latest_description == latest.description and all(
        getattr(published, name) == getattr(latest, name) for name in _COMPARED
    )


def _number(version: VersionRecord) -> int:
    return 0 if version.version == LATEST else int(version.version)
