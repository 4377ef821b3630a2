"""What access logs of HTTP APIs tell of failures, by what lies behind a refusal."""

import pytest

from cumulet.errors import ServiceError
from cumulet.services.apigateway.pipeline import http_failures
from cumulet.services.apigateway.pipeline.exchange import Relayed, Result, Said
from cumulet.services.apigateway.pipeline.faults import Fault, Refused
from cumulet.services.apigateway.pipeline.http_client import Unreachable


def refused(fault: Fault, *causes: BaseException, detail: str | None = None) -> Refused:
    """Return a refusal with a chain of causes, the last of which came first."""
    first = found = Refused(fault, detail=detail)
    for cause in causes:
        found.__cause__ = cause
        found = cause  # type: ignore[assignment]
    return first


DENIED = ServiceError("AccessDeniedException", "nobody may perform: lambda:InvokeFunction", status=403)
NOT_ASSUMED = ServiceError("AccessDenied", "nobody may perform: sts:AssumeRole", status=403)
FAILED = "The Lambda function returned the following error: {}. Check your Lambda function code and try again."


@pytest.mark.parametrize(
    ("why", "said", "told"),
    [
        (refused("misconfigured", DENIED), None, "The IAM role configured on the integration or API Gateway doesn't "),
        (refused("misconfigured", NOT_ASSUMED), None, "API Gateway doesn\u2019t have permissions to assume the IAM "),
        (refused("throttled", ServiceError("TooManyRequestsException", "Rate Exceeded.")), None, "Rate Exceeded."),
        (refused("unreachable", Unreachable("refused by the host")), None, "refused by the host"),
        (refused("bad_answer"), Result(b'{"errorMessage":"boom"}', failed=True), FAILED.format("boom")),
        (refused("bad_answer"), Result(b'{"n":1}', failed=True), FAILED.format('{"n":1}')),
        (refused("bad_answer"), Result(b"no JSON", failed=True), FAILED.format("no JSON")),
        (refused("bad_answer"), Result(b"{}", failed=False), "The response from the Lambda function doesn't match "),
        (refused("no_route"), None, None),
        (refused("unauthorized", DENIED), None, None),
    ],
)
def test_of_integrations(why: Refused, said: Said | None, told: str | None) -> None:
    found = http_failures.integration_error(why, said)
    assert found is told is None or (found or "").startswith(told or "nothing")


@pytest.mark.parametrize(
    ("why", "told"),
    [
        (
            refused("not_signed"),
            "The request for the IAM Authorizer doesn't match the format that API Gateway expects.",
        ),
        (refused("unauthorized", detail="the token has expired"), "the token has expired"),
        (
            refused("authorizer_misconfigured", Refused("misconfigured"), ServiceError("NotFound", "no such function")),
            "no such function",
        ),
        (refused("forbidden"), "Forbidden"),
        (refused("misconfigured", DENIED), None),
    ],
)
def test_of_authorizers(why: Refused, told: str | None) -> None:
    assert http_failures.authorizer_error(why, "Forbidden") == told


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (Result(b'{"statusCode": 418}', failed=False), 418),
        (Result(b'{"message": "inferred"}', failed=False), 200),
        (Result(b'"text"', failed=False), 200),
        (Result(b'{"errorMessage": "boom"}', failed=True), None),
        (Relayed(503, (), b""), 503),
    ],
)
def test_of_statuses(said: Said, status: int | None) -> None:
    assert http_failures.integration_status(said) == status
