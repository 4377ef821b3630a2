"""Java's regular expressions as templates, selection patterns and schemas use them, in time linear in the text (pure).

Python's own engine backtracks: a pattern that meets the wrong text would hold up every other request. RE2 does not, and
knows the same syntax but for look-around and back-references, which are refused by name.
https://github.com/google/re2/wiki/Syntax
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from cumulet.errors import NotImplementedHere
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.mapping import effort
from cumulet.services.apigateway.mapping.effort import TemplateError

_NOT_LINEAR = re.compile(r"(?<!\\)(?:\\\\)*(?:\(\?(?:[=!>]|<[=!])|\\[1-9]|[*+?}]\+)")
_SPECIAL = re.compile(r"[\\^$.|?*+()\[\]{}]")
_JAVA_GROUP = re.compile(r"\\(.)|\$(\d)", re.DOTALL)

_CHARS_PER_PART = 10
"""What a part of a split text counts for: as many letters as can be looked at while it is made."""


@lru_cache(maxsize=limits.COMPILED_MAX)
def compile_pattern(pattern: str) -> Any:
    """Return the compiled pattern. Raises ValueError if it is none, NotImplementedHere for what is not linear."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = limits.PATTERN_BYTES_MAX
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError):
        if _NOT_LINEAR.search(pattern):
            raise NotImplementedHere("A regular expression with look-around or back-references") from None
        raise ValueError(f"no regular expression: {pattern}") from None


def matches(given: str, pattern: str) -> bool:
    """Tell whether a pattern covers the whole of a text."""
    return compile_pattern(pattern).fullmatch(given) is not None


def finds(given: str, pattern: str) -> bool:
    """Tell whether a pattern is found anywhere in a text."""
    return compile_pattern(pattern).search(given) is not None


def replace(pattern: str, replacement: str, given: str, *, first_only: bool = False) -> str:
    """Return a text with what the pattern finds replaced; $1 stands for a group, as in Java."""
    told = _replacement(replacement)
    if _is_plain(pattern) and len(told) == 1:
        return replace_text(given, pattern, str(told[0]), 1 if first_only else -1)
    parts, end, size = list[str](), 0, len(given)
    for found in _found(pattern, given):
        new = "".join([part if isinstance(part, str) else found.group(part) or "" for part in told])
        size += len(new) - (found.end() - found.start())
        _demand(size)
        parts += (given[end : found.start()], new)
        end = found.end()
        if first_only:
            break
    return "".join([*parts, given[end:]])


def replace_text(given: str, old: str, new: str, count: int = -1) -> str:
    """Return a text with another text in place of each `old`, or of the first `count` of them."""
    # How long it becomes is known before it is made.
    found = given.count(old)
    _demand(len(given) + (found if count < 0 else min(count, found)) * (len(new) - len(old)))
    return given.replace(old, new, count)


def split(pattern: str, given: str, limit: int = 0) -> list[str]:
    """Return the parts between what the pattern finds; without a limit, empty parts at the end are dropped."""
    if limit == 1:
        return [given]
    if _is_plain(pattern):
        parts = given.split(pattern, limit - 1 if limit > 0 else -1)
        effort.spend_on_chars(len(parts) * _CHARS_PER_PART)
    else:
        parts, end = [], 0
        for found in _found(pattern, given):
            if found.end() > 0:  # as in Java: nothing stands before a text's beginning
                parts.append(given[end : found.start()])
                end = found.end()
            if len(parts) == limit - 1:
                break
        parts.append(given[end:])
    if limit == 0 and len(parts) > 1:
        while parts and parts[-1] == "":
            parts.pop()
    return parts


def _found(pattern: str, given: str) -> Iterator[Any]:
    for found in compile_pattern(pattern).finditer(given):
        effort.spend(limits.TEMPLATE_STEPS_PER_MATCH)
        yield found


def _demand(size: int) -> None:
    if size > limits.PAYLOAD_BYTES_MAX:
        raise TemplateError("A text of the template is too large")


def _is_plain(pattern: str) -> bool:
    """Tell whether a pattern stands for nothing but itself: most do, and Python finds those much faster."""
    return pattern != "" and _SPECIAL.search(pattern) is None


def _replacement(replacement: str) -> tuple[str | int, ...]:
    """Return what stands in place of a match: texts, and the numbers of groups."""
    # Nothing to remember: it is what a stranger sent as often as it is the template's.
    told: list[str | int] = []
    text, at = "", 0
    for special in _JAVA_GROUP.finditer(replacement):
        text += replacement[at : special.start()] + (special[1] or "")
        at = special.end()
        if special[2]:
            told += (text, int(special[2]))
            text = ""
    return (*told, text + replacement[at:])
