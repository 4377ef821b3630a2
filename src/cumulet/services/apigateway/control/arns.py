"""The ARNs and actions that IAM sees: API Gateway's actions are HTTP methods, its resources are paths.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonapigatewaymanagement.html
"""

import re
from collections.abc import Callable

from cumulet.services.kit import Call, Params

GET, POST, PUT = "apigateway:GET", "apigateway:POST", "apigateway:PUT"
PATCH, DELETE = "apigateway:PATCH", "apigateway:DELETE"

_MEMBER = re.compile(r"\{(\w+)\}")
_DOMAIN = ("domainName", "DomainName")
# Of a routing rule the ARN names the account, too.
_WITHIN = re.compile(r"^(arn:aws:apigateway:[a-z0-9-]+:)\d*(:/[a-z]+/[^/]+)(/stages/[^/]+)?")
_RESOURCE_ARN = re.compile(
    r"^arn:aws:apigateway:([a-z0-9-]+)::/(restapis|apis|domainnames)/([^/]+)(?:/stages/([^/]+))?$"
)


def at(path: str) -> Callable[[Call, Params], str]:
    """Return what names the resource at `path`, whose {Member}s are taken from the params.

    A domain name is the same in whatever case it is given, so policies see it in one.
    """

    def member(params: Params, name: str) -> str:
        given = str(params.get(name, ""))
        return given.lower() if name in _DOMAIN else given

    def resource(call: Call, params: Params) -> str:
        filled = _MEMBER.sub(lambda found: member(params, found[1]), path)
        return f"arn:aws:apigateway:{call.scope.region}::{filled}"

    return resource


def tagged_above(arn: str) -> list[str]:
    """Return the ARNs whose tags count for what an ARN names, the nearest first: what lies in an API has the API's."""
    found = _WITHIN.match(arn.partition("::/tags/")[2] or arn)
    if found is None:
        return []
    above = f"{found[1]}{found[2]}"
    return [f"{above}{found[3] or ''}", above]


def parse_taggable(arn: str) -> tuple[str, str, str, str | None] | None:
    """Return region, collection (restapis, apis, domainnames), id and stage of an ARN that can be tagged, or None."""
    found = _RESOURCE_ARN.match(arn)
    if found is None or (found[2] == "domainnames" and found[3] != found[3].lower()):
        return None  # unlike a domain name, an ARN has one case: policies compare it
    return found[1], found[2], found[3], found[4]
