"""Servers whose certificate nobody vouches for."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from cumulet.errors import ServiceError
from unit.services.apigateway.backends import Backend
from unit.services.apigateway.fake_lambda import URI, ApiHouse

CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQggbnX73l8t/pIYLwE
rsnLNMB6B+2h2yz5Y/C1IqbB2bKhRANCAARo/ki79ltfQxMxkQOfPuCW/mbZVCJY
lI/N6USC1ATSEPIWAbt/QbKduVA+yFUDM4tcKH22Lr2pVdrRDcJ62Xs4
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBiTCCAS+gAwIBAgIUTTwwV1A1qrjn4Sg1f5yvDUOqklUwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwObm9ib2R5LmV4YW1wbGUwIBcNMjYxMTIyMjMxNjAxWhgPMjEy
NjEwMjkyMzE2MDFaMBkxFzAVBgNVBAMMDm5vYm9keS5leGFtcGxlMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEaP5Iu/ZbX0MTMZEDnz7glv5m2VQiWJSPzelEgtQE
0hDyFgG7f0GynblQPshVAzOLXCh9ti69qVXa0Q3Cetl7OKNTMFEwHQYDVR0OBBYE
FL+DS9y3sPFDxU+7m7rEYu+ll6AHMB8GA1UdIwQYMBaAFL+DS9y3sPFDxU+7m7rE
Yu+ll6AHMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgSGobBEUj
gtiDaSpaLs1CuNZvR9PpWFeHoFxwp93Lb2MCIQDhA22RwV6DZ12HGFjcV1+FJEBs
FfoP6fvnuFXOeT3jdw==
-----END CERTIFICATE-----
"""
"""Of nobody.example, signed by itself: a key that opens nothing."""


async def asked(house: ApiHouse, url: str, kind: str, **more: Any) -> int:
    """Return the status of an API in front of a server."""
    api = await house.v1("CreateRestApi", name="n")
    at = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "GET"}
    await house.v1("PutMethod", **at, authorizationType="NONE")
    await house.v1("PutIntegration", **at, type=kind, integrationHttpMethod="GET", uri=url, **more)
    await house.v1("CreateDeployment", restApiId=api["id"], stageName="dev")
    return (await house.request(api["id"], "GET", "/dev")).status


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({}, 504),
        ({"tlsConfig": {"insecureSkipVerification": False}}, 504),
        ({"tlsConfig": {"insecureSkipVerification": True}}, 200),
    ],
)
async def test_a_certificate_is_looked_at_unless_nobody_wants_it(
    tmp_path: Path, more: dict[str, Any], status: int
) -> None:
    file = tmp_path / "both.pem"
    file.write_text(CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    backend = Backend()
    server = await asyncio.start_server(backend.serve, "127.0.0.1", 0, ssl=context)
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        assert await asked(ApiHouse(), url, "HTTP_PROXY", **more) == status


async def test_functions_have_no_certificates() -> None:
    with pytest.raises(ServiceError) as refused:
        await asked(ApiHouse(), URI, "AWS_PROXY", tlsConfig={"insecureSkipVerification": True})
    assert (refused.value.code, refused.value.message) == (
        "BadRequestException",
        "TlsConfig is only supported for HTTP and HTTP_PROXY integrations",
    )
