"""Where a custom domain name sends a request: the first rule that holds, or the mapping with the longest path (pure).

https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-routing-rules.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-mappings.html
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import msgspec

from cumulet.wire.message import Request

RoutingMode = Literal["API_MAPPING_ONLY", "ROUTING_RULE_ONLY", "ROUTING_RULE_THEN_API_MAPPING"]

WILDCARD = "*"


class ApiMapping(msgspec.Struct, frozen=True, omit_defaults=True):
    """A path below a domain, and what answers there."""

    mapping_id: str
    api_id: str
    key: str = ""
    """Without slashes at its ends; empty for whatever no other mapping takes."""
    stage: str | None = None
    """None if callers name the stage behind the base path."""


class Condition(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a rule asks of a request: a header, or a base path."""

    base_path: str = ""
    header: str = ""
    """Its name, as it was given; empty for a condition on the base path."""
    value_glob: str = ""


class RoutingRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stage of a REST API, and when it is asked: if all the conditions hold, and no rule before it did."""

    rule_id: str
    priority: int
    api_id: str
    stage: str
    conditions: tuple[Condition, ...] = ()
    strip_base_path: bool = False


Test = Callable[[Request, Sequence[str]], bool]
"""Tells whether a condition holds for a request and the decoded segments of its path."""


class _Rule(NamedTuple):
    rule: RoutingRule
    tests: tuple[Test, ...]
    stripped: int
    """How many segments the API does not see."""


class Routes:
    """What a domain's rules and mappings come to: a rule's conditions read once, mappings found by their segments."""

    __slots__ = ("_levels_max", "_mappings", "_rules")

    def __init__(self, mode: RoutingMode, rules: Sequence[RoutingRule], mappings: Sequence[ApiMapping]) -> None:
        counted = sorted(rules, key=lambda rule: rule.priority) if mode != "API_MAPPING_ONLY" else []
        self._rules = [_compile(rule) for rule in counted]
        self._mappings = {split(one.key): one for one in mappings} if mode != "ROUTING_RULE_ONLY" else {}
        self._levels_max = max(map(len, self._mappings), default=0)

    def find_rule(self, request: Request, segments: Sequence[str]) -> tuple[RoutingRule, int] | None:
        """Return the first rule that holds, and how many segments of the path its API does not see."""
        for rule, tests, stripped in self._rules:
            if all(test(request, segments) for test in tests):
                return rule, stripped
        return None

    def find_mapping(self, segments: Sequence[str]) -> tuple[ApiMapping, int] | None:
        """Return the mapping with the longest key that covers the path, and of how many segments that is."""
        for levels in range(min(len(segments), self._levels_max), -1, -1):
            if (mapping := self._mappings.get(tuple(segments[:levels]))) is not None:
                return mapping, levels
        return None


def split(key: str) -> tuple[str, ...]:
    """Return the segments of a base path; the empty one has none."""
    return tuple(key.split("/")) if key else ()


def _compile(rule: RoutingRule) -> _Rule:
    base = next((split(one.base_path) for one in rule.conditions if one.base_path), ())
    tests = tuple([_header_test(one) if one.header else _path_test(one) for one in rule.conditions])
    return _Rule(rule, tests, len(base) if rule.strip_base_path else 0)


def _path_test(condition: Condition) -> Test:
    base = split(condition.base_path)
    return lambda request, segments: tuple(segments[: len(base)]) == base


def _header_test(condition: Condition) -> Test:
    name, fits = condition.header.lower(), _value_test(condition.value_glob)
    if name == "host":
        # On AWS no client names a port.
        return lambda request, segments: fits(request.host.partition(":")[0])
    return lambda request, segments: name in request.headers and any(map(fits, request.headers.get_all(name)))


def _value_test(glob: str) -> Callable[[str], bool]:
    """Return what tells whether a value, or the value of one of several lines, fits; case counts."""
    if glob == WILDCARD:
        return lambda value: True
    wanted = glob.strip(WILDCARD)
    if glob.startswith(WILDCARD) and glob.endswith(WILDCARD):
        return lambda value: wanted in value
    if glob.startswith(WILDCARD):
        return lambda value: value.endswith(wanted)
    if glob.endswith(WILDCARD):
        return lambda value: value.startswith(wanted)
    return lambda value: value == wanted
