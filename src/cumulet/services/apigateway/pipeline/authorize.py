"""Who may call: one stage for every kind of authorization, of both dialects, and for a REST API's resource policy.

How the policy and what is learned of the caller go together is AWS's:
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-authorization-flow.html
"""

import msgspec

from cumulet.services.apigateway.model import RouteAuthorization
from cumulet.services.apigateway.pipeline.authorizers.functions import Functions
from cumulet.services.apigateway.pipeline.authorizers.policies import demand_allow
from cumulet.services.apigateway.pipeline.authorizers.signatures import FindSigner, Signatures
from cumulet.services.apigateway.pipeline.authorizers.tokens import Tokens
from cumulet.services.apigateway.pipeline.exchange import Authorized, Matched
from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.services.apigateway.pipeline.integrate import Integrator
from cumulet.services.apigateway.pipeline.journey import Journey
from cumulet.services.kit import Ground


class Doorkeeper:
    """Lets requests pass, each with what is known of its caller."""

    def __init__(self, ground: Ground, integrator: Integrator, find_signer: FindSigner) -> None:
        self._signatures = Signatures(ground, find_signer)
        self._tokens = Tokens(ground)
        self._functions = Functions(ground.clock, integrator)

    async def authorize(self, matched: Matched, journey: Journey) -> Matched:
        """Return the request with what is known of its caller. Raises Refused if it may not pass."""
        asked = matched.route.authorization
        if asked is None:
            demand_allow(matched)
            return matched
        return msgspec.structs.replace(matched, authorized=await self._admit(matched, asked, journey))

    async def _admit(self, matched: Matched, asked: RouteAuthorization, journey: Journey) -> Authorized:
        if asked.kind == "AWS_IAM":
            return await self._signatures.admit(matched)
        authorizer = asked.authorizer
        if authorizer is None:
            raise Refused("misconfigured")
        if asked.kind == "CUSTOM":
            return await self._functions.admit(matched, authorizer, journey)
        known = await self._tokens.admit(matched, authorizer, asked.scopes)
        demand_allow(matched)
        return known
