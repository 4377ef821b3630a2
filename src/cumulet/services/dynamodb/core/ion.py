"""Amazon Ion's text form, as far as items need it: what an export writes and an import reads. See also `ion_binary`.

A number is a decimal, a binary a blob, a set a list that is annotated $dynamodb_SS, $dynamodb_NS or $dynamodb_BS
("DynamoDB table export output format" and "Amazon Ion", developer guide). Ion's types that DynamoDB has not
(timestamps, s-expressions, clobs, not-a-number) are refused, as are symbols where a value is.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from cumulet.services.dynamodb.core.limits import NESTING_DEPTH_MAX
from cumulet.services.dynamodb.core.values import Item, Value

VERSION = "$ion_1_0"
_SETS = ("SS", "NS", "BS")
_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*").fullmatch
_RESERVED = frozenset(("null", "true", "false", "nan"))
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f]')


class NotIon(ValueError):
    """What this text is not."""


def render_ion(members: Mapping[str, Item]) -> str:
    """Return items under their names as one line of an export, without its line break."""
    return f"{VERSION} {{{','.join(f'{name}:{_render_struct(item)}' for name, item in members.items())}}}"


def render_text(text: str) -> str:
    """Return a text as Ion has it in double quotes."""
    return '"' + _ESCAPED.sub(lambda match: _ESCAPES.get(match[0]) or f"\\x{ord(match[0]):02x}", text) + '"'


def _render_struct(members: Any) -> str:
    return "{" + ",".join([f"{_render_name(name)}:{_render(value)}" for name, value in members.items()]) + "}"


def _render_name(name: str) -> str:
    if _IDENTIFIER(name) and name not in _RESERVED and not name.startswith("$"):
        return name
    return (
        "'"
        + _ESCAPED.sub(lambda match: _ESCAPES.get(match[0]) or f"\\x{ord(match[0]):02x}", name).replace("'", "\\'")
        + "'"
    )


def _render(value: Value) -> str:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return render_text(content)
        case "N":
            return _render_number(content)
        case "B":
            return f"{{{{{content}}}}}"
        case "BOOL":
            return "true" if content else "false"
        case "NULL":
            return "null"
        case "M":
            return _render_struct(content)
        case "L":
            return "[" + ",".join(map(_render, content)) + "]"
    return f"$dynamodb_{kind}::[" + ",".join([_render({kind[0]: element}) for element in content]) + "]"


def _render_number(canonical: str) -> str:
    # With a point it is a decimal; without one it would be an integer, which is read back just as well.
    return canonical if "." in canonical else canonical + "."


# --- reading

_TOKEN = re.compile(
    r"""(?:[ \t\r\n\f\v]+|//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)*(?:
        (?P<blob>\{\{[ \t\r\n]*[A-Za-z0-9+/=][A-Za-z0-9+/= \t\r\n]*\}\}|\{\{[ \t\r\n]*\}\})
      | (?P<symbol>::|[{}\[\]:,])
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<quoted>'(?:[^'\\\n]|\\.)*'(?!'))
      | (?P<name>[A-Za-z_$][A-Za-z0-9_$]*(?:\.[a-z]+)?)
      | (?P<number>-?[0-9](?:[0-9_]*)(?:\.[0-9_]*)?(?:[dDeE][+-]?[0-9]+)?(?=[\s,\]}]|\Z))
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL)
_UNESCAPED = {"0": "\0", "a": "\a", "b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "v": "\v"}
_NULLS = frozenset(
    "null" + kind
    for kind in ("", ".null", ".bool", ".int", ".float", ".decimal", ".string", ".blob", ".list", ".struct")
)
_EXPONENT_DIGITS_MAX = 9


def read_ion(text: str) -> Iterator[dict[str, Value]]:
    """Yield the structs that a text holds, with values as DynamoDB has them, not yet in canonical form."""
    reader = _Reader(text)
    while reader.kind != "end":
        if reader.kind == "name" and reader.text == VERSION:
            reader.next()
            continue
        value = reader.value(0)
        if "M" not in value:
            _refuse()
        yield value["M"]


def element_set(kind: str, value: Value) -> Value:
    """Return the set of a kind (SS, NS, BS) whose elements a list has. Raises NotIon if it cannot be one."""
    elements = value.get("L")
    if kind not in _SETS or elements is None or any(kind[0] not in element for element in elements):
        _refuse()
    return {kind: [element[kind[0]] for element in elements]}


class Balance:
    """Tells whether the lines seen so far are whole values. Strings do not go over line ends here."""

    _TOKENS = re.compile(r"""//[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[{}\[\]()]""")

    def __init__(self) -> None:
        self._open = 0

    def add(self, line: str) -> bool:
        """Take a line; return whether all that was opened is closed."""
        for token in self._TOKENS.findall(line):
            if token in "{[(":
                self._open += 1
            elif token in "}])":
                self._open -= 1
        return self._open <= 0


class _Reader:
    def __init__(self, text: str) -> None:
        self._source = text
        self._at = 0
        self.kind = self.text = ""
        self.next()

    def next(self) -> None:
        match = _TOKEN.match(self._source, self._at)
        if match is None:
            _refuse()
        self.kind = match.lastgroup or "end"
        self.text = match[self.kind]
        self._at = match.end()

    def value(self, depth: int) -> Value:
        if depth > NESTING_DEPTH_MAX:
            raise NotIon("Nesting Levels have exceeded supported limits")
        kind, text = self.kind, self.text
        if kind == "name" and text.startswith("$dynamodb_"):
            return self._set(text.removeprefix("$dynamodb_"), depth)
        if kind == "symbol" and text in "{[":
            self.next()
            return {"M": self._struct(depth)} if text == "{" else {"L": self._list(depth)}
        self.next()
        if kind == "string":
            return {"S": _unescape(text)}
        if kind == "number":
            return {"N": _number(text)}
        if kind == "blob":
            return {"B": "".join(text[2:-2].split())}
        if kind == "name" and text in _NULLS:
            return {"NULL": True}
        if kind != "name" or text not in ("true", "false"):
            _refuse()
        return {"BOOL": text == "true"}

    def _set(self, kind: str, depth: int) -> Value:
        self.next()
        if kind not in _SETS or self.text != "::":
            _refuse()
        self.next()
        if self.text != "[" or self.kind != "symbol":
            _refuse()
        self.next()
        return element_set(kind, {"L": self._list(depth)})

    def _struct(self, depth: int) -> dict[str, Value]:
        members: dict[str, Value] = {}
        while not self._closes("}"):
            if self.kind not in ("name", "quoted", "string"):
                _refuse()
            name = self.text if self.kind == "name" else _unescape(self.text)
            self.next()
            if self.text != ":" or self.kind != "symbol":
                _refuse()
            self.next()
            members[name] = self.value(depth + 1)
            self._comma("}")
        return members

    def _list(self, depth: int) -> list[Value]:
        elements: list[Value] = []
        while not self._closes("]"):
            elements.append(self.value(depth + 1))
            self._comma("]")
        return elements

    def _closes(self, closing: str) -> bool:
        if self.kind == "symbol" and self.text == closing:
            self.next()
            return True
        return False

    def _comma(self, closing: str) -> None:
        if self.kind != "symbol" or self.text not in (",", closing):
            _refuse()
        if self.text == ",":
            self.next()


def _number(text: str) -> str:
    """Return a number as DynamoDB reads it: Ion has underscores, and d for the exponent of a decimal."""
    plain = text.replace("_", "").lower().replace("d", "e")
    if len(plain.partition("e")[2]) > _EXPONENT_DIGITS_MAX:
        _refuse()
    return plain


def _unescape(quoted: str) -> str:
    def replace(match: re.Match[str]) -> str:
        code = match[1]
        if len(code) > 1:
            number = int(code[1:], 16)
            return chr(number) if number < _CODE_POINTS else _refuse()
        return _UNESCAPED.get(code, code)

    return _ESCAPE.sub(replace, quoted[1:-1]) if "\\" in quoted else quoted[1:-1]


_CODE_POINTS = 0x110000


def _refuse() -> NoReturn:
    raise NotIon("This is no Ion that an item can be read from")
