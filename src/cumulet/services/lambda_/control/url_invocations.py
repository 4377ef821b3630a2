"""How the edge runs a function for its URL: as an operation that IAM knows and the API does not have."""

from cumulet.services.kit import Call, Demand, Output, Params, operation
from cumulet.services.lambda_.control.lookup import function_policy
from cumulet.services.lambda_.names import function_of, resource
from cumulet.services.lambda_.plane import LambdaPlane
from cumulet.services.lambda_.running import run_function
from cumulet.store.api import ReadTx


def _url_demands(tx: ReadTx, call: Call, params: Params) -> list[Demand]:
    # Since October 2025 it takes both: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
    arn = resource(call, params)
    return [
        Demand("lambda:InvokeFunctionUrl", arn, {"lambda:FunctionUrlAuthType": params["AuthType"]}),
        Demand("lambda:InvokeFunction", arn, {"lambda:InvokedViaFunctionUrl": "true"}),
    ]


@operation(
    "InvokeFunctionUrl",
    resource=resource,
    resource_policy=function_policy,
    demands=_url_demands,
    params="FunctionName Qualifier AuthType Payload",
)
async def invoke_function_url(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Run a function for its URL, and return its answer or its error."""
    ref = function_of(call, params)
    ran = await run_function(plane.ground.store, plane.execution, call.ids, ref, call.request_id, params["Payload"])
    return {"Payload": ran.result.payload, "FunctionError": ran.result.function_error}
