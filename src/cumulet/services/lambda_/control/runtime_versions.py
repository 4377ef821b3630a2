"""Which version of its runtime a function runs on: the machine knows, and the outputs about one function tell it.

Lists leave it out. https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html
"""

from cumulet.errors import NotImplementedHere
from cumulet.scope import Scope
from cumulet.services.kit import Output
from cumulet.services.lambda_.control.rendering import Moment, render_configuration
from cumulet.services.lambda_.execution.plane import ExecutionPlane
from cumulet.services.lambda_.execution.runtime_names import runtime_version
from cumulet.services.lambda_.plane import LambdaPlane
from cumulet.services.lambda_.records import VersionRecord


async def render_function(
    plane: LambdaPlane,
    scope: Scope,
    version: VersionRecord,
    moment: Moment = "settled",
    *,
    qualifier: str | None = None,
) -> Output:
    """Return a FunctionConfiguration with the version of the runtime; a qualifier that was given is in its ARN."""
    configuration = render_configuration(version, moment, qualifier=qualifier)
    if version.image is not None:
        return configuration
    return {**configuration, "RuntimeVersionConfig": await _render_runtime_version(plane.execution, scope, version)}


async def find_runtime_version_arn(execution: ExecutionPlane, scope: Scope, runtime: str) -> str:
    """Return the ARN of what runs a runtime here. Raises NotImplementedHere if nothing does."""
    return runtime_version(runtime, scope.region, await execution.interpreter_of(runtime))[1]


async def _render_runtime_version(execution: ExecutionPlane, scope: Scope, version: VersionRecord) -> Output:
    if version.runtime_version_arn:
        return {"RuntimeVersionArn": version.runtime_version_arn}
    try:
        return {"RuntimeVersionArn": await find_runtime_version_arn(execution, scope, version.runtime)}
    except NotImplementedHere as refused:
        return {"Error": {"ErrorCode": refused.code, "Message": refused.message}}
