"""Trying a method of a REST API as it is now, deployed or not: nobody asks who calls, and nothing is counted.

https://docs.aws.amazon.com/apigateway/latest/developerguide/how-to-test-method.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import gmtime, strftime
from typing import Any

import msgspec

from cumulet.services.apigateway.model import ApiOwner, Deployment, Stage
from cumulet.services.apigateway.pipeline.exchange import (
    Arrival,
    Authorized,
    Matched,
    new_extended_id,
    new_trace_id,
)
from cumulet.services.apigateway.pipeline.execution_log import cut, tell
from cumulet.services.apigateway.pipeline.faults import own_headers
from cumulet.services.apigateway.pipeline.integrate import Integrator
from cumulet.services.apigateway.pipeline.journey import Journey
from cumulet.services.apigateway.pipeline.match import compile_deployment
from cumulet.services.apigateway.pipeline.walk import Walk
from cumulet.services.apigateway.plans import ApiKey
from cumulet.services.kit import Call, Ground
from cumulet.wire.message import Headers, Request, Response

STAGE = "test-invoke-stage"
SOURCE_IP = "test-invoke-source-ip"
_KEY = ApiKey("test-invoke-api-key-id", "test-invoke-api-key", 0, 0)
"""What methods and functions see in place of a stage and a client: AWS's own names."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The request that a method is tried with."""

    method: str
    path: str
    """Percent-encoded."""
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    stage_variables: Mapping[str, str]
    client_certificate_id: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)


class Rehearsals:
    """Tries methods through the pipeline that serves deployed ones."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._integrator = Integrator(ground)

    async def rehearse(self, call: Call, api_id: str, deployment: Deployment, attempt: Attempt) -> dict[str, Any]:
        """Return the method's answer as TestInvokeMethod shows it, with the execution log."""
        arrival = arrive(self._ground, call, api_id, attempt)
        stage = Stage(name=STAGE, created_s=0, updated_s=0, variables=dict(attempt.stage_variables))
        stage.client_certificate_id = attempt.client_certificate_id
        journey = Journey()

        async def admit(matched: Matched, journey: Journey) -> Matched:
            return msgspec.structs.replace(
                matched, authorized=Authorized(identity=_identity(call), signer=call.principal), api_key=_KEY
            )

        walk = Walk(self._ground, admit, self._integrator)
        response = await walk.answer(arrival, stage, compile_deployment(deployment, is_rest=True), journey)
        if not isinstance(response.body, bytes):
            body = b"".join([chunk async for chunk in response.body])
            response = Response(response.status, response.headers, body)
        now_ms = self._ground.clock.now_ms()
        return {
            **_shown(response, arrival),
            "log": _log(journey, arrival, stage, response, now_ms),
            "latency": now_ms - call.now_ms,
        }


def arrive(ground: Ground, call: Call, api_id: str, attempt: Attempt) -> Arrival:
    """Return the request of an attempt as if it had found its API."""
    return Arrival(
        request=Request(
            attempt.method,
            attempt.path,
            attempt.query,
            Headers(list(attempt.headers)),
            attempt.body,
            client_ip=SOURCE_IP,
        ),
        api_id=api_id,
        owner=ApiOwner(call.scope.account, call.scope.region, "REST"),
        path=attempt.path,
        domain_name="testPrefix.testDomainName",
        request_id=ground.ids.uuid(),
        extended_request_id=new_extended_id(ground.ids),
        now_ms=call.now_ms,
        trace_id=new_trace_id(ground.ids, call.now_ms),
        port=0,
        mapped_path=attempt.path,
        told=dict(attempt.context),
    )


def _identity(call: Call) -> dict[str, Any]:
    principal = call.principal
    return {
        "accountId": principal.account,
        "accessKey": principal.access_key_id or None,
        "caller": principal.unique_id or None,
        "user": principal.unique_id or None,
        "userArn": principal.arn,
        "userAgent": call.user_agent or None,
    }


def _shown(response: Response, arrival: Arrival) -> dict[str, Any]:
    own = {name for name, _ in own_headers(arrival)}
    many: dict[str, list[str]] = {}
    for name, value in response.headers:
        if name not in own:
            many.setdefault(name, []).append(value)
    return {
        "status": response.status,
        "body": response.body.decode("utf-8", "replace") if isinstance(response.body, bytes) else "",
        "headers": {name: values[-1] for name, values in many.items()},
        "multiValueHeaders": many,
    }


def _log(journey: Journey, arrival: Arrival, stage: Stage, response: Response, now_ms: int) -> str:
    """Return the execution log from where the method begins."""
    begin = f"Starting execution for request: {arrival.request_id}"
    told = list(tell(journey, arrival, stage, response, now_ms, with_data=True))
    first = next((at for at, line in enumerate(told) if line.text == begin), 0)
    return write_log(arrival, [(line.at_ms, line.text) for line in told[first:]])


def write_log(arrival: Arrival, lines: Sequence[tuple[int, str]]) -> str:
    """Return the log of an attempt, with the time of each of its lines."""
    dated = [f"{strftime('%a %b %d %H:%M:%S UTC %Y', gmtime(at_ms // 1000))} : {text}" for at_ms, text in lines]
    return "\n".join([f"Execution log for request {arrival.request_id}", *map(cut, dated), ""])
