"""Who may call: one stage for every kind of authorization, of both dialects."""

from dataclasses import replace

from cumulet.services.apigateway.pipeline.authorizers.functions import Functions
from cumulet.services.apigateway.pipeline.authorizers.tokens import Tokens
from cumulet.services.apigateway.pipeline.exchange import Matched
from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.services.apigateway.pipeline.integrate import Integrator
from cumulet.services.kit import Ground


class Doorkeeper:
    """Lets requests pass, each with what is known of its caller."""

    def __init__(self, ground: Ground, integrator: Integrator) -> None:
        self._tokens = Tokens(ground.clock)
        self._functions = Functions(ground.clock, integrator)

    async def authorize(self, matched: Matched) -> Matched:
        """Return the request with what its route's authorizer says of the caller. Raises Refused if it may not pass."""
        asked = matched.route.authorization
        if asked is None:
            return matched
        if asked.authorizer is None:
            raise Refused("misconfigured")
        if asked.kind == "JWT":
            return replace(matched, authorized=await self._tokens.admit(matched, asked.authorizer, asked.scopes))
        return replace(matched, authorized=await self._functions.admit(matched, asked.authorizer))
