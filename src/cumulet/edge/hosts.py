"""Which door a request knocks at: told by its host and path alone (pure).

{api-id}.execute-api.{any domain}/...           an API of API Gateway, by host name
{url-id}.lambda-url.{region}.{any domain}/...  a function URL, by host name
/_cumulet/...                                   the control API
/_aws/execute-api/{api-id}/{stage}/...          an API of API Gateway, by path
/_aws/lambda-url/{url-id}/...                  a function URL, by path
{bucket}.s3.{any domain}/...                    S3, virtual-host style: the bucket moves into the path
{bucket}.localhost/...                          the same, as SDKs make it of the endpoint http://localhost:4566
everything else                                 the AWS service endpoints, or a custom domain name of API Gateway
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from cumulet.edge.limits import HEAD_CHARACTERS_REMEMBERED_MAX

CONTROL_PREFIX = "/_cumulet/"
EXECUTE_API_PREFIX = "/_aws/execute-api/"
FUNCTION_URL_PREFIX = "/_aws/lambda-url/"

_API_HOST = re.compile(r"^([a-z0-9]{1,64})\.execute-api\.", re.IGNORECASE)
_FUNCTION_HOST = re.compile(r"^([a-z0-9]{1,64})\.lambda-url\.[a-z0-9-]+\.", re.IGNORECASE)
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html: bucket names may hold dots themselves.
_BUCKET_HOST = re.compile(r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\.s3[.-]", re.IGNORECASE)
_LOCAL_BUCKET_HOST = re.compile(r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\.localhost(?::[0-9]+)?$", re.IGNORECASE)
_NOT_BUCKETS = frozenset(
    {
        "s3",
        "dynamodb",
        "lambda",
        "apigateway",
        "iam",
        "sts",
        "logs",
        "cloudformation",
        "sqs",
        "monitoring",
        "api",
        "www",
    }
)
"""Names that stand before "localhost" as an endpoint of a service."""


@dataclass(frozen=True, slots=True)
class ControlDoor:
    """The control API; `path` is what follows its prefix."""

    path: str


@dataclass(frozen=True, slots=True)
class ApiDoor:
    """A deployed API. `path` is what follows the API: it begins with the stage, or for HTTP APIs may not."""

    api_id: str
    path: str
    via: Literal["path", "host"]


@dataclass(frozen=True, slots=True)
class FunctionDoor:
    """A function URL; `path` is what follows the address."""

    url_id: str
    path: str


@dataclass(frozen=True, slots=True)
class ServiceDoor:
    """An AWS endpoint; `path` is in path style, whatever form the host had."""

    path: str


Door: TypeAlias = ControlDoor | ApiDoor | FunctionDoor | ServiceDoor


def find_door(host: str, path: str) -> Door:
    """Return the door for a Host header and a raw path."""
    is_short = len(host) + len(path) <= HEAD_CHARACTERS_REMEMBERED_MAX
    return _find_door(host, path) if is_short else _find_door.__wrapped__(host, path)


@lru_cache(maxsize=512)
def _find_door(host: str, path: str) -> Door:
    # Their names own all their paths: an API that passes paths on to another must not lead into the control API.
    # A look at the text before a regular expression: most hosts are plain localhost or 127.0.0.1.
    if ".execute-api." in host and (found := _API_HOST.match(host)):
        return ApiDoor(found[1].lower(), path, "host")
    if ".lambda-url." in host and (found := _FUNCTION_HOST.match(host)):
        return FunctionDoor(found[1].lower(), path)
    if path.startswith(CONTROL_PREFIX):
        return ControlDoor(path[len(CONTROL_PREFIX) :])
    if path.startswith(EXECUTE_API_PREFIX):
        api_id, slash, rest = path[len(EXECUTE_API_PREFIX) :].partition("/")
        return ApiDoor(api_id, slash + rest, "path")
    if path.startswith(FUNCTION_URL_PREFIX):
        url_id, _, rest = path[len(FUNCTION_URL_PREFIX) :].partition("/")
        return FunctionDoor(url_id, f"/{rest}")
    if ".s3" in host and (found := _BUCKET_HOST.match(host)):
        return ServiceDoor(f"/{found[1].lower()}{path}")
    if (
        ".localhost" in host
        and (found := _LOCAL_BUCKET_HOST.match(host))
        and found[1].partition(".")[0].lower() not in _NOT_BUCKETS
    ):
        return ServiceDoor(f"/{found[1].lower()}{path}")
    return ServiceDoor(path)


def possible_domain(host: str) -> str | None:
    """Return a Host header's name if it can be a custom domain name, in lower case; what it is, only records tell.

    Clients that are given an endpoint say localhost, an address, or a name without a dot; those cost nothing here.
    """
    is_short = len(host) <= HEAD_CHARACTERS_REMEMBERED_MAX
    return _possible_domain(host) if is_short else _possible_domain.__wrapped__(host)


@lru_cache(maxsize=512)
def _possible_domain(host: str) -> str | None:
    name = host.partition(":")[0]
    if "." not in name or name[-1].isdigit() or name.endswith(".amazonaws.com"):
        return None
    return name.lower()
