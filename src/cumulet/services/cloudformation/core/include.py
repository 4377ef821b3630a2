"""The transform AWS::Include: parts of a template that lie in files of their own, in S3.

Included text is JSON or YAML without short tags, and includes nothing itself: AWS calls anything else no valid text.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/transform-aws-include.html
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.cloudformation.core.errors import validation_error
from cumulet.services.cloudformation.core.text import parse_text

INCLUDE = "AWS::Include"
FUNCTION = "Fn::Transform"


def transform_failed(reason: str) -> ServiceError:
    """Return the error of an inclusion that cannot be made."""
    return validation_error(f"Transform {INCLUDE} failed with: {reason}")


def find_embedded(value: Any) -> Iterator[Any]:
    """Yield the arguments of every Fn::Transform within a value."""
    if isinstance(value, dict):
        if FUNCTION in value:
            yield from _arguments(value[FUNCTION])
        for child in value.values():
            yield from find_embedded(child)
    elif isinstance(value, list):
        for child in value:
            yield from find_embedded(child)


def location_of(argument: Any) -> Any:
    """Return where an AWS::Include's text lies, functions unresolved. Raises NotImplementedHere for other macros."""
    if not isinstance(argument, Mapping) or not isinstance(argument.get("Name"), str):
        raise validation_error("Template format error: every Fn::Transform object requires a Name and Parameters")
    if argument["Name"] != INCLUDE:
        raise NotImplementedHere(f"The transform {argument['Name']}")
    parameters = argument.get("Parameters")
    return parameters.get("Location") if isinstance(parameters, Mapping) else None


def parse_location(location: Any) -> tuple[str, str]:
    """Return the bucket and the key of a location."""
    bucket, _, key = location.removeprefix("s3://").partition("/") if isinstance(location, str) else ("", "", "")
    if not bucket or not key or not location.startswith("s3://"):
        raise transform_failed("The location parameter is not a valid S3 uri.")
    return bucket, key


def parse_included(text: bytes) -> Mapping[str, Any]:
    """Return what included text says."""
    try:
        members = parse_text(text.decode(), short_tags=False)
    except (UnicodeDecodeError, ServiceError):
        members = None
    if members is None or any(True for _ in find_embedded(members)):
        raise transform_failed("The specified S3 object's content should be valid Yaml/JSON.")
    return members


def splice(value: Any, included: Callable[[Any], Mapping[str, Any]]) -> Any:
    """Return a value with the members of what it includes in the place of each Fn::Transform."""
    if isinstance(value, list):
        return [splice(child, included) for child in value]
    if not isinstance(value, dict):
        return value
    spliced = {name: splice(child, included) for name, child in value.items() if name != FUNCTION}
    for argument in _arguments(value[FUNCTION]) if FUNCTION in value else ():
        spliced |= included(argument)
    return spliced


def _arguments(given: Any) -> list[Any]:
    """Return what an Fn::Transform includes: one text, or several in a list, one after the other."""
    return given if isinstance(given, list) and given else [given]
