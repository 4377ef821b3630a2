"""The Condition element: operators, how they treat absent keys, and how they treat several values.

Sources: IAM user guide, "Condition operators" and "Multivalued context keys".
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address, ip_network
from typing import Any, Final, Literal, NamedTuple

from cumulet.policy.matching import Context, Style, Test, any_of

Quantifier = Literal["", "ForAllValues", "ForAnyValue"]


class BadCondition(ValueError):
    """An operator or a value that no request could ever satisfy, because it is not written as it must be."""


class Operator(NamedTuple):
    """How an operator turns the policy's values into a test of one request value, and whether it negates it."""

    compile: Callable[[Sequence[str], bool], Test]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator applied to one key."""

    key: str
    test: Test
    negated: bool = False
    quantifier: Quantifier = ""
    if_exists: bool = False

    def holds(self, context: Context) -> bool:
        """Tell whether the request satisfies the condition."""
        values = context.get(self.key)
        if not values and (values is None or not isinstance(values, str)):
            # An absent key fails what asserts and passes what negates; the quantifiers and IfExists have their own say.
            return self.if_exists or self.quantifier == "ForAllValues" or (self.negated and not self.quantifier)
        given = (values,) if isinstance(values, str) else values
        test, negated = self.test, self.negated
        if self.quantifier == "ForAllValues":
            return all(test(value, context) is not negated for value in given)
        if self.quantifier == "ForAnyValue":
            return any(test(value, context) is not negated for value in given)
        return any(test(value, context) for value in given) is not negated


@dataclass(frozen=True, slots=True)
class Presence:
    """The Null operator: whether a key is absent or present."""

    key: str
    absent: frozenset[bool]

    def holds(self, context: Context) -> bool:
        """Tell whether the request satisfies the condition."""
        return (not context.get(self.key)) in self.absent


def compile_conditions(
    element: Mapping[str, Mapping[str, Any]], *, variables: bool
) -> tuple[Condition | Presence, ...]:
    """Return every condition of a Condition element; all of them must hold. Raises BadCondition."""
    return tuple(
        _compile_condition(operator, key, [_text(value) for value in _listed(values)], variables)
        for operator, keys in element.items()
        for key, values in keys.items()
    )


def _compile_condition(written: str, key: str, values: list[str], variables: bool) -> Condition | Presence:
    quantifier, _, name = written.rpartition(":")
    if quantifier not in ("", "ForAllValues", "ForAnyValue"):
        raise BadCondition(written)
    if name == "Null":
        return Presence(key.lower(), frozenset(_flag(value) for value in values))
    if_exists = name.endswith("IfExists")
    operator = OPERATORS.get(name.removesuffix("IfExists"))
    if operator is None:
        raise BadCondition(written)
    return Condition(
        key.lower(),
        operator.compile(values, variables),
        operator.negated,
        quantifier,  # type: ignore[arg-type]
        if_exists,
    )


def _listed(values: Any) -> Sequence[Any]:
    return values if isinstance(values, list) else [values]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _texts(style: Style) -> Callable[[Sequence[str], bool], Test]:
    return lambda values, variables: any_of(values, style, variables=variables)


def _compared(
    parse: Callable[[str], Any], compare: Callable[[Any, Any], bool]
) -> Callable[[Sequence[str], bool], Test]:
    """Return how an operator is compiled that compares parsed values; a request value that cannot be parsed fails."""

    def compile_values(values: Sequence[str], variables: bool) -> Test:
        wanted = tuple(parse(value) for value in values)

        def test(value: str, context: Context) -> bool:
            try:
                given = parse(value)
            except BadCondition:
                return False
            return any(compare(given, limit) for limit in wanted)

        return test

    return compile_values


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise BadCondition(text) from None
    if not number.is_finite():
        raise BadCondition(text)
    return number


def _moment(text: str) -> float:
    """Return epoch seconds of an ISO 8601 date or of epoch seconds."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadCondition(text) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise BadCondition(text)
    return text.lower() == "true"


def _binary(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise BadCondition(text) from None


def _addresses(values: Sequence[str], variables: bool) -> Test:
    try:
        networks = tuple(ip_network(value, strict=False) for value in values)
    except ValueError as bad:
        raise BadCondition(str(bad)) from None

    def test(value: str, context: Context) -> bool:
        try:
            address = ip_address(value)
        except ValueError:
            return False
        return any(address in network for network in networks)

    return test


def _equal(given: Any, wanted: Any) -> bool:
    return bool(given == wanted)


def _before(given: Any, wanted: Any) -> bool:
    return bool(given < wanted)


def _before_or_equal(given: Any, wanted: Any) -> bool:
    return bool(given <= wanted)


def _after(given: Any, wanted: Any) -> bool:
    return bool(given > wanted)


def _after_or_equal(given: Any, wanted: Any) -> bool:
    return bool(given >= wanted)


def _ordered(kind: str, parse: Callable[[str], Any]) -> dict[str, Operator]:
    return {
        f"{kind}Equals": Operator(_compared(parse, _equal)),
        f"{kind}NotEquals": Operator(_compared(parse, _equal), negated=True),
        f"{kind}LessThan": Operator(_compared(parse, _before)),
        f"{kind}LessThanEquals": Operator(_compared(parse, _before_or_equal)),
        f"{kind}GreaterThan": Operator(_compared(parse, _after)),
        f"{kind}GreaterThanEquals": Operator(_compared(parse, _after_or_equal)),
    }


OPERATORS: Final[Mapping[str, Operator]] = {
    "StringEquals": Operator(_texts("text")),
    "StringNotEquals": Operator(_texts("text"), negated=True),
    "StringEqualsIgnoreCase": Operator(_texts("text-any-case")),
    "StringNotEqualsIgnoreCase": Operator(_texts("text-any-case"), negated=True),
    "StringLike": Operator(_texts("glob")),
    "StringNotLike": Operator(_texts("glob"), negated=True),
    # "ArnEquals and ArnLike behave identically."
    "ArnEquals": Operator(_texts("arn")),
    "ArnLike": Operator(_texts("arn")),
    "ArnNotEquals": Operator(_texts("arn"), negated=True),
    "ArnNotLike": Operator(_texts("arn"), negated=True),
    **_ordered("Numeric", _number),
    **_ordered("Date", _moment),
    "Bool": Operator(_compared(_flag, _equal)),
    "BinaryEquals": Operator(_compared(_binary, _equal)),
    "IpAddress": Operator(_addresses),
    "NotIpAddress": Operator(_addresses, negated=True),
}
"""Every operator but Null, which asks whether the key is there at all."""
