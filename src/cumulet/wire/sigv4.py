"""Signature Version 4: what a request claims about its sender, and whether a secret proves it. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

    claim = find_claim(request)             # None: nobody signed
    check_fresh(claim, now_ms)              # AWS looks at the date before it looks for the key
    verify(request, claim, secret, now_ms)

S3 differs from the rest: its path is encoded once and not normalised, its payload hash stands in a header, and its
errors have other names. The Query protocol has a third set of names; which set applies is part of the claim.
"""

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, unquote, unquote_to_bytes

import msgspec

from cumulet.errors import ServiceError
from cumulet.wire.message import Headers, Request

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"

SKEW_MINUTES = 5
"""How far a signature's date may lie from now, as AWS's own error text has it."""

S3_SKEW_MINUTES = 15
"""https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html (RequestTimeTooSkewed)."""

PRESIGNED_SECONDS_MAX = 604_800

Dialect = Literal["json", "query", "s3"]

_QUERY_SERVICES = frozenset({"iam", "sts", "cloudformation"})

_QUERY_NAMES = {
    "IncompleteSignatureException": "IncompleteSignature",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
}

_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_REMEMBERED_CHARACTERS_MAX = 1024
"""Of an Authorization header: strangers could fill the memory with longer ones."""
_REMEMBERED_HEAD_BYTES_MAX = 4096
"""Of all that a signature covers but the body; half as many are remembered."""
_SIGNED = (
    "\n\nThe Canonical String for this request should have been\n'{}'\n\nThe String-to-Sign should have been\n'{}'\n"
)
_S3_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your key and signing method."
)

_HEX = re.compile(r"[0-9a-f]{64}")
_ISO_BASIC = re.compile(r"\d{8}T\d{6}Z")
_TIMESTAMP_CHARACTERS = 16
_SIGNATURE_CHARACTERS = 64


class Claim(msgspec.Struct, frozen=True):
    """Who a request says has signed it, and all that the signature depends on besides the request itself."""

    access_key_id: str
    date: str
    region: str
    service: str
    terminator: str
    signed_headers: tuple[str, ...]
    signature: str
    timestamp: str
    """ISO 8601 basic: 20260131T080000Z."""
    dialect: Dialect
    expires_s: int | None = None
    """For a presigned request, how long it is valid."""
    security_token: str | None = None


def find_claim(request: Request, service: str | None = None) -> Claim | None:
    """Return what a request claims about its signer; None if it is not signed at all.

    `service` is the one that was called, where the request itself does not tell.

    Raises IncompleteSignatureException, or what S3 and the Query protocol have instead, for one that cannot be read.
    """
    authorization = request.headers.get("authorization")
    if authorization is not None:
        return _header_claim(request, authorization, service)
    if "X-Amz-Signature=" in request.query or "X-Amz-Credential=" in request.query:
        return _query_claim(request, service or "s3")
    return None


def missing_authentication(request: Request) -> ServiceError:
    """Return the error for a request that had to be signed and is not."""
    dialect = _dialect(request, _service_hint(request))
    if dialect == "s3":
        return ServiceError("AccessDenied", "Access Denied", status=403)
    message = "Request is missing Authentication Token" if dialect == "query" else "Missing Authentication Token"
    return _error(dialect, "MissingAuthenticationTokenException", message)


def check_fresh(claim: Claim, now_ms: int) -> None:
    """Raise the error for a signature that is too old, or from the future."""
    timestamp = claim.timestamp
    signed_at = _read_timestamp(timestamp) if len(timestamp) == _TIMESTAMP_CHARACTERS else None
    if signed_at is None:
        raise _error(
            claim.dialect,
            "IncompleteSignatureException",
            f"Date must be in ISO-8601 'basic format'. Got '{claim.timestamp}'. "
            "See http://en.wikipedia.org/wiki/ISO_8601",
        )
    now = now_ms // 1000
    if claim.dialect == "s3":
        _check_fresh_s3(claim, signed_at, now)
        return
    valid_s = claim.expires_s if claim.expires_s is not None else SKEW_MINUTES * 60
    if signed_at + valid_s < now:
        message = (
            f"Signature expired: {claim.timestamp} is now earlier than {_basic(now - valid_s)} "
            f"({_basic(now)} - {valid_s // 60} min.)"
        )
        raise _error(claim.dialect, "InvalidSignatureException", message)
    if signed_at - SKEW_MINUTES * 60 > now:
        message = (
            f"Signature not yet current: {claim.timestamp} is still later than {_basic(now + SKEW_MINUTES * 60)} "
            f"({_basic(now)} + {SKEW_MINUTES} min.)"
        )
        raise _error(claim.dialect, "InvalidSignatureException", message)


def verify(request: Request, claim: Claim, secret: str, now_ms: int, signing_name: str | None = None) -> None:
    """Return if the secret made the signature for this very request, else raise the error that AWS sends.

    `signing_name` is the service that was called, where it is known from elsewhere than the claim.
    """
    check_fresh(claim, now_ms)
    _check_scope(claim, signing_name)
    if "host" not in claim.signed_headers:
        raise _host_not_signed(claim)
    if claim.dialect == "s3":
        _check_s3_headers_signed(request, claim)
    payload_hash = _payload_hash(request, claim)
    head = _signed_head(request, claim)
    hash_head = _hash_head if request.head_bytes <= _REMEMBERED_HEAD_BYTES_MAX else _hash_head.__wrapped__
    hashed = hash_head(head).copy()
    hashed.update(payload_hash.encode())
    scope = f"{claim.date}/{claim.region}/{claim.service}/{TERMINATOR}"
    to_sign = f"{ALGORITHM}\n{claim.timestamp}\n{scope}\n{hashed.hexdigest()}"
    signing = _signing(secret, claim.date, claim.region, claim.service).copy()
    signing.update(to_sign.encode())
    if not hmac.compare_digest(signing.hexdigest().encode(), claim.signature.encode("utf-8", "replace")):
        raise _mismatch(claim, to_sign, _canonical_head(head) + payload_hash)


def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """Return the key that signs for one day, region and service."""
    key = b"AWS4" + secret.encode()
    for part in (date, region, service, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


@lru_cache(maxsize=1024)
def _signing(secret: str, date: str, region: str, service: str) -> hmac.HMAC:
    """Return what signs for one day, region and service: a copy of it, since it is shared."""
    return hmac.new(signing_key(secret, date, region, service), digestmod="sha256")


# Reading the claim


def _header_claim(request: Request, authorization: str, service: str | None) -> Claim:
    # A client's headers are alike but for the signature, which SDKs put last: the rest is read once.
    head, signature = authorization[:-_SIGNATURE_CHARACTERS], authorization[-_SIGNATURE_CHARACTERS:]
    # Whether they are hexadecimal digits, `verify` finds out, as long as they are one part of the header.
    read = _read_head if len(head) <= _REMEMBERED_CHARACTERS_MAX else _read_head.__wrapped__
    is_one = not ("," in signature or " " in signature or "\t" in signature) and signature.isascii()
    shared = read(head) if is_one else None
    header = request.headers.get
    timestamp = header("x-amz-date")
    if shared is None or timestamp is None:
        return _unusual_claim(request, authorization, service)
    dialect = "json" if header("x-amz-target") is not None else _dialect_of(shared[3])
    return Claim(*shared, signature, timestamp, dialect, None, header("x-amz-security-token"))


@lru_cache(maxsize=1024)
def _read_head(text: str) -> tuple[str, str, str, str, str, tuple[str, ...]] | None:
    """Return the credential's parts and the signed headers, or None if anything is out of the ordinary."""
    if not text.endswith((" Signature=", ",Signature=")):
        return None
    algorithm, _, rest = text.removesuffix("Signature=").partition(" ")
    fields = _fields(rest)
    scope = fields.get("Credential", "").rsplit("/", 4)
    if algorithm != ALGORITHM or len(scope) != 5 or not scope[0] or not fields.get("SignedHeaders"):
        return None
    return scope[0], scope[1], scope[2], scope[3], scope[4], tuple(fields["SignedHeaders"].lower().split(";"))


def _unusual_claim(request: Request, authorization: str, service: str | None) -> Claim:
    """Return the claim of a header that is written in another way, or raise what is wrong with it."""
    algorithm, _, rest = authorization.partition(" ")
    fields = _fields(rest)
    scope = fields.get("Credential", "").rsplit("/", 4)
    dialect = _dialect(request, scope[-2] if len(scope) > 1 else service or _service_hint(request))
    if algorithm != ALGORITHM:
        raise _unsupported(dialect, authorization)
    timestamp = _header_timestamp(request)
    missing = [f"Authorization header requires '{name}' parameter." for name in _REQUIRED if not fields.get(name)]
    if timestamp is None:
        missing.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if missing:
        raise _incomplete(dialect, f"{' '.join(missing)} Authorization={authorization}")
    if len(scope) != 5:
        raise _bad_credential(dialect, fields["Credential"])
    return Claim(
        access_key_id=scope[0],
        date=scope[1],
        region=scope[2],
        service=scope[3],
        terminator=scope[4],
        signed_headers=tuple(fields["SignedHeaders"].lower().split(";")),
        signature=fields["Signature"],
        timestamp=timestamp or "",
        dialect=dialect,
        security_token=request.headers.get("x-amz-security-token"),
    )


_REQUIRED = ("Credential", "Signature", "SignedHeaders")
_REQUIRED_IN_QUERY = ("Algorithm", "Credential", "Signature", "Date", "SignedHeaders", "Expires")


def _fields(text: str) -> dict[str, str]:
    # AWS takes commas, spaces or both between the parts.
    parts = (part.partition("=") for part in text.replace(",", " ").split())
    return {name: value for name, _, value in parts}


def _header_timestamp(request: Request) -> str | None:
    if (amz_date := request.headers.get("x-amz-date")) is not None:
        return amz_date
    date = request.headers.get("date")
    if date is None or _ISO_BASIC.fullmatch(date):
        return date
    try:
        return f"{parsedate_to_datetime(date).astimezone(UTC):%Y%m%dT%H%M%SZ}"
    except (ValueError, OverflowError):
        return date


def _query_claim(request: Request, service: str) -> Claim:
    fields = {}
    for part in request.query.split("&"):
        name, _, value = part.partition("=")
        if name.startswith("X-Amz-"):
            fields[name[6:]] = unquote(value)
    scope = fields.get("Credential", "").rsplit("/", 4)
    dialect = _dialect(request, scope[3] if len(scope) == 5 else service)
    missing = [name for name in _REQUIRED_IN_QUERY if name not in fields]
    if dialect != "s3" and "Expires" in missing:
        missing.remove("Expires")
    if missing:
        raise _incomplete_query(dialect, missing)
    if fields["Algorithm"] != ALGORITHM:
        raise _unsupported(dialect, fields["Algorithm"])
    if len(scope) != 5:
        raise _bad_credential(dialect, fields["Credential"])
    return Claim(
        access_key_id=scope[0],
        date=scope[1],
        region=scope[2],
        service=scope[3],
        terminator=scope[4],
        signed_headers=tuple(fields["SignedHeaders"].lower().split(";")),
        signature=fields["Signature"],
        timestamp=fields["Date"],
        dialect=dialect,
        expires_s=_expires(dialect, fields.get("Expires")),
        security_token=fields.get("Security-Token"),
    )


def _expires(dialect: Dialect, text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise _bad_expires(dialect, "X-Amz-Expires should be a number")
    if int(text) < 0:
        raise _bad_expires(dialect, "X-Amz-Expires must be non-negative")
    if int(text) > PRESIGNED_SECONDS_MAX:
        raise _bad_expires(
            dialect,
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            f"{PRESIGNED_SECONDS_MAX} seconds",
        )
    return int(text)


def _dialect(request: Request, service: str) -> Dialect:
    return "json" if "x-amz-target" in request.headers else _dialect_of(service)


def _dialect_of(service: str) -> Dialect:
    if service == "s3":
        return "s3"
    return "query" if service in _QUERY_SERVICES else "json"


def _service_hint(request: Request) -> str:
    if "Action=" in request.query or b"Action=" in request.body[:4096]:
        return "sts"
    return "s3" if not request.path.startswith("/20") else "lambda"


# Checks besides the signature


def _check_fresh_s3(claim: Claim, signed_at: int, now: int) -> None:
    if claim.expires_s is not None:
        if signed_at + claim.expires_s < now:
            facts: dict[str, Any] = {
                "X-Amz-Expires": claim.expires_s,
                "Expires": _extended(signed_at + claim.expires_s),
                "ServerTime": _extended(now),
            }
            raise ServiceError("AccessDenied", "Request has expired", status=403, **facts)
        if signed_at - S3_SKEW_MINUTES * 60 > now:
            raise ServiceError("AccessDenied", "Request is not valid yet", status=403)
    elif abs(signed_at - now) > S3_SKEW_MINUTES * 60:
        raise ServiceError(
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            status=403,
            RequestTime=claim.timestamp,
            ServerTime=_extended(now),
            MaxAllowedSkewMilliseconds=S3_SKEW_MINUTES * 60_000,
        )


def _check_scope(claim: Claim, signing_name: str | None) -> None:
    problems = []
    if signing_name is not None and claim.service != signing_name:
        problems.append(f"Credential should be scoped to correct service: '{signing_name}'.")
    if claim.terminator != TERMINATOR:
        problems.append(
            f"Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{claim.terminator}'."
        )
    if claim.date != claim.timestamp[:8]:
        problems.append(
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{claim.date}' != '{claim.timestamp[:8]}', from '{claim.timestamp}'."
        )
    if not problems:
        return
    if claim.dialect == "s3":
        if claim.date != claim.timestamp[:8]:
            detail = (
                f'Invalid credential date "{claim.date}". This date is not the same as X-Amz-Date: '
                f'"{claim.timestamp[:8]}".'
            )
        elif claim.terminator != TERMINATOR:
            detail = f'incorrect terminal "{claim.terminator}". This endpoint uses "{TERMINATOR}".'
        else:
            detail = f'incorrect service "{claim.service}". This endpoint belongs to "s3".'
        raise _s3_malformed(claim.expires_s is not None, detail)
    raise _error(claim.dialect, "InvalidSignatureException", " ".join(problems))


def _check_s3_headers_signed(request: Request, claim: Claim) -> None:
    unsigned = [
        name
        for name, _ in request.headers
        if name.startswith("x-amz-") and name not in claim.signed_headers and name != "x-amz-content-sha256"
    ]
    if unsigned:
        raise ServiceError(
            "AccessDenied",
            "There were headers present in the request which were not signed",
            status=403,
            HeadersNotSigned=", ".join(dict.fromkeys(unsigned)),
        )


def _payload_hash(request: Request, claim: Claim) -> str:
    if claim.service != "s3":
        return hashlib.sha256(request.body).hexdigest()
    declared = request.headers.get("x-amz-content-sha256")
    if declared is None:
        if claim.expires_s is not None:
            return "UNSIGNED-PAYLOAD"
        raise ServiceError(
            "InvalidRequest", "Missing required header for this request: x-amz-content-sha256", status=400
        )
    if declared == "UNSIGNED-PAYLOAD" or declared.startswith("STREAMING-"):
        return declared
    computed = hashlib.sha256(request.body).hexdigest()
    if declared != computed:
        raise ServiceError(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
            status=400,
            ClientComputedContentSHA256=declared,
            S3ComputedContentSHA256=computed,
        )
    return computed


# The canonical request


class _Head(NamedTuple):
    """What a signature covers besides the body, as it was sent."""

    method: str
    path: str
    query: str
    service: str
    names: tuple[str, ...]
    values: tuple[str, ...]


def _signed_head(request: Request, claim: Claim) -> _Head:
    headers, names = request.headers, claim.signed_headers
    values = [_joined(headers, name) if headers.has_several(name) else headers.get(name) or "" for name in names]
    return _Head(request.method, request.path, request.query, claim.service, names, tuple(values))


def _joined(headers: Headers, name: str) -> str:
    return ",".join([_trimmed(value) for value in headers.get_all(name)])


@lru_cache(maxsize=512)  # what a client asks of one thing within a second has one head
def _hash_head(head: _Head) -> "hashlib._Hash":
    """Return SHA-256 of the canonical request up to its payload hash: a copy goes on, since this one is shared."""
    return hashlib.sha256(_canonical_head(head).encode("utf-8", "surrogateescape"))


def _canonical_head(head: _Head) -> str:
    lines = [f"{name}:{_trimmed(value)}\n" for name, value in zip(head.names, head.values, strict=True)]
    return (
        f"{head.method}\n{_canonical_path(head.path, head.service)}\n{_canonical_query(head.query)}\n"
        f"{''.join(lines)}\n{';'.join(head.names)}\n"
    )


def _trimmed(value: str) -> str:
    return " ".join(value.split())


def _canonical_path(path: str, service: str) -> str:
    if path in ("", "/"):
        return "/"
    if service == "s3":
        # Segment by segment, so that an encoded slash stays one, as the SDKs sign it.
        return "/".join([quote(unquote_to_bytes(segment), safe="~") for segment in path.split("/")])
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if kept:
                kept.pop()
        elif segment and segment != ".":
            kept.append(segment)
    return quote("/" + "/".join(kept) + ("/" if path.endswith("/") and kept else ""), safe="/~")


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    pairs = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if part and name != "X-Amz-Signature":
            pairs.append((quote(unquote_to_bytes(name), safe="~"), quote(unquote_to_bytes(value), safe="~")))
    pairs.sort()
    return "&".join([f"{name}={value}" for name, value in pairs])


# AWS's words


def _error(dialect: Dialect, code: str, message: str, status: int | None = None) -> ServiceError:
    if dialect == "query":
        status = 400 if code == "IncompleteSignatureException" else 403
        return ServiceError(_QUERY_NAMES.get(code, code), message, status=status)
    return ServiceError(code, message, status=status)


def _mismatch(claim: Claim, to_sign: str, canonical: str) -> ServiceError:
    if claim.dialect != "s3":
        # APIs of API Gateway tell what was signed, as AWS's other endpoints once did.
        told = _SIGNED.format(canonical, to_sign) if claim.service == "execute-api" else ""
        return _error(claim.dialect, "InvalidSignatureException", _MISMATCH + told)
    return ServiceError(
        "SignatureDoesNotMatch",
        _S3_MISMATCH,
        status=403,
        AWSAccessKeyId=claim.access_key_id,
        StringToSign=to_sign,
        SignatureProvided=claim.signature,
        StringToSignBytes=_bytes_in_hex(to_sign),
        CanonicalRequest=canonical,
        CanonicalRequestBytes=_bytes_in_hex(canonical),
    )


def _bytes_in_hex(text: str) -> str:
    return text.encode("utf-8", "replace").hex(" ")


def _host_not_signed(claim: Claim) -> ServiceError:
    if claim.dialect == "s3":
        return ServiceError(
            "AccessDenied",
            "There were headers present in the request which were not signed",
            status=403,
            HeadersNotSigned="host",
        )
    message = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
    return _error(claim.dialect, "InvalidSignatureException", message)


def _unsupported(dialect: Dialect, authorization: str) -> ServiceError:
    if dialect == "s3":
        return ServiceError(
            "InvalidRequest",
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
            status=400,
        )
    if "=" not in authorization:
        hashed = base64.b64encode(hashlib.sha256(authorization.encode("utf-8", "replace")).digest()).decode()
        return _incomplete(
            dialect,
            "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded "
            f"with Base64): '{hashed}'.",
        )
    return _incomplete(dialect, f"Unsupported AWS 'algorithm': '{authorization.partition(' ')[0]}'.")


def _incomplete(dialect: Dialect, message: str) -> ServiceError:
    if dialect == "s3":
        return _s3_malformed(False, message)
    return _error(dialect, "IncompleteSignatureException", message)


def _incomplete_query(dialect: Dialect, missing: list[str]) -> ServiceError:
    if dialect == "s3":
        return ServiceError(
            "AuthorizationQueryParametersError",
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
            "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
            status=400,
        )
    message = " ".join(f"AWS query-string parameters must include 'X-Amz-{name}'." for name in missing)
    return _error(dialect, "IncompleteSignatureException", f"{message} Re-examine the query-string parameters.")


def _bad_credential(dialect: Dialect, credential: str) -> ServiceError:
    if dialect == "s3":
        return _s3_malformed(
            False,
            'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
        )
    message = (
        "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
        f"got '{credential}'"
    )
    return _error(dialect, "IncompleteSignatureException", message)


def _bad_expires(dialect: Dialect, message: str) -> ServiceError:
    if dialect == "s3":
        return ServiceError("AuthorizationQueryParametersError", message, status=400)
    return _error(dialect, "IncompleteSignatureException", message)


def _s3_malformed(presigned: bool, detail: str) -> ServiceError:
    if presigned:
        return ServiceError(
            "AuthorizationQueryParametersError",
            f"Error parsing the X-Amz-Credential parameter; {detail}",
            status=400,
        )
    return ServiceError("AuthorizationHeaderMalformed", f"The authorization header is malformed; {detail}", status=400)


# Dates


@lru_cache(maxsize=256)  # the requests of one second say the same
def _read_timestamp(timestamp: str) -> int | None:
    if not _ISO_BASIC.fullmatch(timestamp):
        return None
    try:
        return int(datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None


def _basic(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%SZ}"


def _extended(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
