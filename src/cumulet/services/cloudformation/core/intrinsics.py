"""Intrinsic functions: what they refer to, and what they come to."""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cumulet.errors import NotImplementedHere
from cumulet.services.cloudformation.core.errors import validation_error

PSEUDO_PARAMETERS = frozenset(
    [
        "AWS::AccountId",
        "AWS::NotificationARNs",
        "AWS::NoValue",
        "AWS::Partition",
        "AWS::Region",
        "AWS::StackId",
        "AWS::StackName",
        "AWS::URLSuffix",
    ]
)

_FUNCTIONS_REFUSED = {
    "Fn::Cidr",
    "Fn::ForEach",
    "Fn::GetStackOutput",
    "Fn::Length",
    "Fn::ToJsonString",
    "Fn::ValueOf",
    "Fn::ValueOfAll",
    "Fn::RefAll",
    "Fn::Contains",
    "Fn::EachMemberEquals",
    "Fn::EachMemberIn",
}
LATER = "{{known later}}"
"""What stands in a plan for the id or attribute of a resource, with its name behind it."""

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_VARIABLE_NAME = re.compile(r"[A-Za-z0-9_.:]+")


class _NoValue:
    """AWS::NoValue: the property or the list entry that is not there."""


NO_VALUE = _NoValue()


@dataclass(frozen=True, slots=True)
class Reference:
    """What a value refers to: a resource or parameter, an attribute of a resource, or a condition (in Fn::If)."""

    logical_id: str
    attribute: str | None = None
    in_sub: bool = False
    condition: str | None = None


def _function_of(value: Any) -> tuple[str, Any] | None:
    if isinstance(value, dict) and len(value) == 1:
        ((name, argument),) = value.items()
        if isinstance(name, str) and (name == "Ref" or name.startswith("Fn::") or name == "Condition"):
            return name, argument
    return None


def find_references(value: Any, conditions: Mapping[str, bool] | None = None) -> Iterator[Reference]:
    """Yield everything that a value refers to.

    With `conditions` given, only the branch of an Fn::If that is taken counts.
    """
    function = _function_of(value)
    if function is not None:
        name, argument = function
        if name == "Ref" and isinstance(argument, str):
            yield Reference(argument)
            return
        if name == "Fn::GetAtt":
            logical_id, attribute = parse_get_att(argument)
            yield Reference(logical_id, attribute if isinstance(attribute, str) else "")
            if not isinstance(attribute, str):
                yield from find_references(attribute, conditions)
            return
        if name == "Fn::Sub":
            yield from _references_in_sub(argument, conditions)
            return
        if name == "Fn::If" and isinstance(argument, list) and len(argument) == 3 and isinstance(argument[0], str):
            yield Reference("", condition=argument[0])
            branches = argument[1:] if conditions is None else [argument[1 if conditions.get(argument[0]) else 2]]
            for branch in branches:
                yield from find_references(branch, conditions)
            return
    if isinstance(value, dict):
        for child in value.values():
            yield from find_references(child, conditions)
    elif isinstance(value, list):
        for child in value:
            yield from find_references(child, conditions)


def _references_in_sub(argument: Any, conditions: Mapping[str, bool] | None) -> Iterator[Reference]:
    text, variables = parse_sub(argument)
    for name in _sub_names(text):
        if name not in variables:
            logical_id, dot, attribute = name.partition(".")
            yield Reference(logical_id, attribute if dot else None, in_sub=True)
    yield from find_references(variables, conditions)


def parse_get_att(argument: Any) -> tuple[str, Any]:
    """Return the resource and the attribute that Fn::GetAtt names."""
    if isinstance(argument, str) and "." in argument:
        argument = argument.split(".", 1)
    if (
        not isinstance(argument, list)
        or len(argument) != 2
        or not isinstance(argument[0], str)
        or not isinstance(argument[1], (str, dict))
    ):
        raise validation_error(
            "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the"
            " resource attribute"
        )
    return argument[0], argument[1]


def parse_sub(argument: Any) -> tuple[str, Mapping[str, Any]]:
    """Return the text of Fn::Sub and the variables that it brings along."""
    if isinstance(argument, str):
        return argument, {}
    if (
        isinstance(argument, list)
        and len(argument) == 2
        and isinstance(argument[0], str)
        and isinstance(argument[1], dict)
    ):
        return argument[0], argument[1]
    raise validation_error(
        "Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as"
        " first argument, and an optional second argument to specify a mapping of values to replace in the string"
    )


def _sub_names(text: str) -> Iterator[str]:
    for match in _VARIABLE.finditer(text):
        name = match[1].strip()
        if name.startswith("!"):
            continue
        if not _VARIABLE_NAME.fullmatch(name):
            raise validation_error(
                "Template error: variable names in Fn::Sub syntax must contain only alphanumeric characters,"
                " underscores, periods, and colons"
            )
        yield name


@dataclass(frozen=True, slots=True)
class Values:
    """Where functions find their values. `resource` gets a logical id and an attribute, or None for Ref."""

    parameters: Mapping[str, Any]
    mappings: Mapping[str, Mapping[str, Mapping[str, Any]]]
    resource: Callable[[str, str | None], Any]
    find_export: Callable[[str], str | None]
    conditions: Mapping[str, bool] = field(default_factory=dict)

    def resolve(self, value: Any) -> Any:
        """Return a value with every function in it replaced by what it comes to."""
        function = _function_of(value)
        if function is not None:
            return self._call(*function)
        if isinstance(value, dict):
            members = {key: self.resolve(child) for key, child in value.items()}
            return {key: child for key, child in members.items() if child is not NO_VALUE}
        if isinstance(value, list):
            return [child for child in map(self.resolve, value) if child is not NO_VALUE]
        return value

    def _call(self, name: str, argument: Any) -> Any:
        if name == "Condition":
            # Outside the Conditions section this is a member like any other, e.g. of a policy statement.
            return {name: self.resolve(argument)}
        function = _FUNCTIONS.get(name)
        if function is None:
            if name in _FUNCTIONS_REFUSED:
                raise NotImplementedHere(f"The intrinsic function {name}")
            raise validation_error(f"Template format error: Unrecognized intrinsic function {name}")
        return function(self, argument)

    def look_up(self, name: str) -> Any:
        """Return what Ref gives for a parameter, a pseudo parameter or a resource."""
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.parameters:
            return self.parameters[name]
        return self.resource(name, None)

    def text_of(self, value: Any) -> str:
        """Return a resolved scalar as the text that Join and Sub make of it."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (str, int, float)):
            return str(value)
        raise validation_error("Template error: a string is expected where a function gives a list or an object")


def _ref(values: Values, argument: Any) -> Any:
    if not isinstance(argument, str):
        raise validation_error("Template error: every Ref object must have a single String value.")
    return values.look_up(argument)


def _get_att(values: Values, argument: Any) -> Any:
    logical_id, attribute = parse_get_att(argument)
    return values.resource(logical_id, values.text_of(values.resolve(attribute)))


def _sub(values: Values, argument: Any) -> str:
    text, variables = parse_sub(argument)
    found = {name: values.resolve(value) for name, value in variables.items()}

    def replace(match: re.Match[str]) -> str:
        name = match[1].strip()
        if name.startswith("!"):
            return "${" + name[1:] + "}"
        if name in found:
            return values.text_of(found[name])
        logical_id, dot, attribute = name.partition(".")
        return values.text_of(values.resource(logical_id, attribute) if dot else values.look_up(name))

    for _ in _sub_names(text):
        pass
    return _VARIABLE.sub(replace, text)


def _join(values: Values, argument: Any) -> str:
    parts = values.resolve(argument[1]) if isinstance(argument, list) and len(argument) == 2 else None
    if not isinstance(parts, list) or not isinstance(argument[0], str):
        raise validation_error(
            "Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of"
            " strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined."
        )
    return str(argument[0]).join(values.text_of(part) for part in parts)


def _select(values: Values, argument: Any) -> Any:
    if not isinstance(argument, list) or len(argument) != 2:
        raise validation_error(
            "Template error: Fn::Select requires a list argument with two elements: an integer index and a list"
        )
    index, choices = values.resolve(argument[0]), values.resolve(argument[1])
    if not isinstance(choices, list) or not re.fullmatch(r"-?\d+", str(index)):
        raise validation_error(
            "Template error: Fn::Select requires a list argument with two elements: an integer index and a list"
        )
    if not 0 <= int(index) < len(choices):
        if any(isinstance(choice, str) and LATER in choice for choice in choices):
            return f"{LATER}{index} of {choices}"
        raise validation_error(f"Template error: Fn::Select cannot select nonexistent value at index {index}")
    return choices[int(index)]


def _split(values: Values, argument: Any) -> list[str]:
    text = values.resolve(argument[1]) if isinstance(argument, list) and len(argument) == 2 else None
    if not isinstance(text, str) or not isinstance(argument[0], str) or not argument[0]:
        raise validation_error(
            "Template error: every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to"
            " be split or a function that returns a string to be split."
        )
    return text.split(argument[0])


def _if(values: Values, argument: Any) -> Any:
    if not isinstance(argument, list) or len(argument) != 3 or not isinstance(argument[0], str):
        raise validation_error("Template error: Fn::If requires a list argument with three elements")
    if argument[0] not in values.conditions:
        raise validation_error(f"Template error: unresolved condition dependency {argument[0]} in Fn::If")
    return values.resolve(argument[1 if values.conditions[argument[0]] else 2])


def _find_in_map(values: Values, argument: Any) -> Any:
    if not isinstance(argument, list) or len(argument) != 3:
        raise validation_error(
            "Template error: every Fn::FindInMap object requires three parameters, the map name, map key and the"
            " attribute for return value"
        )
    name, key, attribute = (values.text_of(values.resolve(part)) for part in argument)
    if name not in values.mappings:
        raise validation_error(
            f"Template error: Mapping named '{name}' is not present in the 'Mappings' section of template."
        )
    keys = values.mappings[name]
    found = keys.get(key) if isinstance(keys, Mapping) else None
    if not isinstance(found, Mapping) or attribute not in found:
        raise validation_error(f"Template error: Unable to get mapping for {name}::{key}::{attribute}")
    return found[attribute]


def _base64(values: Values, argument: Any) -> str:
    return base64.b64encode(values.text_of(values.resolve(argument)).encode()).decode()


def _import_value(values: Values, argument: Any) -> str:
    name = values.text_of(values.resolve(argument))
    found = values.find_export(name)
    if found is None:
        raise validation_error(f"No export named {name} found.")
    return found


def _get_azs(values: Values, argument: Any) -> list[str]:
    region = values.text_of(values.resolve(argument)) or values.parameters["AWS::Region"]
    return [f"{region}{letter}" for letter in "abc"]


def _only_in_conditions(values: Values, argument: Any) -> Any:
    raise validation_error(
        "Template error: Fn::Equals, Fn::And, Fn::Or, Fn::Not and Condition can only be used in the Conditions section"
    )


_FUNCTIONS: Mapping[str, Callable[[Values, Any], Any]] = {
    "Ref": _ref,
    "Fn::GetAtt": _get_att,
    "Fn::Sub": _sub,
    "Fn::Join": _join,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::If": _if,
    "Fn::FindInMap": _find_in_map,
    "Fn::Base64": _base64,
    "Fn::ImportValue": _import_value,
    "Fn::GetAZs": _get_azs,
    "Fn::Equals": _only_in_conditions,
    "Fn::And": _only_in_conditions,
    "Fn::Or": _only_in_conditions,
    "Fn::Not": _only_in_conditions,
}


def evaluate_conditions(declared: Mapping[str, Any], values: Values) -> dict[str, bool]:
    """Return what each condition comes to. Raises ValidationError for one that depends on itself."""
    known: dict[str, bool] = {}
    under_way: list[str] = []

    def of_name(name: str) -> bool:
        if name in known:
            return known[name]
        if name not in declared:
            raise validation_error(f"Template format error: Unresolved condition dependency {name}")
        if name in under_way:
            raise validation_error(f"Circular dependency between conditions: [{', '.join(under_way)}]")
        under_way.append(name)
        known[name] = evaluate(declared[name])
        under_way.pop()
        return known[name]

    def evaluate(condition: Any) -> bool:
        function = _function_of(condition)
        name, argument = function if function is not None else ("", None)
        if name == "Condition" and isinstance(argument, str):
            return of_name(argument)
        if name == "Fn::Equals":
            if not isinstance(argument, list) or len(argument) != 2:
                raise validation_error(
                    "Template error: every Fn::Equals object requires a list of 2 string parameters."
                )
            left, right = (values.resolve(part) for part in argument)
            return bool(_comparable(values, left) == _comparable(values, right))
        if name in ("Fn::And", "Fn::Or"):
            if not isinstance(argument, list) or not 2 <= len(argument) <= 10:
                raise validation_error(
                    f"Template error: every {name} object requires a list of at least 2 and at most 10 boolean"
                    " parameters."
                )
            decided = [evaluate(part) for part in argument]
            return all(decided) if name == "Fn::And" else any(decided)
        if name == "Fn::Not":
            if not isinstance(argument, list) or len(argument) != 1:
                raise validation_error("Template error: every Fn::Not object requires one boolean parameter.")
            return not evaluate(argument[0])
        raise validation_error(
            "Template format error: Every Conditions member must be Condition, Fn::And, Fn::Equals, Fn::Not or Fn::Or."
        )

    return {name: of_name(name) for name in declared}


def _comparable(values: Values, value: Any) -> Any:
    return value if isinstance(value, (list, dict)) else values.text_of(value)
