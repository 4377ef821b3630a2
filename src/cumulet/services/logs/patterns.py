"""Filter patterns of plain terms: text -> a function that says whether a message matches.

    ERROR 404           both terms are in the message        "exact phrase"   the phrase is in it
    ?ERROR ?WARN        one of the terms is                  -DEBUG           the term is not
    ERROR -"timed out"  one is, the other is not

Terms match anywhere in the message and mind the case. Optional terms beside others have no effect, as AWS documents.
Patterns for JSON (`{...}`), for space-delimited fields (`[...]`) and regular expressions (`%...%`) are refused by name.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from cumulet.errors import NotImplementedHere, ServiceError

_TERM = re.compile(r'([?-]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))(?=\s|$)', re.DOTALL)

Matches = Callable[[str], bool]


@lru_cache(maxsize=256)
def parse_pattern(pattern: str) -> Matches | None:
    """Return what decides on a message, or None if every message matches. Raises InvalidParameterException."""
    text = pattern.strip()
    if not text:
        return None
    for opening, kind in (("{", "JSON"), ("[", "space-delimited"), ("%", "regular expression")):
        if text.startswith(opening):
            raise NotImplementedHere(f"The {kind} filter pattern {text!r} of logs:FilterLogEvents")
    terms: dict[str, list[str]] = {"": [], "?": [], "-": []}
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        match = _TERM.match(text, at)
        if match is None:
            raise ServiceError("InvalidParameterException", "Invalid filter pattern")
        sign, phrase, word = match.groups()
        terms[sign].append(_checked(word) if phrase is None else re.sub(r"\\(.)", r"\1", phrase))
        at = match.end()
    required, optional, excluded = terms[""], terms["?"], terms["-"]
    if not required and not excluded:
        return lambda message: any(term in message for term in optional)
    return lambda message: all(term in message for term in required) and not any(term in message for term in excluded)


def _checked(word: str) -> str:
    # Anything but letters, digits and underscores has to be quoted.
    if not word.replace("_", "a").isalnum():
        raise ServiceError("InvalidParameterException", f"Invalid character(s) in term '{word}'")
    return word
