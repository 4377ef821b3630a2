"""Text to tokens, in one linear pass."""

import re
from typing import NamedTuple

_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
        (?P<name>[A-Za-z][A-Za-z0-9_]*)
      | (?P<name_ref>\#[A-Za-z0-9_]+)
      | (?P<value_ref>:[A-Za-z0-9_]+)
      | (?P<integer>[0-9]+)
      | (?P<symbol><>|<=|>=|[=<>()\[\].,+\-])
      | (?P<unknown>.)
      | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """One token: "name", "name_ref", "value_ref", "integer", "symbol", "unknown" or "end", and where it lies."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def keyword(self) -> str:
        """The text in capitals if it could be a keyword, else empty."""
        return self.text.upper() if self.kind == "name" else ""


def tokenize(text: str) -> list[Token]:
    """Return the tokens of an expression. The last one, and only that, is of kind "end"."""
    tokens = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "end"
        tokens.append(Token(kind, match[kind], match.start(kind), match.end(kind)))
        if kind == "end":
            break
    return tokens
