"""Find the route: the first stage that looks at the API itself."""

from urllib.parse import unquote

import msgspec

from cumulet.services.apigateway.model import DEFAULT_ROUTE, METHODS, Deployment, Route, RouteAuthorization, Stage
from cumulet.services.apigateway.pipeline.exchange import Arrival, Compiled, Matched
from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.services.apigateway.pipeline.paths import is_broken, read_http_path
from cumulet.services.apigateway.pipeline.routes import RouteTable, split_path


def compile_deployment(deployment: Deployment, *, is_rest: bool) -> Compiled:
    """Return a deployment with its route table."""
    routes = [_brought_up(route) for route in deployment.routes]
    default = next((route for route in routes if route.key == DEFAULT_ROUTE), None)
    table = RouteTable(
        ((route.method, route.path, route) for route in routes if route is not default),
        full_match_first=not is_rest,
    )
    return Compiled(deployment, table, default, is_rest)


def _brought_up(route: Route) -> Route:
    if route.rest_authorizer is None:
        return route
    return msgspec.structs.replace(
        route, authorization=RouteAuthorization("CUSTOM", route.rest_authorizer), rest_authorizer=None
    )


def match(arrival: Arrival, stage: Stage, compiled: Compiled) -> Matched:
    """Return the request with its route and path parameters. Raises Refused if no route is for it."""
    found = compiled.table.find(arrival.request.method, _segments(arrival))
    # What a REST API calls any method is seven of them: a policy that denies GET does not speak of "get".
    if found is not None and (not arrival.is_rest or arrival.request.method in METHODS):
        return Matched(arrival, stage, compiled, found.value, found.path_parameters)
    if compiled.default_route is not None:
        return Matched(arrival, stage, compiled, compiled.default_route, {})
    raise Refused("no_route")


def _segments(arrival: Arrival) -> list[str]:
    """Return the decoded segments of the path. Raises Refused for one that no two programs would decode alike.

    A REST API ignores a trailing slash and decodes each segment, so that %2F stays inside one; an HTTP API takes a
    trailing slash at its word and decodes the path before it looks at it.
    """
    path = arrival.path
    if not arrival.is_rest:
        read = read_http_path(path)
        if read is None:
            raise Refused("bad_path")
        return split_path(read)
    if is_broken(path):
        raise Refused("bad_path")
    segments = split_path(path[:-1] if len(path) > 1 and path.endswith("/") else path)
    return [unquote(segment) for segment in segments] if "%" in path else segments
