"""What a REST API's JWT authorizer trusts: issuers with their audiences and claims, and algorithms.

https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-jwt-authorizer-create.html. AWS asks each issuer
when the authorizer is made; here the first request does (decision 0021). AWS's words for what is wrong are not public.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.apigateway.model import ClaimRule, Issuer
from cumulet.services.apigateway.pipeline.jwt import ALGORITHMS

# Of AWS only https: a local issuer has no certificate.
_ISSUER = re.compile(r"^https?://[^/?#@\s]+(?:/[^?#\s]*)?\Z")
_STANDARD_CLAIMS = ("iss", "aud", "exp", "nbf", "iat", "scope", "scp")


class _Claim(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    claim_name: str | None = None
    format: str | None = None
    required: bool | None = None
    expected_values: list[str] | None = None


class _Issuer(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Without jwksUri, which AWS shows and nobody may give."""

    issuer: str | None = None
    audiences: list[str] | None = None
    additional_claims: list[_Claim] | None = None


class _Configuration(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    issuers: list[_Issuer] | None = None
    default_algorithms: list[str] | None = None


def checked_configuration(given: Any) -> dict[str, Any]:
    """Return a JwtConfiguration as it is kept, wherever it comes from. Raises BadRequestException."""
    given = given or {}
    try:
        msgspec.convert(given, _Configuration)
    except msgspec.ValidationError as error:
        raise _bad(f"Invalid JWT configuration specified: {error}") from None
    issuers, algorithms = given.get("issuers") or [], given.get("defaultAlgorithms") or []
    if not issuers or not algorithms:
        raise _bad("JWT configuration must have issuers and defaultAlgorithms for JWT authorizer")
    for algorithm in algorithms:
        if algorithm not in ALGORITHMS:
            raise _bad(f"Invalid signing algorithm specified: {algorithm}. Must be one of [{', '.join(ALGORITHMS)}]")
    for issuer in issuers:
        _check_issuer(issuer)
    urls = [issuer["issuer"] for issuer in issuers]
    if len(set(urls)) < len(urls):
        raise _bad("Issuer URLs must be unique")
    return {"issuers": [_kept(issuer) for issuer in issuers], "defaultAlgorithms": list(algorithms)}


def _check_issuer(issuer: Mapping[str, Any]) -> None:
    url, audiences = issuer.get("issuer") or "", issuer.get("audiences") or []
    if not _ISSUER.match(url):
        raise _bad(
            f"Invalid issuer specified: {url}. Issuer must have a valid discovery endpoint ended with "
            "'/.well-known/openid-configuration'"
        )
    if not audiences or not all(audiences):
        raise _bad(f"Audiences cannot be empty for issuer {url}")
    rules = issuer.get("additionalClaims") or []
    names = [rule.get("claimName") or "" for rule in rules]
    for name in names:
        if not name or name in _STANDARD_CLAIMS:
            raise _bad(f"Invalid claim name specified: {name}")
    if len(set(names)) < len(names):
        raise _bad(f"Claim names must be unique for issuer {url}")
    for rule in rules:
        if rule.get("format") != "SINGLE_STRING":
            raise _bad(f"Invalid claim format specified: {rule.get('format')}. Must be SINGLE_STRING")
        if not all(rule.get("expectedValues") or []):
            raise _bad(f"Expected values cannot be empty for claim {rule['claimName']}")


def _kept(issuer: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in issuer.items() if value is not None}


def freeze_issuers(configuration: Mapping[str, Any]) -> tuple[Issuer, ...]:
    """Return the issuers of a kept configuration as the pipeline has them."""
    return tuple(
        [
            Issuer(
                issuer["issuer"],
                tuple(issuer["audiences"]),
                tuple(
                    [
                        ClaimRule(
                            rule["claimName"], bool(rule.get("required")), tuple(rule.get("expectedValues") or ())
                        )
                        for rule in issuer.get("additionalClaims") or ()
                    ]
                ),
            )
            for issuer in configuration["issuers"]
        ]
    )


def _bad(words: str) -> ServiceError:
    return ServiceError("BadRequestException", words)
