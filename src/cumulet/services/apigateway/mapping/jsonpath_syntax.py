"""How a JSONPath is read (pure): a path becomes steps, a filter a tree of conditions that are held against an item.

path       = ["$"] { step } [".length()"]
step       = [".."] ( name | "*" | "[" inside "]" )      a dot before a name or a bracket is a matter of taste
inside     = names | integers | slice | "*" | "?(" or ")"
or         = and { "||" and }
and        = not { "&&" not }
not        = ["!"] ( "(" or ")" | comparison )
comparison = operand [ operator operand ]
operand    = "@" path | "$" path | string | number | true | false | null | list | /regular expression/
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, Protocol

import msgspec

from cumulet.errors import NotImplementedHere
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.mapping import patterns
from cumulet.services.apigateway.mapping.effort import TemplateError


class Finder(Protocol):
    """What looks for the places of a path, and counts what that takes."""

    def find(self, path: "Path", start: Any) -> Any:
        """Return what the path leads to; None for what is not there."""
        ...

    def places(self, path: "Path", start: Any) -> list[Any]:
        """Return every place that the path leads to."""
        ...

    def spend(self, steps: int) -> None:
        """Count what a comparison takes. Raises TemplateError if that is too much."""
        ...


class Names(NamedTuple):
    """Several members of an object: at the end of a path they are one object, elsewhere each goes on by itself."""

    names: tuple[str, ...]
    is_last: bool = False


class Condition(NamedTuple):
    """What a filter asks of an item."""

    holds: Callable[[Finder, Any], bool]


class Step(NamedTuple):
    """From each place that was found to others."""

    descends: bool
    key: "str | int | slice | tuple[int, ...] | Names | Condition | None"
    """None for every child."""


class Path(NamedTuple):
    """A path that was read."""

    steps: tuple[Step, ...]
    is_definite: bool
    """Names one place."""
    from_root: bool = False
    is_length: bool = False
    """Asks how many members or items there are."""


_NAME = re.compile(r"""[^\s.*,'"?&|!=<>~\[\]()]+""")
_FILTER = re.compile(r"\s*\?\s*\(")
_INSIDE = re.compile(
    r"\s*(?:(?P<slice>-?\d*\s*:\s*-?\d*)|(?P<numbers>-?\d+(?:\s*,\s*-?\d+)*)|(?P<all>\*)"
    r"""|(?P<names>'(?:[^'\\]|\\.)*'(?:\s*,\s*'(?:[^'\\]|\\.)*')*|"(?:[^"\\]|\\.)*"(?:\s*,\s*"(?:[^"\\]|\\.)*")*))\s*\]"""
)
_TEXT = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORD = re.compile(r"(true|false|null)\b")
_REGEX = re.compile(r"/((?:[^/\\]|\\.)*)/([a-z]*)")
_OPERATOR = re.compile(r"==|!=|<=|>=|=~|<|>|(?:in|nin|size|empty)\b")
_OTHER_OPERATOR = re.compile(r"[a-z]+\b")
_FUNCTION = re.compile(r"\.([a-z]+)\(\s*\)")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_DIGITS_MAX = 18
_MEMBERS_PER_STEP, _CHARACTERS_PER_STEP = 4, 500
"""How much is compared in the time that it takes to look at an item."""


def read(text: str) -> Path:
    """Return a path. Raises TemplateError for what is none, NotImplementedHere for what is not here."""
    given = text.strip()
    reader = _Reader(given if given.startswith("$") else f"$.{given}")
    reader.at = 1
    path = reader.path()
    if reader.at < len(reader.text):
        reader.fail()
    return path


class _Reader:
    """Reads one path; `at` is how far it has come."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def fail(self) -> NoReturn:
        raise TemplateError(f"The JSONPath {self.text} cannot be read")

    def path(self, from_root: bool = False) -> Path:
        """Return the steps from here on, as many as there are."""
        steps: list[Step] = []
        is_length = False
        while self.text.startswith((".", "["), self.at) or (not steps and self._starts_name()):
            if (function := _FUNCTION.match(self.text, self.at)) is not None:
                if function[1] != "length":
                    raise NotImplementedHere(f"The function {function[1]}() of a JSONPath")
                is_length, self.at = True, function.end()
                break
            steps.append(self._step())
            if len(steps) > limits.TEMPLATE_DEPTH_MAX:
                self.fail()
        if steps and isinstance(names := steps[-1].key, Names):
            steps[-1] = Step(steps[-1].descends, names._replace(is_last=True))
        return Path(tuple(steps), all(map(_is_definite, steps)), from_root, is_length)

    def _starts_name(self) -> bool:
        return self.text.startswith("*", self.at) or _NAME.match(self.text, self.at) is not None

    def _step(self) -> Step:
        descends = self.text.startswith("..", self.at)
        self.at += 2 if descends else 1 if self.text.startswith(".", self.at) else 0
        if self.text.startswith("[", self.at):
            return Step(descends, self._inside())
        if self.text.startswith("*", self.at):
            self.at += 1
            return Step(descends, None)
        return Step(descends, self._match(_NAME)[0])

    def _inside(self) -> Any:
        self.at += 1
        if (asked := _FILTER.match(self.text, self.at)) is not None:
            self.at = asked.end()
            condition = self._or()
            self._expect(")")
            self._expect("]")
            return Condition(condition)
        found = self._match(_INSIDE)
        if found["all"]:
            return None
        if found["slice"]:
            first, _, last = found["slice"].partition(":")
            return slice(self._integer(first), self._integer(last))
        if found["numbers"]:
            numbers = tuple([self._integer(number) or 0 for number in found["numbers"].split(",")])
            return numbers if len(numbers) > 1 else numbers[0]
        names = tuple([_unescaped(one) for one in _TEXT.finditer(found["names"])])
        return Names(names) if len(names) > 1 else names[0]

    def _integer(self, digits: str) -> int | None:
        digits = digits.strip()
        if len(digits) > _DIGITS_MAX:
            self.fail()
        return int(digits) if digits else None

    def _or(self) -> Callable[[Finder, Any], bool]:
        self.depth += 1
        if self.depth > limits.TEMPLATE_DEPTH_MAX:
            self.fail()
        either = [self._and()]
        while self._take("||"):
            either.append(self._and())
        self.depth -= 1
        return either[0] if len(either) == 1 else lambda finder, item: any(one(finder, item) for one in either)

    def _and(self) -> Callable[[Finder, Any], bool]:
        both = [self._not()]
        while self._take("&&"):
            both.append(self._not())
        return both[0] if len(both) == 1 else lambda finder, item: all(one(finder, item) for one in both)

    def _not(self) -> Callable[[Finder, Any], bool]:
        wanted = True
        while self._take("!"):
            wanted = not wanted
        if self._take("("):
            inner = self._or()
            self._expect(")")
        else:
            inner = self._comparison()
        return inner if wanted else lambda finder, item: not inner(finder, item)

    def _comparison(self) -> Callable[[Finder, Any], bool]:
        left = self._operand()
        self._blanks()
        operator = _OPERATOR.match(self.text, self.at)
        if operator is None:
            if (other := _OTHER_OPERATOR.match(self.text, self.at)) is not None:
                raise NotImplementedHere(f"The operator {other[0]} of a JSONPath")
            if not isinstance(left, Path):
                self.fail()
            # That it is there is enough, whatever it is.
            return lambda finder, item: bool(finder.places(left, item))
        self.at = operator.end()
        right, compare = self._operand(), _COMPARE[operator[0]]

        def holds(finder: Finder, item: Any) -> bool:
            values = _value(left, finder, item), _value(right, finder, item)
            finder.spend(sum(map(_weight, values)))
            return compare(*values)

        return holds

    def _operand(self) -> Any:
        self._blanks()
        start = self.text[self.at : self.at + 1]
        if start in ("@", "$"):
            self.at += 1
            return self.path(from_root=start == "$")
        if start == "/":
            found = self._match(_REGEX)
            return _regex(found[1], found[2])
        if start == "[":
            return self._list()
        if (found_text := _TEXT.match(self.text, self.at)) is not None:
            self.at = found_text.end()
            return _unescaped(found_text)
        if (word := _WORD.match(self.text, self.at)) is not None:
            self.at = word.end()
            return {"true": True, "false": False, "null": None}[word[1]]
        digits = self._match(_NUMBER)[0]
        try:
            return msgspec.json.decode(digits)
        except msgspec.DecodeError:
            self.fail()

    def _list(self) -> list[Any]:
        self._expect("[")
        members: list[Any] = []
        while not self._take("]"):
            if members:
                self._expect(",")
            member = self._operand()
            if isinstance(member, Path | list):
                self.fail()
            members.append(member)
        return members

    def _blanks(self) -> None:
        while self.text.startswith(" ", self.at):
            self.at += 1

    def _take(self, word: str) -> bool:
        self._blanks()
        taken = self.text.startswith(word, self.at)
        self.at += len(word) if taken else 0
        return taken

    def _expect(self, word: str) -> None:
        if not self._take(word):
            self.fail()

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self.text, self.at)
        if found is None:
            self.fail()
        self.at = found.end()
        return found


def _is_definite(step: Step) -> bool:
    is_one = isinstance(step.key, str | int) or (isinstance(step.key, Names) and step.key.is_last)
    return is_one and not step.descends


def _unescaped(found: re.Match[str]) -> str:
    return _ESCAPED.sub(r"\1", found[1] if found[1] is not None else found[2])


class _Absent:
    """What a path in a filter leads to if it is not there: not even null."""


_ABSENT = _Absent()


def _value(operand: Any, finder: Finder, item: Any) -> Any:
    if not isinstance(operand, Path):
        return operand
    if not operand.is_definite or operand.is_length:
        return finder.find(operand, item)
    found = finder.places(operand, item)
    return found[0] if found else _ABSENT


def _weight(value: Any) -> int:
    """Return what comparing a value takes, in steps: a list of the body may be held against each item of another."""
    if isinstance(value, list | dict):
        return len(value) // _MEMBERS_PER_STEP
    return len(value) // _CHARACTERS_PER_STEP if isinstance(value, str) else 0


class _Regex(NamedTuple):
    pattern: str


def _regex(pattern: str, flags: str) -> _Regex:
    if flags not in ("", "i"):
        raise NotImplementedHere(f"The flags {flags} of a regular expression in a JSONPath")
    read_pattern = f"(?{flags}:{pattern})"
    try:
        patterns.compile_pattern(read_pattern)
    except ValueError as error:
        raise TemplateError(str(error)) from None
    return _Regex(read_pattern)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(left: Any, right: Any) -> bool:
    # A text of digits is the number: the library turns either into the other.
    if _is_number(left) and isinstance(right, str):
        return bool(_as_number(right) == left)
    if isinstance(left, str) and _is_number(right):
        return left == msgspec.json.encode(right).decode()
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def _as_number(text: str) -> Any:
    found = _NUMBER.fullmatch(text)
    return None if found is None or len(text) > limits.TEMPLATE_DEPTH_MAX else float(text)


def _ordered(holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Return a comparison that holds for two numbers or two texts alone."""

    def compare(left: Any, right: Any) -> bool:
        alike = (_is_number(left) and _is_number(right)) or (isinstance(left, str) and isinstance(right, str))
        return alike and bool(holds(left, right))

    return compare


def _is_in(left: Any, right: Any) -> bool:
    return isinstance(right, list) and any(_equal(left, member) for member in right)


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": _ordered(lambda left, right: left < right),
    "<=": _ordered(lambda left, right: left <= right),
    ">": _ordered(lambda left, right: left > right),
    ">=": _ordered(lambda left, right: left >= right),
    "=~": lambda left, right: (
        isinstance(left, str) and isinstance(right, _Regex) and patterns.matches(left, right.pattern)
    ),
    "in": _is_in,
    "nin": lambda left, right: not _is_in(left, right),
    "size": lambda left, right: isinstance(left, list | str) and _equal(len(left), right),
    "empty": lambda left, right: isinstance(left, list | str) and (not left) is right,
}
