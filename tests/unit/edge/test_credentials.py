"""Who a request comes from: the root's own key, and developer credentials that browsers must not lend to strangers."""

from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from cumulet.edge.credentials import find_principal
from cumulet.errors import ServiceError
from cumulet.services.iam import identify
from cumulet.services.kit import Principal
from cumulet.settings import Settings
from cumulet.wire import sigv4
from cumulet.wire.message import Headers, Request
from cumulet.wire.model import load_service
from harness import House


def presigned(house: House, method: str, service: str, key_id: str, **headers: str) -> Request:
    """Return a request that is signed in its query string, wrongly."""
    moment = datetime.fromtimestamp(house.clock.now_ms() / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    credential = quote(f"{key_id}/{moment[:8]}/us-east-1/{service}/aws4_request", safe="")
    query = (
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={moment}&X-Amz-Expires=60"
        f"&X-Amz-SignedHeaders=host&X-Amz-Signature={'0' * 64}"
    )
    fields = [("host", "localhost:4566"), *((name.replace("_", "-"), value) for name, value in headers.items())]
    return Request(method, "/", query, Headers(fields))


async def principal_of(house: House, request: Request, service: str) -> Principal:
    return await find_principal(house.ground, identify, request, sigv4.find_claim(request), load_service(service))


@pytest.mark.parametrize("service", ["iam", "dynamodb", "s3"])
async def test_an_empty_key_id_is_not_the_root_key_that_a_server_does_not_have(service: str) -> None:
    house = House(settings=Settings(strict=True))
    assert house.settings.root_access_key_id == ""
    with pytest.raises(ServiceError) as refused:
        await principal_of(house, presigned(house, "POST", service, ""), service)
    # Not a wrong signature: then an empty secret would make a right one.
    assert refused.value.code in ("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId")


FROM_ANOTHER_SITE: dict[str, dict[str, str]] = {
    "a form": {"sec_fetch_site": "cross-site", "origin": "https://evil.example"},
    "an image": {"sec_fetch_site": "cross-site"},
    "an old browser's form": {"origin": "https://evil.example"},
    "a page without an origin": {"origin": "null"},
    "a name that is led to this machine": {"origin": "http://evil.example:4566"},
    "no origin at all": {"origin": "http://[broken"},
}


@pytest.mark.parametrize("headers", FROM_ANOTHER_SITE.values(), ids=FROM_ANOTHER_SITE)
async def test_another_site_does_not_use_developer_credentials(headers: dict[str, str]) -> None:
    house = House()
    for method, service in (("POST", "iam"), ("GET", "iam"), ("POST", "lambda"), ("PUT", "s3")):
        with pytest.raises(ServiceError, match="another site") as refused:
            await principal_of(house, presigned(house, method, service, "test", **headers), service)
        assert refused.value.status == 403


HARMLESS: dict[str, tuple[str, str, dict[str, str]]] = {
    "no browser": ("POST", "iam", {}),
    "an address typed in": ("GET", "s3", {"sec_fetch_site": "none"}),
    "a page of this machine": ("POST", "iam", {"sec_fetch_site": "same-site", "origin": "http://localhost:3000"}),
    "an old browser here": ("POST", "iam", {"origin": "http://127.0.0.1:3000"}),
    "a name under localhost": ("POST", "iam", {"origin": "http://app.localhost:3000"}),
    "an image from a bucket": ("GET", "s3", {"sec_fetch_site": "cross-site"}),
}


@pytest.mark.parametrize(("method", "service", "headers"), HARMLESS.values(), ids=HARMLESS)
async def test_everyone_else_does(method: str, service: str, headers: dict[str, str]) -> None:
    house = House()
    principal = await principal_of(house, presigned(house, method, service, "test", **headers), service)
    assert principal == Principal.root("000000000000", "test")
