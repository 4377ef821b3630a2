"""JSON web tokens: an issuer's keys, fetched and kept for a while, and whether a token is one of its own.

What a token says of its algorithm chooses among those that its authorizer allows, and AWS allows none but RS and ES.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from cumulet.clock import Clock
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.model import Issuer
from cumulet.services.apigateway.pipeline.http_client import BadUrl, Unreachable, exchange

log = logging.getLogger("cumulet.apigateway")

RSA_ALGORITHMS = ("RS256", "RS384", "RS512")
"""All that an HTTP API knows."""

ALGORITHMS = (*RSA_ALGORITHMS, "ES256", "ES384", "ES512")
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}

_DISCOVERY = "/.well-known/openid-configuration"


class TokenRefused(Exception):
    """A token that lets nobody in, in words for its bearer."""


class TokenExpired(TokenRefused):
    """A token whose time is over."""


class IssuerSilent(TokenRefused):
    """A token whose issuer does not tell its keys."""


@dataclass(slots=True)
class _Keys:
    keys: dict[str, Any]
    fetched_s: float
    asked_s: float
    trouble: str = ""
    """Why the issuer told nothing when it was last asked; what it told before still counts."""


class Issuers:
    """The keys of issuers, by key id. They are the issuers' own, not the store's, and can be forgotten at any time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, _Keys] = OrderedDict()
        self._fetching: dict[str, asyncio.Lock] = {}

    async def key(self, trusted: Issuer, key_id: str) -> Any:
        """Return an issuer's key. Raises TokenRefused if it has none of that name, or does not answer."""
        issuer = trusted.url
        if (key := self._find(issuer, key_id, limits.JWKS_SECONDS)) is not None:
            return key
        lock = self._fetching.setdefault(issuer, asyncio.Lock())
        try:
            async with lock:
                if self._is_old(self._kept.get(issuer)):
                    self._keep(issuer, await self._fetch(trusted))
        finally:
            if not lock.locked():
                self._fetching.pop(issuer, None)
        if (key := self._find(issuer, key_id, limits.JWKS_SECONDS)) is None:
            if trouble := self._kept[issuer].trouble:
                raise IssuerSilent(trouble)
            raise TokenRefused("the token's key id matches no key of its issuer")
        return key

    def _find(self, issuer: str, key_id: str, seconds: float) -> Any:
        kept = self._kept.get(issuer)
        return None if kept is None or self._age(kept) >= seconds else kept.keys.get(key_id)

    def _age(self, kept: _Keys) -> float:
        return self._clock.monotonic_s() - kept.fetched_s

    def _is_old(self, kept: _Keys | None) -> bool:
        if kept is None:
            return True
        again_s = limits.ISSUER_RETRY_SECONDS if kept.trouble else limits.JWKS_REFRESH_SECONDS
        return self._clock.monotonic_s() - kept.asked_s >= again_s

    def _keep(self, issuer: str, keys: _Keys) -> None:
        self._kept[issuer] = keys
        self._kept.move_to_end(issuer)
        if len(self._kept) > limits.ISSUERS_KEPT_MAX:
            self._kept.popitem(last=False)

    async def _fetch(self, trusted: Issuer) -> _Keys:
        try:
            keys = await self._ask(trusted)
        except IssuerSilent as silent:
            log.warning("an issuer of tokens does not tell its keys", extra={"issuer": trusted.url, "said": silent})
            before = self._kept.get(trusted.url)
            now_s = self._clock.monotonic_s()
            return _Keys(before.keys if before else {}, before.fetched_s if before else now_s, now_s, str(silent))
        now_s = self._clock.monotonic_s()
        return _Keys(keys, now_s, now_s)

    async def _ask(self, trusted: Issuer) -> dict[str, Any]:
        if trusted.keys_url:
            return _parse_keys(await self._get(trusted.keys_url, limits.JWKS_BYTES_MAX, "JWKS"))
        issuer = trusted.url
        found = await self._get(issuer.removesuffix("/") + _DISCOVERY, limits.DISCOVERY_BYTES_MAX, "OIDC discovery")
        if not isinstance(found, dict) or found.get("issuer") != issuer:
            raise IssuerSilent("the issuer in the OIDC discovery endpoint does not match the configured issuer")
        keys = await self._get(str(found.get("jwks_uri")), limits.JWKS_BYTES_MAX, "JWKS")
        return _parse_keys(keys)

    async def _get(self, url: str, bytes_max: int, what: str) -> Any:
        try:
            async with asyncio.timeout(limits.ISSUER_TIMEOUT_S):
                answer = await exchange("GET", url, [("accept", "application/json")], b"")
        except (BadUrl, Unreachable, TimeoutError) as error:
            raise IssuerSilent(f"{what} endpoint communication error") from error
        if answer.status != 200 or len(answer.body) > bytes_max:
            raise IssuerSilent(f"{what} endpoint communication error")
        try:
            return msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise IssuerSilent(f"unable to decode the answer of the {what} endpoint") from error


def _parse_keys(found: Any) -> dict[str, Any]:
    from jwt import PyJWK
    from jwt.exceptions import PyJWTError

    keys: dict[str, Any] = {}
    members = found.get("keys") if isinstance(found, dict) else None
    for member in members if isinstance(members, list) else ():
        if isinstance(member, dict) and isinstance(member.get("kid"), str):
            algorithm = "RS256" if member.get("kty") == "RSA" else _CURVES.get(str(member.get("crv")))
            if algorithm is None:
                continue
            try:
                keys[member["kid"]] = PyJWK({**member, "alg": algorithm}).key
            except (PyJWTError, ValueError, TypeError):
                continue  # an issuer's broken key is nobody's key
    return keys


async def verify(
    issuers: Issuers, token: str, trusted: Sequence[Issuer], algorithms: Sequence[str], now_s: float
) -> dict[str, Any]:
    """Return the claims of a token that one of these issuers signed for one of its audiences, and that is valid now.

    Raises TokenRefused.
    """
    import jwt
    from jwt.exceptions import PyJWTError

    try:
        head = jwt.get_unverified_header(token)
    except (PyJWTError, ValueError, RecursionError):
        raise TokenRefused("the token cannot be decoded") from None
    algorithm, key_id = head.get("alg"), head.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise TokenRefused("the token's signing algorithm is not supported")
    if not isinstance(key_id, str):
        raise TokenRefused("the token has no key id")
    issuer = trusted[0] if len(trusted) == 1 else _named_issuer(token, trusted)
    key = await issuers.key(issuer, key_id)
    try:
        payload = jwt.PyJWS(algorithms=[algorithm]).decode_complete(token, key, algorithms=[algorithm])["payload"]
        claims = msgspec.json.decode(payload)
    # A TypeError: the key is of another kind than the algorithm.
    except (PyJWTError, msgspec.DecodeError, UnicodeDecodeError, ValueError, TypeError, RecursionError):
        raise TokenRefused("the token has an invalid signature") from None
    if not isinstance(claims, dict):
        raise TokenRefused("the token cannot be decoded")
    check_claims(claims, issuer, now_s)
    return claims


def _named_issuer(token: str, trusted: Sequence[Issuer]) -> Issuer:
    """Return the issuer that a token names, before anything is known of whether it is the one's."""
    import jwt
    from jwt.exceptions import PyJWTError

    try:
        named = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except (PyJWTError, ValueError, RecursionError):
        raise TokenRefused("the token cannot be decoded") from None
    for issuer in trusted:
        if issuer.url == named:
            return issuer
    raise TokenRefused("the token does not have a valid issuer")


def check_claims(claims: Mapping[str, Any], issuer: Issuer, now_s: float) -> None:
    """Raise TokenRefused unless the claims are this issuer's, for one of its audiences, and hold now."""
    if claims.get("iss") != issuer.url:
        raise TokenRefused("the token does not have a valid issuer")
    # client_id counts only without aud: Cognito's access tokens have no aud.
    given = claims.get("aud") if "aud" in claims else claims.get("client_id")
    named = given if isinstance(given, list) else [given]
    if issuer.audiences and not any(isinstance(name, str) and name in issuer.audiences for name in named):
        raise TokenRefused("the token does not have a valid audience")
    if not _is_time(claims.get("exp")) or claims["exp"] <= now_s:
        raise TokenExpired("the token has expired")
    for name, words in (("nbf", "the token is not valid yet"), ("iat", "the token was issued in the future")):
        if name in claims and not (_is_time(claims[name]) and claims[name] <= now_s):
            raise TokenRefused(words)
    for rule in issuer.claims:
        value = claims.get(rule.name)
        if value is None and not rule.required:
            continue
        if not isinstance(value, str) or (rule.values and value not in rule.values):
            raise TokenRefused(f"the token does not have a valid claim {rule.name}")


def scopes_of(claims: Mapping[str, Any]) -> list[str]:
    """Return the scopes of a token: `scope` is text with blanks, `scp` may be a list."""
    given = claims.get("scope", claims.get("scp"))
    if isinstance(given, str):
        return given.split()
    return [scope for scope in given if isinstance(scope, str)] if isinstance(given, list) else []


def claim_text(value: Any) -> str:
    """Return a claim as API Gateway hands it on: as text, and a list in brackets with blanks between."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{' '.join([claim_text(member) for member in value])}]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return msgspec.json.encode(value).decode() if isinstance(value, dict) or value is None else str(value)


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
