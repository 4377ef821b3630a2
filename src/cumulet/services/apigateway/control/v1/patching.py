"""JSON Patch as API Gateway has it: each kind of record lists the paths that can be changed.

https://docs.aws.amazon.com/apigateway/latest/api/patch-operations.html
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cumulet.errors import NotImplementedHere, ServiceError

Setter = Callable[[str | None], None]
"""Sets what a path names; None removes it."""


def apply(
    operations: Sequence[Mapping[str, Any]],
    setters: Mapping[str, Setter],
    maps: Mapping[str, dict[str, str]],
    elsewhere: Iterable[str],
) -> None:
    """Apply patch operations in order.

    `setters` are single values by path, `maps` are entries under a path prefix, and `elsewhere` names paths (by their
    first part) that AWS has and Cumulet refuses by name.
    """
    for operation in operations:
        op, path = operation.get("op"), operation.get("path") or ""
        value = operation.get("value")
        if op not in ("add", "remove", "replace"):
            if op in ("move", "copy", "test"):
                raise NotImplementedHere(f"The patch operation {op}")
            raise ServiceError("BadRequestException", f"Invalid patch operation specified: {op}")
        first, _, rest = path[1:].partition("/")
        if (entries := maps.get(f"/{first}")) is not None and rest:
            key = rest.replace("~1", "/").replace("~0", "~")
            if op == "remove":
                entries.pop(key, None)
            else:
                entries[key] = value if value is not None else ""
        elif (setter := setters.get(path)) is not None and op in ("replace", "remove"):
            setter(None if op == "remove" else (value or ""))
        elif first in elsewhere or path.startswith("/*/") or path.count("/") > 2:
            raise NotImplementedHere(f"The patch path {path} of API Gateway")
        else:
            known = ", ".join(sorted([*setters, *(f"{prefix}/{{key}}" for prefix in maps)]))
            raise ServiceError(
                "BadRequestException",
                f"Invalid patch path  '{path}' specified for op '{op}'. Must be one of: [{known}]",
            )
