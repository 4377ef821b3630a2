import subprocess
import sys

import pytest

from cumulet.wire.model import load_service


def test_a_service_has_its_metadata() -> None:
    dynamodb = load_service("dynamodb")
    assert (dynamodb.protocol, dynamodb.json_version, dynamodb.target_prefix) == ("json", "1.0", "DynamoDB_20120810")
    assert dynamodb.raw_values
    assert dynamodb.error_namespace == "com.amazonaws.dynamodb.v20120810#"
    assert load_service("apigatewayv2").signing_name == "apigateway"
    assert load_service("iam").xml_namespace == "https://iam.amazonaws.com/doc/2010-05-08/"


def test_the_newest_version_is_read() -> None:
    assert load_service("lambda").api_version == "2015-03-31"


def test_a_service_that_botocore_lacks() -> None:
    with pytest.raises(LookupError, match="no model of a service 'bogus'"):
        load_service("bogus")


def test_an_operation_knows_its_place_and_shapes() -> None:
    invoke = load_service("lambda").find_operation("Invoke")
    assert invoke is not None and invoke.input is not None and invoke.output is not None
    assert (invoke.http_method, invoke.request_uri) == ("POST", "/2015-03-31/functions/{FunctionName}/invocations")
    assert invoke.input.payload == "Payload"
    assert invoke.input.members["InvocationType"].location == "header"
    assert invoke.output.members["StatusCode"].location == "statusCode"
    assert load_service("lambda").find_operation("Bogus") is None


def test_a_shape_may_contain_itself() -> None:
    value = load_service("dynamodb").shape("AttributeValue")
    assert value.members["M"].shape.value.shape is value


def test_errors_are_known_by_their_code_on_the_wire() -> None:
    iam = load_service("iam")
    assert iam.error_status("NoSuchEntity") == 404
    shape = iam.error_shape("NoSuchEntity")
    assert shape is not None and shape.name == "NoSuchEntityException"
    assert load_service("dynamodb").error_status("InternalServerError") == 500
    assert load_service("dynamodb").error_status("ResourceNotFoundException") is None
    assert iam.error_status("Bogus") is None


@pytest.mark.slow
def test_reading_a_model_does_not_import_botocore() -> None:
    script = (
        "import sys; from cumulet.wire.model import load_service; load_service('dynamodb'); "
        "sys.exit(any(name.partition('.')[0] == 'botocore' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0
