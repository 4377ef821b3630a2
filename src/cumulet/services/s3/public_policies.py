"""Whether a bucket policy lets the public in, as Block Public Access means it. Pure.

Source: "The meaning of 'public'" in "Blocking public access to your Amazon S3 storage" of the S3 User Guide: a policy
is public unless each grant is to named principals, or holds one of a few condition keys to fixed values.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

_NARROWING_KEYS: Final = frozenset(
    {
        *("aws:principalarn", "aws:principalaccount", "aws:principalorgid", "aws:principalorgpaths"),
        *("aws:sourcearn", "aws:sourceaccount", "aws:sourceowner", "aws:sourceip", "aws:userid"),
        *("aws:sourcevpc", "aws:sourcevpce", "aws:sourceorgid", "aws:sourceorgpaths", "aws:federatedprovider"),
    }
)
_NARROWING_OPERATORS: Final = frozenset(
    {"stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike", "ipaddress"}
)
_EVERY_ADDRESS: Final = frozenset({"0.0.0.0/0", "::/0"})


def statements_of(text: str) -> list[Mapping[str, Any]]:
    """Return the statements of a policy that has been checked."""
    found: Any = msgspec.json.decode(text)["Statement"]
    return found if isinstance(found, list) else [found]


def as_values(element: Any) -> list[Any]:
    """Return what a policy gives as one value or as a list."""
    return [] if element is None else element if isinstance(element, list) else [element]


def condition_keys(text: str) -> set[str]:
    """Return every condition key that a policy asks for."""
    return {key for statement in statements_of(text) for _, key, _ in _conditions(statement)}


@lru_cache(maxsize=256)
def is_public(text: str) -> bool:
    """Return whether anybody who is not named is granted something."""
    return any(
        statement["Effect"] == "Allow" and _is_to_all(statement) and not _is_narrowed(statement)
        for statement in statements_of(text)
    )


def _conditions(statement: Mapping[str, Any]) -> Iterator[tuple[str, str, list[Any]]]:
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            yield operator, key, as_values(values)


def _is_to_all(statement: Mapping[str, Any]) -> bool:
    if "NotPrincipal" in statement:
        return True
    principal = statement["Principal"]
    return principal == "*" or "*" in as_values(principal.get("AWS"))


def _is_narrowed(statement: Mapping[str, Any]) -> bool:
    return any(
        operator.lower() in _NARROWING_OPERATORS and key.lower() in _NARROWING_KEYS and all(map(_is_fixed, values))
        for operator, key, values in _conditions(statement)
    )


def _is_fixed(value: Any) -> bool:
    text = str(value)
    if text.startswith("arn:"):
        # Of an ARN only its account must be there: arn:aws:lambda:*:123456789012:function:* is one account's.
        parts = text.split(":", 5)
        return len(parts) == 6 and not any(mark in parts[4] for mark in "*?$") and bool(parts[4])
    return not any(mark in text for mark in "*?") and "${" not in text and text not in _EVERY_ADDRESS
