"""Access logs: a line for each request, in the stage's own format (pure).

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
"""

import re
from collections.abc import Mapping
from typing import Any

from cumulet.scope import Scope
from cumulet.services.apigateway.pipeline.context import text_of

_VARIABLE = re.compile(r"\$context((?:\.[A-Za-z0-9_:]+)+)")
_QUOTED = ("error.messageString", "error.validationErrorString")
"""What is a part of JSON as it is."""

_GROUP = re.compile(r"^arn:aws[a-z-]*:logs:([a-z0-9-]+):(\d{12}):log-group:([^:*]+)(?::\*)?$")


def find_group(arn: str) -> tuple[Scope, str] | None:
    """Return where a log group lies and its name, or None if the ARN names no log group."""
    found = _GROUP.match(arn)
    return None if found is None else (Scope(found[2], found[1]), found[3])


def render_line(line_format: str, values: Mapping[str, Any]) -> str:
    """Return a line of an access log; a variable without a value is a dash."""

    def value(found: re.Match[str]) -> str:
        text = text_of(values.get(name := found[1][1:]))
        if text is not None and name in _QUOTED:
            return text
        # One request, one line, whatever its User-Agent says; and what stands in quotes stays there.
        return (
            "-"
            if text is None
            else text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
        )

    return _VARIABLE.sub(value, line_format)
