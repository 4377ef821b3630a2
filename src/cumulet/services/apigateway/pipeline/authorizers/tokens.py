"""Callers who bear a token of an issuer: JWT authorizers.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
"""

from typing import NoReturn

from cumulet.clock import Clock
from cumulet.services.apigateway.model import Authorizer
from cumulet.services.apigateway.pipeline.exchange import Authorized, Matched
from cumulet.services.apigateway.pipeline.faults import Fault, Refused
from cumulet.services.apigateway.pipeline.jwt import Issuers, TokenRefused, claim_text, scopes_of, verify
from cumulet.services.apigateway.pipeline.parameters import request_lookup


class Tokens:
    """Looks at tokens, with the keys of those who issue them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._issuers = Issuers(clock)

    async def admit(self, matched: Matched, authorizer: Authorizer, wanted: tuple[str, ...]) -> Authorized:
        """Return what a token says of its bearer, if it has one of the scopes that are wanted."""
        given = request_lookup(matched)(authorizer.identity_sources[0][1:])
        if not given:
            raise Refused("unauthorized", ("www-authenticate", "Bearer"))
        token = given[7:] if given[:7].lower() == "bearer " else given
        now_s = self._clock.now_ms() / 1000
        try:
            claims = await verify(self._issuers, token.strip(), authorizer.issuer, authorizer.audience, now_s)
        except TokenRefused as refused:
            _challenge("unauthorized", "invalid_token", str(refused), "")
        held = scopes_of(claims)
        if wanted and not any(scope in held for scope in wanted):
            _challenge("forbidden", "insufficient_scope", "the token does not have a required scope", " ".join(wanted))
        texts = {name: claim_text(value) for name, value in claims.items()}
        jwt = {"claims": texts, "scopes": [scope for scope in wanted if scope in held] or None}
        variables = {f"authorizer.claims.{name}": value for name, value in texts.items()}
        return Authorized(jwt, {"jwt": jwt}, variables)


def _challenge(fault: Fault, error: str, words: str, scope: str) -> NoReturn:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-jwt.html
    header = f'Bearer scope="{scope}" error="{error}" error_description="{words}"'
    raise Refused(fault, ("www-authenticate", header))
