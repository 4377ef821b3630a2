from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.wire.message import Request
from cumulet.wire.model import load_service
from cumulet.wire.protocols import parse, serialise
from cumulet.wire.resolve import resolve
from wire.wire_requests import make_request

READ = {
    "raw payload": (
        make_request(
            "POST",
            "/2015-03-31/functions/f/invocations",
            "Qualifier=3",
            b'{"a": 1}',
            signed_for="lambda",
            X_Amz_Invocation_Type="Event",
        ),
        {"FunctionName": "f", "Qualifier": "3", "InvocationType": "Event", "Payload": b'{"a": 1}'},
    ),
    "no payload": (
        make_request("POST", "/2015-03-31/functions/f/invocations", signed_for="lambda"),
        {"FunctionName": "f"},
    ),
    "blob in JSON": (
        make_request("POST", "/2015-03-31/functions", body=b'{"Code":{"ZipFile":"YWI="}}', signed_for="lambda"),
        {"Code": {"ZipFile": b"ab"}},
    ),
    "number in the query": (
        make_request("GET", "/2015-03-31/functions/", "MaxItems=5&Marker=", signed_for="lambda"),
        {"MaxItems": 5, "Marker": ""},
    ),
    "renamed members": (
        make_request("POST", "/v2/apis", body=b'{"corsConfiguration":{"maxAge":1}}', signed_for="apigateway"),
        {"CorsConfiguration": {"MaxAge": 1}},
    ),
    "several of one name in the query": (
        make_request("DELETE", "/tags/a", "tagKeys=x&tagKeys=y", signed_for="apigateway"),
        {"resourceArn": "a", "tagKeys": ["x", "y"]},
    ),
    "the rest of the query": (
        make_request("POST", "/restapis", "mode=import&failonwarnings=true&p=1", b"{}", signed_for="apigateway"),
        {"failOnWarnings": True, "parameters": {"p": "1"}, "body": b"{}"},
    ),
}


@pytest.mark.parametrize("case", READ)
def test_input_is_read_from_all_its_places(case: str) -> None:
    request, params = READ[case]
    assert parse(resolve(request), request) == params


REFUSED = {
    "malformed body": make_request("POST", "/2015-03-31/functions", body=b"{", signed_for="lambda"),
    "malformed number": make_request("GET", "/2015-03-31/functions/", "MaxItems=five", signed_for="lambda"),
    "malformed blob": make_request(
        "POST", "/2015-03-31/functions", body=b'{"Code":{"ZipFile":"?"}}', signed_for="lambda"
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused(case: str) -> None:
    request: Request = REFUSED[case]
    with pytest.raises(ServiceError) as refused:
        parse(resolve(request), request)
    assert (refused.value.code, refused.value.status) == ("SerializationException", 400)


ANSWERED: dict[str, tuple[str, str, dict[str, Any], int, dict[str, str], bytes]] = {
    "payload, status and header": (
        "lambda",
        "Invoke",
        {"StatusCode": 202, "Payload": b"{}", "FunctionError": "Unhandled"},
        202,
        {"x-amz-function-error": "Unhandled", "content-type": "application/json"},
        b"{}",
    ),
    "created": (
        "lambda",
        "CreateFunction",
        {"FunctionName": "f", "Description": None},
        201,
        {"content-type": "application/json"},
        b'{"FunctionName":"f"}',
    ),
    "nothing": ("apigateway", "DeleteRestApi", {}, 202, {}, b""),
    "moment as ISO 8601": (
        "apigatewayv2",
        "CreateApi",
        {"CreatedDate": 1_700_000_000},
        201,
        {"content-type": "application/json"},
        b'{"createdDate":"2023-11-14T22:13:20Z"}',
    ),
    "moment as a number": (
        "apigateway",
        "CreateRestApi",
        {"createdDate": 1_700_000_000},
        201,
        {"content-type": "application/json"},
        b'{"createdDate":1700000000}',
    ),
    "typed blob": (
        "apigateway",
        "GetExport",
        {"contentType": "application/yaml", "body": b"a: 1"},
        200,
        {"content-type": "application/yaml"},
        b"a: 1",
    ),
}


@pytest.mark.parametrize("case", ANSWERED)
def test_output_is_written_to_all_its_places(case: str) -> None:
    service, name, output, status, headers, body = ANSWERED[case]
    operation = load_service(service).find_operation(name)
    assert operation is not None
    response = serialise(operation, output, "R")
    assert (response.status, response.body) == (status, body)
    assert dict(response.headers) == {"x-amzn-requestid": "R", **headers}
