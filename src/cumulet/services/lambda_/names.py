"""What a caller may write for a function, and what it means: name, partial ARN or ARN, with or without a qualifier."""

import re
from dataclasses import dataclass
from functools import lru_cache

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Call, Params
from cumulet.services.lambda_ import limits

LAMBDA_HOST = "lambda.amazonaws.com"
"""Lambda itself, as IAM and other services know it."""

# The parts as the model's pattern for FunctionName has them.
_REFERENCE = re.compile(
    r"(?:arn:aws[a-zA-Z-]*:lambda:)?"
    r"(?:(?P<region>(?:eusc-)?[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d):)?"
    r"(?:(?P<account>\d{12}):)?"
    r"(?:function:)?"
    r"(?P<name>[a-zA-Z0-9_-]+)"
    r"(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9_-]+))?"
)


@dataclass(frozen=True, slots=True)
class FunctionRef:
    """A function as a caller named it."""

    scope: Scope
    """Its own account, which need not be the caller's, and its region."""
    name: str
    qualifier: str | None

    @property
    def unqualified_arn(self) -> str:
        return function_arn(self.scope, self.name)

    @property
    def arn(self) -> str:
        """The ARN with the qualifier, if one was given."""
        return self.unqualified_arn if self.qualifier is None else f"{self.unqualified_arn}:{self.qualifier}"


def function_arn(scope: Scope, name: str) -> str:
    """Return a function's ARN without qualifier."""
    return f"arn:aws:lambda:{scope.region}:{scope.account}:function:{name}"


@lru_cache(maxsize=4096)
def parse_function(scope: Scope, text: str, qualifier: str | None = None) -> FunctionRef:
    """Return which function `text` names for a caller in `scope`; `qualifier` is the separate parameter.

    Raises ValidationException for text that names none, and ResourceNotFoundException for another region's function.
    """
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise ServiceError(
            "ValidationException",
            f"1 validation error detected: Value '{text}' at 'functionName' failed to satisfy constraint: Member must "
            "satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|"
            "(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?",
            status=400,
        )
    region, account, name, named_qualifier = match.group("region", "account", "name", "qualifier")
    if len(name) > limits.FUNCTION_NAME_CHARS_MAX:
        raise ServiceError(
            "ValidationException",
            f"1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: Member must "
            f"have length less than or equal to {limits.FUNCTION_NAME_CHARS_MAX}",
            status=400,
        )
    if region not in (None, scope.region):
        raise ServiceError(
            "ResourceNotFoundException",
            f"Functions from '{region}' are not reachable in this region ('{scope.region}')",
            Type="User",
        )
    if named_qualifier is not None and qualifier not in (None, named_qualifier):
        raise ServiceError(
            "InvalidParameterValueException",
            "The derived qualifier from the function name does not match the specified qualifier.",
            Type="User",
        )
    return FunctionRef(Scope(account or scope.account, scope.region), name, qualifier or named_qualifier)


def function_of(call: Call, params: Params) -> FunctionRef:
    """Return the function that a call's FunctionName and Qualifier name."""
    return parse_function(call.scope, params["FunctionName"], params.get("Qualifier"))


def resource(call: Call, params: Params) -> str:
    """Return the ARN under which IAM knows the function of this call."""
    return function_of(call, params).arn


def unqualified_resource(call: Call, params: Params) -> str:
    """Return the function's ARN for operations that concern it as a whole."""
    return function_of(call, params).unqualified_arn
