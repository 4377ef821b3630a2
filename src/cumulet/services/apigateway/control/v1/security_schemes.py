"""What a REST API makes of a document's security schemes (pure).

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-authorizer.html
"""

from typing import Any

from cumulet.errors import NotImplementedHere
from cumulet.services.apigateway.control.openapi import extensions
from cumulet.services.apigateway.control.openapi.plan import Scheme


def authorizer_params(name: str, scheme: Scheme) -> dict[str, Any]:
    """Return the members of CreateAuthorizer that a scheme gives."""
    given = scheme.authorizer
    known = (
        *("type", "authorizerUri", "authorizerCredentials", "identitySource", "identityValidationExpression"),
        *("authorizerResultTtlInSeconds", "providerARNs", "jwtConfiguration"),
    )
    for member, value in given.items():
        if member not in known and value:
            raise NotImplementedHere(f"The member {member} of {extensions.AUTHORIZER} in an OpenAPI document")
    kind = str(given.get("type") or "").upper()
    source = given.get("identitySource")
    if not source and kind != "REQUEST" and scheme.header:
        source = f"method.request.header.{scheme.header}"
    return {**given, "name": name, "type": kind, "identitySource": source, "authType": scheme.authtype}
