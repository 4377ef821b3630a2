"""How the edge runs a function for its URL: as an operation that IAM knows and the API does not have."""

import asyncio
from collections.abc import AsyncGenerator

from cumulet.services.kit import Call, Demand, Output, Params, operation
from cumulet.services.lambda_.control.lookup import function_policy
from cumulet.services.lambda_.execution.streaming import AnswerStream
from cumulet.services.lambda_.names import function_of, resource
from cumulet.services.lambda_.plane import LambdaPlane
from cumulet.services.lambda_.running import Ran, run_function, start_function
from cumulet.store.api import ReadTx
from cumulet.wire.message import BrokeOff


def _url_demands(tx: ReadTx, call: Call, params: Params) -> list[Demand]:
    # Since October 2025 it takes both: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
    arn = resource(call, params)
    return [
        Demand("lambda:InvokeFunctionUrl", arn, lambda: {"lambda:FunctionUrlAuthType": params["AuthType"]}),
        Demand("lambda:InvokeFunction", arn, lambda: {"lambda:InvokedViaFunctionUrl": "true"}),
    ]


@operation(
    "InvokeFunctionUrl",
    resource=resource,
    resource_policy=function_policy,
    demands=_url_demands,
    params="FunctionName Qualifier AuthType InvokeMode Payload",
)
async def invoke_function_url(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Run a function for its URL, and return its answer or its error.

    With InvokeMode RESPONSE_STREAM, an answer that comes piece by piece is returned when it begins.
    """
    ref = function_of(call, params)
    store, ids, payload = plane.ground.store, call.ids, params["Payload"]
    if params["InvokeMode"] == "RESPONSE_STREAM":
        stream, running = await start_function(
            store, plane.execution, ids, ref, call.request_id, payload, call.trace_header, call.now_ms
        )
        if stream is not None:
            return {"ContentType": stream.began.result()[0], "Pieces": _pieces(stream, running)}
        ran = await running
    else:
        ran = await run_function(
            store, plane.execution, ids, ref, call.request_id, payload, call.trace_header, call.now_ms
        )
    return {"Payload": ran.result.payload, "FunctionError": ran.result.function_error}


async def _pieces(stream: AnswerStream, running: "asyncio.Future[Ran]") -> AsyncGenerator[bytes, None]:
    try:
        async for piece in stream.pieces():
            yield piece
        if (await running).result.function_error is not None:
            raise BrokeOff
    finally:
        stream.leave()  # a client who has gone does not end the function
