"""How the texts of a policy match those of a request: wildcards, ARNs, policy variables.

A pattern is compiled once, when its document is. Only a pattern with a variable (`${aws:username}`) waits for the
request; what a variable stands for is always taken literally, so nobody gets a wildcard in through a name.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias


class NotTold(Exception):
    """A policy asks for a condition key of which nobody has told whether the request has it."""


class Context(Protocol):
    """The condition keys of a request: a dictionary of them by lower-case name, or what acts like one."""

    def get(self, key: str, /) -> str | Sequence[str] | None:
        """Return what the key stands for, or None if the request has no such key. May raise NotTold."""
        ...


Style = Literal["text", "text-any-case", "glob", "arn"]
"""Of a pattern: whether its wildcards count, whether its letters' case does, and whether it is matched as an ARN."""

Test: TypeAlias = Callable[[str, Context], bool]


class Variable(NamedTuple):
    """A policy variable, with what stands in when the request has no such key."""

    key: str
    default: str | None

    def resolve(self, context: Context) -> str | None:
        """Return what the variable stands for in a request. A key with several values has no single one."""
        value = context.get(self.key)
        if value is None:
            return self.default
        if isinstance(value, str):
            return value
        return value[0] if len(value) == 1 else self.default


class Wildcard(NamedTuple):
    """`*` (any run of characters) or `?` (any one)."""

    sign: str


Piece: TypeAlias = str | Variable | Wildcard

_PIECES: Final = re.compile(
    r"\$\{(?P<literal>[*?$])\}"
    r"|\$\{(?P<key>[^},'${]+)(?:,\s*'(?P<default>[^']*)')?\}"
    r"|(?P<wildcard>[*?])"
)
_WILDCARD: Final = re.compile(r"(?P<wildcard>[*?])")

ARN_COLONS: Final = 5
"""An ARN is arn:partition:service:region:account:resource; only the last part has colons of its own."""


def split_pieces(text: str, *, variables: bool = True) -> tuple[Piece, ...]:
    """Return the literals, wildcards and variables of a pattern. Documents before 2012-10-17 have no variables."""
    pieces: list[Piece] = []
    at = 0

    def add(literal: str) -> None:
        if literal and pieces and isinstance(pieces[-1], str):
            pieces[-1] += literal
        elif literal:
            pieces.append(literal)

    for found in (_PIECES if variables else _WILDCARD).finditer(text):
        add(text[at : found.start()])
        at = found.end()
        part = found.groupdict()
        if part["wildcard"]:
            pieces.append(Wildcard(part["wildcard"]))
        elif part["literal"]:
            add(part["literal"])
        else:
            pieces.append(Variable(part["key"].strip().lower(), part["default"]))
    add(text[at:])
    return tuple(pieces)


def any_of(texts: Sequence[str], style: Style, *, variables: bool = True) -> Test:
    """Return a test that tells whether a value matches at least one of these patterns."""
    patterns = [split_pieces(text, variables=variables) for text in texts]
    # Without wildcards to honour, a pattern's own signs are literals again.
    if style.startswith("text"):
        patterns = [tuple(p.sign if isinstance(p, Wildcard) else p for p in pieces) for pieces in patterns]
    waiting = tuple(pieces for pieces in patterns if any(isinstance(piece, Variable) for piece in pieces))
    ready = [_regex(pieces, style, {}) for pieces in patterns if pieces not in waiting]
    fixed = _compile("|".join(regex for regex in ready if regex is not None), style).fullmatch if ready else None
    if not waiting:
        assert fixed is not None or not texts
        return (lambda value, context: fixed(value) is not None) if fixed else (lambda value, context: False)

    def test(value: str, context: Context) -> bool:
        if fixed is not None and fixed(value):
            return True
        for pieces in waiting:
            regex = _regex(pieces, style, context)
            if regex is not None and _compile(regex, style).fullmatch(value):
                return True
        return False

    return test


def any_action(texts: Sequence[str]) -> Callable[[str], bool]:
    """Return a test that tells whether an action (`vendor:Name`, in any case) matches at least one of these patterns.

    Patterns are looked up by vendor and compiled at first use: AWS's ReadOnlyAccess names hundreds of services.
    """
    names: dict[str, list[str]] = {}
    for text in texts:
        vendor, colon, name = text.lower().partition(":")
        names.setdefault(vendor, []).append(name if colon else "*")
    compiled: dict[str, re.Pattern[str]] = {}

    def matches(vendor: str, name: str) -> bool:
        if vendor not in names:
            return False
        pattern = compiled.get(vendor)
        if pattern is None:
            pieces = [split_pieces(text, variables=False) for text in names[vendor]]
            regex = "|".join(_regex(of_one, "glob", {}) or "" for of_one in pieces)
            pattern = compiled[vendor] = re.compile(regex)
        return pattern.fullmatch(name) is not None

    def test(action: str) -> bool:
        vendor, _, name = action.lower().partition(":")
        return matches(vendor, name) or matches("*", name)

    return test


def _regex(pieces: tuple[Piece, ...], style: Style, context: Context) -> str | None:
    """Return the pattern as a regular expression, or None if a variable stands for nothing.

    What lies between two stars is matched where it comes first, and never anywhere else (an atomic group): the first
    place leaves the most to what follows, so nothing is lost, and no pattern takes more than linear time per star.
    """
    by_part = style == "arn" and pieces != (Wildcard("*"),)
    colons = 0
    stars: list[str] = []
    runs: list[list[str]] = [[]]
    for piece in pieces:
        if isinstance(piece, Wildcard):
            # Each of the first five parts of an ARN is matched on its own.
            sign = "[^:]" if by_part and colons < ARN_COLONS else "."
            if piece.sign == "?":
                runs[-1].append(sign)
            else:
                stars.append(sign + "*")
                runs.append([])
        elif isinstance(piece, Variable):
            value = piece.resolve(context)
            if value is None:
                return None
            runs[-1].append(re.escape(value))
        else:
            colons += piece.count(":")
            runs[-1].append(re.escape(piece))
    if by_part and colons < ARN_COLONS:
        # IAM user guide, "Resource": an incomplete ARN is completed with wildcards.
        runs[-1].append(":")
        stars.append(".*")
        runs.append([])
    first, *rest = ["".join(run) for run in runs]
    if not rest:
        return first
    *between, last = zip(stars, rest, strict=True)
    return first + "".join([f"(?>{star}?{run})" for star, run in between]) + "".join(last)


@lru_cache(maxsize=4096)
def _compile(regex: str, style: Style) -> re.Pattern[str]:
    return re.compile(regex, re.DOTALL | re.IGNORECASE if style.endswith("any-case") else re.DOTALL)
