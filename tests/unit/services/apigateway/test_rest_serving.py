"""A REST API answers through the pipeline."""

import json

from unit.services.apigateway.fake_lambda import FUNCTION, ApiHouse, header


async def test_a_proxy_integration_answers() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /notes/{id}", "ANY /other/{proxy+}")
    house.function.answer = {"statusCode": 201, "headers": {"X-Note": "1"}, "body": json.dumps({"ok": True})}

    response = await house.request(api_id, "GET", "/dev/notes/7")

    assert (response.status, response.body) == (201, b'{"ok": true}')
    assert header(response, "x-note") == "1"
    assert header(response, "content-type") == "application/json"
    call, params = house.function.calls[0]
    assert params["FunctionName"] == FUNCTION
    assert call.principal.arn == "apigateway.amazonaws.com"
    assert call.principal.source_arn == f"arn:aws:execute-api:us-east-1:000000000000:{api_id}/dev/GET/notes/{{id}}"
    assert house.function.event["pathParameters"] == {"id": "7"}
