"""Parameters: from what a template declares and a request gives to typed values."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cumulet.errors import NotImplementedHere
from cumulet.services.cloudformation.core.errors import validation_error
from cumulet.services.cloudformation.limits import PARAMETER_BYTES_MAX

_TYPES = ("String", "Number", "List<Number>", "CommaDelimitedList")
_RESOURCE = (
    r"AWS::(EC2::(AvailabilityZone::Name|Image::Id|Instance::Id|KeyPair::KeyName|SecurityGroup::(GroupName|Id)"
    r"|Subnet::Id|Volume::Id|VPC::Id)|Route53::HostedZone::Id)"
)
_ELSEWHERE = re.compile(
    rf"(?P<ssm>AWS::SSM::Parameter::(Name|Value<(String|CommaDelimitedList|List<String>|{_RESOURCE}|List<{_RESOURCE}>)>))"
    rf"|{_RESOURCE}|List<{_RESOURCE}>"
)
"""What AWS holds against the resources and the Systems Manager parameters of the account.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-supplied-parameter-types.html
"""
_MEMBERS = {
    "Type",
    "Default",
    "NoEcho",
    "Description",
    "AllowedValues",
    "AllowedPattern",
    "ConstraintDescription",
    "MinLength",
    "MaxLength",
    "MinValue",
    "MaxValue",
}
NO_ECHO_MASK = "****"


def choose_parameters(
    declared: Mapping[str, Mapping[str, Any]],
    given: Sequence[Mapping[str, Any]],
    previous: Mapping[str, str],
) -> dict[str, str]:
    """Return the text of each declared parameter: the given, the previous (if asked for) or the default one, checked.

    Raises ValidationError for what is missing, unknown or against the declared constraints.
    """
    for name, declaration in declared.items():
        _check_declaration(name, declaration)
    by_key: dict[str, Mapping[str, Any]] = {}
    for entry in given:
        key = entry.get("ParameterKey", "")
        if key in by_key:
            raise validation_error(f"Parameters: duplicate parameter key {key}")
        by_key[key] = entry
    if unknown := [key for key in by_key if key not in declared]:
        raise validation_error(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    chosen: dict[str, str] = {}
    missing: list[str] = []
    for name, declaration in declared.items():
        entry = by_key.get(name, {})
        if entry.get("UsePreviousValue"):
            if entry.get("ParameterValue") is not None:
                raise validation_error(
                    f"Invalid input for parameter key {name}. Cannot specify usePreviousValue as true and"
                    " non empty value for a parameter"
                )
            if name not in previous:
                raise validation_error(
                    f"Invalid input for parameter key {name}. Cannot specify usePreviousValue as true for a parameter"
                    " key not in the previous template"
                )
            chosen[name] = previous[name]
        elif entry.get("ParameterValue") is not None:
            chosen[name] = entry["ParameterValue"]
        elif "Default" in declaration:
            chosen[name] = _text(declaration["Default"])
        else:
            missing.append(name)
    if missing:
        raise validation_error(f"Parameters: [{', '.join(missing)}] must have values")
    for name, text in chosen.items():
        _check_value(name, declared[name], text)
    return chosen


def typed_values(declared: Mapping[str, Mapping[str, Any]], chosen: Mapping[str, str]) -> dict[str, Any]:
    """Return what Ref gives for each parameter: a list for the list types, else the text."""
    return {
        name: [part.strip() for part in text.split(",")] if _is_list(declared[name]["Type"]) else text
        for name, text in chosen.items()
    }


def mask(declared: Mapping[str, Mapping[str, Any]], chosen: Mapping[str, str]) -> list[dict[str, str]]:
    """Return parameters as DescribeStacks shows them: those with NoEcho hidden."""
    return [
        {"ParameterKey": name, "ParameterValue": NO_ECHO_MASK if is_no_echo(declared.get(name, {})) else text}
        for name, text in chosen.items()
    ]


def is_no_echo(declaration: Mapping[str, Any]) -> bool:
    """Return whether a parameter's value is a secret."""
    return str(declaration.get("NoEcho", False)).lower() == "true"


def _is_list(kind: str) -> bool:
    return kind in ("List<Number>", "CommaDelimitedList")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _check_declaration(name: str, declaration: Mapping[str, Any]) -> None:
    kind = declaration.get("Type")
    if not isinstance(kind, str):
        raise validation_error(
            f"Template format error: [/Parameters/{name}] Every Parameters object must contain a Type member."
        )
    if (away := _ELSEWHERE.fullmatch(kind)) is not None:
        plain = "CommaDelimitedList" if "List" in kind else "String"
        advice = "there is no Systems Manager" if away["ssm"] else "there is none of these"
        raise NotImplementedHere(f"The parameter type {kind} ({advice} here: declare {plain}, and give the value)")
    if kind not in _TYPES:
        raise validation_error(f"Template format error: Unrecognized parameter type: {kind}")
    if unknown := sorted(declaration.keys() - _MEMBERS):
        raise validation_error(f"Invalid template parameter property '{unknown[0]}'")
    if isinstance(declaration.get("Default"), (list, dict)):
        raise validation_error("Template format error: Every Default member must be a string.")
    if not isinstance(declaration.get("AllowedValues", []), list):
        raise validation_error("Template format error: Every AllowedValues member must be a list.")
    for bound in ("MinLength", "MaxLength", "MinValue", "MaxValue"):
        if bound in declaration and _number(str(declaration[bound])) is None:
            raise validation_error(f"Template format error: Every {bound} member must be a number.")
    try:
        re.compile(str(declaration.get("AllowedPattern", "")))
    except re.error:
        raise validation_error(
            f"Template format error: AllowedPattern of parameter {name} is not a valid pattern"
        ) from None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _check_value(name: str, declaration: Mapping[str, Any], text: str) -> None:
    if len(text.encode()) > PARAMETER_BYTES_MAX:
        raise validation_error(f"Parameter '{name}' must contain at most {PARAMETER_BYTES_MAX} characters")
    for part in [part.strip() for part in text.split(",")] if _is_list(declaration["Type"]) else [text]:
        if (broken := _broken_rule(declaration, part)) is not None:
            described = declaration.get("ConstraintDescription")
            if described and broken != "must be a number":
                raise validation_error(f"Parameter '{name}' failed to satisfy constraint: {described}")
            raise validation_error(f"Parameter '{name}' {broken}")


def _broken_rule(declaration: Mapping[str, Any], text: str) -> str | None:
    number = _number(text) if "Number" in declaration["Type"] else None
    if "Number" in declaration["Type"] and number is None:
        return "must be a number"
    allowed = declaration.get("AllowedValues")
    if allowed is not None and text not in [_text(value) for value in allowed]:
        return f"must be one of AllowedValues: [{', '.join(_text(value) for value in allowed)}]"
    pattern = declaration.get("AllowedPattern")
    if pattern is not None and re.fullmatch(str(pattern), text) is None:
        return f"must match pattern {pattern}"
    if number is not None:
        if "MinValue" in declaration and number < float(declaration["MinValue"]):
            return f"must be a number not less than {declaration['MinValue']}"
        if "MaxValue" in declaration and number > float(declaration["MaxValue"]):
            return f"must be a number not greater than {declaration['MaxValue']}"
    else:
        if "MinLength" in declaration and len(text) < float(declaration["MinLength"]):
            return f"must contain at least {declaration['MinLength']} characters"
        if "MaxLength" in declaration and len(text) > float(declaration["MaxLength"]):
            return f"must contain at most {declaration['MaxLength']} characters"
    return None
