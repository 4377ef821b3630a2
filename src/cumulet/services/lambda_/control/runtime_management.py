"""When the runtime of a version is updated.

Runtimes are those of the machine and change when its owner updates them, so Auto and FunctionUpdate are recorded and
mean the same: what is gone cannot be kept. Manual names the one version of the runtime on which a function may run,
which must be here when it is named; where it is not any more, the function is not run on another.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-update.html
"""

import msgspec

from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_.control.configuration import invalid
from cumulet.services.lambda_.control.lookup import function_policy, load_function, load_version
from cumulet.services.lambda_.control.runtime_versions import find_runtime_version_arn
from cumulet.services.lambda_.names import FunctionRef, function_of, resource
from cumulet.services.lambda_.plane import LambdaPlane
from cumulet.services.lambda_.records import FUNCTIONS, LATEST, VERSIONS, FunctionRecord, VersionRecord
from cumulet.store.api import ReadTx, WriteTx


@operation(
    "PutRuntimeManagementConfig",
    resource=resource,
    resource_policy=function_policy,
    params="FunctionName Qualifier UpdateRuntimeOn RuntimeVersionArn",
    missing="Manual takes the version of a runtime that is here now, as there are no earlier ones; FunctionUpdate does "
    "not keep one that the machine has no more",
)
async def put_runtime_management_config(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Record when a version's runtime is updated."""
    ref = function_of(call, params)
    _, version = await plane.ground.store.read(lambda tx: _load(tx, ref))
    update_on: str = params["UpdateRuntimeOn"]
    pinned: str | None = params.get("RuntimeVersionArn")
    # AWS documents these errors without their words.
    if update_on != "Manual" and pinned is not None:
        raise invalid("You can only specify the RuntimeVersionArn when UpdateRuntimeOn is set to Manual.")
    if update_on == "Manual":
        if version.image is not None:
            raise invalid("UpdateRuntimeOn Manual is not supported for functions with PackageType Image.")
        if pinned is None:
            raise invalid("You must specify the RuntimeVersionArn when UpdateRuntimeOn is set to Manual.")
        if pinned != await find_runtime_version_arn(plane.execution, ref.scope, version.runtime):
            raise invalid(f"The runtime version {pinned} is not a version of the runtime {version.runtime}.")

    def put(tx: WriteTx) -> Output:
        function, present = _load(tx, ref)
        if pinned is not None and present.runtime != version.runtime:
            raise invalid(f"The runtime version {pinned} is not a version of the runtime {present.runtime}.")
        _save(tx, ref, function, present, update_on, pinned or "")
        return _render(ref, update_on, pinned or "")

    return await plane.ground.store.write(put)


@operation(
    "GetRuntimeManagementConfig", resource=resource, resource_policy=function_policy, params="FunctionName Qualifier"
)
def get_runtime_management_config(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return when a version's runtime is updated."""
    ref = function_of(call, params)
    function, version = _load(tx, ref)
    pinned = version.runtime_version_arn
    return _render(ref, "Manual" if pinned else function.runtime_updates.get(version.version, "Auto"), pinned)


def check_runtime_kept(before: VersionRecord, after: VersionRecord) -> None:
    """Raise AWS's error for another runtime or processor of a function that runs on one version of its runtime alone.

    https://docs.aws.amazon.com/lambda/latest/dg/runtime-management-rollback.html has the rule, and no words.
    """
    if before.runtime_version_arn and (before.runtime, before.architectures) != (after.runtime, after.architectures):
        raise invalid(
            "The runtime and the architecture cannot be changed while UpdateRuntimeOn is set to Manual. Set it to Auto "
            "or FunctionUpdate first."
        )


def _load(tx: ReadTx, ref: FunctionRef) -> tuple[FunctionRecord, VersionRecord]:
    """Return the function, and the version that the qualifier names; aliases have no runtime."""
    function = load_function(tx, ref)
    if ref.qualifier not in (None, LATEST) and not ref.qualifier.isdigit():
        raise invalid(f"The provided function name {ref.arn} is invalid. Aliases are not allowed.")
    return function, load_version(tx, ref)


def _save(
    tx: WriteTx, ref: FunctionRef, function: FunctionRecord, version: VersionRecord, update_on: str, pinned: str
) -> None:
    updates = {name: when for name, when in function.runtime_updates.items() if name != version.version}
    if update_on == "FunctionUpdate":
        updates[version.version] = update_on
    changed = msgspec.structs.replace(version, runtime_version_arn=pinned)
    if version.version == LATEST:
        function = msgspec.structs.replace(function, latest=changed)
    else:
        VERSIONS.save(tx, ref.scope, ref.name, int(version.version), record=changed)
    FUNCTIONS.save(tx, ref.scope, ref.name, record=msgspec.structs.replace(function, runtime_updates=updates))


def _render(ref: FunctionRef, update_on: str, pinned: str) -> Output:
    told = {"UpdateRuntimeOn": update_on, "FunctionArn": f"{ref.unqualified_arn}:{ref.qualifier or LATEST}"}
    return {**told, "RuntimeVersionArn": pinned} if pinned else told
