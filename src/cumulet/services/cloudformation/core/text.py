"""Template text, JSON or YAML with CloudFormation's short tags, to plain values in the long form.

`!GetAtt A.B` becomes `{"Fn::GetAtt": ["A", "B"]}`, `!Ref A` becomes `{"Ref": "A"}`, any other `!X` becomes
`{"Fn::X": ...}`. Dates stay strings, and aliases are refused, as AWS does both.
"""

import json
from collections.abc import Callable
from typing import Any

import yaml

from cumulet.services.cloudformation.core.errors import validation_error
from cumulet.services.cloudformation.limits import TEMPLATE_DEPTH_MAX


class _PlainLoader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise validation_error("Template error: YAML aliases are not allowed in CloudFormation templates")
        return super().compose_node(parent, index)


# What has no like in JSON: bytes, dates and sets.
_PlainLoader.yaml_constructors = {
    tag: constructor
    for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] not in ("binary", "timestamp", "set", "omap", "pairs")
}
_PlainLoader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _whole_number(text: str, read: Callable[[str], int] = int) -> int | str:
    """Return a whole number; as text, which properties take as well, if it has more than 64 bits."""
    try:
        number = read(text)
    except ValueError:  # more digits than Python reads
        return text
    return number if -(2**63) <= number < 2**63 else text


def _construct_whole_number(loader: _PlainLoader, node: yaml.ScalarNode) -> int | str:
    return _whole_number(str(node.value), lambda _: loader.construct_yaml_int(node))


_PlainLoader.add_constructor("tag:yaml.org,2002:int", _construct_whole_number)


class _Loader(_PlainLoader):
    pass


def _construct_short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    if suffix in ("Ref", "Condition"):
        return {suffix: value}
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _construct_short_form)


def parse_text(text: str, *, short_tags: bool = True) -> dict[str, Any]:
    """Return the template's sections. Raises ValidationError for text that is neither JSON nor YAML of an object."""
    try:
        if text.lstrip()[:1] == "{":
            value = _parse_json(text)
        else:
            value = _parse_yaml(text, _Loader if short_tags else _PlainLoader)
    except RecursionError:
        raise validation_error("Template format error: unsupported structure.") from None
    if not isinstance(value, dict) or _too_deep(value):
        raise validation_error("Template format error: unsupported structure.")
    return value


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text, parse_int=_whole_number)
    except json.JSONDecodeError as error:
        raise validation_error(
            f"Template format error: JSON not well-formed. (line {error.lineno}, column {error.colno})"
        ) from None


def _parse_yaml(text: str, loader: type[_PlainLoader]) -> Any:
    try:
        return yaml.load(text, loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise validation_error(f"Template format error: YAML not well-formed.{place}") from None
    except (yaml.YAMLError, ValueError, TypeError):
        # Characters that YAML forbids; and keys that are not hashable.
        raise validation_error("Template format error: YAML not well-formed.") from None


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(TEMPLATE_DEPTH_MAX):
        if not level:
            return False
        level = [
            child
            for parent in level
            if isinstance(parent, (dict, list))
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
    return True
