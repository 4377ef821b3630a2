"""Where a documentation part belongs: the locations of an API's entities, and which of them inherit from which (pure).

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-documenting-api-content-representation.html
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.apigateway.control.v1.records import Authorizer, Location, Method, Model, Resource
from cumulet.services.apigateway.model import ANY, METHODS

V = TypeVar("V")

_ANYTHING = "*"
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "API": (),
    "AUTHORIZER": ("name",),
    "MODEL": ("name",),
    "RESOURCE": ("path",),
    "METHOD": ("path", "method"),
    "PATH_PARAMETER": ("path", "method", "name"),
    "QUERY_PARAMETER": ("path", "method", "name"),
    "REQUEST_HEADER": ("path", "method", "name"),
    "REQUEST_BODY": ("path", "method"),
    "RESPONSE": ("path", "method", "statusCode"),
    "RESPONSE_HEADER": ("path", "method", "statusCode", "name"),
    "RESPONSE_BODY": ("path", "method", "statusCode"),
}
"""What a location of each type may name beside its type."""

_DEFAULTS = {"path": "/", "method": _ANYTHING, "statusCode": _ANYTHING}
_PLACES = {"path": "PATH_PARAMETER", "querystring": "QUERY_PARAMETER", "header": "REQUEST_HEADER"}


def checked(given: Mapping[str, str | None]) -> Location:
    """Return a location with its defaults. Raises BadRequestException for a field that its type does not have."""
    named = {field: value for field, value in given.items() if value}
    kind = named.pop("type", "")
    if kind not in _FIELDS:
        raise _bad(f"Invalid documentation part location type specified: {kind}")
    for field in named:
        if field not in _FIELDS[kind]:
            raise _bad(f"Invalid documentation part location: a location of type {kind} has no {field}")
    if "name" in _FIELDS[kind] and "name" not in named:
        raise _bad(f"Invalid documentation part location: a location of type {kind} needs a name")
    filled = {field: named.get(field, _DEFAULTS.get(field, "")) for field in _FIELDS[kind]}
    if (method := filled.get("method", _ANYTHING)) != _ANYTHING and method not in METHODS:
        raise _bad(f"Invalid documentation part location: {method} is no HTTP method")
    if not filled.get("path", "/").startswith("/"):
        raise _bad("Invalid documentation part location: a path begins with /")
    return msgspec.convert({"type": kind, **filled}, Location)


def words_of(location: Location) -> str:
    """Return a location as AWS's errors name it: type 'METHOD', path '/', method 'GET'."""
    shown = {
        "type": location.type,
        **{field: getattr(location, _ATTRIBUTES[field]) for field in _FIELDS[location.type]},
    }
    return ", ".join([f"{field} '{value}'" for field, value in shown.items()])


_ATTRIBUTES = {"path": "path", "method": "method", "statusCode": "status_code", "name": "name"}


Index = Mapping[tuple[str, str, str], list[tuple[Location, V]]]
"""What is written, by the type, the name and the path of its location."""


def index_of(parts: Iterable[tuple[Location, V]]) -> Index[V]:
    """Return parts in the order in which entities look for them."""
    index: dict[tuple[str, str, str], list[tuple[Location, V]]] = {}
    for location, value in parts:
        index.setdefault((location.type, location.name, location.path), []).append((location, value))
    return index


def best_for(entity: Location, index: Index[V]) -> V | None:
    """Return what documents an entity: its own part, or that of the most specific location that it inherits from."""
    inherits = "method" in _FIELDS[entity.type]
    for path in _upwards(entity.path) if inherits else (entity.path,):
        found = [
            (location.status_code != _ANYTHING, location.method != _ANYTHING, value)
            for location, value in index.get((entity.type, entity.name, path), ())
            if location.method in (_ANYTHING, entity.method) and location.status_code in (_ANYTHING, entity.status_code)
        ]
        if found:
            return max(found, key=lambda part: part[:2])[2]
    return None


def _upwards(path: str) -> Iterator[str]:
    """Yield a path and every path above it."""
    while path and path != "/":
        yield path
        path = path.rpartition("/")[0]
    yield "/"


def entities(
    resources: Iterable[Resource], models: Iterable[Model], authorizers: Iterable[Authorizer]
) -> Iterator[Location]:
    """Yield the locations of everything in an API that can be documented."""
    yield Location("API")
    for authorizer in authorizers:
        yield Location("AUTHORIZER", name=authorizer.name)
    for model in models:
        yield Location("MODEL", name=model.name)
    for resource in resources:
        yield Location("RESOURCE", path=resource.path)
        for method in resource.resource_methods.values():
            yield from _of_method(resource.path, method)


def verb_of(method: Method) -> str:
    """Return how a location names a method: ANY is all of them."""
    return _ANYTHING if method.http_method == ANY else method.http_method


def _of_method(path: str, method: Method) -> Iterator[Location]:
    verb = verb_of(method)
    yield Location("METHOD", path=path, method=verb)
    for parameter in method.request_parameters or ():
        place, _, name = parameter.removeprefix("method.request.").partition(".")
        yield Location(_PLACES[place], path=path, method=verb, name=name)
    if method.request_models:
        yield Location("REQUEST_BODY", path=path, method=verb)
    for response in (method.method_responses or {}).values():
        at = {"path": path, "method": verb, "status_code": response.status_code}
        yield Location("RESPONSE", **at)
        for parameter in response.response_parameters or ():
            yield Location("RESPONSE_HEADER", **at, name=parameter.removeprefix("method.response.header."))
        if response.response_models:
            yield Location("RESPONSE_BODY", **at)


def _bad(words: str) -> ServiceError:
    return ServiceError("BadRequestException", words)
