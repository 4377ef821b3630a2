"""What templates do with values: Java's objects as far as mapping templates can see them (pure).

Maps and lists print as Java's do on AWS: a map as {name=value}, a list as JSON.
"""

import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from cumulet.services.apigateway import limits
from cumulet.services.apigateway.mapping import effort, patterns
from cumulet.services.apigateway.mapping.effort import TemplateError

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}\Z")
_DECIMAL = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?\s*\Z")

_MEMBERS_PER_STEP = 50
"""How many members are copied, or compared with a text, in the time of one step."""


class Methods:
    """A value that has nothing but methods and plain members: $input, $util."""

    def __init__(self, methods: Mapping[str, Callable[..., Any]], members: Mapping[str, Any] | None = None) -> None:
        self.methods = methods
        self.members = members or {}


def text(value: Any) -> str:
    """Return how a value prints."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        effort.spend_on_all_of(value)
        return _printed(value)
    if isinstance(value, float):
        return _double(value)
    return "" if isinstance(value, Methods) else str(value)


def _double(value: float) -> str:
    """Return how Java prints a double: 1.0E7 and 1.0E-4 where Python has 10000000.0 and 0.0001."""
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value)
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    if not isinstance(exponent, int):  # no template makes what is no number, but what is too large
        return "-Infinity" if sign else "Infinity"
    first, *more = map(str, digits)
    return f"{'-' if sign else ''}{first}.{''.join(more) or '0'}E{exponent + len(more)}"


def _printed(value: Any) -> str:
    if isinstance(value, list):
        return msgspec.json.encode(value, enc_hook=text).decode()
    # A map, and the maps in it, without recursion: a stranger's body may nest them as deep as JSON can be read.
    parts, waiting = list[str](), [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            members: list[Any] = ["{"]
            for name, member in item.items():
                members += (f"{', ' if len(members) > 1 else ''}{name}=", member)
            waiting += ["}", *reversed(members)]
        else:
            parts.append(_printed(item) if isinstance(item, list) else text(item))
    return "".join(parts)


def is_true(value: Any) -> bool:
    """Tell whether a condition holds: everything does but nothing and false."""
    return value is not None and value is not False


def items_of(value: Any) -> list[Any]:
    """Return what a loop goes through: a list's items or a map's values."""
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def span(first: Any, last: Any) -> list[int]:
    """Return the numbers of [first..last], in either direction."""
    if not (_is_number(first) and _is_number(last)):
        return []
    first, last = int(first), int(last)
    if abs(last - first) >= limits.FOREACH_TURNS_MAX:
        raise TemplateError("A range is too long")
    return list(range(first, last + 1)) if first <= last else list(range(first, last - 1, -1))


def member(holder: Any, key: Any) -> Any:
    """Return a member by name or index, or None."""
    if isinstance(holder, dict):
        return holder.get(key if isinstance(key, str) else text(key))
    if isinstance(holder, list) and isinstance(key, int) and not isinstance(key, bool):
        return holder[key] if -len(holder) <= key < len(holder) else None
    if isinstance(holder, Methods):
        return holder.members.get(text(key))
    return None


def assign(holder: Any, key: Any, value: Any) -> None:
    """Set a member by name or index; where there is nothing to hold it, nothing happens."""
    if isinstance(holder, dict):
        holder[key if isinstance(key, str) else text(key)] = value
    elif isinstance(holder, list) and isinstance(key, int) and 0 <= key < len(holder):
        holder[key] = value


def call(holder: Any, name: str, arguments: list[Any]) -> Any:
    """Return what a method answers. None, as for any reference to nothing, where there is no such method."""
    if isinstance(holder, Methods):
        method = holder.methods.get(name)
    else:
        method = next((methods.get(name) for kind, methods in _METHODS if isinstance(holder, kind)), None)
        method = method or _ANY_METHODS.get(name)
        arguments = [holder, *arguments]
    if method is None:
        return None
    try:
        answer = method(*arguments)
    except (TypeError, ValueError, IndexError, KeyError, AttributeError, OverflowError):
        # The wrong number or kind of arguments: no such method, for Velocity.
        return None
    effort.spend_on_chars(sum([len(given) for given in (*arguments, answer) if isinstance(given, str)]))
    if isinstance(answer, list):
        effort.spend(len(answer) // _MEMBERS_PER_STEP)
    return answer


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(left: Any, right: Any) -> bool:
    if left is None or right is None:
        return left is right
    if _is_number(left) and _is_number(right):
        return bool(left == right)
    if type(left) is type(right):
        effort.spend_on_all_of(left)
        effort.spend_on_chars(len(left) if isinstance(left, str) else 0)
        return bool(left == right)
    return text(left) == text(right)


def _is_in(value: Any, holder: list[Any]) -> bool:
    effort.spend_on_all_of(value, times=len(holder))
    effort.spend(len(holder) // _MEMBERS_PER_STEP)
    return value in holder


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, str) or isinstance(right, str):
        if left is None or right is None:
            return None
        return _bounded(text(left) + text(right))
    return _calculate(operator.add)(left, right)


def _bounded(given: str) -> str:
    if len(given) > limits.PAYLOAD_BYTES_MAX:
        raise TemplateError("A text of the template is too large")
    effort.spend_on_chars(len(given))
    return given


def _calculate(compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def calculate(left: Any, right: Any) -> Any:
        if not (_is_number(left) and _is_number(right)):
            return None
        try:
            result = compute(left, right)
        except (ZeroDivisionError, OverflowError):
            return None
        # Java's long: larger numbers wrap around there, and are nothing here.
        return result if abs(result) < 2**63 else None

    return calculate


def _divide(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int):
        return abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
    return left / right


def _modulo(left: Any, right: Any) -> Any:
    return left - _divide(left, right) * right if isinstance(left, int) and isinstance(right, int) else left % right


def _compare(compute: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    return lambda left, right: compute(left, right) if _is_number(left) and _is_number(right) else False


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": _compare(operator.lt),
    ">": _compare(operator.gt),
    "<=": _compare(operator.le),
    ">=": _compare(operator.ge),
    "+": _add,
    "-": _calculate(operator.sub),
    "*": _calculate(operator.mul),
    "/": _calculate(_divide),
    "%": _calculate(_modulo),
}


def _put(holder: dict[str, Any], key: Any, value: Any) -> Any:
    name = text(key)
    before = holder.get(name)
    holder[name] = value
    return before


def _put_all(holder: dict[str, Any], more: dict[str, Any]) -> None:
    for name in list(more):
        holder[name] = more[name]  # one by one: a map may mind, which update() does not ask


def _append(holder: list[Any], *arguments: Any) -> bool:
    if len(arguments) == 2:
        holder.insert(arguments[0], arguments[1])
    else:
        holder.append(*arguments)
    return True


def _append_all(holder: list[Any], more: list[Any]) -> bool:
    if len(holder) + len(more) > limits.TEMPLATE_STEPS_MAX:
        raise TemplateError("A list of the template is too long")
    holder.extend(more)
    return bool(more)


def _set_item(holder: list[Any], index: int, value: Any) -> Any:
    before = holder[index]
    holder[index] = value
    return before


def _get_item(holder: list[Any], index: int) -> Any:
    return holder[index] if 0 <= index < len(holder) else None


def _index_of(holder: list[Any], value: Any) -> int:
    return holder.index(value) if _is_in(value, holder) else -1


def _substring(given: str, start: int, end: int | None = None) -> str | None:
    end = len(given) if end is None else end
    return given[start:end] if 0 <= start <= end <= len(given) else None


def _integer(given: Any) -> int:
    return int(_demand_form(_INTEGER, given))


def _decimal(given: Any) -> float:
    return float(_demand_form(_DECIMAL, given))


def _demand_form(form: re.Pattern[str], given: Any) -> str:
    # Where Java throws AWS ends the request.
    if form.match(digits := text(given)) is None:
        raise TemplateError("A text that is no number")
    return digits


def _entries(holder: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value} for key, value in holder.items()]


_MAP_METHODS: dict[str, Callable[..., Any]] = {
    "get": lambda holder, key: holder.get(text(key)),
    "getOrDefault": lambda holder, key, default: holder.get(text(key), default),
    "keySet": lambda holder: list(holder),
    "values": lambda holder: list(holder.values()),
    "entrySet": _entries,
    "size": len,
    "isEmpty": lambda holder: not holder,
    "containsKey": lambda holder, key: text(key) in holder,
    "containsValue": lambda holder, value: _is_in(value, list(holder.values())),
    "put": _put,
    "putAll": _put_all,
    "remove": lambda holder, key: holder.pop(text(key), None),
    # What an entry of entrySet answers.
    "getKey": lambda holder: holder.get("key"),
    "getValue": lambda holder: holder.get("value"),
}
_LIST_METHODS: dict[str, Callable[..., Any]] = {
    "get": _get_item,
    "size": len,
    "count": len,  # so the developer guide has it of $input.path
    "isEmpty": lambda holder: not holder,
    "contains": lambda holder, value: _is_in(value, holder),
    "indexOf": _index_of,
    "add": _append,
    "addAll": _append_all,
    "set": _set_item,
    "remove": lambda holder, index: holder.pop(index),
    "subList": lambda holder, start, end: holder[start:end],
}
_TEXT_METHODS: dict[str, Callable[..., Any]] = {
    "length": len,
    "isEmpty": lambda given: not given,
    "substring": _substring,
    "charAt": lambda given, index: given[index],
    "indexOf": lambda given, part, *start: given.find(text(part), *start),
    "lastIndexOf": lambda given, part: given.rfind(text(part)),
    "contains": lambda given, part: text(part) in given,
    "startsWith": lambda given, part: given.startswith(part),
    "endsWith": lambda given, part: given.endswith(part),
    "toLowerCase": str.lower,
    "toUpperCase": str.upper,
    "trim": str.strip,
    "concat": lambda given, other: _bounded(given + other),
    "replace": lambda given, old, new: patterns.replace_text(given, old, new),
    "replaceAll": lambda given, pattern, new: patterns.replace(pattern, new, given),
    "replaceFirst": lambda given, pattern, new: patterns.replace(pattern, new, given, first_only=True),
    "split": lambda given, pattern, limit=0: patterns.split(pattern, given, limit),
    "matches": patterns.matches,
    "equalsIgnoreCase": lambda given, other: given.lower() == text(other).lower(),
    "compareTo": lambda given, other: (given > other) - (given < other),
}
_NUMBER_METHODS: dict[str, Callable[..., Any]] = {
    "intValue": int,
    "longValue": int,
    "doubleValue": float,
    # Java's static methods: templates keep a number for nothing else than to call them.
    "parseInt": lambda holder, given: _integer(given),
    "parseLong": lambda holder, given: _integer(given),
    "parseDouble": lambda holder, given: _decimal(given),
    "parseFloat": lambda holder, given: _decimal(given),
    "valueOf": lambda holder, given: _integer(given) if isinstance(holder, int) else _decimal(given),
}
_ANY_METHODS: dict[str, Callable[..., Any]] = {"toString": text, "equals": _equal}
_METHODS: tuple[tuple[Any, dict[str, Callable[..., Any]]], ...] = (
    (dict, _MAP_METHODS),
    (list, _LIST_METHODS),
    (str, _TEXT_METHODS),
    ((int, float), _NUMBER_METHODS),
)
