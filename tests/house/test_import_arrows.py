"""Imports point downwards: docs/ARCHITECTURE.md draws the layers, this holds the code to them.

cli, console  >  app, workers, nodes  >  edge  >  services  >  wire, policy  >  store  >  the ground floor
"""

import pytest

from sources import Module, modules

GROUND = ("__version__", "clock", "ids", "errors", "scope", "settings")
KIT = ("services.kit", "services.request_tags", "services.tokens")
"""What a service may see of the folder that it lies in."""

# For each part of the program, what of the program it may import. The first line that fits a module counts.
MAY_IMPORT: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (GROUND, GROUND),
    (("store",), ("store", *GROUND)),
    (("wire",), ("wire", *GROUND)),
    (("policy",), ("policy", *GROUND)),
    (KIT, ("store", *GROUND)),
    (("services.dispatch",), (*KIT, "store", *GROUND)),
    # It documents the program that is put together, so it asks the composition root for it.
    (("services.matrix",), ("app", "services", "wire", "store", *GROUND)),
    (("edge",), ("edge", "services", "wire", "policy", "store", *GROUND)),
    (("nodes",), ("store", *GROUND)),
    (("workers",), ("nodes", "services.kit", "store", *GROUND)),
    (("app",), ("edge", "workers", "nodes", "services", "wire", "policy", "store", *GROUND)),
    (("cli", "console", "__main__"), ("",)),
)

PURE = ("policy", "wire", "services.dynamodb.core", "services.cloudformation.core")
WORLD = (
    "asyncio",
    "concurrent",
    "ctypes",
    "fcntl",
    "http",
    "multiprocessing",
    "os",
    "select",
    "selectors",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib.request",
    "boto3",
    "uvicorn",
    "uvloop",
)
"""What pure code does not import: the rest of the world, and time."""

STILL_PURE = {
    (
        "services.cloudformation.core.sam",
        "boto3",
    ): "AWS's translator wants a session to ask for its region, nothing else",
}


def allowed(module: Module) -> tuple[str, ...]:
    """Return what the module may import of the program."""
    if module.name == "":
        return ()
    for parts, may in MAY_IMPORT:
        if module.within(*parts):
            return may
    if module.within("services"):
        service = ".".join(module.name.split(".")[:2])
        return (service, *KIT, "wire", "policy", "store", *GROUND)
    raise AssertionError(f"{module.name} belongs to no layer; say in MAY_IMPORT what it may see")


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.name or "cumulet")
def test_imports_point_downwards(module: Module) -> None:
    may = allowed(module)
    wrong = [
        f"line {line}: {name}"
        for line, name in module.imports
        if name.partition(".")[0] == "cumulet" and not _fits(name.partition(".")[2], may)
    ]
    assert wrong == [], f"{module.name} may import {', '.join(may)}"


@pytest.mark.parametrize(
    "module", [module for module in modules() if module.within(*PURE)], ids=lambda module: module.name
)
def test_pure_code_does_not_touch_the_world(module: Module) -> None:
    wrong = [
        f"line {line}: {name}"
        for line, name in module.imports
        if _fits(name, WORLD) and (module.name, name) not in STILL_PURE
    ]
    assert wrong == []


def test_nothing_is_imported_relatively_or_by_star() -> None:
    wrong = [
        f"{module.name} line {line}: {name}"
        for module in modules()
        for line, name in module.imports
        if name.endswith(".*") or name.startswith("None.")
    ]
    assert wrong == []


def _fits(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(prefix == "" or name == prefix or name.startswith(prefix + ".") for prefix in prefixes)
