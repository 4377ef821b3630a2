"""Lambda's Invoke as REST APIs speak it: headers that say how a function is to run, and headers of its answer (pure).

An integration maps them: with 'Event' for integration.request.header.X-Amz-Invocation-Type nobody waits for an answer.
https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-integration-async.html
https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

from collections.abc import Mapping

from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.services.kit import Output

_REQUEST = {
    "x-amz-client-context": ("ClientContext", ()),
    "x-amz-invocation-type": ("InvocationType", ("RequestResponse", "Event", "DryRun")),
    "x-amz-log-type": ("LogType", ("None", "Tail")),
    "x-amz-tenant-id": ("TenantId", ()),
}
"""What each header is called as a parameter, and what it may be, where that is fixed."""

_ANSWER = {
    "FunctionError": "X-Amz-Function-Error",
    "LogResult": "X-Amz-Log-Result",
    "ExecutedVersion": "X-Amz-Executed-Version",
}


def invoke_params(headers: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the parameters of Invoke that stand in headers. Raises Refused for what Lambda would not take."""
    params: dict[str, str] = {}
    for header, (name, values) in _REQUEST.items():
        if given := headers.get(header):
            params[name] = given[-1]
            if values and given[-1] not in values:
                raise Refused("misconfigured")
    return params


def answer_headers(output: Output, request_id: str) -> tuple[tuple[str, str], ...]:
    """Return the headers of Invoke's answer that say how it went."""
    told = [(header, output[name]) for name, header in _ANSWER.items() if output.get(name)]
    return (("Content-Type", "application/json"), ("x-amzn-RequestId", request_id), *told)
