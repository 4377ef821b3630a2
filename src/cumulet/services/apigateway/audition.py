"""Trying an authorizer of a REST API: what it says of a request, and the log of how it was asked."""

from typing import Any

from cumulet.services.apigateway import model
from cumulet.services.apigateway.model import Deployment, Route, Stage, Target
from cumulet.services.apigateway.pipeline.authorizers.functions import Functions, demand_identity
from cumulet.services.apigateway.pipeline.authorizers.tokens import Tokens
from cumulet.services.apigateway.pipeline.exchange import Matched
from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.services.apigateway.pipeline.integrate import Integrator
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
        lines = [f"Starting authorizer: {authorizer.authorizer_id} for request: {arrival.request_id}"]
        shown: dict[str, Any] = {"clientStatus": 0}
        try:
            if authorizer.kind in ("TOKEN", "REQUEST"):
                identity = demand_identity(matched, authorizer)
                verdict = await self._functions.ask_anew(matched, authorizer, identity)
                shown |= {"principalId": verdict.principal_id, "policy": verdict.policy}
                lines.append(f"Authorizer result body: {verdict.policy}")
            else:
                known = await self._tokens.admit(matched, authorizer, ())
                shown["claims"] = known.context["claims"]
            lines.append("Successfully completed authorizer execution")
        except Refused as refused:
            words = refused.words(arrival)
            shown["clientStatus"] = words.status
            lines.append(f"Authorizer did not let the request pass: {refused.detail or words.message or refused.fault}")
        now_ms = self._ground.clock.now_ms()
        log = write_log(arrival, [(now_ms, line) for line in lines])
        return {**shown, "log": log, "latency": now_ms - call.now_ms}
