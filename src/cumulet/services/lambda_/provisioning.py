"""How many environments of which version are kept ready, from what was asked for versions and aliases. Pure."""

import math
from collections.abc import Mapping
from typing import Protocol


class Request(Protocol):
    """What was asked for one version or alias."""

    @property
    def requested(self) -> int: ...


class Route(Protocol):
    """What an alias stands for."""

    @property
    def version(self) -> str: ...
    @property
    def weights(self) -> Mapping[str, float]: ...


def divide(requested: int, route: Route) -> dict[str, int]:
    """Return what each version that an alias stands for gets: its share, rounded, and the main one the rest."""
    parts: dict[str, int] = {}
    left = requested
    for version, weight in route.weights.items():
        parts[version] = min(left, math.floor(requested * weight + 0.5))
        left -= parts[version]
    return {route.version: left, **parts}


def find_targets(requests: Mapping[str, Request], aliases: Mapping[str, Route]) -> dict[str, int]:
    """Return how many environments of each version are to be ready; an alias that is gone asks for none."""
    targets: dict[str, int] = {}
    for qualifier, request in requests.items():
        if qualifier.isdigit():
            parts = {qualifier: request.requested}
        elif (route := aliases.get(qualifier)) is not None:
            parts = divide(request.requested, route)
        else:
            continue
        for version, count in parts.items():
            targets[version] = targets.get(version, 0) + count
    return {version: count for version, count in targets.items() if count}


def pool_name(function_name: str, version: str) -> str:
    """Return under which name the invocations are counted that run in environments of a version that are kept ready."""
    return f"{function_name}:{version}"
