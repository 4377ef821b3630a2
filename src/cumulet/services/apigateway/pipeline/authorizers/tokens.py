"""Callers who bear an issuer's token: JWT authorizers of both dialects, and the user pools of REST APIs.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-jwt-authorizer.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-integrate-with-cognito.html
"""

from collections.abc import Mapping, Sequence
from time import asctime, gmtime
from typing import Any, NoReturn

from cumulet.services.apigateway.mapping import patterns
from cumulet.services.apigateway.model import Authorizer, Issuer
from cumulet.services.apigateway.pipeline.authorizers.identity import find_identity
from cumulet.services.apigateway.pipeline.exchange import Authorized, Matched
from cumulet.services.apigateway.pipeline.faults import Fault, Refused
from cumulet.services.apigateway.pipeline.jwt import (
    RSA_ALGORITHMS,
    Issuers,
    TokenExpired,
    TokenRefused,
    claim_text,
    scopes_of,
    verify,
)
from cumulet.services.kit import Ground

_YEAR_10000_S = 253_402_300_800


class Tokens:
    """Looks at tokens, with the keys of those who issue them."""

    def __init__(self, ground: Ground) -> None:
        self._clock = ground.clock
        self._pools = ground.settings.user_pools
        self._issuers = Issuers(ground.clock)

    async def admit(self, matched: Matched, authorizer: Authorizer, wanted: Sequence[str]) -> Authorized:
        """Return what a token says of its bearer, if it has one of the scopes that are wanted."""
        identity = find_identity(matched, authorizer)
        by_issuer = self._by_rest_issuer if matched.arrival.is_rest else self._by_http_issuer
        ask = self._by_user_pool if authorizer.kind == "COGNITO_USER_POOLS" else by_issuer
        try:
            return await ask(authorizer, identity, wanted)
        except RecursionError:
            raise Refused("unauthorized", detail="the token's claims are nested too deeply") from None

    async def _claims(self, given: str, trusted: Sequence[Issuer], algorithms: Sequence[str]) -> dict[str, Any]:
        token = given[7:] if given[:7].lower() == "bearer " else given
        return await verify(self._issuers, token.strip(), trusted, algorithms, self._clock.now_ms() / 1000)

    async def _by_http_issuer(
        self, authorizer: Authorizer, identity: tuple[str, ...] | None, wanted: Sequence[str]
    ) -> Authorized:
        if not identity:
            raise Refused("unauthorized", ("www-authenticate", "Bearer"))
        try:
            claims = await self._claims(identity[0], [Issuer(authorizer.issuer, authorizer.audience)], RSA_ALGORITHMS)
        except TokenRefused as refused:
            _challenge("unauthorized", "invalid_token", str(refused), "")
        held = scopes_of(claims)
        if wanted and not any(scope in held for scope in wanted):
            _challenge("forbidden", "insufficient_scope", "the token does not have a required scope", " ".join(wanted))
        # Without nulls, and with a token's scopes only where the route asks for some: captured on AWS in
        # floci-io/floci#2011 and DefinitelyTyped#75458.
        texts = {name: _http_claim_text(value) for name, value in claims.items() if value is not None}
        jwt = {"claims": texts, "scopes": held if wanted else None}
        variables = {f"authorizer.claims.{name}": value for name, value in texts.items()}
        return Authorized(jwt, {"jwt": jwt}, variables)

    async def _by_rest_issuer(
        self, authorizer: Authorizer, identity: tuple[str, ...] | None, wanted: Sequence[str]
    ) -> Authorized:
        try:
            claims = await self._claims((identity or ("",))[0], authorizer.issuers, authorizer.algorithms)
        except TokenRefused as refused:
            raise Refused("unauthorized", detail=str(refused)) from None
        held = scopes_of(claims)
        if wanted and not any(scope in held for scope in wanted):
            # No policy rules here, so the words are those without one; AWS documents none.
            words = "User is not authorized to access this resource"
            raise Refused("denied", message=words, detail="the token does not have a required scope")
        return Authorized({"claims": {name: claim_text(value) for name, value in claims.items()}})

    async def _by_user_pool(
        self, authorizer: Authorizer, identity: tuple[str, ...] | None, wanted: Sequence[str]
    ) -> Authorized:
        """Without scopes an identity token is wanted, with them an access token."""
        trusted = [pool_issuer(arn, self._pools) for arn in authorizer.user_pools]
        try:
            claims = await self._claims((identity or ("",))[0], trusted, RSA_ALGORITHMS)
        except TokenExpired:
            raise Refused("unauthorized", message="The incoming token has expired") from None
        except TokenRefused as refused:
            raise Refused("unauthorized", detail=str(refused)) from None
        kind = "access" if wanted else "id"
        if claims.get("token_use", kind) != kind:
            raise Refused("unauthorized", detail=f"the token is not an {kind} token")
        held = scopes_of(claims)
        if wanted and not any(scope in held for scope in wanted):
            raise Refused("unauthorized", detail="the token does not have a required scope")
        audience = claims.get("aud")
        if authorizer.validation and not (
            isinstance(audience, str) and patterns.matches(audience, authorizer.validation)
        ):
            raise Refused("unauthorized", detail="the token's audience is not the expected one")
        return Authorized({"claims": {name: _pool_claim_text(name, value) for name, value in claims.items()}})


def pool_issuer(arn: str, pools: Mapping[str, str]) -> Issuer:
    """Return the issuer that a user pool is; AWS's own unless the settings name another."""
    region, pool_id = arn.split(":")[3], arn.rpartition("/")[2]
    url = pools.get(pool_id) or f"https://cognito-idp.{region}.amazonaws.com/{pool_id}"
    return Issuer(url, keys_url=f"{url}/.well-known/jwks.json")


def _http_claim_text(value: Any) -> str:
    """Return a claim as an HTTP API hands it on: an object as Go prints a map (aws/aws-lambda-go#570)."""
    if isinstance(value, dict):
        return f"map[{' '.join([f'{name}:{_http_claim_text(value[name])}' for name in sorted(value)])}]"
    if isinstance(value, list):
        return f"[{' '.join([_http_claim_text(member) for member in value])}]"
    return "<nil>" if value is None else claim_text(value)


def _pool_claim_text(name: str, value: Any) -> str:
    # As REST APIs have them: Sat Mar 03 22:35:23 UTC 2018, and lists without brackets.
    if name in ("exp", "iat") and isinstance(value, int | float) and 0 <= value < _YEAR_10000_S:
        at = gmtime(value)
        return f"{asctime(at)[:8]}{at.tm_mday:02d} {asctime(at)[11:19]} UTC {at.tm_year}"
    return ",".join([claim_text(member) for member in value]) if isinstance(value, list) else claim_text(value)


def _challenge(fault: Fault, error: str, words: str, scope: str) -> NoReturn:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-jwt.html
    header = f'Bearer scope="{scope}" error="{error}" error_description="{words}"'
    raise Refused(fault, ("www-authenticate", header), detail=words)
