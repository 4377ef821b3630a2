"""Trying an authorizer of a REST API: what it says of a request, and the log of how it was asked."""

from typing import Any

from cumulet.services.apigateway import model
from cumulet.services.apigateway.model import Deployment, Route, Stage, Target
from cumulet.services.apigateway.pipeline.authorizers.functions import Functions, demand_identity
from cumulet.services.apigateway.pipeline.authorizers.tokens import Tokens
from cumulet.services.apigateway.pipeline.exchange import Arrival, Matched
from cumulet.services.apigateway.pipeline.execution_log import failure, hearing
from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.services.apigateway.pipeline.integrate import Integrator
from cumulet.services.apigateway.pipeline.journey import Journey
from cumulet.services.apigateway.pipeline.match import compile_deployment
from cumulet.services.apigateway.rehearsal import Attempt, arrive, write_log
from cumulet.services.kit import Call, Ground

STAGE = "ESTestInvoke-stage"
"""What authorizers see in place of a stage: AWS's own name."""

_ROUTE = Route("GET", "/", "GET", Target(uri="", payload_format="rest", timeout_ms=29_000, kind="MOCK"))


class Auditions:
    """Asks authorizers as the pipeline does, but for what was answered before."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._functions = Functions(ground.clock, Integrator(ground))
        self._tokens = Tokens(ground)

    async def hear(self, call: Call, api_id: str, authorizer: model.Authorizer, attempt: Attempt) -> dict[str, Any]:
        """Return what TestInvokeAuthorizer shows."""
        arrival = arrive(self._ground, call, api_id, attempt)
        stage = Stage(name=STAGE, created_s=0, updated_s=0, variables=dict(attempt.stage_variables))
        nothing = compile_deployment(Deployment("", 0, [_ROUTE]), is_rest=True)
        matched = Matched(arrival, stage, nothing, _ROUTE, {})
        journey = Journey()
        lines = [f"Starting authorizer: {authorizer.authorizer_id} for request: {arrival.request_id}"]
        shown: dict[str, Any] = {"clientStatus": 0}
        try:
            if authorizer.kind in ("TOKEN", "REQUEST"):
                identity = demand_identity(matched, authorizer)
                verdict = await self._functions.ask_anew(matched, authorizer, identity, journey)
                shown |= {"principalId": verdict.principal_id, "policy": verdict.policy}
            else:
                known = await self._tokens.admit(matched, authorizer, ())
                shown["claims"] = known.context["claims"]
            lines += _heard(arrival, stage, authorizer, journey)
            lines.append("Successfully completed authorizer execution")
        except Refused as refused:
            words = refused.words(arrival)
            shown["clientStatus"] = words.status
            lines += _heard(arrival, stage, authorizer, journey)
            lines += failure(journey, arrival, refused)
            lines.append(words.error_type if refused.detail is None else f"{words.error_type}: {refused.detail}")
        now_ms = self._ground.clock.now_ms()
        log = write_log(arrival, [(now_ms, line) for line in lines])
        return {**shown, "log": log, "latency": now_ms - call.now_ms}


def _heard(arrival: Arrival, stage: Stage, authorizer: model.Authorizer, journey: Journey) -> list[str]:
    return [] if journey.heard is None else [line.text for line in hearing(arrival, stage, authorizer, journey.heard)]
