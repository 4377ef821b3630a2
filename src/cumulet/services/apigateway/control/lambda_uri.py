"""Where an integration's URI leads: to a Lambda function, or nowhere.

arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{function ARN}/invocations, or for HTTP APIs the function's
ARN alone. A `${stageVariables.name}` anywhere is filled in at request time.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from cumulet.errors import NotImplementedHere, ServiceError

_URI = re.compile(r"^arn:(aws[a-z-]*):apigateway:([^:]+):([^:]+):(path|action)/(.+)\Z")
_FUNCTION_PATH = re.compile(r"^/?[0-9-]+/functions/(.+?)/(response-streaming-)?invocations\Z")
_FUNCTION_ARN = re.compile(r"^arn:aws[a-z-]*:lambda:([a-z0-9-]+):(\d{12}):function:[^:/]+(?::[^:/]+)?\Z")
_STAGE_VARIABLE = re.compile(r"\$\{stageVariables\.(\w+)\}")


def check(uri: str, *, function_arn_alone: bool) -> None:
    """Raise BadRequestException unless the URI can lead to a Lambda function."""
    plain = _STAGE_VARIABLE.sub("variable", uri)
    if function_arn_alone and re.match(r"^arn:aws[a-z-]*:lambda:", plain):
        return
    found = _URI.match(plain)
    if found is None:
        if uri.startswith("arn:") and ":apigateway:" in uri:
            raise ServiceError("BadRequestException", "AWS ARN for integration must contain path or action")
        raise ServiceError("BadRequestException", "Invalid ARN specified in the request")
    if found[3] == "firehose":
        raise NotImplementedHere("An integration with Firehose")
    if found[3] != "lambda" or _FUNCTION_PATH.match(found[5]) is None:
        raise ServiceError(
            "BadRequestException",
            "Integrations of type 'AWS_PROXY' currently only supports Lambda function and Firehose stream invocations.",
        )


def fill_stage_variables(uri: str, variables: Mapping[str, str]) -> str:
    """Return a URI with the values of its stage variables; one that the stage does not have is empty."""
    return _STAGE_VARIABLE.sub(lambda name: variables.get(name[1], ""), uri) if "${" in uri else uri


def function_arn(uri: str, variables: Mapping[str, str]) -> tuple[str, str, str] | None:
    """Return region, account and ARN of the function that a URI leads to, or None if it leads nowhere."""
    return _function_arn(fill_stage_variables(uri, variables))


@lru_cache(maxsize=1024)
def _function_arn(uri: str) -> tuple[str, str, str] | None:
    arn = uri
    if (through := _URI.match(uri)) is not None:
        if (path := _FUNCTION_PATH.match(through[5])) is None:
            return None
        arn = path[1]
    found = _FUNCTION_ARN.match(arn)
    return None if found is None else (found[1], found[2], arn)


def is_streaming(uri: str) -> bool:
    """Tell whether a function's URI asks for its answer as it comes."""
    return uri.endswith("/response-streaming-invocations")


def leads_to_function(uri: str) -> bool:
    """Tell whether the URI is that of a function's invocations; stage variables may stand in it."""
    found = _URI.match(_STAGE_VARIABLE.sub("variable", uri))
    return found is not None and found[3] == "lambda" and _FUNCTION_PATH.match(found[5]) is not None
