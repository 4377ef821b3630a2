"""Where functions with SnapStart say what is to run before the snapshot and after it was restored.

A stand-in for the module of that name in AWS's Python runtimes; a function that carries its own is served by that.
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Hook = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

_before_snapshot: list[Hook] = []
_after_restore: list[Hook] = []


def register_before_snapshot(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
    """Have a function called before the snapshot, the last one registered first. Serves as a decorator too."""
    _before_snapshot.append((function, args, kwargs))
    return function


def register_after_restore(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
    """Have a function called after each restore, in the order of registration. Serves as a decorator too."""
    _after_restore.append((function, args, kwargs))
    return function


def get_before_snapshot() -> list[Hook]:
    """Return what was registered, in that order."""
    return _before_snapshot


def get_after_restore() -> list[Hook]:
    """Return what was registered, in that order."""
    return _after_restore
