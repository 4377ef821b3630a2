"""Client certificates: what is kept of them, and servers that know an API by one."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits, x509
from cumulet.services.apigateway.pipeline import http_client
from unit.services.apigateway.fake_lambda import ApiHouse
from unit.services.apigateway.test_rest_control import refused
from unit.services.apigateway.test_stage_settings import replace

YEAR_S = 365 * 86_400


async def test_a_certificate_is_generated_shown_changed_and_deleted() -> None:
    house = ApiHouse()
    made = await house.v1("GenerateClientCertificate", description="d", tags={"a": "1"})
    certificate_id = made["clientCertificateId"]
    assert made == {
        "clientCertificateId": certificate_id,
        "description": "d",
        "pemEncodedCertificate": made["pemEncodedCertificate"],
        "createdDate": 1_760_000_000,
        "expirationDate": 1_760_000_000 + YEAR_S,
        "tags": {"a": "1"},
    }
    assert made["pemEncodedCertificate"].startswith("-----BEGIN CERTIFICATE-----\n")
    assert await house.v1("GetClientCertificate", clientCertificateId=certificate_id) == made
    assert await house.v1("GetClientCertificates") == {"items": [made]}
    changed = await house.v1(
        "UpdateClientCertificate", clientCertificateId=certificate_id, patchOperations=[replace("/description", "e")]
    )
    assert changed == {**made, "description": "e"}
    arn = f"arn:aws:apigateway:us-east-1::/clientcertificates/{certificate_id}"
    await house.v1("TagResource", resourceArn=arn, tags={"b": "2"})
    assert await house.v1("GetTags", resourceArn=arn) == {"tags": {"a": "1", "b": "2"}}
    await house.v1("DeleteClientCertificate", clientCertificateId=certificate_id)
    gone = ("NotFoundException", "Invalid Client Certificate identifier specified")
    assert await refused(house, "GetClientCertificate", clientCertificateId=certificate_id) == gone
    assert await refused(house, "DeleteClientCertificate", clientCertificateId=certificate_id) == gone


async def test_a_certificate_in_use_stays() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /a")
    certificate_id = (await house.v1("GenerateClientCertificate"))["clientCertificateId"]
    update = {"restApiId": api_id, "stageName": "dev"}
    stage = await house.v1("UpdateStage", **update, patchOperations=[replace("/clientCertificateId", certificate_id)])
    assert stage["clientCertificateId"] == certificate_id
    assert await refused(house, "DeleteClientCertificate", clientCertificateId=certificate_id) == (
        "ConflictException",
        f"Client Certificate {certificate_id} is in use by an API stage",
    )
    unknown = [replace("/clientCertificateId", "none")]
    assert (await refused(house, "UpdateStage", **update, patchOperations=unknown))[0] == "NotFoundException"
    stage = await house.v1(
        "UpdateStage", **update, patchOperations=[{"op": "replace", "path": "/clientCertificateId", "value": ""}]
    )
    assert "clientCertificateId" not in stage
    await house.v1("DeleteClientCertificate", clientCertificateId=certificate_id)


async def test_an_account_has_so_many_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CERTIFICATES_MAX", 1)
    house = ApiHouse()
    await house.v1("GenerateClientCertificate")
    with pytest.raises(ServiceError, match="Maximum number of client certificates"):
        await house.v1("GenerateClientCertificate")


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The certificate and key of a server on localhost, which every client of this process trusts."""
    certificate, key = x509.make(b"s" * 40, b"n" * 40, 1, "localhost", 1_700_000_000, 4_000_000_000)
    file = tmp_path / "server.pem"
    file.write_text(certificate + key)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    http_client._tls.cache_clear()
    yield file
    http_client._tls.cache_clear()


@asynccontextmanager
async def backend(identity: Path, known: str, seen: list[Any], folder: Path) -> AsyncIterator[int]:
    """Yield the port of a server that answers only those who show a certificate that it knows."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(identity)
    (folder / "known.pem").write_text(known)
    context.load_verify_locations(folder / "known.pem")
    context.verify_mode = ssl.CERT_REQUIRED

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            seen.append(writer.get_extra_info("peercert")["subject"])
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nknown")
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # who has no certificate gets no further
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "localhost", 0, ssl=context)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


async def test_a_backend_knows_an_api_by_its_stage_s_certificate(trusted: Path, tmp_path: Path) -> None:
    house = ApiHouse()
    house.clock.advance(time.time() - house.clock.now_ms() / 1000)  # the server looks at its own clock
    made = await house.v1("GenerateClientCertificate")
    seen: list[Any] = []
    async with backend(trusted, made["pemEncodedCertificate"], seen, tmp_path) as port:
        api = await house.v1("CreateRestApi", name="n")
        at = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "GET"}
        await house.v1("PutMethod", **at, authorizationType="NONE")
        uri = f"https://localhost:{port}/"
        await house.v1("PutIntegration", **at, type="HTTP_PROXY", integrationHttpMethod="GET", uri=uri)
        await house.v1("CreateDeployment", restApiId=api["id"], stageName="dev")
        assert (await house.request(api["id"], "GET", "/dev/")).status == 504
        tried = await house.v1("TestInvokeMethod", **at, clientCertificateId=made["clientCertificateId"])
        assert (tried["status"], tried["body"]) == (200, "known")
        patches = [replace("/clientCertificateId", made["clientCertificateId"])]
        await house.v1("UpdateStage", restApiId=api["id"], stageName="dev", patchOperations=patches)
        response = await house.request(api["id"], "GET", "/dev/")
        assert (response.status, response.body) == (200, b"known")
    assert seen == [((("commonName", "ApiGateway"),),)] * 2
    assert (await refused(house, "TestInvokeMethod", **at, clientCertificateId="none"))[0] == "NotFoundException"
