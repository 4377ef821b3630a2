"""TLS of REST APIs and domain names: what AWS has is kept and shown, what it has not is refused."""

import json
from typing import Any

import pytest

from cumulet.errors import ServiceError
from unit.services.apigateway.fake_lambda import ApiHouse

ENHANCED = "SecurityPolicy_TLS13_1_3_2025_09"
EDGE = "SecurityPolicy_TLS13_2025_EDGE"
REGIONAL = {"endpointConfiguration": {"types": ["REGIONAL"]}}
CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/12345678-1234-1234-1234-123456789012"

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"securityPolicy": "TLS_1_1"}, "Invalid security policy specified: TLS_1_1"),
    ({"securityPolicy": ENHANCED}, "endpointAccessMode is required for security policies that start with"),
    ({"endpointAccessMode": "STRICT"}, "endpointAccessMode is only for security policies that start with"),
    ({"securityPolicy": "TLS_1_2", "endpointAccessMode": "BASIC"}, "endpointAccessMode is only for security policies"),
    ({"securityPolicy": ENHANCED, "endpointAccessMode": "LOOSE"}, "Invalid endpoint access mode specified: LOOSE"),
    ({"securityPolicy": EDGE, "endpointAccessMode": "BASIC"}, f"The security policy {EDGE} is not for endpoints of"),
]


@pytest.mark.parametrize(("settings", "words"), REFUSED)
@pytest.mark.parametrize("kind", ["API", "domain name"])
async def test_what_aws_has_not_is_refused(settings: dict[str, Any], words: str, kind: str) -> None:
    house = ApiHouse()
    with pytest.raises(ServiceError) as caught:
        if kind == "API":
            await house.v1("CreateRestApi", name="a", **REGIONAL, **settings)
        else:
            names = {"domainName": "a.example.com", "regionalCertificateArn": CERTIFICATE}
            await house.v1("CreateDomainName", **names, **REGIONAL, **settings)
    assert (caught.value.code, caught.value.message[: len(words)]) == ("BadRequestException", words)


def replacing(**values: str) -> list[dict[str, str]]:
    return [{"op": "replace", "path": f"/{name}", "value": value} for name, value in values.items()]


async def test_an_api_s_policy_is_changed_exported_and_imported() -> None:
    house = ApiHouse()
    made = await house.v1("CreateRestApi", name="a", **REGIONAL, securityPolicy="TLS_1_2")
    assert (made["securityPolicy"], "endpointAccessMode" in made) == ("TLS_1_2", False)
    at = {"restApiId": made["id"]}
    wanted = {"securityPolicy": ENHANCED, "endpointAccessMode": "STRICT"}
    changed = await house.v1("UpdateRestApi", **at, patchOperations=replacing(**wanted))
    assert changed == {**made, **wanted} == await house.v1("GetRestApi", **at)
    body = json.dumps(
        {
            "openapi": "3.0.1",
            "info": {"title": "b", "version": "1"},
            "paths": {},
            "x-amazon-apigateway-security-policy": EDGE,
            "x-amazon-apigateway-endpoint-access-mode": "BASIC",
        }
    ).encode()
    imported = await house.v1("ImportRestApi", body=body)
    assert (imported["securityPolicy"], imported["endpointAccessMode"]) == (EDGE, "BASIC")
    api_id = await house.rest_api("GET /", **REGIONAL, **wanted)
    exported = await house.v1(
        "GetExport", restApiId=api_id, stageName="dev", exportType="oas30", parameters={"extensions": "apigateway"}
    )
    told = json.loads(exported["body"])
    assert told["x-amazon-apigateway-security-policy"] == ENHANCED
    assert told["x-amazon-apigateway-endpoint-access-mode"] == "STRICT"


async def test_a_domain_name_s_policy_is_changed() -> None:
    house = ApiHouse()
    names = {"domainName": "a.example.com", "regionalCertificateArn": CERTIFICATE}
    made = await house.v1("CreateDomainName", **names, **REGIONAL)
    assert (made["securityPolicy"], "endpointAccessMode" in made) == ("TLS_1_2", False)
    wanted = {"securityPolicy": ENHANCED, "endpointAccessMode": "BASIC"}
    patches = replacing(**wanted)
    changed = await house.v1("UpdateDomainName", domainName="a.example.com", patchOperations=patches)
    assert changed == {**made, **wanted}
    back = replacing(securityPolicy="TLS_1_2", endpointAccessMode="")
    assert await house.v1("UpdateDomainName", domainName="a.example.com", patchOperations=back) == made


async def test_the_other_dialect_leaves_an_access_mode_to_its_policy() -> None:
    house = ApiHouse()
    names = {"domainName": "a.example.com", "regionalCertificateArn": CERTIFICATE}
    await house.v1("CreateDomainName", **names, **REGIONAL, securityPolicy=ENHANCED, endpointAccessMode="STRICT")

    async def changed(**configuration: str) -> tuple[str, str | None]:
        await house.v2("UpdateDomainName", DomainName="a.example.com", DomainNameConfigurations=[configuration])
        shown = await house.v1("GetDomainName", domainName="a.example.com")
        return shown["securityPolicy"], shown.get("endpointAccessMode")

    assert await changed(CertificateArn=CERTIFICATE.replace("123456789012", "999999999999")) == (ENHANCED, "STRICT")
    assert await changed(SecurityPolicy="TLS_1_2") == ("TLS_1_2", None)
