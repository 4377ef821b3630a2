"""Java's regular expressions as templates and selection patterns use them, with what could run away refused (pure).

A repeated group can take exponential time in a backtracking engine, which holds up every other request; it is refused
by its name, and texts that are matched are bounded.
"""

import re
from functools import lru_cache

from cumulet.errors import NotImplementedHere
from cumulet.services.apigateway import limits

_REPEATED_GROUP = re.compile(r"(?<!\\)\)[*+{]")
_JAVA_GROUP = re.compile(r"\\([\\$])|\$(\d)")


@lru_cache(maxsize=limits.COMPILED_MAX)
def compile_pattern(pattern: str) -> "re.Pattern[str]":
    """Return the compiled pattern. Raises ValueError if it is none, NotImplementedHere for repeated groups."""
    if _REPEATED_GROUP.search(pattern) or sum(pattern.count(char) for char in "*+{") > limits.PATTERN_REPEATS_MAX:
        raise NotImplementedHere("A regular expression with repeated groups, or with many repetitions,")
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        raise ValueError(f"no regular expression: {pattern}") from None


def matches(given: str, pattern: str) -> bool:
    """Tell whether a pattern covers the whole of a text."""
    return compile_pattern(pattern).fullmatch(given[: limits.PATTERN_TEXT_MAX]) is not None


def replace(pattern: str, replacement: str, given: str, count: int = 0) -> str:
    """Return a text with what the pattern finds replaced; $1 stands for a group, as in Java."""
    compiled = compile_pattern(pattern)
    if len(given) > limits.PATTERN_TEXT_MAX and re.escape(pattern) != pattern:
        raise ValueError("the text is too long for a regular expression")
    parts = _JAVA_GROUP.sub(lambda found: _escaped(found[1]) if found[1] else f"\\g<{found[2]}>", replacement)
    return compiled.sub(parts, given, count=count)


def _escaped(char: str) -> str:
    return "\\\\" if char == "\\" else char


def split(pattern: str, given: str, limit: int = 0) -> list[str]:
    """Return the parts between what the pattern finds; without a limit, empty parts at the end are dropped."""
    compiled = compile_pattern(pattern)
    if len(given) > limits.PATTERN_TEXT_MAX and re.escape(pattern) != pattern:
        raise ValueError("the text is too long for a regular expression")
    parts = compiled.split(given, maxsplit=max(limit - 1, 0)) if not compiled.groups else re.split(pattern, given)
    if limit == 0:
        while len(parts) > 1 and parts[-1] == "":
            parts.pop()
    return [part or "" for part in parts]
