"""The models' regular expressions, which are Java's, as Python's.

The few constructs that differ are rewritten; a pattern that still does not compile is no constraint (a test lists
them). Java's \\w, \\d and \\s are ASCII, and a whole value must match.
"""

import re
import warnings
from collections.abc import Callable
from functools import cache

_SEPARATORS = " \\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"

_REWRITES = (
    # Letters and numbers only ever stand in a class that has the underscore too, so \w is the same set.
    ("\\p{L}", "\\w"),
    ("\\p{N}", "\\d"),
    ("\\p{Z}", _SEPARATORS),
    ("\\p{Print}", "[\\x20-\\x7e]"),
    # Characters beyond the basic plane: as Java's surrogate pairs, and as STS's model misspells them.
    ("\\uD800\\uDC00-\\uDBFF\\uDFFF", "\\U00010000-\\U0010FFFF"),
    ("\\u10000-\\u10FFFF", "\\U00010000-\\U0010FFFF"),
    ("[\\w-_]", "[\\w\\-_]"),
)


@cache
def find_matcher(pattern: str) -> Callable[[str], object] | None:
    """Return a function that is truthy for values that match as a whole; None if Python cannot read the pattern."""
    flags = re.RegexFlag(0) if "\\p{" in pattern else re.ASCII
    for java, python in _REWRITES:
        pattern = pattern.replace(java, python)
    with warnings.catch_warnings():
        # "[[" and the like read as sets in some future Python; they are literals in both languages today.
        warnings.simplefilter("ignore", FutureWarning)
        try:
            return re.compile(pattern, flags).fullmatch
        except re.error:
            return None
