"""schemathesis asks a deployed REST API for whatever its own export allows, and for what it does not."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from running import Server

pytestmark = pytest.mark.slow

NOTE = {
    "type": "object",
    "required": ["title"],
    "additionalProperties": False,
    "properties": {
        "title": {"type": "string", "minLength": 1, "maxLength": 20},
        "stars": {"type": "integer", "minimum": 0, "maximum": 5},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
    },
}
ECHOED = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}
SAID = {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}}
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def operation(template: str, answer: str = "Note", **more: Any) -> dict[str, Any]:
    """Return an operation that answers from a template, and what API Gateway itself may answer."""
    said = {"description": "said", "schema": {"$ref": "#/definitions/Said"}}
    return {
        "produces": ["application/json"],
        "responses": {
            "200": {"description": "fine", "schema": {"$ref": f"#/definitions/{answer}"}},
            "400": said,
            "403": said,
            "415": said,
        },
        "x-amazon-apigateway-request-validator": "all",
        "x-amazon-apigateway-integration": {
            "type": "mock",
            "requestTemplates": {"application/json": '{"statusCode": 200}'},
            "passthroughBehavior": "when_no_templates",
            "responses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": template}}},
        },
        **more,
    }


ONE = '{"title": "one"}'
# As AWS's own guide says: a quotation mark that was escaped for JavaScript is no JSON.
ECHO = """{"id": "$util.escapeJavaScript($input.params('id')).replaceAll("\\\\'", "'")"}"""
DOCUMENT = {
    "swagger": "2.0",
    "info": {"title": "fuzzed", "version": "1"},
    "x-amazon-apigateway-request-validators": {"all": {"validateRequestBody": True, "validateRequestParameters": True}},
    "definitions": {"Note": NOTE, "Echo": ECHOED, "Said": SAID},
    "paths": {
        "/notes": {
            "get": operation(ONE, parameters=[{"name": "page", "in": "query", "required": True, "type": "string"}]),
            "post": operation(
                ONE,
                consumes=["application/json"],
                parameters=[
                    {"name": "body", "in": "body", "required": True, "schema": {"$ref": "#/definitions/Note"}},
                    {"name": "X-Trace", "in": "header", "required": False, "type": "string"},
                ],
            ),
        },
        "/notes/{id}": {
            "get": operation(
                ECHO,
                "Echo",
                parameters=[{"name": "id", "in": "path", "required": True, "type": "string"}],
            )
        },
    },
}


def test_an_exported_api_does_what_its_export_says(server: Server, tmp_path: Path) -> None:
    apis = server.client("apigateway")
    api_id = apis.import_rest_api(body=json.dumps(DOCUMENT).encode())["id"]
    apis.create_deployment(restApiId=api_id, stageName="dev")
    exported = apis.get_export(restApiId=api_id, stageName="dev", exportType="oas30", accepts="application/json")
    document = tmp_path / "export.json"
    document.write_bytes(exported["body"].read())
    base = f"{server.endpoint}/_aws/execute-api/{api_id}/dev"
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", str(document), "--url", base]
    bounds = ["--max-examples", "25", "--seed", "1", "--checks", CHECKS, "--no-color", "--workers", "1"]
    done = subprocess.run([*command, *bounds], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=120)
    apis.delete_rest_api(restApiId=api_id)
    assert "Tested: 3" in done.stdout
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
