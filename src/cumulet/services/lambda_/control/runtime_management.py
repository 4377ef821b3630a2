"""When the runtime of a version is updated.

Runtimes are those of the machine and change when its owner updates them, so Auto and FunctionUpdate are recorded and
mean the same. Manual would keep a version on one runtime version for ever, and is refused by name.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-update.html
"""

import msgspec

from cumulet.errors import NotImplementedHere
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_.control.configuration import invalid
from cumulet.services.lambda_.control.lookup import function_policy, load_function, load_version
from cumulet.services.lambda_.names import FunctionRef, function_of, resource
from cumulet.services.lambda_.records import FUNCTIONS, LATEST, FunctionRecord
from cumulet.store.api import ReadTx, WriteTx


@operation(
    "PutRuntimeManagementConfig",
    resource=resource,
    resource_policy=function_policy,
    params="FunctionName Qualifier UpdateRuntimeOn RuntimeVersionArn",
    missing="UpdateRuntimeOn Manual is refused: runtimes are those of the machine",
)
def put_runtime_management_config(call: Call, tx: WriteTx, params: Params) -> Output:
    """Record when a version's runtime is updated."""
    ref = function_of(call, params)
    function = _load(tx, ref)
    update_on: str = params["UpdateRuntimeOn"]
    if update_on == "Manual":
        raise NotImplementedHere("UpdateRuntimeOn Manual")
    if params.get("RuntimeVersionArn") is not None:
        raise invalid("You can only specify the RuntimeVersionArn when UpdateRuntimeOn is set to Manual.")
    updates = {**function.runtime_updates, ref.qualifier or LATEST: update_on}
    FUNCTIONS.save(tx, ref.scope, ref.name, record=msgspec.structs.replace(function, runtime_updates=updates))
    return {"UpdateRuntimeOn": update_on, "FunctionArn": f"{ref.unqualified_arn}:{ref.qualifier or LATEST}"}


@operation(
    "GetRuntimeManagementConfig", resource=resource, resource_policy=function_policy, params="FunctionName Qualifier"
)
def get_runtime_management_config(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return when a version's runtime is updated."""
    ref = function_of(call, params)
    version = ref.qualifier or LATEST
    updates = _load(tx, ref).runtime_updates
    return {"UpdateRuntimeOn": updates.get(version, "Auto"), "FunctionArn": f"{ref.unqualified_arn}:{version}"}


def _load(tx: ReadTx, ref: FunctionRef) -> FunctionRecord:
    """Return the function, which has the version that the qualifier names; aliases have no runtime."""
    function = load_function(tx, ref)
    if ref.qualifier not in (None, LATEST):
        if not ref.qualifier.isdigit():
            raise invalid("Runtime management configuration is not supported for aliases: name a version or $LATEST.")
        load_version(tx, ref)
    return function
