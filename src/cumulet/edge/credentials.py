"""From a signature's claim to the principal behind it.

The root's own key, where the settings name one, and keys that IAM or STS issued are verified always. Any other access
key is a developer credential: outside strict mode it is the root of the account that it names (12 digits) or of the
default account. Nothing of it can be verified, since its secret is whatever the developer typed; settings refuse such a
server on an address that others can reach. Pages in the developer's browser reach it too; those of other sites are
refused.
"""

import re
from functools import lru_cache
from urllib.parse import urlsplit

from cumulet.edge.limits import HEAD_CHARACTERS_REMEMBERED_MAX
from cumulet.errors import ServiceError
from cumulet.services.iam import Identify, KeyIsGone
from cumulet.services.kit import Ground, Principal
from cumulet.settings import is_loopback
from cumulet.wire import sigv4
from cumulet.wire.message import Request
from cumulet.wire.model import ServiceModel, load_service

_ISSUED_KEY_ID = re.compile(r"A[KS]IA[A-Z2-7]{16}")
_ISSUED_KEY_ID_CHARACTERS = 20
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z]{2,}(-[a-z0-9]+)+")
_REGION_CHARACTERS_MAX = 64
"""Far more than any has, and few enough to remember what strangers name."""


async def find_principal(
    ground: Ground, identify: Identify, request: Request, claim: sigv4.Claim | None, service: ServiceModel
) -> Principal:
    """Return who signed the request.

    Raises MissingAuthenticationToken where AWS does not serve strangers, AccessDenied for a developer credential that
    another site's page sent, and what `identify` and `sigv4.verify` raise.
    """
    return find_unissued(ground, request, claim, service) or await find_issued(
        ground, identify, request, claim, service
    )


def find_unissued(
    ground: Ground, request: Request, claim: sigv4.Claim | None, service: ServiceModel
) -> Principal | None:
    """Return who signed the request if that can be told without IAM's records, as `find_principal` does; else None."""
    if claim is None:
        if service.protocol == "rest-xml":
            return Principal.anonymous()  # S3 has public buckets: the policy decides
        raise sigv4.missing_authentication(request)
    # AWS judges a signature's age before anything else that it claims.
    sigv4.check_fresh(claim, ground.clock.outside_ms())
    if len(claim.region) > _REGION_CHARACTERS_MAX or not _is_region(claim.region):
        raise ServiceError(_signature_code(service), "Credential should be scoped to a valid region.", status=403)
    key_id = claim.access_key_id
    settings = ground.settings
    # A request can name an empty key id, and a server that has no root key holds an empty one: they are not the same.
    if key_id == settings.root_access_key_id and key_id:
        if claim.security_token:
            raise _in_words_of(service, ServiceError("UnrecognizedClientException", _INVALID_TOKEN))
        sigv4.verify(request, claim, settings.root_secret_access_key, ground.clock.outside_ms(), service.signing_name)
        return Principal.root(settings.account, key_id)
    if len(key_id) == _ISSUED_KEY_ID_CHARACTERS and _may_be_issued(key_id):
        return None
    return _find_developer(ground, request, key_id, service)


async def find_issued(
    ground: Ground, identify: Identify, request: Request, claim: sigv4.Claim | None, service: ServiceModel
) -> Principal:
    """Return who signed with a key that looks as if IAM or STS had issued it. Raises as `find_principal` does."""
    assert claim is not None  # or it would have been told without
    key_id = claim.access_key_id
    now_ms = ground.clock.now_ms()
    try:
        identity = await ground.store.read(lambda tx: identify(tx, key_id, claim.security_token, now_ms))
    except ServiceError as error:
        raise _in_words_of(service, error) from None
    except KeyIsGone:
        # Not one that a developer made up, who would be root.
        raise _unknown_key(service) from None
    if identity is None:
        return _find_developer(ground, request, key_id, service)
    sigv4.verify(request, claim, identity.secret, ground.clock.outside_ms(), service.signing_name)
    return identity.principal


def _find_developer(ground: Ground, request: Request, key_id: str, service: ServiceModel) -> Principal:
    settings = ground.settings
    if settings.strict:
        raise _unknown_key(service)
    if _is_from_another_site(request) and not (service.protocol == "rest-xml" and request.method in ("GET", "HEAD")):
        raise ServiceError(
            "AccessDenied" if service.protocol in ("query", "rest-xml") else "AccessDeniedException",
            "A web page of another site sent this request. Developer credentials, which prove nothing, are not enough"
            " for it: sign with an access key that IAM issued.",
            status=403,
        )
    root_of = _root_of if len(key_id) <= HEAD_CHARACTERS_REMEMBERED_MAX else _root_of.__wrapped__
    return root_of(key_id, settings.account)


async def find_signer(ground: Ground, identify: Identify, service: str, request: Request) -> Principal:
    """Return who signed a request that knocks at no AWS endpoint, but at an API or a function's URL.

    `service` is the one whose signatures it takes. Raises what `find_principal` raises.
    """
    model = load_service(service)
    if (claim := sigv4.find_claim(request, model.signing_name)) is None:
        raise ServiceError("MissingAuthenticationTokenException", "Missing Authentication Token", status=403)
    return await find_principal(ground, identify, request, claim, model)


@lru_cache(maxsize=256)
def _is_region(name: str) -> bool:
    return _REGION.fullmatch(name) is not None


@lru_cache(maxsize=1024)
def _may_be_issued(key_id: str) -> bool:
    return _ISSUED_KEY_ID.fullmatch(key_id) is not None


def _is_from_another_site(request: Request) -> bool:
    # A page may send forms and images anywhere unasked, with a credential in the query string. Browsers tell of it in
    # Sec-Fetch-Site (https://www.w3.org/TR/fetch-metadata/), older ones in Origin; no other client sends either.
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "cross-site"
    origin = request.headers.get("origin")
    if origin is None:
        return False
    try:
        host = urlsplit(origin).hostname or ""
    except ValueError:
        return True
    return not (is_loopback(host) or host.endswith(".localhost"))


@lru_cache(maxsize=1024)
def _root_of(key_id: str, default_account: str) -> Principal:
    return Principal.root(key_id if _ACCOUNT.fullmatch(key_id) else default_account, key_id)


_INVALID_TOKEN = "The security token included in the request is invalid."

# The same refusal has another code in each family of protocols.
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
# https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
_CODES = {
    "query": {"UnrecognizedClientException": "InvalidClientTokenId", "ExpiredTokenException": "ExpiredToken"},
    "rest-xml": {"UnrecognizedClientException": "InvalidToken", "ExpiredTokenException": "ExpiredToken"},
}


def _in_words_of(service: ServiceModel, error: ServiceError) -> ServiceError:
    code = _CODES.get(service.protocol, {}).get(error.code, error.code)
    status = 400 if service.protocol in ("json", "rest-xml") else 403
    return ServiceError(code, error.message, status=status)


def _unknown_key(service: ServiceModel) -> ServiceError:
    if service.protocol == "query":
        return ServiceError("InvalidClientTokenId", _INVALID_TOKEN, status=403)
    if service.protocol == "rest-xml":
        return ServiceError(
            "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", status=403
        )
    return ServiceError(
        "UnrecognizedClientException", _INVALID_TOKEN, status=400 if service.protocol == "json" else 403
    )


def _signature_code(service: ServiceModel) -> str:
    return "SignatureDoesNotMatch" if service.protocol in ("query", "rest-xml") else "InvalidSignatureException"
