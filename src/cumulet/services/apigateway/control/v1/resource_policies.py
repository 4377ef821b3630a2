"""The resource policy of a REST API: checked and completed when it is given, escaped when it is shown."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from cumulet.errors import ServiceError
from cumulet.policy.documents import parse_document
from cumulet.scope import Scope
from cumulet.services.apigateway import limits

_SHORT = "execute-api:/"


def checked_policy(text: Any, scope: Scope, api_id: str) -> str | UnsetType:
    """Return a policy as it is kept, or UNSET if there is none. Raises BadRequestException.

    Resources may leave out what the API's own ARN says (execute-api:/stage/GET/path); AWS puts it in.
    """
    if not text:
        return UNSET
    if len(text.encode()) > limits.RESOURCE_POLICY_BYTES_MAX:
        raise ServiceError(
            "BadRequestException", f"Resource policy exceeds the limit of {limits.RESOURCE_POLICY_BYTES_MAX} bytes"
        )
    arn = f"arn:aws:execute-api:{scope.region}:{scope.account}:{api_id}/"
    try:
        document: Any = msgspec.json.decode(text)
        if not isinstance(document, dict):
            raise _invalid()
        statements = document.get("Statement")
        for statement in statements if isinstance(statements, list) else [statements]:
            if isinstance(statement, dict):
                for member in ("Resource", "NotResource"):
                    if member in statement:
                        statement[member] = _completed(statement[member], arn)
        kept = msgspec.json.encode(document).decode()
        parse_document(kept, "resource")
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise _invalid() from None
    except ServiceError:
        raise _invalid() from None
    return kept


def _completed(resource: Any, arn: str) -> Any:
    if isinstance(resource, list):
        return [_completed(member, arn) for member in resource]
    if isinstance(resource, str) and resource.startswith(_SHORT):
        return arn + resource.removeprefix(_SHORT)
    return resource


def shown_policy(policy: str) -> str:
    """Return a policy as API Gateway shows it: as the inside of a JSON text, slashes escaped too.

    Terraform's provider takes it apart in just this form (aws_api_gateway_rest_api).
    """
    return msgspec.json.encode(policy).decode()[1:-1].replace("/", "\\/")


def _invalid() -> ServiceError:
    return ServiceError(
        "BadRequestException",
        "Invalid policy document. Please check the policy syntax and ensure that Principals are valid.",
    )
