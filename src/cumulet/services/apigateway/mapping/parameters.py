"""Parameter mappings: from a mapping expression to its value (pure).

https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-parameter-mapping.html
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.apigateway.mapping.values import text
from cumulet.services.apigateway.mapping.variables import Body

_PLACES = r"(?:path|querystring|header|multivaluequerystring|multivalueheader)"
_REQUEST_TARGET = re.compile(r"^integration\.request\.(?:path|querystring|header)\..+$")
# A static value may hold quotes: 'default-src 'self'', as https://github.com/DataBiosphere/azul/pull/6385 deploys it.
_REQUEST_SOURCE = re.compile(
    rf"^(?:'.*'|method\.request\.{_PLACES}\..+|method\.request\.body(?:\..+|\[.+)?|context\..+|stageVariables\..+)\Z",
    re.DOTALL,
)
_RESPONSE_SOURCE = re.compile(
    r"^(?:'.*'|integration\.response\.(?:multivalueheader|header)\..+|integration\.response\.body(?:\..+|\[.+)?"
    r"|context\..+|stageVariables\..+)\Z",
    re.DOTALL,
)

_INVOKE_TARGET = re.compile(
    r"^integration\.request\.header\.x-amz-(?:invocation-type|log-type|client-context|tenant-id)\Z", re.I
)


def speaks_to_lambda(target: str) -> bool:
    """Tell whether a mapping is to a header of Lambda's Invoke: those that a proxy integration has too."""
    return _INVOKE_TARGET.match(target) is not None


def check_request(mappings: Mapping[str, str]) -> None:
    """Raise BadRequestException unless these can be an integration's requestParameters."""
    for target, source in mappings.items():
        if not _REQUEST_TARGET.match(target):
            raise invalid(target)
        if not _REQUEST_SOURCE.match(source):
            raise invalid(source)


def check_response(mappings: Mapping[str, str], declared: Mapping[str, bool]) -> None:
    """Raise BadRequestException unless these map to headers that the method's response declares."""
    for target, source in mappings.items():
        if target not in declared:
            raise invalid(target)
        if not _RESPONSE_SOURCE.match(source):
            raise invalid(source)


def invalid(expression: str) -> ServiceError:
    """Return the error for a mapping expression that is none, or that leads nowhere."""
    return ServiceError(
        "BadRequestException",
        "Invalid mapping expression specified: Validation Result: warnings : [], errors : "
        f"[Invalid mapping expression parameter specified: {expression}]",
    )


def value_of(
    source: str,
    place: Callable[[str, str], str | None],
    body: Body,
    context: Mapping[str, Any],
    stage_variables: Mapping[str, str],
) -> str | None:
    """Return the value of a mapping expression, or None. `place(kind, name)` looks up paths, queries and headers."""
    if source.startswith("'"):
        return source[1:-1]
    kind, _, rest = source.partition(".")
    if kind == "stageVariables":
        return stage_variables.get(rest)
    if kind == "context":
        found: Any = context
        for name in rest.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        # Templates see what is not known of a caller as an empty text; a mapping has nothing to set then.
        return None if found is None or (found == "" and rest.startswith("identity.")) else text(found)
    _, _, rest = rest.partition(".")  # request or response
    if rest.startswith("body"):
        path = rest[len("body") :]
        value = body.find(f"${path}") if path else body.text
        return None if value is None else text(value)
    where, _, name = rest.partition(".")
    return place(where, name)
