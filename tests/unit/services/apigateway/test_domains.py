"""Custom domain names: one record for both dialects, mappings to APIs of both kinds, requests by their host."""

from typing import Any

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway import ApiDoors
from cumulet.wire.message import Headers, Request, Response
from unit.services.apigateway.fake_lambda import ApiHouse

CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/12345678-1234-1234-1234-123456789012"
REGIONAL = {"EndpointType": "REGIONAL", "CertificateArn": CERTIFICATE}


async def regional(house: ApiHouse, name: str = "api.example.com") -> Any:
    return await house.v2("CreateDomainName", DomainName=name, DomainNameConfigurations=[REGIONAL])


async def ask(house: ApiHouse, path: str, host: str = "api.example.com") -> Response:
    """Return the answer to a GET, 404 with no body if the host is nobody's domain name."""
    doors = ApiDoors(house.ground, house.find_signer)
    return await doors.serve_domain(host, Request("GET", path, "", Headers([("host", host)]))) or Response(404)


async def test_a_domain_made_with_one_dialect_is_the_others_too() -> None:
    house = ApiHouse()
    made = await house.v1(
        "CreateDomainName",
        domainName="API.example.com",
        regionalCertificateArn=CERTIFICATE,
        endpointConfiguration={"types": ["REGIONAL"]},
        securityPolicy="TLS_1_2",
        tags={"team": "a"},
    )

    shown = await house.v2("GetDomainName", DomainName="api.example.com")

    assert shown == {
        "ApiMappingSelectionExpression": "$request.basepath",
        "DomainName": "api.example.com",
        "DomainNameArn": "arn:aws:apigateway:us-east-1::/domainnames/api.example.com",
        "DomainNameConfigurations": [
            {
                "ApiGatewayDomainName": made["regionalDomainName"],
                "CertificateArn": CERTIFICATE,
                "CertificateUploadDate": 1_760_000_000,
                "DomainNameStatus": "AVAILABLE",
                "EndpointType": "REGIONAL",
                "HostedZoneId": "Z1UJRXOUMOOFQ8",
                "IpAddressType": "ipv4",
                "SecurityPolicy": "TLS_1_2",
            }
        ],
        "RoutingMode": "API_MAPPING_ONLY",
        "Tags": {"team": "a"},
    }
    assert made == (await house.v1("GetDomainName", domainName="api.example.com"))
    assert made["regionalDomainName"].startswith("d-")
    assert made["regionalDomainName"].endswith(".execute-api.us-east-1.amazonaws.com")
    await regional(house, "other.example.com")
    names = [item["domainName"] for item in (await house.v1("GetDomainNames"))["items"]]
    assert names == ["api.example.com", "other.example.com"]
    first = await house.v1("GetDomainNames", limit=1)
    assert [item["domainName"] for item in first["items"]] == ["api.example.com"]
    second = await house.v1("GetDomainNames", limit=1, position=first["position"])
    assert [item["domainName"] for item in second["items"]] == ["other.example.com"]
    assert "position" not in second


async def test_an_edge_domain_moves_to_its_region_as_the_guide_has_it() -> None:
    house = ApiHouse()
    made = await house.v1("CreateDomainName", domainName="api.example.com", certificateArn=CERTIFICATE)
    assert made["distributionDomainName"].endswith(".cloudfront.net")
    assert made["endpointConfiguration"]["types"] == ["EDGE"]

    both = await house.v1(
        "UpdateDomainName",
        domainName="api.example.com",
        patchOperations=[
            {"op": "add", "path": "/endpointConfiguration/types", "value": "REGIONAL"},
            {"op": "add", "path": "/regionalCertificateArn", "value": CERTIFICATE},
        ],
    )
    assert both["endpointConfiguration"]["types"] == ["EDGE", "REGIONAL"]
    assert both["distributionDomainName"] == made["distributionDomainName"]

    after = await house.v1(
        "UpdateDomainName",
        domainName="api.example.com",
        patchOperations=[
            {"op": "remove", "path": "/endpointConfiguration/types", "value": "EDGE"},
            {"op": "remove", "path": "/certificateArn"},
        ],
    )
    assert after["endpointConfiguration"]["types"] == ["REGIONAL"]
    assert after["regionalDomainName"] == both["regionalDomainName"]
    assert "certificateArn" not in after
    assert "distributionDomainName" not in after


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"domainName": "api.example.com"}, "Invalid certificate ARN: null. Certificate must be in 'us-east-1'."),
        (
            {"domainName": "api.example.com", "certificateArn": CERTIFICATE.replace("us-east-1", "eu-west-1")},
            f"Invalid certificate ARN: {CERTIFICATE.replace('us-east-1', 'eu-west-1')}. "
            "Certificate must be in 'us-east-1'.",
        ),
        ({"domainName": "no-dots", "certificateArn": CERTIFICATE}, "Invalid domain name specified: no-dots"),
        (
            {"domainName": "api.example.com", "certificateArn": CERTIFICATE, "securityPolicy": "SSL_3"},
            "Invalid security policy specified: SSL_3",
        ),
        (
            {"domainName": "taken.example.com", "certificateArn": CERTIFICATE},
            "The domain name you provided already exists.",
        ),
    ],
)
async def test_what_is_no_domain_is_refused(params: dict[str, Any], words: str) -> None:
    house = ApiHouse()
    await regional(house, "taken.example.com")
    with pytest.raises(ServiceError) as error:
        await house.v1("CreateDomainName", **params)
    assert (error.value.code, error.value.message) == ("BadRequestException", words)


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("CreateDomainName", {"mutualTlsAuthentication": {"truststoreUri": "s3://a/b"}}),
        ("CreateDomainName", {"endpointConfiguration": {"types": ["PRIVATE"]}}),
        ("CreateDomainName", {"certificateBody": "-----BEGIN"}),
    ],
)
async def test_what_cannot_be_here_is_refused_by_name(operation: str, params: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedHere):
        await ApiHouse().v1(operation, domainName="api.example.com", certificateArn=CERTIFICATE, **params)


async def test_requests_go_to_the_longest_key() -> None:
    # The developer guide's own table, "Routing API requests".
    house = ApiHouse()
    await regional(house)
    keys = {"": None, "orders/v1/items": None, "orders/v2/items": None, "orders/v2/items/categories": None}
    apis = {key: await house.http_api("ANY /{proxy+}", "ANY /") for key in keys}
    for key, api_id in apis.items():
        await house.v2(
            "CreateApiMapping", DomainName="api.example.com", ApiId=api_id, Stage="$default", ApiMappingKey=key
        )
    for path, key, behind in (
        ("/orders/v1/items", "orders/v1/items", "/"),
        ("/orders/v2/items", "orders/v2/items", "/"),
        ("/orders/v1/items/123", "orders/v1/items", "/123"),
        ("/orders/v2/items/categories/5", "orders/v2/items/categories", "/5"),
        ("/orders/v2/itemsandmore", "", "/orders/v2/itemsandmore"),
        ("/customers", "", "/customers"),
        ("//orders/v1/items", "", "//orders/v1/items"),
        ("/%6Frders/v1/items/1%2F2", "orders/v1/items", "/1/2"),
    ):
        assert (await ask(house, path)).status == 200
        assert house.function.event["requestContext"]["apiId"] == apis[key], path
        assert house.function.event["rawPath"] == behind
        assert house.function.event["requestContext"]["domainName"] == "api.example.com"
        assert house.function.event["requestContext"]["domainPrefix"] == "api"


async def test_a_rest_event_has_the_base_path_and_no_stage() -> None:
    # https://github.com/aws-powertools/powertools-lambda-python/pull/579 has such events, recorded.
    house = ApiHouse()
    api_id = await house.rest_api("GET /payment")
    await regional(house)
    await house.v1("CreateBasePathMapping", domainName="api.example.com", basePath="v1", restApiId=api_id, stage="dev")
    await house.v1("CreateBasePathMapping", domainName="api.example.com", basePath="all", restApiId=api_id)

    assert (await ask(house, "/v1/payment")).status == 200
    event = house.function.event
    assert (event["path"], event["resource"]) == ("/v1/payment", "/payment")
    assert (event["requestContext"]["path"], event["requestContext"]["stage"]) == ("/v1/payment", "dev")
    assert (await ask(house, "/all/dev/payment")).status == 200
    assert house.function.event["path"] == "/all/dev/payment"
    assert (await ask(house, "/all/nowhere/payment")).status == 403
    assert (await ask(house, "/v2/payment")).status == 403
    assert (await ask(house, "/v1/payment", "elsewhere.example.com")).status == 404


async def test_a_wildcard_serves_every_name_below_it_but_those_of_their_own() -> None:
    house = ApiHouse()
    api_id = await house.http_api("$default")
    other = await house.http_api("$default")
    await regional(house, "*.example.com")
    await regional(house, "own.example.com")
    await house.v2("CreateApiMapping", DomainName="*.example.com", ApiId=api_id, Stage="$default")
    await house.v2("CreateApiMapping", DomainName="own.example.com", ApiId=other, Stage="$default")

    for host, served in (("a.example.com", api_id), ("own.example.com", other)):
        assert (await ask(house, "/x", host)).status == 200
        assert house.function.event["requestContext"]["apiId"] == served
    assert (await ask(house, "/x", "a.b.example.com")).status == 404
    assert (await ask(house, "/x", "example.com")).status == 404


async def test_mappings_are_shown_changed_and_removed_by_either_dialect() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /payment")
    await regional(house)
    at = {"domainName": "api.example.com"}
    made = await house.v1("CreateBasePathMapping", **at, restApiId=api_id, stage="dev")
    assert made == {"basePath": "(none)", "restApiId": api_id, "stage": "dev"}
    assert made == await house.v1("GetBasePathMapping", **at, basePath="(none)")

    (mapping,) = (await house.v2("GetApiMappings", DomainName="api.example.com"))["Items"]
    assert mapping["Stage"] == "dev"
    assert "ApiMappingKey" not in mapping
    moved = await house.v1(
        "UpdateBasePathMapping",
        **at,
        basePath="(none)",
        patchOperations=[{"op": "replace", "path": "/basePath", "value": "v1"}],
    )
    assert moved["basePath"] == "v1"
    by_id = {"DomainName": "api.example.com", "ApiMappingId": mapping["ApiMappingId"]}
    assert (await house.v2("GetApiMapping", **by_id))["ApiMappingKey"] == "v1"
    await house.v2("UpdateApiMapping", **by_id, ApiId=api_id, ApiMappingKey="v1/deep")
    assert (await house.v1("GetBasePathMappings", **at))["items"][0]["basePath"] == "v1/deep"

    with pytest.raises(
        ServiceError, match=r"Deleting stage dev failed\. Please remove all base path mappings related to the stage in"
    ):
        await house.v1("DeleteStage", restApiId=api_id, stageName="dev")
    with pytest.raises(ServiceError) as error:
        await house.v1("DeleteRestApi", restApiId=api_id)
    assert (error.value.code, error.value.message) == (
        "BadRequestException",
        f"Deleting RestApi {api_id} failed. Please remove all base path mappings related to the RestApi in your "
        "domains: api.example.com",
    )
    http_id = await house.http_api("$default")
    await house.v2("CreateApiMapping", DomainName="api.example.com", ApiId=http_id, Stage="$default")
    with pytest.raises(ServiceError) as error:
        await house.v2("DeleteApi", ApiId=http_id)
    assert (error.value.code, error.value.message) == (
        "BadRequestException",
        f"Deleting API {http_id} failed. Please remove all API mappings for the API from your custom domain names.",
    )
    await house.v1("DeleteBasePathMapping", **at, basePath="(none)")
    await house.v2("DeleteApiMapping", **by_id)
    await house.v1("DeleteRestApi", restApiId=api_id)
    assert (await house.v1("GetBasePathMappings", **at)) == {"items": []}
    await house.v1("DeleteDomainName", **at)
    with pytest.raises(ServiceError) as error:
        await house.v2("GetDomainName", DomainName="api.example.com")
    assert (error.value.code, error.value.message) == (
        "NotFoundException",
        "Invalid domain name identifier specified",
    )


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"Stage": "nope"}, "BadRequestException", "Invalid stage identifier specified"),
        ({"ApiId": "nope"}, "BadRequestException", "Invalid API identifier specified"),
        ({"ApiMappingKey": "taken"}, "ConflictException", "ApiMapping key already exists for this domain name"),
        (
            {"ApiMappingKey": "/"},
            "BadRequestException",
            "API mapping key should not start with a '/' or have consecutive '/'s.",
        ),
        (
            {"ApiMappingKey": "a b"},
            "BadRequestException",
            "An ApiMapping key may contain only letters, numbers and one of $-_.+!*'()/",
        ),
        ({"DomainName": "b.example.com"}, "NotFoundException", "Invalid domain name identifier specified"),
    ],
)
async def test_what_is_no_mapping_is_refused(changes: dict[str, str], code: str, words: str) -> None:
    house = ApiHouse()
    api_id = await house.http_api("$default")
    await regional(house)
    params = {"DomainName": "api.example.com", "ApiId": api_id, "Stage": "$default"}
    await house.v2("CreateApiMapping", **params, ApiMappingKey="taken")
    with pytest.raises(ServiceError) as error:
        await house.v2("CreateApiMapping", **{**params, **changes})
    assert (error.value.code, error.value.message) == (code, words)


async def test_rest_knows_keys_of_one_level_and_edge_domains_only_rest() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /payment")
    http_id = await house.http_api("$default")
    await house.v1("CreateDomainName", domainName="api.example.com", certificateArn=CERTIFICATE)
    with pytest.raises(ServiceError, match="API Gateway V1 doesn't support the slash character"):
        await house.v1("CreateBasePathMapping", domainName="api.example.com", basePath="a/b", restApiId=api_id)
    with pytest.raises(ServiceError, match="only REST APIs can be attached to EDGE domain names"):
        await house.v2("CreateApiMapping", DomainName="api.example.com", ApiId=http_id, Stage="$default")
    with pytest.raises(ServiceError, match="Only REGIONAL domain names"):
        await house.v2(
            "CreateDomainName",
            DomainName="b.example.com",
            DomainNameConfigurations=[{**REGIONAL, "EndpointType": "EDGE"}],
        )


async def test_tags_of_a_domain_name() -> None:
    house = ApiHouse()
    arn = (await regional(house))["DomainNameArn"]
    await house.v2("TagResource", ResourceArn=arn, Tags={"a": "1", "b": "2"})
    await house.v1("UntagResource", resourceArn=arn, tagKeys=["a"])
    assert (await house.v2("GetTags", ResourceArn=arn)) == {"Tags": {"b": "2"}}
    assert (await house.v1("GetTags", resourceArn=arn)) == {"tags": {"b": "2"}}
