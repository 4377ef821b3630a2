"""Values in statements: literals as DynamoDB has them, and parameters put in place."""

from collections.abc import Sequence

from cumulet.services.dynamodb.core.partiql.ast import ListOf, Literal, MapOf, Node, Parameter, Values
from cumulet.services.dynamodb.core.partiql.lexer import not_well_formed
from cumulet.services.dynamodb.core.values import Value, canonical_value, check_nesting, invalid

_INT32_DIGITS_MAX = 10
_INT32_MAX = 2**31 - 1


def bind_values(values: Values, parameters: Sequence[Value]) -> dict[str, Value]:
    """Return the statement's values by the names that its tree has for them. `parameters` are canonical."""
    check_count(values, parameters)
    return {str(index): resolve(node, parameters) for index, node in enumerate(values.nodes)}


def check_count(values: Values, parameters: Sequence[Value]) -> None:
    """Raise ValidationException if there are fewer parameters than question marks; more do not matter to AWS."""
    if len(parameters) < values.parameters:
        invalid("Number of parameters in request and statement don't match.")


def resolve(node: Node, parameters: Sequence[Value]) -> Value:
    """Return a node's value. Raises ValidationException if parameters make it nest too deeply."""
    value = _resolve(node, parameters)
    if isinstance(node, (ListOf, MapOf)):
        check_nesting(value)
    return value


def _resolve(node: Node, parameters: Sequence[Value]) -> Value:
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Parameter):
        return parameters[node.index]
    if isinstance(node, ListOf):
        return {"L": [_resolve(element, parameters) for element in node.elements]}
    return {"M": {name: _resolve(element, parameters) for name, element in node.entries}}


def fold_list(elements: list[Node]) -> Node:
    """Return a list as one value, or as a node while it has parameters."""
    if all(isinstance(element, Literal) for element in elements):
        return Literal({"L": [element.value for element in elements if isinstance(element, Literal)]})
    return ListOf(tuple(elements))


def fold_map(entries: list[tuple[str, Node]]) -> Node:
    """Return a map as one value, or as a node while it has parameters."""
    if all(isinstance(node, Literal) for _, node in entries):
        return Literal({"M": {name: node.value for name, node in entries if isinstance(node, Literal)}})
    return MapOf(tuple(entries))


def check_exponent(text: str) -> None:
    """Raise ValidationException for a number that Java's BigDecimal does not read.

    Its exponent and its scale are 32-bit integers; what does not fit is no number at all to AWS.
    """
    mantissa, _, exponent = text.lower().partition("e")
    digits = exponent.lstrip("+-").lstrip("0")
    if not digits:
        return
    if len(digits) > _INT32_DIGITS_MAX or abs(int(exponent)) > _INT32_MAX:
        not_well_formed("")
    if abs(len(mantissa.partition(".")[2]) - int(exponent)) > _INT32_MAX:
        not_well_formed("")


def read_set(elements: list[Node]) -> Value:
    """Return the set that a bag is. Raises ValidationException for an empty or mixed one, and for duplicates."""
    if not elements:
        invalid("Empty bags are not supported")
    kinds = {kind for element in elements if isinstance(element, Literal) for kind in element.value}
    contents = [content for element in elements if isinstance(element, Literal) for content in element.value.values()]
    if len(contents) < len(elements) or kinds not in ({"S"}, {"N"}):
        invalid("Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags")
    return canonical_value({"SS" if kinds == {"S"} else "NS": contents})[0]
