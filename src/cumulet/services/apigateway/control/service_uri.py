"""URIs that lead to an AWS service: arn:aws:apigateway:{region}:{service}:action/{operation}, or path/...

A subdomain may stand before the service: a bucket's before s3, streams before dynamodb.
https://docs.aws.amazon.com/apigateway/latest/api/API_Integration.html#apigw-Type-Integration-uri
"""

import re
from typing import NamedTuple

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway.control import lambda_uri

_URI = re.compile(r"^arn:aws[a-z-]*:apigateway:([^:]+):([^:]+):(path|action)/(.*)$", re.DOTALL)
_STAGE_VARIABLE = re.compile(r"\$\{stageVariables\.\w+\}")

BUILT = {
    "apigateway": "apigateway",
    "cloudformation": "cloudformation",
    "dynamodb": "dynamodb",
    "iam": "iam",
    "lambda": "lambda",
    "logs": "logs",
    "s3": "s3",
    "streams.dynamodb": "dynamodbstreams",
    "sts": "sts",
}
"""The services that an integration can lead to, by what its URI calls them."""


class ServiceUri(NamedTuple):
    """Where a URI leads."""

    region: str
    service: str
    """As Cumulet calls it."""
    subdomain: str
    """What stood before the service: a bucket; empty if nothing did."""
    is_action: bool
    asked: str
    """The operation's name, or a path without its first slash that may have {variables}."""


def find(uri: str) -> ServiceUri | None:
    """Return where a URI leads whose stage variables are filled in, or None if that is no service that is built."""
    found = _URI.match(uri)
    if found is None:
        return None
    host = found[2]
    name, subdomain = BUILT.get(host), ""
    if name is None:
        subdomain, _, service = host.rpartition(".")
        name = BUILT.get(service)
    if name is None or (subdomain and name != "s3"):
        return None
    return ServiceUri(found[1], name, subdomain, found[3] == "action", found[4])


def check(uri: str, credentials: str | None) -> None:
    """Raise BadRequestException unless the URI can be that of an AWS integration with mappings."""
    found = _URI.match(_STAGE_VARIABLE.sub("variable", uri))
    if found is None:
        if uri.startswith("arn:") and ":apigateway:" in uri:
            raise ServiceError("BadRequestException", "AWS ARN for integration must contain path or action")
        raise ServiceError("BadRequestException", "Invalid ARN specified in the request")
    if lambda_uri.leads_to_function(uri):
        return
    if "${stageVariables." not in uri.split(":", 5)[4] and find(uri) is None:
        raise NotImplementedHere(f"An integration with {found[2]}:{found[3]}/{found[4]}")
    if not credentials:
        raise ServiceError("BadRequestException", "Role ARN must be specified for AWS integrations")
