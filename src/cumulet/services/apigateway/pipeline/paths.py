"""How each dialect reads a request's path (pure).

REST APIs hand paths on as they came, percent-encoded, path parameters as well. HTTP APIs decode them, and twice: behind
the first time they cut off what follows a question mark, and what cannot be decoded a second time is refused. Captured
on AWS: https://github.com/hotsock/voker/blob/main/vokerhttp/testdata/ingress-paths.json and apigwv1-request.json.
"""

import re
from urllib.parse import unquote

from cumulet.services.apigateway.pipeline.routes import is_greedy, is_variable

_broken_escape = re.compile(r"%(?![0-9A-Fa-f]{2})").search
_climbing = re.compile(r"(?:^|[/\\])\.\.?(?:[/\\]|\Z)").search


def is_broken(path: str) -> bool:
    """Tell whether a path holds a percent sign that begins no escape."""
    return "%" in path and _broken_escape(path) is not None


def read_http_path(path: str) -> str | None:
    """Return a path as an HTTP API reads it; None if it cannot be read."""
    if "%" not in path:
        return path
    if is_broken(path):
        return None
    once = unquote(path).partition("?")[0]
    return None if is_broken(once) else unquote(once)


def shown_http_path(path: str) -> str:
    """Return a path as an HTTP API's events and variables show it; as it came, if it cannot be read."""
    read = read_http_path(path)
    return path if read is None else read


def climbs(path: str) -> bool:
    """Tell whether a path, encoded or not, has a segment of dots that leads whoever follows it to another place."""
    return "." in (decoded := unquote(path)) and _climbing(decoded) is not None


def encoded_parameters(template: str, path: str) -> dict[str, str]:
    """Return the path parameters of a path that a REST API's resource is for, as they came."""
    names, values = template.split("/"), path.split("/")
    found: dict[str, str] = {}
    for place, name in enumerate(names):
        if is_greedy(name):
            found[name[1:-2]] = "/".join(values[place:]).removesuffix("/")
        elif is_variable(name):
            found[name[1:-1]] = values[place]
    return found
