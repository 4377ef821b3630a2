"""Java's regular expressions as templates, selection patterns and schemas use them, in time linear in the text (pure).

Python's own engine backtracks: a pattern that meets the wrong text would hold up every other request. RE2 does not, and
knows the same syntax but for look-around and back-references, which are refused by name.
https://github.com/google/re2/wiki/Syntax
"""

import re
from functools import lru_cache
from typing import Any

from cumulet.errors import NotImplementedHere
from cumulet.services.apigateway import limits

_NOT_LINEAR = re.compile(r"(?<!\\)(?:\\\\)*(?:\(\?(?:[=!>]|<[=!])|\\[1-9]|[*+?}]\+)")
_JAVA_GROUP = re.compile(r"\\([\\$])|\$(\d)")


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


def replace(pattern: str, replacement: str, given: str, count: int = 0) -> str:
    """Return a text with what the pattern finds replaced; $1 stands for a group, as in Java."""
    parts = _JAVA_GROUP.sub(lambda found: _escaped(found[1]) if found[1] else f"\\g<{found[2]}>", replacement)
    replaced: str = compile_pattern(pattern).sub(parts, given, count)
    return replaced


def _escaped(char: str) -> str:
    return "\\\\" if char == "\\" else char


def split(pattern: str, given: str, limit: int = 0) -> list[str]:
    """Return the parts between what the pattern finds; without a limit, empty parts at the end are dropped."""
    compiled = compile_pattern(pattern)
    if limit == 1:
        return [given]
    parts: list[str] = compiled.split(given, max(limit - 1, 0))
    # Groups of the pattern are no parts in Java.
    parts = parts[:: compiled.groups + 1]
    if limit == 0:
        while len(parts) > 1 and parts[-1] == "":
            parts.pop()
    return parts
